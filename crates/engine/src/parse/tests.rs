use polder_capability::Parameter;

use super::{Filling, ParsedStatement, parse, parse_with};

fn check(sql: &str, expected: &[&str]) {
    let shown = |statement: &ParsedStatement| match statement {
        ParsedStatement::Standard(statement) => statement.to_string(),
        other => format!("{other:?}"),
    };
    let statements: Vec<String> = parse(sql).unwrap().iter().map(shown).collect();
    assert_eq!(statements, expected, "{sql}");
}

#[test]
fn splits_at_semicolons_that_are_no_text() {
    check("SELECT a; SELECT b AS \";\" ;;", &["SELECT a", "SELECT b AS \";\""]);
    check("SELECT * FROM t WHERE a = ';'; TRUNCATE t", &["SELECT * FROM t WHERE a = ';'", "TRUNCATE t"]);
    check("-- nothing\n", &[]);
    check("COPY t FROM 'a.csv'", &["COPY t FROM 'a.csv'"]);
}

#[test]
fn arrays_may_be_said_in_a_word() {
    check(
        "CREATE TABLE t (v int8 ARRAY, w numeric(10, 2) array NOT NULL, x text)",
        &["CREATE TABLE t (v INT8[], w NUMERIC(10,2)[] NOT NULL, x TEXT)"],
    );
    check("ALTER TABLE t ADD COLUMN v text ARRAY", &["ALTER TABLE t ADD COLUMN v TEXT[]"]);
}

#[test]
fn says_where_in_the_whole_text() {
    let error = parse("SELECT 1;\n  SELEC 2").unwrap_err();
    let position = error.position().unwrap();
    assert_eq!((position.line, position.column), (2, 3), "{error}");
    assert_eq!(error.code(), "42601");
}

#[test]
fn refuses_what_is_too_large_or_too_deep() {
    let error = parse(&format!("SELECT '{}'", "x".repeat(5 << 20))).unwrap_err();
    assert_eq!(error.code(), "54000", "{error}");
    let error = parse(&format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000))).unwrap_err();
    assert_eq!(error.code(), "54001", "{error}");
}

#[test]
fn refuses_a_chain_without_end() {
    let error = parse(&format!("SELECT {}1", "1 + ".repeat(50_000))).unwrap_err();
    assert_eq!(error.code(), "54001", "{error}");
    // A long list is no chain.
    assert!(parse(&format!("SELECT 1 IN ({}1)", "-1, ".repeat(50_000))).is_ok());
}

#[test]
fn knows_what_the_parser_does_not() {
    let refresh = parse("REFRESH MATERIALIZED VIEW a.b").unwrap();
    assert!(
        matches!(&refresh[..], [ParsedStatement::Refresh(refresh)] if refresh.view.to_string() == "a.b" && !refresh.explain)
    );
    let merge =
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (1)";
    check(
        merge,
        &[
            "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET \"polder$nothing\" = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)",
        ],
    );
}

#[test]
fn takes_the_options_of_copy() {
    let written =
        "COPY t TO o STORED AS CSV PARTITIONED BY (k, L) OPTIONS ('format.has_header' 'false', 'format.delimiter' ';')";
    check("COPY t TO 'o' WITH (FORMAT csv, HEADER false, PARTITION_BY (K, \"L\"), DELIMITER ';')", &[written]);
    check(
        "COPY (SELECT 1 AS to_) TO 'o.csv' (HEADER)",
        &["COPY (SELECT 1 AS to_) TO o.csv OPTIONS ('format.has_header' 'true')"],
    );
    for (sql, code) in [
        ("COPY t TO 'o' (FORMAT binary)", "0A000"),
        ("COPY t TO 'o' (FREEZE)", "0A000"),
        ("COPY t TO 'o' (DELIMITER 'ab')", "22023"),
        ("COPY t TO 'o' (FORMAT csv) WHERE a", "42601"),
        ("COPY t TO 'o' (FORMAT csv", "42601"),
    ] {
        assert_eq!(parse(sql).unwrap_err().code(), code, "{sql}");
    }
}

#[test]
fn a_bigint_that_is_sent_along_stays_one() {
    let written = |sql: &str, type_name: &str, text: &str| {
        let value = Parameter { type_name: Some(type_name.to_owned()), text: Some(text.to_owned()) };
        match parse_with(sql, &[Filling::Value(value)]).unwrap().pop() {
            Some(ParsedStatement::Standard(statement)) => statement.to_string(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(written("SELECT a FROM t WHERE b = $1", "bigint", "5"), "SELECT a FROM t WHERE b = 5L");
    assert_eq!(written("SELECT a FROM t WHERE b = $1", "bigint", "-5"), "SELECT a FROM t WHERE b = (-5L)");
    assert_eq!(written("SELECT a FROM t WHERE b = $1", "integer", "5"), "SELECT a FROM t WHERE b = 5");
    assert_eq!(written("SELECT a FROM t WHERE b = $1", "numeric", "0.5"), "SELECT a FROM t WHERE b = 0.5");
    assert_eq!(written("SELECT $1 / 2", "numeric", "1"), "SELECT 1. / 2 AS \"?column?\"");
    assert_eq!(written("SELECT $1 / 2", "numeric", "-1"), "SELECT (-1.) / 2 AS \"?column?\"");
    // Whoever reads a view's text need not know of it.
    let view = written("CREATE VIEW v AS SELECT a FROM t WHERE b = $1", "bigint", "5");
    assert_eq!(view, "CREATE VIEW v AS SELECT a FROM t WHERE b = 5");
}

#[test]
fn mistakes_within_nested_forms_are_told_at_once() {
    for form in ["CAST(", "ARRAY[", "NOT (", "EXTRACT(", "FLOOR(", "SUBSTRING(1, ", "TRY_CAST("] {
        let started = std::time::Instant::now();
        parse(&format!("SELECT {}1,", form.repeat(40))).unwrap_err();
        let elapsed = started.elapsed();
        assert!(elapsed < std::time::Duration::from_secs(5), "{form}: {elapsed:?}");
    }
}

#[test]
fn nested_calls_are_read_once() {
    let started = std::time::Instant::now();
    parse(&format!("SELECT {}1{}", "abs(".repeat(30), ")".repeat(30))).unwrap();
    let elapsed = started.elapsed();
    assert!(elapsed < std::time::Duration::from_secs(5), "{elapsed:?}");
    parse("SELECT make_interval(days => 1, hours := 2)").unwrap();
}
