use arrow::array::{ListBuilder, StringBuilder};
use arrow::datatypes::{Int64Type, Schema};

use super::*;

fn both(array: ArrayRef) -> (String, Vec<u8>) {
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(vec![Field::new("c", array.data_type().clone(), true)])),
        vec![array],
    )
    .unwrap();
    let columns = Column::all(&batch.schema());
    let rows = Rows::new(&batch, &columns, &[Format::Binary]).unwrap();
    let mut text = BytesMut::new();
    rows.text(&mut text, 0, 0).unwrap();
    let mut binary = BytesMut::new();
    rows.tuple(&mut binary, 0).unwrap();
    (String::from_utf8(text.to_vec()).unwrap(), binary[2..].to_vec())
}

#[test]
fn values_are_written_as_postgresql_sends_them() {
    let cases: Vec<(ArrayRef, &str, &[u8])> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "t", b"\0\0\0\x01\x01"),
        (Arc::new(Int16Array::from(vec![-2])), "-2", b"\0\0\0\x02\xff\xfe"),
        (Arc::new(Int64Array::from(vec![5])), "5", b"\0\0\0\x08\0\0\0\0\0\0\0\x05"),
        (Arc::new(Float64Array::from(vec![1.5])), "1.5", b"\0\0\0\x08\x3f\xf8\0\0\0\0\0\0"),
        (Arc::new(StringArray::from(vec!["a b"])), "a b", b"\0\0\0\x03a b"),
        (Arc::new(Date32Array::from(vec![10_957])), "2000-01-01", b"\0\0\0\x04\0\0\0\0"),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![946_684_800_000_001])),
            "2000-01-01 00:00:00.000001",
            b"\0\0\0\x08\0\0\0\0\0\0\0\x01",
        ),
        (
            Arc::new(Decimal128Array::from(vec![-1250]).with_precision_and_scale(10, 2).unwrap()),
            "-12.50",
            b"\0\0\0\x0c\0\x02\0\0\x40\0\0\x02\0\x0c\x13\x88",
        ),
    ];
    for (array, text, binary) in cases {
        assert_eq!(both(array), (text.to_owned(), binary.to_vec()));
    }
}

#[test]
fn arrays_have_dimensions() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None])]);
    let (text, binary) = both(Arc::new(list));
    assert_eq!(text, "{1,NULL}");
    let head = b"\0\0\0\x24\0\0\0\x01\0\0\0\x01\0\0\0\x14\0\0\0\x02\0\0\0\x01";
    assert_eq!(&binary[..24], head);
    assert_eq!(&binary[24..], b"\0\0\0\x08\0\0\0\0\0\0\0\x01\xff\xff\xff\xff");
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.values().append_value("a,b");
    texts.values().append_value("");
    texts.append(true);
    assert_eq!(both(Arc::new(texts.finish())).0, "{\"a,b\",\"\"}");
}

#[test]
fn nulls_have_no_length() {
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(vec![Field::new("c", DataType::Int64, true)])),
        vec![Arc::new(Int64Array::from(vec![None::<i64>]))],
    )
    .unwrap();
    let rows = Rows::new(&batch, &Column::all(&batch.schema()), &[Format::Text]).unwrap();
    let mut out = BytesMut::new();
    rows.data_row(&mut out, 0).unwrap();
    assert_eq!(&out[..], b"D\0\0\0\x0a\0\x01\xff\xff\xff\xff");
}

#[test]
fn what_the_catalog_has_is_written_as_postgresql_sends_it() {
    let mut list = ListBuilder::new(arrow::array::Int16Builder::new());
    list.append_value([Some(1), Some(2)]);
    let cases: Vec<(ArrayRef, &str, &str, &[u8])> = vec![
        (Arc::new(Int64Array::from(vec![16_512])), "oid", "16512", b"\0\0\0\x04\0\0\x40\x80"),
        (Arc::new(StringArray::from(vec!["t"])), "name", "t", b"\0\0\0\x01t"),
        (
            Arc::new(list.finish()),
            "int2vector",
            "1 2",
            b"\0\0\0\x20\0\0\0\x01\0\0\0\0\0\0\0\x15\0\0\0\x02\0\0\0\0\0\0\0\x02\0\x01\0\0\0\x02\0\x02",
        ),
    ];
    for (array, name, text, binary) in cases {
        let field = Field::new("c", array.data_type().clone(), true);
        let field = field.with_metadata([(polder_capability::CATALOG_TYPE.into(), name.into())].into());
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
        let columns = Column::all(&batch.schema());
        let rows = Rows::new(&batch, &columns, &[Format::Binary]).unwrap();
        let mut written = BytesMut::new();
        rows.text(&mut written, 0, 0).unwrap();
        assert_eq!(written, text.as_bytes(), "{name}");
        let mut written = BytesMut::new();
        rows.tuple(&mut written, 0).unwrap();
        assert_eq!(&written[2..], binary, "{name}");
    }
    let too_large: ArrayRef = Arc::new(Int64Array::from(vec![1_i64 << 32]));
    let writer = Writer::new(&too_large, Kind::one(Base::Oid)).unwrap();
    assert!(writer.sized(&mut BytesMut::new(), 0, Format::Binary).is_err());
}
