//! Separators and JSON's edges.

use super::csv::Dialect;
use super::dialect::{find, is_blanks};
use super::json::scan::{Found, Style, style, value};

#[test]
fn separators_are_sniffed() {
    let check = |text: &str, expected: Option<char>| {
        let found = find(text.as_bytes(), true, None, None).map(|dialect| char::from(dialect.delimiter));
        assert_eq!(found, expected, "{text:?}");
    };
    check("a,b\n1,2\n", Some(','));
    check("a;b;c\n1,5;2,5;x\n", Some(';'));
    check("1,5;2,5\n3,5;4,5\n", Some(';'));
    check("a\tb, c\n1\t2, 3\n", Some('\t'));
    check("a|b\n1|2\n", Some('|'));
    check("a^b^c\n1^2^3\n", Some('^'));
    check("root:x:0\nada:x:1\n", Some(':'));
    check("at,n\n10:05:00,1\n10:06:00,2\n", Some(','));
    check("word\nother\n", None);
    check("It was, he said, late.\nThen nothing.\nAnd, well.\nEnd\n", None);
    check("a,b\n\"x,y,z\",1\n\"p\nq\",2\n", Some(','));
    check("x,y\n1,2\n3\n4,5\n6,7\n8,9\n", Some(','));
    let escape = find(b"a,b\n\"x \\\"y\\\", z\",1\n", true, None, None).and_then(|dialect: Dialect| dialect.escape);
    assert_eq!(escape, Some(b'\\'));
    assert!(is_blanks(b" a  b\n 1  2\n", true));
    assert!(!is_blanks(b"some words here\nand more of them here\n", true));
}

#[test]
fn json_styles_are_told_apart() {
    let check = |text: &str, expected: Option<Style>| assert_eq!(style(text.as_bytes()), expected, "{text:?}");
    check("{\"a\":1}\n{\"a\":2}\n", Some(Style::Lines));
    check("{\"a\":1}", Some(Style::Lines));
    check("{\"a\":}\n{\"a\":2}\n", Some(Style::Lines));
    check("{\n\"a\":1}\n{\n\"a\":2}\n", Some(Style::Stream));
    check("{\"a\":1}{\"a\":2}", Some(Style::Stream));
    check(" [{\"a\":1}]", Some(Style::Array));
    check("[\n{}\n]", Some(Style::Array));
    check("[1,2]\n[3,4]\n", Some(Style::Lines));
    check("[a]\n", None);
    check("{a}", None);
    check("a,b\n", None);
}

#[test]
fn json_values_are_found() {
    let whole = |text: &str| match value(text.as_bytes(), 0, true) {
        Found::Value { start, end, depth } => format!("{} {depth}", &text[start..end]),
        other => format!("{other:?}"),
    };
    assert_eq!(whole(" , {\"a\":[1,\"}\\\"\"]} x"), "{\"a\":[1,\"}\\\"\"]} 2");
    assert_eq!(whole("12,3"), "12 0");
    assert_eq!(whole("\"a\\\"b\" c"), "\"a\\\"b\" 0");
    assert_eq!(whole("{\"a\""), "Broken { start: 0, end: 4 }");
    assert_eq!(whole("  "), "Nothing");
    assert_eq!(value(b"{\"a\"", 0, false), Found::More);
    assert_eq!(value(b"12", 0, false), Found::More);
}
