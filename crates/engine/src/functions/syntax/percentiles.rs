//! `mode() WITHIN GROUP (ORDER BY x)` and the percentiles, of one fraction or of several.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Value,
};
use polder_types::Result;

use super::{arguments, call, null, number, of_function, values_in_order};
use crate::parse::parse_call;

/// `mode() WITHIN GROUP (ORDER BY x)` and `percentile_disc(p) WITHIN GROUP (…)` over the values in their order.
pub(super) fn ordered(name: &str, function: Function) -> Expr {
    let mut given = arguments(&function).unwrap_or_default();
    let mut order = function.within_group.clone();
    values_in_order(&mut order);
    let value = order.first().map_or_else(null, |order| order.expr.clone());
    let gathered = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("array_agg")]),
        within_group: Vec::new(),
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))],
            clauses: vec![FunctionArgumentClause::OrderBy(order)],
        }),
        ..function
    });
    given.push(gathered);
    call(&format!("polder_{name}"), given)
}

/// The fractions of `percentile_cont(ARRAY[0.25, 0.5]) WITHIN GROUP (…)`, if they are written out.
pub(super) fn fractions(function: &Function) -> Option<Vec<Expr>> {
    if function.within_group.len() != 1 {
        return None;
    }
    let [given] = <[Expr; 1]>::try_from(arguments(function)?).ok()?;
    listed(given)
}

fn listed(expr: Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Array(array) => Some(array.elem),
        Expr::Nested(inner) => listed(*inner),
        Expr::Cast { expr, data_type: DataType::Array(_), .. } => quoted(*expr),
        _ => None,
    }
}

/// Those of an array that is cast to its type.
fn quoted(expr: Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Value(value) => {
            let Value::SingleQuotedString(text) = value.value else { return None };
            let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
            inside.split(',').map(|part| fraction(part.trim())).collect()
        }
        other => listed(other),
    }
}

/// One that is written as text may be, in ways in which no number is written in SQL.
fn fraction(text: &str) -> Option<Expr> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| number(&value.to_string()))
}

/// An array of what each fraction gives; of no values it is NULL as a whole.
pub(super) fn of_each(function: &Function, fractions: Vec<Expr>) -> Result<Expr> {
    let called = |name: &ObjectName, argument: Expr| {
        let mut called = Function { name: name.clone(), ..function.clone() };
        if let FunctionArguments::List(list) = &mut called.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))];
        }
        called
    };
    let each = fractions.into_iter().map(|fraction| of_function(called(&function.name, fraction)));
    let each: Vec<String> = each.map(|one| one.map(|one| one.to_string())).collect::<Result<_>>()?;
    let value = function.within_group.first().map_or_else(null, |order| order.expr.clone());
    let mut count = called(&ObjectName::from(vec![Ident::new("count")]), value);
    count.within_group.clear();
    parse_call(&format!("(CASE WHEN {count} > 0 THEN make_array({}) END)", each.join(", ")))
}
