//! Plans the rows of a table that somebody may see.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    SchemaProvider, TableProvider,
};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result as DataFusionResult, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::sql::parser::Statement as Parsed;
use polder_lake::{PolicyCommand, Snapshot, TableName};
use polder_types::{Error, ErrorKind, Result};

use super::bound::{Bound, Purpose};
use super::columns::{Given, Hidden};
use super::governed::Governed;
use crate::authz::Who;
use crate::catalog::{LakeCatalog, View};
use crate::error::{copy, from_datafusion};
use crate::inline::{Functions, expand};
use crate::opaque::Opaque;
use crate::parse::parse_kept;
use crate::rewrite::whole_numbers;
use crate::semantics::with_lengths;
use crate::statement::quoted;

/// The catalog of the rows that conditions are about. No statement names it.
const SEALED_CATALOG: &str = "polder$sealed";

/// What conditions are planned in.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub state: Opaque<SessionState>,
    /// The tables that conditions may read, as those may who are bound by them.
    pub catalog: Arc<dyn CatalogProvider>,
    pub snapshot: Arc<Snapshot>,
    pub who: Who,
}

/// What of a table is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub purpose: Purpose,
    /// The names of the columns that a change needs beside those that are shown.
    pub hidden: Option<Hidden>,
    /// The columns by which rows are found that stand in the way of others.
    pub keys: Vec<String>,
}

impl Asked {
    pub fn reading() -> Self {
        Self { purpose: Purpose::Read, hidden: None, keys: Vec::new() }
    }
}

impl Surroundings {
    /// Those of somebody who sees a view, planned by a state of it.
    pub fn of(state: Opaque<SessionState>, view: Arc<View>, who: Who) -> Self {
        let snapshot = Arc::clone(&view.snapshot);
        Self { state, catalog: Arc::new(LakeCatalog::of(&view, false, who.clone())), snapshot, who }
    }

    /// Plans a query of `rows`, which it calls `SEALED_CATALOG.input.table`.
    async fn plan(&self, sql: &str, table: &str, rows: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        let input = MemorySchemaProvider::new();
        input.register_table(table.to_owned(), rows).map_err(from_datafusion)?;
        let sealed = MemoryCatalogProvider::new();
        sealed.register_schema("input", Arc::new(input)).map_err(from_datafusion)?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog("polder".into(), Arc::clone(&self.catalog));
        catalogs.register_catalog(SEALED_CATALOG.into(), Arc::new(sealed));
        let mut state = SessionState::clone(&self.state);
        state.register_catalog_list(Arc::new(catalogs));
        let mut statement = parse_kept(sql)?;
        if let Parsed::Statement(inner) = &mut statement
            && !self.snapshot.functions.is_empty()
        {
            let functions = Functions { snapshot: &self.snapshot, path: &[], state: &self.state, who: &self.who };
            expand(inner.as_mut(), &functions)?;
        }
        let planned = Box::pin(whole_numbers::plan(&state, statement)).await;
        planned.and_then(with_lengths).map_err(from_datafusion)
    }

    /// The same of policies and masks that are kept.
    ///
    /// # Errors
    /// When something that they name has gone or may not be read.
    async fn plan_kept(
        &self,
        sql: &str,
        table: &TableName,
        rows: Arc<dyn TableProvider>,
        outer: &BTreeSet<String>,
    ) -> Result<LogicalPlan> {
        let plan = self.plan(sql, &table.table, rows).await.map_err(|error| of_table(&error, table))?;
        match outer_columns(&plan).map_err(from_datafusion)?.difference(outer).next() {
            None => Ok(plan),
            Some(column) => {
                let message = format!("column {column:?} of {table} is not what a policy or mask of the table means");
                Err(Error::invalid(message).with_code("42703").with_hint(
                    "a column that a query in it names has gone: DROP POLICY or DROP MASK, and make it again",
                ))
            }
        }
    }

    /// Plans whether a row of some that are written breaks a condition.
    ///
    /// # Errors
    /// As of all that is kept.
    pub async fn breaks(
        &self,
        sql: &str,
        table: &TableName,
        rows: Arc<dyn TableProvider>,
        outer: &BTreeSet<String>,
    ) -> Result<LogicalPlan> {
        let query = format!("SELECT 1 AS broken FROM {} WHERE ({sql}) IS NOT TRUE LIMIT 1", input(table));
        self.plan_kept(&query, table, rows, outer).await
    }

