//! Random appends and crashes beside a model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::world::{Client, World, create, entry};
use crate::disk::simulated::Chance;
use crate::entry::Entry;

/// What a log is to hold: by topic and partition where it begins and its values, and kept state.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    topics: BTreeMap<u128, BTreeMap<u32, (i64, Vec<String>)>>,
    state: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Delete(u8),
    Batch(u8, u32, u16),
    State(u8, Option<u8>),
    Cut(u8, u32, u8),
}

#[derive(Debug, Clone)]
enum Act {
    /// Appends in one group. Then, perhaps, the sync fails.
    Group(Vec<Vec<Step>>, bool),
    /// It is written down up to where the log is durable; perhaps that fails.
    Idle(bool),
    /// What was not synced is torn by chance.
    Crash(u64),
    /// The sync of a group fails, and the machine goes down before anything else.
    CrashIn(Vec<Vec<Step>>, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u8).prop_map(Step::Create),
        1 => (0..4_u8).prop_map(Step::Delete),
        12 => (0..4_u8, 0..2_u32, 1..3000_u16).prop_map(|(topic, part, size)| Step::Batch(topic, part, size)),
        4 => (0..6_u8, proptest::option::of(any::<u8>())).prop_map(|(key, value)| Step::State(key, value)),
        1 => (0..4_u8, 0..2_u32, any::<u8>()).prop_map(|(topic, part, before)| Step::Cut(topic, part, before)),
    ]
}

fn appends() -> impl Strategy<Value = Vec<Vec<Step>>> {
    prop::collection::vec(prop::collection::vec(step(), 1..4), 1..5)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (appends(), prop::bool::weighted(0.1)).prop_map(|(appends, fails)| Act::Group(appends, fails)),
        2 => prop::bool::weighted(0.2).prop_map(Act::Idle),
        1 => (1..u64::MAX).prop_map(Act::Crash),
        2 => (appends(), 1..u64::MAX).prop_map(|(appends, seed)| Act::CrashIn(appends, seed)),
    ]
}

impl Model {
    /// Applies an append; `None` if a step of it must be refused. `names` are the ids of the four topics by now.
    fn apply(&self, steps: &[Step], ids: &[u128], values: &[String]) -> Option<Self> {
        let mut after = self.clone();
        for (step, value) in steps.iter().zip(values) {
            match step {
                Step::Create(topic) => {
                    let fresh = (0..2).map(|part| (part, (0, Vec::new()))).collect();
                    if after.topics.insert(ids[usize::from(*topic)], fresh).is_some() {
                        return None;
                    }
                }
                Step::Delete(topic) => drop(after.topics.remove(&ids[usize::from(*topic)])?),
                Step::Batch(topic, part, _) => {
                    let topic = after.topics.get_mut(&ids[usize::from(*topic)])?;
                    topic.get_mut(part)?.1.push(value.clone());
                }
                Step::State(key, Some(value)) => drop(after.state.insert((3, vec![*key]), vec![*value])),
                Step::State(key, None) => drop(after.state.remove(&(3, vec![*key]))),
                Step::Cut(topic, part, before) => {
                    let part = after.topics.get_mut(&ids[usize::from(*topic)])?.get_mut(part)?;
                    if i64::from(*before) > part.1.len() as i64 {
                        return None;
                    }
                    part.0 = part.0.max(i64::from(*before));
                }
            }
        }
        Some(after)
    }

    fn of(world: &World) -> Self {
        let published = &world.reader.ground.published;
        let mut model = Self::default();
        let topics: Vec<_> = published.topics.read().by_id.values().cloned().collect();
        for topic in topics {
            let id = topic.topic.id;
            for part in 0..2 {
                let bounds = published.partition(id, part).unwrap().bounds();
                let read = world.read_all(id, part, 3000);
                let mut values = vec![String::new(); bounds.log_start_offset as usize];
                values.extend(read.iter().map(|batch| {
                    let text = batch.iter().rev().skip(1).take_while(|byte| **byte != b'<');
                    let mut text: Vec<u8> = text.copied().collect();
                    text.reverse();
                    String::from_utf8(text).unwrap()
                }));
                assert_eq!(values.len() as i64, bounds.high_watermark);
                model.topics.entry(id.as_u128()).or_default().insert(part, (bounds.log_start_offset, values));
            }
        }
        let state = published.state.read();
        model.state = state.iter().map(|((space, key), value)| ((*space, key.to_vec()), value.to_vec())).collect();
        model
    }

    /// Deleted records have no values to compare.
    fn blank(mut self) -> Self {
        for (start, values) in self.topics.values_mut().flat_map(BTreeMap::values_mut) {
            values.iter_mut().take(*start as usize).for_each(String::clear);
        }
        self
    }
}

struct Run {
    world: World,
    model: Model,
    /// What the log may come to instead after a crash: a failed group's fate is open until the next one is written.
    maybe: Vec<Model>,
    ids: [u128; 4],
    count: usize,
}

