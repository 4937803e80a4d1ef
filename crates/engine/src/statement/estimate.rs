//! EXPLAIN (ESTIMATE): what a query would read, without running it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use polder_capability::CommandTag;
use polder_lake::{ScanSize, TransactionCell, scan_sizes};
use polder_types::{Error, Result, SnapshotId};
use serde_json::{Value, json};

use super::{Context, joins, names_out, suggest};
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::forms::EstimateForm;
use crate::rewrite::whole_numbers;
use crate::session::Outcome;

/// A query that reads less tells how long planning takes, and not reading.
const MEASURED_BYTES_MIN: i64 = 1 << 20;

/// Of the newest queries that are long enough.
const MEASURED_QUERIES: i64 = 1_000;

/// The name of the row of all tables.
const ALL: &str = "(all)";

/// How fast queries have read on this machine.
#[derive(Debug, Clone, Copy)]
struct Throughput {
    bytes_per_second: f64,
    queries: i64,
}

/// What is read of one table, or of all.
#[derive(Debug, Clone, Copy, Default)]
struct Read {
    files: u64,
    rows: Option<u64>,
    bytes: u64,
}

impl Read {
    fn nothing() -> Self {
        Self { files: 0, rows: Some(0), bytes: 0 }
    }

    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.rows = self.rows.zip(other.rows).map(|(rows, more)| rows.saturating_add(more));
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The columns of an estimate.
pub(super) fn columns(form: EstimateForm) -> SchemaRef {
    Arc::new(Schema::new(match form {
        EstimateForm::Json => vec![Field::new("QUERY PLAN", DataType::Utf8, true)],
        EstimateForm::Rows => vec![
            Field::new("table_name", DataType::Utf8, true),
            Field::new("files", DataType::Int64, true),
            Field::new("rows", DataType::Int64, true),
            Field::new("bytes", DataType::Int64, true),
            Field::new("seconds", DataType::Float64, true),
        ],
    }))
}

impl Engine {
    /// From the record of queries; `None` if none was long enough.
    async fn throughput(&self) -> Result<Option<Throughput>> {
        self.recorder.flush().await;
        let sql = "SELECT CAST(coalesce(sum(bytes_scanned), 0) AS BIGINT), CAST(coalesce(sum(elapsed_ms), 0) AS BIGINT), \
                   count(*) FROM (SELECT bytes_scanned, elapsed_ms FROM polder_query WHERE state = 'done' AND \
                   bytes_scanned >= $1 ORDER BY started_at DESC LIMIT $2) AS measured";
        let rows = self.metastore.query(sql, &[MEASURED_BYTES_MIN.into(), MEASURED_QUERIES.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (bytes, millis, queries) = (row.int(0)?, row.int(1)?, row.int(2)?);
        let seconds = Duration::from_millis(millis.max(1).unsigned_abs()).as_secs_f64();
        Ok((queries > 0).then(|| Throughput { bytes_per_second: bytes as f64 / seconds, queries }))
    }
}

impl Context<'_> {
    /// # Errors
    /// `Unsupported` for what is no query.
    pub(super) async fn estimate(
        &self,
        open: Option<&TransactionCell>,
        statement: Parsed,
        form: EstimateForm,
    ) -> Result<Outcome> {
        let Parsed::Explain(explain) = statement else { return Err(Error::internal("an estimate of no EXPLAIN")) };
        let mut statement = *explain.statement;
        if !matches!(&statement, Parsed::Statement(inner) if matches!(inner.as_ref(), Statement::Query(_))) {
            return Err(Error::unsupported("EXPLAIN (ESTIMATE) is for queries")
                .with_hint("estimate the query that finds the rows of a change"));
        }
        names_out::number_repeated(&mut statement);
        let snapshot = self.reading_snapshot(open).await?;
        let scope = self.engine.scope(snapshot, None, self.settings);
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion);
        let plan = plan.map_err(|error| suggest::table(error, &scope.snapshot, &self.settings.schema))?;
        let physical = joins::physical(&scope.state, &plan).await.map_err(from_datafusion)?;
        let throughput = self.engine.throughput().await?;
        let (tables, all) = summed(scan_sizes(&physical));
        let batch = match form {
            EstimateForm::Rows => as_rows(&tables, all, throughput),
            EstimateForm::Json => as_json(&tables, all, throughput),
        };
        told(form, batch?, scope.snapshot.id, throughput)
    }
}

/// By table, and in all.
fn summed(scans: Vec<ScanSize>) -> (BTreeMap<String, Read>, Read) {
    let (mut tables, mut all) = (BTreeMap::new(), Read::nothing());
    for scan in scans {
        let name = scan.table.map_or_else(|| "(other files)".to_owned(), |table| table.to_string());
        let read = Read { files: scan.files, rows: scan.rows, bytes: scan.bytes };
        tables.entry(name).or_insert_with(Read::nothing).add(read);
        all.add(read);
    }
    (tables, all)
}

/// To the millisecond; `None` if nobody knows.
fn seconds(read: Read, throughput: Option<Throughput>) -> Option<f64> {
    match throughput {
        _ if read.bytes == 0 => Some(0.0),
        Some(measured) if measured.bytes_per_second > 0.0 => {
            Some((read.bytes as f64 / measured.bytes_per_second * 1_000.0).round() / 1_000.0)
        }
        _ => None,
    }
}

fn as_rows(tables: &BTreeMap<String, Read>, all: Read, throughput: Option<Throughput>) -> Result<RecordBatch> {
    let named: Vec<(&str, Read)> =
        tables.iter().map(|(name, read)| (name.as_str(), *read)).chain([(ALL, all)]).collect();
    let counts = |of: fn(&Read) -> Option<u64>| -> ArrayRef {
        let count = |(_, read): &(&str, Read)| of(read).map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Arc::new(named.iter().map(count).collect::<Int64Array>())
    };
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(named.iter().map(|(name, _)| *name)));
    let files = counts(|read| Some(read.files));
    let rows = counts(|read| read.rows);
    let bytes = counts(|read| Some(read.bytes));
    let seconds = named.iter().map(|(_, read)| seconds(*read, throughput)).collect::<Float64Array>();
    batch(EstimateForm::Rows, vec![names, files, rows, bytes, Arc::new(seconds)])
}

