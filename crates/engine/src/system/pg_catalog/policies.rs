//! Row policies, as `pg_policy` and `pg_policies` have them.

use arrow::array::ArrayRef;
use datafusion::sql::sqlparser::ast::Expr;
use polder_lake::{EVERYBODY, Policies, PolicyCommand, RowPolicy, TableState};
use polder_types::Result;

use super::columns;
use super::row::{Cell, Rows};
use super::{World, oids};
use crate::parse::parse_expr;

/// The tables that have any, with them.
fn all(world: &World) -> impl Iterator<Item = (&TableState, &Policies)> {
    let rights = world.rights();
    let tables = world.snapshot().tables.values();
    tables.filter_map(move |table| Some((table.as_ref(), &rights.access(table.id)?.policies)))
}

/// Each policy with its table.
pub(super) fn each(world: &World) -> impl Iterator<Item = (&TableState, &RowPolicy)> {
    all(world).flat_map(|(table, policies)| policies.rows.iter().map(move |policy| (table, policy)))
}

/// The letter and the word of a command.
fn command(command: PolicyCommand) -> (&'static str, &'static str) {
    match command {
        PolicyCommand::All => ("*", "ALL"),
        PolicyCommand::Select => ("r", "SELECT"),
        PolicyCommand::Insert => ("a", "INSERT"),
        PolicyCommand::Update => ("w", "UPDATE"),
        PolicyCommand::Delete => ("d", "DELETE"),
    }
}

/// A condition as PostgreSQL writes it: in brackets, where it is an operator.
fn written(sql: Option<&String>) -> Cell {
    let Some(sql) = sql else { return Cell::Null };
    let words = [("\"current_user\"()", "CURRENT_USER"), ("\"session_user\"()", "SESSION_USER")];
    let shown = words.iter().fold(sql.clone(), |text, (call, word)| text.replace(call, word));
    let alone = |expr: &Expr| {
        matches!(
            expr,
            Expr::Identifier(_)
                | Expr::CompoundIdentifier(_)
                | Expr::Value(_)
                | Expr::Function(_)
                | Expr::Nested(_)
                | Expr::Case { .. }
                | Expr::Exists { .. }
        )
    };
    match parse_expr(sql) {
        Ok(expr) if !alone(&expr) => format!("({shown})").into(),
        _ => shown.into(),
    }
}

pub(super) fn stored(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_POLICY);
    for (table, policies) in all(world) {
        for policy in &policies.rows {
            rows.push([
                ("oid", oids::of_policy(table.known_id(), policy.number).into()),
                ("polname", policy.name.as_str().into()),
                ("polrelid", oids::of(table.known_id(), 0).into()),
                ("polcmd", command(policy.command).0.into()),
                ("polpermissive", (!policy.restrictive).into()),
                ("polroles", policy.roles.clone().into()),
                ("polqual", written(policy.using.as_ref())),
                ("polwithcheck", written(policy.check.as_ref())),
            ]);
        }
    }
    rows.finish()
}

pub(super) fn shown(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_POLICIES);
    for (table, policies) in all(world) {
        let schema = world.directory().schema(oids::of(table.schema_id, 0)).unwrap_or_default();
        for policy in &policies.rows {
            rows.push([
                ("schemaname", schema.into()),
                ("tablename", table.name.as_str().into()),
                ("policyname", policy.name.as_str().into()),
                ("permissive", if policy.restrictive { "RESTRICTIVE" } else { "PERMISSIVE" }.into()),
                ("roles", Cell::Texts(roles(world, policy))),
                ("cmd", command(policy.command).1.into()),
                ("qual", written(policy.using.as_ref())),
                ("with_check", written(policy.check.as_ref())),
            ]);
        }
    }
    rows.finish()
}

/// The names of those whom a policy is for.
fn roles(world: &World, policy: &RowPolicy) -> Vec<String> {
    let book = &world.who().book;
    let name = |role: &i64| match *role {
        EVERYBODY => "public".to_owned(),
        role => book.name(role).map_or_else(|| format!("unknown (OID={role})"), str::to_owned),
    };
    policy.roles.iter().map(name).collect()
}
