//! Statements: what ran, how far it is, and what went wrong.

use chrono::{DateTime, Utc};
use polder_capability as contract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueryState {
    Running,
    Done,
    Failed,
    Cancelled,
}

impl From<contract::QueryState> for QueryState {
    fn from(state: contract::QueryState) -> Self {
        match state {
            contract::QueryState::Running => Self::Running,
            contract::QueryState::Done => Self::Done,
            contract::QueryState::Failed => Self::Failed,
            contract::QueryState::Cancelled => Self::Cancelled,
        }
    }
}

/// Where in a text an error lies, both from 1.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Position {
    pub line: u64,
    pub column: u64,
}

/// What ended a statement or a load.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryError {
    /// A stable code: a SQLSTATE.
    pub code: String,
    pub message: String,
    pub position: Option<Position>,
    /// What to do next.
    pub hint: Option<String>,
}

impl From<contract::QueryError> for QueryError {
    fn from(error: contract::QueryError) -> Self {
        let contract::QueryError { code, message, position, hint } = error;
        let position = position.map(|position| Position { line: position.line, column: position.column });
        Self { code, message, position, hint }
    }
}

/// One run of one statement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryRecord {
    #[schema(value_type = String, format = "uuid")]
    pub query_id: Uuid,
    pub user: String,
    /// The way in: `console`, `http`, `cli`, `postgres`, …
    pub via: String,
    pub sql: String,
    pub state: QueryState,
    pub started_at: DateTime<Utc>,
    pub elapsed_ms: u64,
    pub rows_returned: u64,
    /// Rows that it inserted, changed and deleted.
    pub rows_changed: u64,
    pub rows_scanned: u64,
    pub bytes_scanned: u64,
    /// Rows that the scans will read in all, while it runs and when that is known.
    pub rows_total: Option<u64>,
    /// The lake version that was read, or made.
    pub snapshot: Option<i64>,
    pub error: Option<QueryError>,
}

impl From<contract::QueryRecord> for QueryRecord {
    fn from(record: contract::QueryRecord) -> Self {
        let contract::QueryRecord {
            query_id,
            user,
            via,
            sql,
            state,
            started_at,
            elapsed_ms,
            rows_returned,
            rows_changed,
            rows_scanned,
            bytes_scanned,
            snapshot,
            error,
        } = record;
        Self {
            query_id: query_id.0,
            user,
            via,
            sql,
            state: state.into(),
            started_at,
            elapsed_ms,
            rows_returned,
            rows_changed,
            rows_scanned,
            bytes_scanned,
            rows_total: None,
            snapshot,
            error: error.map(Into::into),
        }
    }
}

impl QueryRecord {
    /// The record with the numbers of this moment.
    pub(crate) fn with_progress(mut self, progress: Option<contract::QueryProgress>) -> Self {
        let Some(progress) = progress else { return self };
        // A record that has ended is the last word, whatever a progress that is a moment older says.
        if self.state == QueryState::Running {
            self.state = progress.state.into();
            self.elapsed_ms = progress.elapsed_ms;
            self.rows_returned = progress.rows_returned;
            self.rows_scanned = progress.rows_scanned;
            self.bytes_scanned = progress.bytes_scanned;
        }
        self.rows_total = progress.rows_total;
        self
    }
}
