//! Ways in which the server divides partitions among the members of a group.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Partitions;

/// A way to divide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Assignor {
    /// As evenly as can be, moving as little as can be.
    #[default]
    Uniform,
    /// Of each topic, neighbouring partitions: the same numbers of all topics go to the same member.
    Range,
}

/// All of them, by the names that clients know.
pub const ASSIGNORS: &[(&str, Assignor)] = &[("uniform", Assignor::Uniform), ("range", Assignor::Range)];

impl Assignor {
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        ASSIGNORS.iter().find(|(known, _)| *known == name).map(|(_, assignor)| *assignor)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        ASSIGNORS.iter().find(|(_, assignor)| *assignor == self).map_or("uniform", |(name, _)| name)
    }

    /// Divides. Every partition of a topic that somebody reads goes to exactly one of those who read it.
    ///
    /// - `wishes`: the topics that each member reads, as far as there are such.
    /// - `topics`: the number of partitions of each.
    /// - `before`: what each had, which it keeps as far as that is even.
    #[must_use]
    pub fn divide(
        self,
        wishes: &BTreeMap<String, BTreeSet<Uuid>>,
        topics: &BTreeMap<Uuid, u32>,
        before: &BTreeMap<String, Partitions>,
    ) -> BTreeMap<String, Partitions> {
        match self {
            Self::Uniform => Uniform::new(wishes, topics, before).divide(),
            Self::Range => range(wishes, topics),
        }
    }
}

fn count(partitions: u32) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}

fn range(wishes: &BTreeMap<String, BTreeSet<Uuid>>, topics: &BTreeMap<Uuid, u32>) -> BTreeMap<String, Partitions> {
    let mut divided: BTreeMap<String, Partitions> =
        wishes.keys().map(|member| (member.clone(), Partitions::default())).collect();
    for (topic, partitions) in topics {
        let readers: Vec<&String> = wishes.iter().filter(|(_, wish)| wish.contains(topic)).map(|(id, _)| id).collect();
        let Ok(number) = i32::try_from(readers.len()) else { continue };
        if number == 0 {
            continue;
        }
        let (each, more) = (count(*partitions) / number, count(*partitions) % number);
        let mut next = 0;
        for (place, reader) in (0..).zip(readers) {
            let end = next + each + i32::from(place < more);
            if let Some(part) = divided.get_mut(reader) {
                part.extend((next..end).map(|partition| (*topic, partition)));
            }
            next = end;
        }
    }
    divided
}

struct Uniform<'a> {
    wishes: &'a BTreeMap<String, BTreeSet<Uuid>>,
    readers: BTreeMap<Uuid, Vec<&'a String>>,
    divided: BTreeMap<&'a String, Partitions>,
    load: BTreeMap<&'a String, usize>,
    /// What nobody has yet.
    free: Vec<(Uuid, i32)>,
}

impl<'a> Uniform<'a> {
    fn new(
        wishes: &'a BTreeMap<String, BTreeSet<Uuid>>,
        topics: &BTreeMap<Uuid, u32>,
        before: &BTreeMap<String, Partitions>,
    ) -> Self {
        let mut readers: BTreeMap<Uuid, Vec<&String>> = BTreeMap::new();
        for (member, topic) in wishes.iter().flat_map(|(member, wish)| wish.iter().map(move |topic| (member, topic))) {
            readers.entry(*topic).or_default().push(member);
        }
        readers.retain(|topic, _| topics.contains_key(topic));
        let mut free: BTreeSet<(Uuid, i32)> = readers
            .keys()
            .flat_map(|topic| (0..count(topics.get(topic).copied().unwrap_or(0))).map(|partition| (*topic, partition)))
            .collect();
        let mut divided: BTreeMap<&String, Partitions> = BTreeMap::new();
        for (member, wish) in wishes {
            let had = before.get(member).into_iter().flat_map(Partitions::iter);
            let kept = had.filter(|(topic, partition)| wish.contains(topic) && free.remove(&(*topic, *partition)));
            divided.insert(member, kept.collect::<Vec<_>>().into_iter().collect());
        }
        let load = divided.iter().map(|(member, part)| (*member, part.len())).collect();
        Self { wishes, readers, divided, load, free: free.into_iter().collect() }
    }

    fn divide(mut self) -> BTreeMap<String, Partitions> {
        for (topic, partition) in std::mem::take(&mut self.free) {
            let Some(member) = self.least(topic) else { continue };
            self.give(member, topic, partition);
        }
        // Each step makes the loads more even, so there are at most as many as partitions have to move.
        let bound = self.load.values().sum::<usize>();
        for _ in 0..bound {
            let Some((from, to, topic, partition)) = self.step() else { break };
            if let Some(part) = self.divided.get_mut(from) {
                part.remove(topic, partition);
            }
            if let Some(load) = self.load.get_mut(from) {
                *load -= 1;
            }
            self.give(to, topic, partition);
        }
        self.divided.into_iter().map(|(member, part)| (member.clone(), part)).collect()
    }

    fn give(&mut self, member: &'a String, topic: Uuid, partition: i32) {
        self.divided.entry(member).or_default().insert(topic, partition);
        *self.load.entry(member).or_default() += 1;
    }

    /// The reader of a topic who has least.
    fn least(&self, topic: Uuid) -> Option<&'a String> {
        self.readers.get(&topic)?.iter().min_by_key(|member| self.load.get(**member)).copied()
    }

    /// A partition that goes from one who has much to one who has at least two less.
    fn step(&self) -> Option<(&'a String, &'a String, Uuid, i32)> {
        let mut by_load: Vec<(&'a String, usize)> = self.load.iter().map(|(member, load)| (*member, *load)).collect();
        by_load.sort_by_key(|(_, load)| std::cmp::Reverse(*load));
        let least = by_load.last()?.1;
        for (from, load) in by_load {
            if load < least + 2 {
                break;
            }
            for topic in self.wishes.get(from)? {
                let Some(to) = self.least(*topic) else { continue };
                if self.load.get(to).is_some_and(|other| other + 2 <= load) {
                    let mut mine = self.divided.get(from)?.topics();
                    let Some((_, partitions)) = mine.find(|(mine, _)| *mine == topic) else { continue };
                    return partitions.last().map(|partition| (from, to, *topic, *partition));
                }
            }
        }
        None
    }
}
