use serde_json::{Value, json};

use super::{AvroSchema, Decoder, Parser, differences, normalize, resolve};

fn parse(json: &Value) -> Result<AvroSchema, String> {
    let mut parser = Parser::default();
    let root = parser.add(json)?;
    Ok(parser.finish(root))
}

fn record(fields: Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}

/// Whether the first reads what the second wrote, by the rule that speaks against it.
fn check_reads(reader: &Value, writer: &Value, rule: Option<&str>) {
    let found = differences(&parse(reader).unwrap(), &parse(writer).unwrap()).unwrap();
    let first = found.first().and_then(|difference| difference.split(' ').next());
    assert_eq!(first, rule, "{reader} reads {writer}: {found:?}");
}

#[test]
fn what_is_no_schema_is_refused() {
    let all = [
        (json!("strin"), "there is no type"),
        (json!({"type": "record", "name": "R"}), "no \"fields\""),
        (json!({"type": "record", "fields": []}), "no \"name\""),
        (record(json!([{"name": "a", "type": "int"}, {"name": "a", "type": "int"}])), "twice"),
        (record(json!([{"name": "a-b", "type": "int"}])), "cannot have this name"),
        (record(json!([{"name": "a", "type": "int", "default": "x"}])), "is no value"),
        (record(json!([{"name": "a", "type": ["null", "null"]}])), "twice"),
        (json!(["null", ["int"]]), "cannot contain a union"),
        (json!({"type": "enum", "name": "E", "symbols": ["A", "A"]}), "or not twice"),
        (json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}), "no symbol"),
        (json!({"type": "fixed", "name": "F"}), "no \"size\""),
        (json!({"type": "array"}), "no \"items\""),
        (json!(7), "a type is"),
    ];
    for (schema, why) in all {
        let error = parse(&schema).unwrap_err();
        assert!(error.contains(why), "{schema}: {error}");
    }
}

#[test]
fn what_is_read_as_what() {
    for (reader, writer) in [
        ("long", "int"),
        ("float", "int"),
        ("float", "long"),
        ("double", "float"),
        ("double", "int"),
        ("string", "bytes"),
        ("bytes", "string"),
    ] {
        check_reads(&json!(reader), &json!(writer), None);
    }
    for (reader, writer) in [("int", "long"), ("float", "double"), ("string", "int"), ("boolean", "int")] {
        check_reads(&json!(reader), &json!(writer), Some("TYPE_MISMATCH"));
    }
    check_reads(&json!(["null", "long"]), &json!("int"), None);
    check_reads(&json!(["null", "string"]), &json!("int"), Some("MISSING_UNION_BRANCH"));
    check_reads(&json!("int"), &json!(["null", "int"]), Some("TYPE_MISMATCH"));
    check_reads(&json!("int"), &json!(["int"]), None);
    let symbols = |symbols: Value| json!({"type": "enum", "name": "E", "symbols": symbols});
    check_reads(&symbols(json!(["A", "B"])), &symbols(json!(["A"])), None);
    check_reads(&symbols(json!(["A"])), &symbols(json!(["A", "B"])), Some("MISSING_ENUM_SYMBOLS"));
    let with_default = json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"});
    check_reads(&with_default, &symbols(json!(["A", "B"])), None);
    let fixed = |size: usize| json!({"type": "fixed", "name": "F", "size": size});
    check_reads(&fixed(4), &fixed(8), Some("FIXED_SIZE_MISMATCH"));
    check_reads(&json!({"type": "array", "items": "long"}), &json!({"type": "array", "items": "int"}), None);
}

#[test]
fn fields_come_and_go() {
    let one = record(json!([{"name": "a", "type": "int"}]));
    let with_default =
        record(json!([{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "int"], "default": null}]));
    let without = record(json!([{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]));
    let renamed = record(json!([{"name": "c", "aliases": ["a"], "type": "int"}]));
    check_reads(&with_default, &one, None);
    check_reads(&without, &one, Some("READER_FIELD_MISSING_DEFAULT_VALUE"));
    check_reads(&one, &without, None);
    check_reads(&renamed, &one, None);
    check_reads(&json!({"type": "record", "name": "S", "fields": []}), &one, Some("NAME_MISMATCH"));
    check_reads(&json!({"type": "record", "name": "S", "aliases": ["R"], "fields": []}), &one, None);
}

#[test]
fn what_contains_itself_is_compared_to_its_end() {
    let list = |of: &str| record(json!([{"name": "value", "type": of}, {"name": "next", "type": ["null", "R"]}]));
    check_reads(&list("long"), &list("int"), None);
    check_reads(&list("int"), &list("long"), Some("TYPE_MISMATCH"));
}

#[test]
fn chains_of_types_do_not_run_away() {
    let mut branches = vec![json!({"type": "record", "name": "A0", "fields": []})];
    for number in 1..5000 {
        let name = format!("A{number}");
        let of = format!("A{}", number - 1);
        branches.push(json!({"type": "record", "name": name, "fields": [{"name": "f", "type": of}]}));
    }
    branches.reverse();
    // Types are named before they are used.
    branches.reverse();
    branches.push(json!({"type": "array", "items": "A4999"}));
    let schema = parse(&Value::Array(branches)).unwrap();
    let error = differences(&schema, &schema).unwrap_err();
    assert!(error.contains("too large"), "{error}");
}

