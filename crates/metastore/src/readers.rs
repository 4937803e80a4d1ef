//! A small pool of reading connections.
//!
//! A connection goes back only after its work ended well, so a reader that was dropped in the middle, or
//! whose connection broke, leaves nothing behind.

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::connection::{Connection, Source, statement};
use crate::error::{Failure, classify, sql_error};
use crate::{Row, Value};
use polder_types::{Error, Result};

/// Metastore reads take well under a millisecond; more readers than this only wait for the same two cores.
const READERS_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Readers {
    source: Source,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, idle: Mutex::new(Vec::new()), permits: Semaphore::new(READERS_MAX) }
    }

    pub(crate) async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let mut answers = self.run(&[(sql, params)], false).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    pub(crate) async fn read_together(&self, queries: &[(&str, &[Value])]) -> Result<Vec<Vec<Row>>> {
        self.run(queries, true).await
    }

    async fn run(&self, queries: &[(&str, &[Value])], together: bool) -> Result<Vec<Vec<Row>>> {
        let _permit = self.permits.acquire().await.map_err(|_| closed())?;
        loop {
            let idle = self.idle.lock().pop();
            let was_idle = idle.is_some();
            let done = match idle {
                Some(connection) => run_on(connection, queries, together).await,
                None => match self.source.connect_reader().await {
                    Ok(connection) => run_on(connection, queries, together).await,
                    Err(error) => Err(error),
                },
            };
            match done {
                Ok((connection, answers)) => {
                    self.idle.lock().push(connection);
                    return Ok(answers);
                }
                // An idle connection may have died with a restart of the database: the next one is tried, and
                // at the end of the idle ones a new one.
                Err(error) if was_idle && classify(&error) == Failure::Broken => {}
                Err(error) => return Err(sql_error("reading", error)),
            }
        }
    }

    pub(crate) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "closing a metastore reader failed");
            }
        }
    }
}

pub(crate) fn closed() -> Error {
    Error::new(polder_types::ErrorKind::Unavailable, "the metastore is closed")
}

async fn run_on(
    mut connection: Connection,
    queries: &[(&str, &[Value])],
    together: bool,
) -> Result<(Connection, Vec<Vec<Row>>), sqlx::Error> {
    if together {
        connection.begin_read().await?;
    }
    let mut answers = Vec::with_capacity(queries.len());
    for (sql, params) in queries {
        answers.push(connection.query(statement(sql), params).await?);
    }
    if together {
        connection.end().await?;
    }
    Ok((connection, answers))
}
