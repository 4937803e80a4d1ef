//! Where partitions begin and end, all of some topics at once.

use std::collections::HashMap;

use super::{
    Isolation, OffsetAt, OffsetQuestion, TopicClient, TopicDescription, TopicPartition, TopicRecords, TopicRef,
    TopicResult,
};

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionBounds {
    /// The first offset that is kept.
    pub start: i64,
    /// Behind the last one.
    pub end: i64,
    /// Where the first open transaction begins, or the end.
    pub stable: i64,
    /// The latest timestamp, in milliseconds since 1970; `None`: no record has one.
    pub newest: Option<i64>,
}

/// The bounds of all partitions of some topics, by name and number. A topic that goes away meanwhile has none.
///
/// # Errors
/// Those of a call that fails as a whole.
pub async fn partition_bounds<T: TopicRecords + ?Sized>(
    topics: &T,
    client: &TopicClient,
    of: &[TopicDescription],
) -> TopicResult<HashMap<(String, i32), PartitionBounds>> {
    let places: Vec<(String, i32)> = of
        .iter()
        .flat_map(|topic| {
            let number = |part: u32| i32::try_from(part).unwrap_or(i32::MAX);
            (0..topic.partitions).map(move |part| (topic.name.clone(), number(part)))
        })
        .collect();
    let asked: [(OffsetAt, Isolation, fn(&mut PartitionBounds, Option<i64>, Option<i64>)); 4] = [
        (OffsetAt::Earliest, Isolation::Uncommitted, |bounds, offset, _| bounds.start = offset.unwrap_or_default()),
        (OffsetAt::Latest, Isolation::Uncommitted, |bounds, offset, _| bounds.end = offset.unwrap_or_default()),
        (OffsetAt::Latest, Isolation::Committed, |bounds, offset, _| bounds.stable = offset.unwrap_or_default()),
        (OffsetAt::MaxTimestamp, Isolation::Uncommitted, |bounds, _, time| {
            bounds.newest = time.filter(|time| *time >= 0);
        }),
    ];
    let mut all: HashMap<(String, i32), PartitionBounds> = HashMap::with_capacity(places.len());
    for (at, isolation, note) in asked {
        let question = |(topic, partition): &(String, i32)| OffsetQuestion {
            of: TopicPartition { topic: TopicRef::named(topic), partition: *partition },
            at,
            leader_epoch: None,
        };
        let found = topics.offsets(client, places.iter().map(question).collect(), isolation).await?;
        for (place, found) in places.iter().zip(found) {
            if let Ok(found) = found {
                note(all.entry(place.clone()).or_default(), found.offset, found.timestamp);
            }
        }
    }
    Ok(all)
}
