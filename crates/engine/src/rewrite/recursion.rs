//! WITH RECURSIVE: the first term says what the columns are, as in PostgreSQL, where the planner casts what comes of a step
//! to it, and so rounds it.
//!
//! The term that recurs is planned as a table of its own, so that what it gives can be told from what the planner makes of
//! it. A numeric of no scale gets places enough for both terms: then the statement is planned once more.

use std::collections::HashMap;
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Field};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::RecursiveQuery;
use datafusion::logical_expr::{Distinct, Expr as Planned, LogicalPlan};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Query, SelectItem, SetExpr, SetOperator, TableFactor, Value, Visitor, VisitorMut,
};
use polder_sql_tree::visit;
use polder_types::Error;

use super::{quoted, whole_numbers};
use crate::error::into_datafusion;
use crate::functions::function::refuse;
use crate::functions::types::{digits, field_name, is_decimal, is_text};
use crate::parse::parse_query;
use crate::statement::{fold, quoted_ident};

/// What the term that recurs is called as a table.
const STEP: &str = "polder$step";

/// As many times a statement is planned: as it is, with the places of both terms, and with those of `numeric`.
const ROUNDS: usize = 3;

/// The places of `numeric`.
const PLACES: i8 = 10;

/// The columns of a first term, and the types that they are to have instead of theirs.
type Wanted = HashMap<String, Vec<(String, Option<String>)>>;

/// Makes the terms that recur tables of their own; true if there are any.
pub(super) fn apart(query: &mut Query) -> bool {
    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else { return false };
    let mut any = false;
    for table in &mut with.cte_tables {
        let name = fold(&table.alias.name);
        let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = table.query.body.as_mut() else {
            continue;
        };
        if visit(right.as_ref(), &mut Reads(&name)).is_continue() {
            continue;
        }
        if !has_names_apart(right) {
            continue;
        }
        nulls_are_texts(left);
        any |= wrap(right, &format!("SELECT * FROM (SELECT 1) AS \"{STEP}\""));
    }
    any
}

/// Breaks off at a table of a name.
struct Reads<'a>(&'a str);

impl Visitor for Reads<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => match name.0.as_slice() {
                [part] if part.as_ident().is_some_and(|ident| fold(ident) == self.0) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Whether the columns of a term have names of their own, as those of a table have. Names that are written out are numbered by
/// now; columns beside all of a table get such as its columns have not.
fn has_names_apart(body: &mut SetExpr) -> bool {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(query) => return has_names_apart(&mut query.body),
        SetExpr::SetOperation { left, .. } => return has_names_apart(left),
        _ => return true,
    };
    let several = select.from.len() > 1 || select.from.iter().any(|from| !from.joins.is_empty());
    let mut wildcards = 0;
    for item in &select.projection {
        match item {
            // The columns of several tables may have one name.
            SelectItem::Wildcard(_) if several => return false,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => wildcards += 1,
            _ => {}
        }
    }
    if wildcards == 0 {
        return true;
    }
    for (at, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expr) = item {
            let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
            *item = SelectItem::ExprWithAlias { expr, alias: quoted_ident(&format!("{STEP}{at}")) };
        }
    }
    wildcards == 1
}

/// What has no type is a text to the rows behind it.
fn nulls_are_texts(body: &mut SetExpr) {
    let exprs: Vec<&mut Expr> = match body {
        SetExpr::Select(select) => select.projection.iter_mut().filter_map(item).collect(),
        SetExpr::Values(values) => match values.rows.as_mut_slice() {
            [row] => row.content.iter_mut().collect(),
            _ => return,
        },
        _ => return,
    };
    for expr in exprs {
        if matches!(expr, Expr::Value(value) if value.value == Value::Null)
            && let Ok(text) = crate::parse::parse_expr("CAST(NULL AS text)")
        {
            *expr = text;
        }
    }
}

fn item(item: &mut SelectItem) -> Option<&mut Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Puts a body in the place of the subquery of another; true if that has one.
fn wrap(body: &mut SetExpr, around: &str) -> bool {
    let Ok(mut outer) = parse_query(around) else { return false };
    let SetExpr::Select(select) = outer.body.as_mut() else { return false };
    let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) else {
        return false;
    };
    std::mem::swap(subquery.body.as_mut(), body);
    std::mem::swap(body, &mut outer.body);
    true
}

/// Plans a statement whose terms that recur are [`apart`].
///
/// # Errors
/// The planner's; 42804 where the terms give columns of different types, and 42P19 for aggregates over the rows of the step
/// before.
pub(super) async fn plan(state: &SessionState, mut statement: Parsed) -> Result<LogicalPlan> {
    for _ in 1..ROUNDS {
        let plan = state.statement_to_plan(statement.clone()).await?;
        let wanted = wanted(&plan)?;
        if wanted.is_empty() {
            return Ok(plan);
        }
        whole_numbers::visit_queries(&mut statement, &mut Widener(wanted));
    }
    let plan = state.statement_to_plan(statement).await?;
    wanted(&plan)?;
    Ok(plan)
}

