use polder_capability::Parameter;

use super::super::{Filling, ParsedStatement, parse_all};
use super::statement;

fn typed(type_name: Option<&str>, text: Option<&str>) -> Filling {
    Filling::Value(Parameter { type_name: type_name.map(str::to_owned), text: text.map(str::to_owned) })
}

/// The same as the parser makes of it; places in the text are for errors, and constants have none.
fn check(sql: &str, values: &[Filling]) {
    let quick = statement(sql, values).unwrap_or_else(|| panic!("left to the parser: {sql}"));
    let parsed = parse_all(sql, values).unwrap().pop();
    match (quick, parsed) {
        (ParsedStatement::Standard(quick), Some(ParsedStatement::Standard(parsed))) => {
            assert_eq!(quick.to_string(), parsed.to_string());
            assert_eq!(quick, parsed, "{sql}");
        }
        other => panic!("{other:?}"),
    }
}

fn left(sql: &str) {
    assert!(statement(sql, &[]).is_none(), "{sql}");
}

#[test]
fn is_what_the_parser_makes_of_it() {
    for sql in [
        "INSERT INTO t VALUES (1)",
        " insert\tINTO\r\nt\n VALUES(1,-2,'a''b',NULL , true,FALSE, 0.5, -0.25) ;",
        "INSERT INTO public.t (a, \"B c\", name) VALUES (1, 'x', 'y'), (2, NULL, '')",
        "INSERT INTO polder.public.\"T\" (a) VALUES (007)",
        "INSERT INTO t VALUES ('back\\slash', 'ünïcode', '$1', 'a;b', '--')",
        "INSERT INTO t (id, date, timestamp, key, user_id) VALUES (1, '2026-01-01', '2026-01-01 00:00', 'k', 12345678901234567890)",
        "INSERT INTO _t1 VALUES ( 1 , 2 )\n",
    ] {
        check(sql, &[]);
    }
}

#[test]
fn parameters_are_written_as_the_parser_reads_them() {
    let all = [
        typed(None, Some("it's")),
        typed(None, None),
        typed(Some("text"), Some("x")),
        typed(Some("bigint"), Some("5")),
        typed(Some("bigint"), Some("-5")),
        typed(Some("integer"), Some("7")),
        typed(Some("numeric"), Some("5")),
        typed(Some("numeric"), Some("-5.25")),
        typed(Some("boolean"), Some("true")),
        typed(Some("date"), Some("2026-01-31")),
        typed(Some("double precision"), Some("1e10")),
        typed(Some("uuid"), Some("00000000-0000-0000-0000-000000000001")),
        typed(Some("timestamp"), Some("2026-01-31 12:00:00")),
        typed(Some("timestamptz"), Some("2026-01-31 12:00:00+00")),
        typed(Some("uuid"), None),
    ];
    for number in 1..=all.len() {
        check(&format!("INSERT INTO t (a, b) VALUES ($1, ${number})"), &all);
    }
    check("INSERT INTO t VALUES ($2, $4), ($1, 3)", &all);
    for sql in ["INSERT INTO t VALUES ($10), ($11)", "INSERT INTO t VALUES ($16)", "INSERT INTO t VALUES ($0)"] {
        assert!(statement(sql, &all).is_none(), "{sql}");
    }
    for (type_name, text) in [("bytea", "\\x00"), ("bigint", "9e9"), ("integer[]", "{1}"), ("boolean", "maybe")] {
        assert!(statement("INSERT INTO t VALUES ($1)", &[typed(Some(type_name), Some(text))]).is_none(), "{type_name}");
    }
}

#[test]
fn everything_else_is_for_the_parser() {
    for sql in [
        "",
        "INSERT",
        "INSERT INTO t",
        "INSERT INTO t VALUES",
        "INSERT INTO t VALUES ()",
        "INSERT INTO t VALUES (1",
        "INSERT INTO t VALUES (1,)",
        "INSERT INTO t VALUES (1),",
        "INSERT INTO t VALUES (1); SELECT 1",
        "INSERT INTO t VALUES (1);;",
        "INSERT INTO t VALUES (1) RETURNING a",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO t AS u VALUES (1)",
        "INSERT INTO t u VALUES (1)",
        "INSERT INTO t () VALUES (1)",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t VALUES (DEFAULT)",
        "INSERT INTO t VALUES (now())",
        "INSERT INTO t VALUES (1 + 1)",
        "INSERT INTO t VALUES (- 1)",
        "INSERT INTO t VALUES (--1\n1)",
        "INSERT INTO t VALUES (1e3)",
        "INSERT INTO t VALUES (1.)",
        "INSERT INTO t VALUES (.5)",
        "INSERT INTO t VALUES (1.2.3)",
        "INSERT INTO t VALUES (1_000)",
        "INSERT INTO t VALUES (5L)",
        "INSERT INTO t VALUES (0x1F)",
        "INSERT INTO t VALUES (E'a\\n')",
        "INSERT INTO t VALUES ('a' 'b')",
        "INSERT INTO t VALUES ('a'::text)",
        "INSERT INTO t VALUES (DATE '2026-01-01')",
        "INSERT INTO t VALUES ($1)",
        "INSERT INTO t VALUES ($$a$$)",
        "INSERT INTO t VALUES (nullable)",
        "INSERT INTO t /* c */ VALUES (1)",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t (select) VALUES (1)",
        "INSERT INTO table t VALUES (1)",
        "INSERT INTO values VALUES (1)",
        "INSERT INTO a.b.c.d VALUES (1)",
        "INSERT INTO \"a\"\"b\" VALUES (1)",
        "INSERT INTO \"\" VALUES (1)",
        "INSERT INTO tä VALUES (1)",
        "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1)",
        "INSERT INTO t$1 VALUES (1)",
        "EXPLAIN INSERT INTO t VALUES (1)",
    ] {
        left(sql);
    }
}
