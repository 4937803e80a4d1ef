//! The log, as those above use it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;
use polder_runtime::Clock;
use polder_types::{Error, Result};
use tokio::sync::{Notify, oneshot, watch};
use uuid::Uuid;

use crate::cache::Cache;
use crate::disk::{Directory, Disk};
use crate::entry::{AppendError, Appended, Entry, Refusal};
use crate::housekeeping::Spared;
use crate::keeper::{Durable, Job, Keeper, closed};
use crate::metrics::{LogMetrics, Metrics};
use crate::options::{LogOptions, Recovered, Sync};
use crate::read::time::Wanted;
use crate::read::{Ask, Files, Reader};
use crate::records::{Bounds, Isolation, ReadError, Records, TimedOffset};
use crate::recover;
use crate::request::{Append, Checked, Order, Outcome, Queue, Request, Taker};
use crate::rewrite::Rewriting;
use crate::scrub::LogChecked;
use crate::topic::Topic;
use crate::view::{PartitionView, Published};
use crate::writer::{Ground, Writer, too_large};

/// Below it, the reserve of a segment and its header leave no room.
const SEGMENT_BYTES_MIN: u32 = 64 << 10;

/// One log for all topics. All clones are one.
#[derive(Clone, Debug)]
pub struct Log(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) reader: Arc<Reader>,
    pub(crate) queue: Arc<Queue>,
    queue_bytes: usize,
    pub(crate) durable: Arc<Mutex<Durable>>,
    writing: Mutex<Option<thread::JoinHandle<Result<()>>>>,
    /// One housekeeping at a time.
    pub(crate) housekeeping: tokio::sync::Mutex<()>,
    /// By topic: what the last housekeeping left though it was due.
    pub(crate) held_bytes: Mutex<HashMap<Uuid, u64>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Ends when one of some partitions has grown, or its last stable offset has moved. Made by [`Log::appended`] *before*
/// the read that finds too little, so that nothing is missed in between.
#[derive(Debug)]
pub struct Growth(Arc<Notify>);

