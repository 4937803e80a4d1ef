use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};

use super::parse;

fn list(item: DataType) -> DataType {
    DataType::List(Field::new("element", item, true).into())
}

fn record(fields: &[(&str, DataType)]) -> DataType {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    DataType::Struct(fields.iter().map(field).collect::<Fields>())
}

fn map(key: DataType, value: DataType) -> DataType {
    let pair = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Field::new("key_value", DataType::Struct(pair.into()), false).into(), false)
}

/// The value in Arrow's own words.
fn check(text: &str, data_type: &DataType, expected: &str) {
    let value = parse(text, data_type).unwrap_or_else(|| panic!("{text:?} is no {data_type}"));
    let array = value.to_array().unwrap();
    assert_eq!(array.data_type(), data_type);
    let shown = arrow::util::display::array_value_to_string(&array, 0).unwrap();
    assert_eq!(shown, expected, "{text:?}");
}

fn check_none(text: &str, data_type: &DataType) {
    assert!(parse(text, data_type).is_none(), "{text:?} as {data_type}");
}

#[test]
fn scalars() {
    check("-9223372036854775808", &DataType::Int64, "-9223372036854775808");
    check("18446744073709551615", &DataType::UInt64, "18446744073709551615");
    check("nan", &DataType::Float64, "NaN");
    check("-inf", &DataType::Float64, "-inf");
    check("Infinity", &DataType::Float32, "inf");
    check("1e300", &DataType::Float64, "1e300");
    check("true", &DataType::Boolean, "true");
    check("123456789012345678901234567890.12345", &DataType::Decimal128(38, 5), "123456789012345678901234567890.12345");
    check("-0.05", &DataType::Decimal128(10, 2), "-0.05");
    check("123e4567-e89b-12d3-a456-426614174000", &DataType::FixedSizeBinary(16), "123e4567e89b12d3a456426614174000");
    check(r"\xAA\x00A\x5Cx", &DataType::BinaryView, "aa00415c78");
    check_none("one", &DataType::Int32);
    check_none("300", &DataType::Int8);
}

#[test]
fn times() {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    check("2024-02-29", &DataType::Date32, "2024-02-29");
    check("0044-03-15 (BC)", &DataType::Date32, "-0043-03-15");
    check("1969-12-31", &DataType::Date32, "1969-12-31");
    check("10:11:12.123456", &DataType::Time64(TimeUnit::Microsecond), "10:11:12.123456");
    check("2024-01-02 03:04:05.678", &micros, "2024-01-02T03:04:05.678");
    check("1969-12-31 23:59:59.5", &micros, "1969-12-31T23:59:59.500");
    check("2024-01-02 03:04:05.5+00", &zoned, "2024-01-02T03:04:05.500Z");
    check("2024-01-02 03:04:05+05:30", &zoned, "2024-01-01T21:34:05Z");
    check("2024-01-02 03:04:05-02", &zoned, "2024-01-02T05:04:05Z");
    check(
        "2024-01-02 03:04:05.678901234",
        &DataType::Timestamp(TimeUnit::Nanosecond, None),
        "2024-01-02T03:04:05.678901234",
    );
    check("2024-01-02 03:04:05", &DataType::Timestamp(TimeUnit::Second, None), "2024-01-02T03:04:05");
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    check("1 month 2 days 03:04:05", &interval, "1 mons 2 days 3 hours 4 mins 5.000000000 secs");
    check("1 year 2 mons -04:00:00", &interval, "14 mons -4 hours");
    check("1 months 0 days 0 microseconds", &interval, "1 mons");
    check_none("2024-13-01", &DataType::Date32);
    check_none("", &micros);
    assert_eq!(parse("infinity", &DataType::Date32), Some(datafusion::common::ScalarValue::Date32(Some(i32::MAX))));
}

#[test]
fn lists() {
    let texts = list(DataType::Utf8View);
    check("[1, NULL, 3]", &list(DataType::Int32), "[1, , 3]");
    check("[]", &list(DataType::Int32), "[]");
    check(r#"[a, 'b,c', NULL, 'it\'s', '"q"', '']"#, &texts, r#"[a, b,c, , it's, "q", ]"#);
    check(r"[a\b, '\\\'', ü€😀, 'NULL']", &texts, r"[a\b, \', ü€😀, NULL]");
    check("[[a], [], NULL]", &list(list(DataType::Utf8View)), "[[a], [], ]");
    check(r"[\xAA\x00A, '\\x27q']", &list(DataType::BinaryView), "[aa0041, 2771]");
    check_none("[1, 2", &list(DataType::Int32));
    check_none("[1, 2] x", &list(DataType::Int32));
}

#[test]
fn structs_and_maps() {
    let pair = record(&[("x", DataType::Int32), ("y", DataType::Utf8View)]);
    check(r#"{'x': 1, 'y': 'z, "w" it''s'}"#, &pair, r#"{x: 1, y: z, "w" it's}"#);
    check(r"{'x': NULL, 'y': 'a\b'}", &pair, r"{x: , y: a\b}");
    check(r"{'x': 1, 'y': '\'}", &pair, r"{x: 1, y: \}");
    check(r"[{'x': 1, 'y': 'it\'s'}]", &list(pair.clone()), "[{x: 1, y: it's}]");
    check("[{'x': 1, 'y': plain}, NULL]", &list(pair), "[{x: 1, y: plain}, ]");
    let text_map = map(DataType::Utf8View, DataType::Int32);
    check("{k=1, k2=NULL}", &text_map, "{k: 1, k2: }");
    check(r"{'it\'s'=1, 'k=v'=2}", &text_map, "{it's: 1, k=v: 2}");
    check("{}", &text_map, "{}");
    let dated = record(&[("d", DataType::Date32), ("f", DataType::Float64), ("b", DataType::Boolean)]);
    check(
        "{'d': CAST('2024-01-01' AS DATE), 'f': CAST('nan' AS VARCHAR), 'b': true}",
        &dated,
        "{d: 2024-01-01, f: NaN, b: true}",
    );
    let deep = record(&[("a", list(record(&[("b", list(DataType::Int32)), ("c", map(DataType::Utf8View, dated))])))]);
    check(
        "{'a': [{'b': [1], 'c': {k={'d': 2024-01-01, 'f': 1.5, 'b': false}}}]}",
        &deep,
        "{a: [{b: [1], c: {k: {d: 2024-01-01, f: 1.5, b: false}}}]}",
    );
    check_none("{'z': 1}", &record(&[("x", DataType::Int32)]));
}
