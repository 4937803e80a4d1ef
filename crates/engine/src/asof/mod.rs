//! `ASOF JOIN`: to each row the one row of another table that is nearest in an order, mostly in time.
//!
//! Both tables are put together and sorted once; each left row then takes the last right row before it. That is
//! O(n log n), whatever the join would be as pairs.

mod carry;
mod grammar;

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue, plan_err};
use datafusion::functions::core::expr_fn::{get_field, named_struct};
use datafusion::logical_expr::expr::{BinaryExpr, WindowFunction};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, ExprSchemable, Filter, LogicalPlan, Operator, Projection, Union, Window,
    WindowFunctionDefinition, WindowUDF, cast, lit,
};
use datafusion::sql::sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};
use polder_types::Error;

pub(crate) use grammar::{mark, nest};

#[derive(Debug)]
pub(crate) struct AsOfPlanner;

impl RelationPlanner for AsOfPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin { table_with_joins, alias } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let [join] = table_with_joins.joins.as_slice() else {
            return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin { table_with_joins, alias })));
        };
        if !grammar::is_asof(join) {
            return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin { table_with_joins, alias })));
        }
        let join = join.clone();
        let left = context.plan(table_with_joins.relation)?;
        let right = context.plan(join.relation.clone())?;
        let condition = condition(&join.join_operator, &left, &right, context)?;
        let plan = plan(left, right, condition)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// What is asked of a pair of rows.
struct Condition {
    /// Equal on both sides.
    keys: Vec<(Expr, Expr)>,
    /// The order: `left op right`.
    left: Expr,
    op: Operator,
    right: Expr,
    /// Left rows stay without a right one.
    outer: bool,
    /// Columns of the right side that USING merges into those of the left.
    hidden: Vec<Column>,
}

fn wrong(message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(
        Error::unsupported(message).with_hint("ASOF JOIN q ON t.key = q.key AND t.time >= q.time"),
    ))
}

fn condition(
    operator: &JoinOperator,
    left: &LogicalPlan,
    right: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Condition> {
    let (outer, ordering, constraint) = match operator {
        JoinOperator::AsOf { match_condition, constraint } => (true, Some(match_condition.clone()), constraint),
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (false, None, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, None, constraint),
        _ => return Err(wrong("ASOF is there for inner and left joins")),
    };
    let schema = left.schema().join(right.schema())?;
    let mut conjuncts = Vec::new();
    let mut hidden = Vec::new();
    match constraint {
        JoinConstraint::On(expr) => {
            conjuncts.extend(split_conjunction_owned(context.sql_to_expr(expr.clone(), &schema)?))
        }
        JoinConstraint::Using(columns) => {
            for (at, name) in columns.iter().enumerate() {
                let last = ordering.is_none() && at + 1 == columns.len();
                let (on_left, on_right) = (using(name, left.schema(), context)?, using(name, right.schema(), context)?);
                let op = if last { Operator::GtEq } else { Operator::Eq };
                hidden.push(on_right.clone());
                conjuncts.push(Expr::BinaryExpr(BinaryExpr::new(
                    Box::new(Expr::Column(on_left)),
                    op,
                    Box::new(Expr::Column(on_right)),
                )));
            }
        }
        JoinConstraint::None if ordering.is_some() => {}
        _ => return Err(wrong("ASOF JOIN needs ON or USING")),
    }
    if let Some(ordering) = ordering {
        conjuncts.push(context.sql_to_expr(ordering, &schema)?);
    }
    let mut keys = Vec::new();
    let mut order = None;
    for conjunct in conjuncts {
        let (l, op, r) = sides(conjunct, left.schema(), right.schema())?;
        match op {
            Operator::Eq => keys.push((l, r)),
            op if order.is_none() => order = Some((l, op, r)),
            _ => return Err(wrong("ASOF JOIN takes one comparison with <, <=, > or >=")),
        }
    }
    let Some((left, op, right)) = order else {
        return Err(wrong("ASOF JOIN needs one comparison with <, <=, > or >="));
    };
    Ok(Condition { keys, left, op, right, outer, hidden })
}

fn using(name: &ast::ObjectName, schema: &DFSchema, context: &mut dyn RelationPlannerContext) -> Result<Column> {
    let Some(ident) = name.0.last().and_then(|part| part.as_ident()) else {
        return Err(wrong("USING takes names of columns"));
    };
    let name = context.normalize_ident(ident.clone());
    let (qualifier, field) = schema.qualified_field_with_unqualified_name(&name)?;
    Ok(Column::new(qualifier.cloned(), field.name()))
}

/// A comparison with the left table's side on the left, and both of one type.
fn sides(expr: Expr, left: &DFSchema, right: &DFSchema) -> Result<(Expr, Operator, Expr)> {
    let within = |expr: &Expr, schema: &DFSchema| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column))
    };
    let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = expr else {
        return Err(wrong(format!("ASOF JOIN takes comparisons of the two tables, and {expr} is none")));
    };
    if !matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) {
        return Err(wrong(format!("ASOF JOIN does not take {op}")));
    }
    let (a, op, b) = if within(&a, left) && within(&b, right) {
        (*a, op, *b)
    } else if within(&a, right) && within(&b, left) {
        match op.swap() {
            Some(op) => (*b, op, *a),
            None => return Err(wrong(format!("ASOF JOIN does not take {op}"))),
        }
    } else {
        return Err(wrong(format!("in ASOF JOIN, {a} {op} {b} is not about one column of each table")));
    };
    let (left_type, right_type) = (a.get_type(left)?, b.get_type(right)?);
    match comparison_coercion(&left_type, &right_type) {
        Some(common) if left_type == common && right_type == common => Ok((a, op, b)),
        Some(common) => Ok((cast(a, common.clone()), op, cast(b, common))),
        None => plan_err!("{left_type} and {right_type} cannot be compared in ASOF JOIN"),
    }
}