struct Widener(Wanted);

impl VisitorMut for Widener {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for Cte { alias, query, .. } in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            if let Some(columns) = self.0.remove(&fold(&alias.name))
                && let SetExpr::SetOperation { left, .. } = query.body.as_mut()
            {
                wrap(left, &cast_all(&columns));
            }
        }
        ControlFlow::Continue(())
    }
}

fn cast_all(columns: &[(String, Option<String>)]) -> String {
    let places: Vec<String> = (0..columns.len()).map(|at| format!("\"{at}\"")).collect();
    let items = places.iter().zip(columns).map(|(place, (name, wanted))| match wanted {
        Some(wanted) => format!("CAST({place} AS {wanted}) AS {}", quoted(name)),
        None => format!("{place} AS {}", quoted(name)),
    });
    format!(
        "SELECT {} FROM (SELECT 1) AS \"polder$first\"({})",
        items.collect::<Vec<_>>().join(", "),
        places.join(", ")
    )
}

/// Looks at all recursive queries of a plan.
fn wanted(plan: &LogicalPlan) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            no_aggregates(query)?;
            if let Some(columns) = columns(query)? {
                wanted.insert(query.name.clone(), columns);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(wanted)
}

fn no_aggregates(query: &RecursiveQuery) -> Result<()> {
    query.recursive_term.apply_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if !aggregate.aggr_expr.is_empty() && reads(&aggregate.input, &query.name) =>
        {
            Err(refuse("42P19", "aggregate functions are not allowed in a recursive query's recursive term"))
        }
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

/// Whether a plan reads the rows of the step before by themselves, not through a query of its own.
fn reads(plan: &LogicalPlan, name: &str) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source)
            .is_ok_and(|provider| provider.downcast_ref::<CteWorkTable>().is_some_and(|table| table.name() == name)),
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().any(|input| reads(input, name))
        }
        _ => false,
    }
}

/// The columns of the first term if some of them have too few places.
fn columns(query: &RecursiveQuery) -> Result<Option<Vec<(String, Option<String>)>>> {
    let LogicalPlan::Projection(step) = query.recursive_term.as_ref() else { return Ok(None) };
    if !matches!(step.input.as_ref(), LogicalPlan::SubqueryAlias(alias) if alias.alias.table() == STEP) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    for (at, (first, next)) in query.static_term.schema().fields().iter().zip(step.input.schema().fields()).enumerate()
    {
        let bound = || has_scale(&query.static_term, at);
        let wanted = match places(first, next, bound) {
            Meeting::Kept => None,
            Meeting::Places(places) => Some(format!("numeric(38, {places})")),
            Meeting::Different => return Err(different(&query.name, at, first, next)),
        };
        columns.push((first.name().clone(), wanted));
    }
    Ok(columns.iter().any(|(_, wanted)| wanted.is_some()).then_some(columns))
}

/// What becomes of a column of a first term, given that of the other term.
#[derive(Debug, PartialEq)]
enum Meeting {
    Kept,
    /// It is a numeric of no scale, and needs this one to hold both.
    Places(i8),
    Different,
}

fn places(first: &Field, next: &Field, bound: impl Fn() -> bool) -> Meeting {
    let (first, next) = (first.data_type(), next.data_type());
    if !is_decimal(first) || !(is_decimal(next) || next.is_integer()) {
        return if holds(first, next) { Meeting::Kept } else { Meeting::Different };
    }
    let (precision, scale) = digits(first);
    let next_scale = if is_decimal(next) { digits(next).1 } else { 0 };
    if first == next || precision == 38 && (next_scale <= scale || scale >= PLACES) {
        return Meeting::Kept;
    }
    match precision {
        // Every step has more places than the one before.
        38 => Meeting::Places(PLACES),
        _ if bound() => Meeting::Different,
        _ => Meeting::Places(scale.max(next_scale)),
    }
}

/// Whether the type of both together is the first one.
fn holds(first: &DataType, next: &DataType) -> bool {
    use DataType as D;
    let timely = |data_type: &D| matches!(data_type, D::Date32 | D::Timestamp(..));
    match (first, next) {
        (_, D::Null) => true,
        (one, other) if one.is_integer() && other.is_integer() => width(other) <= width(one),
        (one, other) if one.is_integer() => !is_decimal(other) && !other.is_floating(),
        (one, D::Float32 | D::Float64) if is_decimal(one) => false,
        (D::Float32, D::Float64)
        | (D::Date32, D::Timestamp(..))
        | (D::Timestamp(_, None), D::Timestamp(_, Some(_))) => false,
        (one, other) if is_text(one) => !other.is_numeric() && !timely(other) && *other != D::Boolean,
        _ => true,
    }
}

fn width(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or_default()
}

