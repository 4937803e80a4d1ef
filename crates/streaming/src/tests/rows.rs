//! Topics as tables.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use polder_capability::Caller;
use polder_capability::schemas::{ValueDecoder, ValueSchemas};
use polder_capability::topics::{
    ConfigChange, ConfigOperation, ConfigResource, TopicAdmin, TopicClient, TopicPart, TopicRecords, TopicRight,
    TopicRights, TopicRows, TopicScan, TopicThing, columns, topic_schema,
};
use polder_topic_log::format::{BatchBuilder, Codec, NewRecord};
use polder_types::{Error, ErrorKind, Result};

use super::world::{START_MS, World, at, client, plain, within};
use crate::LogRows;

const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

fn caller() -> Caller {
    client("reader").caller
}

async fn read(rows: &LogRows, part: TopicPart, wanted: &[usize]) -> Result<Vec<RecordBatch>> {
    let mut stream = rows.read(part, wanted.to_vec())?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}

/// All rows of a topic; of each partition one after the other.
async fn all(rows: &LogRows, topic: &str, scan: TopicScan, wanted: &[usize]) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for part in rows.scan(&caller(), topic, scan).await.unwrap() {
        batches.extend(read(rows, part, wanted).await.unwrap());
    }
    batches
}

async fn offsets(rows: &LogRows, topic: &str, scan: TopicScan) -> Vec<i64> {
    let by_offset = all(rows, topic, scan.clone(), &[columns::OFFSET]).await;
    let by_offset: Vec<i64> =
        by_offset.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    // However little is looked at, the same rows are found.
    let counted: usize = all(rows, topic, scan.clone(), &[]).await.iter().map(RecordBatch::num_rows).sum();
    let in_full = all(rows, topic, scan, &[columns::VALUE_BYTES, columns::OFFSET]).await;
    let in_full: Vec<i64> =
        in_full.iter().flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(counted, by_offset.len());
    assert_eq!(in_full, by_offset);
    by_offset
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    batch.column(column).as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
}

fn packed(records: &[NewRecord<'_>], codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.push(record).unwrap();
    }
    builder.finish(codec).unwrap()
}

fn value(value: &[u8]) -> NewRecord<'_> {
    NewRecord { timestamp: START_MS, value: Some(value), ..NewRecord::default() }
}

