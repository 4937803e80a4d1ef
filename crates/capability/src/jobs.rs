use std::sync::Arc;

use chrono::{DateTime, Utc};
use polder_types::{Result, RunId};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Caller, QueryError};

/// What becomes of due times that passed while the server was down or the job was busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are recorded as missed.
    None,
    /// One run stands for all of them.
    #[default]
    One,
    /// Each gets a run of its own, one after the other, the oldest first.
    All,
}

/// What is to be run, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDefinition {
    pub name: String,
    /// The name of a [`JobKind`].
    pub kind: String,
    /// What the kind needs to know: for `statement`, `{"sql": …}`.
    pub payload: serde_json::Value,
    /// Statements run with this user's rights.
    pub owner: String,
    /// A cron expression, or [`JobDefinition::ALWAYS`]. `None`: only when asked, or after another job.
    pub schedule: Option<String>,
    /// The IANA name of the zone that the schedule is meant in.
    pub time_zone: String,
    /// The job after whose successful runs this one runs.
    pub after: Option<String>,
    /// Further attempts after one that failed or was cut off.
    pub retries: u32,
    /// Seconds before the second attempt; doubled for each further one, up to an hour.
    pub backoff_seconds: u64,
    /// Seconds after which an attempt is stopped and counts as failed.
    pub timeout_seconds: Option<u64>,
    pub catch_up: CatchUp,
}

impl JobDefinition {
    /// The schedule of a job that is due whenever it is not running: it goes on until the server stops, takes no place among
    /// the runs that go on at once, and is tried again for ever. Only for kinds that are made for it.
    pub const ALWAYS: &str = "@always";

    /// Seconds before the second attempt, unless told otherwise.
    pub const BACKOFF_SECONDS: u64 = 30;

    /// A job that runs when asked, once, however long it takes.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: &str, payload: serde_json::Value, owner: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.to_owned(),
            payload,
            owner: owner.into(),
            schedule: None,
            time_zone: "UTC".to_owned(),
            after: None,
            retries: 0,
            backoff_seconds: Self::BACKOFF_SECONDS,
            timeout_seconds: None,
            catch_up: CatchUp::One,
        }
    }
}

/// A job and where it stands.
#[derive(Debug, Clone)]
pub struct JobStatus {
    pub definition: JobDefinition,
    /// False: paused, so that nothing but a caller runs it.
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
    /// When it will run next by its schedule, or again after a failure.
    pub next_at: Option<DateTime<Utc>>,
    /// The newest run that has started.
    pub last_run: Option<RunRecord>,
}

impl JobStatus {
    /// Whether a run is one of this job: one of an earlier job of the same name, which may have been somebody else's, is not.
    #[must_use]
    pub fn has_run(&self, run: &RunRecord) -> bool {
        run.job == self.definition.name && run.queued_at >= self.created_at
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Due, or soon: for a slot, for the job's run before it, or for the time of another attempt.
    Waiting,
    Running,
    Done,
    Failed,
    Cancelled,
    /// Cut off by the end of the server's process.
    Interrupted,
    /// Never started: its time passed while the server was down.
    Missed,
}

impl RunState {
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Cancelled, Self::Interrupted, Self::Missed];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Missed => "missed",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True once nothing more can become of it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// Why there is a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunReason {
    Schedule,
    /// Another job's run was done.
    After,
    /// Somebody asked for it.
    Asked,
    /// The attempt before it failed or was cut off.
    Retry,
}

impl RunReason {
    pub const ALL: [Self; 4] = [Self::Schedule, Self::After, Self::Asked, Self::Retry];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::After => "after",
            Self::Asked => "asked",
            Self::Retry => "retry",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A row of `polder.runs`: one attempt.
#[derive(Debug, Clone)]
pub struct RunRecord {
    pub run_id: RunId,
    /// The job's name when it ran; the job may be gone.
    pub job: String,
    pub kind: String,
    pub state: RunState,
    pub reason: RunReason,
    /// From 1.
    pub attempt: u32,
    /// The time of the schedule that it stands for.
    pub due_at: Option<DateTime<Utc>>,
    pub queued_at: DateTime<Utc>,
    /// It starts no earlier.
    pub not_before: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// The run that this one follows: the attempt before it, the other job's run, or the one that was run again.
    pub caused_by: Option<RunId>,
    pub error: Option<QueryError>,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub job: Option<String>,
    pub state: Option<RunState>,
    /// Only those queued before this one.
    pub before: Option<RunId>,
    pub limit: u32,
}

/// A part of a run's log: lines of `time message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    pub text: String,
    /// Where the next part begins, in bytes.
    pub next: u64,
    /// True if nothing will be added any more.
    pub has_ended: bool,
}

