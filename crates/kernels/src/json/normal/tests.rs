use std::borrow::Cow;

use proptest::prelude::*;

use super::super::Json;
use super::normal;

/// What a tree makes of it.
fn of_tree(text: &str) -> Option<String> {
    Json::parse(text).ok().map(|json| json.to_string())
}

#[test]
fn members_are_sorted_and_of_equal_keys_the_last_stays() {
    for (text, expected) in [
        (r#"{"b":1,"a":2}"#, r#"{"a": 2, "b": 1}"#),
        (r#"{"a":2,"b":1}"#, r#"{"a": 2, "b": 1}"#),
        (r#"{"v":1,"v":2}"#, r#"{"v": 2}"#),
        (
            r#"{"long":1,"b":{"z":[1,{"y":0,"x":"\n"}],"a":null},"long":true}"#,
            r#"{"b": {"a": null, "z": [1, {"x": "\n", "y": 0}]}, "long": true}"#,
        ),
        (" [ ] ", "[]"),
        ("1.50", "1.50"),
    ] {
        assert_eq!(normal(text).as_deref(), Some(expected), "{text}");
        assert_eq!(of_tree(text).as_deref(), Some(expected), "{text}");
    }
    assert!(matches!(normal(r#"{"a": 2, "b": [1, "x"]}"#), Some(Cow::Borrowed(_))));
    assert!(matches!(normal(r#"{"a":2}"#), Some(Cow::Owned(_))));
}

#[test]
fn what_is_json_is_what_the_functions_read() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let fixed = [
        "",
        " ",
        "1",
        "-0",
        "01",
        "1.",
        ".5",
        "1e5",
        "1E+5",
        "1e1000",
        "1e1001",
        "-1.5e-2000",
        "{\"a\": 1e99999}",
        "1e0005",
        "[\"1e5000\"]",
        "NaN",
        "Infinity",
        "-Infinity",
        "null",
        "nul",
        "nullx",
        "true false",
        "[1,]",
        "[,1]",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\\n\":1,\"bbb\":2}",
        "\"",
        "\"\t\"",
        "\"\\x\"",
        "\"\\/\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\\\\u0000\"",
        "\"ä\"",
        "{} x",
        "\u{feff}1",
        "{\"a\":1,\"a\":2}",
        "'a'",
        "/**/1",
        "12345678901234567890123456789012345678901234567890",
        "\"\u{7f}\"",
    ];
    let others =
        [deep(64), deep(100), deep(300), deep(501), deep(502), deep(100_000), format!("1{}", "0".repeat(5_000))];
    for text in fixed.iter().map(|text| (*text).to_owned()).chain(others) {
        let shown: String = text.chars().take(60).collect();
        assert_eq!(normal(&text).map(Cow::into_owned), of_tree(&text), "{shown}");
    }
    // Every way to break one.
    let sound = r#"{"a": [1, -2.5e3, "x\n\u00e4"], "b": {"c": null, "d": true}}"#;
    for at in 0..sound.len() {
        for letter in ["", "\"", "\\", "}", ",", "0", "e", "\u{1}"] {
            let broken = format!("{}{letter}{}", &sound[..at], &sound[at + 1..]);
            assert_eq!(normal(&broken).map(Cow::into_owned), of_tree(&broken), "{broken}");
        }
    }
}

/// Texts of JSON with any blanks and any order of keys.
fn texts() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "1",
        "-0.50",
        "null",
        "true",
        "\"x\"",
        "\"\\n\\\"\"",
        "\"ä\"",
        "\"\\u00e4\"",
        "[]",
        "{}",
        "2e3",
    ]);
    let blank = prop::sample::select(vec!["", " ", "\n"]);
    plain.prop_map(str::to_owned).prop_recursive(4, 40, 5, move |inner| {
        let key = prop::sample::select(vec!["a", "b", "aa", "ab", "ä", "c", ""]);
        let member = (key, blank.clone(), inner.clone());
        let member = member.prop_map(|(key, blank, value)| format!("{blank}\"{key}\":{blank}{value}{blank}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn the_form_is_that_of_a_tree(text in texts()) {
        prop_assert_eq!(normal(&text).map(Cow::into_owned), of_tree(&text));
    }
}
