//! RETURNING: expressions over the rows that a statement has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions};
use datafusion::sql::sqlparser::parser::ParserError;
use polder_types::{Error, Result};

use super::Context;
use super::changes::Applied;
use super::merge::MARK;
use super::names::{fold, parts};
use super::names_out;
use super::query::shown;
use super::target::Target;
use crate::error::from_datafusion;
use crate::scope::Scope;
use crate::session::Outcome;

/// A column of another table that a statement names: (the table's alias, the column's name).
pub(super) type Other = (Option<TableReference>, String);

impl Context<'_> {
    /// The answer of a statement with RETURNING. `fields` are those of the returned batches.
    pub(super) async fn returning(
        &self,
        scope: &Scope,
        target: &Target,
        others: &[Other],
        items: &[SelectItem],
        mut applied: Applied,
        mut outcome: Outcome,
    ) -> Result<Outcome> {
        let own = TableReference::bare(target.alias.clone());
        let mut names: Vec<(Option<TableReference>, String)> =
            target.columns().map(|column| (Some(own.clone()), column.to_owned())).collect();
        names.extend(others.iter().cloned());
        let batches = std::mem::take(&mut applied.returned);
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            // Nothing was changed: the types of other tables' columns are of no importance then.
            None => Arc::new(Schema::new(
                names
                    .iter()
                    .enumerate()
                    .map(|(at, (_, name))| {
                        let schema = target.table.schema();
                        let known = schema.field_with_name(name);
                        let data_type =
                            known.map_or(arrow::datatypes::DataType::Null, |field| field.data_type().clone());
                        arrow::datatypes::Field::new(format!("c{at}"), data_type, true)
                    })
                    .collect::<Vec<_>>(),
            )),
        };
        let table = MemTable::try_new(schema, vec![batches]).map_err(from_datafusion)?;
        let plan = named(table, &names).map_err(from_datafusion)?;
        let exprs = numbered(self.items(scope, &plan, items)?);
        let plan = LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build);
        let plan = if self.typed { plan } else { plan.and_then(shown) }.map_err(from_datafusion)?;
        let rows = names_out::restore(self.execute(scope, plan).await?);
        outcome.rows = Some((rows.schema(), rows));
        Ok(outcome)
    }

    fn items(&self, scope: &Scope, plan: &LogicalPlan, items: &[SelectItem]) -> Result<Vec<Expr>> {
        let schema = plan.schema();
        let shown = |at: &usize| schema.field(*at).name() != MARK;
        let column = |at: usize| Expr::Column(Column::from(schema.qualified_field(at)));
        let mut exprs = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => exprs.push(self.returned(scope, plan, expr)?),
                SelectItem::ExprWithAlias { expr, alias } => {
                    exprs.push(self.returned(scope, plan, expr)?.alias(fold(alias)));
                }
                SelectItem::Wildcard(options) => {
                    plain(options)?;
                    exprs.extend((0..schema.fields().len()).filter(shown).map(column));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    plain(options)?;
                    let wanted = parts(name)?.pop().unwrap_or_default();
                    let of_table: Vec<usize> = (0..schema.fields().len())
                        .filter(|at| schema.qualified_field(*at).0.is_some_and(|table| table.table() == wanted))
                        .collect();
                    if of_table.is_empty() {
                        return Err(
                            Error::not_found(format!("table {wanted:?} is not in this statement")).with_code("42P01")
                        );
                    }
                    exprs.extend(of_table.into_iter().filter(shown).map(column));
                }
                other => return Err(Error::unsupported(format!("RETURNING {other} is not supported"))),
            }
        }
        Ok(exprs)
    }

    fn returned(
        &self,
        scope: &Scope,
        plan: &LogicalPlan,
        expr: &datafusion::sql::sqlparser::ast::Expr,
    ) -> Result<Expr> {
        let expr = datafusion::sql::sqlparser::ast::ExprWithAlias { expr: expr.clone(), alias: None };
        scope.state.create_logical_expr_from_sql_expr(expr, plan.schema()).map_err(from_datafusion)
    }
}

/// Names that are there more than once, numbered until the rows go out.
fn numbered(exprs: Vec<Expr>) -> Vec<Expr> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let number = |expr: Expr| {
        let (_, name) = expr.qualified_name();
        let times = seen.entry(name.clone()).or_default();
        *times += 1;
        if *times > 1 { expr.unalias().alias(format!("{name}{}{times}", names_out::MARK)) } else { expr }
    };
    exprs.into_iter().map(number).collect()
}

/// The rows, with their columns under the names that the statement uses.
fn named(table: MemTable, names: &[Other]) -> datafusion::common::Result<LogicalPlan> {
    let scan = LogicalPlanBuilder::scan("returned", provider_as_source(Arc::new(table)), None)?;
    let exprs: Vec<Expr> = names
        .iter()
        .enumerate()
        .map(|(at, (table, name))| {
            let column = Expr::Column(Column::from_name(format!("c{at}")));
            match table {
                Some(table) => column.alias_qualified(Some(table.clone()), name.clone()),
                None => column.alias(name.clone()),
            }
        })
        .collect();
    scan.project(exprs)?.build()
}

fn plain(options: &WildcardAdditionalOptions) -> Result<()> {
    let none = options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_ilike.is_none();
    if none {
        return Ok(());
    }
    let error = ParserError::ParserError("RETURNING * takes no EXCLUDE, REPLACE or RENAME".into());
    Err(crate::error::from_parser(&error))
}
