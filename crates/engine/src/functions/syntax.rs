//! Forms of expressions that the planner does not know, written as calls and operators that it does.

mod by_type;
mod exponent;
mod fields;
mod likes;
mod lists;
mod named;
mod percentiles;
mod qualified;
mod replaced;
mod sets;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName, OrderByExpr, TimezoneInfo, UnaryOperator,
    Value,
};
use polder_types::{Error, Result};

pub(crate) use qualified::known_collation;
pub(crate) use sets::rewrite_table;
use sets::{SETS, set};

use super::input;

/// Rewrites one expression, whose parts have been rewritten before it.
///
/// # Errors
/// For an interval that cannot be read.
pub(crate) fn rewrite(expr: &mut Expr) -> Result<()> {
    let taken = std::mem::replace(expr, null());
    *expr = rewritten(taken)?;
    Ok(())
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn text(text: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.into()).into())
}

fn number(value: impl ToString) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

/// A call of a function.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A call by a name that is a word of SQL without brackets: in quotes, it is read back as it is written.
fn word_called(name: &str) -> Expr {
    let mut call = call(name, Vec::new());
    if let Expr::Function(function) = &mut call {
        function.name = ObjectName::from(vec![Ident::with_quote('"', name)]);
    }
    call
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn joined(parts: Vec<Expr>, op: BinaryOperator) -> Expr {
    let all = parts.into_iter().reduce(|left, right| binary(left, op.clone(), right));
    Expr::Nested(Box::new(all.unwrap_or_else(null)))
}

fn rewritten(expr: Expr) -> Result<Expr> {
    if let Some(plain) = exponent::written_out(&expr)? {
        return Ok(plain);
    }
    Ok(match expr {
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } => call("polder_bit_not", vec![*expr]),
        Expr::UnaryOp { op: UnaryOperator::PGAbs, expr } => call("abs", vec![*expr]),
        Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr } => call("sqrt", vec![*expr]),
        Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr } => call("cbrt", vec![*expr]),
        // The planner would write the sign before the first of the interval's parts only.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(*expr, Expr::Interval(_)) => {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(Expr::Nested(expr)) }
        }
        Expr::Interval(interval) => interval_literal(interval)?,
        Expr::Like { negated, any: true, expr, pattern, escape_char } => {
            let op = if negated { "NOT LIKE" } else { "LIKE" };
            escaped_any(op, *expr, *pattern, escape_char.is_some())?
        }
        Expr::ILike { negated, any: true, expr, pattern, escape_char } => {
            let op = if negated { "NOT ILIKE" } else { "ILIKE" };
            escaped_any(op, *expr, *pattern, escape_char.is_some())?
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char: None } if all_of(&pattern).is_some() => {
            let op = text(if negated { "NOT LIKE" } else { "LIKE" });
            call("polder_all", vec![op, *expr, all_of(&pattern).unwrap_or_else(null)])
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char: None } if all_of(&pattern).is_some() => {
            let op = text(if negated { "NOT ILIKE" } else { "ILIKE" });
            call("polder_all", vec![op, *expr, all_of(&pattern).unwrap_or_else(null)])
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char: None }
            if likes::unfinished(&pattern).is_some() =>
        {
            let matched = likes::refused(&expr, "LIKE", likes::unfinished(&pattern).unwrap_or_default())?;
            not(negated, matched)
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char: None }
            if likes::unfinished(&pattern).is_some() =>
        {
            let matched = likes::refused(&expr, "ILIKE", likes::unfinished(&pattern).unwrap_or_default())?;
            not(negated, matched)
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char: Some(escape) } => {
            let pattern = Box::new(call("polder_like_pattern", vec![*pattern, Expr::Value(escape)]));
            Expr::Like { negated, any: false, expr, pattern, escape_char: None }
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char: Some(escape) } => {
            let pattern = Box::new(call("polder_like_pattern", vec![*pattern, Expr::Value(escape)]));
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None }
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = escape_char.map_or_else(|| text("\\"), Expr::Value);
            let pattern = call("polder_similar_pattern", vec![*pattern, escape]);
            let op = if negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
            Expr::Nested(Box::new(binary(*expr, op, pattern)))
        }
        Expr::IsNull(inner) => match row(&inner) {
            Some(values) => {
                joined(values.into_iter().map(|value| Expr::IsNull(Box::new(value))).collect(), BinaryOperator::And)
            }
            None => Expr::IsNull(inner),
        },
        Expr::IsNotNull(inner) => match row(&inner) {
            Some(values) => {
                joined(values.into_iter().map(|value| Expr::IsNotNull(Box::new(value))).collect(), BinaryOperator::And)
            }
            None => Expr::IsNotNull(inner),
        },
        Expr::BinaryOp { left, op, right } => match (row(&left), row(&right), qualified::operator(op)) {
            (Some(left), Some(right), op) => rows(left, &op, right)?,
            (_, _, op) => binary(*left, op, *right),
        },
        Expr::AnyOp { left, compare_op, right, is_some } => {
            any(*left, qualified::operator(compare_op), *right, is_some)
        }
        Expr::AllOp { left, compare_op, right } => all(*left, qualified::operator(compare_op), *right),
        Expr::Collate { expr, collation } => qualified::by_bytes(*expr, &collation)?,
        Expr::CompoundFieldAccess { root, access_chain } => fields::accessed(*root, access_chain),
        // Of a constant the planner takes the list for constants too, and loses what is computed in it. A long list is an
        // array: conditions nest, one within the other.
        Expr::InList { expr, list, negated } if is_constant(&expr) && !list.iter().all(is_constant) => {
            if list.len() > CONDITIONS_MAX {
                let array = lists::planned(Array { elem: list, named: true });
                let (name, op) = if negated { ("polder_all", "<>") } else { ("polder_any", "=") };
                return Ok(call(name, vec![text(op), *expr, array]));
            }
            let equal = list.into_iter().map(|item| binary(expr.as_ref().clone(), BinaryOperator::Eq, item));
            let any = joined(equal.collect(), BinaryOperator::Or);
            if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) } } else { any }
        }
        Expr::Identifier(ident) if ident.quote_style.is_none() => match of_session(&ident.value) {
            Some(value) => value,
            None => Expr::Identifier(ident),
        },
        Expr::Function(function) => of_function(function)?,
        Expr::Array(array) => lists::planned(array),
        other => other,
    })
}

