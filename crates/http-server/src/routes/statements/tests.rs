use super::*;

#[test]
fn percent_encoding() {
    let check = |text: &str, expected: &str| assert_eq!(percent_encoded(text), expected);
    check("abc-_.~123", "abc-_.~123");
    check("[{\"a\": 1}]", "%5B%7B%22a%22%3A%201%7D%5D");
    check("é\n", "%C3%A9%0A");
}

#[test]
fn notices_are_bounded() {
    let check = |count: usize, length: usize, expected: usize| {
        let list: Vec<_> = (0..count).map(|_| Notice::new("x".repeat(length))).collect();
        let text = notices(&list);
        assert!(text.len() <= NOTICES_BYTES_MAX + 100);
        let parsed: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed.len(), expected);
        parsed.last().unwrap()["message"].as_str().unwrap().to_owned()
    };
    check(1, 10, 1);
    check(3, 100, 3);
    assert_eq!(check(10, 1000, 4), "7 more notices");
    assert_eq!(check(1, 10_000, 1), "1 more notices");
}
