//! The one writer: takes what waits, writes it once, syncs, shows it, answers.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use polder_runtime::{Clock, fault};
use polder_types::{Error, Result};
use tokio::sync::oneshot;

use crate::cache::Cache;
use crate::checkpoint::{self, CheckpointJob, Tail};
use crate::disk::{Disk, DiskFile};
use crate::end::DurableEnd;
use crate::entry::AppendError;
use crate::failure::failed;
use crate::frame::{HEADER_BYTES, Kind, Place};
use crate::group::Group;
use crate::keeper::Made;
use crate::metrics::Metrics;
use crate::options::{LogOptions, Sync};
use crate::request::{APPEND_BYTES_MAX, Append, Outcome, Request};
use crate::segment;
use crate::state::{Mark, State};
use crate::turn::Turn;
use crate::view::Published;

mod apply;
mod mend;
mod orders;

/// The end of each segment, kept for what frees room: topics and records can be deleted on a full disk.
const RESERVE_BYTES: u64 = 64 << 10;

/// A group goes into memory and to the disk in chunks of about so many bytes: an append that is larger is a chunk of its own.
const CHUNK_BYTES: usize = if cfg!(test) { 512 } else { 1 << 20 };

/// What was acknowledged without a sync gets one after so long.
const LATE_SYNC_EVERY: Duration = Duration::from_secs(1);

/// After so long without anything to write it is written down up to where the log is durable.
const SAID_AFTER: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1_000 });

/// The segment that is written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next chunk of a group goes.
    pub(crate) position: u64,
    /// The number of the first append in it.
    pub(crate) first_sequence: u64,
}

/// What of a group is written.
pub(crate) struct Chunk {
    position: u64,
    bytes: Bytes,
    /// Bytes of the memory that it lies in.
    capacity: usize,
}

/// What the writer works with.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: LogOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) published: Arc<Published>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) metrics: Arc<Metrics>,
    /// What is written beside the writer waits for its syncs.
    pub(crate) turn: Arc<Turn>,
}

pub(crate) struct Writer {
    pub(crate) ground: Ground,
    pub(crate) identity: u64,
    pub(crate) state: State,
    pub(crate) active: Active,
    pub(crate) next_sequence: u64,
    /// The last append that is durable.
    pub(crate) synced: u64,
    /// Where it ends in the active segment: what is behind it is written, and no sync has vouched for it.
    pub(crate) synced_position: u64,
    /// Where that is written down.
    pub(crate) end: DurableEnd,
    /// Up to which append that was tried: a disk that fails is not asked again for the same.
    pub(crate) said: u64,
    /// Somebody takes checkpoints, to write them beside.
    pub(crate) keeper: Box<dyn FnMut(CheckpointJob) + Send>,
    /// Somebody makes segments ahead, by their number.
    pub(crate) ahead: Option<Box<dyn FnMut(u64) -> Receiver<Made> + Send>>,
    pub(crate) next_segment: Option<Receiver<Made>>,
    /// The chunk that is made.
    pub(crate) group: Group,
    /// Those before it.
    pub(crate) chunks: Vec<Chunk>,
    /// At most so many bytes are still to come into the group.
    pub(crate) expected: usize,
    pub(crate) answers: Vec<(Append, Outcome)>,
    /// Where the group begins: the number of its first append, and its place in the segment.
    pub(crate) group_sequence: u64,
    pub(crate) group_position: u64,
    /// What stands behind the position may be anything: a write or a sync has failed.
    pub(crate) torn: bool,
    /// Since when there is something written and not synced, in milliseconds since 1970: only where acknowledgements do not
    /// wait.
    pub(crate) unsynced: Option<i64>,
}

impl Writer {
    pub(crate) fn now(&self) -> i64 {
        self.ground.clock.now().timestamp_millis()
    }

    /// Does what was asked, and answers.
    pub(crate) fn commit(&mut self, requests: Vec<Request>) {
        self.expected = requests.iter().map(Request::bytes).sum();
        for request in requests {
            match request {
                Request::Append(append) => self.take(append),
                Request::Order(order) => {
                    self.flush();
                    self.follow(order);
                }
            }
        }
        self.flush();
    }

    fn take(&mut self, append: Append) {
        if !self.has_room(&append) {
            self.flush();
            // What only frees room may use the reserve, so it may go on where this fails.
            if let Err(error) = self.make_room(&append) {
                answer(append, Err(AppendError::Failed(error)));
                return;
            }
        }
        self.make_chunk(append.bytes);
        if self.torn
            && let Err(error) = self.mend()
        {
            answer(append, Err(AppendError::Failed(error)));
            return;
        }
        self.add(append);
    }

    /// Sees that so many bytes fit into the chunk: no frame lies in two.
    fn make_chunk(&mut self, bytes: usize) {
        if self.group.bytes.len() + bytes > self.group.bytes.capacity() {
            if let Err(error) = self.write_chunk() {
                self.take_back(&error);
            }
            self.group.bytes = Vec::with_capacity(self.expected.min(CHUNK_BYTES).max(bytes));
        }
        self.expected = self.expected.saturating_sub(bytes);
    }

