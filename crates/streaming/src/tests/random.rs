use std::collections::BTreeMap;
use std::time::Duration;

use polder_capability::topics::{Isolation, Producer, TopicError, TopicTransactions, TransactionOffsets};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::world::{World, at, client, offsets, plain, within};

const PARTITIONS: i32 = 3;

/// One transactional id, as its present instance sees it.
#[derive(Default)]
struct Writer {
    producer: Option<Producer>,
    /// Instances that were fenced: nothing of them is ever written again.
    fenced: Vec<Producer>,
    sequences: BTreeMap<i32, i32>,
    added: Vec<i32>,
    /// What the open transaction has written.
    open: Vec<(i32, String)>,
    offset: Option<i64>,
}

struct Schedule {
    seed: u64,
    random: StdRng,
    world: World,
    writers: Vec<Writer>,
    /// What readers of what is committed have to see, by partition; the order within a partition is that of the writes.
    expected: BTreeMap<i32, Vec<String>>,
    offsets: BTreeMap<usize, i64>,
    written: usize,
}

#[tokio::test]
async fn whatever_happens_what_is_committed_is_seen_and_nothing_else() {
    for seed in 0..6 {
        Schedule::new(seed).await.run().await;
    }
}

impl Schedule {
    async fn new(seed: u64) -> Self {
        let world = World::new().await;
        world.topic("t", PARTITIONS).await;
        let writers = (0..3).map(|_| Writer::default()).collect();
        let random = StdRng::seed_from_u64(seed);
        Self { seed, random, world, writers, expected: BTreeMap::new(), offsets: BTreeMap::new(), written: 0 }
    }

    async fn run(&mut self) {
        for step in 0..150 {
            let number = self.random.random_range(0..self.writers.len());
            match self.random.random_range(0..20) {
                0..=7 => self.write(number).await,
                8..=10 => self.end(number, true).await,
                11..=12 => self.end(number, false).await,
                13 => self.init(number).await,
                14 => self.write_fenced(number).await,
                15 => self.send_offset(number).await,
                16 => self.write_plain().await,
                17 => self.world.restart().await,
                18 => self.time_out().await,
                _ if step % 3 == 0 => self.look().await,
                _ => {}
            }
        }
        for number in 0..self.writers.len() {
            self.init(number).await;
        }
        self.look().await;
        self.world.restart().await;
        self.look().await;
    }

    fn id(number: usize) -> String {
        format!("writer-{number}")
    }

    async fn init(&mut self, number: usize) {
        let producer = self.world.init(&Self::id(number)).await.unwrap();
        let writer = &mut self.writers[number];
        let fenced = writer.producer.into_iter().chain(std::mem::take(&mut writer.fenced)).collect();
        *writer = Writer { producer: Some(producer), fenced, ..Writer::default() };
    }

    async fn write(&mut self, number: usize) {
        let Some(producer) = self.writers[number].producer else { return self.init(number).await };
        let partition = self.random.random_range(0..PARTITIONS);
        if !self.writers[number].added.contains(&partition) {
            self.world.add(&Self::id(number), producer, at("t", partition)).await.unwrap();
            self.writers[number].added.push(partition);
        }
        self.written += 1;
        let value = format!("{number} writes {}", self.written);
        let sequence = self.writers[number].sequences.get(&partition).copied().unwrap_or(0);
        let bytes = within(&value, producer, sequence);
        self.world.produce_in(Some(&Self::id(number)), at("t", partition), bytes).await.unwrap();
        let writer = &mut self.writers[number];
        writer.sequences.insert(partition, sequence + 1);
        writer.open.push((partition, value));
    }

    async fn write_plain(&mut self) {
        self.written += 1;
        let value = format!("somebody writes {}", self.written);
        self.world.produce(at("t", 0), plain(&value)).await.unwrap();
        self.expected.entry(0).or_default().push(value);
    }

    async fn send_offset(&mut self, number: usize) {
        let Some(producer) = self.writers[number].producer else { return };
        let id = Self::id(number);
        self.world.topics.add_group_to_transaction(&client("p"), &id, producer, &id).await.unwrap();
        let offset = self.random.random_range(0..1_000);
        let commit = offsets(&id, -1, "", at("t", 0), offset);
        let send = TransactionOffsets { transactional_id: id, producer, commit };
        self.world.topics.commit_in_transaction(&client("p"), send).await.unwrap().remove(0).unwrap();
        self.writers[number].offset = Some(offset);
    }

    async fn end(&mut self, number: usize, commit: bool) {
        let Some(producer) = self.writers[number].producer else { return };
        let is_open = !self.writers[number].added.is_empty() || self.writers[number].offset.is_some();
        let ended = self.world.end(&Self::id(number), producer, commit).await;
        if !is_open {
            // Nothing is open; the same end as the last one is a success all the same.
            assert!(matches!(ended, Ok(()) | Err(TopicError::InvalidTransactionState)), "{ended:?}");
            return;
        }
        ended.unwrap();
        let writer = &mut self.writers[number];
        writer.added.clear();
        let (open, offset) = (std::mem::take(&mut writer.open), writer.offset.take());
        if commit {
            for (partition, value) in open {
                self.expected.entry(partition).or_default().push(value);
            }
            if let Some(offset) = offset {
                self.offsets.insert(number, offset);
            }
        }
    }

    async fn write_fenced(&mut self, number: usize) {
        let id = Self::id(number);
        for producer in self.writers[number].fenced.clone() {
            for partition in 0..PARTITIONS {
                let late = within("late", producer, 0);
                self.world.produce_in(Some(&id), at("t", partition), late).await.unwrap_err();
            }
            assert_eq!(self.world.end(&id, producer, true).await, Err(TopicError::ProducerFenced));
        }
    }

    /// All transactions that are open have been so for too long.
    async fn time_out(&mut self) {
        self.world.pass(61_000).await;
        for writer in &mut self.writers {
            if (!writer.added.is_empty() || writer.offset.is_some())
                && let Some(producer) = writer.producer.take()
            {
                writer.fenced.push(producer);
                writer.added.clear();
                writer.open.clear();
                writer.offset = None;
            }
        }
    }

    async fn look(&mut self) {
        let seed = self.seed;
        for partition in 0..PARTITIONS {
            let seen = self.world.values(at("t", partition), Isolation::Committed).await;
            let all = self.world.values(at("t", partition), Isolation::Uncommitted).await;
            assert!(!all.iter().any(|value| value == "late"), "seed {seed}");
            let mut wanted = self.expected.get(&partition).cloned().unwrap_or_default();
            // What lies behind an open transaction is not seen yet, so that only a beginning has to be there; and the order
            // is that of the writes, which their numbers tell.
            wanted.sort_by_key(|value| value.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap());
            let is_open = self.writers.iter().any(|writer| writer.open.iter().any(|(of, _)| *of == partition));
            if is_open {
                assert!(wanted.starts_with(&seen), "seed {seed}: {seen:?} of {wanted:?}");
            } else {
                assert_eq!(seen, wanted, "seed {seed}");
            }
        }
        for number in 0..self.writers.len() {
            let committed = self.world.committed(&Self::id(number), at("t", 0)).await;
            assert_eq!(committed, self.offsets.get(&number).copied(), "seed {seed}");
        }
        let member = client("m");
        let listed = polder_capability::topics::TopicGroups::list_groups(&self.world.topics, &member);
        // Whatever has happened, somebody answers.
        tokio::time::timeout(Duration::from_secs(60), listed).await.unwrap().unwrap();
    }
}
