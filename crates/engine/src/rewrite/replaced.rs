//! `SELECT * REPLACE (… AS column)`: the planner passes over a column that is not there, and over one in other letters.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind,
};
use polder_types::Result;

use super::quoted;
use crate::parse::parse_expr;
use crate::statement::fold;

/// Names each column in a condition that is always true, so that the planner looks for it.
///
/// # Errors
/// None that a name can cause.
pub(super) fn columns(select: &mut Select) -> Result<()> {
    // Of several tables, more than one may have the column, and then all of them are replaced.
    let single = matches!(select.from.as_slice(), [only] if only.joins.is_empty());
    let mut named = Vec::new();
    for item in &mut select.projection {
        let (table, options) = match item {
            SelectItem::Wildcard(options) => (None, options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options) => {
                (Some(&*table), options)
            }
            _ => continue,
        };
        for element in options.opt_replace.iter_mut().flat_map(|replace| replace.items.iter_mut()) {
            let column = fold(&element.column_name);
            named.push((table.map(ObjectName::to_string), column.clone()));
            element.column_name = Ident::with_quote('"', column);
        }
    }
    for (table, column) in named.into_iter().filter(|(table, _)| table.is_some() || single) {
        let column = table.map_or_else(|| quoted(&column), |table| format!("{table}.{}", quoted(&column)));
        let found = parse_expr(&format!("({column} IS NULL OR true)"))?;
        select.selection = Some(match select.selection.take() {
            None => found,
            Some(condition) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(condition))),
                op: BinaryOperator::And,
                right: Box::new(found),
            },
        });
    }
    Ok(())
}
