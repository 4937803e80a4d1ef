use super::TextLength;

fn check(declared: &str, value: &str, fitted: Option<&str>, cut: &str) {
    let length = TextLength::of(declared).unwrap();
    assert_eq!(length.fit(value), fitted, "{value:?} in {declared}");
    assert_eq!(length.cut(value), cut, "{value:?} as {declared}");
}

#[test]
fn lengths() {
    check("varchar(3)", "abc", Some("abc"), "abc");
    check("varchar(3)", "abc  ", Some("abc"), "abc");
    check("varchar(3)", "abcd", None, "abc");
    check("varchar(3)", "ab c", None, "ab ");
    check("varchar(3)", "a  ", Some("a  "), "a  ");
    check("varchar(3)", "€€€", Some("€€€"), "€€€");
    check("varchar(3)", "€€€€", None, "€€€");
    check("char(3)", "a  ", Some("a"), "a");
    check("char(3)", "abc ", Some("abc"), "abc");
    check("char(3)", "abcd", None, "abc");
    assert_eq!(TextLength::of("text"), None);
    assert_eq!(TextLength::of("varchar"), None);
}