#[tokio::test]
async fn records_are_rows() {
    let world = World::new().await;
    world.topic("t", 2).await;
    let rows = LogRows::new(&world.topics, None);
    let headers: [(&str, Option<&[u8]>); 4] =
        [("b", Some(b"1")), ("a", Some(b"\xff")), ("b", None), ("c", Some("\"ä\"".as_bytes()))];
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(100));
    let records = [
        NewRecord { timestamp: START_MS, key: Some(b"k"), value: Some(long.as_bytes()), headers: &headers },
        NewRecord { timestamp: START_MS + 1, key: Some(b"\xff"), value: None, headers: &[] },
        value(b"no JSON"),
        value(b"\xfe\xff"),
        value(b"a\0b"),
        value(b" [1, 2.50] "),
        value(b""),
        value(br#"{"zero": "\u0000"}"#),
        NewRecord { timestamp: -1, value: Some(b"1e2000"), ..NewRecord::default() },
    ];
    world.produce(at("t", 1), packed(&records, Codec::Zstd)).await.unwrap();
    let batches = all(&rows, "t", TopicScan::default(), &ALL).await;
    assert_eq!(batches.len(), 1);
    let batch = &batches[0];
    assert_eq!(batch.schema(), topic_schema());
    assert!(batch.column(columns::PARTITION).as_primitive::<Int32Type>().iter().all(|number| number == Some(1)));
    let times = batch.column(columns::TIMESTAMP).as_primitive::<TimestampMicrosecondType>();
    assert_eq!((times.value(1), times.is_null(8)), ((START_MS + 1) * 1000, true));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(batch, columns::KEY)[..3], [some("k"), None, None]);
    assert_eq!(
        texts(batch, columns::HEADERS)[..2],
        [some(r#"{"a": "\\xff", "b": ["1", null], "c": "\"ä\""}"#), some("{}")]
    );
    let values = texts(batch, columns::VALUE);
    let expected = [
        Some(long.clone()),
        None,
        some("\"no JSON\""),
        None,
        None,
        some("[1, 2.50]"),
        some("\"\""),
        some(r#""{\"zero\": \"\\u0000\"}""#),
        some("\"1e2000\""),
    ];
    assert_eq!(values, expected);
    let (keys, bytes) =
        (batch.column(columns::KEY_BYTES).as_binary_view(), batch.column(columns::VALUE_BYTES).as_binary_view());
    assert_eq!((keys.value(1), keys.is_null(2)), (&b"\xff"[..], true));
    assert_eq!((bytes.value(0), bytes.is_null(1), bytes.value(3)), (long.as_bytes(), true, &b"\xfe\xff"[..]));
    // Any columns in any order, and none that there are not.
    let some = all(&rows, "t", TopicScan::default(), &[columns::VALUE, columns::OFFSET]).await;
    assert_eq!(texts(&some[0], 0), expected);
    assert_eq!(some[0].column(1).as_primitive::<Int64Type>().value(8), 8);
    let part = rows.scan(&caller(), "t", TopicScan::default()).await.unwrap().remove(0);
    assert_eq!(rows.read(part, vec![8]).err().unwrap().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn many_records_come_in_bounded_batches_and_each_once() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let rows = LogRows::new(&world.topics, None);
    let values: Vec<String> =
        (0..20_000).map(|number| format!(r#"{{"more": "{number:>9}", "number": {number}}}"#)).collect();
    let mut next = 0;
    for (size, codec) in
        [(1, Codec::None), (9_000, Codec::Lz4), (20, Codec::Gzip), (10_000, Codec::None), (979, Codec::Snappy)]
    {
        let records: Vec<NewRecord<'_>> = values[next..next + size].iter().map(|text| value(text.as_bytes())).collect();
        world.produce(at("t", 0), packed(&records, codec)).await.unwrap();
        next += size;
    }
    let batches = all(&rows, "t", TopicScan::default(), &[columns::VALUE]).await;
    assert!(batches.iter().all(|batch| batch.num_rows() <= 8192));
    let found: Vec<String> = batches.iter().flat_map(|batch| texts(batch, 0)).flatten().collect();
    assert_eq!(found, values);
    assert_eq!(offsets(&rows, "t", TopicScan::default()).await, (0..20_000).collect::<Vec<i64>>());
    // Bounds cut through batches.
    for (from, to) in [(0, 1), (5, 9_500), (9_001, 9_020), (9_021, 19_021), (19_999, 30_000), (7, 7)] {
        let scan = TopicScan { from_offset: Some(from), to_offset: Some(to), ..TopicScan::default() };
        assert_eq!(offsets(&rows, "t", scan).await, (from..to.min(20_000)).collect::<Vec<i64>>());
    }
    // Few large values make small batches.
    let large = vec![b'7'; 1_000_000];
    for _ in 0..9 {
        world.produce(at("t", 0), packed(&[value(&large)], Codec::Zstd)).await.unwrap();
    }
    let scan = TopicScan { from_offset: Some(20_000), ..TopicScan::default() };
    let sizes: Vec<usize> =
        all(&rows, "t", scan, &[columns::VALUE_BYTES]).await.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [5, 4]);
}

#[tokio::test]
async fn bounds_of_time_and_partitions() {
    let world = World::new().await;
    world.topic("t", 3).await;
    let rows = LogRows::new(&world.topics, None);
    // Not in the order of time.
    let times = [5, 3, 9, 1, 7];
    let records: Vec<NewRecord<'_>> =
        times.iter().map(|time| NewRecord { timestamp: START_MS + time, ..value(b"1") }).collect();
    for partition in [0, 2] {
        world.produce(at("t", partition), packed(&records, Codec::None)).await.unwrap();
        let old = NewRecord { timestamp: -1, ..value(b"1") };
        world.produce(at("t", partition), packed(&[old], Codec::Gzip)).await.unwrap();
    }
    let scan = |from: Option<i64>, to: Option<i64>| TopicScan {
        partitions: Some(vec![2, 1, 99, -1]),
        from_ms: from.map(|time| START_MS + time),
        to_ms: to.map(|time| START_MS + time),
        ..TopicScan::default()
    };
    assert_eq!(offsets(&rows, "t", scan(None, None)).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(offsets(&rows, "t", scan(Some(5), None)).await, [0, 2, 4]);
    assert_eq!(offsets(&rows, "t", scan(Some(6), Some(9))).await, [4]);
    assert_eq!(offsets(&rows, "t", scan(None, Some(4))).await, [1, 3]);
    assert_eq!(offsets(&rows, "t", scan(Some(10), None)).await, [0; 0]);
    let parts = rows.scan(&caller(), "t", TopicScan::default()).await.unwrap();
    let places: Vec<_> = parts.iter().map(|part| (part.partition, part.from, part.to, part.is_dense)).collect();
    assert_eq!(places, [(0, 0, Some(6), true), (2, 0, Some(6), true)]);
    assert!(parts.iter().all(|part| part.partition_bytes > 100));
}

#[tokio::test]
async fn times_of_the_log_are_those_of_the_rows() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let change = ConfigChange {
        resource: ConfigResource::Topic("t".into()),
        replace: false,
        operations: vec![("message.timestamp.type".into(), ConfigOperation::Set("LogAppendTime".into()))],
    };
    world.topics.change_configs(&client("admin"), vec![change], false).await.unwrap().remove(0).unwrap();
    for _ in 0..3 {
        let record = NewRecord { timestamp: 5, ..value(b"1") };
        world.produce(at("t", 0), packed(&[record, record], Codec::None)).await.unwrap();
        world.pass(1000).await;
    }
    let rows = LogRows::new(&world.topics, None);
    let scan = TopicScan { from_ms: Some(START_MS + 1), to_ms: Some(START_MS + 1500), ..TopicScan::default() };
    assert_eq!(offsets(&rows, "t", scan.clone()).await, [2, 3]);
    let times = all(&rows, "t", scan, &[columns::TIMESTAMP]).await;
    let times = times[0].column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert!(times.iter().all(|time| *time >= (START_MS + 1) * 1000), "{times:?}");
}

#[tokio::test]
async fn only_what_is_committed_is_seen() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let rows = LogRows::new(&world.topics, None);
    let producer = world.init("id").await.unwrap();
    world.add("id", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("id"), at("t", 0), within("aborted", producer, 0)).await.unwrap();
    world.produce(at("t", 0), plain("plain")).await.unwrap();
    world.end("id", producer, false).await.unwrap();
    let producer = world.init("id").await.unwrap();
    world.add("id", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("id"), at("t", 0), within("committed", producer, 0)).await.unwrap();
    world.produce(at("t", 0), plain("behind")).await.unwrap();
    // 0 aborted, 1 plain, 2 a marker, 3 open, 4 behind it.
    assert_eq!(offsets(&rows, "t", TopicScan::default()).await, [1]);
    let fixed = rows.scan(&caller(), "t", TopicScan::default()).await.unwrap();
    world.end("id", producer, true).await.unwrap();
    assert_eq!(offsets(&rows, "t", TopicScan::default()).await, [1, 3, 4]);
    let before = read(&rows, fixed[0].clone(), &[]).await.unwrap();
    assert_eq!(before.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_tail_has_what_comes() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let rows = LogRows::new(&world.topics, None);
    let scan = TopicScan { follow: true, ..TopicScan::default() };
    let part = rows.scan(&caller(), "t", scan.clone()).await.unwrap().remove(0);
    let mut tail = rows.read(part, vec![columns::VALUE]).unwrap();
    for word in ["\"one\"", "\"two\""] {
        let waiting = tokio::time::timeout(Duration::from_millis(20), tail.next()).await;
        assert!(waiting.is_err(), "nothing has come");
        world.produce(at("t", 0), plain(word)).await.unwrap();
        let batch = tail.next().await.unwrap().unwrap();
        assert_eq!(texts(&batch, 0), [Some(word.to_owned())]);
    }
    // One that has an end waits for it.
    let scan = TopicScan { from_offset: Some(1), to_offset: Some(3), ..scan };
    let part = rows.scan(&caller(), "t", scan).await.unwrap().remove(0);
    let mut tail = rows.read(part, vec![columns::OFFSET]).unwrap();
    assert_eq!(tail.next().await.unwrap().unwrap().num_rows(), 1);
    world.produce(at("t", 0), plain("3")).await.unwrap();
    assert_eq!(tail.next().await.unwrap().unwrap().num_rows(), 1);
    assert!(tail.next().await.is_none());
    // The end of a topic is the end of its tails.
    let part =
        rows.scan(&caller(), "t", TopicScan { follow: true, from_offset: Some(3), ..TopicScan::default() }).await;
    let mut tail = rows.read(part.unwrap().remove(0), vec![]).unwrap();
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.topics.delete(&client("admin"), vec![at("t", 0).topic]).await.unwrap();
    };
    let (ended, ()) = tokio::join!(tail.next(), deleting);
    assert_eq!(ended.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn deleted_records_are_left_out() {
    let world = World::new().await;
    world.topic("t", 1).await;
    for _ in 0..5 {
        world.produce(at("t", 0), plain("1")).await.unwrap();
    }
    let rows = LogRows::new(&world.topics, None);
    let part = rows.scan(&caller(), "t", TopicScan::default()).await.unwrap().remove(0);
    let before = vec![(at("t", 0), Some(3))];
    world.topics.delete_records(&client("admin"), before).await.unwrap();
    assert_eq!(read(&rows, part, &[columns::OFFSET]).await.unwrap()[0].num_rows(), 2);
    assert_eq!(offsets(&rows, "t", TopicScan::default()).await, [3, 4]);
}

struct OnlyA;

impl TopicRights for OnlyA {
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool {
        *caller == client("admin").caller && right != TopicRight::Read || thing == TopicThing::Topic("a")
    }

    fn refused(&self, _client: &TopicClient, _right: TopicRight, _thing: TopicThing<'_>) {}
}

#[tokio::test]
async fn who_may_not_read_a_topic_does_not_know_of_it() {
    let world = World::with_rights(Arc::new(OnlyA)).await;
    for name in ["a", "b"] {
        world.topic(name, 2).await;
    }
    let rows = LogRows::new(&world.topics, None);
    assert_eq!(rows.names(&caller()), ["a".into()]);
    let found = rows.find(&caller(), "a").unwrap();
    assert_eq!((&*found.name, found.partitions), ("a", 2));
    assert_eq!(rows.find(&caller(), "b"), None);
    for missing in ["b", "c"] {
        let error = rows.scan(&caller(), missing, TopicScan::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, format!("there is no topic {missing:?}")));
    }
}

struct Shouting;

impl ValueDecoder for Shouting {
    fn decode(&self, value: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(&value[5..]).map_err(|_| Error::invalid("no text"))?;
        Ok(format!("\"{}\"", text.to_uppercase()))
    }
}

struct Known(HashMap<i32, Arc<dyn ValueDecoder>>);

#[async_trait]
impl ValueSchemas for Known {
    async fn decoder(&self, id: i32) -> Result<Option<Arc<dyn ValueDecoder>>> {
        if id == 99 {
            return Err(Error::new(ErrorKind::Unavailable, "the store is away"));
        }
        Ok(self.0.get(&id).cloned())
    }
}

#[tokio::test]
async fn values_of_registered_schemas_are_decoded() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let known: Arc<dyn ValueDecoder> = Arc::new(Shouting);
    let rows = LogRows::new(&world.topics, Some(Arc::new(Known(HashMap::from([(7, known)])))));
    let records = [
        NewRecord { key: Some(b"\0\0\0\0\x07key"), ..value(b"\0\0\0\0\x07value") },
        value(b"\0\0\0\0\x08value"),
        value(b"\0\0\0\0\x07\xff"),
        value(b"\"plain\""),
    ];
    world.produce(at("t", 0), packed(&records, Codec::None)).await.unwrap();
    let batches = all(&rows, "t", TopicScan::default(), &[columns::KEY, columns::VALUE]).await;
    assert_eq!(texts(&batches[0], 0)[0], Some("KEY".to_owned()));
    assert_eq!(texts(&batches[0], 1), [Some("\"VALUE\"".to_owned()), None, None, Some("\"plain\"".to_owned())]);
    // The store is asked for what is wanted only.
    world.produce(at("t", 0), packed(&[value(b"\0\0\0\0\x63value")], Codec::None)).await.unwrap();
    assert_eq!(offsets(&rows, "t", TopicScan::default()).await.len(), 5);
    let part = rows.scan(&caller(), "t", TopicScan::default()).await.unwrap().remove(0);
    assert_eq!(read(&rows, part, &[columns::VALUE]).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
