//! Sets of partitions, by topic.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// Partitions of topics. A topic of which there is none is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitions(BTreeMap<Uuid, BTreeSet<i32>>);

impl Partitions {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    #[must_use]
    pub fn contains(&self, topic: Uuid, partition: i32) -> bool {
        self.0.get(&topic).is_some_and(|set| set.contains(&partition))
    }

    pub fn insert(&mut self, topic: Uuid, partition: i32) {
        self.0.entry(topic).or_default().insert(partition);
    }

    pub fn remove(&mut self, topic: Uuid, partition: i32) {
        if let Some(set) = self.0.get_mut(&topic) {
            set.remove(&partition);
            if set.is_empty() {
                self.0.remove(&topic);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.0.iter().flat_map(|(topic, set)| set.iter().map(|partition| (*topic, *partition)))
    }

    /// By topic, in order.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&Uuid, &BTreeSet<i32>)> {
        self.0.iter()
    }

    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.iter().filter(|(topic, partition)| !other.contains(*topic, *partition)).collect()
    }

    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        self.iter().filter(|(topic, partition)| other.contains(*topic, *partition)).collect()
    }

    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.iter().all(|(topic, partition)| other.contains(topic, partition))
    }
}

impl FromIterator<(Uuid, i32)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (Uuid, i32)>>(items: I) -> Self {
        let mut partitions = Self::default();
        partitions.extend(items);
        partitions
    }
}

impl Extend<(Uuid, i32)> for Partitions {
    fn extend<I: IntoIterator<Item = (Uuid, i32)>>(&mut self, items: I) {
        for (topic, partition) in items {
            self.insert(topic, partition);
        }
    }
}
