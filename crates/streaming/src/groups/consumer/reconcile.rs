//! From what a member has to what it is to have.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{AWAY, ConsumerGroup, Partitions, Progress, Topology};

impl ConsumerGroup {
    /// Begins an epoch if the topics that members read are not what they were.
    pub(super) fn look_at_topics(&mut self, topology: &dyn Topology, wishes_changed: bool) {
        if self.seen_at == Some(topology.version()) && !wishes_changed {
            return;
        }
        let names: BTreeSet<&String> = self.members.values().flat_map(|member| member.wishes()).collect();
        let seen: BTreeMap<String, (Uuid, u32)> =
            names.into_iter().filter_map(|name| Some((name.clone(), topology.topic(name)?))).collect();
        self.seen_at = Some(topology.version());
        if seen != self.seen {
            self.seen = seen;
            self.next_epoch();
        }
    }

    /// Says who is to have what in the present epoch.
    pub fn aim(&mut self) {
        if self.target_epoch >= self.epoch {
            return;
        }
        let id_of = |name: &String| self.seen.get(name).map(|(id, _)| *id);
        let wishes = self.members.iter().map(|(id, m)| (id.clone(), m.wishes().filter_map(id_of).collect())).collect();
        let topics = self.seen.values().copied().collect();
        let before = self.members.iter().map(|(id, member)| (id.clone(), member.target.clone())).collect();
        let mut targets = self.assignor().divide(&wishes, &topics, &before);
        for (id, member) in &mut self.members {
            let target = targets.remove(id).unwrap_or_default();
            if target != member.target {
                member.target = target;
                self.changed.insert(id.clone());
            }
        }
        self.target_epoch = self.epoch;
        self.header_changed = true;
    }

    /// Takes a member as far as it can go now. `owned`: what it says that it has.
    pub(super) fn reconcile(&mut self, now_ms: i64, member_id: &str, owned: Option<&Partitions>) {
        let target_epoch = self.target_epoch;
        let Some(member) = self.members.get(member_id) else { return };
        if member.epoch == AWAY {
            return;
        }
        let goes_on = match member.progress {
            Progress::Stable => member.epoch != target_epoch,
            Progress::Waiting => true,
            Progress::Revoking => owned.is_some_and(|owned| owned.both(&member.revoking).is_empty()),
        };
        if !goes_on {
            return;
        }
        let mut next = member.clone();
        next.revoking = Partitions::default();
        let keeps = member.assigned.both(&member.target);
        let loses = member.assigned.minus(&member.target);
        let gives_back = match owned {
            Some(owned) => loses.both(owned),
            None => loses,
        };
        let wanted = member.target.minus(&keeps);
        let is_free = |(topic, partition): &(Uuid, i32)| {
            self.owners.get(&(*topic, *partition)).is_none_or(|owner| owner == member_id)
        };
        let gains: Partitions = wanted.iter().filter(is_free).collect();
        let waits = gains.len() < wanted.len();
        next.assigned = keeps;
        next.revoke_by = None;
        if gives_back.is_empty() {
            next.assigned.extend(gains.iter());
            next.progress = if waits { Progress::Waiting } else { Progress::Stable };
            if next.epoch != target_epoch {
                next.previous_epoch = member.epoch;
                next.epoch = target_epoch;
            }
        } else {
            next.revoking = gives_back;
            next.progress = Progress::Revoking;
            next.revoke_by = Some(now_ms + member.rebalance_ms);
        }
        if next != *member {
            self.replace(member_id, next);
        }
    }

    /// A member has other partitions than before.
    pub(super) fn replace(&mut self, member_id: &str, next: super::Member) {
        let before = self.members.get(member_id).map(|before| (before.assigned.clone(), before.revoking.clone()));
        for place in before.iter().flat_map(|(assigned, revoking)| assigned.iter().chain(revoking.iter())) {
            self.disown(member_id, place);
        }
        for place in next.assigned.iter().chain(next.revoking.iter()) {
            self.owners.insert(place, member_id.to_owned());
        }
        self.members.insert(member_id.to_owned(), next);
        self.changed.insert(member_id.to_owned());
    }
}
