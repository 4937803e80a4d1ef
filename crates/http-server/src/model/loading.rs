//! Loads: what is wished, what it would make, how far it is, what came of it.

use polder_capability as contract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::query::{QueryError, QueryState};

/// What to do when the table exists.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoadMode {
    /// Make the table; refuse if it exists.
    #[default]
    Create,
    Append,
    Replace,
}

impl From<LoadMode> for contract::LoadMode {
    fn from(mode: LoadMode) -> Self {
        match mode {
            LoadMode::Create => Self::Create,
            LoadMode::Append => Self::Append,
            LoadMode::Replace => Self::Replace,
        }
    }
}

/// Corrections of what was sniffed. What is left out, or `null`, is found out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoadOptions {
    /// `csv`, `json`, `parquet`, `avro`, `excel`, `ods`, `blanks`, `weblog`.
    pub format: Option<String>,
    /// What separates cells: one character.
    #[schema(value_type = Option<String>)]
    pub delimiter: Option<char>,
    /// What encloses cells: one character.
    #[schema(value_type = Option<String>)]
    pub quote: Option<char>,
    /// Whether the first row holds names.
    pub header: Option<bool>,
    /// A WHATWG label: `utf-8`, `utf-16le`, `windows-1252`, …
    pub encoding: Option<String>,
    /// Cells that mean "missing", besides the empty one.
    pub nulls: Option<Vec<String>>,
    /// Corrections by column, matched by the name in the file.
    pub columns: Vec<ColumnChoice>,
}

impl From<LoadOptions> for contract::LoadOptions {
    fn from(options: LoadOptions) -> Self {
        let LoadOptions { format, delimiter, quote, header, encoding, nulls, columns } = options;
        let columns = columns.into_iter().map(Into::into).collect();
        Self { format, delimiter, quote, header, encoding, nulls, columns, copy: None }
    }
}

impl From<contract::LoadOptions> for LoadOptions {
    fn from(options: contract::LoadOptions) -> Self {
        let contract::LoadOptions { format, delimiter, quote, header, encoding, nulls, columns, copy: _ } = options;
        let columns = columns.into_iter().map(Into::into).collect();
        Self { format, delimiter, quote, header, encoding, nulls, columns }
    }
}

/// A correction of one column.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ColumnChoice {
    /// The name in the file.
    #[schema(required)]
    pub source: String,
    /// The name in the table; `null` keeps the proposed one.
    pub name: Option<String>,
    /// A SQL type: `bigint`, `double`, `text`, `boolean`, `date`, `timestamp`, `timestamptz`.
    pub data_type: Option<String>,
    /// Leave the column out.
    pub skip: bool,
}

impl From<ColumnChoice> for contract::ColumnChoice {
    fn from(choice: ColumnChoice) -> Self {
        let ColumnChoice { source, name, data_type, skip } = choice;
        Self { source, name, data_type, skip }
    }
}

impl From<contract::ColumnChoice> for ColumnChoice {
    fn from(choice: contract::ColumnChoice) -> Self {
        let contract::ColumnChoice { source, name, data_type, skip } = choice;
        Self { source, name, data_type, skip }
    }
}

/// What a load would make, before it is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preview {
    pub tables: Vec<TablePreview>,
}

impl From<contract::Preview> for Preview {
    fn from(preview: contract::Preview) -> Self {
        let contract::Preview { tables } = preview;
        Self { tables: tables.into_iter().map(Into::into).collect() }
    }
}

/// One table that a load would make.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TablePreview {
    pub table: String,
    pub source: String,
    pub format: String,
    /// What was sniffed, ready to be sent back with corrections.
    pub options: LoadOptions,
    pub columns: Vec<ColumnPreview>,
    /// The first rows, as text, one string a column; `null` is missing.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows looked at for the types (the load itself looks at all).
    pub rows_seen: u64,
    pub remarks: Vec<String>,
}

impl From<contract::TablePreview> for TablePreview {
    fn from(preview: contract::TablePreview) -> Self {
        let contract::TablePreview { table, source, format, options, columns, rows, rows_seen, remarks } = preview;
        let columns = columns.into_iter().map(Into::into).collect();
        Self { table, source, format, options: options.into(), columns, rows, rows_seen, remarks }
    }
}

/// One column that a load would make.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnPreview {
    /// The name in the file.
    pub source: String,
    /// The name in the table.
    pub name: String,
    pub data_type: String,
    /// Why this type.
    pub remark: Option<String>,
}

