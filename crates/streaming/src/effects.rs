//! What a call to a coordinator comes to, beside its answer.

use std::fmt;

use polder_capability::topics::{Joined, Producer, SyncedGroup, TopicError, TopicResult};
use polder_topic_log::Entry;

/// Ids of the requests whose answers wait.
pub type Ticket = u64;

/// What one call was about: if it could not be written, all that was said about the same thing at that time is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Group(String),
    Transaction(String),
    /// The producer ids that are set aside.
    ProducerIds,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group {name}"),
            Self::Transaction(id) => write!(f, "transactional id {id}"),
            Self::ProducerIds => f.write_str("producer ids"),
        }
    }
}

/// What has to be written before any answer leaves, and the answers to others that waited.
#[derive(Debug, Default)]
pub struct Effects {
    /// One append.
    pub entries: Vec<Entry>,
    pub about: Vec<Subject>,
    pub joined: Vec<(Ticket, Result<Joined, TopicError>)>,
    pub synced: Vec<(Ticket, Result<SyncedGroup, TopicError>)>,
    /// Ends of transactions, and identities that waited for one.
    pub ended: Vec<(Ticket, TopicResult<Producer>)>,
}

impl Effects {
    #[must_use]
    pub fn of_group(name: &str) -> Self {
        Self { about: vec![Subject::Group(name.to_owned())], ..Self::default() }
    }

    #[must_use]
    pub fn of_transaction(id: &str) -> Self {
        Self { about: vec![Subject::Transaction(id.to_owned())], ..Self::default() }
    }

    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.about.extend(other.about);
        self.joined.extend(other.joined);
        self.synced.extend(other.synced);
        self.ended.extend(other.ended);
    }
}
