use std::collections::HashMap;

use serde_json::{Value, json};

use super::{JsonSchema, differences};

fn schema(value: &Value) -> JsonSchema {
    JsonSchema::new(value.clone(), HashMap::new()).unwrap()
}

/// Whether the first takes what the second takes, by the rule that speaks against it.
fn check(new: Value, old: Value, rule: Option<&str>) {
    let found = differences(&schema(&new), &schema(&old)).unwrap();
    let first = found.first().and_then(|difference| difference.split(' ').next());
    assert_eq!(first, rule, "{new} takes {old}: {found:?}");
}

fn open(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn closed(properties: Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

#[test]
fn what_is_no_schema_is_refused() {
    for (text, why) in [
        (json!(7), "an object or a boolean"),
        (json!({"type": "strin"}), "one of the seven"),
        (json!({"properties": {"a": 7}}), "#/properties/a"),
        (json!({"properties": []}), "an object of schemas"),
        (json!({"required": "a"}), "a list of texts"),
        (json!({"minLength": -1}), "a count"),
        (json!({"anyOf": []}), "a list of schemas"),
        (json!({"$ref": "#/definitions/none"}), "is not there"),
        (json!({"$ref": "other.json"}), "is not there"),
    ] {
        let error = JsonSchema::new(text.clone(), HashMap::new()).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn types_and_bounds() {
    check(json!({"type": "number"}), json!({"type": "integer"}), None);
    check(json!({"type": "integer"}), json!({"type": "number"}), Some("TYPE_NARROWED"));
    check(json!({"type": "string"}), json!({"type": "integer"}), Some("TYPE_CHANGED"));
    check(json!({"type": ["string", "null"]}), json!({"type": "string"}), None);
    check(json!({"type": "string"}), json!({"type": ["string", "null"]}), Some("TYPE_CHANGED"));
    check(json!({}), json!({"type": "string"}), None);
    check(json!({"type": "string"}), json!({}), Some("TYPE_NARROWED"));
    check(json!({"type": "string", "maxLength": 5}), json!({"type": "string", "maxLength": 3}), None);
    check(
        json!({"type": "string", "maxLength": 3}),
        json!({"type": "string", "maxLength": 5}),
        Some("MAX_LENGTH_DECREASED"),
    );
    check(json!({"type": "string", "minLength": 3}), json!({"type": "string"}), Some("MIN_LENGTH_ADDED"));
    check(json!({"type": "string", "pattern": "a"}), json!({"type": "string"}), Some("PATTERN_ADDED"));
    check(json!({"type": "number", "maximum": 1}), json!({"type": "number", "maximum": 2}), Some("MAXIMUM_DECREASED"));
    check(json!({"multipleOf": 5}), json!({"multipleOf": 10}), None);
    check(json!({"multipleOf": 10}), json!({"multipleOf": 5}), Some("MULTIPLE_OF_CHANGED"));
    check(json!({"enum": ["a", "b"]}), json!({"enum": ["a"]}), None);
    check(json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), Some("ENUM_ARRAY_NARROWED"));
    check(json!({"enum": ["a"]}), json!({"type": "string"}), Some("ENUM_ARRAY_CHANGED"));
}

#[test]
fn properties_of_open_and_closed_objects() {
    let (a, ab) = (json!({"a": {"type": "string"}}), json!({"a": {"type": "string"}, "b": {"type": "string"}}));
    check(open(ab.clone()), open(a.clone()), Some("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"));
    check(open(a.clone()), open(ab.clone()), None);
    check(closed(ab.clone()), closed(a.clone()), None);
    check(closed(a.clone()), closed(ab.clone()), Some("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"));
    check(open(a.clone()), closed(ab.clone()), None);
    check(open(json!({"a": {"type": "string"}, "b": {}})), open(a.clone()), None);
    check(closed(a.clone()), open(a.clone()), Some("ADDITIONAL_PROPERTIES_REMOVED"));
    let mut required = closed(ab);
    required["required"] = json!(["b"]);
    check(required.clone(), closed(a.clone()), Some("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"));
    required["properties"]["b"]["default"] = json!("x");
    check(required, closed(a.clone()), None);
    let mut now_required = open(a.clone());
    now_required["required"] = json!(["a"]);
    check(now_required.clone(), open(a.clone()), Some("REQUIRED_ATTRIBUTE_ADDED"));
    check(open(a), now_required, None);
}

#[test]
fn choices() {
    let (text, number, flag) = (json!({"type": "string"}), json!({"type": "number"}), json!({"type": "boolean"}));
    check(json!({"oneOf": [text, number, flag]}), json!({"oneOf": [text, number]}), None);
    check(json!({"oneOf": [text, number]}), json!({"oneOf": [text, number, flag]}), Some("SUM_TYPE_NARROWED"));
    check(json!({"anyOf": [text, number]}), text.clone(), None);
    check(json!({"anyOf": [number, flag]}), text.clone(), Some("COMBINED_TYPE_CHANGED"));
    check(json!({"anyOf": [text]}), json!({"oneOf": [text]}), None);
    check(text.clone(), json!({"anyOf": [text, number]}), Some("TYPE_CHANGED"));
    check(json!({"allOf": [text]}), json!({"allOf": [text, {"maxLength": 3}]}), None);
    check(json!({"allOf": [text, {"maxLength": 3}]}), json!({"allOf": [text]}), Some("PRODUCT_TYPE_EXTENDED"));
    check(json!({"not": {"type": "string"}}), json!({"not": {"type": ["string", "null"]}}), None);
    check(json!({"not": {"type": ["string", "null"]}}), json!({"not": {"type": "string"}}), Some("NOT_TYPE_EXTENDED"));
}

#[test]
fn items() {
    check(json!({"items": {"type": "number"}}), json!({"items": {"type": "integer"}}), None);
    check(json!({"items": {"type": "integer"}}), json!({"items": {"type": "number"}}), Some("TYPE_NARROWED"));
    check(json!({"type": "array", "items": {"type": "integer"}}), json!({"type": "array"}), Some("SCHEMA_ADDED"));
    check(
        json!({"type": "array", "maxItems": 1}),
        json!({"type": "array", "maxItems": 2}),
        Some("MAX_ITEMS_DECREASED"),
    );
    check(json!({"type": "array", "uniqueItems": true}), json!({"type": "array"}), Some("UNIQUE_ITEMS_ADDED"));
}

#[test]
fn references_are_followed() {
    let tree = |of: &str| {
        json!({"$ref": "#/definitions/node", "definitions": {"node": {"type": "object", "properties": {
            "value": {"type": of}, "next": {"$ref": "#/definitions/node"}}}}})
    };
    check(tree("number"), tree("integer"), None);
    check(tree("integer"), tree("number"), Some("TYPE_NARROWED"));
    let documents = HashMap::from([("address.json".to_owned(), json!({"type": "string"}))]);
    let referring =
        json!({"$id": "http://example.com/user.json", "type": "object", "properties": {"a": {"$ref": "address.json"}}});
    JsonSchema::new(referring, documents).unwrap();
}

#[test]
fn anchors_are_found() {
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#x"}, "b/c": {"$ref": "#y"}},
        "definitions": {"one/two": {"$id": "#x", "type": "string"}, "three": {"$anchor": "y", "type": "integer"}}});
    check(schema.clone(), schema.clone(), None);
    let mut changed = schema.clone();
    changed["definitions"]["one/two"]["type"] = json!("integer");
    check(changed, schema, Some("TYPE_CHANGED"));
}

#[test]
fn comparisons_have_an_end() {
    let names = |prefix: &str, of: Value| {
        let one = |number: usize| (format!("{prefix}{number}"), of.clone());
        Value::Object((0..5000).map(one).collect())
    };
    let patterns = json!({"type": "object", "patternProperties": names("(a|b)*", json!({}))});
    let properties = json!({"type": "object", "properties": names("p", json!({"type": "string"}))});
    let list: Vec<usize> = (0..50_000).collect();
    for (new, old) in [(properties, patterns), (json!({"enum": list}), json!({"enum": list}))] {
        let error = differences(&schema(&new), &schema(&old)).unwrap_err();
        assert!(error.contains("too large"), "{error}");
    }
}
