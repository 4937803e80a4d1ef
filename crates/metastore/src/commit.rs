//! The one commit: rows of the lake's catalog and of Polder's own, in one transaction.

use std::time::{Duration, Instant};

use polder_runtime::fault;
use polder_types::{Error, ErrorKind, Result};
use sqlx::SqlStr;

use crate::connection::Connection;
use crate::error::{Failure, classify, sql_error};
use crate::sqlite::{AtOnce, COMMITS_HERE};
use crate::write::WriteProblem;
use crate::writer::{Writer, outcome_unknown};
use crate::{Backend, Value, Write, sqlite};

/// What came of a commit that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// All of it is there, and on disk.
    Committed,
    /// Somebody else committed first, so nothing was done. `head` is the newest snapshot now.
    Stale { head: i64 },
}

/// Deadlocks and broken connections that are run again before the caller hears of them.
const TRIES_MAX: u32 = 3;

/// A COMMIT that is not answered in this time counts as a broken connection.
const COMMIT_PATIENCE: Duration = Duration::from_secs(60);

/// How long, after a connection broke during COMMIT, the truth is looked for.
const VERDICT_PATIENCE: Duration = Duration::from_secs(20);
const VERDICT_PAUSE: Duration = Duration::from_millis(200);

/// How one try ended, when not well.
enum Trouble {
    /// Nothing changed, and another try may succeed.
    Again(Error),
    /// Nothing changed.
    Failed(Error),
    /// The connection broke during COMMIT. PostgreSQL knows what became of this transaction.
    Unknown { transaction: i64, error: Error },
}

pub(crate) async fn commit(writer: &mut Writer, expected_head: i64, writes: &[Write]) -> Result<CommitOutcome> {
    fault::point("commit.begin");
    let mut tries = 0;
    loop {
        tries += 1;
        match try_commit(writer, expected_head, writes).await {
            Ok(outcome) => return Ok(outcome),
            Err(Trouble::Again(error)) if tries >= TRIES_MAX => return Err(error),
            Err(Trouble::Again(error)) => tracing::info!(%error, tries, "commit is tried again"),
            Err(Trouble::Failed(error)) => return Err(error),
            Err(Trouble::Unknown { transaction, error }) => match verdict(writer, transaction).await {
                Some(true) => return Ok(CommitOutcome::Committed),
                Some(false) if tries >= TRIES_MAX => return Err(error),
                Some(false) => tracing::info!(%error, tries, "commit did not happen; it is tried again"),
                None => return Err(outcome_unknown().with_source(error)),
            },
        }
    }
}

async fn try_commit(writer: &mut Writer, expected_head: i64, writes: &[Write]) -> Result<CommitOutcome, Trouble> {
    let may_be_here = !is_planned_fault() || fault::is_planned_in(COMMITS_HERE);
    if may_be_here && sqlite::is_one_turn(writes) && writer.commit_here(expected_head, writes) {
        return Ok(CommitOutcome::Committed);
    }
    let mut connection = writer.take().await.map_err(Trouble::Failed)?;
    if is_planned_fault() || !connection.commits_at_once(writes) {
        return commit_in_steps(writer, connection, expected_head, writes).await;
    }
    let begun = Instant::now();
    match connection.commit_at_once(expected_head, writes).await {
        AtOnce::Committed => {
            writer.pace.ended(begun);
            writer.put_back(connection);
            Ok(CommitOutcome::Committed)
        }
        // Step by step it is found out what is wrong, and nothing is there yet.
        AtOnce::Refused(refused) => {
            tracing::debug!(error = %refused, "a commit is done in steps");
            if let Err(error) = connection.rollback().await {
                // SQLite rolls back by itself after some errors, and says so.
                tracing::debug!(%error, "rollback failed; the writing connection is replaced");
                connection = writer.take().await.map_err(Trouble::Failed)?;
            }
            commit_in_steps(writer, connection, expected_head, writes).await
        }
        AtOnce::NotBegun(error) | AtOnce::NotEnded(error) => {
            Err(back_out(writer, connection, WriteProblem::Sql(error)).await)
        }
    }
}

