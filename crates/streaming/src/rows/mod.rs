//! Topics as tables.

mod damaged;
mod gather;
mod read;
mod text;

use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::schemas::ValueSchemas;
use polder_capability::topics::{
    DamagedRecords, TopicPart, TopicRight, TopicRights, TopicRows, TopicScan, TopicTable, TopicThing, topic_schema,
};
use polder_capability::{BatchStream, Caller};
use polder_topic_log::{Log, ReadError, Topic};
use polder_types::{Error, ErrorKind, Result};

use crate::Streaming;

/// The records of topics as rows.
#[derive(Clone)]
pub struct LogRows {
    log: Log,
    rights: Arc<dyn TopicRights>,
    schemas: Option<Arc<dyn ValueSchemas>>,
}

impl LogRows {
    /// `schemas`: who reads values that say by which schema they were written. Without it they are bytes like others.
    #[must_use]
    pub fn new(topics: &Streaming, schemas: Option<Arc<dyn ValueSchemas>>) -> Self {
        let inner = &topics.inner;
        Self { log: inner.log.clone(), rights: Arc::clone(&inner.rights), schemas }
    }

    fn readable(&self, caller: &Caller, topic: &str) -> Option<Arc<Topic>> {
        let may = self.rights.may(caller, TopicRight::Read, TopicThing::Topic(topic));
        may.then(|| self.log.topic(topic)).flatten()
    }

    fn table(&self, topic: &Topic) -> TopicTable {
        TopicTable {
            name: topic.name.as_str().into(),
            id: topic.id,
            partitions: i32::try_from(topic.partitions).unwrap_or(i32::MAX),
            is_compacted: topic.settings.compact,
            held_bytes: self.log.held_bytes(topic.id),
        }
    }

    async fn part(&self, topic: &Topic, partition: i32, scan: &TopicScan) -> Result<Option<TopicPart>> {
        let gone = || unknown(&topic.name);
        let number = u32::try_from(partition).map_err(|_| gone())?;
        let bounds = self.log.bounds(topic.id, number).ok_or_else(gone)?;
        let mut from = scan.from_offset.unwrap_or(0).max(bounds.log_start_offset);
        let mut to = bounds.last_stable_offset.min(scan.to_offset.unwrap_or(i64::MAX));
        if let Some(least) = scan.from_ms.filter(|_| from < to) {
            let found = self.log.offset_for_time(topic.id, number, least).await;
            // Nothing before it is so late. What may come later is only known of a part that has an end.
            let first = found.map_err(|error| of_read(&topic.name, error))?.map(|found| found.offset);
            from = from.max(first.unwrap_or(to));
        }
        if scan.follow {
            to = scan.to_offset.unwrap_or(i64::MAX);
        } else if from >= to {
            return Ok(None);
        }
        let to = (to < i64::MAX).then_some(to);
        let is_dense = scan.from_ms.is_none() && scan.to_ms.is_none() && !topic.settings.compact;
        Ok(Some(TopicPart {
            topic: topic.name.as_str().into(),
            id: topic.id,
            partition,
            from,
            to,
            from_ms: scan.from_ms,
            to_ms: scan.to_ms,
            is_dense,
            partition_bytes: self.log.partition_bytes(topic.id, number).unwrap_or_default(),
            spelled: false,
        }))
    }
}

#[async_trait]
impl TopicRows for LogRows {
    fn names(&self, caller: &Caller) -> Vec<Arc<str>> {
        let topics = self.log.topics();
        let names = topics.iter().map(|topic| topic.name.as_str());
        names.filter(|name| self.rights.may(caller, TopicRight::Read, TopicThing::Topic(name))).map(Arc::from).collect()
    }

    fn all(&self, caller: &Caller) -> Vec<TopicTable> {
        let may = |name: &str| self.rights.may(caller, TopicRight::Read, TopicThing::Topic(name));
        let topics = self.log.topics();
        topics.iter().filter(|topic| may(&topic.name)).map(|topic| self.table(topic)).collect()
    }

    fn find(&self, caller: &Caller, topic: &str) -> Option<TopicTable> {
        self.readable(caller, topic).map(|topic| self.table(&topic))
    }

    async fn scan(&self, caller: &Caller, topic: &str, scan: TopicScan) -> Result<Vec<TopicPart>> {
        let topic = self.readable(caller, topic).ok_or_else(|| unknown(topic))?;
        let mut parts = Vec::new();
        for partition in 0..i32::try_from(topic.partitions).unwrap_or(i32::MAX) {
            if scan.partitions.as_ref().is_none_or(|wanted| wanted.contains(&partition)) {
                parts.extend(self.part(&topic, partition, &scan).await?);
            }
        }
        Ok(parts)
    }

    async fn damaged(&self, part: &TopicPart) -> Result<Option<DamagedRecords>> {
        damaged::first(&self.log, part).await
    }

    fn read(&self, part: TopicPart, columns: Vec<usize>) -> Result<BatchStream> {
        let schema = topic_schema().project(&columns);
        let schema = schema.map_err(|error| Error::invalid(format!("a topic's table: {error}")))?;
        Ok(read::stream(self.log.clone(), self.schemas.clone(), part, columns, Arc::new(schema)))
    }
}

fn unknown(topic: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no topic {topic:?}"))
}

/// Why a topic's records cannot be read.
fn of_read(topic: &str, error: ReadError) -> Error {
    match error {
        ReadError::UnknownTopic => unknown(topic),
        ReadError::OffsetOutOfRange(_) => Error::new(ErrorKind::Unavailable, format!("topic {topic:?}: {error}")),
        ReadError::Failed(error) => error,
    }
}
