use super::parse;

fn check(sql: &str, expected: &[&str]) {
    let statements: Vec<String> = parse(sql).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(statements, expected, "{sql}");
}

#[test]
fn splits_at_semicolons_that_are_no_text() {
    check("SELECT 1; SELECT ';' ;;", &["SELECT 1", "SELECT ';'"]);
    check("-- nothing\n", &[]);
    check("COPY t FROM 'a.csv'", &["COPY t FROM 'a.csv'"]);
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
