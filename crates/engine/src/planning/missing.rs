//! The side of an outer join that may be missing, as it runs: its rows as they are, and no constants among what is known of them.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

#[derive(Debug, Clone)]
pub(crate) struct MissingSideExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    ordered: bool,
}

impl MissingSideExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, ordered: bool) -> Self {
        let known = input.properties();
        let orderings = known.equivalence_properties().oeq_class().iter().filter(|_| ordered).cloned();
        let equivalence = EquivalenceProperties::new_with_orderings(input.schema(), orderings);
        let properties = Arc::new(PlanProperties::clone(known).with_eq_properties(equivalence));
        Self { input, properties, ordered }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::new(input, self.ordered))
    }
}

impl DisplayAs for MissingSideExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => f.write_str("MissingSideExec"),
            DisplayFormatType::TreeRender => Ok(()),
        }
    }
}

impl ExecutionPlan for MissingSideExec {
    polder_lake::one_input!("MissingSideExec");
    polder_lake::same_rows!();

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
