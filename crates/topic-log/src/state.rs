//! What the writer knows, ahead of what is durable by the group that it writes. Each change leaves what takes it back and
//! what shows it to readers; one of both is used, once it is known whether the group is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::batch::{BatchHeader, EndOfTransaction, batches};
use crate::entry::Refusal;
use crate::index::IndexEntry;
use crate::producer::{Producer, Sent};
use crate::topic::{Topic, TopicSettings};
use crate::view::{Aborted, Effect, PartitionView, TopicView};

/// Producers that a partition remembers. Beyond it, the tenth that was silent for longest is forgotten.
const PRODUCERS_MAX: usize = 20_000;

/// A partition, as the writer sees it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) view: Arc<PartitionView>,
    pub(crate) next_offset: i64,
    pub(crate) log_start: i64,
    pub(crate) producers: HashMap<i64, Producer>,
    /// Open transactions: where each begins, and whose it is.
    pub(crate) open: BTreeSet<(i64, i64)>,
}

impl Head {
    pub(crate) fn new(topic: u32, partition: u32) -> Self {
        Self {
            view: Arc::new(PartitionView::new(topic, partition)),
            next_offset: 0,
            log_start: 0,
            producers: HashMap::new(),
            open: BTreeSet::new(),
        }
    }

    pub(crate) fn last_stable(&self) -> i64 {
        self.open.first().map_or(self.next_offset, |(first, _)| *first)
    }

    pub(crate) fn set_producer(&mut self, id: i64, producer: Option<Producer>) -> Option<Producer> {
        let open = producer.as_ref().and_then(|producer| producer.open_since);
        let old = match producer {
            Some(producer) => self.producers.insert(id, producer),
            None => self.producers.remove(&id),
        };
        if let Some(first) = old.as_ref().and_then(|old| old.open_since) {
            self.open.remove(&(first, id));
        }
        if let Some(first) = open {
            self.open.insert((first, id));
        }
        old
    }

    /// Whether the batch comes in order; the first time's place if it came before.
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<Option<Sent>, Refusal> {
        if batch.producer_id < 0 {
            return Ok(None);
        }
        self.producers.get(&batch.producer_id).map_or(Ok(None), |producer| producer.check(batch))
    }

    fn forget_silent(&mut self, keep: usize) {
        let mut silent: Vec<(i64, i64)> = self
            .producers
            .iter()
            .filter(|(_, producer)| producer.open_since.is_none())
            .map(|(id, producer)| (producer.seen_at, *id))
            .collect();
        silent.sort_unstable();
        silent.truncate(self.producers.len().saturating_sub(keep));
        for (_, id) in silent {
            self.producers.remove(&id);
        }
    }
}

#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) topic: Arc<Topic>,
    pub(crate) heads: Vec<Head>,
}

impl TopicState {
    fn view(&self) -> Arc<TopicView> {
        let partitions = self.heads.iter().map(|head| Arc::clone(&head.view)).collect();
        Arc::new(TopicView { topic: Arc::clone(&self.topic), partitions })
    }
}

#[derive(Debug)]
enum Undo {
    Offsets { topic: u32, partition: u32, next_offset: i64, log_start: i64 },
    Producer { topic: u32, partition: u32, id: i64, old: Option<Producer> },
    Created(u32),
    Deleted(u32, Box<TopicState>),
    Changed { number: u32, topic: Arc<Topic>, partitions: usize },
}

/// Up to where things had been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    undo: usize,
    effects: usize,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location {
    pub(crate) segment: u64,
    pub(crate) position: u32,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) topics: BTreeMap<u32, TopicState>,
    pub(crate) ids: HashMap<Uuid, u32>,
    names: HashMap<String, u32>,
    pub(crate) next_number: u32,
    undo: Vec<Undo>,
    effects: Vec<Effect>,
}

impl State {
    pub(crate) fn number(&self, id: Uuid) -> Option<u32> {
        self.ids.get(&id).copied()
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn head(&self, topic: u32, partition: u32) -> Option<&Head> {
        self.topics.get(&topic)?.heads.get(usize::try_from(partition).ok()?)
    }

    fn head_mut(&mut self, topic: u32, partition: u32) -> Option<&mut Head> {
        self.topics.get_mut(&topic)?.heads.get_mut(usize::try_from(partition).ok()?)
    }

    /// A topic that comes from a checkpoint.
    pub(crate) fn restore(&mut self, number: u32, topic: TopicState) -> Arc<TopicView> {
        self.ids.insert(topic.topic.id, number);
        self.names.insert(topic.topic.name.clone(), number);
        self.next_number = self.next_number.max(number.saturating_add(1));
        let view = topic.view();
        self.topics.insert(number, topic);
        view
    }

    pub(crate) fn create(&mut self, number: u32, topic: Topic) {
        let heads = (0..topic.partitions).map(|partition| Head::new(number, partition)).collect();
        let view = self.restore(number, TopicState { topic: Arc::new(topic), heads });
        self.undo.push(Undo::Created(number));
        self.effects.push(Effect::Topic(view));
    }

    pub(crate) fn delete(&mut self, number: u32) {
        let Some(topic) = self.remove(number) else { return };
        self.effects.push(Effect::TopicGone(topic.view()));
        self.undo.push(Undo::Deleted(number, Box::new(topic)));
    }

    fn remove(&mut self, number: u32) -> Option<TopicState> {
        let topic = self.topics.remove(&number)?;
        self.ids.remove(&topic.topic.id);
        self.names.remove(&topic.topic.name);
        Some(topic)
    }

    pub(crate) fn add_partitions(&mut self, number: u32, total: u32) {
        self.change(number, |topic| topic.partitions = total);
    }

    pub(crate) fn set_config(&mut self, number: u32, config: BTreeMap<String, String>, settings: TopicSettings) {
        self.change(number, |topic| (topic.config, topic.settings) = (config, settings));
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Topic)) {
        let Some(state) = self.topics.get_mut(&number) else { return };
        let old = Arc::clone(&state.topic);
        let mut topic = Topic::clone(&old);
        change(&mut topic);
        self.undo.push(Undo::Changed { number, topic: old, partitions: state.heads.len() });
        let known = u32::try_from(state.heads.len()).unwrap_or(u32::MAX);
        state.heads.extend((known..topic.partitions).map(|partition| Head::new(number, partition)));
        state.topic = Arc::new(topic);
        self.effects.push(Effect::Topic(state.view()));
    }

