use super::*;

#[test]
fn literals_cannot_be_left() {
    let check = |text: &str, expected: &str| assert_eq!(literal(text), expected);
    check("sales", "'sales'");
    check("o'clock", "'o''clock'");
    check("'; DROP TABLE t; --", "'''; DROP TABLE t; --'");
    check("\\'", "'\\'''");
}

#[test]
fn table_names_are_quoted_where_needed() {
    let check = |schema: &str, table: &str, expected: &str| assert_eq!(table_name(schema, table), expected);
    check("public", "flights", "public.flights");
    check("public", "flights_2013", "public.flights_2013");
    check("public", "2013", "public.\"2013\"");
    check("Sales", "a.b", "\"Sales\".\"a.b\"");
    check("public", "a\"b", "public.\"a\"\"b\"");
    check("public", "größe", "public.\"größe\"");
}

#[test]
fn moments_and_truths() {
    #[derive(Deserialize)]
    struct Row {
        #[serde(deserialize_with = "moment")]
        at: Option<DateTime<Utc>>,
        #[serde(deserialize_with = "truth")]
        nullable: bool,
    }
    let check = |json: &str, at: Option<&str>, nullable: bool| {
        let row: Row = serde_json::from_str(json).unwrap();
        assert_eq!(row.at.map(|at| at.to_rfc3339()).as_deref(), at, "{json}");
        assert_eq!(row.nullable, nullable, "{json}");
    };
    check(r#"{"at":"2026-01-02T03:04:05Z","nullable":true}"#, Some("2026-01-02T03:04:05+00:00"), true);
    check(r#"{"at":"2026-01-02T03:04:05.5","nullable":"YES"}"#, Some("2026-01-02T03:04:05.500+00:00"), true);
    check(r#"{"at":"2026-01-02T04:04:05+01:00","nullable":"NO"}"#, Some("2026-01-02T03:04:05+00:00"), false);
    check(r#"{"at":null,"nullable":false}"#, None, false);
}
