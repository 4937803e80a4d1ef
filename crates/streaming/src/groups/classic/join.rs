//! Members that join, for the first time or again.

use bytes::Bytes;
use polder_capability::topics::{
    GroupState, JoinGroup, Joined, JoinedGroup, JoinedMember, MemberId, TopicClient, TopicError,
};

use super::{ClassicGroup, ClassicMember, Turn};
use crate::effects::Ticket;
use crate::groups::millis;

/// What one way to assign takes in memory, beside its bytes.
const PROTOCOL_BYTES: usize = 64;

fn told_bytes(protocols: &[(String, Bytes)]) -> usize {
    protocols.iter().map(|(name, metadata)| PROTOCOL_BYTES + name.len() + metadata.len()).sum()
}

/// What a member tells, to be kept: a part of its request would keep all of that in memory.
fn kept(protocols: &[(String, Bytes)]) -> Vec<(String, Bytes)> {
    protocols.iter().map(|(name, metadata)| (name.clone(), Bytes::copy_from_slice(metadata))).collect()
}

impl ClassicGroup {
    /// A member joins. `fresh_id` is the id that it gets if it needs one: nobody else has it.
    pub fn join(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        client: &TopicClient,
        request: JoinGroup,
        fresh_id: &str,
    ) -> Turn {
        self.try_join(now_ms, ticket, client, &request, fresh_id)
            .unwrap_or_else(|error| Turn { joined: vec![(ticket, Err(error))], ..Turn::default() })
    }

    fn try_join(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        client: &TopicClient,
        request: &JoinGroup,
        fresh_id: &str,
    ) -> Result<Turn, TopicError> {
        if self.state == GroupState::Dead {
            return Err(TopicError::Unavailable);
        }
        let limits = self.limits;
        if !(limits.session_ms_min..=limits.session_ms_max).contains(&millis(request.session_timeout)) {
            return Err(TopicError::InvalidSessionTimeout);
        }
        let told = told_bytes(&request.protocols);
        if told > limits.metadata_bytes_max {
            return Err(TopicError::InvalidRequest);
        }
        if told + self.told_by_others(&request.member) > limits.group_bytes_max {
            return Err(TopicError::GroupFull);
        }
        if !self.understands(request) {
            return Err(TopicError::InconsistentProtocol);
        }
        let MemberId { id, instance } = &request.member;
        if id.is_empty() {
            return self.join_new(now_ms, ticket, client, request, fresh_id);
        }
        if self.pending.contains_key(id) {
            if instance.is_some() {
                return Err(TopicError::UnknownMember);
            }
            self.pending.remove(id);
            return Ok(self.admit(now_ms, ticket, client, request, id));
        }
        self.check_member(id, instance.as_deref())?;
        Ok(self.join_again(now_ms, ticket, client, request))
    }

    /// Bytes that all keep from telling the group, but for a member that tells it anew.
    fn told_by_others(&self, member: &MemberId) -> usize {
        let same = |id: &str, other: &ClassicMember| {
            id == member.id || (member.instance.is_some() && other.instance_id == member.instance)
        };
        let others = self.members.iter().filter(|(id, other)| !same(id, other));
        others.map(|(_, other)| told_bytes(&other.protocols)).sum()
    }