/// Whether the numeric at a place of a plan is of the scale that somebody gave it: a table's column, or a cast.
fn has_scale(plan: &LogicalPlan, at: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => match scan.source.get_logical_plan() {
            Some(view) => has_scale(&view, at),
            None => !source_as_provider(&scan.source)
                .is_ok_and(|provider| provider.downcast_ref::<CteWorkTable>().is_some()),
        },
        LogicalPlan::Projection(projection) => {
            projection.expr.get(at).is_some_and(|expr| expr_has_scale(expr, &projection.input))
        }
        LogicalPlan::Filter(filter) => has_scale(&filter.input, at),
        LogicalPlan::Sort(sort) => has_scale(&sort.input, at),
        LogicalPlan::Limit(limit) => has_scale(&limit.input, at),
        LogicalPlan::SubqueryAlias(alias) => has_scale(&alias.input, at),
        LogicalPlan::Distinct(Distinct::All(input)) => has_scale(input, at),
        LogicalPlan::Window(window) if at < window.input.schema().fields().len() => has_scale(&window.input, at),
        LogicalPlan::Aggregate(aggregate) => {
            aggregate.group_expr.get(at).is_some_and(|expr| expr_has_scale(expr, &aggregate.input))
        }
        LogicalPlan::RecursiveQuery(query) => has_scale(&query.static_term, at),
        LogicalPlan::Union(union) => {
            let wanted = union.schema.field(at).data_type();
            union.inputs.iter().all(|input| input.schema().field(at).data_type() == wanted && has_scale(input, at))
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            if at < left { has_scale(&join.left, at) } else { has_scale(&join.right, at - left) }
        }
        _ => false,
    }
}

fn expr_has_scale(expr: &Planned, input: &LogicalPlan) -> bool {
    match expr {
        Planned::Column(column) => input.schema().maybe_index_of_column(column).is_some_and(|at| has_scale(input, at)),
        Planned::Alias(alias) => expr_has_scale(&alias.expr, input),
        Planned::Cast(_) => true,
        _ => false,
    }
}

fn different(name: &str, at: usize, first: &Field, next: &Field) -> datafusion::common::DataFusionError {
    let first = match first.data_type() {
        decimal if is_decimal(decimal) && digits(decimal).0 < 38 => {
            let (precision, scale) = digits(decimal);
            format!("numeric({precision},{scale})")
        }
        text if is_text(text) => "text".to_owned(),
        _ => field_name(first),
    };
    // A table of the same name elsewhere in the statement has made it another one.
    let name = name.strip_prefix("polder$").and_then(|name| name.split_once('$')).map_or(name, |(_, name)| name);
    let next = field_name(next);
    into_datafusion(
        Error::invalid(format!(
            "recursive query \"{name}\" column {} has type {first} in non-recursive term but type {next} overall",
            at + 1
        ))
        .with_code("42804")
        .with_hint("cast the output of the non-recursive term to the correct type"),
    )
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn meeting(first: DataType, next: DataType, bound: bool) -> Meeting {
        places(&Field::new("a", first, true), &Field::new("b", next, true), || bound)
    }

    #[test]
    fn a_first_term_says_what_columns_are() {
        use DataType as D;
        for (first, next) in [
            (D::Int32, D::Int64),
            (D::Int16, D::Int32),
            (D::Int64, D::Decimal128(2, 1)),
            (D::Int32, D::Float64),
            (D::Decimal128(3, 1), D::Float64),
            (D::Date32, D::Timestamp(TimeUnit::Microsecond, None)),
            (D::Utf8View, D::Int32),
        ] {
            assert_eq!(meeting(first.clone(), next.clone(), false), Meeting::Different, "{first} {next}");
        }
        for (first, next) in [
            (D::Int64, D::Int32),
            (D::Int32, D::Null),
            (D::Float64, D::Decimal128(2, 1)),
            (D::Timestamp(TimeUnit::Microsecond, None), D::Date32),
            (D::Utf8View, D::Utf8),
        ] {
            assert_eq!(meeting(first.clone(), next.clone(), false), Meeting::Kept, "{first} {next}");
        }
    }

    #[test]
    fn numerics_of_no_scale_get_places() {
        let numeric = DataType::Decimal128;
        assert_eq!(meeting(numeric(2, 1), numeric(2, 1), true), Meeting::Kept);
        assert_eq!(meeting(numeric(2, 1), numeric(4, 3), false), Meeting::Places(3));
        assert_eq!(meeting(numeric(2, 1), DataType::Int32, false), Meeting::Places(1));
        assert_eq!(meeting(numeric(38, 3), numeric(38, 3), false), Meeting::Kept);
        assert_eq!(meeting(numeric(38, 3), numeric(38, 4), false), Meeting::Places(PLACES));
        assert_eq!(meeting(numeric(38, 10), numeric(38, 11), false), Meeting::Kept);
        assert_eq!(meeting(numeric(10, 2), numeric(12, 3), true), Meeting::Different);
    }
}
