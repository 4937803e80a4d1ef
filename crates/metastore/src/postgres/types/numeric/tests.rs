use super::*;

fn check(text: &str, expected: Option<&str>) {
    let mut bytes = Vec::new();
    let back = encode(text, &mut bytes).and_then(|()| decode(&bytes));
    assert_eq!(back.as_deref(), expected, "{text}");
}

#[test]
fn decimals_survive_the_binary_form() {
    for text in
        ["0", "1", "-1", "9999", "10000", "123456789", "1.5", "-12.50", "0.0001", "0.00001", "10000.0001", "NaN"]
    {
        check(text, Some(text));
    }
    check("123456789012345678901234567890.123456789", Some("123456789012345678901234567890.123456789"));
    check("0.00", Some("0.00"));
    check("100000000", Some("100000000"));
    check("007", Some("7"));
    check("+7", Some("7"));
    check(".5", Some("0.5"));
    check("", None);
    check("-", None);
    check("1e5", None);
    check("12a", None);
}

#[test]
fn cut_bytes_are_no_number() {
    assert_eq!(decode(&[0, 1, 0]), None);
    assert_eq!(decode(&[]), None);
}
