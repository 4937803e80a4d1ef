//! A table's row as one value: what of it would be answered wrongly is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, JoinOperator, ObjectName, Select, SelectItem, TableWithJoins,
};
use polder_sql_tree::visit_expressions;
use polder_types::{Error, Result};

/// Refuses `count(t.*)` where rows of `t` may be missing, which would be counted with the others.
///
/// # Errors
/// `Unsupported`, with another way to say it.
pub(super) fn check(select: &Select) -> Result<()> {
    if !select.from.iter().any(may_miss) {
        return Ok(());
    }
    let items = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for expr in items.chain(&select.having) {
        let found = visit_expressions(expr, |expr| match whole_row(expr) {
            Some(name) => ControlFlow::Break(name.clone()),
            None => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(name) = found {
            return Err(Error::unsupported(format!("count({name}.*) behind an outer join is not supported"))
                .with_hint(format!("count a column of {name} that is never missing in its rows")));
        }
    }
    Ok(())
}

fn may_miss(table: &TableWithJoins) -> bool {
    let is_outer = |operator: &JoinOperator| {
        use JoinOperator as J;
        matches!(
            operator,
            J::Left(_) | J::LeftOuter(_) | J::Right(_) | J::RightOuter(_) | J::FullOuter(_) | J::OuterApply
        )
    };
    table.joins.iter().any(|join| is_outer(&join.join_operator))
}

fn whole_row(expr: &Expr) -> Option<&ObjectName> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args.iter().find_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => Some(name),
        _ => None,
    })
}
