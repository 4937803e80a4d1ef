use super::*;

#[test]
fn changes_in_any_form() {
    let check = |value: Value, expected: &[&str]| assert_eq!(changes(value), expected);
    check(Value::Null, &[]);
    check(Value::from(""), &[]);
    check(serde_json::json!(["created_table", "inserted_into_table"]), &["created_table", "inserted_into_table"]);
    check(Value::from("[\"created_table\"]"), &["created_table"]);
    check(Value::from("created_table, inserted_into_table"), &["created_table", "inserted_into_table"]);
}
