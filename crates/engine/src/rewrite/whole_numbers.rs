//! Whole numbers that are written out: `integer` where they fit, as in PostgreSQL, where the planner makes `bigint` of all.
//!
//! Only those are told apart whose type somebody can see: columns of an answer and of VALUES, operands of arithmetic, values
//! of CASE, elements of arrays, and arguments whose type a function gives back. Those that are only compared take the type
//! of what stands beside them, and are left alone. It is done last, on the way to the planner, so that no text that is kept
//! (a view's) knows of it.
//!
//! Such a number becomes the operand of an operator that nobody can write. The planner asks for each operator what it is
//! ([`narrowed`]), and gets the number as an `integer`.

use std::ops::ControlFlow;

use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr as Planned, LogicalPlan};
use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    Insert, Query, Select, SelectItem, SetExpr, Statement, TableFactor, UnaryOperator, Value, VisitorMut,
};
use polder_sql_tree::visit_mut;

use super::{SERIES, natural, outer_names, recursion, whole_rows};
use futures::future::BoxFuture;

use crate::authz::check_named;
use crate::semantics::known;
use crate::system::pg_catalog::World;

/// What stands between a number and NULL. The name ends in a space, so that no text comes to it.
const MARK: &str = "polder integer ";

/// Tables whose rows one statement may name.
const ROWS_MAX: usize = 16;

/// Functions whose result has the type of an argument, or a list of it.
const FUNCTIONS: &[&str] = &[
    "abs",
    "any_value",
    "array_agg",
    "array_append",
    "array_cat",
    "array_fill",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_replace",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "coalesce",
    "first_value",
    "gcd",
    "generate_series",
    "greatest",
    "last_value",
    "lcm",
    "least",
    "make_array",
    "max",
    "min",
    "mod",
    "mode",
    "nullif",
    "pg_typeof",
    "polder_bit_not",
    "sum",
    "to_hex",
    "unnest",
];

/// Functions whose result has the type of their first argument; the others count rows.
const OF_FIRST: &[&str] = &["lag", "lead", "nth_value"];

/// Plans a statement, whose numbers have the types that PostgreSQL gives them.
///
/// # Errors
/// The planner's; `Forbidden` (42501) for columns that may not be read.
///
/// The future's type is left out: what holds it need not be looked into down to the last field of a plan.
pub(crate) fn plan(state: &SessionState, statement: Parsed) -> BoxFuture<'_, Result<LogicalPlan>> {
    Box::pin(plan_any(state, statement))
}

async fn plan_any(state: &SessionState, mut statement: Parsed) -> Result<LogicalPlan> {
    let mut marker = Marker::default();
    visit_queries(&mut statement, &mut marker);
    if marker.natural {
        Box::pin(natural::resolve(state, &mut statement)).await?;
    }
    outer_names::qualify(&mut statement);
    let spare = whole_rows::may_be_meant(&mut statement).then(|| statement.clone());
    let plan = match (planned(state, statement, marker.recursive).await, spare) {
        (Err(error), Some(spare)) => Box::pin(with_rows(state, spare, marker.recursive, error)).await?,
        (plan, _) => plan?,
    };
    if World::of(state.config_options()).is_ok_and(World::has_guards) {
        check_named(&plan)?;
    }
    known(plan)
}

async fn planned(state: &SessionState, statement: Parsed, recursive: bool) -> Result<LogicalPlan> {
    match recursive {
        true => recursion::plan(state, statement).await,
        false => state.statement_to_plan(statement).await,
    }
}