fn check_decodes(schema: &Value, bytes: &[u8], json: &str) {
    assert_eq!(Decoder::new(parse(schema).unwrap()).decode(bytes).unwrap(), json, "{schema}");
}

#[test]
fn values_become_json() {
    check_decodes(&json!("int"), &[1], "-1");
    check_decodes(&json!("long"), &[0x80, 0x01], "64");
    check_decodes(&json!("string"), b"\x06a\"b", r#""a\"b""#);
    check_decodes(&json!("bytes"), b"\x04\x00\xff", r#""AP8=""#);
    check_decodes(&json!("boolean"), &[1], "true");
    check_decodes(&json!("double"), &1.5f64.to_le_bytes(), "1.5");
    check_decodes(&json!("float"), &0.1f32.to_le_bytes(), "0.1");
    check_decodes(&json!("double"), &f64::NAN.to_le_bytes(), r#""NaN""#);
    check_decodes(&json!(["null", "string"]), b"\x02\x02x", r#""x""#);
    check_decodes(&json!(["null", "string"]), &[0], "null");
    check_decodes(&json!({"type": "array", "items": "int"}), &[4, 2, 4, 0], "[1,2]");
    // A block with its length in bytes, and one more.
    check_decodes(&json!({"type": "array", "items": "int"}), &[3, 4, 2, 4, 2, 6, 0], "[1,2,3]");
    check_decodes(&json!({"type": "map", "values": "int"}), b"\x02\x02k\x0e\x00", r#"{"k":7}"#);
    check_decodes(&json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), &[2], r#""B""#);
    let fields = json!([{"name": "a", "type": "int"}, {"name": "b", "type": "null"}]);
    check_decodes(&record(fields), &[2], r#"{"a":1,"b":null}"#);
}

#[test]
fn meanings_become_texts() {
    let typed = |kind: &str, meaning: &str| json!({"type": kind, "logicalType": meaning});
    check_decodes(&typed("int", "date"), &[0x94, 0xb4, 0x02], "\"2023-12-31\"");
    check_decodes(&typed("int", "time-millis"), &[2], "\"00:00:00.001\"");
    check_decodes(&typed("long", "timestamp-millis"), &[1], "\"1969-12-31T23:59:59.999Z\"");
    check_decodes(&typed("long", "timestamp-micros"), &[2], "\"1970-01-01T00:00:00.000001Z\"");
    check_decodes(&typed("long", "local-timestamp-millis"), &[2], "\"1970-01-01T00:00:00.001\"");
    // A meaning that does not go with its type is none.
    check_decodes(&typed("int", "timestamp-millis"), &[2], "1");
    let decimal = |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": scale});
    check_decodes(&decimal(2), &[2, 0x7b], "1.23");
    check_decodes(&decimal(2), &[2, 0xff], "-0.01");
    check_decodes(&decimal(0), &[18, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "18446744073709551615");
    check_decodes(&decimal(0), &[16, 0x80, 0, 0, 0, 0, 0, 0, 0], "-9223372036854775808");
    let uuid = json!({"type": "fixed", "size": 16, "name": "U", "logicalType": "uuid"});
    check_decodes(&uuid, &[0x11; 16], "\"11111111-1111-1111-1111-111111111111\"");
    let duration = json!({"type": "fixed", "size": 12, "name": "D", "logicalType": "duration"});
    let bytes = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
    check_decodes(&duration, &bytes, r#"{"months":1,"days":2,"milliseconds":3}"#);
}

#[test]
fn what_is_no_value_is_an_error_within_bounds() {
    let refused = |schema: Value, bytes: &[u8]| Decoder::new(parse(&schema).unwrap()).decode(bytes).unwrap_err();
    for (schema, bytes) in [
        (json!("int"), &[][..]),
        (json!("int"), &[2, 2]),
        (json!("int"), &[0xff; 11]),
        (json!("string"), &[20, b'a']),
        (json!("string"), &[2, 0xff]),
        (json!("string"), &[1]),
        (json!("boolean"), &[7]),
        (json!(["null"]), &[4]),
        (json!({"type": "enum", "name": "E", "symbols": ["A"]}), &[2]),
        (json!({"type": "array", "items": "int"}), &[4, 2]),
    ] {
        refused(schema, bytes);
    }
    // A billion of nothing in a few bytes.
    let bomb = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let error = refused(json!({"type": "array", "items": "null"}), &bomb);
    assert!(format!("{error:?}").contains("TooLarge"), "{error:?}");
    let list = record(json!([{"name": "next", "type": ["null", "R"]}]));
    let error = refused(list, &[2; 100_000]);
    assert!(format!("{error:?}").contains("nested"), "{error:?}");
}

#[test]
fn normal_forms() {
    let written = json!({"type": "record", "name": "R", "namespace": "x", "fields": [
        {"name": "a", "type": {"type": "string"}}, {"name": "b", "type": ["null", "R"]}]});
    let normal = json!({"name": "x.R", "fields": [
        {"name": "a", "type": "string"}, {"name": "b", "type": ["null", "x.R"]}], "type": "record"});
    assert_eq!(normalize(&written), normal);
    let user = json!({"type": "record", "name": "y.U", "fields": [{"name": "r", "type": "x.R"}, {"name": "s", "type": "x.R"}]});
    let resolved = resolve(&user, &[written]).unwrap();
    assert_eq!(resolved["fields"][0]["type"], normal);
    assert_eq!(resolved["fields"][1]["type"], "x.R");
    parse(&resolved).unwrap();
}