    pub(crate) fn keep(&mut self, space: u8, key: &[u8], value: Option<&[u8]>) {
        // Copies of their own: what came from a request would keep all of the request.
        let (key, value) = (Bytes::copy_from_slice(key), value.map(Bytes::copy_from_slice));
        self.effects.push(Effect::State { space, key, value });
    }

    pub(crate) fn delete_records(&mut self, topic: u32, partition: u32, before: i64) {
        let Some(head) = self.head_mut(topic, partition) else { return };
        let (next_offset, log_start) = (head.next_offset, head.log_start);
        head.log_start = before.max(log_start);
        let effect = Effect::Start { partition: Arc::clone(&head.view), log_start_offset: head.log_start };
        self.effects.push(effect);
        self.undo.push(Undo::Offsets { topic, partition, next_offset, log_start });
    }

    /// Takes the batches of a frame, which have their offsets. Those that came to a partition that is gone are passed
    /// over.
    pub(crate) fn take_batches(&mut self, topic: u32, partition: u32, frame: &[u8], at: Location, now: i64) {
        let mut index: Option<IndexEntry> = None;
        let mut ended = None;
        for (header, batch) in batches(frame) {
            let commit = if header.is_control() { EndOfTransaction::commits(batch) } else { None };
            ended = self.take_batch(topic, partition, &header, commit, now).or(ended);
            let entry = index.get_or_insert(IndexEntry {
                base_offset: header.base_offset,
                position: at.position,
                payload_bytes: u32::try_from(frame.len()).unwrap_or(u32::MAX),
                max_timestamp: header.max_timestamp,
            });
            entry.max_timestamp = entry.max_timestamp.max(header.max_timestamp);
        }
        let (Some(entry), Some(head)) = (index, self.head(topic, partition)) else { return };
        let effect = Effect::Batch {
            partition: Arc::clone(&head.view),
            segment: at.segment,
            entry,
            next: head.next_offset,
            arrived: now,
            last_stable: head.last_stable(),
            aborted: ended,
        };
        self.effects.push(effect);
    }

    /// Gives the transaction that this batch aborts.
    fn take_batch(
        &mut self,
        topic: u32,
        partition: u32,
        batch: &BatchHeader,
        commit: Option<bool>,
        now: i64,
    ) -> Option<Aborted> {
        let head = self.head_mut(topic, partition)?;
        let (next_offset, log_start, id) = (head.next_offset, head.log_start, batch.producer_id);
        head.next_offset = batch.last_offset().saturating_add(1);
        let mut aborted = None;
        let mut undo = vec![Undo::Offsets { topic, partition, next_offset, log_start }];
        if id >= 0 {
            let known = head.producers.get(&id).cloned();
            let mut producer = known.unwrap_or_else(|| Producer::new(batch.producer_epoch));
            producer.seen_at = now;
            if let Some(commit) = commit {
                let began = producer.end(batch.producer_epoch);
                aborted = began.filter(|_| !commit).map(|first_offset| Aborted {
                    producer_id: id,
                    first_offset,
                    last_offset: batch.base_offset,
                });
            } else {
                producer.take(batch, if batch.is_log_append_time() { batch.max_timestamp } else { -1 });
            }
            undo.push(Undo::Producer { topic, partition, id, old: head.set_producer(id, Some(producer)) });
            if head.producers.len() > PRODUCERS_MAX {
                head.forget_silent(PRODUCERS_MAX / 10 * 9);
            }
        }
        self.undo.append(&mut undo);
        aborted
    }

    /// Forgets producers that were silent since `before`.
    pub(crate) fn expire_producers(&mut self, before: i64) {
        for head in self.topics.values_mut().flat_map(|topic| &mut topic.heads) {
            head.producers.retain(|_, producer| producer.open_since.is_some() || producer.seen_at >= before);
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { undo: self.undo.len(), effects: self.effects.len() }
    }

    /// What is to be shown, as all of it is durable.
    pub(crate) fn settle(&mut self) -> Vec<Effect> {
        self.undo.clear();
        std::mem::take(&mut self.effects)
    }

    /// Takes back what was done since.
    pub(crate) fn roll_back(&mut self, to: Mark) {
        self.effects.truncate(to.effects);
        while self.undo.len() > to.undo {
            match self.undo.pop() {
                Some(Undo::Offsets { topic, partition, next_offset, log_start }) => {
                    if let Some(head) = self.head_mut(topic, partition) {
                        (head.next_offset, head.log_start) = (next_offset, log_start);
                    }
                }
                Some(Undo::Producer { topic, partition, id, old }) => {
                    if let Some(head) = self.head_mut(topic, partition) {
                        head.set_producer(id, old);
                    }
                }
                Some(Undo::Created(number)) => {
                    self.remove(number);
                }
                Some(Undo::Deleted(number, topic)) => {
                    self.restore(number, *topic);
                }
                Some(Undo::Changed { number, topic, partitions }) => {
                    if let Some(state) = self.topics.get_mut(&number) {
                        state.topic = topic;
                        state.heads.truncate(partitions);
                    }
                }
                None => {}
            }
        }
    }
}
