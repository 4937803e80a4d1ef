//! Arrays of JSON as PostgreSQL writes arrays.

use super::Json;

/// An array of JSON as the text that PostgreSQL reads as an array; `None` for what is none. What is nested is nested there too;
/// objects are texts. `of_json`: the elements are JSON themselves, whatever they are.
#[must_use]
pub fn literal(text: &str, of_json: bool) -> Option<String> {
    match Json::parse(text) {
        Ok(Json::Array(items)) => {
            let mut out = String::with_capacity(text.len() + 16);
            write_all(&mut out, &items, of_json);
            Some(out)
        }
        _ => None,
    }
}

fn write_all(out: &mut String, items: &[Json], of_json: bool) {
    out.push('{');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        match item {
            Json::Null => out.push_str("NULL"),
            item if of_json => write_text(out, &item.to_string()),
            Json::Array(items) => write_all(out, items, of_json),
            Json::Text(text) => write_text(out, text),
            Json::Bool(_) | Json::Number(_) => out.push_str(&item.to_string()),
            Json::Object(_) => write_text(out, &item.to_string()),
        }
    }
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn arrays_as_postgresql_writes_them() {
        let check = |text, expected: Option<&str>| assert_eq!(literal(text, false).as_deref(), expected, "{text}");
        check("[1, -2.5, null, true]", Some("{1,-2.5,NULL,true}"));
        check("[]", Some("{}"));
        check(
            r#"["a", "", "b,c", "say \"no\"\\", "null", "\n"]"#,
            Some("{\"a\",\"\",\"b,c\",\"say \\\"no\\\"\\\\\",\"null\",\"\n\"}"),
        );
        check("[[1, 2], [3, 4]]", Some("{{1,2},{3,4}}"));
        check(r#"[{"a": 1}]"#, Some(r#"{"{\"a\": 1}"}"#));
        for other in ["1", "{}", "\"[1]\"", "[1", ""] {
            check(other, None);
        }
        assert_eq!(literal(r#"[1, "a", null, [2]]"#, true).as_deref(), Some(r#"{"1","\"a\"",NULL,"[2]"}"#));
    }
}
