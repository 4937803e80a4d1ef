//! The record of queries.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use polder_types::{Position, QueryId, Result};

use crate::{Metastore, Row, Value, Write};

/// Rows kept when nobody says otherwise: some months of a small team.
pub const QUERIES_KEPT: u64 = 100_000;

/// Of a longer statement only the beginning is kept: a hundred thousand statements must not fill the disk.
const SQL_BYTES_KEPT: usize = 64 << 10;

/// Error messages and hints may quote data.
const MESSAGE_BYTES_KEPT: usize = 4 << 10;

/// Rows that go into one statement.
const ROWS_TOGETHER: usize = 32;

/// One statement that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRow {
    pub query_id: QueryId,
    pub user_name: String,
    /// The way in: `console`, `http`, `cli`, …
    pub via: String,
    pub sql: String,
    /// `running`, `done`, `failed`, `cancelled`.
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub elapsed_ms: u64,
    pub rows_returned: u64,
    /// Inserted, changed and deleted.
    pub rows_changed: u64,
    pub rows_scanned: u64,
    pub bytes_scanned: u64,
    pub snapshot: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub error_hint: Option<String>,
    pub error_position: Option<Position>,
}

/// A view of the metastore: the record of queries.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn queries(&self) -> Queries<'_> {
        Queries(self)
    }
}

const COLUMNS: &str = "query_id, user_name, via, sql, state, started_at, elapsed_ms, rows_returned, rows_scanned, \
                       bytes_scanned, snapshot, error_code, error_message, error_hint, error_line, error_column, \
                       rows_changed";
const COLUMN_COUNT: usize = 17;

impl Queries<'_> {
    /// Adds records, or replaces those with the same id. One transaction for all.
    pub async fn append(&self, records: &[QueryRow]) -> Result<()> {
        // One statement must not touch a row twice, so of several with one id the last counts.
        let last: HashMap<QueryId, usize> = records.iter().enumerate().map(|(at, row)| (row.query_id, at)).collect();
        let records: Vec<&QueryRow> = records
            .iter()
            .enumerate()
            .filter(|(at, row)| last.get(&row.query_id) == Some(at))
            .map(|(_, row)| row)
            .collect();
        let (full, rest) = records.as_chunks::<ROWS_TOGETHER>();
        // Two texts of the statement, so that both stay prepared.
        let mut writes: Vec<Write> = full.iter().map(|chunk| upsert(chunk)).collect();
        writes.extend(rest.iter().map(|row| upsert(&[*row])));
        if writes.is_empty() {
            return Ok(());
        }
        self.0.write(&writes).await
    }

    pub async fn find(&self, id: QueryId) -> Result<Option<QueryRow>> {
        let sql = format!("SELECT {COLUMNS} FROM polder_query WHERE query_id = $1");
        let rows = self.0.query(&sql, &[id.0.into()]).await?;
        rows.first().map(read).transpose()
    }

    /// The newest first; `before`: only those older than this one.
    pub async fn recent(&self, limit: u64, before: Option<QueryId>) -> Result<Vec<QueryRow>> {
        let limit = Value::count(limit);
        let rows = match before {
            None => {
                let sql =
                    format!("SELECT {COLUMNS} FROM polder_query ORDER BY started_at DESC, query_id DESC LIMIT $1");
                self.0.query(&sql, &[limit]).await?
            }
            Some(id) => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM polder_query WHERE (started_at, query_id) < \
                     (SELECT started_at, query_id FROM polder_query WHERE query_id = $1) \
                     ORDER BY started_at DESC, query_id DESC LIMIT $2"
                );
                self.0.query(&sql, &[id.0.into(), limit]).await?
            }
        };
        rows.iter().map(read).collect()
    }

    pub async fn count(&self) -> Result<u64> {
        let rows = self.0.query("SELECT count(*) FROM polder_query", &[]).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(count.unsigned_abs())
    }

    /// Deletes all but the newest `keep` (see [`QUERIES_KEPT`]); those that began at the same instant as the last kept
    /// one stay too.
    pub async fn prune(&self, keep: u64) -> Result<()> {
        let write = match keep.checked_sub(1) {
            None => Write::new("DELETE FROM polder_query", vec![]),
            Some(offset) => Write::new(
                "DELETE FROM polder_query WHERE started_at < \
                 (SELECT started_at FROM polder_query ORDER BY started_at DESC LIMIT 1 OFFSET $1)",
                vec![Value::count(offset)],
            ),
        };
        self.0.write(&[write]).await
    }
}

