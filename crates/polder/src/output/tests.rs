use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, IntervalMonthDayNanoArray, ListArray,
    NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use ::arrow::datatypes::{Int64Type, IntervalMonthDayNano};
use ::arrow::ipc::reader::StreamReader;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{Outcome, TableStyle, writer};
use crate::cli::Format;
use crate::failure::Failure;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(-20), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("Anna"), Some(""), None]))),
        ("note", Arc::new(StringArray::from(vec!["a,\"b\"", "two\nlines|", "日本"]))),
        ("share", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), Some(1e21)]))),
        (
            "price",
            Arc::new(Decimal128Array::from(vec![Some(1250), Some(-5), None]).with_precision_and_scale(9, 2).unwrap()),
        ),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1_356_998_400_000_000),
                Some(1_356_998_400_500_000),
                None,
            ])),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
                Some(vec![Some(1), None]),
                Some(vec![]),
                None,
            ])),
        ),
        ("none", Arc::new(NullArray::new(3))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn outcome(rows: u64) -> Outcome {
    Outcome {
        verb: "SELECT".to_owned(),
        gives_rows: true,
        rows,
        elapsed: Duration::from_millis(12),
        ..Outcome::default()
    }
}

fn bytes(format: Format, style: TableStyle, batches: &[RecordBatch]) -> Result<Vec<u8>, Failure> {
    let memory = Memory::default();
    let mut out = writer(format, Box::new(memory.clone()), style);
    out.begin(&batch().schema())?;
    for batch in batches {
        out.batch(batch)?;
    }
    out.end(&outcome(batches.iter().map(|batch| batch.num_rows() as u64).sum()))?;
    drop(out);
    let bytes = memory.0.lock().unwrap().clone();
    Ok(bytes)
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(bytes(format, TableStyle::default(), batches).unwrap()).unwrap()
}

#[test]
fn csv() {
    let expected = "id,name,note,share,price,ok,at,list,none\n\
        1,Anna,\"a,\"\"b\"\"\",0.5,12.50,true,2013-01-01 00:00:00,\"[1,null]\",\n\
        -20,\"\",\"two\nlines|\",NaN,-0.05,false,2013-01-01 00:00:00.500,[],\n\
        ,,日本,1e21,,,,,\n";
    assert_eq!(text(Format::Csv, &[batch()]), expected);
    assert_eq!(text(Format::Csv, &[]), "id,name,note,share,price,ok,at,list,none\n");
}

#[test]
fn json() {
    let rows: serde_json::Value = serde_json::from_str(&text(Format::Json, &[batch(), batch().slice(0, 1)])).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 4);
    assert_eq!(rows[0]["id"], 1);
    assert_eq!(rows[0]["note"], "a,\"b\"");
    assert_eq!(rows[0]["list"], serde_json::json!([1, null]));
    assert_eq!(rows[0]["price"], 12.5);
    assert_eq!(rows[0]["at"], "2013-01-01T00:00:00");
    assert_eq!(rows[1]["share"], "NaN");
    assert_eq!(rows[2]["id"], serde_json::Value::Null);
    assert_eq!(rows[2]["none"], serde_json::Value::Null);
    assert_eq!(rows[2].as_object().unwrap().len(), 9);
    assert_eq!(text(Format::Json, &[]), "[]\n");
}

#[test]
fn ndjson() {
    let text_ = text(Format::Ndjson, &[batch()]);
    assert_eq!(text_.lines().count(), 3);
    for line in text_.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
    }
    assert_eq!(text(Format::Ndjson, &[]), "");
}

#[test]
fn markdown() {
    let small = batch().project(&[0, 2]).unwrap();
    let memory = Memory::default();
    let mut out = writer(Format::Markdown, Box::new(memory.clone()), TableStyle::default());
    out.begin(&small.schema()).unwrap();
    out.batch(&small).unwrap();
    out.end(&outcome(3)).unwrap();
    let expected = "| id | note |\n| --: | --- |\n| 1 | a,\"b\" |\n| -20 | two<br>lines\\| |\n|  | 日本 |\n";
    assert_eq!(String::from_utf8(memory.0.lock().unwrap().clone()).unwrap(), expected);
}

