//! The leader's assignment on its way to the members.

use std::collections::HashMap;

use bytes::Bytes;
use polder_capability::topics::{GroupState, SyncGroup, SyncedGroup, TopicError};

use super::{ClassicGroup, Turn};
use crate::effects::Ticket;

impl ClassicGroup {
    /// A member waits for its part; the leader brings those of all.
    pub fn sync(&mut self, now_ms: i64, ticket: Ticket, request: SyncGroup) -> Turn {
        let refuse = |code| Turn { synced: vec![(ticket, Err(code))], ..Turn::default() };
        if let Err(code) = self.check_sync(&request) {
            return refuse(code);
        }
        match self.state {
            GroupState::PreparingRebalance => refuse(TopicError::RebalanceInProgress),
            GroupState::Stable => {
                self.heard_of(now_ms, &request.member.id);
                let synced = self.synced(&request.member.id);
                Turn { synced: vec![(ticket, Ok(synced))], ..Turn::default() }
            }
            GroupState::CompletingRebalance => self.sync_completing(now_ms, ticket, request),
            _ => refuse(TopicError::UnknownMember),
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), TopicError> {
        self.check_member(&request.member.id, request.member.instance.as_deref())?;
        if request.generation != self.generation {
            return Err(TopicError::IllegalGeneration);
        }
        let differs = |told: &Option<String>, known: &Option<String>| told.is_some() && told != known;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol) {
            return Err(TopicError::InconsistentProtocol);
        }
        let given: usize = request.assignments.iter().map(|(_, part)| part.len()).sum();
        if given > self.limits.group_bytes_max { Err(TopicError::TooLarge) } else { Ok(()) }
    }

    fn sync_completing(&mut self, now_ms: i64, ticket: Ticket, request: SyncGroup) -> Turn {
        let mut turn = Turn::default();
        self.heard_of(now_ms, &request.member.id);
        if let Some(member) = self.members.get_mut(&request.member.id)
            && let Some(earlier) = member.syncing.replace(ticket)
        {
            turn.synced.push((earlier, Err(TopicError::RebalanceInProgress)));
        }
        if self.leader.as_deref() != Some(request.member.id.as_str()) {
            return turn;
        }
        let mut parts: HashMap<String, Bytes> = request.assignments.into_iter().collect();
        for (id, member) in &mut self.members {
            // A part of the request would keep all of that in memory.
            member.assignment = parts.remove(id).map(|part| Bytes::copy_from_slice(&part)).unwrap_or_default();
        }
        self.enter(GroupState::Stable, now_ms);
        self.sync_deadline = None;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let synced = self.synced(&id);
            if let Some(waiting) = self.members.get_mut(&id).and_then(|member| member.syncing.take()) {
                self.heard_of(now_ms, &id);
                turn.synced.push((waiting, Ok(synced)));
            }
        }
        turn.changed = true;
        turn
    }

    fn synced(&self, member_id: &str) -> SyncedGroup {
        SyncedGroup {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: self.members.get(member_id).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}
