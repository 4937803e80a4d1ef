//! The rules of tables, planned: checks as expressions over rows, keys as queries.

use std::fmt;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, DFSchemaRef, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    EmptyRelation, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, cast, lit,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::DataFrame;
use datafusion::sql::sqlparser::ast::ExprWithAlias;
use futures::StreamExt;
use futures::future::BoxFuture;
use polder_lake::{Access, Broken, Reference, RowRule, RuleKeeper, Snapshot, TableName, TableState, Unowned, values};
use polder_metastore::OWNER_OID;
use polder_types::{Error, ErrorKind, Result};

use crate::authz::access_of_new;
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::loads::REJECTS;
use crate::opaque::Opaque;
use crate::rewrite::whole_numbers;
use crate::session::Settings;
use crate::statement::Target;
use crate::statement::temporary::Temporary;

/// Plans the rules for the lake, which calls for them at each write.
pub(crate) struct Keeper {
    pub engine: Weak<Engine>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server is stopping"))
    }

    /// A table as a version of the lake has it, whoever made it.
    fn rows<'a>(&'a self, view: &'a Arc<Snapshot>, table: &'a TableName) -> BoxFuture<'a, Result<Opaque<DataFrame>>> {
        Box::pin(async { self.frame(view, table).await.map(Opaque::new) })
    }

    async fn frame(&self, view: &Arc<Snapshot>, table: &TableName) -> Result<DataFrame> {
        let settings = Settings { temporary: Temporary::of_all(), ..Settings::default() };
        let scope = self.engine()?.scope(Arc::clone(view), None, &settings);
        let reference = TableReference::full("polder", table.schema.as_str(), table.table.as_str());
        scope.context().table(reference).await.map_err(from_datafusion)
    }
}

/// One condition over a table's columns, as planned.
///
/// # Errors
/// `InvalidInput` for an unknown column, an aggregate, or what is neither true nor false.
pub(crate) fn plan_condition(engine: &Engine, table: &TableState, sql: &str) -> Result<(DFSchema, Expr)> {
    let reference = TableReference::bare(table.name.clone());
    let schema = DFSchema::try_from_qualified_schema(reference, &table.schema()).map_err(from_datafusion)?;
    let expr = whole_numbers::expression(&engine.template, sql, &schema).map_err(from_datafusion)?;
    check_of_one_row(&expr, "check constraints")?;
    match expr.get_type(&schema).map_err(from_datafusion)? {
        DataType::Boolean | DataType::Null => Ok((schema, expr)),
        other => Err(Error::invalid(format!("a condition must be true or false, and {sql} is of type {other}"))
            .with_code("42804")),
    }
}

/// Refuses what hangs on other rows than the one that it is computed for.
fn check_of_one_row(expr: &Expr, place: &str) -> Result<()> {
    let has = |wanted: fn(&Expr) -> bool| expr.exists(|part| Ok(wanted(part))).unwrap_or(false);
    let (what, code) = if has(|part| matches!(part, Expr::AggregateFunction(_))) {
        ("aggregate", "42803")
    } else if has(|part| matches!(part, Expr::WindowFunction(_))) {
        ("window", "42P20")
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("{what} functions are not allowed in {place}"))
        .with_code(code)
        .with_hint("it is computed from the columns of one row; a query or a view takes several"))
}

/// Refuses a default that more than one row would go into, or that gives more than one.
///
/// # Errors
/// `InvalidInput` for aggregates and window functions, `Unsupported` for functions that return sets. What cannot be planned
/// without its session is looked at when it is used.
pub(crate) fn check_default(engine: &Engine, sql: &str) -> Result<()> {
    let Ok(expr) = whole_numbers::expression(&engine.template, sql, &DFSchema::empty()) else { return Ok(()) };
    check_of_one_row(&expr, "DEFAULT expressions")?;
    if expr.exists(|part| Ok(matches!(part, Expr::Unnest(_)))).unwrap_or(false) {
        return Err(Error::unsupported("set-returning functions are not allowed in DEFAULT expressions")
            .with_hint("INSERT … SELECT adds a row for each value"));
    }
    Ok(())
}

