//! A topic's history in the lake, spliced to the log at the offsets up to which it is kept.
//!
//! Rows of the table are read below the offset up to which a delivery has come, records of the log from there on. What the
//! delivery brings between the look at its place and the look at the table is in both, and taken from the log; what retention
//! deletes of it meanwhile would be in neither, so the log is told to hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use polder_capability::deliveries::{DeliveryOffset, DeliveryTables, HistoryHold, TopicHistory};
use polder_capability::topics::{TopicPart, TopicScan};
use polder_lake::{LakeTable, Snapshot, TableName, TableState};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::shown;
use crate::engine::Engine;

/// What is kept of a topic, and held for who reads it.
pub(super) struct Kept {
    engine: Arc<Engine>,
    topic: Uuid,
    /// The log keeps what is read of it as long as this is there.
    pub hold: Arc<HistoryHold>,
    of: Option<Table>,
}

/// The table of a history.
struct Table {
    name: TableName,
    snapshot: Arc<Snapshot>,
    state: Arc<TableState>,
    /// By partition: behind the last row that is read of the table, and the first record that is read of the log.
    next: BTreeMap<i32, i64>,
    /// Partitions whose rows may go further than that.
    moved: Vec<i32>,
}

fn by_partition(offsets: &[DeliveryOffset], topic: Uuid) -> BTreeMap<i32, i64> {
    let own = offsets.iter().filter(|offset| offset.topic == topic);
    own.map(|offset| (offset.partition, offset.next)).collect()
}

impl Kept {
    /// `None`: there are no deliveries in this program.
    pub async fn of(engine: &Arc<Engine>, name: &str, topic: Uuid) -> Result<Option<Self>> {
        let Ok(deliveries) = engine.deliveries() else { return Ok(None) };
        // Before the place is looked at: see `TopicKeeper`.
        let hold = deliveries.hold(name, topic);
        let of = match deliveries.history(name).await? {
            Some(history) => Table::read(engine, &history, topic, &hold).await?,
            None => {
                hold.lets_go();
                None
            }
        };
        Ok(Some(Self { engine: Arc::clone(engine), topic, hold, of }))
    }

    /// Leaves of the log's parts what is not read of the table.
    ///
    /// # Errors
    /// `Conflict` when the topic was made anew meanwhile.
    pub fn leave_to_log(&self, parts: &mut Vec<TopicPart>) -> Result<()> {
        if let Some(part) = parts.iter().find(|part| part.id != self.topic) {
            return Err(Error::conflict(format!("topic {:?} was made anew meanwhile", part.topic)));
        }
        let Some(table) = &self.of else { return Ok(()) };
        parts.iter_mut().for_each(|part| part.from = table.next_of(part.partition).max(part.from));
        parts.retain(|part| part.to.is_none_or(|to| part.from < to));
        Ok(())
    }

    /// The plan that reads what is wanted of the table; `None` if that has nothing of it.
    pub async fn plan(
        &self,
        state: &dyn Session,
        columns: &[usize],
        wanted: &TopicScan,
        limit: Option<usize>,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        let Some(table) = self.of.as_ref().filter(|table| table.has_any(wanted)) else { return Ok(None) };
        let lake = &self.engine.lake;
        let opened = LakeTable::open(lake, &table.snapshot, table.name.clone(), &table.state, None)
            .map_err(crate::error::into_datafusion)?;
        let (schema, kept) = (shown(), datafusion::catalog::TableProvider::schema(&opened));
        let all = schema.fields().iter().map(|field| {
            let column = ident(field.name());
            match kept.field_with_name(field.name()) {
                Ok(kept) if kept.data_type() == field.data_type() => column.alias(field.name()),
                _ => cast(column, field.data_type().clone()).alias(field.name()),
            }
        });
        let mut plan = LogicalPlanBuilder::scan("kept", provider_as_source(Arc::new(opened)), None)?
            .filter(ident(TopicHistory::ID).eq(lit(self.topic.to_string())))?;
        for condition in conditions(wanted).into_iter().chain(table.behind()) {
            plan = plan.filter(condition)?;
        }
        // Rows of which nothing is wanted are counted by their partitions.
        let chosen = if columns.is_empty() { &[0][..] } else { columns };
        let names = chosen.iter().filter_map(|column| schema.fields().get(*column)).map(|field| ident(field.name()));
        let mut plan = plan.project(all.collect::<Vec<_>>())?.project(names.collect::<Vec<_>>())?;
        if let Some(limit) = limit {
            plan = plan.limit(0, Some(limit))?;
        }
        let plan = state.create_physical_plan(&plan.build()?).await?;
        Ok(Some(match columns.is_empty() {
            true => Arc::new(ProjectionExec::try_new(Vec::<ProjectionExpr>::new(), plan)?),
            false => plan,
        }))
    }
}

impl Table {
    async fn read(
        engine: &Arc<Engine>,
        history: &TopicHistory,
        topic: Uuid,
        hold: &HistoryHold,
    ) -> Result<Option<Self>> {
        let offsets = engine.offsets(history.delivery).await?;
        let next = by_partition(&offsets, topic);
        hold.reads_from(offsets);
        // Rows and place are one commit, so these rows go as far as that place, or further.
        let snapshot = engine.lake.newest().await?;
        let name = TableName::new(&history.table.schema, &history.table.name);
        let Some(state) = snapshot.table(&name).cloned() else { return Ok(None) };
        let names = crate::deliveries::kept_columns();
        if let Some(missing) = names.iter().find(|name| !state.top_columns().any(|column| column.name == **name)) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{name}, the history of a topic, has no {missing}"),
            )
            .with_code("42703"));
        }
        let after = by_partition(&engine.offsets(history.delivery).await?, topic);
        let moved = after.iter().filter(|(partition, end)| next.get(*partition).copied().unwrap_or(0) != **end);
        let moved = moved.map(|(partition, _)| *partition).collect();
        Ok(Some(Self { name, snapshot, state, next, moved }))
    }

    fn next_of(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Whether there may be anything of what is wanted.
    fn has_any(&self, wanted: &TopicScan) -> bool {
        let from = wanted.from_offset.unwrap_or(0);
        self.next.iter().any(|(partition, next)| {
            from < *next && wanted.partitions.as_ref().is_none_or(|partitions| partitions.contains(partition))
        })
    }

    /// Keeps out of the rows what has come since the place was looked at.
    fn behind(&self) -> Vec<Expr> {
        let early = |partition: &i32| {
            let other = ident("partition").not_eq(lit(*partition));
            other.or(ident("offset").lt(lit(self.next_of(*partition))))
        };
        self.moved.iter().map(early).collect()
    }
}

/// The bounds of what is wanted.
fn conditions(wanted: &TopicScan) -> Vec<Expr> {
    let time = |ms: i64| lit(ScalarValue::TimestampMicrosecond(Some(ms.saturating_mul(1_000)), Some("UTC".into())));
    let mut all = Vec::new();
    if let Some(partitions) = &wanted.partitions {
        all.push(ident("partition").in_list(partitions.iter().map(|partition| lit(*partition)).collect(), false));
    }
    all.extend(wanted.from_offset.map(|from| ident("offset").gt_eq(lit(from))));
    all.extend(wanted.to_offset.map(|to| ident("offset").lt(lit(to))));
    all.extend(wanted.from_ms.map(|from| ident("timestamp").gt_eq(time(from))));
    all.extend(wanted.to_ms.map(|to| ident("timestamp").lt(time(to))));
    all
}