const SIDE: &str = "__asof_side";
const ORDER: &str = "__asof_order";
const MATCH: &str = "__asof_match";

fn key(at: usize) -> String {
    format!("__asof_key_{at}")
}

fn own(at: usize) -> String {
    format!("__asof_left_{at}")
}

fn field(at: usize) -> String {
    format!("f{at}")
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The left side's rows come as 1, between right rows that are at the same point and are to be seen, or are not.
const LEFT_SIDE: i32 = 1;

fn plan(left: LogicalPlan, right: LogicalPlan, condition: Condition) -> Result<LogicalPlan> {
    let Condition { keys, left: left_order, op, right: right_order, outer, hidden } = condition;
    let (left_schema, right_schema) = (Arc::clone(left.schema()), Arc::clone(right.schema()));
    let right_side = if matches!(op, Operator::GtEq | Operator::LtEq) { LEFT_SIDE - 1 } else { LEFT_SIDE + 1 };
    let packed = right_schema.columns().into_iter().enumerate();
    let packed = named_struct(packed.flat_map(|(at, column)| [lit(field(at)), Expr::Column(column)]).collect());
    let nothing = lit(ScalarValue::try_from(&packed.get_type(&right_schema)?)?);

    let mut of_left: Vec<Expr> = Vec::new();
    let mut of_right: Vec<Expr> = Vec::new();
    for (at, (column, left_field)) in left_schema.columns().into_iter().zip(left_schema.fields()).enumerate() {
        of_left.push(Expr::Column(column).alias(own(at)));
        of_right.push(lit(ScalarValue::try_from(left_field.data_type())?).alias(own(at)));
    }
    let mut known = vec![right_order.clone().is_not_null()];
    for (at, (l, r)) in keys.iter().enumerate() {
        known.push(r.clone().is_not_null());
        of_left.push(l.clone().alias(key(at)));
        of_right.push(r.clone().alias(key(at)));
    }
    of_left.extend([left_order.alias(ORDER), lit(LEFT_SIDE).alias(SIDE), nothing.alias(MATCH)]);
    of_right.extend([right_order.alias(ORDER), lit(right_side).alias(SIDE), packed.alias(MATCH)]);
    let right = match conjunction(known) {
        Some(known) => LogicalPlan::Filter(Filter::try_new(known, Arc::new(right))?),
        None => right,
    };
    let both = Union::try_new_with_loose_types(vec![
        Arc::new(LogicalPlan::Projection(Projection::try_new(of_left, Arc::new(left))?)),
        Arc::new(LogicalPlan::Projection(Projection::try_new(of_right, Arc::new(right))?)),
    ])?;
    let last = last_before(keys.len(), op)?;
    let both = LogicalPlan::Window(Window::try_new(vec![last], Arc::new(LogicalPlan::Union(both)))?);

    let found = format!("{MATCH}_found");
    let mut wanted = column(SIDE).eq(lit(LEFT_SIDE));
    if !outer {
        wanted = wanted.and(column(&found).is_not_null());
    }
    let chosen = LogicalPlan::Filter(Filter::try_new(wanted, Arc::new(both))?);
    let mut exprs: Vec<Expr> = Vec::new();
    for (at, (qualifier, left_field)) in left_schema.iter().enumerate() {
        exprs.push(column(&own(at)).alias_qualified(qualifier.cloned(), left_field.name()));
    }
    for (at, (qualifier, right_field)) in right_schema.iter().enumerate() {
        if hidden.contains(&Column::new(qualifier.cloned(), right_field.name())) {
            continue;
        }
        let value = get_field(column(&found), field(at));
        exprs.push(value.alias_qualified(qualifier.cloned(), right_field.name()));
    }
    Projection::try_new(exprs, Arc::new(chosen)).map(LogicalPlan::Projection)
}

/// The last right row in the order, as it was at each row. Left rows without an order come first, and see none.
fn last_before(keys: usize, op: Operator) -> Result<Expr> {
    let forward = matches!(op, Operator::Gt | Operator::GtEq);
    let carry = Arc::new(WindowUDF::new_from_impl(carry::Carry::new()));
    let function = WindowFunction::new(WindowFunctionDefinition::WindowUDF(carry), vec![column(MATCH)]);
    let order = vec![column(ORDER).sort(forward, true), column(SIDE).sort(true, true)];
    let window = Expr::WindowFunction(Box::new(function)).order_by(order);
    let window = window.partition_by((0..keys).map(|at| column(&key(at))).collect());
    Ok(window.build()?.alias(format!("{MATCH}_found")))
}
