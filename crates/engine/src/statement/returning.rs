//! RETURNING: expressions over the rows that a statement has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    self, SelectItem, SelectItemQualifiedWildcardKind, Statement, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::parser::ParserError;
use futures::{TryStreamExt, stream};
use polder_types::{Error, Result};

use super::Context;
use super::changes::Applied;
use super::merge::MARK;
use super::names::{fold, parts};
use super::names_out;
use super::query::shown;
use super::target::{Target, parse_query, quoted, quoted_ident, select_of};
use crate::catalog::INPUT_CATALOG;
use crate::error::from_datafusion;
use crate::rewrite::has_query;
use crate::rewrite::names::{name, of_own_query};
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::session::Outcome;

/// A column of another table that a statement names: (the table's alias, the column's name).
pub(super) type Other = (Option<TableReference>, String);

impl Context<'_> {
    /// The answer of a statement with RETURNING. `types`: of the columns of other tables, as they were planned.
    pub(super) async fn returning(
        &self,
        scope: &Scope,
        target: &Target,
        others: &[Other],
        types: &[FieldRef],
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
            // Nothing was changed.
            None => {
                let schema = target.table.schema();
                let own =
                    target.columns().map(|name| schema.field_with_name(name).cloned().unwrap_or_else(|_| untyped()));
                let fields = own.chain(types.iter().map(|field| field.as_ref().clone()));
                let placed =
                    fields.enumerate().map(|(at, field)| field.with_name(format!("c{at}")).with_nullable(true));
                Arc::new(Schema::new(placed.collect::<Vec<_>>()))
            }
        };
        if items.iter().any(holds_query) {
            let rows = self
                .with_queries(scope, &relations(target, others)?, items, Arc::new(counted(&schema, batches)?))
                .await?;
            outcome.rows = Some(whole(rows).await?);
            return Ok(outcome);
        }
        let table = MemTable::try_new(schema, vec![batches]).map_err(from_datafusion)?;
        let plan = named(table, &names).map_err(from_datafusion)?;
        let exprs = numbered(self.items(scope, &plan, items)?);
        let plan = LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build);
        let plan = if self.typed { plan } else { plan.and_then(shown) }.map_err(from_datafusion)?;
        let rows = names_out::restore(self.execute(scope, plan).await?);
        outcome.rows = Some(whole(rows).await?);
        Ok(outcome)
    }

    /// RETURNING as a query of the rows, which may hold others. These read what the statement has read, and nothing of
    /// what it has changed, as in PostgreSQL.
    async fn with_queries(
        &self,
        scope: &Scope,
        relations: &[Relation],
        items: &[SelectItem],
        rows: Arc<dyn TableProvider>,
    ) -> Result<SendableRecordBatchStream> {
        let input = MemorySchemaProvider::new();
        input.register_table("returned".to_owned(), rows).map_err(from_datafusion)?;
        let scope = scope.with_input(Arc::new(input)).with_rows(None);
        let mut from = String::new();
        for (at, relation) in relations.iter().enumerate() {
            from.push_str(if at == 0 { "" } else { " JOIN " });
            from.push_str(&relation.sql());
            if at > 0 {
                from.push_str(&format!(" ON {} = {}", relation.row(), relations[0].row()));
            }
        }
        let mut query = parse_query(&format!("SELECT 1 FROM {from}"))?;
        select_of(&mut query)?.projection = written_out(relations, items)?;
        of_own_query(&mut query);
        names_out::number_in(&mut query);
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        let plan = whole_numbers::plan(&scope.state, statement).await;
        let plan = if self.typed { plan } else { plan.and_then(shown) }.map_err(from_datafusion)?;
        Ok(names_out::restore(self.execute(&scope, plan).await?))
    }

    fn items(&self, scope: &Scope, plan: &LogicalPlan, items: &[SelectItem]) -> Result<Vec<Expr>> {
        let schema = plan.schema();
        let shown = |at: &usize| schema.field(*at).name() != MARK;
        let column = |at: usize| Expr::Column(Column::from(schema.qualified_field(at)));
        let mut exprs = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) if is_column(expr) => exprs.push(self.returned(scope, plan, expr)?),
                SelectItem::UnnamedExpr(expr) => exprs.push(self.returned(scope, plan, expr)?.alias(name(expr))),
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
                        return Err(no_table(&wanted));
                    }
                    exprs.extend(of_table.into_iter().filter(shown).map(column));
                }
                other => return Err(Error::unsupported(format!("RETURNING {other} is not supported"))),
            }
        }
        Ok(exprs)
    }

    fn returned(&self, scope: &Scope, plan: &LogicalPlan, expr: &ast::Expr) -> Result<Expr> {
        let expr = ast::ExprWithAlias { expr: whole_numbers::of_column(expr), alias: None };
        scope.state.create_logical_expr_from_sql_expr(expr, plan.schema()).map_err(from_datafusion)
    }
}