    /// Whether a member's ways to assign go with those of all others.
    fn understands(&self, request: &JoinGroup) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        let others = || self.members.iter().filter(|(id, _)| **id != request.member.id);
        if others().next().is_none() {
            return true;
        }
        self.protocol_type.as_deref().is_none_or(|kind| kind == request.protocol_type)
            && request
                .protocols
                .iter()
                .any(|(name, _)| others().all(|(_, member)| member.protocols.iter().any(|(known, _)| known == name)))
    }

    fn join_new(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        client: &TopicClient,
        request: &JoinGroup,
        fresh_id: &str,
    ) -> Result<Turn, TopicError> {
        let instance = request.member.instance.as_ref();
        if let Some(old_id) = instance.and_then(|instance| self.instances.get(instance)).cloned() {
            return Ok(self.replace_static(now_ms, ticket, client, request, (&old_id, fresh_id)));
        }
        if self.members.len() + self.pending.len() >= self.limits.members_max {
            return Err(TopicError::GroupFull);
        }
        if request.id_first && instance.is_none() {
            self.pending.insert(fresh_id.to_owned(), now_ms + millis(request.session_timeout));
            let joined = vec![(ticket, Ok(Joined::TakeId(fresh_id.to_owned())))];
            return Ok(Turn { joined, ..Turn::default() });
        }
        Ok(self.admit(now_ms, ticket, client, request, fresh_id))
    }

    fn admit(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        client: &TopicClient,
        request: &JoinGroup,
        member_id: &str,
    ) -> Turn {
        let member_id = member_id.to_owned();
        if let Some(instance) = &request.member.instance {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        self.protocol_type = Some(request.protocol_type.clone());
        let member = ClassicMember {
            instance_id: request.member.instance.clone(),
            client_id: client.client_id.clone(),
            host: client.host.clone(),
            protocols: kept(&request.protocols),
            session_ms: millis(request.session_timeout),
            rebalance_ms: millis(request.rebalance_timeout),
            assignment: Bytes::new(),
            expires_at: now_ms + self.limits.new_member_ms,
            new: true,
            joining: Some(ticket),
            syncing: None,
        };
        self.members.insert(member_id.clone(), member);
        self.leader.get_or_insert(member_id);
        if let Some(initial) = self.join_deadline.as_mut().and_then(|deadline| deadline.initial.as_mut()) {
            initial.grown = true;
        }
        self.rebalance(now_ms)
    }

    /// A member that is known joins once more.
    fn join_again(&mut self, now_ms: i64, ticket: Ticket, client: &TopicClient, request: &JoinGroup) -> Turn {
        let same = self.members.get(&request.member.id).is_some_and(|member| member.protocols == request.protocols);
        let is_leader = self.leader.as_deref() == Some(request.member.id.as_str());
        match self.state {
            // What it was told got lost on the way.
            GroupState::CompletingRebalance if same => self.told_again(now_ms, ticket, request),
            // A leader comes back because it wants a new assignment, a follower because it missed the old one.
            GroupState::Stable if same && !is_leader => self.told_again(now_ms, ticket, request),
            _ => {
                let mut turn = self.wait_to_join(ticket, client, request);
                self.heard_of(now_ms, &request.member.id);
                turn.merge(self.rebalance(now_ms));
                turn
            }
        }
    }

    fn told_again(&mut self, now_ms: i64, ticket: Ticket, request: &JoinGroup) -> Turn {
        self.heard_of(now_ms, &request.member.id);
        Turn { joined: vec![(ticket, Ok(Joined::Group(self.joined(&request.member.id))))], ..Turn::default() }
    }

    /// A member's wishes are as it says now, and it waits for the next generation.
    fn wait_to_join(&mut self, ticket: Ticket, client: &TopicClient, request: &JoinGroup) -> Turn {
        let mut turn = Turn::default();
        if let Some(member) = self.members.get_mut(&request.member.id) {
            member.protocols = kept(&request.protocols);
            member.session_ms = millis(request.session_timeout);
            member.rebalance_ms = millis(request.rebalance_timeout);
            member.client_id = client.client_id.clone();
            member.host = client.host.clone();
            if let Some(earlier) = member.joining.replace(ticket) {
                turn.joined.push((earlier, Err(TopicError::UnknownMember)));
            }
        }
        turn
    }

    /// A static member is back under a new id: the old one is fenced, and a stable group stays as it is if nothing has changed.
    fn replace_static(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        client: &TopicClient,
        request: &JoinGroup,
        (old_id, fresh_id): (&str, &str),
    ) -> Turn {
        let mut turn = Turn::default();
        let Some(mut member) = self.members.remove(old_id) else {
            return turn;
        };
        if let Some(waiting) = member.joining.take() {
            turn.joined.push((waiting, Err(TopicError::FencedInstance)));
        }
        if let Some(waiting) = member.syncing.take() {
            turn.synced.push((waiting, Err(TopicError::FencedInstance)));
        }
        let chosen = self.protocol.clone().unwrap_or_default();
        let unchanged = member.metadata(&chosen)
            == request.protocols.iter().find(|(name, _)| *name == chosen).map(|(_, b)| b.clone()).unwrap_or_default();
        let was_leader = self.leader.as_deref() == Some(old_id);
        member.new = false;
        self.members.insert(fresh_id.to_owned(), member);
        if let Some(instance) = &request.member.instance {
            self.instances.insert(instance.clone(), fresh_id.to_owned());
        }
        if was_leader {
            self.leader = Some(fresh_id.to_owned());
        }
        let mut request = request.clone();
        fresh_id.clone_into(&mut request.member.id);
        turn.merge(self.wait_to_join(ticket, client, &request));
        self.heard_of(now_ms, fresh_id);
        if self.state == GroupState::Stable && unchanged && self.choose_protocol() == self.protocol {
            if let Some(member) = self.members.get_mut(fresh_id) {
                member.joining = None;
            }
            let joined = JoinedGroup { skip_assignment: was_leader, ..self.joined(fresh_id) };
            turn.joined.push((ticket, Ok(Joined::Group(joined))));
            // After a restart the place has to be the new id's as well.
            turn.changed = true;
        } else {
            turn.merge(self.rebalance(now_ms));
        }
        turn
    }

    /// What a member of the present generation is told.
    pub(super) fn joined(&self, member_id: &str) -> JoinedGroup {
        let protocol = self.protocol.clone().unwrap_or_default();
        let is_leader = self.leader.as_deref() == Some(member_id);
        let members = self.members.iter().filter(|_| is_leader).map(|(id, member)| JoinedMember {
            member: MemberId { id: id.clone(), instance: member.instance_id.clone() },
            metadata: member.metadata(&protocol),
        });
        JoinedGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            skip_assignment: false,
        }
    }
}
