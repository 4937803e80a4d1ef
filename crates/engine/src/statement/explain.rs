//! EXPLAIN of statements that change: the plan of the query that finds their rows, and with ANALYZE what it took.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::common::format::{ExplainFormat, ExplainStatementOptions};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{ExplainOption, LogicalPlanBuilder};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use futures::{StreamExt, TryStreamExt};
use polder_lake::TransactionCell;
use polder_types::{Error, Result};
use regex::Regex;

use super::dml::Planned;
use super::maintenance::rows;
use super::{Change, Context};
use crate::error::from_datafusion;
use crate::forms::Extras;
use crate::functions::types;
use crate::session::Outcome;

/// A kind of plan, and the plan.
type Told = (String, String);

/// What is explained of a CREATE … AS is its query; COPY is not explained, as in PostgreSQL.
///
/// # Errors
/// `InvalidInput` (42601) for a COPY, `Unsupported` for an ANALYZE of a CREATE … AS.
pub(super) fn of_query(statement: &mut Parsed) -> Result<()> {
    let Parsed::Explain(explain) = statement else { return Ok(()) };
    let inner = match explain.statement.as_ref() {
        Parsed::Statement(inner) => inner.as_ref(),
        Parsed::CopyTo(_) => return Err(no_copy()),
        _ => return Ok(()),
    };
    let query = match inner {
        Statement::Copy { .. } => return Err(no_copy()),
        Statement::CreateTable(create) => create.query.clone(),
        Statement::CreateView(create) => Some(create.query.clone()),
        _ => None,
    };
    let Some(query) = query else { return Ok(()) };
    if explain.options.analyze {
        return Err(Error::unsupported("EXPLAIN ANALYZE of a CREATE … AS is not supported")
            .with_hint("EXPLAIN ANALYZE its query"));
    }
    explain.statement = Box::new(Parsed::Statement(Box::new(Statement::Query(query))));
    Ok(())
}

fn no_copy() -> Error {
    Error::invalid("syntax error at or near \"COPY\": it is not explained")
        .with_code("42601")
        .with_hint("EXPLAIN its query")
}

/// The column of a plan in JSON, as PostgreSQL calls it.
pub(super) fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![types::spelled_json(Field::new("QUERY PLAN", DataType::Utf8, true))]))
}

/// What a plan says of time: in its text, and in JSON.
static TIMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\w*(?:time|elapsed|duration)\w*(?:\{[^}]*\})?=[^,\]\n]*(?:, )?").ok());
static TIMES_IN_JSON: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"("[^"\n]*(?i:time|elapsed|duration)[^"\n]*"\s*:\s*)(?:"[^"\n]*"|[-+.\w]+)"#).ok());

/// A plan without what it says of time. Where rows are sealed, a scan of which all files can be left out takes a hundredth of the
/// time of one of which they cannot, and so tells the largest of the values that one may not see.
fn untimed(plan: &str) -> Option<String> {
    if plan.trim_start().starts_with('[') {
        return Some(TIMES_IN_JSON.as_ref()?.replace_all(plan, "${1}null").into_owned());
    }
    Some(TIMES.as_ref()?.replace_all(plan, "").replace(", ]", "]"))
}

/// The plans of a batch without what their times tell.
fn without_times(batch: RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let Some((at, _)) = batch.schema_ref().column_with_name("plan") else { return Ok(batch) };
    let Some(plans) = batch.column(at).as_string_opt::<i32>() else { return Ok(batch) };
    if !plans.iter().flatten().any(|plan| plan.contains("SealedExec")) {
        return Ok(batch);
    }
    let kinds = batch.column_by_name("plan_type").and_then(|kinds| kinds.as_string_opt::<i32>());
    let is_time = |row: usize| kinds.is_some_and(|kinds| kinds.is_valid(row) && kinds.value(row) == "Duration");
    let told = plans.iter().enumerate().map(|(row, plan)| match plan {
        Some(_) if is_time(row) => None,
        // What cannot be cleaned is not told.
        Some(plan) => untimed(plan),
        None => None,
    });
    let told: StringArray = told.map(|plan| Some(plan.unwrap_or_default())).collect();
    let mut columns = batch.columns().to_vec();
    if let Some(column) = columns.get_mut(at) {
        *column = Arc::new(told);
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// A plan as it was asked for: with FORMAT JSON it is one text, as PostgreSQL's clients read it.
pub(super) fn told(mut outcome: Outcome, extras: &Extras) -> Outcome {
    if outcome.tag.verb == "EXPLAIN"
        && let Some((schema, rows)) = outcome.rows.take()
    {
        let rows = rows.map(|batch| batch.and_then(without_times));
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), rows));
        outcome.rows = Some((schema, rows));
    }
    if !extras.plan_json {
        return outcome;
    }
    let Outcome { tag, snapshot, notices, rows: Some((_, rows)) } = outcome else { return outcome };
    let schema = columns();
    let told = Arc::clone(&schema);
    let plans = rows.map(move |batch| {
        let batch = batch?;
        let texts = batch.column_by_name("plan").and_then(|plans| plans.as_string_opt::<i32>());
        // Beside it a change says in words what it is.
        let plans = texts.into_iter().flatten().flatten().filter(|text| text.starts_with('['));
        let plans: ArrayRef = Arc::new(plans.map(Some).collect::<StringArray>());
        Ok(RecordBatch::try_new(Arc::clone(&told), vec![plans])?)
    });
    let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), plans));
    Outcome { tag, snapshot, notices, rows: Some((schema, rows)) }
}

