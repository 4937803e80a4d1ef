//! Several writes in one turn.
//!
//! A SQLite connection lives on a thread of its own, and handing over a statement and its result costs some 50 µs, as
//! much as the statement. So writes travel together, as one text.
//!
//! Its parameters have no numbers, and their values come in the order of their places: for each parameter with a number
//! SQLite goes through the list of all, which for a statement of five hundred takes longer than the statement.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Either, Executor};

use super::arguments;
use crate::write::WriteProblem;
use crate::{Value, Write};

/// Statements that travel together. The text is the key under which they stay prepared, so it must not grow at will.
const STATEMENTS_TOGETHER: usize = 16;

/// A statement with more parameters travels alone: it has work enough, and in the texts that stay prepared its own must not
/// be there once for each place that it may have among others.
const PARAMETERS_TOGETHER: usize = 64;

pub(crate) async fn execute_all(connection: &mut SqliteConnection, writes: &[Write]) -> Result<(), WriteProblem> {
    for writes in writes.chunk_by(|one, next| is_small(one) && is_small(next)) {
        for writes in writes.chunks(STATEMENTS_TOGETHER) {
            execute_together(connection, writes).await?;
        }
    }
    Ok(())
}

fn is_small(write: &Write) -> bool {
    write.params.len() <= PARAMETERS_TOGETHER
}

/// Refuses with an error of SQLite's own, and so ends the text, unless the newest snapshot is the one that is expected.
const EXPECTED_HEAD: &str = "SELECT CASE (SELECT max(snapshot_id) FROM ducklake_snapshot) WHEN ? THEN 0 \
    ELSE abs(-9223372036854775807 - 1) END";

/// How a commit ended that was to be done in one turn.
pub(crate) enum AtOnce {
    /// All of it is there, and on disk.
    Committed,
    /// It has not begun: the lock was not to be had.
    NotBegun(sqlx::Error),
    /// A statement failed, or the newest snapshot is another one. The transaction is to be rolled back.
    Refused(sqlx::Error),
    /// COMMIT itself failed.
    NotEnded(sqlx::Error),
}

/// Whether a commit may go in one turn: a few small statements, of which none promises how many rows it changes.
pub(crate) fn is_one_turn(writes: &[Write]) -> bool {
    writes.len() <= STATEMENTS_TOGETHER && writes.iter().all(|write| is_small(write) && write.rows.is_none())
}

/// Commits that take no longer are quicker than to wake a thread and be woken.
const BRISK_TIME: Duration = Duration::from_micros(500);

/// Each commit counts for so much of what is expected of the next.
const SHARE: u32 = 8;

/// How long commits have taken lately.
#[derive(Debug)]
pub(crate) struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Self(2 * BRISK_TIME)
    }
}

impl Pace {
    pub(crate) fn is_brisk(&self) -> bool {
        self.0 < BRISK_TIME
    }

    pub(crate) fn ended(&mut self, begun: Instant) {
        // One that waited for another program's lock says nothing of the disk for long.
        let took = begun.elapsed().min(SHARE * BRISK_TIME);
        self.0 = (self.0 * (SHARE - 1) + took) / SHARE;
    }
}

/// Takes the lock, looks at the newest snapshot, writes, commits: all in one turn.
pub(crate) async fn commit_at_once(connection: &mut SqliteConnection, expected_head: i64, writes: &[Write]) -> AtOnce {
    let expected_head = Value::Int(expected_head);
    let (written, params) = joined(writes);
    let text = format!("BEGIN IMMEDIATE\n;\n{EXPECTED_HEAD}\n;\n{written}COMMIT");
    let arguments = match arguments(std::iter::once(&expected_head).chain(params)) {
        Ok(arguments) => arguments,
        Err(error) => return AtOnce::NotBegun(sqlx::Error::Encode(error)),
    };
    let all = writes.len() + 3;
    let mut results = connection.fetch_many(sqlx::query_with(AssertSqlSafe(text), arguments));
    let mut done = 0;
    while done < all {
        let error = match results.try_next().await {
            Ok(Some(Either::Left(_))) => {
                done += 1;
                continue;
            }
            Ok(Some(Either::Right(_))) => continue,
            Ok(None) => sqlx::Error::Encode("a write must be one statement".into()),
            Err(error) => error,
        };
        return match done {
            0 => AtOnce::NotBegun(error),
            done if done + 1 == all => AtOnce::NotEnded(error),
            _ => AtOnce::Refused(error),
        };
    }
    AtOnce::Committed
}

async fn execute_together(connection: &mut SqliteConnection, writes: &[Write]) -> Result<(), WriteProblem> {
    let (text, params) = joined(writes);
    let arguments = arguments(params).map_err(|error| WriteProblem::Sql(sqlx::Error::Encode(error)))?;
    let query = sqlx::query_with(AssertSqlSafe(text), arguments);
    let mut results = connection.fetch_many(query);
    let mut waiting = writes.iter();
    while let Some(result) = results.try_next().await.map_err(WriteProblem::Sql)? {
        if let Either::Left(done) = result {
            let write = waiting.next().ok_or_else(not_one_each)?;
            write.check(done.rows_affected())?;
        }
    }
    if waiting.next().is_some() {
        return Err(not_one_each());
    }
    Ok(())
}

fn not_one_each() -> WriteProblem {
    WriteProblem::Sql(sqlx::Error::Encode("a write must be one statement".into()))
}

/// The writes as one text, and the values of its parameters in the order of their places. One that a write does not have is
/// NULL, as SQLite takes it.
fn joined(writes: &[Write]) -> (String, Vec<&Value>) {
    let mut text = String::with_capacity(writes.iter().map(|write| write.sql.len() + 3).sum());
    let mut params = Vec::with_capacity(writes.iter().map(|write| write.params.len()).sum());
    for write in writes {
        push_unnumbered(&mut text, &write.sql, |number| {
            params.push(number.checked_sub(1).and_then(|at| write.params.get(at)).unwrap_or(&Value::Null));
        });
        // On a line of its own, in case the statement ends in a comment.
        text.push_str("\n;\n");
    }
    (text, params)
}

/// Appends `sql` with a `?` for each numbered parameter, and tells the numbers. Leaves quoted text and comments alone.
pub(super) fn push_unnumbered(text: &mut String, sql: &str, mut found: impl FnMut(usize)) {
    let mut rest = sql;
    while let Some(at) = rest.find(['$', '\'', '"', '-', '/']) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        let verbatim = match special.as_bytes() {
            [b'$', digit, ..] if digit.is_ascii_digit() => {
                let digits = special[1..].bytes().take_while(u8::is_ascii_digit).count();
                found(special[1..=digits].parse().unwrap_or(0));
                text.push('?');
                rest = &special[1 + digits..];
                continue;
            }
            [quote @ (b'\'' | b'"'), ..] => 1 + end_of(&special[1..], char::from(*quote).encode_utf8(&mut [0; 4])),
            [b'-', b'-', ..] => end_of(special, "\n"),
            [b'/', b'*', ..] => 2 + end_of(&special[2..], "*/"),
            _ => 1,
        };
        text.push_str(&special[..verbatim]);
        rest = &special[verbatim..];
    }
    text.push_str(rest);
}

/// Where the text after the first `end` begins, or the text's end.
fn end_of(text: &str, end: &str) -> usize {
    text.find(end).map_or(text.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests;
