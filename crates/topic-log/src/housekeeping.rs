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
    /// Of these topics, by their ids, the records from an offset on in each partition; all of a partition that is not named.
    From(HashMap<Uuid, BTreeMap<u32, i64>>),
    Everything,
}

impl Spared {
    /// The first offset of a partition that stays.
    fn from(&self, topic: Uuid, partition: u32) -> i64 {
        match self {
            Self::Nothing => i64::MAX,
            Self::From(topics) => match topics.get(&topic) {
                Some(partitions) => partitions.get(&partition).copied().unwrap_or(0),
                None => i64::MAX,
            },
            Self::Everything => 0,
        }
    }
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
    let mut entries = Vec::new();
    for (topic, partition) in log.published().partitions() {
        let stays = spared.from(topic.id, partition.partition);
        if let Some(before) = begin(&partition.view.read(), &topic.settings, now, stays) {
            entries.push(Entry::DeleteRecords { topic: topic.id, partition: partition.partition, before });
        }
    }
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

/// Where a partition is to begin, if that is further on than it does, and not behind the first offset that stays.
fn begin(view: &View, settings: &TopicSettings, now: i64, stays: i64) -> Option<i64> {
    if !settings.delete {
        return None;
    }
    let mut before = None;
    let mut bytes = view.bytes();
    // An open transaction's records stay until it has ended.
    let end = view.bounds.last_stable_offset.min(stays);
    for (number, extent) in view.extents.iter().enumerate() {
        let too_old = settings.retention_ms.is_some_and(|keep| extent.kept_since < now.saturating_sub(keep));
        let is_last = number + 1 == view.extents.len();
        let left = bytes - extent.bytes;
        let too_many = !is_last && settings.retention_bytes.is_some_and(|keep| left >= keep);
        if extent.next > end || !(too_old || too_many) {
            break;
        }
        bytes = left;
        before = Some(extent.next);
    }
    before.filter(|before| *before > view.bounds.log_start_offset)
}