/// An expression over a table's columns, with the same meaning as in a query.
fn physical(engine: &Engine, schema: DFSchema, expr: Expr) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = Arc::new(schema);
    let expr = analyzed(&engine.template, &schema, expr)?;
    engine.template.create_physical_expr(expr, &schema).map_err(from_datafusion)
}

fn analyzed(state: &SessionState, schema: &DFSchemaRef, expr: Expr) -> Result<Expr> {
    let rows = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::clone(schema) });
    let plan = LogicalPlanBuilder::from(rows).project([expr]).and_then(LogicalPlanBuilder::build);
    let plan = plan.and_then(|plan| state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}));
    let LogicalPlan::Projection(mut projection) = plan.map_err(from_datafusion)? else {
        return Err(Error::internal("an expression planned as something else"));
    };
    projection.expr.pop().ok_or_else(|| Error::internal("an expression is lost"))
}

/// What a default comes to at this moment: `now()` is the same in all rows, and what changes by itself stays a call.
fn plan_default(state: &SessionState, target: &Target, column: &str) -> Result<Arc<dyn PhysicalExpr>> {
    let known = target.table.schema();
    let field = known.field_with_name(column).map_err(|error| Error::internal(error.to_string()))?;
    let reference = TableReference::bare(target.table.name.clone());
    let schema = DFSchema::try_from_qualified_schema(reference, &known).map(Arc::new).map_err(from_datafusion)?;
    let sql = ExprWithAlias { expr: whole_numbers::of_value(target.default(column)?), alias: None };
    let expr = state.create_logical_expr_from_sql_expr(sql, &schema).map_err(from_datafusion)?;
    let expr = analyzed(state, &schema, cast(expr, field.data_type().clone()))?;
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(&schema))
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let expr = ExprSimplifier::new(context).simplify(expr).map_err(from_datafusion)?;
    state.create_physical_expr(expr, &schema).map_err(from_datafusion)
}

/// What a generated column is computed from, as planned.
///
/// # Errors
/// `InvalidInput` for an unknown column, an aggregate, another generated column, or a value that changes by itself.
pub(crate) fn plan_generated(engine: &Engine, table: &TableState, name: &str, sql: &str) -> Result<(DFSchema, Expr)> {
    let reference = TableReference::bare(table.name.clone());
    let schema = DFSchema::try_from_qualified_schema(reference, &table.schema()).map_err(from_datafusion)?;
    let expr = whole_numbers::expression(&engine.template, sql, &schema).map_err(from_datafusion)?;
    check_of_one_row(&expr, "column generation expressions")?;
    if expr.is_volatile() {
        return Err(Error::invalid(format!("column {name:?} is generated by an expression that is not immutable"))
            .with_code("42P17"));
    }
    for column in expr.column_refs() {
        let id = table.top_columns().find(|known| known.name == column.name).map(|known| known.id);
        if id.is_some_and(|id| table.rules.generated_of(id).is_some()) {
            return Err(Error::invalid(format!(
                "column {name:?} cannot be generated from {:?}, which is generated too",
                column.name
            ))
            .with_code("42P17"));
        }
    }
    let known = table.schema();
    let field = known.field_with_name(name).map_err(|error| Error::internal(error.to_string()))?;
    Ok((schema, cast(expr, field.data_type().clone())))
}

/// Who owns the table that rejected rows were to go into, if it is not new itself: theirs are the rejected ones too.
fn owner_of_loaded(thing: &Unowned, made: &[Unowned], view: &Snapshot) -> Option<i64> {
    let name = view.name_of(view.tables.get(&thing.id)?);
    let loaded = view.table(&TableName::new(&name.schema, name.table.strip_suffix(REJECTS)?))?;
    if made.iter().any(|other| other.id == loaded.id) {
        return None;
    }
    Some(view.access(loaded.id).and_then(|access| access.owner).unwrap_or(OWNER_OID))
}