    /// Puts an append into the group, or nothing of it.
    fn add(&mut self, mut append: Append) {
        let (mark, bytes) = (self.state.mark(), self.group.bytes.len());
        let entries = std::mem::take(&mut append.entries);
        let outcome = self.apply(entries);
        if outcome.is_ok() {
            let place = Place { identity: self.identity, segment: self.active.segment, position: self.active.position };
            if self.group.close(self.next_sequence, self.synced, place) {
                self.next_sequence += 1;
            }
        } else {
            self.state.roll_back(mark);
            self.group.roll_back(bytes);
        }
        self.answers.push((append, outcome));
    }

    /// Writes and syncs the group, shows and answers it; or takes all of it back.
    pub(crate) fn flush(&mut self) {
        if let Err(error) = self.write_chunk().and_then(|()| self.make_durable()) {
            self.take_back(&error);
            return;
        }
        self.group_sequence = self.next_sequence;
        self.group_position = self.active.position;
        let answers = std::mem::take(&mut self.answers);
        let effects = self.state.settle();
        self.ground.published.publish(effects);
        fault::point("topic-log-before-answer");
        for (append, outcome) in answers {
            answer(append, outcome);
        }
        self.look_ahead();
    }

    /// The group is as if it had never been begun.
    fn take_back(&mut self, error: &Error) {
        self.torn = true;
        self.state.roll_back(Mark::default());
        self.next_sequence = self.group_sequence;
        self.active.position = self.group_position;
        self.chunks.clear();
        self.group.bytes.clear();
        for (append, outcome) in std::mem::take(&mut self.answers) {
            // A refusal may rest on something that was taken back: it is no refusal then.
            drop(outcome);
            answer(append, Err(AppendError::Failed(again(error))));
        }
    }

    fn write_chunk(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.group.bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        fault::point("topic-log-before-write");
        let position = self.active.position;
        let written = self.active.file.write_all_at(&bytes, position);
        written.map_err(|error| failed("writing", &self.path(), error))?;
        self.active.position += bytes.len() as u64;
        let capacity = bytes.capacity();
        self.chunks.push(Chunk { position, bytes: bytes.into(), capacity });
        Ok(())
    }

    /// Makes what is written durable, where acknowledgements wait for that, and keeps it for readers.
    fn make_durable(&mut self) -> Result<()> {
        if self.chunks.is_empty() {
            return Ok(());
        }
        fault::point("topic-log-before-sync");
        match self.ground.options.sync {
            Sync::OnAck => {
                self.sync()?;
                self.synced = self.next_sequence - 1;
            }
            Sync::PageCache => self.unsynced = self.unsynced.or(Some(self.now())),
        }
        let bytes = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        self.ground.metrics.group(self.next_sequence - self.group_sequence, bytes);
        for Chunk { position, bytes, capacity } in self.chunks.drain(..) {
            self.ground.cache.put(self.active.segment, position, bytes, capacity);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let turn = self.ground.turn.take();
        let synced = self.active.file.sync();
        drop(turn);
        if let Err(error) = synced {
            // What was to be written counts as written for the system from here on: the next sync says nothing of it.
            self.torn = true;
            return Err(failed("syncing", &self.path(), error));
        }
        self.ground.metrics.synced();
        self.unsynced = None;
        self.synced_position = self.active.position;
        Ok(())
    }

    /// Syncs what was acknowledged without, if there is any.
    pub(crate) fn sync_late(&mut self) -> Result<()> {
        if self.unsynced.is_none() {
            return Ok(());
        }
        let synced = if self.torn { self.mend() } else { self.sync() };
        if synced.is_ok() {
            self.synced = self.next_sequence - 1;
        } else {
            // Not at once again: a disk that fails may do so for long.
            self.unsynced = Some(self.now());
        }
        synced
    }

    /// How long the late sync may wait still; `None` if there is nothing to sync.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let waited = self.now().saturating_sub(self.unsynced?);
        // A clock that is set back makes nobody wait.
        let waited = u64::try_from(waited).map_or(LATE_SYNC_EVERY, Duration::from_millis);
        Some(LATE_SYNC_EVERY.saturating_sub(waited))
    }

    /// Whether something is durable that only its own frames tell of.
    fn is_unsaid(&self) -> bool {
        self.unsynced.is_none() && self.synced > self.said
    }

