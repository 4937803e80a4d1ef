//! Appends on their way to the writer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use polder_types::Result;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use crate::batch::{BatchHeader, check};
use crate::compact::has_keys;
use crate::entry::{AppendError, Appended, Entry, Refusal};
use crate::frame::frame_bytes;
use crate::rewrite::Rewritten;
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

    /// Refuses records without keys where only the last record of each key stays.
    pub(crate) fn check_keys(&self, published: &Published) -> Result<(), Refusal> {
        let Self::Batch { topic, bytes, .. } = self else { return Ok(()) };
        let compact = published.topics.read().by_id.get(topic).is_some_and(|topic| topic.topic.settings.compact);
        if compact && !has_keys(bytes) {
            return Err(Refusal::InvalidRecord("records of a compacted topic have keys".to_owned()));
        }
        Ok(())
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

pub(crate) type Outcome = Result<Vec<Appended>, AppendError>;

/// One append.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) entries: Vec<Checked>,
    pub(crate) bytes: usize,
    pub(crate) reply: oneshot::Sender<Outcome>,
    /// Its share of the queue, given back when it is answered.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// What the writer is asked to do between groups.
#[derive(Debug)]
pub(crate) enum Order {
    /// Shows rewritten segments instead of those that they come from, durably.
    Adopt(Rewritten, oneshot::Sender<Result<()>>),
    /// Says up to where the log is written: segment and position.
    Position(oneshot::Sender<(u64, u64)>),
    /// Tries again what could not be written of checkpoints.
    Checkpoint(oneshot::Sender<Result<()>>),
}

#[derive(Debug)]
pub(crate) enum Request {
    Append(Append),
    Order(Order),
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
            if let Request::Append(append) = request {
                if bytes > 0 && bytes + append.bytes > bytes_max {
                    break;
                }
                bytes += append.bytes;
            }
            taken.extend(waiting.requests.pop_front());
        }
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
