//! What is constant on the side of an outer join that may be missing is not constant behind it.
//!
//! DataFusion 55 hands the constants of both sides on, and then leaves out sorts by them: `q.amt` of `p LEFT JOIN q ON … AND q.amt =
//! 10` is taken for 10 in every row. Here such a side is put behind a node that knows of no constants.
//!
//! So it is with GROUPING SETS: a key that is constant, or equal to another, or sorted below them, is missing in some of the groups.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchemaRef, JoinType, Result, plan_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::above_groups::has_sets;
use super::float_keys::by_value;
use super::guarded::guarded;
use super::missing::MissingSideExec;
use super::null_safe::keyed;
use super::sort_keys::apart;

/// Plans as usual, but for those sides.
#[derive(Debug)]
pub(crate) struct OuterJoins;

#[async_trait]
impl QueryPlanner for OuterJoins {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Self)]);
        let plan = guarded(by_value(keyed(apart(plan.clone())?)?)?)?;
        planner.create_physical_plan(&marked(plan)?, session).await
    }
}

/// The plan with the sides that may be missing marked.
fn marked(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let mut join = match node {
            LogicalPlan::Join(join) => join,
            LogicalPlan::Aggregate(mut aggregate) if has_sets(&aggregate.group_expr) => {
                aggregate.input = MissingSide::around(aggregate.input, false);
                return Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)));
            }
            other => return Ok(Transformed::no(other)),
        };
        let (left, right) = match join.join_type {
            JoinType::Left => (false, true),
            JoinType::Right => (true, false),
            JoinType::Full => (true, true),
            _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
        };
        if left {
            join.left = MissingSide::around(join.left, true);
        }
        if right {
            join.right = MissingSide::around(join.right, true);
        }
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    })
    .data()
}

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd)]
struct MissingSide {
    input: Arc<LogicalPlan>,
    /// Whether the order of the rows outlasts what stands above.
    ordered: bool,
}

impl MissingSide {
    fn around(input: Arc<LogicalPlan>, ordered: bool) -> Arc<LogicalPlan> {
        Arc::new(LogicalPlan::Extension(Extension { node: Arc::new(Self { input, ordered }) }))
    }
}

impl UserDefinedLogicalNodeCore for MissingSide {
    fn name(&self) -> &'static str {
        "MissingSide"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MissingSide")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.pop()) {
            (Some(input), None) => Ok(Self { input: Arc::new(input), ordered: self.ordered }),
            _ => plan_err!("MissingSide has one input"),
        }
    }
}

#[async_trait]
impl ExtensionPlanner for OuterJoins {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match (node.as_any().downcast_ref::<MissingSide>(), physical_inputs) {
            (Some(side), [input]) => Ok(Some(Arc::new(MissingSideExec::new(Arc::clone(input), side.ordered)))),
            _ => Ok(None),
        }
    }
}
