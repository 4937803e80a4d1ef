//! Records on their way out.

use std::sync::Arc;

use polder_capability::topics::{
    AbortedTransaction, Fetch, FetchAnswer, FetchPartition, Fetched, Isolation, TopicClient, TopicError, TopicResult,
    TopicRight,
};
use polder_topic_log::{Bounds, Records, Topic};

use super::check_epoch;
use crate::Streaming;
use crate::failure::of_read;
use crate::quotas::Way;

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
        let places: Vec<_> = sources.iter().flatten().map(|(topic, partition)| (topic.id, *partition)).collect();
        let clock = &self.inner.clock;
        let wait = chrono::TimeDelta::from_std(fetch.wait_max).unwrap_or(chrono::TimeDelta::MAX);
        let until = clock.now().checked_add_signed(wait).unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        let mut deadline = clock.sleep_until(until);
        let mut last = fetch.wait_max.is_zero() || fetch.bytes_min == 0 || places.is_empty();
        loop {
            // Before the look, so that what comes behind it is not missed.
            let growth = self.inner.log.appended(&places);
            let (results, bytes) = self.read_once(fetch, &sources).await;
            let enough = bytes >= fetch.bytes_min as usize || results.iter().any(Result::is_err);
            if enough || last {
                let throttle = self.inner.quotas.take(Way::Out, client, bytes, self.now_ms());
                return Ok(FetchAnswer { throttle, results });
            }
            tokio::select! {
                () = growth.wait() => {}
                () = &mut deadline => last = true,
            }
        }
    }

    /// Reads what there is now, and says how many bytes that is.
    async fn read_once(&self, fetch: &Fetch, sources: &[Source]) -> (Vec<TopicResult<Fetched>>, usize) {
        let bytes_max = fetch.bytes_max.min(self.inner.options.fetch_bytes_max) as usize;
        let mut bytes = 0;
        let mut results = Vec::with_capacity(sources.len());
        for (partition, source) in fetch.partitions.iter().zip(sources) {
            let left = bytes_max.saturating_sub(bytes);
            let result = match source {
                Ok((topic, number)) => self.read_partition(fetch, partition, topic, *number, left, bytes == 0).await,
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
