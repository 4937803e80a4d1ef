use super::*;

fn texts(sql: &str) -> Vec<&str> {
    statements(sql).into_iter().map(|statement| statement.sql).collect()
}

#[test]
fn texts_are_cut_where_statements_end() {
    let cases: [(&str, &[&str]); 8] = [
        ("", &[]),
        (" ; -- no\n; /* no; */", &[]),
        ("SELECT 1; SELECT 2 ;", &["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \";\" ; b", &["SELECT ';', \";\"", "b"]),
        ("SELECT 'it''s;' ; b", &["SELECT 'it''s;'", "b"]),
        (r"SELECT E'\';' ; b", &[r"SELECT E'\';'", "b"]),
        ("DO $x$ a; $$ $x$; b", &["DO $x$ a; $$ $x$", "b"]),
        ("a /* ; /* ; */ ; */ c; b", &["a /* ; /* ; */ ; */ c", "b"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(texts(sql), expected, "{sql}");
    }
}

#[test]
fn statements_are_recorded_with_the_comments_around_them() {
    let long = format!("/* {} */ a", "x".repeat(5_000));
    let cases: [(&str, &[(&str, usize)]); 7] = [
        (" /* app */ a ;\n", &[("/* app */ a", 10)]),
        ("-- name: x\na", &[("-- name: x\na", 11)]),
        ("a /* b */; -- c", &[("a /* b */; -- c", 0)]),
        (";; 'a;", &[("'a;", 0)]),
        ("/* 1 */ a; -- 2\n b /* 3 */ ; c -- 4", &[("/* 1 */ a", 8), ("-- 2\n b /* 3 */", 6), ("c -- 4", 0)]),
        ("a;b", &[("a", 0), ("b", 0)]),
        (long.as_str(), &[("a", 0)]),
    ];
    for (sql, expected) in cases {
        let statements = statements(sql);
        let told: Vec<_> = statements.iter().map(Statement::told).collect();
        assert_eq!(told, expected, "{sql}");
        for (statement, (text, start)) in statements.iter().zip(told) {
            assert!(text[start..].starts_with(statement.sql), "{sql}");
        }
    }
}

#[test]
fn what_is_not_ended_reaches_to_the_end() {
    for sql in ["'a;", "\"a;", "$$a;", "/* a", "E'a\\"] {
        assert!(texts(sql).len() <= 1, "{sql}");
    }
}

#[test]
fn words_are_lower_case_and_texts_without_quotes() {
    let kinds: Vec<TokenKind> = scan("Fetch \"A\" 'b''c' 10 $1 é").into_iter().map(|token| token.kind).collect();
    assert_eq!(
        kinds,
        [
            TokenKind::Word("fetch".into()),
            TokenKind::Name("A".into()),
            TokenKind::Text("b'c".into()),
            TokenKind::Number("10".into()),
            TokenKind::Symbol('$'),
            TokenKind::Word("é".into()),
        ]
    );
}