/// Conditions that one expression may become.
const CONDITIONS_MAX: usize = 64;

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) => is_constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr),
        _ => false,
    }
}

/// Words of SQL that stand for a value of the session, without brackets.
fn of_session(word: &str) -> Option<Expr> {
    let moment = |data_type: DataType| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(call("now", Vec::new())),
        data_type,
        array: false,
        format: None,
    };
    match word.to_ascii_lowercase().as_str() {
        "localtimestamp" => Some(moment(DataType::Timestamp(None, TimezoneInfo::None))),
        "localtime" => Some(moment(DataType::Time(None, TimezoneInfo::None))),
        "current_schema" => Some(call("current_schema", Vec::new())),
        "current_catalog" => Some(call("current_database", Vec::new())),
        "current_user" | "current_role" => Some(word_called("current_user")),
        "session_user" => Some(word_called("session_user")),
        _ => None,
    }
}

/// The values of `(a, b)` or `ROW(a, b)`.
fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) if values.len() > 1 => Some(values.clone()),
        Expr::Nested(inner) => row(inner),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => arguments(function),
        _ => None,
    }
}

fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    plain_arguments(&list.args)
}

/// Rows compare value by value.
fn rows(left: Vec<Expr>, op: &BinaryOperator, right: Vec<Expr>) -> Result<Expr> {
    use BinaryOperator as B;
    if *op == B::Overlaps {
        return match (<[Expr; 2]>::try_from(left), <[Expr; 2]>::try_from(right)) {
            (Ok([start, end]), Ok([other_start, other_end])) => {
                Ok(call("polder_overlaps", vec![start, end, other_start, other_end]))
            }
            _ => Err(Error::invalid("OVERLAPS takes two pairs").with_code("42601")),
        };
    }
    if left.len() != right.len() {
        return Err(Error::invalid("rows of different length cannot be compared").with_code("42601"));
    }
    let pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
    let each = |op: B| pairs.iter().cloned().map(|(left, right)| binary(left, op.clone(), right)).collect::<Vec<_>>();
    Ok(match op {
        B::Eq => joined(each(B::Eq), B::And),
        B::NotEq => joined(each(B::NotEq), B::Or),
        B::Lt | B::Gt | B::LtEq | B::GtEq => {
            let strict = if matches!(op, B::Lt | B::LtEq) { B::Lt } else { B::Gt };
            let mut pairs = pairs.into_iter().rev();
            let Some((left, right)) = pairs.next() else { return Ok(null()) };
            let mut all = binary(left, op.clone(), right);
            for (left, right) in pairs {
                let equal = binary(left.clone(), B::Eq, right.clone());
                let later = joined(vec![equal, all], B::And);
                all = joined(vec![binary(left, strict.clone(), right), later], B::Or);
            }
            Expr::Nested(Box::new(all))
        }
        _ => binary(
            Expr::Tuple(pairs.iter().map(|(left, _)| left.clone()).collect()),
            op.clone(),
            Expr::Tuple(pairs.into_iter().map(|(_, right)| right).collect()),
        ),
    })
}