impl From<contract::ColumnPreview> for ColumnPreview {
    fn from(preview: contract::ColumnPreview) -> Self {
        let contract::ColumnPreview { source, name, data_type, remark } = preview;
        Self { source, name, data_type, remark }
    }
}

impl From<contract::LoadState> for QueryState {
    fn from(state: contract::LoadState) -> Self {
        match state {
            contract::LoadState::Running => Self::Running,
            contract::LoadState::Done => Self::Done,
            contract::LoadState::Failed => Self::Failed,
            contract::LoadState::Cancelled => Self::Cancelled,
        }
    }
}

/// A load, running or ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadStatus {
    #[schema(value_type = String, format = "uuid")]
    pub load_id: Uuid,
    pub state: QueryState,
    pub progress: LoadProgress,
    /// What came of it, once it is done.
    pub report: Option<LoadReport>,
    pub error: Option<QueryError>,
}

impl From<contract::LoadStatus> for LoadStatus {
    fn from(status: contract::LoadStatus) -> Self {
        let contract::LoadStatus { load_id, user: _, state, progress, report, error } = status;
        Self {
            load_id: load_id.0,
            state: state.into(),
            progress: progress.into(),
            report: report.map(Into::into),
            error: error.map(Into::into),
        }
    }
}

/// How far a load is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadProgress {
    /// `inferring`, `loading`, `committing`.
    pub phase: String,
    pub rows: u64,
    pub bytes_done: u64,
    /// `null` when it cannot be known (a stream).
    pub bytes_total: Option<u64>,
    pub elapsed_ms: u64,
    pub current_source: String,
}

impl From<contract::LoadProgress> for LoadProgress {
    fn from(progress: contract::LoadProgress) -> Self {
        let contract::LoadProgress { phase, rows, bytes_done, bytes_total, elapsed_ms, current_source } = progress;
        Self { phase, rows, bytes_done, bytes_total, elapsed_ms, current_source }
    }
}

/// What came of a load.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadReport {
    pub tables: Vec<TableReport>,
    /// The lake version that holds all of it. `null` when nothing was new.
    pub snapshot: Option<i64>,
    pub elapsed_ms: u64,
}

impl From<contract::LoadReport> for LoadReport {
    fn from(report: contract::LoadReport) -> Self {
        let contract::LoadReport { tables, snapshot, elapsed_ms } = report;
        Self { tables: tables.into_iter().map(Into::into).collect(), snapshot, elapsed_ms }
    }
}

/// What came into one table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableReport {
    /// `schema.table`.
    pub table: String,
    pub rows_loaded: u64,
    pub rows_rejected: u64,
    /// `schema.table__rejects`, when there are any.
    pub rejects_table: Option<String>,
    pub sources: Vec<SourceReport>,
    /// What was decided, and why.
    pub remarks: Vec<String>,
    /// The first few rows that could not be read.
    pub rejects: Vec<RejectSample>,
}

impl From<contract::TableReport> for TableReport {
    fn from(report: contract::TableReport) -> Self {
        let contract::TableReport { table, rows_loaded, rows_rejected, rejects_table, sources, remarks, rejects } =
            report;
        Self {
            table,
            rows_loaded,
            rows_rejected,
            rejects_table,
            sources: sources.into_iter().map(Into::into).collect(),
            remarks,
            rejects: rejects.into_iter().map(Into::into).collect(),
        }
    }
}

/// What came of one file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceReport {
    pub source: String,
    pub format: String,
    pub rows_loaded: u64,
    pub rows_rejected: u64,
    pub bytes: u64,
    /// The same content was loaded into this table before, so nothing was done.
    pub skipped: bool,
}

impl From<contract::SourceReport> for SourceReport {
    fn from(report: contract::SourceReport) -> Self {
        let contract::SourceReport { source, format, rows_loaded, rows_rejected, bytes, skipped } = report;
        Self { source, format, rows_loaded, rows_rejected, bytes, skipped }
    }
}

/// A row that could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectSample {
    pub source: String,
    pub line: u64,
    pub column: Option<String>,
    pub reason: String,
    pub raw: String,
}

impl From<contract::RejectSample> for RejectSample {
    fn from(sample: contract::RejectSample) -> Self {
        let contract::RejectSample { source, line, column, reason, raw } = sample;
        Self { source, line, column, reason, raw }
    }
}