/// What to do with a job of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfExists {
    #[default]
    Refuse,
    Keep,
    Replace,
}

/// Takes the lines of a run's log.
#[derive(Clone)]
pub struct RunLog(Arc<dyn Fn(String) + Send + Sync>);

impl RunLog {
    #[must_use]
    pub fn new(sink: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Adds a line. Readers see it at once; it outlives the process a moment later.
    pub fn line(&self, message: impl Into<String>) {
        (self.0)(message.into());
    }
}

impl std::fmt::Debug for RunLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunLog")
    }
}

/// One attempt, as its kind sees it.
#[derive(Debug, Clone)]
pub struct JobRun {
    pub run_id: RunId,
    pub job: String,
    pub owner: String,
    /// From 1.
    pub attempt: u32,
    pub payload: serde_json::Value,
    pub log: RunLog,
    /// Cancelled when the work must stop: on request, at the timeout, when the server stops.
    pub stop: CancellationToken,
}

/// Something that jobs can do.
#[async_trait::async_trait]
pub trait JobKind: Send + Sync {
    /// `statement`, `compaction`, …
    fn name(&self) -> &'static str;

    /// Whether its jobs are due always ([`JobDefinition::ALWAYS`]), and at no other time.
    fn is_always(&self) -> bool {
        false
    }

    /// Refuses a payload that could never run.
    fn check(&self, payload: &serde_json::Value) -> Result<()>;

    /// Does the work. Returns soon after `run.stop` was cancelled, with an error if the work was not finished. The process
    /// may die at any point, so the work is all there or not at all, or can be done twice.
    async fn run(&self, run: &JobRun) -> Result<()>;
}

/// The one job runner, as statements and servers see it. Jobs are called by their names.
#[async_trait::async_trait]
pub trait Jobs: Send + Sync {
    /// All jobs, by name.
    async fn list(&self) -> Result<Vec<JobStatus>>;

    async fn find(&self, name: &str) -> Result<Option<JobStatus>>;

    /// Gives the job, and true if it was made or changed.
    ///
    /// # Errors
    /// `InvalidInput` for a schedule, zone or payload that cannot be used, `NotFound` for an unknown kind or job to run
    /// after, `AlreadyExists`.
    async fn create(&self, definition: JobDefinition, if_exists: IfExists) -> Result<(JobStatus, bool)>;

    /// Puts a definition in the place of the one that was seen under its name, and looked at: at once, so that nobody's change is
    /// lost, and nothing replaces what it was not meant for.
    ///
    /// # Errors
    /// As [`Self::create`], and `Conflict` where there is another one by now, or none.
    async fn replace(&self, seen: &JobDefinition, definition: JobDefinition) -> Result<JobStatus>;

    /// Stops its schedule and what follows from other jobs. What runs goes on; what waits is cancelled.
    async fn pause(&self, name: &str) -> Result<JobStatus>;

    /// Goes on with the next due time after now.
    async fn resume(&self, name: &str) -> Result<JobStatus>;

    /// Removes a job and cancels its run. The record of its runs stays. False if there is none.
    async fn remove(&self, name: &str) -> Result<bool>;

    /// Runs a job now, paused or not: as soon as its own run before it has ended and a slot is free.
    async fn run(&self, caller: &Caller, name: &str) -> Result<RunId>;

    /// Runs the job of an earlier run now, as it is defined today.
    async fn run_again(&self, caller: &Caller, id: RunId) -> Result<RunId>;

    /// True if it waited or ran. What ran may still come to its end if that was near.
    async fn cancel(&self, id: RunId) -> Result<bool>;

    /// The newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>>;

    async fn run_record(&self, id: RunId) -> Result<Option<RunRecord>>;

    /// A run's log from a byte on, also while it runs. `None` if there is no such run.
    async fn log(&self, id: RunId, from: u64) -> Result<Option<LogPart>>;
}
