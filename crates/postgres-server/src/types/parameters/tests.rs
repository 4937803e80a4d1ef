use super::*;

fn read(oid: u32, bytes: &'static [u8]) -> (Option<String>, Option<String>) {
    let parameter = parameter(oid, Format::Binary, Some(Bytes::from_static(bytes))).unwrap();
    (parameter.type_name, parameter.text)
}

#[test]
fn values_in_binary_become_texts() {
    for (oid, bytes, name, text) in [
        (16, &b"\x01"[..], "boolean", "true"),
        (21, b"\xff\xfe", "smallint", "-2"),
        (23, b"\0\0\0\x05", "integer", "5"),
        (20, b"\0\0\0\0\0\0\0\x05", "bigint", "5"),
        (26, b"\0\0\0\x05", "bigint", "5"),
        (701, b"\x3f\xf8\0\0\0\0\0\0", "double precision", "1.5"),
        (1700, b"\0\x02\0\0\x40\0\0\x02\0\x0c\x13\x88", "numeric", "-12.50"),
        (17, b"\0\xff", "bytea", "\\x00ff"),
        (1082, b"\0\0\0\0", "date", "2000-01-01"),
        (1184, b"\0\0\0\0\0\0\0\0", "timestamptz", "2000-01-01 00:00:00+00"),
        (1186, b"\0\0\0\0\0\x0f\x42\x40\0\0\0\x02\0\0\0\x01", "interval", "1 mon 2 days 00:00:01"),
        (3802, b"\x01{}", "jsonb", "{}"),
        (25, b"it's", "text", "it's"),
    ] {
        assert_eq!(read(oid, bytes), (Some(name.to_owned()), Some(text.to_owned())), "{oid}");
    }
}

#[test]
fn arrays_in_binary_become_texts() {
    let one = b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff";
    assert_eq!(read(1007, one), (Some("integer[]".into()), Some("{7,NULL}".into())));
    assert_eq!(read(1009, b"\0\0\0\0\0\0\0\0\0\0\0\x19").1.as_deref(), Some("{}"));
}

#[test]
fn what_is_cut_or_endless_is_refused() {
    for (oid, bytes) in [
        (23, &b"\0\0"[..]),
        (23, b"\0\0\0\0\0"),
        (1007, b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01"),
        (2950, b"\0"),
        (3802, b"\x02{}"),
    ] {
        assert!(parameter(oid, Format::Binary, Some(Bytes::from_static(bytes))).is_err(), "{oid} {bytes:?}");
    }
}

#[test]
fn a_text_of_no_type_stays_so() {
    let unknown = parameter(0, Format::Text, Some(Bytes::from_static(b"1"))).unwrap();
    assert_eq!(unknown, Parameter { type_name: None, text: Some("1".into()) });
    let truth = parameter(16, Format::Text, Some(Bytes::from_static(b"t"))).unwrap();
    assert_eq!(truth.text.as_deref(), Some("true"));
    assert_eq!(parameter(23, Format::Text, None).unwrap().text, None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_a_value_or_an_error(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        array in proptest::prelude::any::<bool>(),
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
    ) {
        let (_, one, many, ..) = super::super::BASES[at.index(super::super::BASES.len())];
        let oid = if array { many } else { one };
        let _ = parameter(oid, Format::Binary, Some(Bytes::from(bytes)));
    }
}
