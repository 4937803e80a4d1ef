//! Where PostgreSQL computes otherwise than DataFusion: overflow, rounding, mixed types.

mod arithmetic;
mod average;
mod casts;
mod common;
mod counting_windows;
mod gathered;
mod grouped;
mod kept_types;
mod literals;
mod operators;
mod order;
mod quotients;
mod refused_casts;
mod rounded;
mod shifted;
mod spans;
mod steps;
mod sums;
mod type_names;
mod zones;

use std::sync::Arc;

use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::{Analyzer, AnalyzerRule};

pub(crate) use arithmetic::CheckedArithmetic;
pub(crate) use average::average;
pub(crate) use common::settled;
pub(crate) use kept_types::known;
use operators::PostgresOperators;
pub(crate) use order::FLOAT;
pub(crate) use quotients::QUOTIENT;
pub(crate) use type_names::with_lengths;
pub(crate) use zones::{AT_TIME_ZONE, Zone};

use crate::functions::planner::FunctionPlanner;

/// Adds the rules. Functions are added by [`register`], once there is a state.
pub(crate) fn rules(builder: SessionStateBuilder) -> SessionStateBuilder {
    builder
        .with_type_planner(Arc::new(type_names::PostgresTypes))
        .with_analyzer_rule(Arc::new(type_names::CastsToLength))
        .with_analyzer_rule(Arc::new(zones::SessionZone))
        .with_analyzer_rule(Arc::new(casts::PostgresCasts))
        .with_analyzer_rule(Arc::new(CheckedArithmetic))
        .with_analyzer_rule(Arc::new(sums::CheckedSums))
        .with_analyzer_rule(Arc::new(kept_types::KeptTypes))
}

/// The planner's own rules, behind what must come before they decide on types. All others come after them.
pub(crate) fn analyzers() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(refused_casts::RefusedCasts), Arc::new(common::CommonTypes), Arc::new(order::ValueOrder)];
    rules.extend(Analyzer::new().rules);
    rules
}

pub(crate) fn register(state: &mut SessionState) -> datafusion::common::Result<()> {
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(casts::RoundToEven::new())))?;
    zones::register(state)?;
    literals::register(state)?;
    counting_windows::register(state)?;
    shifted::register(state)?;
    gathered::register(state)?;
    spans::register(state)?;
    // Asked first: those that DataFusion brings take every operator.
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(FunctionPlanner), Arc::new(PostgresOperators)];
    planners.extend(state.expr_planners().iter().cloned());
    *state = SessionStateBuilder::new_from_existing(state.clone()).with_expr_planners(planners).build();
    Ok(())
}
