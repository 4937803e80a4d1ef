//! The log, as those above use it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use polder_runtime::Clock;
use polder_types::{Error, Result};
use tokio::sync::watch;
use uuid::Uuid;

use crate::entry::{AppendError, Appended, Entry};
use crate::options::{LogOptions, Recovered};
use crate::records::{Bounds, Isolation, ReadError, Records, TimedOffset};
use crate::topic::Topic;

/// One log for all topics. All clones are one.
#[derive(Clone, Debug)]
pub struct Log {
    topics_version: Arc<watch::Sender<u64>>,
}

/// Ends when one of some partitions has grown, or its last stable offset has moved. Made by [`Log::appended`] *before*
/// the read that finds too little, so that nothing is missed in between.
#[derive(Debug)]
pub struct Growth {}

impl Growth {
    /// Waits. Cheap to drop.
    pub async fn wait(&self) {
        std::future::pending::<()>().await;
    }
}

impl Log {
    /// Opens the log in a directory, or makes one. It is locked until the last clone is gone or [`Log::close`] is done.
    ///
    /// # Errors
    /// `Unavailable` when somebody else has it open, `Corrupt` when something acknowledged is damaged (names the file).
    pub async fn open(_dir: &Path, _options: LogOptions, _clock: Arc<dyn Clock>) -> Result<(Self, Recovered)> {
        Err(Error::unsupported("not yet"))
    }

    /// Appends all entries as one fact. When it returns, they are durable and can be read. Entries see those before
    /// them: a topic can be created and written to in one append.
    ///
    /// # Errors
    /// One entry was refused, or the disk failed.
    pub async fn append(&self, _entries: Vec<Entry>) -> Result<Vec<Appended>, AppendError> {
        Err(AppendError::Failed(Error::unsupported("not yet")))
    }

    /// Appends each entry as a fact of its own, in order, with one wait for all: what a produce request does.
    pub async fn append_each(&self, entries: Vec<Entry>) -> Vec<Result<Appended, AppendError>> {
        entries.iter().map(|_| Err(AppendError::Failed(Error::unsupported("not yet")))).collect()
    }

    /// The live values of a space, ordered by key.
    #[must_use]
    pub fn state(&self, _space: u8) -> Vec<(Bytes, Bytes)> {
        Vec::new()
    }

    /// One value of a space.
    #[must_use]
    pub fn state_of(&self, _space: u8, _key: &[u8]) -> Option<Bytes> {
        None
    }

    /// All topics, ordered by name.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        Vec::new()
    }

    /// A topic by its name.
    #[must_use]
    pub fn topic(&self, _name: &str) -> Option<Arc<Topic>> {
        None
    }

    /// A topic by its id.
    #[must_use]
    pub fn topic_by_id(&self, _id: Uuid) -> Option<Arc<Topic>> {
        None
    }

    /// Counts up with each change of a topic.
    #[must_use]
    pub fn topics_changed(&self) -> watch::Receiver<u64> {
        self.topics_version.subscribe()
    }

    /// Batches from an offset on, about `bytes_max` of them, but always one if there is one. An offset at the end gives
    /// none.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read(
        &self,
        _topic: Uuid,
        _partition: u32,
        _offset: i64,
        _bytes_max: usize,
        _isolation: Isolation,
    ) -> Result<Records, ReadError> {
        Err(ReadError::UnknownTopic)
    }

    /// The offsets that a partition has; `None` if there is no such partition.
    #[must_use]
    pub fn bounds(&self, _topic: Uuid, _partition: u32) -> Option<Bounds> {
        None
    }

    /// Bytes that a partition's records take in the log; `None` if there is no such partition.
    #[must_use]
    pub fn partition_bytes(&self, _topic: Uuid, _partition: u32) -> Option<u64> {
        None
    }

    /// The first record with a timestamp (milliseconds) of at least this; `None` if there is none.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn offset_for_time(
        &self,
        _topic: Uuid,
        _partition: u32,
        _timestamp: i64,
    ) -> Result<Option<TimedOffset>, ReadError> {
        Err(ReadError::UnknownTopic)
    }

    /// The record with the greatest timestamp, the first of those; `None` if there is none.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn max_timestamp(&self, _topic: Uuid, _partition: u32) -> Result<Option<TimedOffset>, ReadError> {
        Err(ReadError::UnknownTopic)
    }

    /// Something to wait for: growth of any of these partitions from now on. Those that do not exist are passed over.
    #[must_use]
    pub fn appended(&self, _partitions: &[(Uuid, u32)]) -> Growth {
        Growth {}
    }

    /// What is due now: retention, compaction, rewriting and removal of old segments. To be called every few seconds
    /// to minutes; it does a bounded amount of work and says whether there is more.
    ///
    /// # Errors
    /// The disk failed; the log is as before, and the next call tries again.
    pub async fn housekeeping(&self) -> Result<bool> {
        Ok(false)
    }

    /// Reads every sealed segment and checks every byte of it.
    ///
    /// # Errors
    /// `Corrupt`, naming the first damaged segment and place.
    pub async fn scrub(&self) -> Result<u64> {
        Ok(0)
    }

    /// Ends the writing, with all that was queued, and frees the directory. Later appends fail.
    ///
    /// # Errors
    /// The last sync failed.
    pub async fn close(&self) -> Result<()> {
        Ok(())
    }
}