    /// Plans an expression over the rows of a table that is to be kept. Gives the plan of its value, and the columns of the
    /// table that queries in it name.
    ///
    /// # Errors
    /// As planning goes; for aggregates and the like.
    pub async fn new_expression(
        &self,
        sql: &str,
        table: &TableName,
        rows: Arc<dyn TableProvider>,
    ) -> Result<(LogicalPlan, BTreeSet<String>)> {
        // What may not stand in WHERE may not stand in a policy or mask either.
        let query = format!("SELECT 1 FROM {} WHERE ({sql}) IS NOT NULL", input(table));
        let plan = self.plan(&query, &table.table, Arc::clone(&rows)).await.map_err(in_policy)?;
        self.state.optimize(&plan).map_err(from_datafusion)?;
        let plan = self.plan(&format!("SELECT ({sql}) AS value FROM {}", input(table)), &table.table, rows).await?;
        check_of_one_row(&plan)?;
        let outer = outer_columns(&plan).map_err(from_datafusion)?;
        Ok((plan, outer))
    }
}

/// A refusal of what may not stand in WHERE, about what it does stand in.
fn in_policy(error: Error) -> Error {
    match error.message() {
        message if message.starts_with("aggregate functions are not allowed in") => not_of_one_row(AGGREGATES),
        message if message.starts_with("window functions are not allowed in") => not_of_one_row(WINDOWS),
        _ => error,
    }
}

type Refused = (&'static str, &'static str);

const AGGREGATES: Refused = ("aggregate functions", "42803");
const WINDOWS: Refused = ("window functions", "42P20");

fn not_of_one_row((what, code): Refused) -> Error {
    Error::invalid(format!("{what} are not allowed in policy expressions")).with_code(code).with_hint("use a subquery")
}

/// Refuses what hangs on other rows than the one that it is computed for, or makes several of it.
fn check_of_one_row(plan: &LogicalPlan) -> Result<()> {
    let refused = match plan {
        LogicalPlan::Window(_) => WINDOWS,
        LogicalPlan::Aggregate(_) => AGGREGATES,
        LogicalPlan::Unnest(_) => ("set-returning functions", "0A000"),
        other => return other.inputs().into_iter().try_for_each(check_of_one_row),
    };
    Err(not_of_one_row(refused))
}

