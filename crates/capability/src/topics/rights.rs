//! Who may do what with topics, groups and transactions.

use async_trait::async_trait;
use polder_types::Result;
use uuid::Uuid;

use crate::Caller;
use crate::topics::TopicClient;

/// What is done. Whoever may change a thing or what is in it may also know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicRight {
    /// To know of it.
    Describe,
    Read,
    Write,
    Create,
    Delete,
    /// To change its settings.
    Alter,
}

impl TopicRight {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Describe, Self::Read, Self::Write, Self::Create, Self::Delete, Self::Alter];
}

/// With what it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicThing<'a> {
    Topic(&'a str),
    Group(&'a str),
    /// By its transactional id.
    Transaction(&'a str),
    /// The server as a whole: topics that there are not yet, quotas, settings.
    Server,
}

/// The one permission check of topics, whatever protocol is spoken.
#[async_trait]
pub trait TopicRights: Send + Sync {
    /// It is asked for every topic of every request, so it looks at nothing but memory.
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool;

    /// Somebody was refused what they asked for. Told of each such request, so it waits for nothing.
    fn refused(&self, client: &TopicClient, right: TopicRight, thing: TopicThing<'_>);

    /// A topic is about to be made, and belongs to whoever makes it. Asked before it is there, so that none is there without
    /// its owner.
    ///
    /// # Errors
    /// When it cannot be written down: the topic is not made then.
    async fn making(&self, _caller: &Caller, _topic: &str, _id: Uuid) -> Result<()> {
        Ok(())
    }

    /// A topic is gone, and who might do what with it is of no use any more. What cannot be forgotten now is so at the next
    /// start: ids are never given twice.
    async fn deleted(&self, _id: Uuid) {}
}

/// The names and ids of all topics that there are, for whoever decides about rights: nobody is asked for any.
pub trait TopicNames: Send + Sync {
    /// From memory.
    fn id_of(&self, topic: &str) -> Option<Uuid>;

    /// In the order of names.
    fn all(&self) -> Vec<(String, Uuid)>;
}

/// What somebody who is no owner may do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicGrant {
    /// To read its records: SELECT.
    Read,
    /// To write records: INSERT.
    Write,
    /// To know of it: USAGE, which comes with each of the others.
    Describe,
}

impl TopicGrant {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Describe];

    /// The right's name in SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "SELECT",
            Self::Write => "INSERT",
            Self::Describe => "USAGE",
        }
    }
}

/// To whom something is granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grantee {
    Everybody,
    Role(String),
}

/// What is in effect on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAcl {
    pub topic: String,
    /// The role that it belongs to, which changes and deletes it, and grants what others may.
    pub owner: String,
    /// What the owner may beside that: all, as long as it has not taken anything from itself.
    pub of_owner: Vec<TopicGrant>,
    /// What others may, each once.
    pub granted: Vec<(Grantee, TopicGrant)>,
}

/// What is in effect on topics, and on what comes with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicAcls {
    /// In the order of names.
    pub topics: Vec<TopicAcl>,
    /// Nothing is left out. Otherwise there are only the topics that belong to whoever asks.
    pub is_all: bool,
    /// What roles may do with every topic.
    pub everywhere: Vec<(String, TopicGrant)>,
    /// The roles that may use the groups that are named after them.
    pub groups: Vec<String>,
    /// The roles that may use the transactional ids that are named after them.
    pub transactions: Vec<String>,
}

/// A change of who may do what with one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicGrantChange {
    pub topic: String,
    pub grantee: Grantee,
    pub rights: Vec<TopicGrant>,
    /// Taken away rather than given, with what the role has granted on by it.
    pub revokes: bool,
}

/// What of topics is granted to whom, the same as in SQL.
#[async_trait]
pub trait TopicGrants: Send + Sync {
    /// What is in effect on the topics that belong to the caller; for superusers on all. From memory.
    ///
    /// # Errors
    /// `Forbidden` for somebody to whom none belongs.
    fn list(&self, caller: &Caller) -> Result<TopicAcls>;

    /// Grants or revokes, durably. Each change is by itself.
    ///
    /// # Errors
    /// `Forbidden` for whom the topic does not belong to, whether it is there or not; `NotFound` for a topic or a role that is
    /// not there; `Conflict` for rights that go on, since others have granted them too.
    async fn change(&self, caller: &Caller, change: &TopicGrantChange) -> Result<()>;
}
