//! What policies and masks of other tables read: it is not dropped from under them, as whoever made another thing of that
//! name would say from then on who is shown what.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName};
use polder_lake::{TableName, Transaction};
use polder_sql_tree::{visit_expressions, visit_relations};
use polder_types::{Error, Result};

use super::super::names::table_name;
use crate::parse::parse_expr;

/// What a mask shows whose own expression has lost what it reads.
const NOTHING: &str = "NULL";

/// What is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A table or view.
    Relation,
    Function,
}

/// Drops the policies that read something, and has masks that do show nothing, or refuses when there are any.
///
/// # Errors
/// `InvalidInput` (2BP01) unless `cascade`.
pub(super) fn release(transaction: &mut Transaction, name: &TableName, kind: Kind, cascade: bool) -> Result<()> {
    let snapshot = Arc::clone(transaction.view());
    let own = snapshot.table(name).filter(|_| kind == Kind::Relation).map(|table| table.id);
    let bound = snapshot.all_access().iter().filter(|(id, access)| Some(**id) != own && !access.policies.is_empty());
    for (id, access) in bound {
        let Some(table) = snapshot.tables.get(id) else { continue };
        let mut changed = access.as_ref().clone();
        let policies = &mut changed.policies;
        let reads = |sql: &String| reads(sql, name, kind);
        let reader = policies.rows.iter().find(|policy| policy.using.iter().chain(&policy.check).any(reads));
        let reader = match reader {
            Some(policy) => Some(format!("policy {}", policy.name)),
            None => policies.masks.values().any(|mask| reads(&mask.sql)).then(|| "a mask".to_owned()),
        };
        let Some(reader) = reader else { continue };
        if !cascade {
            let message = format!("{name} cannot be dropped: {reader} on {} reads it", snapshot.name_of(table));
            return Err(Error::invalid(message)
                .with_code("2BP01")
                .with_hint("DROP POLICY or DROP MASK first; DROP … CASCADE drops the policies, and masks show NULL"));
        }
        policies.rows.retain(|policy| !policy.using.iter().chain(&policy.check).any(reads));
        for mask in policies.masks.values_mut().filter(|mask| reads(&mask.sql)) {
            NOTHING.clone_into(&mut mask.sql);
            mask.outer.clear();
        }
        transaction.set_access(*id, changed)?;
    }
    Ok(())
}

/// Whether a condition or mask names something. Those that are kept name the schemas of what they read.
fn reads(sql: &str, wanted: &TableName, kind: Kind) -> bool {
    let Ok(expr) = parse_expr(sql) else { return false };
    let is_wanted = |name: &ObjectName| name.0.len() > 1 && table_name(name, "").is_ok_and(|known| known == *wanted);
    let found = |is_found: bool| if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    // A function of rows stands where tables do.
    let in_from = visit_relations(&expr, |relation: &ObjectName| found(is_wanted(relation)));
    let called = visit_expressions(&expr, |part: &Expr| {
        found(matches!(part, Expr::Function(call) if kind == Kind::Function && is_wanted(&call.name)))
    });
    in_from.is_break() || called.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_found() {
        let check = |sql: &str, kind: Kind, expected: bool| {
            assert_eq!(reads(sql, &TableName::new("shop", "may"), kind), expected, "{sql}");
        };
        check("EXISTS (SELECT 1 FROM shop.may WHERE who = current_user)", Kind::Relation, true);
        check("a IN (SELECT b FROM \"shop\".\"may\")", Kind::Relation, true);
        check("a IN (SELECT b FROM depot.may)", Kind::Relation, false);
        check("may = 1 AND shop.may = 2", Kind::Relation, false);
        check("\"shop\".\"may\"(a)", Kind::Function, true);
        check("a IN (SELECT shop.may(b) FROM depot.x)", Kind::Function, true);
        check("\"shop\".\"may\"(a)", Kind::Relation, false);
    }
}
