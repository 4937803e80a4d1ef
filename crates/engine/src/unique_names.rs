//! Rules that go by the names of columns, kept from plans in which names repeat.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result as DataFusionResult;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A rule of the planner, for plans in which no two columns of a node have one name.
///
/// The rules that push filters down look columns up by their names, and of two that have the same take the first: a
/// condition on `b.id` would be asked of `a.id`.
#[derive(Debug)]
pub(crate) struct UniqueNames(pub Rule);

impl UniqueNames {
    /// All rules, with those that push filters down held back where they would go wrong.
    pub fn around(rules: Vec<Rule>) -> Vec<Rule> {
        let held = |rule: Rule| match rule.name().starts_with("FilterPushdown") {
            true => Arc::new(Self(rule)) as _,
            false => rule,
        };
        rules.into_iter().map(held).collect()
    }
}

fn has_repeated_names(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut seen = HashSet::new();
    schema.fields().iter().any(|field| !seen.insert(field.name().as_str()))
        || plan.children().into_iter().any(has_repeated_names)
}

impl PhysicalOptimizerRule for UniqueNames {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if has_repeated_names(&plan) { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if has_repeated_names(&plan) { Ok(plan) } else { self.0.optimize_with_context(plan, context) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
