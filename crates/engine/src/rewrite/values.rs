//! Rows of VALUES: those that hold subqueries, which the planner computes before it has run them; and numbers beside
//! floats, which the planner makes decimals of.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Insert, Query, SetExpr, Statement, TableFactor, TimezoneInfo,
    TypedString, UnaryOperator, Value, Values, VisitorMut,
};
use polder_sql_tree::visit_mut;
use polder_types::{Error, ErrorKind, Result};

use super::{has_query, quoted};
use crate::parse::{parse_expr, parse_query};
use crate::statement::is_default;

/// Rows that become queries: each stands within the next.
const ROWS_MAX: usize = 64;

/// Digits of a decimal.
const DECIMAL_DIGITS_MAX: usize = 38;

/// Rewrites the rows of a query, if it is a list of them. Those that are `inserted` have their types from the table's columns.
///
/// # Errors
/// `TooLarge` (54001) for many rows of which one holds a subquery.
pub(super) fn rows(query: &mut Query, inserted: bool) -> Result<()> {
    let SetExpr::Values(values) = query.body.as_mut() else { return Ok(()) };
    floats(values);
    marked(values, inserted);
    if !inserted {
        decimals(values)?;
    }
    let cells = || values.rows.iter().flat_map(|row| &row.content);
    if !cells().any(has_query) || cells().any(is_default) {
        return Ok(());
    }
    let width = values.rows.first().map_or(0, |row| row.content.len());
    if values.rows.iter().any(|row| row.content.len() != width) {
        return Ok(());
    }
    if values.rows.len() > ROWS_MAX {
        return Err(Error::new(ErrorKind::TooLarge, format!("more than {ROWS_MAX} rows of VALUES beside subqueries"))
            .with_code("54001")
            .with_hint("put the rows with subqueries into a statement of their own, or INSERT … SELECT"));
    }
    let row = |cells: &[Expr]| {
        let named =
            cells.iter().enumerate().map(|(at, cell)| format!("{cell} AS {}", quoted(&format!("column{}", at + 1))));
        format!("SELECT {}", named.collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<String> = values.rows.iter().map(|cells| row(&cells.content)).collect();
    query.body = parse_query(&rows.join(" UNION ALL "))?.body;
    Ok(())
}

/// VALUES in WITH and beside UNION as the rows of a table, in what an INSERT inserts: the planner takes those that stand by
/// themselves for rows of the table that is inserted into, whatever is made of them.
pub(super) fn apart(statement: &mut Statement) -> Result<()> {
    let Statement::Insert(Insert { source: Some(source), .. }) = statement else { return Ok(()) };
    match visit_mut(source.as_mut(), &mut Apart) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Apart;

impl VisitorMut for Apart {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let named = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
        let done = named.map(|named| named.query.body.as_mut()).try_for_each(of_table);
        match done.and_then(|()| operands(query.body.as_mut())) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn operands(body: &mut SetExpr) -> Result<()> {
    let SetExpr::SetOperation { left, right, .. } = body else { return Ok(()) };
    for side in [left.as_mut(), right.as_mut()] {
        of_table(side)?;
        operands(side)?;
    }
    Ok(())
}

fn of_table(body: &mut SetExpr) -> Result<()> {
    if !matches!(body, SetExpr::Values(_)) {
        return Ok(());
    }
    let mut query = parse_query("SELECT * FROM (VALUES (1)) AS \"polder$values\"")?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation)
    {
        std::mem::swap(subquery.body.as_mut(), body);
        *body = *query.body;
    }
    Ok(())
}

/// Numbers with a point, where another row says that its value is a float.
fn floats(values: &mut Values) {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for at in 0..width {
        let said = values.rows.iter().filter_map(|row| row.content.get(at)).any(is_float);
        if !said {
            continue;
        }
        for cell in values.rows.iter_mut().filter_map(|row| row.content.get_mut(at)) {
            if is_number(cell) {
                cast(cell, DataType::DoublePrecision);
            }
        }
    }
}

/// Numbers in quotes, where another row says that its value is a number with a point: the planner would round them to as many
/// digits as that one has.
fn decimals(values: &mut Values) -> Result<()> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for at in 0..width {
        if !values.rows.iter().filter_map(|row| row.content.get(at)).any(is_decimal) {
            continue;
        }
        for cell in values.rows.iter_mut().filter_map(|row| row.content.get_mut(at)) {
            if let Expr::Value(value) = cell
                && let Value::SingleQuotedString(text) = &value.value
                && is_written_number(text.trim())
            {
                *cell = parse_expr(text.trim())?;
            }
        }
    }
    Ok(())
}

fn is_decimal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(text, _) if text.contains('.')),
        Expr::Cast { data_type, .. } => {
            matches!(data_type, DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_))
        }
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            is_decimal(inner)
        }
        _ => false,
    }
}

/// `-12.5`, as it may stand without quotes, and is a decimal then.
fn is_written_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(behind) && digits.len() <= DECIMAL_DIGITS_MAX
}

fn cast(cell: &mut Expr, data_type: DataType) {
    let inner = Box::new(std::mem::replace(cell, Expr::Value(Value::Null.into())));
    *cell = Expr::Cast { kind: CastKind::Cast, expr: inner, data_type, array: false, format: None };
}

/// NULL and texts in quotes, where another row says of which type its value is: the planner takes values of most types for others
/// than those without a type.
fn marked(values: &mut Values, inserted: bool) {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for at in 0..width {
        let mut cells = values.rows.iter().filter_map(|row| row.content.get(at));
        let Some(said) = cells.find_map(said).filter(|said| !inserted || is_unlike_all(said)) else { continue };
        for cell in values.rows.iter_mut().filter_map(|row| row.content.get_mut(at)) {
            if matches!(cell, Expr::Value(value) if matches!(value.value, Value::Null | Value::SingleQuotedString(_))) {
                cast(cell, said.clone());
            }
        }
    }
}

/// Types that the planner makes of nothing else beside them, in rows that are inserted too.
fn is_unlike_all(said: &DataType) -> bool {
    matches!(said, DataType::JSON | DataType::JSONB | DataType::Uuid | DataType::Bytea)
}

/// The type that a value says that it has, but for numbers and texts, which the planner gets right.
fn said(cell: &Expr) -> Option<DataType> {
    use DataType as D;
    match cell {
        Expr::Nested(inner) => said(inner),
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => match data_type {
            D::JSON | D::JSONB | D::Uuid | D::Bytea | D::Boolean | D::Bool | D::Date | D::Array(_) => {
                Some(data_type.clone())
            }
            D::Time(..) | D::Timestamp(..) | D::Interval { .. } => Some(data_type.clone()),
            _ => None,
        },
        Expr::Interval(_) => Some(D::Interval { fields: None, precision: None }),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => Some(D::Boolean),
        Expr::Function(function) => match function.name.to_string().to_lowercase().as_str() {
            "current_date" => Some(D::Date),
            "now" | "current_timestamp" => Some(D::Timestamp(None, TimezoneInfo::WithTimeZone)),
            _ => None,
        },
        _ => None,
    }
}

fn is_float(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::DoublePrecision
                | DataType::Double(ExactNumberInfo::None)
                | DataType::Float(_)
                | DataType::Float4
                | DataType::Float8
                | DataType::Float64
                | DataType::Real
        ),
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => is_float(inner),
        _ => false,
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            is_number(inner)
        }
        Expr::BinaryOp { left, right, .. } => is_number(left) && is_number(right),
        _ => false,
    }
}