impl Growth {
    /// Waits. Cheap to drop.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

impl Log {
    /// Opens the log in a directory, or makes one. It is locked until the last clone is gone or [`Log::close`] is done.
    ///
    /// # Errors
    /// `Unavailable` when somebody else has it open, `Corrupt` when something acknowledged is damaged (names the file).
    pub async fn open(dir: &Path, options: LogOptions, clock: Arc<dyn Clock>) -> Result<(Self, Recovered)> {
        if options.segment_bytes < SEGMENT_BYTES_MIN {
            return Err(Error::invalid(format!("a segment has at least {SEGMENT_BYTES_MIN} bytes")));
        }
        let dir = dir.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let disk: Arc<dyn Disk> = Arc::new(Directory::open(&dir)?);
            Self::open_on(disk, options, clock)
        });
        opened.await.map_err(|error| Error::internal(error.to_string()))?
    }

    /// Appends all entries as one fact. When it returns, they are durable and can be read. Entries see those before
    /// them: a topic can be created and written to in one append.
    ///
    /// # Errors
    /// One entry was refused, the disk failed, or more waits to be written than may (`Unavailable`: try again later).
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Vec<Appended>, AppendError> {
        let mut answers = self.queued(vec![self.checked_all(entries)?])?;
        let append = answers.pop().ok_or_else(|| AppendError::Failed(closed()))?;
        answer_of(append).await
    }

    /// Appends each entry as a fact of its own, in order, with one wait for all: what a produce request does.
    pub async fn append_each(&self, entries: Vec<Entry>) -> Vec<Result<Appended, AppendError>> {
        let outcomes = self.append_all(entries.into_iter().map(|entry| vec![entry]).collect()).await;
        let first = |done: Vec<Appended>| done.first().copied().unwrap_or(Appended::Done);
        outcomes.into_iter().map(|outcome| outcome.map(first)).collect()
    }

    /// Several appends at once, each as [`Log::append`] does it, in order, with one wait for all.
    pub async fn append_all(&self, appends: Vec<Vec<Entry>>) -> Vec<Result<Vec<Appended>, AppendError>> {
        let mut refused = Vec::with_capacity(appends.len());
        let mut accepted = Vec::with_capacity(appends.len());
        for entries in appends {
            match self.checked_all(entries) {
                Ok(entries) => {
                    accepted.push(entries);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        // Together, so that one sync serves all of them.
        let (mut answers, failed) = match self.queued(accepted) {
            Ok(answers) => (answers.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        let mut outcomes = Vec::with_capacity(refused.len());
        for refused in refused {
            outcomes.push(match (refused, &failed) {
                (Some(refused), _) => Err(refused),
                (None, Some(failed)) => Err(again(failed)),
                (None, None) => match answers.next() {
                    Some(answer) => answer_of(answer).await,
                    None => Err(AppendError::Failed(closed())),
                },
            });
        }
        outcomes
    }

    /// The live values of a space, ordered by key.
    #[must_use]
    pub fn state(&self, space: u8) -> Vec<(Bytes, Bytes)> {
        let kept = self.published().state.read();
        let of_space = kept.range((space, Bytes::new())..).take_while(|((of, _), _)| *of == space);
        of_space.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    /// Bytes that the values of all spaces take in memory, about. The log has no bound for them: those who keep them have.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.published().kept_bytes()
    }

    /// One value of a space.
    #[must_use]
    pub fn state_of(&self, space: u8, key: &[u8]) -> Option<Bytes> {
        self.published().state.read().get(&(space, Bytes::copy_from_slice(key))).cloned()
    }

    /// All topics, ordered by name.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.published().topics.read().by_name.values().map(|topic| Arc::clone(&topic.topic)).collect()
    }

    /// A topic by its name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.published().topics.read().by_name.get(name).map(|topic| Arc::clone(&topic.topic))
    }

    /// A topic by its id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.published().topics.read().by_id.get(&id).map(|topic| Arc::clone(&topic.topic))
    }

    /// Counts up with each change of a topic.
    #[must_use]
    pub fn topics_changed(&self) -> watch::Receiver<u64> {
        self.published().topics_version.subscribe()
    }

    /// Batches from an offset on, about `bytes_max` of them, but always one if there is one. An offset at the end gives
    /// none.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read(
        &self,
        topic: Uuid,
        partition: u32,
        offset: i64,
        bytes_max: usize,
        isolation: Isolation,
    ) -> Result<Records, ReadError> {
        let partition = self.partition(topic, partition)?;
        let ask = Ask { offset, bytes_max, isolation };
        if let Some(records) = self.0.reader.read_from_memory(&partition, &ask)? {
            return Ok(records);
        }
        self.blocking(move |reader| reader.read(&partition, &ask)).await
    }

    /// The offsets that a partition has; `None` if there is no such partition.
    #[must_use]
    pub fn bounds(&self, topic: Uuid, partition: u32) -> Option<Bounds> {
        self.published().partition(topic, partition).map(|partition| partition.bounds())
    }

    /// Bytes that a partition's records take in the log; `None` if there is no such partition.
    #[must_use]
    pub fn partition_bytes(&self, topic: Uuid, partition: u32) -> Option<u64> {
        self.published().partition(topic, partition).map(|partition| partition.view.read().bytes())
    }

    /// The first record with a timestamp (milliseconds) of at least this; `None` if there is none.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn offset_for_time(
        &self,
        topic: Uuid,
        partition: u32,
        timestamp: i64,
    ) -> Result<Option<TimedOffset>, ReadError> {
        let partition = self.partition(topic, partition)?;
        self.blocking(move |reader| reader.by_time(&partition, Wanted::AtLeast(timestamp))).await
    }

    /// The record with the greatest timestamp, the first of those; `None` if there is none.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn max_timestamp(&self, topic: Uuid, partition: u32) -> Result<Option<TimedOffset>, ReadError> {
        let partition = self.partition(topic, partition)?;
        self.blocking(move |reader| reader.by_time(&partition, Wanted::Greatest)).await
    }

    /// Something to wait for: growth of any of these partitions from now on. Those that do not exist are passed over.
    #[must_use]
    pub fn appended(&self, partitions: &[(Uuid, u32)]) -> Growth {
        let growth = Arc::new(Notify::new());
        for (topic, partition) in partitions {
            if let Some(partition) = self.published().partition(*topic, *partition) {
                partition.tell(&growth);
            }
        }
        Growth(growth)
    }

    /// What is due now: retention, compaction, rewriting and removal of old segments. To be called every few seconds
    /// to minutes; it does a bounded amount of work and says whether there is more.
    ///
    /// # Errors
    /// The disk failed; the log is as before, and the next call tries again.
    pub async fn housekeeping(&self) -> Result<bool> {
        self.housekeeping_but_for(&Spared::Nothing).await
    }

    /// The same, but for records that retention is to leave.
    ///
    /// # Errors
    /// As [`Log::housekeeping`].
    pub async fn housekeeping_but_for(&self, spared: &Spared) -> Result<bool> {
        let _one = self.0.housekeeping.lock().await;
        crate::housekeeping::run(self, spared).await
    }

    /// Bytes of a topic that the last housekeeping left for others' sake, though retention would have deleted them.
    #[must_use]
    pub fn held_bytes(&self, topic: Uuid) -> u64 {
        self.0.held_bytes.lock().get(&topic).copied().unwrap_or(0)
    }

    /// The same of all topics.
    #[must_use]
    pub fn held_bytes_of_all(&self) -> HashMap<Uuid, u64> {
        self.0.held_bytes.lock().clone()
    }

    /// Reads every segment up to where it is written, and checks every byte of it. Damaged ones count in [`LogMetrics::damaged_segments`] until
    /// a later check finds them whole, or needed by nobody.
    ///
    /// # Errors
    /// `Unavailable`: one cannot be read.
    pub async fn check(&self) -> Result<LogChecked> {
        // Of a log that is closed nobody tells it.
        let end = self.position().await.ok().map(|(end, _)| end);
        self.blocking(move |reader| reader.scrub(end).map_err(ReadError::Failed)).await.map_err(|error| match error {
            ReadError::Failed(error) => error,
            other => Error::internal(other.to_string()),
        })
    }

    /// The same, where damage is an error. Gives the bytes that were read.
    ///
    /// # Errors
    /// `Corrupt`, naming the first damaged segment and place, and how many there are. `Unavailable`: one cannot be read.
    pub async fn scrub(&self) -> Result<u64> {
        self.check().await?.sound()
    }

    /// Ends the writing, with all that was queued, and frees the directory. Later appends fail.
    ///
    /// # Errors
    /// The last sync failed.
    pub async fn close(&self) -> Result<()> {
        self.0.queue.close();
        let Some(writing) = self.0.writing.lock().take() else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || writing.join()).await;
        ended
            .ok()
            .and_then(std::result::Result::ok)
            .unwrap_or_else(|| Err(Error::internal("the writer of the log broke off")))
    }

    /// What the log has done since it was opened.
    #[must_use]
    pub fn metrics(&self) -> LogMetrics {
        LogMetrics {
            damaged_segments: self.0.reader.rewriting.damaged().len() as u64,
            ..self.0.reader.ground.metrics.now()
        }
    }

    /// Opens the log on a disk that is handed in. Blocks.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovered)> {
        let ground = Ground {
            disk,
            clock,
            published: Arc::new(Published::default()),
            cache: Arc::new(Cache::new(options.cache_bytes)),
            metrics: Arc::new(Metrics::default()),
            turn: Arc::default(),
            options,
        };
        let (mut writer, durable, recovered) = recover::open(ground.clone())?;
        let durable = Arc::new(Mutex::new(durable));
        let (keeper, keeping) = start_keeper(Keeper::new(&ground, Arc::clone(&durable)))?;
        let jobs = keeper.clone();
        writer.keeper = Box::new(move |job| drop(jobs.send(Job::Checkpoint(job))));
        let (identity, options) = (writer.identity, ground.options.clone());
        writer.ahead = Some(Box::new(move |segment| {
            let (made, coming) = std::sync::mpsc::sync_channel(1);
            let (bytes, synced) = (options.room_of(segment), options.sync == Sync::OnAck);
            drop(keeper.send(Job::Segment { segment, identity, bytes, synced, made }));
            coming
        }));
        let queue = Arc::new(Queue::default());
        let queue_bytes = ground.options.queue_bytes;
        let files = Files::new(ground.options.index_cache_bytes);
        let rewriting = Rewriting::default();
        let reader = Arc::new(Reader { identity: writer.identity, ground, files, rewriting });
        let writing = start_writer(writer, Arc::clone(&queue), keeping)?;
        let inner = Inner {
            reader,
            queue,
            queue_bytes,
            durable,
            writing: Mutex::new(Some(writing)),
            housekeeping: tokio::sync::Mutex::default(),
            held_bytes: Mutex::default(),
        };
        Ok((Self(Arc::new(inner)), recovered))
    }

    /// Has the writer do something between groups.
    pub(crate) async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        let (done, answer) = oneshot::channel();
        if !self.0.queue.put([Request::Order(order(done))]) {
            return Err(closed());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) fn published(&self) -> &Published {
        &self.0.reader.ground.published
    }

    fn partition(&self, topic: Uuid, partition: u32) -> Result<Arc<PartitionView>, ReadError> {
        self.published().partition(topic, partition).ok_or(ReadError::UnknownTopic)
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let reader = Arc::clone(&self.0.reader);
        let worked = tokio::task::spawn_blocking(move || work(&reader)).await;
        worked.map_err(|error| ReadError::Failed(Error::internal(error.to_string())))?
    }

    fn checked(&self, entry: Entry) -> Result<Checked, Refusal> {
        let checked = Checked::of(entry)?;
        let now = self.0.reader.ground.clock.now().timestamp_millis();
        checked.check_records(self.published(), now)?;
        checked.recompressed(self.published())
    }

    fn checked_all(&self, entries: Vec<Entry>) -> Result<Vec<Checked>, AppendError> {
        let one =
            |(number, entry)| self.checked(entry).map_err(|refusal| AppendError::Refused { entry: number, refusal });
        let checked: Vec<Checked> = entries.into_iter().enumerate().map(one).collect::<Result<_, _>>()?;
        too_large(bytes_of(&checked)).map_or(Ok(checked), Err)
    }

    /// Puts appends into the queue at once: whoever asked first is first, however full it is. It has an end nevertheless:
    /// those who no longer wait for theirs must not fill the memory.
    fn queued(&self, appends: Vec<Vec<Checked>>) -> Result<Vec<oneshot::Receiver<Outcome>>, AppendError> {
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let (mut requests, mut answers) = (Vec::with_capacity(appends.len()), Vec::with_capacity(appends.len()));
        for entries in appends {
            let (reply, answer) = oneshot::channel();
            let bytes = bytes_of(&entries);
            requests.push(Request::Append(Append { entries, bytes, reply }));
            answers.push(answer);
        }
        self.0.queue.put_within(requests, self.0.queue_bytes).map_err(AppendError::Failed)?;
        Ok(answers)
    }
}

