use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringViewArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use polder_metastore::{Backend, Value};

use super::{column_type, fits, value};

fn batch(column: impl arrow::array::Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter([("x", Arc::new(column) as ArrayRef)]).unwrap()
}

/// The first value in SQLite's and in PostgreSQL's form.
fn check(column: impl arrow::array::Array + 'static, sqlite: Option<Value>, postgres: Option<Value>) {
    let batch = batch(column);
    assert_eq!(value(&batch, 0, 0, Backend::Sqlite), sqlite);
    assert_eq!(value(&batch, 0, 0, Backend::Postgres), postgres);
}

fn both(value: impl Into<Value>) -> (Option<Value>, Option<Value>) {
    let value = value.into();
    (Some(value.clone()), Some(value))
}

#[test]
fn values_have_duckdbs_forms() {
    let (sqlite, postgres) = both(7_i64);
    check(Int32Array::from(vec![7]), sqlite, postgres);
    let (sqlite, postgres) = both(Value::Null);
    check(Int32Array::from(vec![None]), sqlite, postgres);
    check(Float64Array::from(vec![0.1]), Some("0.1".into()), Some(Value::Float(0.1)));
    check(Float64Array::from(vec![f64::NEG_INFINITY]), Some("-inf".into()), Some(Value::Float(f64::NEG_INFINITY)));
    check(Float64Array::from(vec![-0.0]), Some("-0.0".into()), Some(Value::Float(-0.0)));
    check(StringViewArray::from(vec!["it's"]), Some("it's".into()), Some(Value::Bytes(b"it's".to_vec())));
    check(StringViewArray::from(vec!["a\0b"]), None, Some(Value::Bytes(b"a\0b".to_vec())));
    let (sqlite, postgres) = both(vec![0xAA_u8, 0]);
    check(BinaryViewArray::from(vec![&[0xAA_u8, 0][..]]), sqlite, postgres);
    let (sqlite, postgres) = both("2024-02-29");
    check(Date32Array::from(vec![19_782]), sqlite, postgres);
    let (sqlite, postgres) = both("10:11:12.123456");
    check(Time64MicrosecondArray::from(vec![36_672_123_456]), sqlite, postgres);
    let (sqlite, postgres) = both("1969-12-31 23:59:59.5+00");
    check(TimestampMicrosecondArray::from(vec![-500_000]).with_timezone("UTC"), sqlite, postgres);
    let (sqlite, postgres) = both("-0.05");
    check(Decimal128Array::from(vec![-5]).with_precision_and_scale(10, 2).unwrap(), sqlite, postgres);
}

/// What would not come back as it went in goes to a file.
#[test]
fn values_without_a_form_do_not_fit() {
    let check = |column: ArrayRef, expected: bool| {
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        assert_eq!(fits(std::slice::from_ref(&batch), Backend::Sqlite), expected, "{batch:?}");
    };
    check(Arc::new(Int32Array::from(vec![Some(1), None])), true);
    check(Arc::new(Float64Array::from(vec![f64::NAN])), true);
    check(Arc::new(Date32Array::from(vec![i32::MAX])), false);
    check(Arc::new(StringViewArray::from(vec!["a", "b\0"])), false);
    let list = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([Some([Some(1)])]);
    check(Arc::new(list), false);
}

#[test]
fn columns_have_duckdbs_types() {
    let check = |ducklake: &str, sqlite: &str, postgres: &str| {
        assert_eq!(column_type(ducklake, Backend::Sqlite), sqlite, "{ducklake}");
        assert_eq!(column_type(ducklake, Backend::Postgres), postgres, "{ducklake}");
    };
    check("int8", "BIGINT", "SMALLINT");
    check("uint16", "BIGINT", "INTEGER");
    check("uint64", "VARCHAR", "VARCHAR");
    check("float64", "VARCHAR", "DOUBLE PRECISION");
    check("decimal(10,2)", "VARCHAR", "DECIMAL(10,2)");
    check("varchar", "VARCHAR", "BYTEA");
    check("blob", "BLOB", "BYTEA");
    check("timestamptz", "VARCHAR", "VARCHAR");
    check("list", "VARCHAR", "VARCHAR");
}
