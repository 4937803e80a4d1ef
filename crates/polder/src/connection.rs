//! The two ways to the data: a server, over HTTP, or the directory itself, opened by this process.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use polder_capability::{ApiToken, LoadMode, LoadOptions, LoadStatus, NewApiToken, Notice, QueryProgress};
use polder_types::{ErrorKind, LoadId, QueryId};
use tokio::runtime::{Builder, Runtime};

use crate::cli::{DirectoryArgs, ServerArgs};
use crate::client::{self, Server};
use crate::credentials::Credentials;
use crate::embedded::Embedded;
use crate::failure::Failure;
use crate::settings::Directory;

/// How long a directory that another process holds is waited for.
const TAKEN_WAIT: Duration = Duration::from_secs(5);
const TAKEN_RETRY: Duration = Duration::from_millis(50);

/// A statement to run.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub sql: &'a str,
    pub query_id: QueryId,
    /// Rows after which the answer ends.
    pub row_limit: Option<u64>,
    /// Others follow in the same conversation: keep its transaction and settings.
    pub keep_session: bool,
}

/// The answer to a statement: what it did at once, its rows as they come.
pub struct Reply {
    /// `SELECT`, `INSERT`, …
    pub verb: String,
    /// Rows changed, for statements that change rows.
    pub rows_changed: Option<u64>,
    pub schema: SchemaRef,
    pub batches: BoxStream<'static, Result<RecordBatch, Failure>>,
    pub notices: Vec<Notice>,
}

/// Files to load.
#[derive(Debug, Clone)]
pub struct LoadOrder {
    pub sources: Vec<Source>,
    pub into: Option<String>,
    pub mode: LoadMode,
    pub strict: bool,
    pub again: bool,
    pub options: LoadOptions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    StandardInput,
    /// A path, directory, glob or URL, as the user wrote it.
    Location(String),
}

#[async_trait::async_trait]
pub trait Connection: Send + Sync {
    /// For the shell's first line: an address or a directory.
    fn name(&self) -> String;

    async fn run(&self, request: Request<'_>) -> Result<Reply, Failure>;

    /// `None` when nothing is known of the statement.
    async fn progress(&self, id: QueryId) -> Option<QueryProgress>;

    /// Stops a statement, if it runs.
    async fn cancel(&self, id: QueryId);

    async fn start_load(&self, order: LoadOrder) -> Result<LoadId, Failure>;

    async fn load_status(&self, id: LoadId) -> Result<LoadStatus, Failure>;

    async fn cancel_load(&self, id: LoadId);

    async fn create_token(&self, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken, Failure>;

    async fn list_tokens(&self) -> Result<Vec<ApiToken>, Failure>;

    /// False if there was none.
    async fn delete_token(&self, id: &str) -> Result<bool, Failure>;

    /// Ends the conversation.
    async fn close(&self);
}

/// A connection and the runtime that it needs.
pub struct Connected {
    pub runtime: Arc<Runtime>,
    pub connection: Arc<dyn Connection>,
}

impl Connected {
    /// To the server named, else to the one that runs on the directory, else to the directory itself.
    ///
    /// # Errors
    /// When there is no way in.
    pub fn open(directory: &DirectoryArgs, server: &ServerArgs) -> Result<Self> {
        if let Some(url) = &server.url {
            return Self::to_server(|| Server::elsewhere(url, server.token.as_deref()));
        }
        let directory = Directory::from_args(directory)?;
        if let Some(connected) = Self::running(&directory.data)? {
            return Ok(connected);
        }
        let deadline = Instant::now() + TAKEN_WAIT;
        loop {
            match Self::embedded(&directory) {
                // A server that is starting will soon say where it is, and another command will soon be done.
                Err(error) if is_taken(&error) && Instant::now() < deadline => std::thread::sleep(TAKEN_RETRY),
                done => return done,
            }
            if let Some(connected) = Self::running(&directory.data)? {
                return Ok(connected);
            }
        }
    }

    /// The server of a data directory, if it answers.
    pub fn running(data: &Path) -> Result<Option<Self>> {
        let Some(address) = client::running(data) else { return Ok(None) };
        let credentials = Credentials::read(data)?;
        Self::to_server(|| Server::here(address, credentials)).map(Some)
    }

    fn to_server(make: impl FnOnce() -> Result<Server>) -> Result<Self> {
        // One thread is enough to talk, and cheap to start.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let server = runtime.block_on(async { make() })?;
        Ok(Self { runtime: Arc::new(runtime), connection: Arc::new(server) })
    }

    /// Opens the directory in this process.
    pub fn embedded(directory: &Directory) -> Result<Self> {
        let runtime = Builder::new_multi_thread().thread_stack_size(crate::up::STACK_BYTES).enable_all().build()?;
        if !directory.exists() {
            eprintln!("new data directory {}", directory.data.display());
        }
        let embedded = runtime.block_on(Embedded::open(directory))?;
        Ok(Self { runtime: Arc::new(runtime), connection: Arc::new(embedded) })
    }

    /// Ends the conversation and the runtime, without waiting for what nobody wants any more.
    pub fn close(self) {
        self.runtime.block_on(self.connection.close());
        drop(self.connection);
        if let Some(runtime) = Arc::into_inner(self.runtime) {
            end(runtime);
        }
    }
}

/// How long the threads of a runtime are waited for: those that are idle end at once.
const THREADS_END_MAX: Duration = Duration::from_millis(200);

/// Ends a runtime just before the process ends. A read of standard input may hang in it for ever.
///
/// Its threads are joined, not left to themselves: glibc before 2.41 reads the memory of a thread that it detaches although
/// that thread, which is ending, may have given it back (its bug 19951), and a command that had done all its work died
/// with SIGSEGV, about once in ten thousand.
pub fn end(runtime: Runtime) {
    runtime.shutdown_timeout(THREADS_END_MAX);
}

fn is_taken(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<polder_types::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::Unavailable && error.code() == "55006")
}