pub(super) fn not_explained() -> Error {
    Error::unsupported("EXPLAIN is for queries, INSERT, UPDATE, DELETE, MERGE and CREATE … AS")
}

impl Context<'_> {
    /// Explains a change; with ANALYZE it is carried out, too.
    pub(super) async fn explain(
        &self,
        cell: &TransactionCell,
        options: &ExplainStatementOptions,
        change: &Change<'_>,
    ) -> Result<Outcome> {
        let planned = match change {
            Change::Insert(insert) => self.plan_insert(cell, insert).await?,
            Change::Update(update) => self.plan_update(cell, update).await?,
            Change::Delete(delete) => self.plan_delete(cell, delete).await?,
            Change::Merge(merge) => self.plan_merge(cell, merge).await?,
            _ => return Err(not_explained()),
        };
        let snapshot = planned.scope.snapshot.id;
        let what = format!("{} of {}", planned.verb, planned.changes.target.name);
        let hidden = planned.changes.target.hidden.clone();
        let (what, mut told) = if options.analyze {
            let (changed, told) = self.analyze(cell, options, &planned).await?;
            (format!("{what}: {changed} {}", if changed == 1 { "row" } else { "rows" }), told)
        } else {
            (format!("{what}, of the rows that this query finds"), self.plans(options, planned).await?)
        };
        told.iter_mut().for_each(|(_, plan)| *plan = hidden.left_out(plan));
        told.insert(0, ("change".to_owned(), what));
        let (kinds, plans): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        let text = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
        rows("EXPLAIN", vec![("plan_type", text(kinds)), ("plan", text(plans))], snapshot)
    }

    /// The plans of the query, as an EXPLAIN of it gives them.
    async fn plans(&self, options: &ExplainStatementOptions, planned: Planned<'_>) -> Result<Vec<Told>> {
        if options.verbose && options.format.is_some() {
            return Err(Error::unsupported("EXPLAIN VERBOSE with FORMAT is not supported"));
        }
        if options.analyze_level.is_some() || options.analyze_categories.is_some() {
            return Err(Error::invalid("LEVEL and METRICS are for EXPLAIN ANALYZE").with_code("42601"));
        }
        let state = &planned.query.state;
        let format = match &options.format {
            Some(format) => format.clone(),
            None if options.verbose => ExplainFormat::Indent,
            None => state.config_options().explain.format.clone(),
        };
        let option = ExplainOption {
            verbose: options.verbose,
            format,
            show_statistics: options.show_statistics,
            ..ExplainOption::default()
        };
        let builder = LogicalPlanBuilder::from(planned.query.plan).explain_option_format(option);
        let plan = builder.and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
        let physical = super::joins::physical(state, &plan).await.map_err(from_datafusion)?;
        let batches: Vec<_> = self.start(state, physical)?.try_collect().await.map_err(from_datafusion)?;
        let mut told = Vec::new();
        for batch in &batches {
            let (kinds, plans) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
            let texts = kinds.iter().zip(plans).filter_map(|(kind, plan)| Some((kind?.to_owned(), plan?.to_owned())));
            told.extend(texts);
        }
        Ok(told)
    }

    /// Carries the change out: how many rows it changed, and the plan that found them, with its metrics.
    async fn analyze(
        &self,
        cell: &TransactionCell,
        options: &ExplainStatementOptions,
        planned: &Planned<'_>,
    ) -> Result<(u64, Vec<Told>)> {
        let is_plain = matches!(options.format, None | Some(ExplainFormat::Indent));
        if !is_plain || options.analyze_level.is_some() || options.analyze_categories.is_some() {
            return Err(Error::unsupported("EXPLAIN ANALYZE of a change has no FORMAT, LEVEL or METRICS")
                .with_hint("EXPLAIN ANALYZE, or EXPLAIN ANALYZE VERBOSE"));
        }
        let applied = self.apply(cell, &planned.changes, &planned.query).await?;
        let plan = applied.plan.as_ref().ok_or_else(|| Error::internal("a change without its plan"))?;
        let metrics = DisplayableExecutionPlan::with_metrics(plan.as_ref());
        let mut told = vec![("Plan with Metrics".to_owned(), metrics.indent(options.verbose).to_string())];
        if options.verbose {
            let full = DisplayableExecutionPlan::with_full_metrics(plan.as_ref());
            told.push(("Plan with Full Metrics".to_owned(), full.indent(true).to_string()));
        }
        Ok((applied.total(), told))
    }
}

#[cfg(test)]
mod tests {
    use super::untimed;

    fn check(plan: &str, told: &str) {
        assert_eq!(untimed(plan).as_deref(), Some(told));
    }

    #[test]
    fn times_are_left_out() {
        check(
            "Repartition: n=2, metrics=[output_rows=1, elapsed_compute=1.89µs, fetch_time=185.51µs, time_of_ids=1.84µs]",
            "Repartition: n=2, metrics=[output_rows=1]",
        );
        check(
            "Repartition: n=2, metrics=[fetch_time{partition=0}=1.32ms, start_timestamp{partition=0}=2026-01-01 00:00:00 UTC, output_rows{partition=0}=1]",
            "Repartition: n=2, metrics=[output_rows{partition=0}=1]",
        );
        check(
            "[{\"Plan\": {\"fetch_time\": 1.378, \"Actual Total Time\": 2e-3, \"Output Rows\": 3}, \"Duration\": \"1 ms\"}]",
            "[{\"Plan\": {\"fetch_time\": null, \"Actual Total Time\": null, \"Output Rows\": 3}, \"Duration\": null}]",
        );
    }
}