#[async_trait]
impl RuleKeeper for Keeper {
    fn owned(&self, author: Option<&str>, made: &[Unowned], view: &Snapshot) -> Vec<(i64, Access)> {
        let Ok(engine) = self.engine() else { return Vec::new() };
        let book = engine.authority.known();
        let owner = author.and_then(|author| book.find(author)).map_or(OWNER_OID, |role| role.oid);
        let who = book.who(owner, owner);
        let owned = |thing: &Unowned| match owner_of_loaded(thing, made, view) {
            Some(owner) if owner != who.role => access_of_new(&book.who(owner, owner), thing, view),
            _ => access_of_new(&who, thing, view),
        };
        made.iter().filter_map(|thing| Some((thing.id, owned(thing)?))).collect()
    }

    fn row_rules(&self, table: &TableState) -> Result<Vec<RowRule>> {
        let engine = self.engine()?;
        let generated = table.rules.generated.iter().map(|generated| {
            let column = table.top_columns().find(|column| column.id == generated.column);
            let name = column.map(|column| column.name.as_str()).unwrap_or_default();
            let at = table.arrow_schema.index_of(name).map_err(|error| Error::internal(error.to_string()))?;
            let (schema, expr) = plan_generated(&engine, table, name, &generated.sql)?;
            let expr = physical(&engine, schema, expr)?;
            Ok(RowRule::Generate { column: at, expr })
        });
        let checks = table.rules.checks.iter().map(|check| {
            let (schema, expr) = plan_condition(&engine, table, &check.sql)?;
            let expr = physical(&engine, schema, expr)?;
            Ok(RowRule::Check { name: check.name.clone(), expr })
        });
        generated.chain(checks).collect()
    }

    fn defaults(
        &self,
        name: &TableName,
        table: &Arc<TableState>,
        columns: &[String],
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let mut state = SessionState::clone(&self.engine()?.template);
        state.mark_start_execution();
        let target = Target::whole(name.clone(), Arc::clone(table));
        columns.iter().map(|column| plan_default(&state, &target, column)).collect()
    }

    async fn duplicate(
        &self,
        view: &Arc<Snapshot>,
        table: &TableName,
        columns: &[String],
        new: Option<&RecordBatch>,
    ) -> Result<Option<RecordBatch>> {
        let frame = self.rows(view, table).await?;
        let duplicates = || {
            let (frame, keys) = (DataFrame::clone(&frame), fields(columns));
            let frame = match new {
                Some(new) => {
                    let Some(condition) = any_of(&keys, new)? else { return Ok(None) };
                    frame.filter(condition).and_then(|frame| frame.select(keys))
                }
                None => twice(frame, keys),
            };
            frame.map(Some).map_err(from_datafusion)
        };
        match duplicates()? {
            Some(frame) => any_row(frame).await,
            None => Ok(None),
        }
    }

    async fn found(
        &self,
        view: &Arc<Snapshot>,
        table: &TableName,
        columns: &[String],
        keys: &RecordBatch,
    ) -> Result<Vec<RecordBatch>> {
        let frame = self.rows(view, table).await?;
        let Some(condition) = any_of(&fields(columns), keys)? else { return Ok(Vec::new()) };
        let frame = DataFrame::clone(&frame).filter(condition).and_then(|frame| frame.select(fields(columns)));
        all_rows(frame.map_err(from_datafusion)?).await
    }

    async fn broken(
        &self,
        rows: &Arc<Snapshot>,
        view: &Arc<Snapshot>,
        reference: &Reference,
    ) -> Result<Option<Broken>> {
        let columns = reference.columns();
        let child = self.rows(rows, &rows.name_of(&reference.child)).await?;
        if reference.key.full && columns.len() > 1 && any_row(mixed(&child, &columns)?).await?.is_some() {
            return Ok(Some(Broken::Mixed));
        }
        let parent = self.rows(view, &view.name_of(&reference.parent)).await?;
        let frame =
            dangling(DataFrame::clone(&child), fields(&columns), DataFrame::clone(&parent), &reference.referenced());
        Ok(any_row(frame.map_err(from_datafusion)?).await?.map(|batch| Broken::Missing(values(&batch, 0))))
    }
}

