//! What rows are sorted by is a column when DataFusion could not tell an order by it from none.
//!
//! DataFusion 55 knows the order of rows by an expression from the ranges of what is in it. A `CASE` or a call has a range of no type,
//! which `abs(…)`, `… > 1` and the like cannot be compared with; the error is taken for "in no order", and the plan, whose rows are
//! in order, is refused: `rank() OVER (ORDER BY abs(a - b))`. Such an expression is computed before, and the rows are sorted by its column.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Operator, Projection, Sort, Window};
use datafusion::prelude::ident;

/// The plan whose sorts, windows and groups go by columns where they must.
pub(super) fn apart(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(sort) => sorted(sort),
        LogicalPlan::Window(window) => windowed(window),
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn sorted(mut sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let mut keys = Keys::default();
    let columns = columns_of(&sort.input);
    keys.take_from(&mut sort.expr);
    if keys.0.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    sort.input = keys.below(sort.input)?;
    let above = Projection::try_new(columns, Arc::new(LogicalPlan::Sort(sort)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(above)))
}

fn windowed(mut window: Window) -> Result<Transformed<LogicalPlan>> {
    let mut keys = Keys::default();
    let columns = window.schema.iter().map(Expr::from).collect();
    let names: Vec<String> = window.window_expr.iter().map(|expr| expr.schema_name().to_string()).collect();
    for expr in &mut window.window_expr {
        if let Expr::WindowFunction(function) = within(expr) {
            keys.take_from(&mut function.params.order_by);
            function.params.partition_by.iter_mut().for_each(|part| keys.take(part));
        }
    }
    if keys.0.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let input = keys.below(window.input)?;
    let named = window.window_expr.into_iter().zip(names).map(|(expr, name)| expr.alias_if_changed(name));
    let window = Window::try_new(named.collect::<Result<Vec<_>>>()?, input)?;
    let above = Projection::try_new(columns, Arc::new(LogicalPlan::Window(window)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(above)))
}

fn grouped(mut aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let mut keys = Keys::default();
    let names: Vec<String> = aggregate.aggr_expr.iter().map(|expr| expr.schema_name().to_string()).collect();
    for expr in &mut aggregate.aggr_expr {
        if let Expr::AggregateFunction(function) = within(expr) {
            keys.take_from(&mut function.params.order_by);
        }
    }
    if keys.0.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let input = keys.below(aggregate.input)?;
    let named = aggregate.aggr_expr.into_iter().zip(names).map(|(expr, name)| expr.alias_if_changed(name));
    let named = named.collect::<Result<Vec<_>>>()?;
    let aggregate = Aggregate::try_new_with_schema(input, aggregate.group_expr, named, aggregate.schema)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().iter().map(Expr::from).collect()
}

/// A call without the name that it was given.
fn within(expr: &mut Expr) -> &mut Expr {
    match expr {
        Expr::Alias(alias) => within(alias.expr.as_mut()),
        other => other,
    }
}

/// What is computed before rows are sorted, each with the name of its column.
#[derive(Default)]
struct Keys(Vec<(Expr, String)>);

impl Keys {
    fn take_from(&mut self, order: &mut [SortExpr]) {
        order.iter_mut().for_each(|sort| self.take(&mut sort.expr));
    }

    fn take(&mut self, expr: &mut Expr) {
        if !is_of_unknown_order(expr) {
            return;
        }
        let known = self.0.iter().find(|(known, _)| known == expr && !known.is_volatile());
        let name = known.map_or_else(|| format!("polder sort key {}", self.0.len()), |(_, name)| name.clone());
        let key = std::mem::replace(expr, ident(&name));
        if !self.0.iter().any(|(_, known)| *known == name) {
            self.0.push((key, name));
        }
    }

    /// A plan with these columns behind its own.
    fn below(self, input: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        let mut columns = columns_of(&input);
        columns.extend(self.0.into_iter().map(|(key, name)| key.alias(name)));
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
    }
}

/// Whether something in an expression is compared with the range of what has none.
fn is_of_unknown_order(expr: &Expr) -> bool {
    let compares = |expr: &Expr| match expr {
        Expr::ScalarFunction(call) => call.func.name() == "abs" && !call.args.iter().all(has_range),
        Expr::BinaryExpr(binary) => is_ranged(binary.op) && !(has_range(&binary.left) && has_range(&binary.right)),
        _ => false,
    };
    expr.exists(|part| Ok(compares(part))).unwrap_or(true)
}

fn is_ranged(op: Operator) -> bool {
    use Operator as O;
    matches!(op, O::Plus | O::Minus | O::Multiply | O::Divide | O::Gt | O::GtEq | O::Lt | O::LtEq | O::And | O::Or)
}

fn has_range(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) | Expr::Literal(..) => true,
        Expr::Cast(cast) => has_range(&cast.expr),
        Expr::Alias(alias) => has_range(&alias.expr),
        Expr::BinaryExpr(binary) => is_ranged(binary.op) && has_range(&binary.left) && has_range(&binary.right),
        _ => false,
    }
}
