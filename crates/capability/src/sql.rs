use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use polder_types::{Position, QueryId, Result, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::{Caller, Parameter};

pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// SQL text to run in a session.
#[derive(Debug, Clone)]
pub struct StatementRequest {
    /// One or several statements; the answer is the last one's.
    pub sql: String,
    /// Chosen by the caller, so that it can ask for progress or cancel before the first byte arrives.
    pub query_id: QueryId,
    /// Rows after which the answer ends (`Answer` then says it was cut). `None`: all.
    pub row_limit: Option<u64>,
    /// What stands in the record of queries, if other words were sent than these: DECLARE, EXECUTE, COPY of a query, comments.
    pub sent: Option<Sent>,
}

/// A statement in the words in which it came, with the comments around it: tools write in these whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub text: String,
    /// Where it begins in the text, in bytes: behind the comments.
    pub start: usize,
}

impl StatementRequest {
    /// As it was sent.
    #[must_use]
    pub fn text(&self) -> &str {
        self.sent.as_ref().map_or(&self.sql, |sent| &sent.text)
    }

    /// Where the statement begins in that text.
    #[must_use]
    pub fn start(&self) -> usize {
        self.sent.as_ref().map_or(0, |sent| sent.start)
    }
}

/// What a statement did, for those that give no rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandTag {
    /// `SELECT`, `INSERT`, `CREATE TABLE`, …
    pub verb: String,
    /// Rows changed, for statements that change rows.
    pub rows: Option<u64>,
}

/// A remark for the user that is no error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub message: String,
    /// More about it, in lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// PostgreSQL's SQLSTATE for it.
    #[serde(default = "no_code")]
    pub code: Cow<'static, str>,
    /// What was asked for makes no sense where it stands: PostgreSQL's WARNING.
    #[serde(default)]
    pub warns: bool,
}

const fn no_code() -> Cow<'static, str> {
    Cow::Borrowed("00000")
}

impl Notice {
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None, code: no_code(), warns: false }
    }

    #[must_use]
    pub fn with_code(self, code: &'static str) -> Self {
        Self { code: Cow::Borrowed(code), ..self }
    }

    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { warns: true, ..Self::new(message).with_code(code) }
    }
}

/// The answer to a statement: a schema at once, batches as they come.
///
/// Dropping `batches` stops the work.
pub struct Answer {
    pub query_id: QueryId,
    pub tag: CommandTag,
    pub schema: SchemaRef,
    pub batches: BatchStream,
    /// The lake version that was read (or made, for a write).
    pub snapshot: SnapshotId,
    pub notices: Vec<Notice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// How far a statement is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryProgress {
    pub query_id: QueryId,
    pub state: QueryState,
    pub rows_scanned: u64,
    pub bytes_scanned: u64,
    /// Rows that the scans will read in all, when the catalog's statistics know it.
    pub rows_total: Option<u64>,
    pub rows_returned: u64,
    pub elapsed_ms: u64,
}

/// An error as kept in the record of queries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryError {
    pub code: String,
    pub message: String,
    pub position: Option<Position>,
    pub hint: Option<String>,
}

/// A row of `polder.queries`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryRecord {
    pub query_id: QueryId,
    pub user: String,
    pub via: String,
    pub sql: String,
    pub state: QueryState,
    pub started_at: DateTime<Utc>,
    pub elapsed_ms: u64,
    pub rows_returned: u64,
    /// Inserted, changed and deleted.
    pub rows_changed: u64,
    pub rows_scanned: u64,
    pub bytes_scanned: u64,
    pub snapshot: Option<SnapshotId>,
    pub error: Option<QueryError>,
}

/// One caller's conversation: its transaction and its settings. Statements run one after the other.
#[async_trait::async_trait]
pub trait SqlSession: Send + Sync {
    async fn run(&self, request: StatementRequest) -> Result<Answer>;

    /// Carries out, where it is asked for, a statement that takes less time than the way to another thread and back.
    /// `None`: it is no such statement, nothing has happened, and it is to be run. `values`: of its parameters.
    async fn run_light(&self, request: &StatementRequest, values: &[Parameter]) -> Option<Result<Answer>> {
        let _ = (request, values);
        None
    }

    /// True between `BEGIN` and `COMMIT` or `ROLLBACK`.
    fn in_transaction(&self) -> bool;
}

/// The one way to run SQL, whatever protocol it came by.
#[async_trait::async_trait]
pub trait SqlRunner: Send + Sync {
    fn open_session(&self, caller: Caller) -> Arc<dyn SqlSession>;

    /// Running, or finished not long ago.
    fn progress(&self, id: QueryId) -> Option<QueryProgress>;

    /// The whole record, also of statements long done.
    async fn record(&self, id: QueryId) -> Result<Option<QueryRecord>>;

    fn running(&self) -> Vec<QueryRecord>;

    /// True if it was running. The work stops within a second.
    fn cancel(&self, id: QueryId) -> bool;
}