async fn commit_in_steps(
    writer: &mut Writer,
    mut connection: Connection,
    expected_head: i64,
    writes: &[Write],
) -> Result<CommitOutcome, Trouble> {
    let (head, transaction) = match connection.begin_commit().await {
        Ok(found) => found,
        Err(error) => return Err(back_out(writer, connection, WriteProblem::Sql(error)).await),
    };
    if head != expected_head {
        return match connection.rollback().await {
            Ok(()) => {
                writer.put_back(connection);
                Ok(CommitOutcome::Stale { head })
            }
            Err(error) => Err(trouble(WriteProblem::Sql(error))),
        };
    }
    if let Err(problem) = run_writes(&mut connection, writes).await {
        return Err(back_out(writer, connection, problem).await);
    }
    fault::point("commit.before_commit");
    end(writer, connection, transaction).await?;
    fault::point("commit.after_commit");
    Ok(CommitOutcome::Committed)
}

fn is_planned_fault() -> bool {
    std::env::var_os("POLDER_FAULT").is_some()
}

/// Runs all writes at once, or one by one with a fault point before each when a fault is planned.
async fn run_writes(connection: &mut Connection, writes: &[Write]) -> Result<(), WriteProblem> {
    if !is_planned_fault() {
        return connection.execute_all(writes).await;
    }
    for write in writes {
        fault::point("commit.statement");
        connection.execute_all(std::slice::from_ref(write)).await?;
    }
    Ok(())
}

async fn end(writer: &mut Writer, mut connection: Connection, transaction: i64) -> Result<(), Trouble> {
    let ended = match connection.backend() {
        Backend::Sqlite => connection.end().await,
        Backend::Postgres => match tokio::time::timeout(COMMIT_PATIENCE, connection.end()).await {
            Ok(ended) => ended,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        },
    };
    let Err(error) = ended else {
        writer.put_back(connection);
        return Ok(());
    };
    let broken = classify(&error) == Failure::Broken;
    match connection.backend() {
        Backend::Postgres if broken => Err(Trouble::Unknown { transaction, error: sql_error("committing to", error) }),
        _ => Err(back_out(writer, connection, WriteProblem::Sql(error)).await),
    }
}

async fn back_out(writer: &mut Writer, connection: Connection, problem: WriteProblem) -> Trouble {
    match trouble(problem) {
        Trouble::Again(error) => Trouble::Again(writer.give_up(connection, error).await),
        Trouble::Failed(error) => Trouble::Failed(writer.give_up(connection, error).await),
        unknown @ Trouble::Unknown { .. } => unknown,
    }
}

/// What to do about a failure before COMMIT was sent: nothing is committed.
fn trouble(problem: WriteProblem) -> Trouble {
    let again = match &problem {
        WriteProblem::Sql(error) => matches!(classify(error), Failure::Again | Failure::Broken),
        WriteProblem::Rows { .. } => false,
    };
    let error = problem.into_error("committing to");
    if again { Trouble::Again(error) } else { Trouble::Failed(error) }
}

/// Asks PostgreSQL what became of a transaction: `Some(true)` if it was committed, `None` if that cannot be found out.
async fn verdict(writer: &mut Writer, transaction: i64) -> Option<bool> {
    let end = tokio::time::Instant::now() + VERDICT_PATIENCE;
    while tokio::time::Instant::now() < end {
        match ask_verdict(writer, transaction).await {
            Ok(Some(status)) if status == "committed" => return Some(true),
            Ok(Some(status)) if status == "aborted" => return Some(false),
            // Its old connection has not noticed yet that we are gone.
            Ok(Some(_)) => {}
            // So long ago that PostgreSQL has forgotten.
            Ok(None) => return None,
            Err(error) => tracing::info!(%error, "asking for a commit's outcome failed"),
        }
        tokio::time::sleep(VERDICT_PAUSE).await;
    }
    None
}

async fn ask_verdict(writer: &mut Writer, transaction: i64) -> Result<Option<String>> {
    let mut connection = writer.take().await?;
    let sql = SqlStr::from_static("SELECT txid_status($1)");
    let rows = connection.query(sql, &[Value::Int(transaction)]).await.map_err(|error| sql_error("reading", error))?;
    writer.put_back(connection);
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, "txid_status gave no row"))?;
    Ok(row.opt_text(0)?.map(str::to_owned))
}
