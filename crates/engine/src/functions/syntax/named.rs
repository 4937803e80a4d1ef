//! `make_interval` with its arguments by their names.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments,
};
use polder_types::{Error, Result};

use super::{call, null, number};

/// What may be named, in its place.
const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

pub(super) fn named_interval(function: &Function) -> Result<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Ok(Expr::Function(function.clone())) };
    let mut parts: [Expr; 7] = std::array::from_fn(|_| number(0));
    for (at, argument) in list.args.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (Some(at).filter(|at| *at < 7), value),
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment | FunctionArgOperator::Colon,
            } => (PARTS.iter().position(|part| name.value.eq_ignore_ascii_case(part)), value),
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                (PARTS.iter().position(|part| name.value.eq_ignore_ascii_case(part)), value)
            }
            _ => (None, &list.args.first().map_or_else(null, |_| null())),
        };
        let Some(place) = place else {
            return Err(Error::not_found("function make_interval does not exist with these arguments")
                .with_code("42883")
                .with_hint("its arguments are years, months, weeks, days, hours, mins, secs"));
        };
        parts[place] = value.clone();
    }
    Ok(call("make_interval", parts.to_vec()))
}