    /// How long to wait for something to write at most.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.patience().or_else(|| self.is_unsaid().then_some(SAID_AFTER))
    }

    /// Writes down up to where the log is durable, once for all that came by now: nothing has come for a moment.
    pub(crate) fn idle(&mut self) {
        if self.is_unsaid() {
            self.say();
        }
    }

    /// The same, whatever was tried before.
    pub(crate) fn say(&mut self) {
        if self.torn
            && let Err(error) = self.mend()
        {
            tracing::warn!(%error, "records that were refused as they could not be written may be there after the next start");
        }
        self.said = self.synced;
        if let Err(error) = self.end.say(&*self.ground.disk, self.synced) {
            tracing::warn!(%error, "it is not written down up to where the log is durable");
        }
    }

    pub(crate) fn path(&self) -> String {
        self.ground.disk.path_of(&segment::file_name(self.active.segment))
    }

    /// Whether an append fits behind what is there, with the frame that ends the segment.
    fn has_room(&self, append: &Append) -> bool {
        let used = self.active.position + (self.group.bytes.len() + append.bytes + HEADER_BYTES) as u64;
        // One that is larger than a segment gets a segment of its own.
        let empty = self.active.position == segment::HEADER_BYTES && self.group.bytes.is_empty();
        empty || used + self.reserve() <= self.ground.options.room_of(self.active.segment)
    }

    fn reserve(&self) -> u64 {
        RESERVE_BYTES.min(self.ground.options.room_of(self.active.segment) / 8)
    }

    fn make_room(&mut self, append: &Append) -> Result<()> {
        let rolled = if self.torn { self.mend() } else { Ok(()) }.and_then(|()| self.roll());
        let Err(error) = rolled else { return Ok(()) };
        let used = self.active.position + (append.bytes + HEADER_BYTES) as u64;
        let fits = used <= self.ground.options.room_of(self.active.segment);
        if fits && !self.torn && append.entries.iter().all(crate::request::Checked::frees_room) {
            return Ok(());
        }
        Err(error)
    }

    /// Has the next segment made once half of this one is full.
    fn look_ahead(&mut self) {
        let half = self.ground.options.room_of(self.active.segment) / 2;
        if self.active.position > half
            && self.next_segment.is_none()
            && let Some(ahead) = &mut self.ahead
        {
            self.next_segment = Some(ahead(self.active.segment + 1));
        }
    }

    fn next_file(&mut self, number: u64) -> Result<Arc<dyn DiskFile>> {
        // One that could not be made then may be made now.
        if let Some(Ok(Ok(ahead))) = self.next_segment.take().map(|made| made.recv()) {
            return Ok(ahead.claim());
        }
        let room = self.ground.options.room_of(number);
        segment::create(&*self.ground.disk, number, self.identity, room)
    }

    /// Ends the segment and begins the next one.
    fn roll(&mut self) -> Result<()> {
        let next = self.active.segment + 1;
        let file = self.next_file(next)?;
        fault::point("topic-log-before-seal");
        let place = Place { identity: self.identity, segment: self.active.segment, position: self.active.position };
        let mut seal = Group::default();
        let start = seal.begin();
        seal.end(start, Kind::Seal, 0, 0, 0);
        seal.close(self.next_sequence - 1, self.synced, place);
        let sealed = self.active.file.write_all_at(&seal.bytes, self.active.position);
        let sealed = sealed.map_err(|error| failed("writing", &self.path(), error)).and_then(|()| self.sync());
        if let Err(error) = sealed {
            self.torn = true;
            return Err(error);
        }
        self.synced = self.next_sequence - 1;
        let end = self.active.position + seal.bytes.len() as u64;
        if let Err(error) = self.active.file.cut(end) {
            // Room that nobody uses; the segment is whole.
            tracing::warn!(%error, segment = self.active.segment, "a sealed segment keeps its unused room");
        }
        fault::point("topic-log-after-seal");
        (self.group_position, self.synced_position) = (segment::HEADER_BYTES, segment::HEADER_BYTES);
        self.active =
            Active { segment: next, file, position: segment::HEADER_BYTES, first_sequence: self.next_sequence };
        let expiry = i64::try_from(self.ground.options.producer_expiry.as_millis()).unwrap_or(i64::MAX);
        let now = self.now();
        self.state.expire_producers(now.saturating_sub(expiry));
        self.checkpoint(None);
        Ok(())
    }

    /// Hands a checkpoint of this moment to who writes it. Nothing may be in the group.
    pub(crate) fn checkpoint(&mut self, done: Option<oneshot::Sender<Result<()>>>) {
        let tail = Tail {
            identity: self.identity,
            segment: self.active.segment,
            first_sequence: self.active.first_sequence,
            sequence: self.next_sequence - 1,
        };
        let mut job = checkpoint::make(&self.state, &self.ground.published, tail);
        job.done = done;
        (self.keeper)(job);
    }
}

/// The same error, for another one who waits.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

fn answer(append: Append, outcome: Outcome) {
    // Whoever asked may be gone; what is in the log stays there.
    let _ = append.reply.send(outcome);
}

/// An append that no segment takes.
pub(crate) fn too_large(bytes: usize) -> Option<AppendError> {
    (bytes > APPEND_BYTES_MAX).then(|| AppendError::Refused {
        entry: 0,
        refusal: crate::entry::Refusal::TooLarge { bytes, bytes_max: APPEND_BYTES_MAX },
    })
}
