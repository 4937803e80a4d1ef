//! Appends on their way to the writer.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::batch::{BatchHeader, HEADER_BYTES, batches, check, repack};
use crate::codec::{self, Codec};
use crate::compact::unpack;
use crate::entry::{AppendError, Appended, Entry, Refusal};
use crate::frame::frame_bytes;
use crate::keeper::closed;
use crate::record;
use crate::rewrite::Rewritten;
use crate::topic::TopicSettings;
use crate::view::Published;

/// Bytes of one append, everything counted: a segment's positions have 32 bits, and memory has an end.
pub(crate) const APPEND_BYTES_MAX: usize = 512 << 20;

/// An entry of which is checked whatever needs no knowledge of the log.
#[derive(Debug)]
pub(crate) enum Checked {
    Batch { topic: Uuid, partition: u32, bytes: Bytes, headers: Vec<BatchHeader> },
    Other(Entry),
}

impl Checked {
    pub(crate) fn of(entry: Entry) -> Result<Self, Refusal> {
        match entry {
            Entry::Batch { topic, partition, bytes } => {
                let headers = check(&bytes)?;
                Ok(Self::Batch { topic, partition, bytes, headers })
            }
            other => Ok(Self::Other(other)),
        }
    }

    /// Checks that compressed records can be read, since they would be in the way of whoever reads the partition; and what a
    /// topic asks of single records: keys, where only the last record of each key stays, and times that are not too far from
    /// `now`, milliseconds since 1970. Where nothing is asked, records that are not compressed are not looked into again.
    pub(crate) fn check_records(&self, published: &Published, now: i64) -> Result<(), Refusal> {
        let Self::Batch { topic, bytes, headers, .. } = self else { return Ok(()) };
        let Some(settings) = published.topics.read().by_id.get(topic).map(|topic| topic.topic.settings) else {
            return Ok(());
        };
        let rule = RecordRule::of(&settings, now);
        let compressed = headers.iter().any(|header| header.compression() != 0);
        if !rule.asks() && !compressed {
            return Ok(());
        }
        // They are refused by their size anyway: nothing is unpacked for that.
        if headers.iter().any(|header| header.bytes > settings.max_message_bytes) {
            return Ok(());
        }
        let all = || batches(bytes).try_for_each(|(header, batch)| rule.check(&header, batch));
        if compressed { beside(all) } else { all() }
    }

    /// Packs the records again where a topic has them compressed in a way of its own.
    pub(crate) fn recompressed(self, published: &Published) -> Result<Self, Refusal> {
        let Self::Batch { topic, partition, bytes, headers } = self else { return Ok(self) };
        let settings = published.topics.read().by_id.get(&topic).map(|topic| topic.topic.settings);
        let wanted = settings.and_then(|settings| settings.compression).map(Codec::number);
        let large = |most: usize| headers.iter().any(|header| header.bytes > most);
        match wanted {
            Some(wanted)
                if headers.iter().any(|header| header.compression() != wanted)
                    && !settings.is_some_and(|settings| large(settings.max_message_bytes)) =>
            {
                let bytes_max = settings.map_or(usize::MAX, |settings| settings.max_message_bytes);
                let bytes = Bytes::from(beside(|| recompress(&bytes, wanted, bytes_max))?);
                let headers = batches(&bytes).map(|(header, _)| header).collect();
                Ok(Self::Batch { topic, partition, bytes, headers })
            }
            _ => Ok(Self::Batch { topic, partition, bytes, headers }),
        }
    }

    /// At most so many bytes of the log.
    pub(crate) fn bytes(&self) -> usize {
        let text = |text: &str| text.len() + 8;
        let map = |map: &std::collections::BTreeMap<String, String>| -> usize {
            map.iter().map(|(key, value)| text(key) + text(value)).sum()
        };
        frame_bytes(match self {
            Self::Batch { bytes, .. } => bytes.len(),
            Self::Other(Entry::CreateTopic { name, config, .. }) => 64 + text(name) + map(config),
            Self::Other(Entry::SetConfig { config, .. }) => 64 + map(config),
            Self::Other(Entry::State { key, value, .. }) => 32 + key.len() + value.as_ref().map_or(0, Bytes::len),
            Self::Other(_) => 128,
        })
    }
}

/// What is asked of each record.
struct RecordRule {
    keys: bool,
    times: RangeInclusive<i64>,
}

impl RecordRule {
    fn of(settings: &TopicSettings, now: i64) -> Self {
        let own = !settings.log_append_time;
        let far = |distance: Option<i64>| distance.filter(|_| own);
        let first = far(settings.timestamp_before_max_ms).map_or(i64::MIN, |before| now.saturating_sub(before));
        let last = far(settings.timestamp_after_max_ms).map_or(i64::MAX, |after| now.saturating_add(after));
        Self { keys: settings.compact, times: first..=last }
    }

    fn asks(&self) -> bool {
        self.keys || self.times != (i64::MIN..=i64::MAX)
    }

