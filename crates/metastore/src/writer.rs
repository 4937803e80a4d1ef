//! The one connection that writes.

use std::time::{Duration, Instant};

use polder_runtime::{fault, may_wait_briefly};
use polder_types::{Error, ErrorKind, Result};

use crate::connection::{Connection, Source};
use crate::error::{Failure, classify, sql_error};
use crate::sqlite::{COMMITS_HERE, Here, HereOutcome, Pace, is_little};
use crate::{Write, postgres, readers};

/// How long a server waits for its own former connection to let go of the advisory lock, in steps.
const SERVER_LOCK_TRIES: u32 = 30;
const SERVER_LOCK_PAUSE: Duration = Duration::from_millis(100);

/// As many commits write about as many pages as SQLite keeps in its log before it brings them into the file.
const COMMITS_TO_CHECKPOINT: u32 = 64;

#[derive(Debug)]
pub(crate) struct Writer {
    source: Source,
    connection: Option<Connection>,
    closed: bool,
    /// How commits have gone lately.
    pub(crate) pace: Pace,
    /// For commits by the thread that asks for them.
    here: Option<Here>,
    /// Since the other connection committed.
    commits_here: u32,
}

impl Writer {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, connection: None, closed: false, pace: Pace::default(), here: None, commits_here: 0 }
    }

    /// Takes the connection out, opening one if there is none.
    ///
    /// The caller puts it back with [`Writer::put_back`] once no transaction is open on it. A caller that dies
    /// before leaves none behind, so the next one starts with a new connection.
    pub(crate) async fn take(&mut self) -> Result<Connection> {
        if self.closed {
            return Err(readers::closed());
        }
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => connect(&self.source).await,
        }
    }

    pub(crate) fn put_back(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }

    /// Commits on this thread, if it may wait for that and commits are quick. False: nothing has happened, and it is to be done
    /// in the other way.
    pub(crate) fn commit_here(&mut self, expected_head: i64, writes: &[Write]) -> bool {
        let Source::Sqlite(source) = &self.source else { return false };
        let is_quick = self.pace.is_brisk() || fault::is_planned_in(COMMITS_HERE);
        if self.closed
            || !is_quick
            || !may_wait_briefly()
            || self.commits_here == COMMITS_TO_CHECKPOINT
            || !is_little(writes)
        {
            self.commits_here = 0;
            return false;
        }
        let begun = Instant::now();
        let here = self.here.take().map_or_else(|| Here::open(source.path()), Ok);
        let done = here.and_then(|here| here.commit(expected_head, writes).map(|is_done| (here, is_done)));
        match done {
            Ok((here, outcome)) => {
                self.here = Some(here);
                self.pace.ended(begun);
                self.commits_here += 1;
                outcome == HereOutcome::Committed
            }
            // Closed, the connection has rolled back.
            Err(error) => {
                tracing::warn!(%error, "a commit failed, and is tried again by another connection");
                false
            }
        }
    }

    /// Runs the writes in one transaction. A connection that broke before anything could be committed is replaced
    /// once.
    pub(crate) async fn write(&mut self, writes: &[Write]) -> Result<()> {
        let mut connection = self.take().await?;
        if let Err(error) = connection.begin_write().await {
            if classify(&error) != Failure::Broken {
                return Err(self.give_up(connection, sql_error("writing", error)).await);
            }
            drop(connection);
            connection = self.take().await?;
            connection.begin_write().await.map_err(|error| sql_error("writing", error))?;
        }
        if let Err(problem) = connection.execute_all(writes).await {
            return Err(self.give_up(connection, problem.into_error("writing")).await);
        }
        match connection.end().await {
            Ok(()) => {
                self.put_back(connection);
                Ok(())
            }
            Err(error) if matches!(connection, Connection::Postgres(_)) && classify(&error) == Failure::Broken => {
                Err(outcome_unknown().with_source(error))
            }
            Err(error) => Err(self.give_up(connection, sql_error("writing", error)).await),
        }
    }

    /// Rolls back and keeps the connection if that went well; else the next transaction opens a new one.
    pub(crate) async fn give_up(&mut self, mut connection: Connection, problem: Error) -> Error {
        match connection.rollback().await {
            Ok(()) => self.put_back(connection),
            // SQLite rolls back by itself after some errors and then says that there is no transaction, so a
            // failed rollback is no news; a new connection is right in every case.
            Err(error) => tracing::debug!(%error, "rollback failed; the writing connection is replaced"),
        }
        problem
    }

    pub(crate) async fn close(&mut self) {
        self.closed = true;
        self.here = None;
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing the metastore writer failed");
        }
    }
}

/// A new connection, which no other server has.
async fn connect(source: &Source) -> Result<Connection> {
    let mut tries = 0;
    loop {
        let mut connection = source.connect_writer().await.map_err(|error| sql_error("opening", error))?;
        let holder = match &mut connection {
            Connection::Sqlite(_) => None,
            Connection::Postgres(connection) => {
                postgres::take_server_lock(connection).await.map_err(|error| sql_error("locking", error))?
            }
        };
        let Some(holder) = holder else {
            return Ok(connection);
        };
        tries += 1;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "closing a connection that got no lock failed");
        }
        if tries == SERVER_LOCK_TRIES {
            return Err(postgres::server_lock_error(&holder));
        }
        tokio::time::sleep(SERVER_LOCK_PAUSE).await;
    }
}

/// The honest answer when nobody can know.
pub(crate) fn outcome_unknown() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection to the metastore broke during commit, so its outcome is unknown")
        .with_code("08007")
        .with_hint("look whether the change is there before trying again")
}