/// Plans a statement again in which a name is of no column, but of a table: it stands for the table's row then. `error`: that of
/// planning it as it is.
async fn with_rows(
    state: &SessionState,
    mut statement: Parsed,
    recursive: bool,
    mut error: DataFusionError,
) -> Result<LogicalPlan> {
    for _ in 0..ROWS_MAX {
        let Some(name) = whole_rows::without_column(&error).map(str::to_owned) else { break };
        if !whole_rows::mean(&mut statement, &name) {
            break;
        }
        match planned(state, statement.clone(), recursive).await {
            Ok(plan) => return Ok(plan),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// Visits what of a statement is planned.
pub(super) fn visit_queries<V: VisitorMut>(statement: &mut Parsed, visitor: &mut V) {
    let _ = match statement {
        Parsed::Statement(inner) => match inner.as_mut() {
            Statement::Insert(Insert { source: Some(source), .. }) if is_rows(source) => {
                // The rows of an INSERT become what its columns are.
                let SetExpr::Values(values) = source.body.as_mut() else { return };
                for expr in values.rows.iter_mut().flat_map(|row| &mut row.content) {
                    let _ = visit_mut(expr, visitor);
                }
                return;
            }
            // The planner computes defaults by itself, where an `integer` that overflows would be another number.
            Statement::CreateTable(create) => match create.query.as_deref_mut() {
                Some(query) => visit_mut(query, visitor),
                None => return,
            },
            other => visit_mut(other, visitor),
        },
        Parsed::Explain(explain) => return visit_queries(&mut explain.statement, visitor),
        Parsed::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => visit_mut(query.as_mut(), visitor),
            CopyToSource::Relation(_) => return,
        },
        _ => return,
    };
}

/// As [`plan`], of an expression over columns, which becomes what its place wants.
///
/// # Errors
/// The parser's and the planner's.
pub(crate) fn expression(state: &SessionState, sql: &str, schema: &DFSchema) -> Result<Planned> {
    let mut parsed = state.sql_to_expr_with_alias(sql, &state.config_options().sql_parser.dialect)?;
    parsed.expr = of_value(parsed.expr);
    state.create_logical_expr_from_sql_expr(parsed, schema)
}

/// As [`plan`], of an expression that becomes what its place wants: a column's default or value.
pub(crate) fn of_value(mut expr: Expr) -> Expr {
    let _ = visit_mut(&mut expr, &mut Marker::default());
    expr
}

/// As [`plan`], of an expression that stands for a column of an answer.
pub(crate) fn of_column(expr: &Expr) -> Expr {
    let mut expr = of_value(expr.clone());
    mark(&mut expr);
    expr
}

/// What the planner makes of an operator, if it is the mark.
pub(crate) fn narrowed(op: &BinaryOperator, number: &Planned) -> Option<Planned> {
    if !matches!(op, BinaryOperator::Custom(name) if name == MARK) {
        return None;
    }
    let narrow = match number {
        Planned::Literal(ScalarValue::Int64(Some(number)), _) => i32::try_from(*number).ok(),
        _ => None,
    };
    Some(match narrow {
        Some(narrow) => Planned::Literal(ScalarValue::Int32(Some(narrow)), None),
        None => number.clone(),
    })
}

fn is_rows(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Values(_))
}

#[derive(Default)]
struct Marker {
    /// Calls in FROM around what is visited. The planner computes their arguments by itself, where an `integer` that
    /// overflows would be another number.
    calls: usize,
    /// Whether there are queries of which a term recurs.
    recursive: bool,
    /// Whether there are joins of which it is to be found out by which columns they are.
    natural: bool,
}

impl VisitorMut for Marker {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.recursive |= recursion::apart(query);
        self.natural |= natural::is_marked(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        mark_rows(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                mark(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.calls += usize::from(matches!(factor, TableFactor::Table { args: Some(_), .. }));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(args), .. } = factor {
            self.calls -= 1;
            if name.to_string().eq_ignore_ascii_case(SERIES) {
                mark_each(&mut args.args);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if self.calls == 0 && is_arithmetic(op) => {
                mark(left);
                mark(right);
            }
            Expr::Case { conditions, else_result, .. } => {
                for CaseWhen { result, .. } in conditions {
                    mark(result);
                }
                if let Some(result) = else_result {
                    mark(result);
                }
            }
            Expr::Array(array) => array.elem.iter_mut().for_each(mark),
            Expr::Function(function) => mark_arguments(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn mark_rows(body: &mut SetExpr) {
    match body {
        SetExpr::Values(values) => values.rows.iter_mut().flat_map(|row| &mut row.content).for_each(mark),
        SetExpr::SetOperation { left, right, .. } => {
            mark_rows(left);
            mark_rows(right);
        }
        _ => {}
    }
}

fn mark_arguments(function: &mut Function) {
    let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else { return };
    let among = |names: &[&str]| names.iter().any(|known| name.value.eq_ignore_ascii_case(known));
    let FunctionArguments::List(list) = &mut function.args else { return };
    if among(FUNCTIONS) {
        mark_each(&mut list.args);
        for clause in &mut list.clauses {
            // With DISTINCT they are the arguments themselves.
            if let FunctionArgumentClause::OrderBy(order) = clause {
                order.iter_mut().for_each(|by| mark(&mut by.expr));
            }
        }
    } else if among(OF_FIRST) {
        mark_each(list.args.get_mut(..1).unwrap_or_default());
    }
}

fn mark_each(arguments: &mut [FunctionArg]) {
    for argument in arguments {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
            mark(expr);
        }
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(
        op,
        B::Plus
            | B::Minus
            | B::Multiply
            | B::Divide
            | B::Modulo
            // Behind an array it is an element.
            | B::StringConcat
            | B::BitwiseAnd
            | B::BitwiseOr
            | B::BitwiseXor
            | B::PGBitwiseXor
            | B::PGBitwiseShiftLeft
            | B::PGBitwiseShiftRight
    )
}

/// Marks an expression that is a number, or a number behind a sign or in brackets.
fn mark(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => return mark(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, .. } if let Some((minus, digits)) = folded(expr) => {
            let number = Expr::Value(Value::Number(digits, false).into());
            *expr = match minus {
                true => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number) },
                false => number,
            };
        }
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            if !is_number(inner) {
                return mark(inner);
            }
        }
        Expr::Value(value) if is_digits(&value.value) => {}
        _ => return,
    }
    let null = || Expr::Value(Value::Null.into());
    let number = std::mem::replace(expr, null());
    *expr =
        Expr::BinaryOp { left: Box::new(number), op: BinaryOperator::Custom(MARK.to_owned()), right: Box::new(null()) };
}

/// The digits of a number behind signs and brackets, and whether it is below 0: such signs are part of the number.
fn folded(expr: &Expr) -> Option<(bool, String)> {
    match expr {
        Expr::Nested(inner) => folded(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => folded(expr).map(|(minus, digits)| (!minus, digits)),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) if is_digits(&value.value) => Some((false, digits.clone())),
            _ => None,
        },
        _ => None,
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if is_digits(&value.value))
}

/// Digits alone. Those of a parameter that is a `bigint` say so themselves (`parse::values`).
fn is_digits(value: &Value) -> bool {
    matches!(value, Value::Number(digits, false) if digits.len() <= 10 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_expr;

    fn marked(sql: &str) -> String {
        let expr = of_column(&parse_expr(sql).unwrap());
        expr.to_string().replace(&format!("{MARK} NULL"), "#")
    }

    #[test]
    fn numbers_whose_type_is_seen_are_marked_and_no_others() {
        assert_eq!(marked("1"), "1 #");
        assert_eq!(marked("(-1)"), "(-1 #)");
        assert_eq!(marked("-(1)"), "-1 #");
        assert_eq!(marked("-(-(1))"), "1 #");
        assert_eq!(marked("-(+1)"), "-(+1 #)");
        assert_eq!(marked("a + 1 = 2"), "a + 1 # = 2");
        assert_eq!(marked("CASE a WHEN 1 THEN 2 ELSE 3 END"), "CASE a WHEN 1 THEN 2 # ELSE 3 # END");
        assert_eq!(marked("coalesce(a, 0)"), "coalesce(a, 0 #)");
        assert_eq!(marked("repeat(a, 3)"), "repeat(a, 3)");
        assert_eq!(marked("CAST(1 AS bigint)"), "CAST(1 AS BIGINT)");
        for other in ["1.5", "12345678901", "'1'", "NULL", "a IN (1, 2)"] {
            assert_eq!(marked(other), other);
        }
    }

    #[test]
    fn a_mark_makes_an_integer_of_what_fits() {
        let mark = BinaryOperator::Custom(MARK.to_owned());
        let of = |number: i64| narrowed(&mark, &datafusion::logical_expr::lit(number));
        assert_eq!(of(1), Some(datafusion::logical_expr::lit(1_i32)));
        assert_eq!(of(2_147_483_648), Some(datafusion::logical_expr::lit(2_147_483_648_i64)));
        assert_eq!(of(-2_147_483_648), Some(datafusion::logical_expr::lit(i32::MIN)));
        assert_eq!(narrowed(&BinaryOperator::Plus, &datafusion::logical_expr::lit(1_i64)), None);
    }
}
