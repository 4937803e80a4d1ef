//! What readers see: everything here is durable. The writer alone changes it, once a sync is done.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::index::{Extent, IndexEntry};
use crate::records::Bounds;
use crate::topic::Topic;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// The offset of its marker.
    pub(crate) last_offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) bounds: Bounds,
    /// In the order of their offsets; the last one may be in the segment that is written.
    pub(crate) extents: Vec<Extent>,
    /// In the order of their markers.
    pub(crate) aborted: Vec<Aborted>,
}

impl View {
    pub(crate) fn bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.bytes).sum()
    }

    fn begin_at(&mut self, log_start_offset: i64) {
        self.bounds.log_start_offset = log_start_offset;
        let gone = self.extents.iter().take_while(|extent| extent.next <= log_start_offset).count();
        self.extents.drain(..gone);
        self.aborted.retain(|aborted| aborted.last_offset >= log_start_offset);
    }
}

/// One partition.
#[derive(Debug)]
pub(crate) struct PartitionView {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    pub(crate) view: RwLock<View>,
    waiting: Mutex<Vec<Weak<Notify>>>,
}

impl PartitionView {
    pub(crate) fn new(topic: u32, partition: u32) -> Self {
        Self { topic, partition, view: RwLock::default(), waiting: Mutex::default() }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.view.read().bounds
    }

    /// Has somebody told of the next change, once.
    pub(crate) fn tell(&self, who: &Arc<Notify>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() == waiting.capacity() {
            // Those who gave up are cleared away where the list would grow.
            waiting.retain(|other| other.strong_count() > 0);
        }
        waiting.push(Arc::downgrade(who));
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for who in waiting.iter().filter_map(Weak::upgrade) {
            who.notify_one();
        }
    }
}

/// A topic and its partitions.
#[derive(Debug)]
pub(crate) struct TopicView {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partitions: Vec<Arc<PartitionView>>,
}

#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) by_id: HashMap<Uuid, Arc<TopicView>>,
    pub(crate) by_name: BTreeMap<String, Arc<TopicView>>,
}

/// What a value takes beside its bytes, about.
const KEPT_BYTES: usize = 128;

/// All that can be seen.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) topics: RwLock<Topics>,
    pub(crate) topics_version: watch::Sender<u64>,
    /// The state of those above, by space and key.
    pub(crate) state: RwLock<BTreeMap<(u8, Bytes), Bytes>>,
    /// Bytes that it takes in memory, about.
    kept_bytes: AtomicUsize,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            topics: RwLock::default(),
            topics_version: watch::Sender::new(0),
            state: RwLock::default(),
            kept_bytes: AtomicUsize::default(),
        }
    }
}

/// A change that is to be seen once it is durable.
#[derive(Debug)]
pub(crate) enum Effect {
    Batch {
        partition: Arc<PartitionView>,
        segment: u64,
        entry: IndexEntry,
        next: i64,
        /// Milliseconds since 1970.
        arrived: i64,
        last_stable: i64,
        aborted: Option<Aborted>,
    },
    Start {
        partition: Arc<PartitionView>,
        log_start_offset: i64,
    },
    Topic(Arc<TopicView>),
    TopicGone(Arc<TopicView>),
    State {
        space: u8,
        key: Bytes,
        value: Option<Bytes>,
    },
}

impl Published {
    pub(crate) fn partition(&self, topic: Uuid, partition: u32) -> Option<Arc<PartitionView>> {
        let topics = self.topics.read();
        topics.by_id.get(&topic)?.partitions.get(usize::try_from(partition).ok()?).map(Arc::clone)
    }

    /// Every partition there is.
    pub(crate) fn partitions(&self) -> Vec<(Arc<Topic>, Arc<PartitionView>)> {
        let topics = self.topics.read();
        let each = topics.by_name.values();
        each.flat_map(|topic| topic.partitions.iter().map(|part| (Arc::clone(&topic.topic), Arc::clone(part))))
            .collect()
    }

    /// Bytes that the state of those above takes in memory, about.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn keep(&self, space: u8, key: Bytes, value: Option<Bytes>) {
        let key_bytes = key.len() + KEPT_BYTES;
        let more = value.as_ref().map_or(0, |value| key_bytes + value.len());
        let mut state = self.state.write();
        let before = match value {
            Some(value) => state.insert((space, key), value),
            None => state.remove(&(space, key)),
        };
        let less = before.map_or(0, |before| key_bytes + before.len());
        // Under the lock, so that no other change comes between.
        self.kept_bytes.store((self.kept_bytes() + more).saturating_sub(less), Ordering::Relaxed);
    }

    /// Shows what has become durable, in order, and wakes who waits for it.
    pub(crate) fn publish(&self, effects: Vec<Effect>) {
        let mut grown: Vec<Arc<PartitionView>> = Vec::new();
        let mut topics_changed = false;
        for effect in effects {
            match effect {
                Effect::Batch { partition, segment, entry, next, arrived, last_stable, aborted } => {
                    {
                        let mut view = partition.view.write();
                        Extent::push(&mut view.extents, segment, entry, next, arrived);
                        view.bounds.high_watermark = next;
                        view.bounds.last_stable_offset = last_stable;
                        view.aborted.extend(aborted);
                    }
                    grown.push(partition);
                }
                Effect::Start { partition, log_start_offset } => partition.view.write().begin_at(log_start_offset),
                Effect::Topic(topic) => {
                    topics_changed = true;
                    let mut topics = self.topics.write();
                    topics.by_name.insert(topic.topic.name.clone(), Arc::clone(&topic));
                    topics.by_id.insert(topic.topic.id, topic);
                }
                Effect::TopicGone(topic) => {
                    topics_changed = true;
                    let mut topics = self.topics.write();
                    topics.by_name.remove(&topic.topic.name);
                    topics.by_id.remove(&topic.topic.id);
                    for partition in &topic.partitions {
                        let mut view = partition.view.write();
                        view.begin_at(i64::MAX);
                    }
                    grown.extend(topic.partitions.iter().cloned());
                }
                Effect::State { space, key, value } => self.keep(space, key, value),
            }
        }
        if topics_changed {
            self.topics_version.send_modify(|version| *version += 1);
        }
        for partition in grown {
            partition.wake();
        }
    }
}
