mod objects;
mod postgres;
mod servers;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use axum::Router;
use chrono::{DateTime, Utc};
use polder_capability::deliveries::{DeliveryTarget, Secrets};
use polder_capability::topics::topic_schema;
use polder_runtime::SystemClock;
use uuid::Uuid;

use super::{Lot, Refused, Sink, Sinks, Told, rows};

fn time() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-28T03:04:05.678Z").unwrap().to_utc()
}

fn lot_of(rows: RecordBatch) -> Lot {
    Lot { id: Uuid::from_u128(0xabc), delivery: "clicks".to_owned(), topic: "page".to_owned(), time: time(), rows }
}

/// Records as they came; what is JSON is given as such.
fn records(values: &[Option<&[u8]>]) -> Lot {
    let count = values.len();
    let texts: Vec<Option<String>> = values
        .iter()
        .map(|value| {
            let text = std::str::from_utf8((*value)?).ok()?;
            let is_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
            Some(if is_json { text.to_owned() } else { serde_json::to_string(text).unwrap() })
        })
        .collect();
    let micros = time().timestamp_micros();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![3; count])),
        Arc::new(Int64Array::from_iter_values((100..).take(count))),
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..count).map(|_| micros)).with_timezone("UTC")),
        Arc::new(StringViewArray::from(vec![None::<&str>; count])),
        Arc::new(StringViewArray::from(vec!["{}"; count])),
        Arc::new(texts.into_iter().collect::<StringViewArray>()),
        Arc::new(BinaryViewArray::from(vec![None::<&[u8]>; count])),
        Arc::new(BinaryViewArray::from(values.to_vec())),
    ];
    lot_of(RecordBatch::try_new(topic_schema(), columns).unwrap())
}

/// Texts as a column `c`, and their numbers as `n`.
fn transformed(texts: &[Option<&str>]) -> Lot {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..).take(texts.len())));
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    lot_of(RecordBatch::try_from_iter([("c", texts), ("n", numbers)]).unwrap())
}

fn sink(target: DeliveryTarget, secrets: &[(&str, &str)]) -> Arc<dyn Sink> {
    sink_that_tells(&target, secrets, Arc::new(|_| {}))
}

fn sink_that_tells(target: &DeliveryTarget, secrets: &[(&str, &str)], told: Told) -> Arc<dyn Sink> {
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sinks = Sinks::new(Arc::new(SystemClock), Arc::new(|| [7; 16]));
    sinks.open(target, &Secrets(secrets), told).unwrap().unwrap()
}

/// A server of this test, and its address.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router.layer(axum::extract::DefaultBodyLimit::disable())).await });
    format!("http://{address}")
}

fn rows_of(refused: &[Refused]) -> Vec<usize> {
    refused.iter().map(|one| one.row).collect()
}

fn texts(texts: &rows::Texts) -> Vec<(usize, String)> {
    texts.iter().map(|(row, text)| (row, String::from_utf8(text.to_vec()).unwrap())).collect()
}

#[test]
fn rows_of_a_transform_are_objects_with_their_columns() {
    let json = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
    let fields = vec![
        Field::new("a\"b", DataType::Utf8, true),
        Field::new("j", DataType::Utf8View, true).with_metadata(json),
        Field::new("d", DataType::Decimal128(38, 2), true),
        Field::new("b", DataType::Binary, true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("x\n\"y\""), None])),
        Arc::new(StringViewArray::from(vec![Some("{\"k\":\n [1]}"), None])),
        Arc::new(
            Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_123_i128), None])
                .with_precision_and_scale(38, 2)
                .unwrap(),
        ),
        Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), None])),
    ];
    let lot = lot_of(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap());
    let (found, refused) = rows::json(&lot).unwrap();
    let found = texts(&found);
    let first = r#"{"a\"b":"x\n\"y\"","j":{"k":  [1]},"d":123456789012345678901.23,"b":"\\x00ff"}"#;
    assert_eq!(found, [(0, first.to_owned()), (1, r#"{"a\"b":null,"j":null,"d":null,"b":null}"#.to_owned())]);
    assert!(refused.is_empty());
    assert_eq!(lot.name_of(1), format!("{}-1", lot.id.simple()));
}

#[test]
fn records_are_sent_as_they_came() {
    let lot = records(&[Some(b"{\"a\":\n1}"), None, Some(b"\xff\0"), Some(b"text")]);
    let (found, refused) = rows::json(&lot).unwrap();
    let found = texts(&found);
    assert_eq!(found, [(0, "{\"a\": 1}".to_owned()), (3, "\"text\"".to_owned())]);
    assert_eq!(rows_of(&refused), [2]);
    let raw = rows::raw(&lot).unwrap();
    let raw: Vec<_> = raw.iter().collect();
    assert_eq!(raw, [(0, &b"{\"a\":\n1}"[..]), (2, b"\xff\0"), (3, b"text")]);
    assert_eq!(lot.name_of(2), "page-3-102");
}
