//! From one generation to the next, and what time alone brings about.

use polder_capability::topics::{GroupState, Joined, TopicError};

use super::{ClassicGroup, InitialDelay, JoinDeadline, Turn};

impl ClassicGroup {
    /// Begins a rebalance unless there is one, and ends it if nobody is missing.
    pub(super) fn rebalance(&mut self, now_ms: i64) -> Turn {
        let mut turn = Turn::default();
        if matches!(self.state, GroupState::Stable | GroupState::CompletingRebalance | GroupState::Empty) {
            turn.merge(self.begin_rebalance(now_ms));
        }
        turn.merge(self.end_rebalance_if_all_joined(now_ms));
        turn
    }

    fn begin_rebalance(&mut self, now_ms: i64) -> Turn {
        let mut turn = Turn::default();
        for member in self.members.values_mut() {
            member.assignment = bytes::Bytes::new();
            if let Some(ticket) = member.syncing.take() {
                turn.synced.push((ticket, Err(TopicError::RebalanceInProgress)));
            }
        }
        self.sync_deadline = None;
        let rebalance_ms = self.rebalance_ms();
        let (wait_ms, initial) = if self.state == GroupState::Empty {
            let wait_ms = self.limits.initial_delay_ms.min(rebalance_ms);
            (wait_ms, Some(InitialDelay { left_ms: rebalance_ms - wait_ms, grown: false }))
        } else {
            (rebalance_ms, None)
        };
        self.join_deadline = Some(JoinDeadline { at: now_ms + wait_ms, initial });
        self.enter(GroupState::PreparingRebalance, now_ms);
        turn
    }

    /// How long the slowest member may take.
    fn rebalance_ms(&self) -> i64 {
        self.members.values().map(|member| member.rebalance_ms).max().unwrap_or(0)
    }

    pub(super) fn end_rebalance_if_all_joined(&mut self, now_ms: i64) -> Turn {
        let waits_for_more =
            self.join_deadline.is_some_and(|deadline| deadline.initial.is_some() && now_ms < deadline.at);
        let all_here = self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if self.state == GroupState::PreparingRebalance && all_here && !waits_for_more {
            self.end_rebalance(now_ms)
        } else {
            Turn::default()
        }
    }

    /// The next generation is of those who are here.
    fn end_rebalance(&mut self, now_ms: i64) -> Turn {
        let missing: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| member.joining.is_none() && member.instance_id.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in missing {
            self.forget(&id);
        }
        if !self.members.is_empty() && self.members.values().all(|member| member.joining.is_none()) {
            // Static members alone, and none of them back: their places are kept until their sessions end.
            let at = now_ms + self.rebalance_ms().max(1);
            self.join_deadline = Some(JoinDeadline { at, initial: None });
            return Turn::default();
        }
        self.join_deadline = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.enter(GroupState::Empty, now_ms);
            return Turn { changed: true, ..Turn::default() };
        }
        self.protocol = self.choose_protocol();
        let leads = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(leads) {
            self.leader = self.members.iter().find(|(_, m)| m.joining.is_some()).map(|(id, _)| id.clone());
        }
        self.enter(GroupState::CompletingRebalance, now_ms);
        self.sync_deadline = Some(now_ms + self.rebalance_ms());
        let ids: Vec<String> = self.members.keys().cloned().collect();
        let mut turn = Turn::default();
        for id in ids {
            let joined = self.joined(&id);
            self.heard_of(now_ms, &id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.new = false;
            if let Some(ticket) = member.joining.take() {
                turn.joined.push((ticket, Ok(Joined::Group(joined))));
            }
        }
        turn
    }

    /// The way to assign that all know and most like best.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let known_to_all =
            |name: &str| self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name));
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in self.members.values() {
            let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_to_all(name)) else { continue };
            match votes.iter_mut().find(|(known, _)| known == name) {
                Some((_, count)) => *count += 1,
                None => votes.push((name, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).to_owned())
    }

    /// When something happens by time alone, at the earliest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        let members = self.members.values().filter(|member| !member.waits()).map(|member| member.expires_at);
        members
            .chain(self.pending.values().copied())
            .chain(self.join_deadline.map(|deadline| deadline.at))
            .chain(self.sync_deadline)
            .min()
    }

    /// What time has brought about: members that are gone, waits that have ended.
    pub fn tick(&mut self, now_ms: i64) -> Turn {
        let mut turn = Turn::default();
        let gone: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| member.expires_at <= now_ms && !member.waits())
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            turn.merge(self.remove(now_ms, &id));
        }
        let before = self.pending.len();
        self.pending.retain(|_, until| *until > now_ms);
        if self.pending.len() < before {
            turn.merge(self.end_rebalance_if_all_joined(now_ms));
        }
        turn.merge(self.join_deadline_passed(now_ms));
        turn.merge(self.sync_deadline_passed(now_ms));
        turn
    }

    fn join_deadline_passed(&mut self, now_ms: i64) -> Turn {
        let Some(deadline) = self.join_deadline.filter(|deadline| deadline.at <= now_ms) else {
            return Turn::default();
        };
        if let Some(InitialDelay { left_ms, grown: true }) = deadline.initial
            && left_ms > 0
        {
            let wait_ms = self.limits.initial_delay_ms.min(left_ms);
            let initial = Some(InitialDelay { left_ms: left_ms - wait_ms, grown: false });
            self.join_deadline = Some(JoinDeadline { at: now_ms + wait_ms, initial });
            return Turn::default();
        }
        // An id that was given out and is not used holds the others up no longer.
        self.pending.clear();
        self.end_rebalance(now_ms)
    }

    fn sync_deadline_passed(&mut self, now_ms: i64) -> Turn {
        if self.sync_deadline.is_none_or(|at| at > now_ms) {
            return Turn::default();
        }
        self.sync_deadline = None;
        let mut turn = Turn::default();
        if self.state != GroupState::CompletingRebalance {
            return turn;
        }
        let late: Vec<String> =
            self.members.iter().filter(|(_, m)| m.syncing.is_none()).map(|(id, _)| id.clone()).collect();
        for id in &late {
            self.forget(id);
        }
        turn.merge(self.rebalance(now_ms));
        turn
    }

    /// What was to be written could not be: nobody has the assignment, so that there must be another.
    pub fn write_failed(&mut self, now_ms: i64) -> Turn {
        if matches!(self.state, GroupState::Stable) { self.rebalance(now_ms) } else { Turn::default() }
    }
}
