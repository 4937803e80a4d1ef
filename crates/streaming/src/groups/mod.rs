//! All groups: those whose members divide, those for which the server does, and how far each has come.

mod calls;
pub mod classic;
mod commits;
pub mod consumer;
mod describe;
mod housekeeping;
mod load;
mod offsets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use polder_capability::topics::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, GroupState, JoinGroup, LeavingMember, MemberId, SyncGroup, TopicClient,
    TopicError, TopicFailure, TopicResult,
};

pub(crate) use self::calls::merged;
use self::classic::{ClassicGroup, ClassicLimits, Turn};
pub use self::commits::Commit;
use self::consumer::{ConsumerGroup, ConsumerLimits, Keep, Topology};
pub use self::offsets::{Committed, METADATA_BYTES_MAX};
use crate::effects::{Effects, Ticket};
use crate::spaces::{self, CLASSIC, CONSUMER, Place};

/// Bounds and times of groups.
#[derive(Debug, Clone, Copy)]
pub struct GroupLimits {
    pub classic: ClassicLimits,
    pub consumer: ConsumerLimits,
    pub groups_max: usize,
    /// Bytes of a group's name.
    pub name_bytes_max: usize,
    /// Partitions in which one group has an offset.
    pub offsets_max: usize,
    /// How long the offsets of a group are kept when nobody is in it, in milliseconds.
    pub offsets_retention_ms: i64,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self {
            classic: ClassicLimits::default(),
            consumer: ConsumerLimits::default(),
            groups_max: 100_000,
            name_bytes_max: 1_024,
            offsets_max: 100_000,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
        }
    }
}

/// A duration that a client told, in milliseconds; no longer than Kafka's clients can say.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::from(i32::MAX))
}

#[derive(Debug)]
enum Members {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

impl Members {
    fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.members.is_empty(),
        }
    }

    fn state(&self) -> GroupState {
        match self {
            Self::Classic(group) => group.state,
            Self::Consumer(group) => group.state(),
        }
    }
}

#[derive(Debug)]
struct Group {
    members: Members,
    offsets: BTreeMap<Place, Committed>,
    /// The transactional ids whose offsets for a partition wait.
    pending: BTreeMap<Place, BTreeSet<String>>,
}

/// What is told where no more is kept.
pub(crate) const FULL: &str =
    "groups and transactions keep as much as this server has memory for; delete groups that nobody needs";

/// All groups. A machine without input and output.
#[derive(Debug)]
pub struct Groups {
    limits: GroupLimits,
    /// What all keep is as much as may be: nothing is taken that makes it more.
    pub is_full: bool,
    groups: BTreeMap<String, Group>,
}

impl Groups {
    #[must_use]
    pub fn new(limits: GroupLimits) -> Self {
        Self { limits, is_full: false, groups: BTreeMap::new() }
    }

    fn check_name(&self, name: &str) -> Result<(), TopicError> {
        if name.is_empty() || name.len() > self.limits.name_bytes_max { Err(TopicError::InvalidGroup) } else { Ok(()) }
    }

    /// Whether there is room for a group, if there is none of the name.
    fn check_new(&self, name: &str) -> TopicResult<()> {
        if self.is_full && !self.groups.contains_key(name) {
            return Err(TopicFailure::new(TopicError::Policy, FULL));
        }
        Ok(())
    }

    /// A group, made if there is none.
    fn group(&mut self, now_ms: i64, name: &str) -> TopicResult<&mut Group> {
        self.check_name(name)?;
        if !self.groups.contains_key(name) {
            if self.groups.len() >= self.limits.groups_max {
                return Err(TopicFailure::new(TopicError::Policy, "there are as many groups as there can be"));
            }
            let members = Members::Classic(ClassicGroup::new(self.limits.classic, now_ms));
            let group = Group { members, offsets: BTreeMap::new(), pending: BTreeMap::new() };
            self.groups.insert(name.to_owned(), group);
        }
        self.groups.get_mut(name).ok_or_else(|| TopicError::UnknownGroup.into())
    }

    fn classic(&mut self, name: &str) -> Result<&mut ClassicGroup, TopicError> {
        match self.groups.get_mut(name).map(|group| &mut group.members) {
            Some(Members::Classic(group)) => Ok(group),
            Some(Members::Consumer(_)) => Err(TopicError::InconsistentProtocol),
            None => Err(TopicError::UnknownMember),
        }
    }

    /// A member joins; it is answered now or by a later call.
    pub fn join(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        client: &TopicClient,
        join: JoinGroup,
        fresh_id: &str,
    ) -> Effects {
        let name = join.group.clone();
        let mut effects = Effects::of_group(&name);
        match self.classic_to_join(now_ms, &join, &mut effects) {
            Ok(group) => {
                let turn = group.join(now_ms, ticket, client, join, fresh_id);
                self.take(&name, turn, &mut effects);
            }
            Err(error) => effects.joined.push((ticket, Err(error))),
        }
        effects
    }