fn unnested(expr: Expr) -> Expr {
    match expr {
        Expr::Nested(inner) => unnested(*inner),
        other => other,
    }
}

/// `x = ANY (ARRAY[…])` is a list; of another array it is a call.
fn any(left: Expr, op: BinaryOperator, right: Expr, is_some: bool) -> Expr {
    match lists::written(unnested(right)) {
        right @ Expr::Subquery(_) => {
            Expr::AnyOp { left: Box::new(left), compare_op: op, right: Box::new(right), is_some }
        }
        Expr::Array(array) if op == BinaryOperator::Eq && is_list(&array.elem) => {
            Expr::InList { expr: Box::new(left), list: array.elem, negated: false }
        }
        right => call("polder_any", vec![text(op.to_string()), left, lists::called(right)]),
    }
}

fn all(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    match lists::written(unnested(right)) {
        right @ Expr::Subquery(_) => Expr::AllOp { left: Box::new(left), compare_op: op, right: Box::new(right) },
        Expr::Array(array) if op == BinaryOperator::NotEq && is_list(&array.elem) => {
            Expr::InList { expr: Box::new(left), list: array.elem, negated: true }
        }
        right => call("polder_all", vec![text(op.to_string()), left, lists::called(right)]),
    }
}

/// The array of `ALL (array)`, which the parser reads as a call.
fn all_of(pattern: &Expr) -> Option<Expr> {
    match pattern {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("all") => {
            arguments(function).and_then(|mut arguments| arguments.pop())
        }
        _ => None,
    }
}

/// Whether what is compared with elements of an array is the same as what is compared with a list of them. Beside a `char(n)` it is
/// not: texts of an array keep the blanks that they end in, and those of a list are read without.
fn is_list(elements: &[Expr]) -> bool {
    let ends_blank = |element: &Expr| {
        let Expr::Value(value) = element else { return false };
        matches!(&value.value, Value::SingleQuotedString(text) if text.ends_with(' '))
    };
    !elements.is_empty() && !elements.iter().any(|element| matches!(element, Expr::Array(_)) || ends_blank(element))
}

fn escaped_any(op: &str, expr: Expr, pattern: Expr, escaped: bool) -> Result<Expr> {
    if escaped {
        return Err(Error::unsupported("LIKE ANY with ESCAPE is not supported"));
    }
    Ok(call("polder_any", vec![text(op), expr, unnested(pattern)]))
}

