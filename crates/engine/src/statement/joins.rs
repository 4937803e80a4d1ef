//! Joins of more rows than fit into memory.
//!
//! A hash join holds all rows of one side, and cannot spill: it is the faster one, and ends with SQLSTATE 53200 when they
//! do not fit. A sort-merge join sorts both sides, and sorts spill: it takes about half as long again, whatever the
//! size.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, Statistics};
use futures::future::BoxFuture;

/// The share of all memory that one hash join may hold: others run beside it, and its rows are copied once into one batch.
const HELD_SHARE: usize = 4;

/// What a hash join may hold however little memory there is: sorts need some of their own, which cannot spill.
const HELD_BYTES_MIN: usize = 64 << 20;

/// What a hash table needs for each row, about.
const TABLE_ROW_BYTES: usize = 24;

/// A text or a list of unknown length: where it is, and what it is.
const VARIABLE_BYTES: usize = 48;

/// The plan of a query: with hash joins, unless one would hold too much.
pub(crate) fn physical<'a>(
    state: &'a SessionState,
    plan: &'a LogicalPlan,
) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
    Box::pin(physical_any(state, plan))
}

async fn physical_any(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    // What is explained is what would run.
    if let LogicalPlan::Explain(explain) = plan {
        let inner = state.create_physical_plan(&explain.plan).await?;
        if holds_too_much(state, &inner)? && mergeable(&sorting(state).create_physical_plan(&explain.plan).await?)? {
            return sorting(state).create_physical_plan(plan).await;
        }
        return state.create_physical_plan(plan).await;
    }
    let hashed = state.create_physical_plan(plan).await?;
    if !holds_too_much(state, &hashed)? {
        return Ok(hashed);
    }
    Ok(sorted(state, plan).await?.unwrap_or(hashed))
}

/// The plan with sort-merge joins; `None` if they cannot compare its keys, or it has none.
pub(super) async fn sorted(state: &SessionState, plan: &LogicalPlan) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let sorted = sorting(state).create_physical_plan(plan).await?;
    Ok(mergeable(&sorted)?.then_some(sorted))
}

fn sorting(state: &SessionState) -> SessionState {
    let mut sorting = state.clone();
    let options = sorting.config_mut().options_mut();
    options.optimizer.prefer_hash_join = false;
    // With one partition the planner makes hash joins all the same.
    options.execution.target_partitions = options.execution.target_partitions.max(2);
    sorting
}

/// Whether any join holds all rows of one side.
pub(super) fn holds_rows(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| Ok(node.downcast_ref::<HashJoinExec>().is_some()))
}

/// Whether a hash join would hold more than its share.
fn holds_too_much(state: &SessionState, plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let MemoryLimit::Finite(memory_bytes) = state.runtime_env().memory_pool.memory_limit() else { return Ok(false) };
    let mut too_much = false;
    plan.apply(|node| {
        let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(TreeNodeRecursion::Continue) };
        let held = join.left();
        let statistics = StatisticsContext::new().compute(held.as_ref(), &StatisticsArgs::new())?;
        let most = (memory_bytes / HELD_SHARE).max(HELD_BYTES_MIN);
        too_much = held_bytes(&held.schema(), &statistics).is_some_and(|bytes| bytes > most);
        Ok(if too_much { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(too_much)
}

/// What a hash join of so many rows holds; `None` if nobody knows how many there are.
fn held_bytes(schema: &Schema, statistics: &Statistics) -> Option<usize> {
    let rows = *statistics.num_rows.get_value()?;
    let row: usize = schema.fields().iter().map(|field| width(field.data_type())).sum();
    Some(rows.saturating_mul(row + TABLE_ROW_BYTES))
}

fn width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean | DataType::Null => 1,
        other => other.primitive_width().unwrap_or(VARIABLE_BYTES),
    }
}

/// Whether there are sort-merge joins, and all of keys that they can compare.
fn mergeable(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let (mut any, mut all) = (false, true);
    plan.apply(|node| {
        if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
            any = true;
            let schema = join.left().schema();
            for (key, _) in join.on() {
                all &= comparable(&key.data_type(&schema)?);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(any && all)
}

/// What DataFusion's sort-merge joins compare in each of their ways: `compare_join_arrays`.
fn comparable(data_type: &DataType) -> bool {
    let named = matches!(
        data_type,
        DataType::Null
            | DataType::Boolean
            | DataType::Binary
            | DataType::BinaryView
            | DataType::LargeBinary
            | DataType::FixedSizeBinary(_)
            | DataType::Utf8
            | DataType::Utf8View
            | DataType::LargeUtf8
            | DataType::Decimal128(..)
            | DataType::Timestamp(_, None)
            | DataType::Date32
            | DataType::Date64
    );
    named || data_type.is_integer() || matches!(data_type, DataType::Float32 | DataType::Float64)
}