fn as_json(tables: &BTreeMap<String, Read>, all: Read, throughput: Option<Throughput>) -> Result<RecordBatch> {
    let one = |name: &str, read: Read| {
        json!({
            "table": name,
            "files": read.files,
            "rows": read.rows,
            "bytes": read.bytes,
            "seconds": seconds(read, throughput),
        })
    };
    let tables: Vec<Value> = tables.iter().map(|(name, read)| one(name, *read)).collect();
    let measured =
        throughput.map(|measured| json!({"bytes_per_second": measured.bytes_per_second, "queries": measured.queries}));
    let text = json!({"tables": tables, "all": one(ALL, all), "measured": measured}).to_string();
    batch(EstimateForm::Json, vec![Arc::new(StringArray::from(vec![text]))])
}

fn batch(form: EstimateForm, arrays: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(columns(form), arrays).map_err(|error| Error::internal(error.to_string()))
}

fn told(
    form: EstimateForm,
    batch: RecordBatch,
    snapshot: SnapshotId,
    throughput: Option<Throughput>,
) -> Result<Outcome> {
    let schema = columns(form);
    let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter([Ok(batch)]));
    let outcome = Outcome {
        tag: CommandTag { verb: "EXPLAIN".into(), rows: None },
        snapshot,
        notices: Vec::new(),
        rows: Some((schema, Box::pin(rows))),
    };
    Ok(match throughput {
        Some(Throughput { bytes_per_second, queries }) => outcome.notice(format!(
            "seconds are those of the last {queries} queries here that read 1 MiB or more: {bytes_per_second:.0} bytes a second"
        )),
        None => outcome.notice("seconds are not known: no query here has read 1 MiB yet"),
    })
}