/// The answer, computed before the change is committed: what cannot be computed fails the statement. The changed rows
/// are in memory as it is.
async fn whole(rows: SendableRecordBatchStream) -> Result<(SchemaRef, SendableRecordBatchStream)> {
    let schema = rows.schema();
    let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(from_datafusion)?;
    let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter(batches.into_iter().map(Ok)));
    Ok((schema, Box::pin(rows)))
}

fn untyped() -> Field {
    Field::new("", DataType::Null, true)
}

fn is_column(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_))
}

pub(super) fn holds_query(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => has_query(expr),
        _ => false,
    }
}

/// The number of a returned row.
const ROW: &str = "polder$row";

/// One of the statement's tables, as the returned rows have it.
struct Relation {
    /// What the statement calls it.
    name: String,
    /// The places among the returned columns, and the names.
    columns: Vec<(usize, String)>,
}

impl Relation {
    fn sql(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|(at, column)| format!("c{at} AS {}", quoted(column))).collect();
        format!(
            "(SELECT {}, {} FROM {}.input.returned) AS {}",
            columns.join(", "),
            quoted(ROW),
            quoted(INPUT_CATALOG),
            quoted(&self.name)
        )
    }

    fn row(&self) -> String {
        format!("{}.{}", quoted(&self.name), quoted(ROW))
    }

    /// What `*` stands for.
    fn all(&self) -> impl Iterator<Item = SelectItem> {
        let shown = self.columns.iter().filter(|(_, column)| column != MARK);
        shown.map(|(_, column)| {
            SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(vec![quoted_ident(&self.name), quoted_ident(column)]))
        })
    }
}

/// The table that was changed, and the others.
///
/// # Errors
/// `Unsupported` for columns of a table without a name.
fn relations(target: &Target, others: &[Other]) -> Result<Vec<Relation>> {
    let own: Vec<(usize, String)> = target.columns().map(str::to_owned).enumerate().collect();
    let width = own.len();
    let mut all = vec![Relation { name: target.alias.clone(), columns: own }];
    for (at, (table, column)) in others.iter().enumerate() {
        let Some(table) = table else {
            return Err(Error::unsupported("a subquery in RETURNING beside a table without a name is not supported")
                .with_hint("name the table with AS"));
        };
        let column = (width + at, column.clone());
        match all.iter_mut().find(|known| known.name == table.table()) {
            Some(known) => known.columns.push(column),
            None => all.push(Relation { name: table.table().to_owned(), columns: vec![column] }),
        }
    }
    Ok(all)
}

/// The rows with their numbers, by which the columns of several tables are put together again.
fn counted(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<MemTable> {
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROW, DataType::Int64, false)));
    let schema = Arc::new(Schema::new(fields));
    let mut rows = Vec::with_capacity(batches.len());
    let mut start = 0_i64;
    for batch in batches {
        let end = start + batch.num_rows() as i64;
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(Int64Array::from_iter_values(start..end)));
        start = end;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        rows.push(batch.map_err(|error| Error::internal(error.to_string()))?);
    }
    MemTable::try_new(schema, vec![rows]).map_err(from_datafusion)
}

/// The items with columns in place of `*`.
fn written_out(relations: &[Relation], items: &[SelectItem]) -> Result<Vec<SelectItem>> {
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        match item {
            SelectItem::Wildcard(options) => {
                plain(options)?;
                out.extend(relations.iter().flat_map(Relation::all));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                plain(options)?;
                let wanted = parts(name)?.pop().unwrap_or_default();
                let relation = relations.iter().find(|relation| relation.name == wanted);
                out.extend(relation.ok_or_else(|| no_table(&wanted))?.all());
            }
            other => out.push(other.clone()),
        }
    }
    Ok(out)
}

fn no_table(name: &str) -> Error {
    Error::not_found(format!("table {name:?} is not in this statement")).with_code("42P01")
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