#[test]
fn parquet() {
    let bytes = bytes(Format::Parquet, TableStyle::default(), &[batch().project(&[0, 1, 2]).unwrap()]);
    // The schema that was begun has more columns than the batch.
    assert!(bytes.is_err());
    let whole = batch().project(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
    let memory = Memory::default();
    let mut out = writer(Format::Parquet, Box::new(memory.clone()), TableStyle::default());
    out.begin(&whole.schema()).unwrap();
    out.batch(&whole).unwrap();
    out.end(&outcome(3)).unwrap();
    let bytes = bytes::Bytes::from(memory.0.lock().unwrap().clone());
    let read: Vec<_> = ParquetRecordBatchReader::try_new(bytes, 100).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].num_rows(), 3);
    assert_eq!(read[0].column(2), whole.column(2));
}

#[test]
fn intervals_are_texts_in_parquet() {
    let days = IntervalMonthDayNanoArray::from(vec![Some(IntervalMonthDayNano::new(0, 2, 0)), None]);
    let batch = RecordBatch::try_from_iter([("took", Arc::new(days) as ArrayRef)]).unwrap();
    let memory = Memory::default();
    let mut out = writer(Format::Parquet, Box::new(memory.clone()), TableStyle::default());
    out.begin(&batch.schema()).unwrap();
    out.batch(&batch).unwrap();
    out.end(&outcome(2)).unwrap();
    let bytes = bytes::Bytes::from(memory.0.lock().unwrap().clone());
    let read: Vec<_> = ParquetRecordBatchReader::try_new(bytes, 100).unwrap().map(Result::unwrap).collect();
    assert_eq!(read[0].column(0).as_string::<i32>(), &StringArray::from(vec![Some("2 days"), None]));
}

#[test]
fn arrow() {
    let bytes = bytes(Format::Arrow, TableStyle::default(), &[batch()]).unwrap();
    let read: Vec<_> = StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, [batch()]);
}

#[test]
fn binary_formats_need_rows() {
    for format in [Format::Parquet, Format::Arrow] {
        let mut out = writer(format, Box::new(Memory::default()), TableStyle::default());
        let done = Outcome { verb: "DROP TABLE".to_owned(), ..Outcome::default() };
        assert!(out.end(&done).is_err());
    }
}

#[test]
fn table_for_a_pipe() {
    let small = batch().project(&[0, 1, 2]).unwrap();
    let memory = Memory::default();
    let mut out = writer(Format::Table, Box::new(memory.clone()), TableStyle::default());
    out.begin(&small.schema()).unwrap();
    out.batch(&small).unwrap();
    out.end(&outcome(3)).unwrap();
    out.end(&Outcome { verb: "INSERT".to_owned(), rows_changed: Some(1), ..Outcome::default() }).unwrap();
    out.end(&Outcome { verb: "CREATE TABLE".to_owned(), ..Outcome::default() }).unwrap();
    let expected = "   id │ name │ note
──────┼──────┼────────
    1 │ Anna │ a,\"b\"
  -20 │      │ two↵
      │      │ lines|
 NULL │ NULL │ 日本
(3 rows)
INSERT: 1 row
CREATE TABLE
";
    assert_eq!(String::from_utf8(memory.0.lock().unwrap().clone()).unwrap(), expected);
}

#[test]
fn table_expanded() {
    let small = batch().project(&[0, 2]).unwrap().slice(1, 2);
    let memory = Memory::default();
    let style = TableStyle { expanded: true, width: Some(16), timing: true, ..TableStyle::default() };
    let mut out = writer(Format::Table, Box::new(memory.clone()), style);
    out.begin(&small.schema()).unwrap();
    out.batch(&small).unwrap();
    out.end(&Outcome { cut: true, ..outcome(2) }).unwrap();
    let expected = "─[ row 1 ]─\n id   │ -20\n note │ two\n      │ lines|\n─[ row 2 ]─\n id   │ NULL\n note │ 日本\n\
        (first 2 rows; there are more, 0.012 s)\n";
    assert_eq!(String::from_utf8(memory.0.lock().unwrap().clone()).unwrap(), expected);
}
