//! Members that are heard of, and members that go.

use polder_capability::topics::{GroupState, LeavingMember, TopicError};

use super::{ClassicGroup, Turn};

impl ClassicGroup {
    /// A member lives.
    ///
    /// # Errors
    /// `RebalanceInProgress` tells it to join again; `UnknownMember`, `IllegalGeneration` and `FencedInstance` that it is
    /// out.
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), TopicError> {
        self.check_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(TopicError::IllegalGeneration);
        }
        match self.state {
            GroupState::Dead => Err(TopicError::Unavailable),
            GroupState::PreparingRebalance => {
                self.heard_of(now_ms, member_id);
                Err(TopicError::RebalanceInProgress)
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.heard_of(now_ms, member_id);
                Ok(())
            }
            _ => Err(TopicError::UnknownMember),
        }
    }

    /// Members leave, each named by its id, or by its instance if the id is empty. Gives an outcome for each.
    pub fn leave(&mut self, now_ms: i64, leaving: &[LeavingMember]) -> (Vec<Result<(), TopicError>>, Turn) {
        let mut turn = Turn::default();
        let mut outcomes = Vec::with_capacity(leaving.len());
        for LeavingMember { member, .. } in leaving {
            outcomes.push(self.leave_one(now_ms, &member.id, member.instance.as_deref(), &mut turn));
        }
        (outcomes, turn)
    }

    fn leave_one(
        &mut self,
        now_ms: i64,
        member_id: &str,
        instance_id: Option<&str>,
        turn: &mut Turn,
    ) -> Result<(), TopicError> {
        if self.state == GroupState::Dead {
            return Err(TopicError::Unavailable);
        }
        if instance_id.is_none() && self.pending.remove(member_id).is_some() {
            turn.merge(self.end_rebalance_if_all_joined(now_ms));
            return Ok(());
        }
        let id = match instance_id {
            // An administrator knows the instance and not the id.
            Some(instance) if member_id.is_empty() => {
                self.instances.get(instance).cloned().ok_or(TopicError::UnknownMember)?
            }
            _ => {
                self.check_member(member_id, instance_id)?;
                member_id.to_owned()
            }
        };
        turn.merge(self.remove(now_ms, &id));
        Ok(())
    }

    /// A member is gone, and the others share what it had.
    pub(super) fn remove(&mut self, now_ms: i64, member_id: &str) -> Turn {
        let mut turn = Turn::default();
        if let Some(member) = self.members.get_mut(member_id) {
            if let Some(ticket) = member.joining.take() {
                turn.joined.push((ticket, Err(TopicError::UnknownMember)));
            }
            if let Some(ticket) = member.syncing.take() {
                turn.synced.push((ticket, Err(TopicError::UnknownMember)));
            }
        }
        self.forget(member_id);
        turn.merge(self.rebalance(now_ms));
        turn
    }

    pub(super) fn forget(&mut self, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else { return };
        if let Some(instance) = member.instance_id
            && self.instances.get(&instance).is_some_and(|current| current == member_id)
        {
            self.instances.remove(&instance);
        }
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.iter().find(|(_, m)| m.joining.is_some()).map(|(id, _)| id.clone());
        }
    }
}