/// An interval as months, days and seconds, which the planner reads exactly.
fn interval_literal(interval: Interval) -> Result<Expr> {
    let Interval { value, leading_field, last_field, .. } = &interval;
    let words = match value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(words) | Value::Number(words, _) => words.clone(),
            _ => return Ok(Expr::Interval(interval)),
        },
        _ => return Ok(Expr::Interval(interval)),
    };
    let unit = last_field.as_ref().or(leading_field.as_ref()).map(|field| field.to_string().to_lowercase());
    let span = input::interval(&words, unit.as_deref()).map_err(crate::error::from_datafusion)?;
    let seconds = span.nanoseconds.unsigned_abs();
    let sign = if span.nanoseconds < 0 { "-" } else { "" };
    let words = format!(
        "{} months {} days {sign}{}.{:09} seconds",
        span.months,
        span.days,
        seconds / 1_000_000_000,
        seconds % 1_000_000_000
    );
    Ok(Expr::Interval(Interval {
        value: Box::new(text(words)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

/// Names that PostgreSQL has for functions of another name, and calls with named arguments.
fn of_function(mut function: Function) -> Result<Expr> {
    let name = function.name.to_string().to_lowercase();
    if matches!(function.args, FunctionArguments::None)
        && let Some(value) = of_session(&name)
    {
        return Ok(value);
    }
    if let FunctionArguments::List(list) = &mut function.args {
        for clause in &mut list.clauses {
            if let FunctionArgumentClause::OrderBy(sorts) = clause {
                values_in_order(sorts);
            }
        }
    }
    match name.as_str() {
        "make_interval" => return named::named_interval(&function),
        // Without brackets it is no column.
        "user" if matches!(function.args, FunctionArguments::None) => return Ok(word_called("current_user")),
        // Rows of a number and its place.
        "information_schema._pg_expandarray" => {
            if let Some(arguments) = arguments(&function) {
                return Ok(call("unnest", vec![call("polder_expand", arguments)]));
            }
        }
        name if SETS.iter().any(|(set, _)| *set == name) => {
            if let Some(list) = set(&function) {
                return Ok(call("unnest", vec![list]));
            }
        }
        "json_agg" | "jsonb_agg" => {
            return Ok(call(&format!("polder_{}", name.replace("_agg", "_group")), vec![gathered(&function, None)]));
        }
        "json_object_agg" | "jsonb_object_agg" => {
            if arguments(&function).is_some_and(|arguments| arguments.len() == 2) {
                let lists = vec![gathered(&function, Some(0)), gathered(&function, Some(1))];
                return Ok(call(&format!("polder_{}", name.replace("_object_agg", "_group_object")), lists));
            }
        }
        "percentile_cont" | "percentile_disc" if let Some(fractions) = percentiles::fractions(&function) => {
            return percentiles::of_each(&function, fractions);
        }
        "mode" | "percentile_disc" if function.within_group.len() == 1 => {
            return Ok(percentiles::ordered(name.as_str(), function));
        }
        "regexp_replace" => {
            if let Some(replaced) = replaced::replaced(&function) {
                return Ok(replaced);
            }
        }
        "ceiling" => function.name = ObjectName::from(vec![Ident::new("ceil")]),
        "every" => function.name = ObjectName::from(vec![Ident::new("bool_and")]),
        "variance" => function.name = ObjectName::from(vec![Ident::new("var_samp")]),
        _ => {
            if let Some(cast) = by_type::cast(&name, &function) {
                return Ok(cast);
            }
            if let Some(bare) = name.strip_prefix("pg_catalog.") {
                function.name = ObjectName::from(vec![Ident::new(bare)]);
                return of_function(function);
            }
        }
    }
    Ok(Expr::Function(function))
}

/// Numbers that an aggregate's rows are ordered by are values; bare ones the planner takes for places of columns.
fn values_in_order(sorts: &mut [OrderByExpr]) {
    for sort in sorts {
        if matches!(&sort.expr, Expr::Value(value) if matches!(value.value, Value::Number(..))) {
            sort.expr = Expr::Nested(Box::new(std::mem::replace(&mut sort.expr, null())));
        }
    }
}

fn not(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr }
}

/// All values of an aggregate's argument in an array, gathered under the same conditions.
fn gathered(function: &Function, argument: Option<usize>) -> Expr {
    let mut inner = function.clone();
    inner.name = ObjectName::from(vec![Ident::new("array_agg")]);
    if let (Some(at), FunctionArguments::List(list)) = (argument, &mut inner.args) {
        list.args = list.args.get(at).cloned().into_iter().collect();
    }
    Expr::Function(inner)
}

/// Functions that are written as others.
#[cfg(test)]
const WRITTEN: &[&str] = &[
    "ceiling",
    "every",
    "variance",
    "mode",
    "percentile_disc",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "pg_options_to_table",
    "json_to_record",
    "json_to_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
];

/// The names of functions that exist only as other forms.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let sets = SETS.iter().map(|(name, _)| *name);
    sets.chain(sets::PAIRS.iter().map(|(name, ..)| *name)).chain(WRITTEN.iter().copied())
}

fn plain_arguments(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    args.iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}
