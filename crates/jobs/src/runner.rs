//! The runner: writes the book's decisions down, starts the work, and waits for the next moment.

mod api;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use polder_capability::{JobDefinition, JobKind, RunState};
use polder_metastore::{Jobs as JobRows, Metastore};
use polder_runtime::Clock;
use polder_types::{Result, RunId};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::attempt::{Cause, Live, Work};
use crate::book::{Attempt, Book, Changes, Job, Outcome};
use crate::store;

/// The pause before something is tried again that the metastore refused, as when the disk is full.
const PAUSE_AFTER_ERROR: TimeDelta = TimeDelta::seconds(5);

/// A job that belongs to the program: there from the first start on. It can be paused and changed, not removed.
#[derive(Debug, Clone)]
pub struct StandingJob {
    pub definition: JobDefinition,
}

impl StandingJob {
    /// Compaction of small files, in the quarter of each hour that nothing else is likely to begin in.
    #[must_use]
    pub fn compaction() -> Self {
        let mut definition = JobDefinition::new("compaction", "compaction", serde_json::json!({}), SYSTEM);
        definition.schedule = Some("20 * * * *".to_owned());
        definition.retries = 3;
        Self { definition }
    }

    /// Files that nothing names, once a day.
    #[must_use]
    pub fn cleanup() -> Self {
        let mut definition = JobDefinition::new("cleanup", "cleanup", serde_json::json!({}), SYSTEM);
        definition.schedule = Some("40 3 * * *".to_owned());
        Self { definition }
    }

    /// Some files an hour, read again to see whether they are as they were written.
    #[must_use]
    pub fn scrub() -> Self {
        let mut definition = JobDefinition::new("scrub", "scrub", serde_json::json!({}), SYSTEM);
        definition.schedule = Some("50 * * * *".to_owned());
        Self { definition }
    }
}

/// The user on whose behalf the program's own jobs run.
const SYSTEM: &str = "polder";

pub struct JobRunnerOptions {
    pub metastore: Arc<Metastore>,
    pub clock: Arc<dyn Clock>,
    pub kinds: Vec<Arc<dyn JobKind>>,
    pub standing: Vec<StandingJob>,
    /// Runs that may go on at once, of all jobs together. No job runs twice at once.
    pub runs_at_once: usize,
}

/// What the runner is at, as of one look at the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outlook {
    pub at: DateTime<Utc>,
    /// The changes of jobs and runs that it knows of, counted from the start.
    pub revision: u64,
    pub running: usize,
    pub waiting: usize,
    /// When it will look again, unless something happens before.
    pub next_at: Option<DateTime<Utc>>,
}

/// The one job runner. Knows and changes jobs from the moment it is open; runs them once it is started.
pub struct JobRunner {
    shared: Arc<Shared>,
}

struct Shared {
    metastore: Arc<Metastore>,
    clock: Arc<dyn Clock>,
    kinds: parking_lot::RwLock<BTreeMap<&'static str, Arc<dyn JobKind>>>,
    standing: Vec<StandingJob>,
    desk: Mutex<Desk>,
    /// The book has changed.
    changed: Notify,
    outlook: watch::Sender<Outlook>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// What one at a time works on.
struct Desk {
    book: Book,
    live: HashMap<RunId, Arc<Live>>,
    /// Counts the changes of the book.
    revision: u64,
}

impl Desk {
    fn apply(&mut self, changes: Changes) {
        self.book.apply(changes);
        self.revision += 1;
    }
}

impl JobRunner {
    /// Reads the jobs, marks what a process that is gone has left running as interrupted (and queues the next attempt
    /// where the job has one left), and makes the standing jobs that are not there yet.
    pub async fn open(options: JobRunnerOptions) -> Result<Arc<Self>> {
        let JobRunnerOptions { metastore, clock, kinds, standing, runs_at_once } = options;
        let book = Book::new(runs_at_once, store::jobs(&metastore).await?, store::open_runs(&metastore).await?);
        let shared = Arc::new(Shared {
            metastore,
            clock,
            kinds: parking_lot::RwLock::new(kinds.into_iter().map(|kind| (kind.name(), kind)).collect()),
            standing,
            desk: Mutex::new(Desk { book, live: HashMap::new(), revision: 0 }),
            changed: Notify::new(),
            outlook: watch::Sender::new(Outlook::default()),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        shared.recover().await?;
        Ok(Arc::new(Self { shared }))
    }

    /// Begins to run jobs, on the threads of `workers`.
    pub fn start(&self, workers: &Handle) {
        let shared = Arc::clone(&self.shared);
        let looks = self.shared.tasks.track_future(shared.look_again_and_again(workers.clone()));
        workers.spawn(looks);
    }

    /// What the runner is at; changes each time it has looked.
    #[must_use]
    pub fn outlook(&self) -> watch::Receiver<Outlook> {
        self.shared.outlook.subscribe()
    }

    /// Stops what runs, as interrupted, and waits for its end. Nothing starts any more.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        for live in self.shared.desk.lock().await.live.values() {
            live.stop_for(Cause::Shutdown);
        }
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        // The kinds hold the engine, and the engine holds this.
        self.shared.kinds.write().clear();
    }
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        // What the metastore keeps: SQLite and PostgreSQL agree on microseconds.
        let now = self.clock.now();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    async fn recover(&self) -> Result<()> {
        let now = self.now();
        let mut desk = self.desk.lock().await;
        for id in desk.book.cut_off() {
            let mut changes = desk.book.end(id, &Outcome::Interrupted, now);
            changes.log.push((id, "cut off: the server stopped".to_owned()));
            self.commit(&mut desk, changes).await?;
        }
        for standing in &self.standing {
            if desk.book.job(&standing.definition.name).is_none() {
                let id = Uuid::now_v7().to_string();
                let job = Job::new(id, standing.definition.clone(), true, now, now)?;
                self.commit(&mut desk, Changes { new_jobs: vec![job], ..Changes::default() }).await?;
            }
        }
        Ok(())
    }

