//! Plans that give way, so that a statement can be cancelled and others get their turn.
//!
//! DataFusion makes the leaves of a plan give way now and then. A join may make any number of rows from a batch that
//! it has, without asking a leaf again: a cross join below an aggregate runs for hours in one piece. Here the joins,
//! and whatever else multiplies rows, give way too. Some joins drop what they made before anybody sees it, when a
//! condition holds for no pair: such a join gives way where it asks for rows, and gets few at a time (`slices`).

mod slices;

use std::sync::Arc;

use datafusion::common::Result as DataFusionResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use slices::SlicedExec;

/// The operators that may give many rows for one.
const MULTIPLIERS: &[&str] = &[
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "PiecewiseMergeJoinExec",
    "UnnestExec",
];

/// The joins that look for pairs of their left side, which they keep, for one batch of their right side in one go.
const SEEKERS: &[&str] = &["NestedLoopJoinExec", "HashJoinExec"];

/// Puts a point to give way above each operator that multiplies rows, and one below those that may make none of many.
#[derive(Debug)]
pub(crate) struct GiveWay;

impl PhysicalOptimizerRule for GiveWay {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if !MULTIPLIERS.contains(&node.name()) {
                return Ok(Transformed::no(node));
            }
            let node = if SEEKERS.contains(&node.name()) { with_slices(node)? } else { node };
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn name(&self) -> &str {
        "give_way"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn with_slices(join: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let inputs: Vec<_> = join.children().into_iter().map(Arc::clone).collect();
    match <[_; 2]>::try_from(inputs) {
        Ok([left, right]) => {
            let inputs: Vec<Arc<dyn ExecutionPlan>> = vec![left, Arc::new(SlicedExec::new(right))];
            join.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
        }
        Err(_) => Ok(join),
    }
}
