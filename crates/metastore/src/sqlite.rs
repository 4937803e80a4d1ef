//! SQLite: how connections are opened, and how values go in and come out.

mod batch;
mod here;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Arguments, ConnectOptions, Decode, Row as _, SqlStr, TypeInfo, ValueRef};

use crate::value::TimeText;
use crate::{Row, Value};

pub(crate) use batch::{AtOnce, Pace, commit_at_once, execute_all, is_one_turn};
pub(crate) use here::{COMMITS_HERE, Here, HereOutcome, is_little};

/// DuckDB may hold the write lock while it commits; that takes milliseconds, a big one seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements about inlined data are made per table, so there are more of them than in the source.
pub(crate) const STATEMENTS_CACHED: usize = 512;

/// Rows handed over from SQLite's thread at once. The default of 50 makes a big read mostly thread switches.
const ROWS_BUFFERED: usize = 1024;

/// After a burst the log file shrinks back to this.
const JOURNAL_BYTES: i64 = 64 << 20;

#[derive(Debug, Clone)]
pub(crate) struct SqliteSource {
    path: PathBuf,
}

impl SqliteSource {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(false)
            .statement_cache_capacity(STATEMENTS_CACHED)
            .row_buffer_size(ROWS_BUFFERED)
            .disable_statement_logging()
    }

    pub(crate) async fn connect_writer(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options()
            .create_if_missing(true)
            .locking_mode(SqliteLockingMode::Normal)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", JOURNAL_BYTES.to_string())
            .connect()
            .await
    }

    pub(crate) async fn connect_reader(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options().pragma("query_only", "ON").connect().await
    }
}

pub(crate) async fn query(
    connection: &mut SqliteConnection,
    sql: SqlStr,
    params: &[Value],
) -> Result<Vec<Row>, sqlx::Error> {
    let arguments = arguments(params).map_err(sqlx::Error::Encode)?;
    let mut stream = sqlx::query_with(sql, arguments).fetch(connection);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(decode(&row)?);
    }
    Ok(rows)
}

pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    sql: SqlStr,
    params: &[Value],
) -> Result<u64, sqlx::Error> {
    let arguments = arguments(params).map_err(sqlx::Error::Encode)?;
    let done = sqlx::query_with(sql, arguments).execute(connection).await?;
    Ok(done.rows_affected())
}

/// `$1` is bound by its number, so a parameter may be used twice and in any order; `?` by its place.
fn arguments<'a>(params: impl IntoIterator<Item = &'a Value>) -> Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    for param in params {
        match param {
            Value::Null => Arguments::add(&mut arguments, None::<i64>)?,
            Value::Int(value) => Arguments::add(&mut arguments, *value)?,
            Value::Float(value) => Arguments::add(&mut arguments, *value)?,
            Value::Bool(value) => Arguments::add(&mut arguments, i64::from(*value))?,
            Value::Text(text) => Arguments::add(&mut arguments, text.clone())?,
            Value::Bytes(bytes) => Arguments::add(&mut arguments, bytes.clone())?,
            Value::Time(time) => Arguments::add(&mut arguments, TimeText(*time).to_string())?,
            Value::Uuid(uuid) => Arguments::add(&mut arguments, uuid.to_string())?,
        }
    }
    Ok(arguments)
}

fn decode(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let mut values = Vec::with_capacity(row.len());
    for column in 0..row.len() {
        let raw = row.try_get_raw(column)?;
        let value = if raw.is_null() {
            Ok(Value::Null)
        } else {
            // What counts is the value's own storage class: a column's declared type binds nobody in SQLite.
            let class = raw.type_info().into_owned();
            match class.name() {
                "INTEGER" => <i64 as Decode<sqlx::Sqlite>>::decode(raw).map(Value::Int),
                "REAL" => <f64 as Decode<sqlx::Sqlite>>::decode(raw).map(Value::Float),
                "TEXT" => <String as Decode<sqlx::Sqlite>>::decode(raw).map(Value::Text),
                "BLOB" => <Vec<u8> as Decode<sqlx::Sqlite>>::decode(raw).map(Value::Bytes),
                other => Err(format!("storage class {other}").into()),
            }
        };
        values.push(value.map_err(|source| sqlx::Error::ColumnDecode { index: column.to_string(), source })?);
    }
    Ok(Row::new(values))
}
