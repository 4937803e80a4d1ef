use std::collections::BTreeMap;
use std::sync::OnceLock;

use uuid::Uuid;

use super::{DeliveryOffset, TableTarget};

/// The delivery that keeps a topic's records in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicHistory {
    /// The delivery's id, under which it is kept how far it has come.
    pub delivery: Uuid,
    /// Its table: a topic's columns, and the topic's id as text in [`TopicHistory::ID`].
    pub table: TableTarget,
}

impl TopicHistory {
    /// The column that says of which topic a row is, since one of the same name may have been there before.
    pub const ID: &str = "topic_id";
}

/// As long as it is there, retention leaves the records of a topic that its reader takes from the log.
#[derive(Debug)]
pub struct HistoryHold {
    topic: Uuid,
    name: String,
    /// `None`: its reader takes nothing that has to be held.
    next: OnceLock<Option<Vec<DeliveryOffset>>>,
}

impl HistoryHold {
    /// Of a topic by its name and id. It holds all that there is.
    #[must_use]
    pub const fn new(name: String, topic: Uuid) -> Self {
        Self { topic, name, next: OnceLock::new() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn topic(&self) -> Uuid {
        self.topic
    }

    /// Lets go of what is behind these offsets, which are the first that are read from the log. Said once; a partition that is
    /// not named is read from its beginning.
    pub fn reads_from(&self, next: Vec<DeliveryOffset>) {
        // The first word stays, which holds more.
        let _ = self.next.set(Some(next));
    }

    /// Lets go of everything: the topic has no history. Said once, instead of where it is read from.
    pub fn lets_go(&self) {
        let _ = self.next.set(None);
    }

    /// Whether retention has to leave anything.
    #[must_use]
    pub fn holds(&self) -> bool {
        !matches!(self.next.get(), Some(None))
    }

    /// The first offsets that are held, by topic's id and partition; all is of a partition that is not named.
    #[must_use]
    pub fn places(&self) -> BTreeMap<(Uuid, i32), i64> {
        let next = self.next.get().and_then(Option::as_deref).unwrap_or_default();
        let own = next.iter().filter(|offset| offset.topic == self.topic);
        own.map(|offset| ((offset.topic, offset.partition), offset.next)).collect()
    }

    /// The first offset of a partition that is held.
    #[must_use]
    pub fn from(&self, partition: i32) -> i64 {
        let own = |offset: &&DeliveryOffset| offset.topic == self.topic && offset.partition == partition;
        match self.next.get() {
            Some(None) => i64::MAX,
            Some(Some(next)) => next.iter().find(own).map_or(0, |offset| offset.next),
            None => 0,
        }
    }
}
