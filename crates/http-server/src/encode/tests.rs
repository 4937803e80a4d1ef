use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use ::arrow::datatypes::{DataType, Field, Int32Type, Schema};
use ::arrow::ipc::reader::StreamReader;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn encode(mut encoder: impl Encoder, batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = encoder.start().unwrap();
    for batch in batches {
        bytes.append(&mut encoder.batch(batch).unwrap());
    }
    bytes.append(&mut encoder.finish().unwrap());
    bytes
}

fn text(encoder: impl Encoder, batches: &[RecordBatch]) -> String {
    String::from_utf8(encode(encoder, batches)).unwrap()
}

/// One row of values and one of nulls.
fn values() -> RecordBatch {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let field = Arc::new(Field::new("a", DataType::Utf8, true));
    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x\"y"), None]));
    let structs = StructArray::new(vec![field].into(), vec![inner], Some(vec![true, false].into()));
    let decimals = Decimal128Array::from(vec![Some(123_456), None]).with_precision_and_scale(20, 2).unwrap();
    let moments = TimestampMicrosecondArray::from(vec![Some(1_767_322_800_500_000), None]);
    batch(vec![
        ("int", Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), None]))),
        ("float", Arc::new(Float64Array::from(vec![Some(f64::NAN), None]))),
        ("decimal", Arc::new(decimals)),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("text", Arc::new(StringViewArray::from(vec![Some("a,\"b\"\nc"), None]))),
        ("bytes", Arc::new(BinaryViewArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(20_455), None]))),
        ("at", Arc::new(moments.clone())),
        ("at_tz", Arc::new(moments.with_timezone("+00:00"))),
        ("list", Arc::new(lists)),
        ("struct", Arc::new(structs)),
    ])
}

#[test]
fn json_values() {
    insta::assert_snapshot!(text(ndjson::Ndjson::new(), &[values()]), @r#"
    {"int":9007199254740993,"float":"NaN","decimal":"1234.56","bool":true,"text":"a,\"b\"\nc","bytes":"00ff","date":"2026-01-02","at":"2026-01-02T03:00:00.500","at_tz":"2026-01-02T03:00:00.500Z","list":[1,null],"struct":{"a":"x\"y"}}
    {"int":null,"float":null,"decimal":null,"bool":null,"text":null,"bytes":null,"date":null,"at":null,"at_tz":null,"list":null,"struct":null}
    "#);
}

#[test]
fn csv_values() {
    let batch = values();
    insta::assert_snapshot!(text(csv::Csv::new(batch.schema()), &[batch]), @r#"
    int,float,decimal,bool,text,bytes,date,at,at_tz,list,struct
    9007199254740993,NaN,1234.56,true,"a,""b""
    c",00ff,2026-01-02,2026-01-02T03:00:00.500,2026-01-02T03:00:00.500Z,"[1,null]","{""a"":""x\""y""}"
    ,,,,,,,,,,
    "#);
}

#[test]
fn several_batches_and_none() {
    let numbers = |range: std::ops::Range<i32>| batch(vec![("n", Arc::new(Int32Array::from_iter_values(range)))]);
    let schema = numbers(0..1).schema();
    let check = |batches: &[RecordBatch], json: &str, lines: &str, csv: &str| {
        assert_eq!(text(json::Json::new(), batches), json);
        assert_eq!(text(ndjson::Ndjson::new(), batches), lines);
        assert_eq!(text(csv::Csv::new(Arc::clone(&schema)), batches), csv);
    };
    check(&[], "[]", "", "n\n");
    check(&[numbers(0..0)], "[]", "", "n\n");
    check(
        &[numbers(1..2), numbers(2..4)],
        r#"[{"n":1},{"n":2},{"n":3}]"#,
        "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n",
        "n\n1\n2\n3\n",
    );
}

#[test]
fn an_answer_without_columns() {
    let schema = Arc::new(Schema::empty());
    assert_eq!(text(json::Json::new(), &[]), "[]");
    assert_eq!(text(csv::Csv::new(Arc::clone(&schema)), &[]), "");
    let bytes = encode(arrow::Arrow::new(&schema), &[]);
    let reader = StreamReader::try_new(&bytes[..], None).unwrap();
    assert_eq!(reader.schema().fields().len(), 0);
    assert_eq!(reader.count(), 0);
}

#[test]
fn arrow_goes_out_in_plain_types() {
    let batch = values();
    let bytes = encode(arrow::Arrow::new(&batch.schema()), &[batch.clone(), batch.clone()]);
    let reader = StreamReader::try_new(&bytes[..], None).unwrap();
    let plain = |name: &str| reader.schema().field_with_name(name).unwrap().data_type().clone();
    assert_eq!(plain("text"), DataType::Utf8);
    assert_eq!(plain("bytes"), DataType::Binary);
    assert_eq!(plain("decimal"), DataType::Decimal128(20, 2));
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 2);
    assert_eq!(text(ndjson::Ndjson::new(), &batches[..1]), text(ndjson::Ndjson::new(), &[batch]));
}

#[test]
fn arrow_knows_every_type_of_the_engine() {
    use ::arrow::array::new_null_array;
    let item = |data_type: DataType| Arc::new(Field::new("item", data_type, true));
    let check = |data_type: DataType, expected: DataType| {
        let batch = batch(vec![("c", new_null_array(&data_type, 3))]);
        let bytes = encode(arrow::Arrow::new(&batch.schema()), &[batch]);
        let read = StreamReader::try_new(&bytes[..], None).unwrap().next().unwrap().unwrap();
        assert_eq!(*read.column(0).data_type(), expected, "{data_type}");
        assert_eq!(read.column(0).logical_null_count(), 3, "{data_type}");
    };
    let fields = |data_type: DataType| vec![Field::new("a", data_type, true)].into();
    check(DataType::Null, DataType::Null);
    check(DataType::Utf8View, DataType::Utf8);
    check(DataType::Decimal32(5, 1), DataType::Decimal128(5, 1));
    check(DataType::Decimal64(15, 1), DataType::Decimal128(15, 1));
    check(DataType::List(item(DataType::Utf8View)), DataType::List(item(DataType::Utf8)));
    check(DataType::LargeList(item(DataType::BinaryView)), DataType::LargeList(item(DataType::Binary)));
    check(DataType::ListView(item(DataType::Int32)), DataType::List(item(DataType::Int32)));
    check(DataType::Struct(fields(DataType::Utf8View)), DataType::Struct(fields(DataType::Utf8)));
    check(
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View)),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    );
    let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    let values = Arc::new(Field::new("values", DataType::Utf8, true));
    check(DataType::RunEndEncoded(ends, values), DataType::Utf8);
    let entries = |value: DataType| {
        let pair = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", value, true)];
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
    };
    check(entries(DataType::Utf8View), entries(DataType::Utf8));
}
