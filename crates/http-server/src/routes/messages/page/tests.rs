use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use polder_capability::topics::{DamagedRecords, TopicPart, TopicRows, TopicScan, TopicTable, topic_schema};
use polder_capability::{BatchStream, Caller};
use polder_types::Result;
use uuid::Uuid;

use super::{Page, Place, places, read};
use crate::routes::messages::payload::Filter;

/// Partition `p` has a record at each offset of `0..ends[p]`, one a second, those of all partitions in turn. Each tenth is `rare`.
/// Keys are a text, bytes, none and an empty text in turn.
struct Counted {
    ends: Vec<i64>,
}

fn time(partition: i32, offset: i64) -> i64 {
    offset * 1000 + i64::from(partition) * 10
}

#[async_trait]
impl TopicRows for Counted {
    fn names(&self, _caller: &Caller) -> Vec<Arc<str>> {
        vec!["t".into()]
    }

    fn find(&self, _caller: &Caller, _topic: &str) -> Option<TopicTable> {
        None
    }

    async fn scan(&self, _caller: &Caller, _topic: &str, _scan: TopicScan) -> Result<Vec<TopicPart>> {
        let parts = self.ends.iter().zip(0..).map(|(end, partition)| TopicPart {
            topic: "t".into(),
            id: Uuid::nil(),
            partition,
            from: 0,
            to: Some(*end),
            from_ms: None,
            to_ms: None,
            is_dense: true,
            partition_bytes: 0,
            spelled: false,
        });
        Ok(parts.collect())
    }

    async fn damaged(&self, _part: &TopicPart) -> Result<Option<DamagedRecords>> {
        Ok(None)
    }

    fn read(&self, part: TopicPart, _columns: Vec<usize>) -> Result<BatchStream> {
        let offsets: Vec<i64> = (part.from..part.to.unwrap_or(0)).collect();
        let batches: Vec<Result<RecordBatch>> =
            offsets.chunks(64).map(|chunk| Ok(batch(part.partition, chunk))).collect();
        Ok(stream::iter(batches).boxed())
    }
}

fn batch(partition: i32, offsets: &[i64]) -> RecordBatch {
    let values: Vec<String> = offsets.iter().map(|at| if at % 10 == 0 { "\"Rare\"" } else { "1" }.to_owned()).collect();
    let key = |offset: &i64| match offset % 4 {
        0 => Some(b"ann".as_slice()),
        1 => Some(b"\xff\x01".as_slice()),
        2 => None,
        _ => Some(b"".as_slice()),
    };
    let keys = offsets.iter().map(key);
    let times = TimestampMicrosecondArray::from_iter_values(offsets.iter().map(|at| time(partition, *at) * 1000));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(partition, offsets.len())),
        Arc::new(Int64Array::from(offsets.to_vec())),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(StringViewArray::from_iter(keys.clone().map(|key| key.and_then(|key| std::str::from_utf8(key).ok())))),
        Arc::new(StringViewArray::from_iter_values(offsets.iter().map(|_| "{}"))),
        Arc::new(StringViewArray::from_iter_values(&values)),
        Arc::new(BinaryViewArray::from_iter(keys)),
        Arc::new(BinaryViewArray::from_iter_values(&values)),
    ];
    RecordBatch::try_new(topic_schema(), columns).unwrap()
}

/// Reads page after page to the end: the places of the messages, and how many pages there were.
async fn all(ends: &[i64], filter: &Filter, is_forward: bool, limit: usize) -> (Vec<(i32, i64)>, usize) {
    let rows = Counted { ends: ends.to_vec() };
    let caller = Caller::new("ann".to_owned(), "test");
    let parts = || rows.scan(&caller, "t", TopicScan::default());
    let mut here: Vec<Place> = parts().await.unwrap().into_iter().map(Place::new).collect();
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let Page { messages, next, .. } = read(&rows, here, filter, is_forward, limit).await.unwrap();
        assert!(messages.len() <= limit);
        found.extend(messages.iter().map(|message| (message.partition, message.offset)));
        pages += 1;
        if next.is_empty() {
            return (found, pages);
        }
        here = places(parts().await.unwrap(), &next, is_forward);
    }
}

fn expected(ends: &[i64], is_forward: bool, step: usize) -> Vec<(i32, i64)> {
    let mut all: Vec<(i32, i64)> =
        ends.iter().zip(0..).flat_map(|(end, part)| (0..*end).step_by(step).map(move |at| (part, at))).collect();
    all.sort_by_key(|(part, at)| time(*part, *at));
    if !is_forward {
        all.reverse();
    }
    all
}

#[tokio::test]
async fn pages_have_each_message_once_and_in_order() {
    let ends = [70, 0, 33];
    for is_forward in [true, false] {
        let (found, pages) = all(&ends, &Filter::default(), is_forward, 25).await;
        assert_eq!(found, expected(&ends, is_forward, 1));
        assert_eq!(pages, 5);
        assert_eq!(all(&[], &Filter::default(), is_forward, 25).await, (Vec::new(), 1));
    }
}

#[tokio::test]
async fn rare_ones_are_found_wherever_they_are() {
    let filter = Filter::new(None, Some("rARE".to_owned()));
    for is_forward in [true, false] {
        let ends = [20_000, 7];
        let (found, _) = all(&ends, &filter, is_forward, 500).await;
        assert_eq!(found, expected(&ends, is_forward, 10));
    }
    assert_eq!(all(&[300], &Filter::new(Some("k".to_owned()), None), false, 10).await.0, []);
}

#[tokio::test]
async fn a_key_is_found_with_nothing_else() {
    let ends = [20_000, 7];
    for (key, first) in [("ann", 0), ("\\xff01", 1), ("", 3)] {
        let filter = Filter::new(Some(key.to_owned()), None);
        for is_forward in [true, false] {
            let (found, _) = all(&ends, &filter, is_forward, 100).await;
            let expected: Vec<_> =
                expected(&ends, is_forward, 1).into_iter().filter(|(_, at)| at % 4 == first).collect();
            assert_eq!(found, expected, "{key}");
        }
    }
    // A part of a key is another key, and `\x` of a text is that text.
    for key in ["an", "ANN", "\\xff", "\\xff0", "\\x616e6e"] {
        assert_eq!(all(&ends, &Filter::new(Some(key.to_owned()), None), false, 10).await.0, [], "{key}");
    }
}