    fn check(&self, header: &BatchHeader, batch: &[u8]) -> Result<(), Refusal> {
        let wrong = || Refusal::InvalidRecord("the records of a batch cannot be unpacked".to_owned());
        let unpacked = unpack(header, batch).ok_or_else(wrong)?;
        if header.compression() != 0 {
            record::check(&unpacked, header.count)?;
        }
        if !self.asks() {
            return Ok(());
        }
        let records = record::all(&unpacked, header.count).ok_or_else(wrong)?;
        for record in records {
            if self.keys && record.key.is_none() {
                return Err(Refusal::InvalidRecord("records of a compacted topic have keys".to_owned()));
            }
            let time = record.time(header);
            // -1: it has none.
            if time != -1 && !self.times.contains(&time) {
                let (first, last) = (self.times.start(), self.times.end());
                let why =
                    format!("the time of a record, {time}, is not from {first} to {last}, as its topic takes them");
                return Err(Refusal::InvalidTimestamp(why));
            }
        }
        Ok(())
    }
}

/// What would be too large then is refused at once: it may be many times what was sent.
fn recompress(bytes: &[u8], wanted: i16, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut all = Vec::with_capacity(bytes.len());
    for (header, batch) in batches(bytes) {
        if header.compression() == wanted {
            all.extend_from_slice(batch);
            continue;
        }
        let corrupt = |why: &str| Refusal::CorruptBatch(why.to_owned());
        let records = unpack(&header, batch).ok_or_else(|| corrupt("its records cannot be unpacked"))?;
        // What goes in unpacked must be what others could have sent so.
        if record::all(&records, header.count).is_none() {
            return Err(corrupt("its records are not as long as they say"));
        }
        let packed = match wanted {
            0 => Cow::Borrowed(&*records),
            _ => codec::compress(wanted, &records).map_err(|_| corrupt("its records cannot be packed again"))?.into(),
        };
        let repacked_bytes = HEADER_BYTES + packed.len();
        if repacked_bytes > bytes_max {
            return Err(Refusal::TooLarge { bytes: repacked_bytes, bytes_max });
        }
        repack(batch, &packed, wanted, &mut all);
    }
    Ok(all)
}

/// Does what may take long. The runtime's other work goes on on another thread, if it has any; the caller's place in the order
/// of its partitions stays.
fn beside<T>(work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

pub(crate) type Outcome = Result<Vec<Appended>, AppendError>;

/// One append.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) entries: Vec<Checked>,
    pub(crate) bytes: usize,
    pub(crate) reply: oneshot::Sender<Outcome>,
}

/// What the writer is asked to do between groups.
#[derive(Debug)]
pub(crate) enum Order {
    /// Shows rewritten segments instead of those that they come from, durably.
    Adopt(Rewritten, oneshot::Sender<Result<()>>),
    /// Says up to where the log is written: segment and position, and the number of the last append.
    Position(oneshot::Sender<((u64, u64), u64)>),
    /// Syncs what was acknowledged without.
    Sync(oneshot::Sender<Result<()>>),
    /// Tries again what could not be written of checkpoints.
    Checkpoint(oneshot::Sender<Result<()>>),
}

#[derive(Debug)]
pub(crate) enum Request {
    Append(Append),
    Order(Order),
}

impl Request {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.bytes,
            Self::Order(_) => 0,
        }
    }
}

/// Requests in the order of their coming.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// Of the appends.
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// Gives them back if nobody writes any more.
    pub(crate) fn put(&self, requests: impl IntoIterator<Item = Request>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return false;
        }
        waiting.requests.extend(requests);
        drop(waiting);
        self.came.notify_one();
        true
    }

    /// Puts appends at the end, all or none.
    ///
    /// # Errors
    /// `Unavailable`: nobody writes any more, or `bytes_max` wait already.
    pub(crate) fn put_within(&self, requests: Vec<Request>, bytes_max: usize) -> Result<()> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(closed());
        }
        if waiting.bytes >= bytes_max {
            let message = format!("{} bytes wait to be written to the log already; try again later", waiting.bytes);
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        waiting.bytes += requests.iter().map(Request::bytes).sum::<usize>();
        waiting.requests.extend(requests);
        drop(waiting);
        self.came.notify_one();
        Ok(())
    }

    /// What waits, up to about `bytes_max` and at least one; nothing when nothing came in time. `None` at the end.
    pub(crate) fn take(&self, bytes_max: usize, patience: Option<Duration>) -> Option<Vec<Request>> {
        let mut waiting = self.waiting.lock();
        if waiting.requests.is_empty() && !waiting.closed {
            match patience {
                Some(patience) => {
                    self.came.wait_for(&mut waiting, patience);
                }
                None => self.came.wait(&mut waiting),
            }
        }
        if waiting.requests.is_empty() {
            return (!waiting.closed).then(Vec::new);
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(request) = waiting.requests.front() {
            let more = request.bytes();
            if bytes > 0 && more > 0 && bytes + more > bytes_max {
                break;
            }
            bytes += more;
            taken.extend(waiting.requests.pop_front());
        }
        waiting.bytes -= bytes;
        Some(taken)
    }

    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.came.notify_all();
    }
}

/// Held by who takes from a queue: whatever ends it, nobody is left waiting for an answer.
pub(crate) struct Taker(pub(crate) Arc<Queue>);

impl Drop for Taker {
    fn drop(&mut self) {
        self.0.close();
        let left = std::mem::take(&mut self.0.waiting.lock().requests);
        // Outside of the lock: each one that is dropped wakes somebody.
        drop(left);
    }
}
