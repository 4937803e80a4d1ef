//! Who may do what with topics, groups and transactions.

use crate::Caller;

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
pub trait TopicRights: Send + Sync {
    /// It is asked for every topic of every request, so it looks at nothing but memory.
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool;
}