    fn classic_to_join(
        &mut self,
        now_ms: i64,
        join: &JoinGroup,
        effects: &mut Effects,
    ) -> Result<&mut ClassicGroup, TopicError> {
        let limits = self.limits.classic;
        // Somebody who has an id is in a group that there is.
        if !join.member.id.is_empty() && !self.groups.contains_key(&join.group) {
            self.check_name(&join.group)?;
            return Err(TopicError::UnknownMember);
        }
        self.check_new(&join.group).map_err(|failure| failure.error)?;
        let group = self.group(now_ms, &join.group).map_err(|failure| failure.error)?;
        if let Members::Consumer(consumer) = &group.members {
            if !consumer.members.is_empty() {
                return Err(TopicError::InconsistentProtocol);
            }
            effects.entries.push(spaces::forget(CONSUMER, spaces::consumer_key(&join.group, None)));
            group.members = Members::Classic(ClassicGroup::new(limits, now_ms));
        }
        self.classic(&join.group)
    }

    /// What a classic group came to, on its way out.
    fn take(&mut self, name: &str, turn: Turn, effects: &mut Effects) {
        effects.joined.extend(turn.joined);
        effects.synced.extend(turn.synced);
        if turn.changed
            && let Ok(group) = self.classic(name)
        {
            effects.entries.push(spaces::set(CLASSIC, spaces::name_key(name), group.encode()));
        }
    }

    /// A member waits for its part; it is answered now or by a later call.
    pub fn sync(&mut self, now_ms: i64, ticket: Ticket, sync: SyncGroup) -> Effects {
        let name = sync.group.clone();
        let mut effects = Effects::of_group(&name);
        match self.check_name(&name).and_then(|()| self.classic(&name)) {
            Ok(group) => {
                let turn = group.sync(now_ms, ticket, sync);
                self.take(&name, turn, &mut effects);
            }
            Err(error) => effects.synced.push((ticket, Err(error))),
        }
        effects
    }

    /// # Errors
    /// As [`ClassicGroup::heartbeat`].
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        group: &str,
        generation: i32,
        member: &MemberId,
    ) -> Result<(), TopicError> {
        self.check_name(group)?;
        self.classic(group)?.heartbeat(now_ms, &member.id, member.instance.as_deref(), generation)
    }

    /// Members leave.
    ///
    /// # Errors
    /// `InvalidGroup`; each member has an outcome of its own.
    pub fn leave(
        &mut self,
        now_ms: i64,
        group: &str,
        members: &[LeavingMember],
    ) -> TopicResult<(Vec<TopicResult<()>>, Effects)> {
        self.check_name(group)?;
        let mut effects = Effects::of_group(group);
        let outcomes = match self.classic(group) {
            Ok(classic) => {
                let (outcomes, turn) = classic.leave(now_ms, members);
                self.take(group, turn, &mut effects);
                outcomes
            }
            Err(error) => members.iter().map(|_| Err(error)).collect(),
        };
        Ok((outcomes.into_iter().map(|outcome| outcome.map_err(Into::into)).collect(), effects))
    }

    /// A sign of life in a group for which the server divides.
    ///
    /// # Errors
    /// As [`ConsumerGroup::heartbeat`]; `UnknownGroup` for a classic group that has members.
    pub fn consumer_heartbeat(
        &mut self,
        now_ms: i64,
        client: &TopicClient,
        heartbeat: &ConsumerHeartbeat,
        fresh_id: &str,
        topology: &dyn Topology,
    ) -> TopicResult<(ConsumerHeartbeatAnswer, Effects)> {
        let name = &heartbeat.group;
        let limits = self.limits.consumer;
        let mut effects = Effects::of_group(name);
        self.check_name(name)?;
        if heartbeat.epoch != 0 && !self.groups.contains_key(name) {
            return Err(TopicError::UnknownMember.into());
        }
        self.check_new(name)?;
        let group = self.group(now_ms, name)?;
        if let Members::Classic(classic) = &group.members {
            if !classic.is_empty() {
                return Err(TopicFailure::new(
                    TopicError::UnknownGroup,
                    "the group is a classic one, whose members have to leave before others join by the consumer protocol",
                ));
            }
            effects.entries.push(spaces::forget(CLASSIC, spaces::name_key(name)));
            group.members = Members::Consumer(ConsumerGroup::new(limits, now_ms));
        }
        let Members::Consumer(consumer) = &mut group.members else { return Err(TopicError::Internal.into()) };
        let answer = consumer.heartbeat(now_ms, client, heartbeat, fresh_id, topology)?;
        keep(name, consumer, &mut effects);
        Ok((answer, effects))
    }
}

/// What has changed of a consumer group, on its way out.
fn keep(name: &str, group: &mut ConsumerGroup, effects: &mut Effects) {
    for change in group.take_changes() {
        effects.entries.push(match change {
            Keep::Group(bytes) => spaces::set(CONSUMER, spaces::consumer_key(name, None), bytes),
            Keep::Member(id, Some(bytes)) => spaces::set(CONSUMER, spaces::consumer_key(name, Some(&id)), bytes),
            Keep::Member(id, None) => spaces::forget(CONSUMER, spaces::consumer_key(name, Some(&id))),
        });
    }
}
