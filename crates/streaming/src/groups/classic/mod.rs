//! One classic group: members join, one of them assigns, all sync. A machine without input and output: time is handed in,
//! and answers that wait come out of the call that settles them.

mod join;
mod kept;
mod members;
mod rebalance;
mod sync;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use polder_capability::topics::{GroupState, Joined, SyncedGroup, TopicError};

use crate::effects::Ticket;

/// Times within which a group works, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct ClassicLimits {
    pub session_ms_min: i64,
    pub session_ms_max: i64,
    /// How long an empty group waits for more members before its first generation.
    pub initial_delay_ms: i64,
    /// How long a new member may wait for a generation before it is taken for gone.
    pub new_member_ms: i64,
    pub members_max: usize,
    /// Bytes that a member tells its leader, in all ways to divide together.
    pub metadata_bytes_max: usize,
    /// Bytes that all members together tell, and that they are given.
    pub group_bytes_max: usize,
}

impl Default for ClassicLimits {
    fn default() -> Self {
        Self {
            session_ms_min: 6_000,
            session_ms_max: 1_800_000,
            initial_delay_ms: 3_000,
            new_member_ms: 300_000,
            members_max: 2_000,
            metadata_bytes_max: 1 << 20,
            group_bytes_max: 16 << 20,
        }
    }
}

/// What a call came to.
#[derive(Debug, Default)]
pub struct Turn {
    pub joined: Vec<(Ticket, Result<Joined, TopicError>)>,
    pub synced: Vec<(Ticket, Result<SyncedGroup, TopicError>)>,
    /// Whether the group has to be written before any answer leaves.
    pub changed: bool,
}

impl Turn {
    fn merge(&mut self, other: Self) {
        self.joined.extend(other.joined);
        self.synced.extend(other.synced);
        self.changed |= other.changed;
    }
}

#[derive(Debug, Clone)]
pub struct ClassicMember {
    pub instance_id: Option<String>,
    pub client_id: Arc<str>,
    pub host: Arc<str>,
    pub protocols: Vec<(String, Bytes)>,
    pub session_ms: i64,
    pub rebalance_ms: i64,
    pub assignment: Bytes,
    /// When it is taken for gone, unless it is heard of or waits.
    expires_at: i64,
    /// It has been in no generation yet: even while it waits it may be gone.
    new: bool,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
}

impl ClassicMember {
    fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    fn waits(&self) -> bool {
        (self.joining.is_some() && !self.new) || self.syncing.is_some()
    }
}

/// When a rebalance that has begun goes on without those that are missing.
#[derive(Debug, Clone, Copy)]
struct JoinDeadline {
    at: i64,
    /// For the first generation of an empty group: what may still be added to the wait, and whether somebody came.
    initial: Option<InitialDelay>,
}

#[derive(Debug, Clone, Copy)]
struct InitialDelay {
    left_ms: i64,
    grown: bool,
}

#[derive(Debug)]
pub struct ClassicGroup {
    limits: ClassicLimits,
    pub state: GroupState,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// Since when it is in its state, in milliseconds.
    pub since_ms: i64,
    members: BTreeMap<String, ClassicMember>,
    instances: HashMap<String, String>,
    /// Ids that were given out and have not come back, and until when they may.
    pending: BTreeMap<String, i64>,
    join_deadline: Option<JoinDeadline>,
    /// Until when all members of a generation have to have synced.
    sync_deadline: Option<i64>,
}

impl ClassicGroup {
    #[must_use]
    pub fn new(limits: ClassicLimits, now_ms: i64) -> Self {
        Self {
            limits,
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            since_ms: now_ms,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            pending: BTreeMap::new(),
            join_deadline: None,
            sync_deadline: None,
        }
    }

    pub fn members(&self) -> impl Iterator<Item = (&String, &ClassicMember)> {
        self.members.iter()
    }

    /// Whether nobody is in it, or on the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    fn enter(&mut self, state: GroupState, now_ms: i64) {
        self.state = state;
        self.since_ms = now_ms;
    }

    /// What a member tells the others, and what it was given, for `DescribeGroups`.
    #[must_use]
    pub fn metadata_of(&self, member: &ClassicMember) -> Bytes {
        match (&self.protocol, self.state) {
            (Some(protocol), GroupState::Stable) => member.metadata(protocol),
            _ => Bytes::new(),
        }
    }

    /// Checks that somebody speaks for a member that is here.
    ///
    /// # Errors
    /// `UnknownMember`; `FencedInstance` if another has taken the instance's place.
    pub fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), TopicError> {
        if let Some(instance) = instance_id {
            match self.instances.get(instance) {
                None => return Err(TopicError::UnknownMember),
                Some(current) if current != member_id => return Err(TopicError::FencedInstance),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(TopicError::UnknownMember) }
    }

    /// Whether a commit of offsets is taken, which also says that the member lives. Without a member and generation it is of
    /// somebody outside, who may commit only while nobody is in.
    ///
    /// # Errors
    /// `UnknownMember`, `FencedInstance`, `IllegalGeneration`, `RebalanceInProgress`.
    pub fn check_commit(
        &mut self,
        now_ms: i64,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        transactional: bool,
    ) -> Result<(), TopicError> {
        if self.state == GroupState::Dead {
            return Err(TopicError::Unavailable);
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            let open = self.state == GroupState::Empty || transactional;
            return if open { Ok(()) } else { Err(TopicError::UnknownMember) };
        }
        self.check_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(TopicError::IllegalGeneration);
        }
        if self.state == GroupState::CompletingRebalance && !transactional {
            return Err(TopicError::RebalanceInProgress);
        }
        self.heard_of(now_ms, member_id);
        Ok(())
    }

    fn heard_of(&mut self, now_ms: i64, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.expires_at = now_ms + member.session_ms;
        }
    }
}

#[cfg(test)]
mod tests;