fn bytes_of(entries: &[Checked]) -> usize {
    entries.iter().map(Checked::bytes).sum()
}

/// The same error, for another entry.
fn again(error: &AppendError) -> AppendError {
    match error {
        AppendError::Refused { entry, refusal } => AppendError::Refused { entry: *entry, refusal: refusal.clone() },
        AppendError::Failed(error) => AppendError::Failed(Error::new(error.kind(), error.to_string())),
    }
}

async fn answer_of(answer: oneshot::Receiver<Outcome>) -> Outcome {
    answer.await.unwrap_or_else(|_| Err(AppendError::Failed(closed())))
}

fn start_writer(
    mut writer: Writer,
    queue: Arc<Queue>,
    keeping: thread::JoinHandle<()>,
) -> Result<thread::JoinHandle<Result<()>>> {
    let group_bytes = writer.ground.options.group_bytes;
    let taker = Taker(Arc::clone(&queue));
    let work = move || {
        let taker = taker;
        loop {
            let Some(requests) = queue.take(group_bytes, writer.wait()) else { break };
            let is_idle = requests.is_empty();
            if !is_idle {
                writer.commit(requests);
            }
            // Also where there is always more to write.
            if writer.patience().is_some_and(|left| left.is_zero())
                && let Err(error) = writer.sync_late()
            {
                tracing::error!(%error, "what was acknowledged without a sync may be lost in a crash");
            }
            if is_idle {
                writer.idle();
            }
        }
        drop(taker);
        // A sync that fails is mended by the next one, if the disk lets it.
        let ended = writer.sync_late().or_else(|_| writer.sync_late());
        writer.say();
        // The last checkpoint is written before somebody else may open the log.
        (writer.keeper, writer.ahead) = (Box::new(drop), None);
        let kept = keeping.join().map_err(|_| Error::internal("the keeper of the log broke off"));
        writer.ground.disk.unlock();
        ended.and(kept)
    };
    let started = thread::Builder::new().name("topic-log-writer".to_owned()).spawn(work);
    started.map_err(|error| Error::internal(format!("starting the writer of the log: {error}")))
}

type Jobs = std::sync::mpsc::Sender<Job>;

fn start_keeper(mut keeper: Keeper) -> Result<(Jobs, thread::JoinHandle<()>)> {
    let (jobs, coming) = std::sync::mpsc::channel();
    let work = move || {
        for job in coming {
            keeper.work(job);
        }
    };
    let started = thread::Builder::new().name("topic-log-keeper".to_owned()).spawn(work);
    let keeping = started.map_err(|error| Error::internal(format!("starting the keeper of the log: {error}")))?;
    Ok((jobs, keeping))
}
