//! Records that retention must not delete, since they are not kept elsewhere yet.

use std::collections::BTreeMap;

use async_trait::async_trait;
use polder_types::Result;
use uuid::Uuid;

/// A topic whose records are kept elsewhere, and up to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTopic {
    pub topic: String,
    /// By topic's id and partition: the first offset that must stay in the log. All stays of a partition that is not named, and so
    /// of a topic that was made anew.
    pub next: BTreeMap<(Uuid, i32), i64>,
    /// Bytes that may stay in the log for this beyond the topic's retention; of more, the oldest go. `None`: without bound.
    pub held_bytes_max: Option<u64>,
}

/// Whoever keeps records of topics elsewhere.
#[async_trait]
pub trait TopicKeeper: Send + Sync {
    /// All topics that are kept.
    ///
    /// # Errors
    /// It is not known now, so nothing may be deleted.
    async fn kept(&self) -> Result<Vec<KeptTopic>>;
}
