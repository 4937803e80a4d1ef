//! Offsets that are committed, asked for, and deleted.

use std::collections::BTreeSet;

use polder_capability::topics::{MemberId, TopicError, TopicFailure, TopicResult};
use uuid::Uuid;

use super::{Committed, FULL, Group, Groups, METADATA_BYTES_MAX, Members, offsets};
use crate::effects::Effects;
use crate::spaces::{self, OFFSETS, Place};

/// Offsets of a group, their topics found.
#[derive(Debug, Clone)]
pub struct Commit {
    pub group: String,
    /// The generation, or the member's epoch; -1, with an empty member id: not as a member.
    pub generation: i32,
    pub member: MemberId,
    pub offsets: Vec<(Place, Committed)>,
}

impl Groups {
    /// # Errors
    /// Of the whole: `InvalidGroup`, `UnknownMember`, `IllegalGeneration`, `StaleMemberEpoch`, `FencedInstance`,
    /// `RebalanceInProgress`. One offset may be refused by itself.
    pub fn commit(&mut self, now_ms: i64, commit: Commit) -> TopicResult<(Vec<TopicResult<()>>, Effects)> {
        self.check_commit(now_ms, &commit, false)?;
        let room = Room { offsets_max: self.limits.offsets_max, is_full: self.is_full };
        let mut effects = Effects::of_group(&commit.group);
        self.check_new(&commit.group)?;
        let group = self.group(now_ms, &commit.group)?;
        let outcomes = commit.offsets.into_iter().map(|(place, committed)| {
            check_offset(group, room, place, &committed)?;
            let committed = Committed { at_ms: now_ms, ..committed };
            effects.entries.push(spaces::set(OFFSETS, spaces::offset_key(&commit.group, place), committed.encode()));
            group.offsets.insert(place, committed);
            Ok(())
        });
        let outcomes = outcomes.collect();
        Ok((outcomes, effects))
    }

    /// Whether somebody may commit. `transactional`: within a transaction, where one who is no member is told apart from the
    /// members by the transaction.
    ///
    /// # Errors
    /// As [`Groups::commit`].
    pub fn check_commit(&mut self, now_ms: i64, commit: &Commit, transactional: bool) -> TopicResult<()> {
        self.check_name(&commit.group)?;
        let Commit { generation, member, .. } = commit;
        let outside = *generation < 0 && member.id.is_empty() && member.instance.is_none();
        match self.groups.get_mut(&commit.group).map(|group| &mut group.members) {
            None if outside => Ok(()),
            // A member of a group that is forgotten has to join again.
            None => Err(TopicError::IllegalGeneration.into()),
            Some(Members::Classic(group)) => {
                Ok(group.check_commit(now_ms, &member.id, member.instance.as_deref(), *generation, transactional)?)
            }
            Some(Members::Consumer(_)) if outside && transactional => Ok(()),
            Some(Members::Consumer(group)) => match group.check_epoch(&member.id, *generation) {
                // The answer about a transaction's offsets has no word for it, and a client takes one that it does not know for
                // the end of its producer.
                Err(TopicError::StaleMemberEpoch) if transactional => Err(TopicError::IllegalGeneration.into()),
                checked => Ok(checked?),
            },
        }
    }

    /// Takes note of an offset that waits for its transaction.
    ///
    /// # Errors
    /// `OffsetMetadataTooLarge`, `Policy`.
    pub fn pend(
        &mut self,
        now_ms: i64,
        transactional_id: &str,
        name: &str,
        place: Place,
        committed: &Committed,
    ) -> TopicResult<()> {
        let room = Room { offsets_max: self.limits.offsets_max, is_full: self.is_full };
        self.check_new(name)?;
        let group = self.group(now_ms, name)?;
        check_offset(group, room, place, committed)?;
        group.pending.entry(place).or_default().insert(transactional_id.to_owned());
        Ok(())
    }

    /// The transaction of an offset has ended.
    pub fn settle(
        &mut self,
        now_ms: i64,
        transactional_id: &str,
        name: &str,
        place: Place,
        committed: Option<Committed>,
    ) {
        let Ok(group) = self.group(now_ms, name) else { return };
        if let Some(waiting) = group.pending.get_mut(&place) {
            waiting.remove(transactional_id);
            if waiting.is_empty() {
                group.pending.remove(&place);
            }
        }
        if let Some(committed) = committed {
            group.offsets.insert(place, committed);
        }
    }