fn fields(columns: &[String]) -> Vec<Expr> {
    columns.iter().map(|name| Expr::Column(Column::from_name(name))).collect()
}

/// Rows in which some of the columns have values and others have none.
fn mixed(frame: &DataFrame, columns: &[String]) -> Result<DataFrame> {
    let any = |some: &dyn Fn(Expr) -> Expr| {
        fields(columns).into_iter().map(some).reduce(Expr::or).unwrap_or_else(|| lit(false))
    };
    frame.clone().filter(any(&Expr::is_null).and(any(&Expr::is_not_null))).map_err(from_datafusion)
}

/// The values of rows that refer to none of another table's.
fn dangling(
    child: DataFrame,
    own: Vec<Expr>,
    parent: DataFrame,
    referenced: &[String],
) -> datafusion::common::Result<DataFrame> {
    let given = |at: usize| format!("given {at}");
    let wanted = |at: usize| format!("wanted {at}");
    let mut child =
        child.select(own.into_iter().enumerate().map(|(at, key)| key.alias(given(at))).collect::<Vec<_>>())?;
    for at in 0..referenced.len() {
        child = child.filter(Expr::Column(Column::from_name(given(at))).is_not_null())?;
    }
    let keys = referenced.iter().enumerate();
    let keys = keys.map(|(at, name)| Expr::Column(Column::from_name(name)).alias(wanted(at))).collect::<Vec<_>>();
    let equal = (0..referenced.len())
        .map(|at| Expr::Column(Column::from_name(given(at))).eq(Expr::Column(Column::from_name(wanted(at)))));
    child.join_on(parent.select(keys)?, JoinType::LeftAnti, equal.collect::<Vec<_>>())
}

fn all_rows(frame: DataFrame) -> BoxFuture<'static, Result<Vec<RecordBatch>>> {
    Box::pin(async { frame.collect().await.map_err(from_datafusion) })
}

/// One row, if there is any.
fn any_row(frame: DataFrame) -> BoxFuture<'static, Result<Option<RecordBatch>>> {
    Box::pin(first_row(frame))
}

async fn first_row(frame: DataFrame) -> Result<Option<RecordBatch>> {
    let mut rows = frame.limit(0, Some(1)).map_err(from_datafusion)?.execute_stream().await.map_err(from_datafusion)?;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(from_datafusion)?;
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

/// Rows whose key is one of those in `new`; `None` when none of them is complete.
fn any_of(keys: &[Expr], new: &RecordBatch) -> Result<Option<Expr>> {
    let value =
        |column: usize, row: usize| ScalarValue::try_from_array(new.column(column), row).map_err(from_datafusion);
    let complete: Vec<usize> =
        (0..new.num_rows()).filter(|row| new.columns().iter().all(|column| column.is_valid(*row))).collect();
    if complete.is_empty() {
        return Ok(None);
    }
    if let [key] = keys {
        let list = complete.iter().map(|row| value(0, *row).map(|value| lit(value))).collect::<Result<Vec<_>>>()?;
        return Ok(Some(key.clone().in_list(list, false)));
    }
    let mut any: Option<Expr> = None;
    for row in complete {
        let mut all: Option<Expr> = None;
        for (column, key) in keys.iter().enumerate() {
            let equal = key.clone().eq(lit(value(column, row)?));
            all = Some(all.map_or(equal.clone(), |all| all.and(equal)));
        }
        let Some(all) = all else { continue };
        any = Some(any.map_or(all.clone(), |any| any.or(all)));
    }
    Ok(any)
}

/// Keys that are there more than once. An aggregation spills when it must.
fn twice(frame: DataFrame, keys: Vec<Expr>) -> datafusion::common::Result<DataFrame> {
    let mut frame = frame;
    for key in &keys {
        frame = frame.filter(key.clone().is_not_null())?;
    }
    let times = "how often";
    frame
        .aggregate(keys.clone(), vec![count(lit(1)).alias(times)])?
        .filter(Expr::Column(Column::from_name(times)).gt(lit(1)))?
        .select(keys)
}