/// The columns that queries within a plan take from what is around them.
fn outer_columns(plan: &LogicalPlan) -> DataFusionResult<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::OuterReferenceColumn(_, column) = part {
                    found.insert(column.name.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The rows as a query names them. Conditions may call them by the table's name.
fn input(table: &TableName) -> String {
    let name = quoted(&table.table);
    format!("{}.input.{name} AS {name}", quoted(SEALED_CATALOG))
}

/// Says of an error that it is one of a table's policies, whose text the statement does not have.
fn of_table(error: &Error, table: &TableName) -> Error {
    // What may not be read is told as everywhere.
    if error.kind() == ErrorKind::Forbidden {
        return copy(error).with_detail(format!("a row policy or mask of {table} reads it"));
    }
    let message = format!("row policies and masks of {table}: {}", error.message());
    Error::new(error.kind(), message).with_code(error.code())
}

/// A table with the rows and values of it that somebody may see.
///
/// # Errors
/// When a policy or mask cannot be planned, because something that it names has gone or may not be read.
pub(crate) async fn govern(
    around: &Surroundings,
    name: &TableName,
    opened: Arc<dyn TableProvider>,
    columns: &[Given],
    bound: &Bound<'_>,
    asked: &Asked,
) -> Result<Arc<dyn TableProvider>> {
    let outputs = Outputs::of(name, columns, bound, asked);
    let items: Vec<String> =
        outputs.0.iter().map(|output| format!("{} AS {}", output.sql, quoted(&output.name))).collect();
    let mut sql = format!("SELECT {} FROM {}", items.join(", "), input(name));
    if let Some(condition) = bound.seen_for(asked.purpose) {
        sql.push_str(&format!(" WHERE {condition}"));
    }
    let rows = named(Arc::clone(&opened), columns).map_err(from_datafusion)?;
    let plan = around.plan_kept(&sql, name, rows, &bound.outer()).await?;
    let plan = outputs.typed(plan).map_err(from_datafusion)?;
    let open = outputs.0.iter().filter(|output| output.is_stored).map(|output| output.name.clone()).collect();
    let fields: Vec<_> = outputs.0.into_iter().map(|output| output.field).collect();
    Ok(Arc::new(Governed::new(name.clone(), opened, plan, fields, open, !bound.rows)))
}

/// A table with its columns under the names that conditions have for them.
fn named(opened: Arc<dyn TableProvider>, columns: &[Given]) -> DataFusionResult<Arc<dyn TableProvider>> {
    if columns.iter().all(|column| column.stored.as_deref() == Some(column.named.as_str())) {
        return Ok(opened);
    }
    let exprs = columns.iter().map(|column| match &column.stored {
        Some(stored) => Ok(ident(stored).alias(&column.named)),
        None => Ok(lit(ScalarValue::try_from(column.field.data_type())?).alias(&column.named)),
    });
    let exprs = exprs.collect::<DataFusionResult<Vec<_>>>()?;
    let plan = LogicalPlanBuilder::scan("kept", provider_as_source(opened), None)?.project(exprs)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A column that a governed table gives.
struct Output {
    name: String,
    sql: String,
    field: arrow::datatypes::Field,
    /// Its values are those that are stored, in all rows.
    is_stored: bool,
}

struct Outputs(Vec<Output>);

impl Outputs {
    fn of(name: &TableName, columns: &[Given], bound: &Bound<'_>, asked: &Asked) -> Self {
        let table = quoted(&name.table);
        let conflicts = asked.purpose == Purpose::Conflicts;
        let changeable = bound.seen_as(PolicyCommand::Update, conflicts);
        let mut all = Vec::with_capacity(columns.len());
        for column in columns {
            let Some(shown) = &column.shown else { continue };
            let stored = format!("{table}.{}", quoted(&column.named));
            let mask = column.id.and_then(|id| bound.mask_of(id));
            let mut sql = match mask {
                Some(_) if column.gone => "NULL".to_owned(),
                Some(mask) => format!("({})", mask.sql),
                None => stored.clone(),
            };
            // Of a row that may not be changed no more is known than that it is in the way.
            let withheld = conflicts && column.id.is_some() && !asked.keys.contains(shown);
            if let Some(changeable) = changeable.as_ref().filter(|_| withheld) {
                sql = format!("CASE WHEN {changeable} THEN {sql} END");
            }
            let is_stored = mask.is_none() && !withheld;
            let field = match is_stored {
                true => column.field.as_ref().clone(),
                false => column.nullable(shown),
            };
            all.push(Output { name: shown.clone(), sql, field, is_stored });
            if let (Some(_), Some(hidden)) = (mask, &asked.hidden) {
                let name = hidden.kept(shown);
                let field = column.nullable(&name);
                all.push(Output { name, sql: stored, field, is_stored: false });
            }
        }
        let mut flag = |name: String, condition: Option<String>| {
            let field = arrow::datatypes::Field::new(&name, arrow::datatypes::DataType::Boolean, true);
            let sql = condition.map_or_else(|| "true".to_owned(), |condition| format!("(({condition}) IS TRUE)"));
            all.push(Output { name, sql, field, is_stored: false });
        };
        match (&asked.hidden, asked.purpose) {
            (Some(hidden), Purpose::Merge) => {
                flag(hidden.may_update(), bound.seen_by(PolicyCommand::Update));
                flag(hidden.may_delete(), bound.seen_by(PolicyCommand::Delete));
            }
            (Some(hidden), Purpose::Conflicts) => flag(hidden.may_update(), changeable),
            _ => {}
        }
        Self(all)
    }

    /// The plan of the columns with the types that they have in the table.
    fn typed(&self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let exprs: Vec<Expr> = self
            .0
            .iter()
            .enumerate()
            .map(|(at, output)| {
                let column = Expr::Column(Column::from(plan.schema().qualified_field(at)));
                match output.is_stored {
                    true => column,
                    false => cast(column, output.field.data_type().clone()).alias(&output.name),
                }
            })
            .collect();
        LogicalPlanBuilder::from(plan).project(exprs)?.build()
    }
}
