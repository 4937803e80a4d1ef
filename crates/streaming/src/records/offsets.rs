//! Places in partitions: where they begin and end, what was written when, and what is deleted.

use polder_capability::topics::{
    EpochEnd, EpochQuestion, FoundOffset, Isolation, LEADER_EPOCH, OffsetAt, OffsetQuestion, TopicClient, TopicError,
    TopicPartition, TopicResult, TopicRight,
};
use polder_topic_log::{Appended, Entry, TimedOffset};

use super::check_epoch;
use crate::Streaming;
use crate::failure::{of_append, of_read};

impl Streaming {
    pub(super) async fn offset(
        &self,
        client: &TopicClient,
        question: &OffsetQuestion,
        isolation: Isolation,
    ) -> TopicResult<FoundOffset> {
        let (topic, partition) = self.place(client, TopicRight::Describe, &question.of)?;
        check_epoch(question.leader_epoch)?;
        let log = &self.inner.log;
        let bounds = log.bounds(topic.id, partition).ok_or(TopicError::UnknownTopic)?;
        let end = match isolation {
            Isolation::Uncommitted => bounds.high_watermark,
            Isolation::Committed => bounds.last_stable_offset,
        };
        let plain = |offset| FoundOffset { offset: Some(offset), timestamp: None };
        // What is behind the end is not told to one who would not see it.
        let timed = |found: Option<TimedOffset>| match found.filter(|found| found.offset < end) {
            Some(found) => FoundOffset { offset: Some(found.offset), timestamp: Some(found.timestamp) },
            None => FoundOffset { offset: None, timestamp: None },
        };
        Ok(match question.at {
            OffsetAt::Earliest => plain(bounds.log_start_offset),
            OffsetAt::Latest => plain(end),
            OffsetAt::MaxTimestamp => {
                timed(log.max_timestamp(topic.id, partition).await.map_err(|error| of_read(&error))?)
            }
            OffsetAt::Timestamp(at_ms) => {
                timed(log.offset_for_time(topic.id, partition, at_ms).await.map_err(|error| of_read(&error))?)
            }
        })
    }

    pub(super) fn epoch_end(&self, client: &TopicClient, question: &EpochQuestion) -> TopicResult<EpochEnd> {
        let (topic, partition) = self.place(client, TopicRight::Describe, &question.of)?;
        check_epoch(question.current)?;
        let bounds = self.inner.log.bounds(topic.id, partition).ok_or(TopicError::UnknownTopic)?;
        Ok(if question.epoch == LEADER_EPOCH {
            EpochEnd { epoch: Some(LEADER_EPOCH), end_offset: bounds.high_watermark }
        } else {
            EpochEnd { epoch: None, end_offset: -1 }
        })
    }

    pub(super) async fn delete_before(
        &self,
        client: &TopicClient,
        before: &[(TopicPartition, Option<i64>)],
    ) -> TopicResult<Vec<TopicResult<i64>>> {
        let mut results = Vec::with_capacity(before.len());
        for (of, offset) in before {
            results.push(self.delete_one_before(client, of, *offset).await);
        }
        Ok(results)
    }

    async fn delete_one_before(
        &self,
        client: &TopicClient,
        of: &TopicPartition,
        before: Option<i64>,
    ) -> TopicResult<i64> {
        let (topic, partition) = self.place(client, TopicRight::Delete, of)?;
        if before.is_some_and(|before| before < 0) {
            return Err(TopicError::OffsetOutOfRange.into());
        }
        let entry = Entry::DeleteRecords { topic: topic.id, partition, before: before.unwrap_or(-1) };
        let appended = self.inner.log.append(vec![entry]).await.map_err(of_append)?;
        match appended.first() {
            Some(Appended::RecordsDeleted { log_start_offset }) => Ok(*log_start_offset),
            _ => Err(TopicError::Internal.into()),
        }
    }
}
