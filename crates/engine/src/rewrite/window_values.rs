//! What window functions are given beside the value: a number or a default that differs from row to row, which the planner does not
//! take, and numbers that are none of a row.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Value,
};
use polder_sql_tree::visit_expressions;
use polder_types::{Error, Result};

use crate::parse::parse_call;

/// `lag(v, 1, d)` with a `d` that is no constant: `d` where there is no such row, which `lag` of a constant tells. With a number
/// that is no constant, it is another function.
///
/// # Errors
/// For a number below one where rows are counted.
pub(super) fn plain(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    if function.over.is_none() {
        return Ok(());
    }
    let name = function.name.to_string().to_lowercase();
    match (name.as_str(), list.args.as_slice()) {
        ("lag" | "lead" | "nth_value", [value, FunctionArg::Unnamed(FunctionArgExpr::Expr(rows)), default @ ..])
            if varies(rows) && function.null_treatment.is_none() =>
        {
            let shifted = |value: FunctionArg| {
                let by = FunctionArg::Unnamed(FunctionArgExpr::Expr(rows.clone()));
                let name = ObjectName::from(vec![Ident::new(format!("polder_{name}"))]);
                Function { name, ..called(function, vec![value, by]) }
            };
            let (there, value) = (shifted(number(1)), shifted(value.clone()));
            *expr = match default {
                [] => Expr::Function(value),
                [default, ..] => parse_call(&format!(
                    "(CASE WHEN {rows} IS NULL THEN NULL WHEN {there} IS NULL THEN {default} ELSE {value} END)"
                ))?,
            };
            Ok(())
        }
        ("lag" | "lead", [_, offset, FunctionArg::Unnamed(FunctionArgExpr::Expr(default))]) if varies(default) => {
            let there = called(function, vec![number(1), offset.clone()]);
            let value = called(function, list.args.iter().take(2).cloned().collect());
            *expr = parse_call(&format!("(CASE WHEN {there} IS NULL THEN {default} ELSE {value} END)"))?;
            Ok(())
        }
        ("nth_value", [_, place]) if is_too_low(place) => {
            Err(Error::invalid("argument of nth_value must be greater than zero").with_code("22016"))
        }
        ("ntile", [groups]) if is_too_low(groups) => {
            Err(Error::invalid("argument of ntile must be greater than zero").with_code("22014"))
        }
        _ => Ok(()),
    }
}

fn number(number: u64) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::value(Value::Number(number.to_string(), false))))
}

fn called(function: &Function, args: Vec<FunctionArg>) -> Function {
    let mut function = function.clone();
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = args;
    }
    function
}

/// Whether a value may be another one in each row, or takes a query to be known.
fn varies(expr: &Expr) -> bool {
    visit_expressions(expr, |part| match part {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::Subquery(_)
        | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn is_too_low(argument: &FunctionArg) -> bool {
    argument.to_string().parse::<i64>().is_ok_and(|number| number < 1)
}