    /// Checks what a reader of offsets says about itself.
    ///
    /// # Errors
    /// `UnknownMember`, `StaleMemberEpoch`.
    pub fn check_reader(&self, name: &str, member: Option<(&str, i32)>) -> Result<(), TopicError> {
        self.check_name(name)?;
        let Some((id, epoch)) = member else { return Ok(()) };
        match self.groups.get(name).map(|group| &group.members) {
            Some(Members::Consumer(group)) if !(id.is_empty() && epoch < 0) => group.check_epoch(id, epoch),
            Some(_) => Ok(()),
            None if id.is_empty() => Ok(()),
            None => Err(TopicError::UnknownMember),
        }
    }

    /// A group's offset in a partition. `stable`: refuse where an open transaction may change the answer.
    ///
    /// # Errors
    /// `UnstableOffset`.
    pub fn offset(&self, name: &str, place: Place, stable: bool) -> Result<Option<&Committed>, TopicError> {
        let Some(group) = self.groups.get(name) else { return Ok(None) };
        if stable && group.pending.contains_key(&place) {
            return Err(TopicError::UnstableOffset);
        }
        Ok(group.offsets.get(&place))
    }

    /// The partitions in which a group has an offset, or is about to.
    #[must_use]
    pub fn places(&self, name: &str) -> Vec<Place> {
        let Some(group) = self.groups.get(name) else { return Vec::new() };
        let places: BTreeSet<Place> = group.offsets.keys().chain(group.pending.keys()).copied().collect();
        places.into_iter().collect()
    }

    /// Deletes offsets of topics that nobody in the group reads. `places`: `None` where there is no such partition.
    ///
    /// # Errors
    /// Of the whole: `UnknownGroup`, and `GroupNotEmpty` where it is not known what the members read.
    pub fn delete_offsets(
        &mut self,
        name: &str,
        places: &[Option<(Place, String)>],
    ) -> TopicResult<(Vec<TopicResult<()>>, Effects)> {
        self.check_name(name)?;
        let mut effects = Effects::of_group(name);
        let group = self.groups.get_mut(name).ok_or(TopicError::UnknownGroup)?;
        if !group.members.is_empty() && reads(&group.members, "").is_none() {
            return Err(TopicError::GroupNotEmpty.into());
        }
        let mut outcomes = Vec::with_capacity(places.len());
        for place in places {
            outcomes.push(match place {
                None => Err(TopicError::UnknownTopic.into()),
                Some((_, topic)) if reads(&group.members, topic) == Some(true) => {
                    Err(TopicError::GroupSubscribed.into())
                }
                Some((place, _)) => {
                    if group.offsets.remove(place).is_some() {
                        effects.entries.push(spaces::forget(OFFSETS, spaces::offset_key(name, *place)));
                    }
                    Ok(())
                }
            });
        }
        Ok((outcomes, effects))
    }

    /// Forgets what groups have in topics that are no more.
    pub fn forget_topics(&mut self, is_gone: impl Fn(Uuid) -> bool) -> Effects {
        let mut effects = Effects::default();
        for (name, group) in &mut self.groups {
            let gone: Vec<Place> = group.offsets.keys().filter(|(topic, _)| is_gone(*topic)).copied().collect();
            for place in gone {
                group.offsets.remove(&place);
                effects.entries.push(spaces::forget(OFFSETS, spaces::offset_key(name, place)));
            }
        }
        effects
    }
}

/// What a group has room for.
#[derive(Clone, Copy)]
struct Room {
    offsets_max: usize,
    /// All groups together keep as much as may be.
    is_full: bool,
}

fn check_offset(group: &Group, room: Room, place: Place, committed: &Committed) -> TopicResult<()> {
    if committed.metadata.len() > METADATA_BYTES_MAX {
        return Err(TopicError::OffsetMetadataTooLarge.into());
    }
    let before = group.offsets.get(&place);
    if room.is_full && before.is_none_or(|before| before.metadata.len() < committed.metadata.len()) {
        return Err(TopicFailure::new(TopicError::Policy, FULL));
    }
    if group.offsets.len() + group.pending.len() >= room.offsets_max && before.is_none() {
        return Err(TopicFailure::new(TopicError::Policy, "the group has offsets in as many partitions as it can"));
    }
    Ok(())
}

/// Whether somebody in a group reads a topic; `None` if it is not known.
pub(super) fn reads(members: &Members, topic: &str) -> Option<bool> {
    match members {
        Members::Consumer(group) => Some(group.reads(topic)),
        Members::Classic(group) if group.is_empty() => Some(false),
        Members::Classic(group) if group.protocol_type.as_deref() != Some("consumer") => None,
        Members::Classic(group) => {
            let told = group.members().flat_map(|(_, member)| &member.protocols);
            let topics: Option<Vec<Vec<String>>> = told.map(|(_, metadata)| offsets::subscribed(metadata)).collect();
            Some(topics?.iter().flatten().any(|name| name == topic))
        }
    }
}
