//! Jobs and their runs.

use chrono::{DateTime, Utc};
use polder_capability as contract;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::query::QueryError;

/// What becomes of due times that passed while the server was down or the job was busy.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CatchUp {
    /// They are recorded as missed.
    None,
    /// One run stands for all of them.
    #[default]
    One,
    /// Each gets a run of its own.
    All,
}

impl From<CatchUp> for contract::CatchUp {
    fn from(catch_up: CatchUp) -> Self {
        match catch_up {
            CatchUp::None => Self::None,
            CatchUp::One => Self::One,
            CatchUp::All => Self::All,
        }
    }
}

impl From<contract::CatchUp> for CatchUp {
    fn from(catch_up: contract::CatchUp) -> Self {
        match catch_up {
            contract::CatchUp::None => Self::None,
            contract::CatchUp::One => Self::One,
            contract::CatchUp::All => Self::All,
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
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

impl From<contract::RunState> for RunState {
    fn from(state: contract::RunState) -> Self {
        match state {
            contract::RunState::Waiting => Self::Waiting,
            contract::RunState::Running => Self::Running,
            contract::RunState::Done => Self::Done,
            contract::RunState::Failed => Self::Failed,
            contract::RunState::Cancelled => Self::Cancelled,
            contract::RunState::Interrupted => Self::Interrupted,
            contract::RunState::Missed => Self::Missed,
        }
    }
}

impl From<RunState> for contract::RunState {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Waiting => Self::Waiting,
            RunState::Running => Self::Running,
            RunState::Done => Self::Done,
            RunState::Failed => Self::Failed,
            RunState::Cancelled => Self::Cancelled,
            RunState::Interrupted => Self::Interrupted,
            RunState::Missed => Self::Missed,
        }
    }
}

/// Why there is a run.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunReason {
    Schedule,
    /// Another job's run was done.
    After,
    /// Somebody asked for it.
    Asked,
    /// The attempt before it failed or was cut off.
    Retry,
}

impl From<contract::RunReason> for RunReason {
    fn from(reason: contract::RunReason) -> Self {
        match reason {
            contract::RunReason::Schedule => Self::Schedule,
            contract::RunReason::After => Self::After,
            contract::RunReason::Asked => Self::Asked,
            contract::RunReason::Retry => Self::Retry,
        }
    }
}

/// One attempt of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    #[schema(value_type = String, format = "uuid")]
    pub run_id: Uuid,
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
    /// The run that this one follows.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub caused_by: Option<Uuid>,
    pub error: Option<QueryError>,
}

impl From<contract::RunRecord> for Run {
    fn from(run: contract::RunRecord) -> Self {
        Self {
            run_id: run.run_id.0,
            job: run.job,
            kind: run.kind,
            state: run.state.into(),
            reason: run.reason.into(),
            attempt: run.attempt,
            due_at: run.due_at,
            queued_at: run.queued_at,
            not_before: run.not_before,
            started_at: run.started_at,
            ended_at: run.ended_at,
            caused_by: run.caused_by.map(|id| id.0),
            error: run.error.map(Into::into),
        }
    }
}

/// A job and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    pub name: String,
    /// `statement`, `compaction`, …
    pub kind: String,
    /// What the kind needs to know: for `statement`, `{"sql": …}`.
    #[schema(value_type = Object)]
    pub payload: Value,
    pub owner: String,
    /// A cron expression. `null`: only when asked, or after another job.
    pub schedule: Option<String>,
    pub time_zone: String,
    pub after: Option<String>,
    pub retries: u32,
    pub backoff_seconds: u64,
    pub timeout_seconds: Option<u64>,
    pub catch_up: CatchUp,
    pub paused: bool,
    pub created_at: DateTime<Utc>,
    /// When it will run next, as far as that is known.
    pub next_at: Option<DateTime<Utc>>,
    /// The newest run that has started.
    pub last_run: Option<Run>,
}

impl From<contract::JobStatus> for Job {
    fn from(status: contract::JobStatus) -> Self {
        let contract::JobStatus { definition, enabled, created_at, next_at, last_run } = status;
        Self {
            name: definition.name,
            kind: definition.kind,
            payload: definition.payload,
            owner: definition.owner,
            schedule: definition.schedule,
            time_zone: definition.time_zone,
            after: definition.after,
            retries: definition.retries,
            backoff_seconds: definition.backoff_seconds,
            timeout_seconds: definition.timeout_seconds,
            catch_up: definition.catch_up.into(),
            paused: !enabled,
            created_at,
            next_at,
            last_run: last_run.map(Into::into),
        }
    }
}
