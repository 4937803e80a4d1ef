//! What is due now and then: retention, rewriting, compaction, and the removal of what nobody needs.

use std::collections::{BTreeMap, HashMap};

use polder_types::{Error, Result};
use uuid::Uuid;

use crate::entry::{AppendError, Entry};
use crate::keeper::{self, unused};
use crate::log::Log;
use crate::options::Sync;
use crate::request::Order;
use crate::rewrite;
use crate::topic::TopicSettings;
use crate::view::View;

/// Partitions whose records are deleted with one append.
const AT_ONCE: usize = 500;

/// What retention leaves alone, however old it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Spared {
    #[default]
    Nothing,
    /// Of these topics, by their ids.
    From(HashMap<Uuid, SparedTopic>),
    Everything,
}

/// What retention leaves alone of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SparedTopic {
    /// The records from an offset on in each partition; all of a partition that is not named.
    pub from: BTreeMap<u32, i64>,
    /// Bytes of such records, of all partitions together, that would be deleted otherwise: of what is more, the oldest are.
    /// `None`: without bound.
    pub bytes_max: Option<u64>,
}

impl Spared {
    /// The first offset of a partition that stays.
    fn from(&self, topic: Uuid, partition: u32) -> i64 {
        match self {
            Self::Nothing => i64::MAX,
            Self::From(topics) => match topics.get(&topic) {
                Some(spared) => spared.from.get(&partition).copied().unwrap_or(0),
                None => i64::MAX,
            },
            Self::Everything => 0,
        }
    }

    fn bytes_max(&self, topic: Uuid) -> Option<u64> {
        match self {
            Self::From(topics) => topics.get(&topic).and_then(|spared| spared.bytes_max),
            _ => None,
        }
    }
}

/// Records that retention would delete, and leaves.
#[derive(Debug)]
struct Held {
    since: i64,
    partition: u32,
    next: i64,
    bytes: u64,
}

/// Does what is due; says whether there is more.
pub(crate) async fn run(log: &Log, spared: &Spared) -> Result<bool> {
    let ground = &log.0.reader.ground;
    let now = ground.clock.now().timestamp_millis();
    let late = log.0.durable.lock().is_late;
    // A disk that is full fails what comes now. Files that nobody needs go nevertheless: that is what makes room again.
    let retained = retain(log, now, spared).await;
    // Files go only for what is durable, which an acknowledgement without a sync does not say.
    let written = match late || ground.options.sync == Sync::PageCache {
        true => log.order(Order::Checkpoint).await,
        false => Ok(()),
    };
    remove(log).await?;
    retained.and(written)?;
    let reader = std::sync::Arc::clone(&log.0.reader);
    let sealed_before = log.0.durable.lock().tail_segment;
    let work = move || rewrite::round(&reader, sealed_before, now);
    let rewritten = blocking(work).await?;
    let more = rewritten.is_some();
    if let Some(rewritten) = rewritten {
        log.order(|done| Order::Adopt(rewritten, done)).await?;
    }
    remove(log).await?;
    Ok(more)
}

async fn remove(log: &Log) -> Result<()> {
    let inner = std::sync::Arc::clone(&log.0);
    let list = move || unused(&*inner.reader.ground.disk, &inner.reader.ground.published, &inner.durable);
    let names = blocking(list).await?;
    if names.is_empty() {
        return Ok(());
    }
    // What says that nobody needs them may have been acknowledged without a sync: a crash must not bring its records back
    // without their files.
    if log.0.reader.ground.options.sync == Sync::PageCache {
        log.order(Order::Sync).await?;
    }
    let inner = std::sync::Arc::clone(&log.0);
    let work = move || {
        let removed = keeper::remove(&*inner.reader.ground.disk, &names);
        inner.reader.files.forget();
        removed
    };
    blocking(work).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))?
}

/// Deletes the records that are too old, or too many.
async fn retain(log: &Log, now: i64, spared: &Spared) -> Result<()> {
    let mut begins: BTreeMap<(Uuid, u32), i64> = BTreeMap::new();
    let mut held: HashMap<Uuid, Vec<Held>> = HashMap::new();
    for (topic, partition) in log.published().partitions() {
        let number = partition.partition;
        let stays = spared.from(topic.id, number);
        let (before, left) = due(&partition.view.read(), &topic.settings, now, stays, number);
        begins.extend(before.map(|before| ((topic.id, number), before)));
        if !left.is_empty() {
            held.entry(topic.id).or_default().extend(left);
        }
    }
    let mut bytes_held = HashMap::new();
    for (topic, held) in held {
        let (mut bytes, given_up) = within(held, spared.bytes_max(topic));
        for one in given_up {
            let before = begins.entry((topic, one.partition)).or_insert(one.next);
            *before = one.next.max(*before);
            bytes -= one.bytes;
        }
        bytes_held.insert(topic, bytes);
    }
    *log.0.held_bytes.lock() = bytes_held;
    let entries = begins.into_iter();
    let mut entries: Vec<_> =
        entries.map(|((topic, partition), before)| Entry::DeleteRecords { topic, partition, before }).collect();
    while !entries.is_empty() {
        let rest = entries.split_off(entries.len().min(AT_ONCE));
        match log.append(std::mem::replace(&mut entries, rest)).await {
            // A topic was deleted meanwhile, and took these along. The others have their turn next time.
            Ok(_) | Err(AppendError::Refused { .. }) => {}
            Err(AppendError::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

/// The bytes of all that is held, and the oldest of it that there is no room for.
fn within(mut held: Vec<Held>, bytes_max: Option<u64>) -> (u64, Vec<Held>) {
    let bytes: u64 = held.iter().map(|one| one.bytes).sum();
    let Some(most) = bytes_max else { return (bytes, Vec::new()) };
    // Within a partition the order of the offsets stays.
    held.sort_by_key(|one| one.since);
    let (mut left, mut number) = (bytes, 0);
    while let Some(one) = held.get(number).filter(|_| left > most) {
        left -= one.bytes;
        number += 1;
    }
    held.truncate(number);
    (bytes, held)
}

/// Where a partition is to begin, if that is further on than it does, and not behind the first offset that stays; and what
/// would go too if nothing had to stay.
fn due(view: &View, settings: &TopicSettings, now: i64, stays: i64, partition: u32) -> (Option<i64>, Vec<Held>) {
    let (mut before, mut held) = (None, Vec::new());
    if !settings.delete {
        return (before, held);
    }
    let mut bytes = view.bytes();
    // What is held counts from when the oldest of it is kept, so that none of it is older than what is before it.
    let mut since = i64::MIN;
    for (number, extent) in view.extents.iter().enumerate() {
        let too_old = settings.retention_ms.is_some_and(|keep| extent.kept_since < now.saturating_sub(keep));
        let is_last = number + 1 == view.extents.len();
        let left = bytes - extent.bytes;
        let too_many = !is_last && settings.retention_bytes.is_some_and(|keep| left >= keep);
        // An open transaction's records stay until it has ended.
        if extent.next > view.bounds.last_stable_offset || !(too_old || too_many) {
            break;
        }
        bytes = left;
        if held.is_empty() && extent.next <= stays {
            before = Some(extent.next);
        } else {
            since = since.max(extent.kept_since);
            held.push(Held { since, partition, next: extent.next, bytes: extent.bytes });
        }
    }
    (before.filter(|before| *before > view.bounds.log_start_offset), held)
}
