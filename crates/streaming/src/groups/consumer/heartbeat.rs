//! Signs of life, by which members join, change, go on and leave.

use std::collections::BTreeSet;
use std::time::Duration;

use polder_capability::topics::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, TopicAssignment, TopicClient, TopicError, TopicFailure, TopicResult,
};
use regex::RegexBuilder;

use super::{ASSIGNORS, AWAY, Assignor, ConsumerGroup, Member, Partitions, Progress, Topology};
use crate::groups::millis;

impl ConsumerGroup {
    /// A member's sign of life. `fresh_id`: for one that has no id and does not make its own.
    ///
    /// # Errors
    /// As `ConsumerGroupHeartbeat` of Kafka: `InvalidRequest`, `UnknownMember`, `FencedMemberEpoch`, `UnreleasedInstance`,
    /// `FencedInstance`, `UnsupportedAssignor`, `InvalidRegex`, `GroupFull`.
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        client: &TopicClient,
        request: &ConsumerHeartbeat,
        fresh_id: &str,
        topology: &dyn Topology,
    ) -> TopicResult<ConsumerHeartbeatAnswer> {
        self.check(request)?;
        if request.epoch < 0 {
            return self.leave(now_ms, request);
        }
        let member_id = if request.member.id.is_empty() { fresh_id } else { request.member.id.as_str() };
        let owned = request.owned.as_deref().map(partitions);
        let assignor = request.assignor.as_deref().map(assignor).transpose()?;
        if let Some(pattern) = &request.topics_regex
            && !pattern.is_empty()
        {
            self.regex(pattern)?;
        }
        if request.epoch == 0 {
            self.admit(now_ms, client, request, member_id)?;
        } else {
            self.check_member(member_id, request, owned.as_ref())?;
        }
        let before = self.members.get(member_id).map(|member| member.assigned.clone()).unwrap_or_default();
        let changed = self.listen(now_ms, client, request, member_id, assignor, topology)?;
        if changed {
            self.next_epoch();
        }
        self.look_at_topics(topology, changed);
        self.aim();
        self.reconcile(now_ms, member_id, owned.as_ref());
        let member = self.members.get(member_id).ok_or(TopicError::UnknownMember)?;
        let tells_all = request.epoch == 0
            || (request.rebalance_timeout.is_some() && request.topics.is_some() && request.owned.is_some());
        Ok(ConsumerHeartbeatAnswer {
            member_id: member_id.to_owned(),
            epoch: member.epoch,
            interval: Duration::from_millis(self.limits.heartbeat_ms.unsigned_abs()),
            assignment: (tells_all || member.assigned != before).then(|| assignment(&member.assigned)),
        })
    }

    fn check(&self, request: &ConsumerHeartbeat) -> TopicResult<()> {
        let refuse = |message: &str| Err(TopicFailure::new(TopicError::InvalidRequest, message));
        let has_id = !request.member.id.is_empty();
        if request.epoch < AWAY {
            return refuse("the member epoch is below -2");
        }
        if !has_id && (request.own_id || request.epoch != 0) {
            return refuse("the member id is empty");
        }
        if request.member.instance.as_deref() == Some("") {
            return refuse("the instance id is empty");
        }
        if request.epoch == AWAY && request.member.instance.is_none() {
            return refuse("only a static member can leave for a while");
        }
        let topics = request.topics.as_ref();
        if topics.is_some_and(|topics| topics.len() > self.limits.topics_max) {
            return refuse("too many topics in one subscription");
        }
        if request.epoch == 0 {
            if request.rebalance_timeout.is_none_or(|timeout| timeout.is_zero()) {
                return refuse("a member that joins tells its rebalance timeout");
            }
            if topics.is_none() && request.topics_regex.is_none() {
                return refuse("a member that joins tells the topics it reads");
            }
            if request.owned.as_ref().is_none_or(|owned| owned.iter().any(|topic| !topic.partitions.is_empty())) {
                return refuse("a member that joins has no partitions");
            }
        }
        Ok(())
    }

    fn regex(&self, pattern: &str) -> TopicResult<regex::Regex> {
        if pattern.len() > self.limits.regex_bytes_max {
            return Err(TopicFailure::new(TopicError::InvalidRegex, "the regular expression is too long"));
        }
        // As in Kafka, it has to match the whole name.
        RegexBuilder::new(&format!("^(?:{pattern})$"))
            .size_limit(1 << 20)
            .build()
            .map_err(|error| TopicFailure::new(TopicError::InvalidRegex, error.to_string()))
    }

    fn leave(&mut self, now_ms: i64, request: &ConsumerHeartbeat) -> TopicResult<ConsumerHeartbeatAnswer> {
        let member_id = match &request.member.instance {
            Some(instance) => {
                let current = self.instances.get(instance).ok_or(TopicError::UnknownMember)?;
                if *current != request.member.id {
                    return Err(TopicError::FencedInstance.into());
                }
                current.clone()
            }
            None => request.member.id.clone(),
        };
        let mut member = self.members.get(&member_id).cloned().ok_or(TopicError::UnknownMember)?;
        if request.epoch == AWAY {
            // Its partitions wait for it until its session ends; what it was to give back it has no more.
            member.epoch = AWAY;
            member.revoking = Partitions::default();
            member.revoke_by = None;
            self.replace(&member_id, member);
        } else {
            self.remove(now_ms, &member_id);
            self.aim();
        }
        let interval = Duration::from_millis(self.limits.heartbeat_ms.unsigned_abs());
        Ok(ConsumerHeartbeatAnswer { member_id, epoch: request.epoch, interval, assignment: None })
    }

    /// A member joins: a new one, one that has lost itself, or a static one in the place that it had.
    fn admit(
        &mut self,
        now_ms: i64,
        client: &TopicClient,
        request: &ConsumerHeartbeat,
        member_id: &str,
    ) -> TopicResult<()> {
        if let Some(instance) = &request.member.instance
            && let Some(current) = self.instances.get(instance).cloned()
        {
            if current == member_id {
                return self.begin_anew(member_id);
            }
            let Some(member) = self.members.get(&current).filter(|member| member.epoch == AWAY).cloned() else {
                return Err(TopicError::UnreleasedInstance.into());
            };
            if self.members.contains_key(member_id) {
                return Err(TopicFailure::new(TopicError::InvalidRequest, "the member id is another instance's"));
            }
            self.take_place(&current, member_id, member);
            return self.begin_anew(member_id);
        }
        if let Some(known) = self.members.get(member_id) {
            if known.instance != request.member.instance {
                return Err(TopicFailure::new(TopicError::InvalidRequest, "the member has another instance id"));
            }
            return self.begin_anew(member_id);
        }
        if self.members.len() >= self.limits.members_max {
            return Err(TopicError::GroupFull.into());
        }
        if let Some(instance) = &request.member.instance {
            self.instances.insert(instance.clone(), member_id.to_owned());
        }
        let member = Member {
            instance: request.member.instance.clone(),
            rack: None,
            client_id: client.client_id.clone(),
            host: client.host.clone(),
            rebalance_ms: 0,
            topics: BTreeSet::new(),
            regex: None,
            found: BTreeSet::new(),
            assignor: None,
            epoch: 0,
            previous_epoch: 0,
            progress: Progress::Stable,
            assigned: Partitions::default(),
            revoking: Partitions::default(),
            target: Partitions::default(),
            expires_at: now_ms + self.limits.session_ms,
            revoke_by: None,
            found_at: None,
        };
        self.replace(member_id, member);
        self.next_epoch();
        Ok(())
    }

    /// A member that joins again has nothing to give back: it says that it has nothing.
    fn begin_anew(&mut self, member_id: &str) -> TopicResult<()> {
        let mut member = self.members.get(member_id).cloned().ok_or(TopicError::UnknownMember)?;
        member.epoch = 0;
        member.previous_epoch = 0;
        member.progress = Progress::Waiting;
        member.revoking = Partitions::default();
        member.revoke_by = None;
        self.replace(member_id, member);
        Ok(())
    }

    fn take_place(&mut self, old_id: &str, member_id: &str, member: Member) {
        self.members.remove(old_id);
        self.changed.insert(old_id.to_owned());
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), member_id.to_owned());
        }
        self.replace(member_id, member);
    }

    fn check_member(
        &self,
        member_id: &str,
        request: &ConsumerHeartbeat,
        owned: Option<&Partitions>,
    ) -> Result<(), TopicError> {
        if let Some(instance) = &request.member.instance {
            let current = self.instances.get(instance).ok_or(TopicError::UnknownMember)?;
            if current != member_id {
                return Err(TopicError::FencedInstance);
            }
        }
        let member = self.members.get(member_id).ok_or(TopicError::UnknownMember)?;
        if request.epoch == member.epoch {
            return Ok(());
        }
        // The answer that told it the present epoch may have been lost.
        let lost = request.epoch == member.previous_epoch
            && request.epoch < member.epoch
            && owned.is_some_and(|owned| owned.within(&member.assigned));
        if lost { Ok(()) } else { Err(TopicError::FencedMemberEpoch) }
    }

    /// Takes in what a member says about itself; whether that begins an epoch.
    fn listen(
        &mut self,
        now_ms: i64,
        client: &TopicClient,
        request: &ConsumerHeartbeat,
        member_id: &str,
        assignor: Option<Assignor>,
        topology: &dyn Topology,
    ) -> TopicResult<bool> {
        let Some(before) = self.members.get(member_id) else { return Err(TopicError::UnknownMember.into()) };
        let mut member = before.clone();
        if let Some(topics) = &request.topics {
            member.topics = topics.iter().cloned().collect();
        }
        if let Some(pattern) = &request.topics_regex {
            let pattern = Some(pattern.clone()).filter(|pattern| !pattern.is_empty());
            if pattern != member.regex {
                member.regex = pattern;
                member.found_at = None;
            }
        }
        if member.found_at != Some(topology.version()) {
            member.found = match &member.regex {
                Some(pattern) => topology.matching(&self.regex(pattern)?).into_iter().collect(),
                None => BTreeSet::new(),
            };
            member.found_at = Some(topology.version());
        }
        if let Some(timeout) = request.rebalance_timeout {
            member.rebalance_ms = millis(timeout);
        }
        if request.rack.is_some() {
            member.rack.clone_from(&request.rack);
        }
        member.assignor = assignor.or(member.assignor);
        (member.client_id, member.host) = (client.client_id.clone(), client.host.clone());
        let begins =
            member.topics != before.topics || member.found != before.found || member.assignor != before.assignor;
        let kept = begins
            || member.regex != before.regex
            || member.rebalance_ms != before.rebalance_ms
            || member.rack != before.rack
            || member.client_id != before.client_id
            || member.host != before.host;
        member.expires_at = now_ms + self.limits.session_ms;
        self.members.insert(member_id.to_owned(), member);
        if kept {
            self.changed.insert(member_id.to_owned());
        }
        Ok(begins)
    }
}

fn assignor(name: &str) -> TopicResult<Assignor> {
    Assignor::of_name(name).ok_or_else(|| {
        let names: Vec<&str> = ASSIGNORS.iter().map(|(name, _)| *name).collect();
        TopicFailure::new(TopicError::UnsupportedAssignor, format!("there are: {}", names.join(", ")))
    })
}

fn partitions(told: &[TopicAssignment]) -> Partitions {
    told.iter().flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic, *partition))).collect()
}

/// Partitions as the contract tells them.
pub(crate) fn assignment(partitions: &Partitions) -> Vec<TopicAssignment> {
    partitions
        .topics()
        .map(|(topic, set)| TopicAssignment {
            topic: *topic,
            name: String::new(),
            partitions: set.iter().copied().collect(),
        })
        .collect()
}
