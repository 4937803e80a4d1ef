//! One group whose partitions the server divides (KIP-848). A machine without input and output: time and the topics that
//! there are are handed in.
//!
//! The group has an *epoch*, which grows when its members, their wishes or the topics change; the *target* says who is to
//! have what in that epoch; each member goes there by itself: it gives back what is not its own any more, and only then
//! takes on what others have given back.

mod assignors;
mod heartbeat;
mod kept;
mod partitions;
mod reconcile;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use polder_capability::topics::{GroupState, TopicError};
use regex::Regex;
use uuid::Uuid;

pub use assignors::{ASSIGNORS, Assignor};
pub(crate) use heartbeat::assignment;
pub use kept::Keep;
pub use partitions::Partitions;

/// Times and bounds, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerLimits {
    pub session_ms: i64,
    pub heartbeat_ms: i64,
    pub members_max: usize,
    pub topics_max: usize,
    /// Bytes of a regular expression.
    pub regex_bytes_max: usize,
}

impl Default for ConsumerLimits {
    fn default() -> Self {
        Self { session_ms: 45_000, heartbeat_ms: 5_000, members_max: 2_000, topics_max: 10_000, regex_bytes_max: 1_024 }
    }
}

/// The topics that there are, as far as the one who asks may know of them.
pub trait Topology {
    /// Another one after each change.
    fn version(&self) -> u64;

    /// A topic's id and number of partitions.
    fn topic(&self, name: &str) -> Option<(Uuid, u32)>;

    fn matching(&self, regex: &Regex) -> Vec<String>;
}

/// How far a member is on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Stable,
    /// It has to give partitions back first.
    Revoking,
    /// Others have not yet given back what it is to have.
    Waiting,
}

/// The epoch of a static member that has left for a while.
pub const AWAY: i32 = -2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub client_id: Arc<str>,
    pub host: Arc<str>,
    pub rebalance_ms: i64,
    pub topics: BTreeSet<String>,
    pub regex: Option<String>,
    /// What the regular expression comes to.
    pub found: BTreeSet<String>,
    pub assignor: Option<Assignor>,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub progress: Progress,
    /// What it has, and may read.
    pub assigned: Partitions,
    /// What it has, and is to give back.
    pub revoking: Partitions,
    pub target: Partitions,
    expires_at: i64,
    revoke_by: Option<i64>,
    /// The version of the topics at which the expression was last looked at.
    found_at: Option<u64>,
}

impl Member {
    fn wishes(&self) -> impl Iterator<Item = &String> {
        self.topics.iter().chain(self.found.iter().filter(|name| !self.topics.contains(*name)))
    }
}

#[derive(Debug)]
pub struct ConsumerGroup {
    limits: ConsumerLimits,
    pub epoch: i32,
    /// The epoch that the targets are of.
    pub target_epoch: i32,
    pub since_ms: i64,
    pub members: BTreeMap<String, Member>,
    instances: HashMap<String, String>,
    /// Who has each partition, be it to give it back.
    owners: HashMap<(Uuid, i32), String>,
    /// The topics that members read, as they were when the epoch began.
    seen: BTreeMap<String, (Uuid, u32)>,
    seen_at: Option<u64>,
    /// Members that are to be written or forgotten, and whether the group itself is.
    changed: BTreeSet<String>,
    header_changed: bool,
}

impl ConsumerGroup {
    #[must_use]
    pub fn new(limits: ConsumerLimits, now_ms: i64) -> Self {
        Self {
            limits,
            epoch: 0,
            target_epoch: 0,
            since_ms: now_ms,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            owners: HashMap::new(),
            seen: BTreeMap::new(),
            seen_at: None,
            changed: BTreeSet::new(),
            header_changed: false,
        }
    }

    #[must_use]
    pub fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.target_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| {
            member.epoch == AWAY || (member.epoch == self.target_epoch && member.progress == Progress::Stable)
        }) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// The way to divide that most members ask for.
    #[must_use]
    pub fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.values().max().copied();
        votes.into_iter().find(|(_, count)| Some(*count) == most).map(|(assignor, _)| assignor).unwrap_or_default()
    }

    /// Whether a member reads a topic.
    #[must_use]
    pub fn reads(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.wishes().any(|wish| wish == topic))
    }

    /// Whether an answer about the group's offsets, or a commit of some, is a member's own. Without a member it is of somebody
    /// outside, who may commit only while nobody is in.
    ///
    /// # Errors
    /// `UnknownMember`, `StaleMemberEpoch`.
    pub fn check_epoch(&self, member_id: &str, epoch: i32) -> Result<(), TopicError> {
        if epoch < 0 && member_id.is_empty() {
            return if self.members.is_empty() { Ok(()) } else { Err(TopicError::UnknownMember) };
        }
        let member = self.members.get(member_id).ok_or(TopicError::UnknownMember)?;
        if member.epoch == epoch { Ok(()) } else { Err(TopicError::StaleMemberEpoch) }
    }

    /// When something happens by time alone, at the earliest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.members.values().flat_map(|member| [Some(member.expires_at), member.revoke_by]).flatten().min()
    }

    /// Members that were silent for too long, or did not give back what they were to, are out.
    pub fn tick(&mut self, now_ms: i64) {
        let late = |member: &Member| member.expires_at <= now_ms || member.revoke_by.is_some_and(|by| by <= now_ms);
        let gone: Vec<String> = self.members.iter().filter(|(_, m)| late(m)).map(|(id, _)| id.clone()).collect();
        for id in &gone {
            self.remove(now_ms, id);
        }
    }

    fn remove(&mut self, now_ms: i64, member_id: &str) {
        if !self.members.contains_key(member_id) {
            return;
        }
        self.drop_member(member_id);
        self.changed.insert(member_id.to_owned());
        self.next_epoch();
        if self.members.is_empty() {
            self.since_ms = now_ms;
        }
    }

    fn drop_member(&mut self, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else { return };
        for (topic, partition) in member.assigned.iter().chain(member.revoking.iter()) {
            self.disown(member_id, (topic, partition));
        }
        if let Some(instance) = member.instance
            && self.instances.get(&instance).is_some_and(|current| current == member_id)
        {
            self.instances.remove(&instance);
        }
    }

    fn disown(&mut self, member_id: &str, place: (Uuid, i32)) {
        if self.owners.get(&place).is_some_and(|owner| owner == member_id) {
            self.owners.remove(&place);
        }
    }

    /// Begins an epoch. All that changes before the targets of one are said belongs to the same one.
    fn next_epoch(&mut self) {
        if self.epoch == self.target_epoch {
            self.epoch = self.epoch.saturating_add(1);
        }
        self.header_changed = true;
    }
}

#[cfg(test)]
mod tests;
