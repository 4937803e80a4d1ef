//! Constants that get long are made when they are needed.
//!
//! DataFusion 55 puts the value of a call in its place, and copies its constants at each of its steps: a text of 600 MB took 5 GB
//! before anything ran, of which no limit knew.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::OptimizerConfig;

use super::wrapped::Rule;
use crate::functions::bounds::folding;

/// The rule that computes what is constant. What fails then stays as it was.
pub(super) const FOLDER: &str = "simplify_expressions";

/// That rule, for which making something long fails.
pub(super) fn short_constants(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    folding(|| rule.rewrite(plan, config))
}