impl Run {
    fn values(&mut self, steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|step| {
                self.count += 1;
                let size = if let Step::Batch(_, _, size) = step { usize::from(*size) } else { 0 };
                format!("{}{}", self.count, " ".repeat(size))
            })
            .collect()
    }

    fn entries(&self, steps: &[Step], values: &[String]) -> Vec<Entry> {
        let id = |topic: &u8| Uuid::from_u128(self.ids[usize::from(*topic)]);
        let each = steps.iter().zip(values).map(|(step, value)| match step {
            Step::Create(topic) => create(&format!("topic {topic}"), id(topic), 2, &[]),
            Step::Delete(topic) => Entry::DeleteTopic { id: id(topic) },
            Step::Batch(topic, part, _) => entry(id(topic), *part, Client::of(&[&format!("<{value}")]).bytes()),
            Step::State(key, value) => {
                Entry::State { space: 3, key: vec![*key].into(), value: value.map(|value| vec![value].into()) }
            }
            Step::Cut(topic, part, before) => {
                Entry::DeleteRecords { topic: id(topic), partition: *part, before: i64::from(*before) }
            }
        });
        each.collect()
    }

    /// The entries of a group, and the model after each append that is taken.
    fn expected(&mut self, appends: &[Vec<Step>]) -> (Vec<Vec<Entry>>, Vec<Option<Model>>, Vec<Model>) {
        let (mut entries, mut models) = (Vec::new(), Vec::new());
        let mut model = self.model.clone();
        // Where the disk fails, each append may be in the log or not, but only as a whole.
        let mut possible = vec![model.clone()];
        for steps in appends {
            let values = self.values(steps);
            entries.push(self.entries(steps, &values));
            let with: Vec<Model> = possible.iter().filter_map(|model| model.apply(steps, &self.ids, &values)).collect();
            possible.extend(with);
            let after = model.apply(steps, &self.ids, &values);
            if let Some(after) = &after {
                model = after.clone();
            }
            models.push(after);
        }
        (entries, models, possible)
    }

    fn crash(&mut self, seed: u64, possible: Vec<Model>) {
        let disk = self.world.disk.crashed(&mut Some(Chance(seed)));
        self.world = World::open(&disk).unwrap();
        let found = Model::of(&self.world);
        let possible: Vec<Model> = possible.into_iter().map(Model::blank).collect();
        assert!(possible.contains(&found), "{found:?}\nis none of\n{possible:?}");
        self.model = found;
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Group(appends, fails) => {
                let (entries, models, possible) = self.expected(&appends);
                // Only the sync of a group, and not one of a roll, fails here.
                if fails {
                    self.world.disk.fail_syncs(1);
                }
                let outcomes = self.world.group(entries);
                if fails {
                    self.world.disk.fail_syncs(0);
                    self.model = Model::of(&self.world);
                    let blank: Vec<Model> = possible.iter().cloned().map(Model::blank).collect();
                    assert!(blank.contains(&self.model));
                    if self.world.writer.torn {
                        self.maybe.extend(possible);
                    } else {
                        self.maybe.clear();
                    }
                    return;
                }
                self.maybe.clear();
                for (outcome, after) in outcomes.iter().zip(models) {
                    assert_eq!(outcome.is_ok(), after.is_some(), "{outcome:?}");
                    self.model = after.unwrap_or_else(|| self.model.clone());
                }
                assert_eq!(Model::of(&self.world), self.model.clone().blank());
            }
            Act::Idle(fails) => {
                self.world.disk.fail_syncs(usize::from(fails));
                self.world.writer.idle();
                self.world.disk.fail_syncs(0);
            }
            Act::Crash(seed) => {
                let possible = self.maybe.drain(..).chain([self.model.clone()]).collect();
                self.crash(seed, possible);
            }
            Act::CrashIn(appends, seed) => {
                let (entries, models, mut possible) = self.expected(&appends);
                self.world.disk.fail_syncs(usize::MAX);
                let outcomes = self.world.group(entries);
                let answered = outcomes.iter().all(Result::is_ok);
                if answered {
                    possible = vec![models.into_iter().flatten().next_back().unwrap_or_else(|| self.model.clone())];
                }
                possible.append(&mut self.maybe);
                self.crash(seed, possible);
            }
        }
        // A topic that is made anew has a new id.
        for (number, id) in self.ids.iter_mut().enumerate() {
            if !self.model.topics.contains_key(id) {
                self.count += 1;
                *id = (self.count as u128) << 8 | number as u128;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_there_after_any_crash(acts in prop::collection::vec(act(), 1..40)) {
        let mut run = Run { world: World::new(), model: Model::default(), maybe: Vec::new(), ids: [1, 2, 3, 4], count: 10 };
        for act in acts {
            run.act(act);
        }
        run.act(Act::Crash(7));
    }
}
