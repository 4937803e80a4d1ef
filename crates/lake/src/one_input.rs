//! What the nodes of a plan have in common that give the rows of one input, each of them, in its place.

/// Methods of `ExecutionPlan` for a node that has its input in the field `input`, and a method `over(&self, input)` that
/// gives the node above another input. It has no expressions, adds no rows and drops none.
#[macro_export]
macro_rules! one_input {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn children(&self) -> Vec<&::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            vec![&self.input]
        }

        fn apply_expressions(
            &self,
            _visit: &mut dyn FnMut(
                &::std::sync::Arc<dyn ::datafusion::physical_expr::PhysicalExpr>,
            )
                -> ::datafusion::common::Result<::datafusion::common::tree_node::TreeNodeRecursion>,
        ) -> ::datafusion::common::Result<::datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(::datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn replace_children(
            self: ::std::sync::Arc<Self>,
            mut children: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
            _options: ::datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> ::datafusion::common::Result<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            match (children.pop(), children.is_empty()) {
                (Some(input), true) => Ok(self.over(input)),
                _ => Err(::datafusion::common::DataFusionError::Internal(concat!($name, " has one input").to_owned())),
            }
        }

        fn with_new_children(
            self: ::std::sync::Arc<Self>,
            children: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
        ) -> ::datafusion::common::Result<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>> {
            let recompute = ::datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
            self.replace_children(children, ::datafusion::physical_plan::ReplaceChildrenOptions::new(recompute))
        }

        fn benefits_from_input_partitioning(&self) -> Vec<bool> {
            vec![false]
        }

        fn child_stats_requests(
            &self,
            partition: Option<usize>,
        ) -> Vec<::datafusion::physical_plan::statistics::ChildStats> {
            vec![::datafusion::physical_plan::statistics::ChildStats::At(partition)]
        }

        fn supports_limit_pushdown(&self) -> bool {
            true
        }

        fn cardinality_effect(&self) -> ::datafusion::physical_plan::execution_plan::CardinalityEffect {
            ::datafusion::physical_plan::execution_plan::CardinalityEffect::Equal
        }
    };
}

/// What those of these nodes have in common that give the very rows of their input.
#[macro_export]
macro_rules! same_rows {
    () => {
        fn maintains_input_order(&self) -> Vec<bool> {
            vec![true]
        }

        fn statistics_from_inputs(
            &self,
            inputs: &[::std::sync::Arc<::datafusion::common::Statistics>],
            _args: &::datafusion::physical_plan::statistics::StatisticsArgs,
        ) -> ::datafusion::common::Result<::std::sync::Arc<::datafusion::common::Statistics>> {
            match inputs {
                [input] => Ok(::std::sync::Arc::clone(input)),
                _ => Err(::datafusion::common::DataFusionError::Internal(format!("{} has one input", self.name()))),
            }
        }
    };
}
