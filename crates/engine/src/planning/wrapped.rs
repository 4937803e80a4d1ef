//! A rule of the planner's around which there is something of ours: by its name and in its place.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

pub(super) type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// What stands around a rule: shows it a plan, and gives what came of it.
pub(super) type Around = fn(&Rule, LogicalPlan, &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>>;

pub(super) struct Wrapped {
    rule: Rule,
    around: Around,
}

impl Wrapped {
    pub(super) fn rule(rule: Rule, around: Around) -> Rule {
        Arc::new(Self { rule, around })
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wrapped").field(&self.rule.name()).finish()
    }
}

impl OptimizerRule for Wrapped {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        (self.around)(&self.rule, plan, config)
    }
}
