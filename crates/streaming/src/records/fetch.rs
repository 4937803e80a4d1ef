//! Records on their way out.

use std::sync::Arc;

use polder_capability::topics::{
    AbortedTransaction, Fetch, FetchAnswer, FetchPartition, Fetched, HeldRoom, Isolation, TopicClient, TopicError,
    TopicResult, TopicRight,
};
use polder_topic_log::{Bounds, Records, Topic};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::check_epoch;
use crate::Streaming;
use crate::failure::of_read;
use crate::quotas::Way;

/// What one permit of the memory for answers stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// An answer that has to wait for memory waits for so much.
const LEAST_BYTES: usize = 256 << 10;

/// Permits for so many bytes.
pub(crate) fn fetch_permits(bytes: usize) -> usize {
    bytes.div_ceil(PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

/// Memory that an answer may take.
#[derive(Debug, Default)]
struct Room {
    /// Whether there may be records.
    any: bool,
    /// Bytes of them. One batch may be larger.
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Gives back what an answer of so many bytes does not take.
    fn shrink(&mut self, bytes: usize) {
        if bytes == 0 {
            self.permit = None;
        } else if let Some(permit) = &mut self.permit {
            let left = permit.num_permits().saturating_sub(fetch_permits(bytes));
            drop(permit.split(left));
        }
    }
}

/// A partition to be read, if it may be.
type Source = Result<(Arc<Topic>, u32), TopicError>;

impl Streaming {
    pub(super) async fn read(&self, client: &TopicClient, fetch: &Fetch) -> TopicResult<FetchAnswer> {
        let source = |partition: &FetchPartition| -> Source {
            let source = self.place(client, TopicRight::Read, &partition.from)?;
            check_epoch(partition.leader_epoch)?;
            Ok(source)
        };
        let sources: Vec<Source> = fetch.partitions.iter().map(source).collect();
        // Whoever has overdrawn a quota gets no records before it is even, on another connection neither.
        let throttle = self.inner.quotas.take(Way::Out, client, 0, self.now_ms());
        if !throttle.is_zero() {
            let (results, _) = self.read_once(fetch, &sources, &Room::default()).await;
            return Ok(FetchAnswer { throttle, results, room: HeldRoom::default() });
        }
        let places: Vec<_> = sources.iter().flatten().map(|(topic, partition)| (topic.id, *partition)).collect();
        let clock = &self.inner.clock;
        let wait = chrono::TimeDelta::from_std(fetch.wait_max).unwrap_or(chrono::TimeDelta::MAX);
        let until = clock.now().checked_add_signed(wait).unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        let mut deadline = clock.sleep_until(until);
        let mut last = fetch.wait_max.is_zero() || fetch.bytes_min == 0 || places.is_empty();
        loop {
            // Before the look, so that what comes behind it is not missed.
            let growth = self.inner.log.appended(&places);
            let mut room = tokio::select! {
                biased;
                room = self.room(fetch, &sources, !last) => room,
                // The others' answers take all the memory there is: this one has no records, and is asked for again.
                () = &mut deadline, if !last => {
                    last = true;
                    Room::default()
                }
            };
            let (results, bytes) = self.read_once(fetch, &sources, &room).await;
            let enough = bytes >= fetch.bytes_min as usize || results.iter().any(Result::is_err);
            if enough || last {
                let throttle = self.inner.quotas.take(Way::Out, client, bytes, self.now_ms());
                room.shrink(bytes);
                return Ok(FetchAnswer { throttle, results, room: HeldRoom::of(room.permit) });
            }
            drop(room);
            tokio::select! {
                () = growth.wait() => {}
                () = &mut deadline => last = true,
            }
        }
    }

    /// Memory for an answer: as much as it may have, or less while others take much, but some in any case, which is waited for
    /// by those who `may_wait`. None where there is nothing to read.
    async fn room(&self, fetch: &Fetch, sources: &[Source], may_wait: bool) -> Room {
        let most = fetch.bytes_max.min(self.inner.options.fetch_bytes_max) as usize;
        let there: usize = fetch
            .partitions
            .iter()
            .zip(sources)
            .filter(|(partition, source)| self.has_records(partition, source))
            .map(|(partition, _)| partition.bytes_max as usize)
            .sum();
        if there == 0 {
            return Room { any: true, bytes: most, permit: None };
        }
        let all = fetch_permits(self.inner.options.all_fetch_bytes_max);
        let least = fetch_permits(LEAST_BYTES).min(all);
        let mut permits = fetch_permits(there.min(most)).clamp(least, all);
        loop {
            let count = u32::try_from(permits).unwrap_or(u32::MAX);
            let fetching = Arc::clone(&self.inner.fetching);
            let taken = match fetching.try_acquire_many_owned(count) {
                Ok(permit) => Some(permit),
                Err(_) if permits > least => {
                    permits = (permits / 2).max(least);
                    continue;
                }
                Err(_) if !may_wait => return Room::default(),
                // It is never closed.
                Err(_) => Arc::clone(&self.inner.fetching).acquire_many_owned(count).await.ok(),
            };
            return Room { any: true, bytes: most.min(permits.saturating_mul(PERMIT_BYTES)), permit: taken };
        }
    }

    fn has_records(&self, partition: &FetchPartition, source: &Source) -> bool {
        let Ok((topic, number)) = source else { return false };
        let bounds = self.inner.log.bounds(topic.id, *number);
        bounds.is_some_and(|bounds| (bounds.log_start_offset..bounds.high_watermark).contains(&partition.offset))
    }

    /// Reads what there is now, and says how many bytes that is.
    async fn read_once(&self, fetch: &Fetch, sources: &[Source], room: &Room) -> (Vec<TopicResult<Fetched>>, usize) {
        let bytes_max = room.bytes;
        let mut bytes = 0;
        let mut results = Vec::with_capacity(sources.len());
        for (partition, source) in fetch.partitions.iter().zip(sources) {
            let left = bytes_max.saturating_sub(bytes);
            let result = match source {
                Ok((topic, number)) => {
                    let first = bytes == 0 && room.any;
                    self.read_partition(fetch, partition, topic, *number, left, first).await
                }
                Err(error) => Err((*error).into()),
            };
            if let Ok(fetched) = &result {
                bytes += fetched.batches.iter().map(bytes::Bytes::len).sum::<usize>();
            }
            results.push(result);
        }
        (results, bytes)
    }

    /// `left`: bytes that the answer has room for. `first`: nothing is in it yet, so that one batch goes in however large.
    async fn read_partition(
        &self,
        fetch: &Fetch,
        partition: &FetchPartition,
        topic: &Topic,
        number: u32,
        left: usize,
        first: bool,
    ) -> TopicResult<Fetched> {
        let log = &self.inner.log;
        let bounds = log.bounds(topic.id, number).ok_or(TopicError::UnknownTopic)?;
        let (isolation, end) = match fetch.isolation {
            Isolation::Uncommitted => (polder_topic_log::Isolation::Uncommitted, bounds.high_watermark),
            Isolation::Committed => (polder_topic_log::Isolation::Committed, bounds.last_stable_offset),
        };
        let in_range = (bounds.log_start_offset..=bounds.high_watermark).contains(&partition.offset);
        if in_range && (partition.offset >= end || (left == 0 && !first)) {
            return Ok(fetched(Records { bounds, ..Records::default() }));
        }
        let most = left.min(partition.bytes_max as usize);
        let read = log.read(topic.id, number, partition.offset, most, isolation).await;
        let records = read.map_err(|error| of_read(&error))?;
        if records.bytes() > left && !first {
            return Ok(fetched(Records { bounds: records.bounds, ..Records::default() }));
        }
        Ok(fetched(records))
    }
}

fn fetched(records: Records) -> Fetched {
    let Bounds { log_start_offset, high_watermark, last_stable_offset } = records.bounds;
    let aborted = records
        .aborted
        .iter()
        .map(|aborted| AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset });
    let aborted = aborted.collect();
    Fetched { high_watermark, last_stable_offset, log_start_offset, aborted, batches: records.batches }
}
