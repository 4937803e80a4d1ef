//! `profile('schema.table')`: what a person wants to know of columns before using them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use futures::StreamExt;
use futures::future::BoxFuture;
use polder_kernels::profile::{BinEdge, ColumnProfile, ColumnProfiler};
use polder_lake::TableName;
use polder_types::Error;

use super::pg_catalog::World;
use super::tables::type_name;
use super::{external, int, memory, table_argument, text};
use crate::computed::{Computed, Rows};
use crate::limits::StatementMemory;
use crate::statement::allowed::{CHECK_EVERY, planned_bytes};

/// Rows that are looked at. A profile of more says as much, and takes longer than a person waits.
const ROWS_MAX: usize = 10_000_000;

#[derive(Debug)]
pub(super) struct ProfileFunction;

impl TableFunctionImpl for ProfileFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> DataFusionResult<Arc<dyn TableProvider>> {
        let name = table_argument("profile", args.exprs(), args.session())?;
        Ok(Computed::table(Arc::new(schema()), Profile { name }))
    }
}

fn schema() -> Schema {
    Schema::new(vec![
        text("column_name", false),
        text("data_type", false),
        int("row_count", false),
        int("missing", false),
        int("distinct_count", false),
        Field::new("distinct_exact", DataType::Boolean, false),
        text("min", true),
        text("max", true),
        Field::new("mean", DataType::Float64, true),
        Field::new("stddev", DataType::Float64, true),
        text("histogram", true),
        text("top", true),
    ])
}

struct Profile {
    name: TableName,
}

#[async_trait]
impl Rows for Profile {
    async fn plan(
        &self,
        state: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let state = state
            .as_any()
            .downcast_ref::<SessionState>()
            .ok_or_else(|| external(Error::internal("a profile needs a session")))?;
        let columns = self.columns(state).await?;
        memory(schema, columns, projection)
    }
}

impl Profile {
    fn columns<'a>(&'a self, state: &'a SessionState) -> BoxFuture<'a, DataFusionResult<Vec<ArrayRef>>> {
        Box::pin(self.profiled(state))
    }

    async fn profiled(&self, state: &SessionState) -> DataFusionResult<Vec<ArrayRef>> {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let sql = format!("SELECT * FROM {}.{} LIMIT {ROWS_MAX}", quoted(&self.name.schema), quoted(&self.name.table));
        let plan = state.create_logical_plan(&sql).await?;
        let physical = state.create_physical_plan(&plan).await?;
        let world = World::of(state.config_options())?;
        // It is read while the statement is planned, and counts as what the statement reads.
        let running = world.running();
        if let Some(running) = &running {
            running.allowance().check_plan(running.bytes_read(), planned_bytes(&physical)).map_err(external)?;
            running.watch(&physical);
        }
        let bytes = world.limits().now.statement_memory;
        let context = match &running {
            Some(running) => running.memory.context(state, bytes)?,
            None => StatementMemory::default().context(state, bytes)?,
        };
        let fields = physical.schema();
        let streams = execute_stream_partitioned(physical, context)?;
        // Dropped with the statement, the set stops its tasks.
        let mut parts = tokio::task::JoinSet::new();
        for stream in streams {
            parts.spawn(profile_part(stream, Arc::clone(&fields)));
        }
        let mut merged = profilers(&fields);
        let mut ticks = tokio::time::interval(CHECK_EVERY);
        loop {
            let part = tokio::select! {
                part = parts.join_next() => part,
                _ = ticks.tick() => {
                    if let Some(running) = &running {
                        running.allowance().check_read(running.bytes_read()).map_err(external)?;
                    }
                    continue;
                }
            };
            let Some(part) = part else { break };
            let part = part.map_err(|error| external(Error::internal(error.to_string())))??;
            for (one, other) in merged.iter_mut().zip(part) {
                one.merge(other).map_err(external)?;
            }
        }
        let profiles: Vec<ColumnProfile> = merged.into_iter().map(ColumnProfiler::finish).collect();
        Ok(arrays(&fields, &profiles))
    }
}

async fn profile_part(
    mut rows: SendableRecordBatchStream,
    fields: SchemaRef,
) -> Result<Vec<ColumnProfiler>, DataFusionError> {
    let mut profilers = profilers(&fields);
    while let Some(batch) = rows.next().await.transpose()? {
        for (profiler, array) in profilers.iter_mut().zip(batch.columns()) {
            profiler.update(array).map_err(external)?;
        }
    }
    Ok(profilers)
}

fn profilers(fields: &SchemaRef) -> Vec<ColumnProfiler> {
    fields.fields().iter().map(|field| ColumnProfiler::new(field.data_type())).collect()
}

/// Numbers as numbers, times as text.
fn edge(edge: &BinEdge) -> serde_json::Value {
    match edge {
        BinEdge::Number(number) => serde_json::json!(number),
        BinEdge::Text(text) => serde_json::json!(text),
    }
}

fn arrays(fields: &SchemaRef, profiles: &[ColumnProfile]) -> Vec<ArrayRef> {
    let mut texts: [StringBuilder; 6] = std::array::from_fn(|_| StringBuilder::new());
    let mut counts: [Int64Builder; 3] = std::array::from_fn(|_| Int64Builder::new());
    let mut exact = arrow::array::BooleanBuilder::new();
    let (mut means, mut deviations) = (Float64Builder::new(), Float64Builder::new());
    for (field, profile) in fields.fields().iter().zip(profiles) {
        let histogram = profile.histogram.as_ref().map(|bins| {
            let bins: Vec<_> = bins
                .iter()
                .map(|bin| serde_json::json!({"low": edge(&bin.low), "high": edge(&bin.high), "count": bin.count}))
                .collect();
            serde_json::Value::from(bins).to_string()
        });
        let top = profile.top.as_ref().map(|values| {
            let values: Vec<_> =
                values.iter().map(|top| serde_json::json!({"value": top.value, "count": top.count})).collect();
            serde_json::Value::from(values).to_string()
        });
        let row = [
            Some(field.name().as_str()),
            None,
            profile.min.as_deref(),
            profile.max.as_deref(),
            histogram.as_deref(),
            top.as_deref(),
        ];
        let kind = type_name(field.data_type());
        for (at, (builder, value)) in texts.iter_mut().zip(row).enumerate() {
            builder.append_option(if at == 1 { Some(kind.as_str()) } else { value });
        }
        for (builder, value) in counts.iter_mut().zip([profile.rows, profile.missing, profile.distinct]) {
            builder.append_value(i64::try_from(value).unwrap_or(i64::MAX));
        }
        exact.append_value(profile.distinct_is_exact);
        means.append_option(profile.mean);
        deviations.append_option(profile.stddev);
    }
    let [mut names, mut types, mut min, mut max, mut histograms, mut tops] = texts;
    let [mut rows, mut missing, mut distinct] = counts;
    vec![
        Arc::new(names.finish()),
        Arc::new(types.finish()),
        Arc::new(rows.finish()),
        Arc::new(missing.finish()),
        Arc::new(distinct.finish()),
        Arc::new(exact.finish()),
        Arc::new(min.finish()),
        Arc::new(max.finish()),
        Arc::new(means.finish()),
        Arc::new(deviations.finish()),
        Arc::new(histograms.finish()),
        Arc::new(tops.finish()),
    ]
}
