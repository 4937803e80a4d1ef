//! What is told about groups, and groups that are deleted.

use polder_capability::topics::{
    ConsumerDescription, ConsumerMember, GroupDescription, GroupKind, GroupListing, GroupMember, GroupState, MemberId,
    TopicError, TopicResult,
};

use super::consumer::{AWAY, ConsumerGroup, Member};
use super::{Groups, Members};
use crate::effects::Effects;
use crate::spaces::{self, CLASSIC, CONSUMER, OFFSETS};

impl Groups {
    #[must_use]
    pub fn list(&self) -> Vec<GroupListing> {
        let listing = |(name, group): (&String, &super::Group)| {
            let (kind, protocol_type) = match &group.members {
                Members::Classic(classic) => (GroupKind::Classic, classic.protocol_type.clone().unwrap_or_default()),
                Members::Consumer(_) => (GroupKind::Consumer, "consumer".to_owned()),
            };
            GroupListing { group: name.clone(), kind, state: group.members.state(), protocol_type }
        };
        self.groups.iter().map(listing).collect()
    }

    /// A group as its members see it; one that there is not is dead.
    #[must_use]
    pub fn describe(&self, name: &str) -> GroupDescription {
        let mut description = GroupDescription {
            group: name.to_owned(),
            state: GroupState::Dead,
            protocol_type: String::new(),
            protocol: String::new(),
            members: Vec::new(),
        };
        match self.groups.get(name).map(|group| &group.members) {
            Some(Members::Classic(group)) => {
                description.state = group.state;
                description.protocol_type = group.protocol_type.clone().unwrap_or_default();
                if group.state == GroupState::Stable {
                    description.protocol = group.protocol.clone().unwrap_or_default();
                }
                description.members = group
                    .members()
                    .map(|(id, member)| GroupMember {
                        member: MemberId { id: id.clone(), instance: member.instance_id.clone() },
                        client_id: member.client_id.clone(),
                        host: member.host.clone(),
                        metadata: group.metadata_of(member),
                        assignment: member.assignment.clone(),
                    })
                    .collect();
            }
            Some(Members::Consumer(group)) => {
                description.state = group.state();
                "consumer".clone_into(&mut description.protocol_type);
                group.assignor().name().clone_into(&mut description.protocol);
            }
            None => {}
        }
        description
    }

    /// # Errors
    /// `UnknownGroup`, also for a classic one.
    pub fn describe_consumer(&self, name: &str) -> TopicResult<ConsumerDescription> {
        match self.groups.get(name).map(|group| &group.members) {
            Some(Members::Consumer(group)) => Ok(describe_consumer(name, group)),
            _ => Err(TopicError::UnknownGroup.into()),
        }
    }

    /// Deletes a group in which nobody is, and its offsets.
    ///
    /// # Errors
    /// `UnknownGroup`, `GroupNotEmpty`.
    pub fn delete(&mut self, name: &str) -> TopicResult<Effects> {
        self.check_name(name)?;
        let group = self.groups.get(name).ok_or(TopicError::UnknownGroup)?;
        if !group.members.is_empty() || !group.pending.is_empty() {
            return Err(TopicError::GroupNotEmpty.into());
        }
        Ok(self.remove(name))
    }

    /// A group goes without a trace.
    pub(super) fn remove(&mut self, name: &str) -> Effects {
        let mut effects = Effects::of_group(name);
        let Some(group) = self.groups.remove(name) else { return effects };
        effects.entries.push(match &group.members {
            Members::Classic(_) => spaces::forget(CLASSIC, spaces::name_key(name)),
            Members::Consumer(_) => spaces::forget(CONSUMER, spaces::consumer_key(name, None)),
        });
        for place in group.offsets.keys() {
            effects.entries.push(spaces::forget(OFFSETS, spaces::offset_key(name, *place)));
        }
        effects
    }
}

fn describe_consumer(name: &str, group: &ConsumerGroup) -> ConsumerDescription {
    let member = |(id, member): (&String, &Member)| ConsumerMember {
        member: MemberId { id: id.clone(), instance: member.instance.clone() },
        rack: member.rack.clone(),
        epoch: if member.epoch == AWAY { member.previous_epoch } else { member.epoch },
        client_id: member.client_id.clone(),
        host: member.host.clone(),
        topics: member.topics.iter().cloned().collect(),
        topics_regex: member.regex.clone(),
        assignment: super::consumer::assignment(&member.assigned),
        target: super::consumer::assignment(&member.target),
        classic: false,
    };
    ConsumerDescription {
        group: name.to_owned(),
        state: group.state(),
        epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor: group.assignor().name().to_owned(),
        members: group.members.iter().map(member).collect(),
    }
}
