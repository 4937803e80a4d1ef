use std::path::PathBuf;

use polder_types::{Error, LoadId, Result};
use serde::{Deserialize, Serialize};

use crate::{Caller, QueryError};

/// Where raw data comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadSource {
    /// A path, directory, glob, `s3://…`, `http(s)://…` as the user wrote it.
    Location(String),
    /// A file that a server or the command line has put on this disk under a name of its own choosing:
    /// `name` is the user's and only ever shown or made into a table name, never opened.
    Spooled { path: PathBuf, name: String },
}

/// What to do when the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Make the table; refuse if it exists, with a hint.
    #[default]
    Create,
    Append,
    Replace,
}

/// A user's correction of what was sniffed. Every `None` means: find out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadOptions {
    /// `csv`, `json`, `parquet`, `avro`, `excel`, `ods`, `blanks`, `weblog`.
    pub format: Option<String>,
    pub delimiter: Option<char>,
    pub quote: Option<char>,
    pub header: Option<bool>,
    /// A WHATWG label: `utf-8`, `utf-16le`, `windows-1252`, …
    pub encoding: Option<String>,
    /// Cells that mean "missing", besides the empty one.
    pub nulls: Option<Vec<String>>,
    /// Corrections by column, matched by the name in the file.
    pub columns: Vec<ColumnChoice>,
    /// What COPY has said; `None` for other loads.
    #[serde(skip)]
    pub copy: Option<CopyTerms>,
}

/// A correction of one column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnChoice {
    /// The name in the file.
    pub source: String,
    /// The name in the table; `None` keeps the proposed one.
    pub name: Option<String>,
    /// A SQL type: `bigint`, `double`, `text`, `boolean`, `date`, `timestamp`, `timestamptz`.
    pub data_type: Option<String>,
    /// Leave the column out.
    pub skip: bool,
}

#[derive(Debug, Clone)]
pub struct LoadRequest {
    pub load_id: LoadId,
    pub caller: Caller,
    pub sources: Vec<LoadSource>,
    /// `table` or `schema.table`; `None` makes one from each file's name.
    pub into: Option<String>,
    pub mode: LoadMode,
    /// Refuse the whole load at the first row that cannot be read.
    pub strict: bool,
    /// Load again what was loaded before.
    pub again: bool,
    pub options: LoadOptions,
}

/// The schema and the name of the table that `into` names. Who may load and what is loaded go by the same reading of it:
/// without quotes in lower case, with quotes as written, and in `public` without a schema.
///
/// # Errors
/// `InvalidInput` for an empty part, a quote left open, or more than two parts.
pub fn loaded_table(into: &str) -> Result<(String, String)> {
    let wrong =
        |why: &str| Error::invalid(format!("{into:?} is not a table name: {why}")).with_hint("use name or schema.name");
    let mut parts = Vec::new();
    let mut rest = into.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .map(|(part, after)| (part.to_owned(), after))
                .ok_or_else(|| wrong("a quote is left open"))?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() || part.chars().any(char::is_control) {
            return Err(wrong("a part is empty or unprintable"));
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return Err(wrong("there is something after a quoted part")),
        }
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, None) => Ok(("public".to_owned(), name)),
        (Some(schema), Some(name), None) => Ok((schema, name)),
        _ => Err(wrong("it has too many parts")),
    }
}

/// What COPY asks for beyond the options of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyTerms {
    /// The columns that a file fills in a table that exists.
    pub columns: Option<LoadColumns>,
    /// Cells are missing that `options.nulls` names, and no others: an empty one is the empty text.
    pub empty_is_text: bool,
    /// The zone of times that name none, in columns of instants: a place, or an offset such as `+02:00`. `None` is UTC.
    pub time_zone: Option<String>,
}

/// Columns of a table, as a file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadColumns {
    /// Their names in the table. A file without a header has them in this order, and no others.
    pub names: Vec<String>,
    /// They were listed one by one: a file with a header has them all, and no others.
    pub listed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// How far a load is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoadProgress {
    /// `inferring`, `loading`, `committing`.
    pub phase: String,
    pub rows: u64,
    pub bytes_done: u64,
    /// `None` when it cannot be known (a stream).
    pub bytes_total: Option<u64>,
    pub elapsed_ms: u64,
    pub current_source: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadStatus {
    pub load_id: LoadId,
    /// Who loads. Clients are not told.
    #[serde(default)]
    pub user: String,
    pub state: LoadState,
    pub progress: LoadProgress,
    pub report: Option<LoadReport>,
    pub error: Option<QueryError>,
}

/// What came of a load.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoadReport {
    pub tables: Vec<TableReport>,
    /// The lake version that holds all of it. `None` when nothing was new.
    pub snapshot: Option<i64>,
    pub elapsed_ms: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TableReport {
    /// `schema.table`.
    pub table: String,
    pub rows_loaded: u64,
    pub rows_rejected: u64,
    /// `schema.table__rejects`, when there are any.
    pub rejects_table: Option<String>,
    pub sources: Vec<SourceReport>,
    /// What was decided and why: "dates in `published` are day first, because 31/01/2015 is in line 12".
    pub remarks: Vec<String>,
    pub rejects: Vec<RejectSample>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourceReport {
    pub source: String,
    pub format: String,
    pub rows_loaded: u64,
    pub rows_rejected: u64,
    pub bytes: u64,
    /// The same content was loaded into this table before, so nothing was done.
    pub skipped: bool,
}

/// One of the first few rows that could not be read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RejectSample {
    pub source: String,
    pub line: u64,
    pub column: Option<String>,
    pub reason: String,
    pub raw: String,
}

/// What a load would make, before it is done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Preview {
    pub tables: Vec<TablePreview>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TablePreview {
    pub table: String,
    pub source: String,
    pub format: String,
    /// What was sniffed, ready to be sent back with corrections.
    pub options: LoadOptions,
    pub columns: Vec<ColumnPreview>,
    /// The first rows, as text, one string a column; `None` is missing.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows looked at for the types (the load itself looks at all).
    pub rows_seen: u64,
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ColumnPreview {
    pub source: String,
    pub name: String,
    pub data_type: String,
    /// Why this type: "leading zeros", "`NA` means missing".
    pub remark: Option<String>,
}

/// Files into tables. A load is one transaction: all of it is there, or nothing.
#[async_trait::async_trait]
pub trait Loader: Send + Sync {
    async fn preview(&self, caller: &Caller, source: &LoadSource, options: &LoadOptions) -> Result<Preview>;

    /// Begins in the background; ask [`Loader::status`].
    fn start(&self, request: LoadRequest) -> Result<LoadId>;

    /// Running, or finished not long ago.
    fn status(&self, id: LoadId) -> Option<LoadStatus>;

    /// Returns when the load has ended, with its last status.
    async fn wait(&self, id: LoadId) -> Option<LoadStatus>;

    fn running(&self) -> Vec<LoadStatus>;

    /// True if it was running. Nothing of it stays.
    fn cancel(&self, id: LoadId) -> bool;
}
