use polder_types::Position;

use super::{Excerpt, Failure, as_failure, exit_code};

fn rendered(failure: &Failure) -> String {
    let mut out = Vec::new();
    failure.render(&mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

/// An error at a place of a statement that begins at `start` of `source`.
fn check(source: &str, start: (u64, u64), at: (u64, u64), expected: &str) {
    let failure = Failure {
        message: "no such column".to_owned(),
        code: Some("42703".to_owned()),
        position: Some(Position { line: at.0, column: at.1 }),
        ..Failure::default()
    };
    let excerpt = Excerpt { source: source.into(), name: None, line: start.0, column: start.1 };
    let text = rendered(&failure.in_statement(excerpt));
    assert_eq!(text.strip_prefix("error: no such column [42703]\n").unwrap(), expected);
}

#[test]
fn the_caret_stands_under_the_column() {
    check("SELECT foo", (1, 1), (1, 8), " --> line:1:8\n1 | SELECT foo\n  |        ^\n");
    check(
        "SELECT 1; SELECT foo",
        (1, 11),
        (1, 8),
        " --> line:1:18\n1 | SELECT 1; SELECT foo\n  |                  ^\n",
    );
    check("\n\n SELECT\n  foo", (3, 2), (2, 3), " --> line:4:3\n4 |   foo\n  |   ^\n");
    check("SELECT 'é', foo", (1, 1), (1, 13), " --> line:1:13\n1 | SELECT 'é', foo\n  |             ^\n");
    check("SELECT '日本', foo", (1, 1), (1, 14), " --> line:1:14\n1 | SELECT '日本', foo\n  |                ^\n");
    check("\tSELECT foo", (1, 2), (1, 8), " --> line:1:9\n1 |  SELECT foo\n  |         ^\n");
    check("SELECT", (1, 1), (1, 7), " --> line:1:7\n1 | SELECT\n  |       ^\n");
    check("SELECT", (1, 1), (9, 99), " --> line:9:99\n9 | \n  | ^\n");
}

#[test]
fn a_long_line_is_shown_around_the_caret() {
    let source = format!("SELECT {}, foo, {}", "a".repeat(200), "b".repeat(200));
    let failure = Failure { position: Some(Position { line: 1, column: 210 }), ..Failure::new("x") };
    let text =
        rendered(&failure.in_statement(Excerpt { source: source.as_str().into(), name: None, line: 1, column: 1 }));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[2].starts_with("1 | …aaa") && lines[2].ends_with("bbb…"), "{text}");
    let caret = lines[3].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[2].chars().skip(caret).take(3).collect::<String>(), "foo");
}

#[test]
fn a_file_is_named() {
    let failure = Failure { position: Some(Position { line: 1, column: 1 }), ..Failure::new("x") }.with_hint("do y");
    let excerpt = Excerpt { source: "A".into(), name: Some("report.sql".to_owned()), line: 1, column: 1 };
    assert_eq!(rendered(&failure.in_statement(excerpt)), "error: x\n --> report.sql:1:1\n1 | A\n  | ^\nhint: do y\n");
}

#[test]
fn messages_do_not_speak_to_the_terminal() {
    assert_eq!(rendered(&Failure::new("a\u{1b}[2Jb")), "error: a\\u{1b}[2Jb\n");
}

#[test]
fn exits_follow_the_kind() {
    assert_eq!(exit_code(Ok(0)), 0);
    assert_eq!(exit_code(Err(Failure::new("x").into())), 1);
    assert_eq!(exit_code(Err(Failure::usage("x").into())), 2);
    assert_eq!(exit_code(Err(Failure::interrupted().into())), 130);
    assert_eq!(exit_code(Err(polder_types::Error::cancelled().into())), 130);
    let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert_eq!(exit_code(Err(Failure::output(gone).into())), 0);
}

#[test]
fn words_in_front_are_kept() {
    let error = anyhow::Error::from(polder_types::Error::invalid("bad").with_hint("mend")).context("the demo");
    let failure = as_failure(&error);
    assert_eq!(failure.message, "the demo: bad");
    assert_eq!(failure.hint.as_deref(), Some("mend"));
}