/// The statement for one record, and for as many as go together.
static ONE: LazyLock<String> = LazyLock::new(|| upsert_text(1));
static TOGETHER: LazyLock<String> = LazyLock::new(|| upsert_text(ROWS_TOGETHER));

fn upsert(records: &[&QueryRow]) -> Write {
    let sql: Cow<'static, str> = match records.len() {
        1 => ONE.as_str().into(),
        ROWS_TOGETHER => TOGETHER.as_str().into(),
        count => upsert_text(count).into(),
    };
    Write::new(sql, records.iter().flat_map(|record| params(record)).collect())
}

fn upsert_text(count: usize) -> String {
    let tuples: Vec<String> = (0..count)
        .map(|row| {
            let marks: Vec<String> = (1..=COLUMN_COUNT).map(|at| format!("${}", row * COLUMN_COUNT + at)).collect();
            format!("({})", marks.join(", "))
        })
        .collect();
    let sets: Vec<String> = COLUMNS.split(", ").skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO polder_query ({COLUMNS}) VALUES {} ON CONFLICT (query_id) DO UPDATE SET {}",
        tuples.join(", "),
        sets.join(", ")
    )
}

fn params(record: &QueryRow) -> [Value; COLUMN_COUNT] {
    let position =
        |part: fn(&Position) -> u64| record.error_position.as_ref().map_or(Value::Null, |at| Value::count(part(at)));
    let message = |text: &Option<String>| Value::from(text.as_deref().map(|text| kept(text, MESSAGE_BYTES_KEPT)));
    [
        record.query_id.0.into(),
        record.user_name.as_str().into(),
        record.via.as_str().into(),
        kept(&record.sql, SQL_BYTES_KEPT).into(),
        record.state.as_str().into(),
        record.started_at.into(),
        Value::count(record.elapsed_ms),
        Value::count(record.rows_returned),
        Value::count(record.rows_scanned),
        Value::count(record.bytes_scanned),
        record.snapshot.into(),
        record.error_code.clone().into(),
        message(&record.error_message),
        message(&record.error_hint),
        position(|at| at.line),
        position(|at| at.column),
        Value::count(record.rows_changed),
    ]
}

/// The text as it is kept: cut at a limit, and without the zero byte, which PostgreSQL has no place for.
pub(crate) fn kept(text: &str, bytes_max: usize) -> String {
    let cut = text.floor_char_boundary(bytes_max);
    let mut kept = text.get(..cut).unwrap_or_default().replace('\0', "\u{FFFD}");
    if cut < text.len() {
        kept.push_str(" … (cut)");
    }
    kept
}

fn read(row: &Row) -> Result<QueryRow> {
    let text = |column| Ok::<_, polder_types::Error>(row.opt_text(column)?.map(str::to_owned));
    let count = |column| Ok::<_, polder_types::Error>(row.int(column)?.unsigned_abs());
    let position = match (row.opt_int(14)?, row.opt_int(15)?) {
        (Some(line), Some(column)) => Some(Position { line: line.unsigned_abs(), column: column.unsigned_abs() }),
        _ => None,
    };
    Ok(QueryRow {
        query_id: QueryId(row.uuid(0)?),
        user_name: row.text(1)?.to_owned(),
        via: row.text(2)?.to_owned(),
        sql: row.text(3)?.to_owned(),
        state: row.text(4)?.to_owned(),
        started_at: row.time(5)?,
        elapsed_ms: count(6)?,
        rows_returned: count(7)?,
        rows_changed: count(16)?,
        rows_scanned: count(8)?,
        bytes_scanned: count(9)?,
        snapshot: row.opt_int(10)?,
        error_code: text(11)?,
        error_message: text(12)?,
        error_hint: text(13)?,
        error_position: position,
    })
}
