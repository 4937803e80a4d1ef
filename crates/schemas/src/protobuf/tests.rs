use std::collections::HashMap;

use super::{Decoder, ProtobufFile, differences};

fn file(messages: &str) -> ProtobufFile {
    ProtobufFile::new(&format!("syntax = \"proto3\";\npackage p;\n{messages}"), HashMap::new()).unwrap()
}

/// Whether the first reads what the second wrote, by the rule that speaks against it.
fn check(new: &str, old: &str, rule: Option<&str>) {
    let found = differences(&file(new), &file(old)).unwrap();
    let first = found.first().and_then(|difference| difference.split(' ').next());
    assert_eq!(first, rule, "{new} reads {old}: {found:?}");
}

#[test]
fn what_is_no_file_is_refused() {
    for text in
        ["", "message M {", "syntax = \"proto3\"; message M { Nobody n = 1; }", "import \"none.proto\";", "aGVsbG8="]
    {
        let refused = ProtobufFile::new(text, HashMap::new());
        // An empty file is a file.
        assert_eq!(refused.is_err(), !text.is_empty(), "{text}");
    }
}

#[test]
fn fields_come_go_and_change() {
    let one = "message M { string a = 1; }";
    check("message M { string a = 1; int32 b = 2; }", one, None);
    check(one, "message M { string a = 1; int32 b = 2; }", None);
    check("message M { bytes a = 1; }", one, None);
    check("message M { int32 a = 1; }", one, Some("FIELD_SCALAR_KIND_CHANGED"));
    check("message M { int64 a = 1; }", "message M { int32 a = 1; }", None);
    check("message M { sint32 a = 1; }", "message M { int32 a = 1; }", Some("FIELD_SCALAR_KIND_CHANGED"));
    check("message M { repeated string a = 1; }", one, None);
    check("message M { repeated int32 a = 1; }", "message M { int32 a = 1; }", Some("FIELD_NUMERIC_LABEL_CHANGED"));
    check("message N { string a = 1; }", one, Some("MESSAGE_REMOVED"));
    check("message M { string a = 1; } message N {}", one, None);
    let inner = |kind: &str| format!("message M {{ N n = 1; }} message N {{ {kind} a = 1; }}");
    check(&inner("string"), &inner("int32"), Some("FIELD_SCALAR_KIND_CHANGED"));
    let of = "message A {} message B {} message M {";
    check(&format!("{of} B x = 1; }}"), &format!("{of} A x = 1; }}"), Some("FIELD_NAMED_TYPE_CHANGED"));
    check(&format!("{of} string x = 1; }}"), &format!("{of} A x = 1; }}"), Some("FIELD_KIND_CHANGED"));
}

#[test]
fn oneofs() {
    let loose = "message M { string a = 1; string b = 2; }";
    check("message M { oneof o { string a = 1; } string b = 2; }", loose, None);
    check("message M { oneof o { string a = 1; string b = 2; } }", loose, Some("MULTIPLE_FIELDS_MOVED_TO_ONEOF"));
    let there = "message M { oneof o { string a = 1; } string b = 2; }";
    check("message M { oneof o { string a = 1; string b = 2; } }", there, Some("FIELD_MOVED_TO_EXISTING_ONEOF"));
    check("message M { string b = 2; }", there, Some("ONEOF_FIELD_REMOVED"));
    check("message M { oneof o { string a = 1; string c = 3; } string b = 2; }", there, None);
}

#[test]
fn the_same_however_it_is_written() {
    let text = file("message M { string a_b = 1; }");
    let spaced = file("// What it is.\nmessage M {\n  string a_b = 1;\n}\n");
    assert_eq!(text.identity(), spaced.identity());
    let serialized = ProtobufFile::new(&text.serialized(), HashMap::new()).unwrap();
    assert_eq!(text.identity(), serialized.identity());
    assert_ne!(text.identity(), file("message M { string a_c = 1; }").identity());
}

fn check_decodes(file: &ProtobufFile, bytes: &[u8], json: &str) {
    assert_eq!(Decoder::new(file).unwrap().decode(bytes).unwrap(), json);
}

#[test]
fn values_become_json() {
    let two = file(
        "message M { string user_id = 1; int64 count = 2; optional int32 maybe = 3; message N { bool yes = 1; } } message O { M m = 1; }",
    );
    check_decodes(&two, b"\x00\x0a\x01x\x10\x05", r#"{"user_id":"x","count":5}"#);
    check_decodes(&two, b"\x00", r#"{"user_id":"","count":0}"#);
    // The way to the message: one place, and two.
    check_decodes(&two, b"\x02\x02\x0a\x02\x10\x01", r#"{"m":{"user_id":"","count":1}}"#);
    check_decodes(&two, b"\x04\x00\x00\x08\x01", r#"{"yes":true}"#);
    let decoder = Decoder::new(&two).unwrap();
    for bytes in [&b""[..], b"\x02", b"\x02\x08", b"\x04\x00\x06", b"\x00\x0a\x05x", b"\x01", b"\xff\xff\xff\x7f"] {
        decoder.decode(bytes).unwrap_err();
    }
}

#[test]
fn imports_are_read() {
    let imports =
        HashMap::from([("other.proto".to_owned(), "syntax = \"proto3\"; message Other { string x = 1; }".to_owned())]);
    let text = "syntax = \"proto3\"; import \"other.proto\"; import \"google/protobuf/timestamp.proto\"; \
                message M { Other o = 1; google.protobuf.Timestamp at = 2; }";
    let file = ProtobufFile::new(text, imports).unwrap();
    check_decodes(&file, b"\x00\x12\x02\x08\x01", r#"{"at":"1970-01-01T00:00:01Z"}"#);
}

#[test]
fn maps_are_in_order_and_enums_by_name() {
    let of = file(
        "enum E { A = 0; B = 1; } message M { map<string, int32> m = 1; repeated E e = 2; double d = 3; bytes b = 4; \
         repeated M inner = 5; oneof o { string s = 6; } float f = 7; uint64 u = 8; }",
    );
    let bytes = b"\x00\x0a\x05\x0a\x01z\x10\x01\x0a\x05\x0a\x01a\x10\x02\x12\x02\x01\x07\x22\x01\xff\x32\x00\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let json =
        r#"{"m":{"a":2,"z":1},"e":["B",7],"d":0.0,"b":"/w==","inner":[],"s":"","f":0.0,"u":18446744073709551615}"#;
    check_decodes(&of, bytes, json);
}
