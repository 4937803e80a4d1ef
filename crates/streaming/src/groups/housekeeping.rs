//! What time brings about: members that are gone, and offsets that nobody has use for any more.

use super::commits::reads;
use super::{Group, Groups, Members, keep};
use crate::effects::Effects;
use crate::spaces::{self, OFFSETS, Place};

/// How much is forgotten with one write.
const ENTRIES_MAX: usize = 10_000;

impl Groups {
    /// When something happens by time alone, at the earliest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        let deadline = |group: &Group| match &group.members {
            Members::Classic(classic) => classic.next_deadline(),
            Members::Consumer(consumer) => consumer.next_deadline(),
        };
        self.groups.values().filter_map(deadline).min()
    }

    /// What time has brought about, for each group that it concerns.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Effects> {
        let due = |group: &Group| match &group.members {
            Members::Classic(classic) => classic.next_deadline().is_some_and(|at| at <= now_ms),
            Members::Consumer(consumer) => consumer.next_deadline().is_some_and(|at| at <= now_ms),
        };
        let names: Vec<String> =
            self.groups.iter().filter(|(_, group)| due(group)).map(|(name, _)| name.clone()).collect();
        names.iter().map(|name| self.tick_one(now_ms, name)).collect()
    }

    fn tick_one(&mut self, now_ms: i64, name: &str) -> Effects {
        let mut effects = Effects::of_group(name);
        match self.groups.get_mut(name).map(|group| &mut group.members) {
            Some(Members::Classic(group)) => {
                let turn = group.tick(now_ms);
                self.take(name, turn, &mut effects);
            }
            Some(Members::Consumer(group)) => {
                group.tick(now_ms);
                group.aim();
                keep(name, group, &mut effects);
            }
            None => {}
        }
        effects
    }

    /// Forgets offsets that are too old, and groups of which nothing is left. `name_of`: what a topic is called. At most
    /// `groups_max` groups are cleaned at once, and no more than [`ENTRIES_MAX`] things of one forgotten.
    pub fn expire(
        &mut self,
        now_ms: i64,
        groups_max: usize,
        name_of: impl Fn(uuid::Uuid) -> Option<String>,
    ) -> Vec<Effects> {
        let retention_ms = self.limits.offsets_retention_ms;
        let mut cleaned = Vec::new();
        let names: Vec<String> = self.groups.keys().cloned().collect();
        for name in names {
            if cleaned.len() >= groups_max {
                break;
            }
            let Some(group) = self.groups.get_mut(&name) else { continue };
            let old: Vec<Place> = group
                .offsets
                .iter()
                .filter(|(place, committed)| {
                    !group.pending.contains_key(*place)
                        && idle_since(group, committed.at_ms, || name_of(place.0))
                            .is_some_and(|since| now_ms - since >= retention_ms)
                })
                .map(|(place, _)| *place)
                .take(ENTRIES_MAX)
                .collect();
            let mut effects = Effects::of_group(&name);
            for place in old {
                group.offsets.remove(&place);
                effects.entries.push(spaces::forget(OFFSETS, spaces::offset_key(&name, place)));
            }
            if group.members.is_empty() && group.offsets.is_empty() && group.pending.is_empty() {
                effects.merge(self.remove(&name));
            }
            if !effects.entries.is_empty() {
                cleaned.push(effects);
            }
        }
        cleaned
    }
}

/// Since when nobody has use for an offset; `None` while somebody may.
fn idle_since(group: &Group, committed_ms: i64, topic: impl FnOnce() -> Option<String>) -> Option<i64> {
    if group.members.is_empty() {
        return Some(match &group.members {
            Members::Classic(classic) if classic.protocol_type.is_none() => committed_ms,
            Members::Classic(classic) => committed_ms.max(classic.since_ms),
            Members::Consumer(consumer) => committed_ms.max(consumer.since_ms),
        });
    }
    match topic() {
        None => Some(committed_ms),
        Some(topic) => (reads(&group.members, &topic) == Some(false)).then_some(committed_ms),
    }
}