    /// Writes changes down and brings the book up to them.
    async fn commit(&self, desk: &mut Desk, changes: Changes) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        store::write(&self.metastore, &changes, &[], self.now()).await?;
        desk.apply(changes);
        self.changed.notify_one();
        Ok(())
    }

    async fn look_again_and_again(self: Arc<Self>, workers: Handle) {
        loop {
            let wake = match self.look(&workers).await {
                Ok(wake) => wake,
                Err(error) => {
                    tracing::warn!(%error, "jobs cannot be started");
                    Some(self.now() + PAUSE_AFTER_ERROR)
                }
            };
            let until = async {
                match wake {
                    Some(time) => self.clock.sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.changed.notified() => {}
                () = until => {}
            }
        }
    }

    /// Turns due times into runs and starts what can start. Gives the time of the next look.
    async fn look(self: &Arc<Self>, workers: &Handle) -> Result<Option<DateTime<Utc>>> {
        let mut desk = self.desk.lock().await;
        if self.closing.is_cancelled() {
            return Ok(None);
        }
        let now = self.now();
        let due = desk.book.due(now);
        self.commit(&mut desk, due).await?;
        let changes = desk.book.start(now);
        let started = changes.runs.clone();
        self.commit(&mut desk, changes).await?;
        for attempt in started {
            self.launch(&mut desk, attempt, workers).await;
        }
        let next_at = desk.book.next_wake(now);
        let (running, waiting) = (desk.book.running().count(), desk.book.waiting().count());
        self.outlook.send_replace(Outlook { at: now, revision: desk.revision, running, waiting, next_at });
        Ok(next_at)
    }

    /// Starts the work of a run that is marked as running.
    async fn launch(self: &Arc<Self>, desk: &mut Desk, attempt: Attempt, workers: &Handle) {
        let id = attempt.record.run_id;
        // Only runs of jobs in the book are started.
        let Some(job) = desk.book.job(&attempt.record.job).cloned() else { return };
        let log = match self.metastore.jobs().log(&id.to_string()).await {
            Ok(log) => log.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(run = %id, %error, "the beginning of a job's log is lost");
                String::new()
            }
        };
        let live = Arc::new(Live::new(log));
        desk.live.insert(id, Arc::clone(&live));
        let work = Work {
            id,
            attempt: attempt.record.attempt,
            kind: self.kinds.read().get(job.definition.kind.as_str()).cloned(),
            job,
            live,
            metastore: Arc::clone(&self.metastore),
            clock: Arc::clone(&self.clock),
        };
        let shared = Arc::clone(self);
        workers.spawn(self.tasks.track_future(async move {
            let outcome = work.run().await;
            shared.end(id, &outcome).await;
        }));
    }

    /// Writes down how a run ended, however often that takes. While closing, once: the next start tells it as cut off.
    async fn end(&self, id: RunId, outcome: &Outcome) {
        if let Outcome::Failed(error) = outcome {
            tracing::warn!(run = %id, %error, "a job failed");
        }
        loop {
            let mut desk = self.desk.lock().await;
            let now = self.now();
            let changes = desk.book.end(id, outcome, now);
            let text = desk.live.get(&id).map(|live| live.log.text()).unwrap_or_default();
            let log = JobRows::log_write(&id.to_string(), &text);
            match store::write(&self.metastore, &changes, &[log], now).await {
                Ok(()) => {
                    desk.apply(changes);
                    desk.live.remove(&id);
                    self.changed.notify_one();
                    return;
                }
                Err(error) => tracing::warn!(run = %id, %error, "the end of a job's run cannot be written"),
            }
            drop(desk);
            if self.closing.is_cancelled() {
                return;
            }
            self.clock.sleep_until(now + PAUSE_AFTER_ERROR).await;
        }
    }

    /// Asks a run to stop, or takes it out of those that wait. False if it does neither.
    async fn cancel(&self, id: RunId) -> Result<bool> {
        let mut desk = self.desk.lock().await;
        let Some(attempt) = desk.book.open_run(id) else { return Ok(false) };
        if attempt.record.state == RunState::Waiting {
            let cancelled = crate::book::cancelled(attempt, "cancelled on request", self.now());
            self.commit(&mut desk, Changes { runs: vec![cancelled], ..Changes::default() }).await?;
        } else if let Some(live) = desk.live.get(&id) {
            live.stop_for(Cause::Asked);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
