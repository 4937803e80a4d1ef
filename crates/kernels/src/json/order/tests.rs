use crate::json::Json;

fn key(text: &str) -> Vec<u8> {
    Json::parse(text).map(|json| json.sort_key()).unwrap_or_default()
}

#[test]
fn values_come_in_their_order() {
    let ordered = [
        "[]",
        "null",
        r#""""#,
        r#""10""#,
        r#""9""#,
        r#""9a""#,
        "-1e3",
        "-10",
        "-9.5",
        "-9",
        "-0.01",
        "0",
        "0.001",
        "0.0099",
        "0.01",
        "0.5",
        "1",
        "1.5",
        "9",
        "10",
        "10.01",
        "123456789012345678901234567890",
        "false",
        "true",
        "[null]",
        "[1]",
        "[[]]",
        "[{}]",
        "[1, 2]",
        "[1, 10]",
        "{}",
        r#"{"a": 1}"#,
        r#"{"a": 10}"#,
        r#"{"aa": 1}"#,
        r#"{"b": 1}"#,
        r#"{"a": 0, "b": 0}"#,
    ];
    for pair in ordered.windows(2) {
        assert!(key(pair[0]) < key(pair[1]), "{} comes before {}", pair[0], pair[1]);
    }
}

#[test]
fn equal_values_have_one_key() {
    for (left, right) in
        [("1", "1.0"), ("-0", "0.00"), ("1e2", "100"), ("[1.50]", "[1.5]"), (r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":1}"#)]
    {
        assert_eq!(key(left), key(right), "{left} is {right}");
    }
}
