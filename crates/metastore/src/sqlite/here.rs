//! A commit by the thread that asks for it.
//!
//! sqlx keeps each connection on a thread of its own, and to wake that and to be woken takes longer than a commit does on a
//! disk that syncs in a tenth of a millisecond. So where commits are as quick as that, one is done without the way: by a
//! connection that waits for no lock. What does not succeed here has changed nothing, and is done again in the other way,
//! which waits, and says what is wrong.

use std::path::Path;
use std::time::Duration;

use polder_runtime::fault;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::STATEMENTS_CACHED;
use super::batch::push_unnumbered;
use crate::value::TimeText;
use crate::{Value, Write};

/// How the names of the points begin where a test makes such a commit die.
pub(crate) const COMMITS_HERE: &str = "commit.here.";

/// More is not written by a thread that others wait for.
const BYTES_MAX: usize = 256 << 10;

/// True for what is written in less time than a thread is woken in.
pub(crate) fn is_little(writes: &[Write]) -> bool {
    let bytes = |write: &Write| write.sql.len() + write.params.iter().map(size).sum::<usize>();
    writes.iter().map(bytes).sum::<usize>() <= BYTES_MAX
}

const fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

/// What came of a commit that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HereOutcome {
    Committed,
    /// Another snapshot is the newest one.
    Stale,
    /// Somebody else holds the lock, and may do so for long.
    Locked,
}

/// The connection. SQLite is one for both crates, so that its locks are.
#[derive(Debug)]
pub(crate) struct Here(Connection);

impl Here {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        // As of the other connection. That the log is one written ahead stands in the file.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        connection.pragma_update(None, "journal_size_limit", super::JOURNAL_BYTES)?;
        // That takes its time: the other connection does it, which commits now and then for that.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(Self(connection))
    }

    /// Takes the lock, looks at the newest snapshot, writes, commits.
    ///
    /// # Errors
    /// Nothing is there then. The connection is not to be used again: closing it rolls back.
    pub(crate) fn commit(&self, expected_head: i64, writes: &[Write]) -> rusqlite::Result<HereOutcome> {
        match self.run("BEGIN IMMEDIATE", &[]) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => return Ok(HereOutcome::Locked),
            begun => begun?,
        }
        let mut head = self.0.prepare_cached("SELECT max(snapshot_id) FROM ducklake_snapshot")?;
        let is_expected = head.query_row([], |row| row.get::<_, Option<i64>>(0))? == Some(expected_head);
        if !is_expected {
            self.run("ROLLBACK", &[])?;
            return Ok(HereOutcome::Stale);
        }
        let (mut text, mut params) = (String::new(), Vec::new());
        for write in writes {
            text.clear();
            params.clear();
            push_unnumbered(&mut text, &write.sql, |number| {
                params.push(number.checked_sub(1).and_then(|at| write.params.get(at)).unwrap_or(&Value::Null));
            });
            fault::point("commit.here.statement");
            self.run(&text, &params)?;
        }
        fault::point("commit.here.before_commit");
        self.run("COMMIT", &[])?;
        fault::point("commit.here.after_commit");
        Ok(HereOutcome::Committed)
    }

    fn run(&self, sql: &str, params: &[&Value]) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(sql)?;
        for (place, value) in (1_usize..).zip(params) {
            statement.raw_bind_parameter(place, value)?;
        }
        statement.raw_execute().map(drop)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Float(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
            Self::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*value))),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Time(time) => ToSqlOutput::Owned(Owned::Text(TimeText(*time).to_string())),
            Self::Uuid(uuid) => ToSqlOutput::Owned(Owned::Text(uuid.to_string())),
        })
    }
}

#[cfg(test)]
mod tests;
