//! What a statement takes and gives, told before it is run: the types of its parameters, and its columns.
//!
//! Types that the caller does not know are found in two ways: where a parameter stands alone for a column, in VALUES or
//! SET, it has the column's; elsewhere the planner says what it is compared with. What is still unknown then may be
//! anything, and is a text.

mod beside;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, LimitClause, OnConflictAction, OnInsert, Query,
    SelectItem, SetExpr, Statement, TableObject, Update, UpdateTableFromKind, Value,
};
use futures::future::BoxFuture;
use polder_capability::{Caller, Description};
use polder_lake::{Snapshot, TransactionCell};
use polder_sql_tree::visit_expressions;
use polder_types::{Error, ErrorKind, Result};

use super::access_keys::{self, AccessKeyStatement};
use super::jobs::JobStatement;
use super::may::open_cell;
use super::names::parts;
use super::target::{Target, parse_query, select_of};
use super::{Context, estimate, explain, joins, names_out, origins, query};
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::forms::Extras;
use crate::functions::types;
use crate::parse::{Filling, ParsedStatement, parameters, parse_with};
use crate::record::Running;
use crate::rewrite::names::of_own_query;
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::session::{Inner, Settings};

/// As many as the protocol's count holds.
const PARAMETERS_MAX: usize = 65_535;

/// The types of parameters, by their number from 0.
type Found = HashMap<usize, FieldRef>;

impl Engine {
    pub(crate) fn describe<'a>(
        self: &'a Arc<Self>,
        caller: &'a Caller,
        inner: &'a mut Inner,
        sql: &'a str,
        types: &'a [Option<String>],
        running: &'a Arc<Running>,
    ) -> BoxFuture<'a, Result<Description>> {
        Box::pin(self.describe_planned(caller, inner, sql, types, running))
    }

    async fn describe_planned(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        sql: &str,
        types: &[Option<String>],
        running: &Arc<Running>,
    ) -> Result<Description> {
        let count = parameters(sql)?.max(types.len());
        if count > PARAMETERS_MAX {
            return Err(
                Error::new(ErrorKind::TooLarge, format!("more than {PARAMETERS_MAX} parameters")).with_code("54023")
            );
        }
        let known = |at: usize| types.get(at).cloned().flatten();
        let unknown: Arc<Field> = Arc::new(Field::new("", DataType::Null, true));
        let mut parameters = vec![Arc::clone(&unknown); count];
        let mut names: Vec<Option<String>> = (0..count).map(known).collect();
        if names.iter().any(Option::is_none) {
            let open = |name: &Option<String>| match name {
                Some(_) => Filling::null(name.clone()),
                None => Filling::Open,
            };
            let fillings: Vec<Filling> = names.iter().map(open).collect();
            let statement = single(parse_with(sql, &fillings)?)?;
            let view = self.describing(caller, inner, statement, running).await?;
            for (at, field) in view.inferred().await {
                if let (Some(slot), Some(name)) = (parameters.get_mut(at), names.get_mut(at))
                    && name.is_none()
                {
                    *name = Some(types::field_name(&field)).filter(|name| name != "unknown" && name != "record");
                    *slot = field;
                }
            }
        }
        let nulls: Vec<Filling> = names.into_iter().map(Filling::null).collect();
        let statement = single(parse_with(sql, &nulls)?)?;
        let schema = self.describing(caller, inner, statement, running).await?.columns().await?;
        Ok(Description { parameters, schema })
    }

    /// The statement with all that planning it needs.
    async fn describing(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: Option<ParsedStatement>,
        running: &Arc<Running>,
    ) -> Result<View> {
        let nothing = || View { scope: None, schema: String::new(), statement: None, explained: None };
        let gives = |columns| View { explained: Some(columns), ..nothing() };
        let (mut statement, explained) = match statement {
            Some(ParsedStatement::AccessKey(AccessKeyStatement::Create { .. })) => {
                return Ok(gives(access_keys::made_schema()));
            }
            Some(ParsedStatement::Job(JobStatement::Run(_))) => return Ok(gives(texts(&["run_id"]))),
            Some(ParsedStatement::Standard(statement)) => (statement, None),
            Some(ParsedStatement::Extended(statement, extras)) => {
                let estimate = extras.estimate.map(estimate::columns);
                (statement, estimate.or_else(|| extras.plan_json.then(explain::columns)))
            }
            Some(
                ParsedStatement::Job(_)
                | ParsedStatement::Delivery(_)
                | ParsedStatement::AccessKey(_)
                | ParsedStatement::Topic(_)
                | ParsedStatement::Role(_)
                | ParsedStatement::Refresh(_),
            )
            | None => {
                return Ok(nothing());
            }
        };
        if ends_a_transaction(&statement) {
            return Ok(nothing());
        }
        self.identify_in(caller, inner).await?;
        let open = open_cell(inner)?;
        let settings = self.resolve(inner.settings.clone(), open.as_ref(), &mut statement).await?;
        // What it reads is asked for when it is run.
        let settings = Settings { who: settings.who.defining(), ..settings };
        let extras = Extras::default();
        let context =
            Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
        let scope = context.describing_scope(open.as_ref()).await?;
        Ok(View { scope: Some(scope), schema: settings.schema, statement: Some(statement), explained })
    }
}

impl Context<'_> {
    async fn describing_scope(&self, open: Option<&TransactionCell>) -> Result<Scope> {
        let snapshot: Arc<Snapshot> = match open {
            Some(cell) => Arc::clone(cell.lock().await.as_ref().ok_or_else(super::ended)?.view()),
            None => self.engine.lake.snapshot(self.settings.version).await?,
        };
        Ok(self.engine.scope(snapshot, None, self.settings))
    }
}

fn single(mut statements: Vec<ParsedStatement>) -> Result<Option<ParsedStatement>> {
    if statements.len() > 1 {
        return Err(Error::invalid("cannot insert multiple commands into a prepared statement").with_code("42601"));
    }
    Ok(statements.pop())
}

fn ends_a_transaction(statement: &Parsed) -> bool {
    matches!(statement, Parsed::Statement(inner) if matches!(
        inner.as_ref(),
        Statement::Commit { .. } | Statement::Rollback { .. } | Statement::StartTransaction { .. }
    ))
}

/// A statement, and what it is planned in.
struct View {
    scope: Option<Scope>,
    schema: String,
    statement: Option<Parsed>,
    /// The columns of what EXPLAIN tells, where that is no plan in words, and of statements that are not planned.
    explained: Option<SchemaRef>,
}

impl View {
    /// The columns of the rows that the statement gives.
    async fn columns(&self) -> Result<Option<SchemaRef>> {
        let (Some(scope), Some(statement)) = (&self.scope, &self.statement) else {
            return Ok(self.explained.clone());
        };
        let inner = match statement {
            Parsed::Statement(inner) => inner.as_ref(),
            Parsed::Explain(_) => {
                let plans = || texts(&["plan_type", "plan"]);
                return Ok(Some(self.explained.clone().unwrap_or_else(plans)));
            }
            _ => return Ok(None),
        };
        match inner {
            Statement::Query(_) => Ok(Some(self.query_columns(scope, statement.clone()).await?)),
            Statement::ShowVariable { variable } => {
                let name = variable.iter().map(super::fold).collect::<Vec<_>>().join("_");
                Ok(Some(texts(&[&name])))
            }
            Statement::ShowTables { .. } | Statement::ShowColumns { .. } | Statement::ShowFunctions { .. } => {
                Ok(Some(self.query_columns(scope, statement.clone()).await?))
            }
            Statement::Insert(insert) => {
                let TableObject::TableName(name) = &insert.table else { return Ok(None) };
                let written = match &insert.table_alias {
                    Some(alias) => format!("{name} AS {}", alias.alias),
                    None => name.to_string(),
                };
                self.returned(scope, &written, insert.returning.as_deref(), String::new()).await
            }
            Statement::Update(update) => {
                let from = match &update.from {
                    Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => listed(from),
                    None => String::new(),
                };
                self.returned(scope, &update.table.to_string(), update.returning.as_deref(), from).await
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                let table = from.first().map(ToString::to_string).unwrap_or_default();
                let using = delete.using.as_deref().map(listed).unwrap_or_default();
                self.returned(scope, &table, delete.returning.as_deref(), using).await
            }
            _ => Ok(None),
        }
    }

    /// The columns of RETURNING: those of a query of the table and the others that the statement names.
    async fn returned(
        &self,
        scope: &Scope,
        table: &str,
        items: Option<&[SelectItem]>,
        others: String,
    ) -> Result<Option<SchemaRef>> {
        let Some(items) = items else { return Ok(None) };
        let mut query = parse_query(&format!("SELECT 1 FROM {table}{others}"))?;
        select_of(&mut query)?.projection = items.to_vec();
        of_own_query(&mut query);
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        Ok(Some(self.query_columns(scope, statement).await?))
    }

    async fn query_columns(&self, scope: &Scope, mut statement: Parsed) -> Result<SchemaRef> {
        names_out::number_repeated(&mut statement);
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion)?;
        let plan = query::with_names(plan).map_err(from_datafusion)?;
        let physical = joins::physical(&scope.state, &plan).await.map_err(from_datafusion)?;
        let schema = query::declared(&physical.schema(), plan.schema().as_arrow());
        let schema = origins::told(&schema, &plan, &scope.snapshot, &self.schema);
        Ok(names_out::restored(&schema))
    }

    /// What parameters without a type are. That something cannot be planned is told when the columns are asked for.
    async fn inferred(&self) -> Found {
        let mut found = Found::new();
        let (Some(scope), Some(Parsed::Statement(statement))) = (&self.scope, &self.statement) else { return found };
        self.cast_types(scope, statement, &mut found).await;
        match statement.as_ref() {
            Statement::Query(query) => self.in_query(&scope.state, query, &mut found).await,
            Statement::Insert(insert) => self.in_insert(scope, insert, &mut found).await,
            Statement::Update(update) => self.in_update(scope, update, &mut found).await,
            Statement::Delete(delete) => self.in_delete(scope, delete, &mut found).await,
            _ => {}
        }
        found
    }

    async fn in_query(&self, state: &SessionState, query: &Query, found: &mut Found) {
        let integer: FieldRef = Arc::new(Field::new("", DataType::Int64, true));
        let bounds: Vec<&Expr> = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter().chain(offset.iter().map(|offset| &offset.value)).collect()
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => vec![offset, limit],
            None => Vec::new(),
        };
        for at in bounds.into_iter().filter_map(place) {
            found.entry(at).or_insert_with(|| Arc::clone(&integer));
        }
        beside::in_series(state, query, found);
        let mut statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query.clone()))));
        names_out::number_repeated(&mut statement);
        if let Ok(plan) = whole_numbers::plan(&state, statement).await {
            planned(&plan, found);
            beside::in_plan(&plan, found);
        }
    }

    async fn in_insert(&self, scope: &Scope, insert: &Insert, found: &mut Found) {
        let TableObject::TableName(name) = &insert.table else { return };
        let Some(target) = self.target(scope, &name.to_string()) else { return };
        let last = |name| parts(name).ok().and_then(|mut parts| parts.pop());
        let columns: Vec<String> = match insert.columns.as_slice() {
            [] => target.columns().map(str::to_owned).collect(),
            listed => listed.iter().filter_map(last).collect(),
        };
        let mut take = |exprs: &[&Expr]| {
            for (expr, column) in exprs.iter().zip(&columns) {
                note(&target, expr, column, found);
            }
        };
        let source = insert.source.as_deref();
        match source.map(|query| query.body.as_ref()) {
            Some(SetExpr::Values(values)) => {
                values.rows.iter().for_each(|row| take(&row.content.iter().collect::<Vec<_>>()));
            }
            Some(SetExpr::Select(select)) => {
                let exprs = select.projection.iter().filter_map(|item| match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                    _ => None,
                });
                take(&exprs.collect::<Vec<_>>());
            }
            _ => {}
        }
        if let Some(OnInsert::OnConflict(conflict)) = &insert.on
            && let OnConflictAction::DoUpdate(update) = &conflict.action
        {
            assigned(&target, &update.assignments, found);
        }
        if let Some(query) = source {
            self.in_query(&scope.state, query, found).await;
        }
    }

    async fn in_update(&self, scope: &Scope, update: &Update, found: &mut Found) {
        let Some(target) = self.target(scope, &update.table.relation.to_string()) else { return };
        assigned(&target, &update.assignments, found);
        let values: Vec<Expr> = update.assignments.iter().map(|assignment| assignment.value.clone()).collect();
        let from = match &update.from {
            Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => listed(from),
            None => String::new(),
        };
        let Ok(mut query) = parse_query(&format!("SELECT 1 FROM {}{from}", update.table)) else { return };
        let Ok(select) = select_of(&mut query) else { return };
        select.selection.clone_from(&update.selection);
        let alone = |value: &Expr| place(value).is_some();
        let items = values.into_iter().filter(|value| !alone(value)).enumerate();
        select.projection.extend(
            items.map(|(at, expr)| SelectItem::ExprWithAlias {
                expr,
                alias: super::quoted_ident(&format!("value {at}")),
            }),
        );
        self.in_query(&scope.state, &query, found).await;
    }

    async fn in_delete(&self, scope: &Scope, delete: &Delete, found: &mut Found) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let Some(table) = from.first() else { return };
        let using = delete.using.as_deref().map(listed).unwrap_or_default();
        let Ok(mut query) = parse_query(&format!("SELECT 1 FROM {table}{using}")) else { return };
        let Ok(select) = select_of(&mut query) else { return };
        select.selection.clone_from(&delete.selection);
        self.in_query(&scope.state, &query, found).await;
    }

    /// `$1::date` says what it is.
    async fn cast_types(&self, scope: &Scope, statement: &Statement, found: &mut Found) {
        let mut casts: Vec<(usize, String)> = Vec::new();
        let _ = visit_expressions(statement, |expr| {
            if let Expr::Cast { expr, data_type, .. } = expr
                && let Some(at) = place(expr)
            {
                casts.push((at, data_type.to_string()));
            }
            ControlFlow::<()>::Continue(())
        });
        for (at, name) in casts {
            let Ok(query) = parse_query(&format!("SELECT CAST(NULL AS {name})")) else { continue };
            let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
            if let Ok(plan) = whole_numbers::plan(&scope.state, statement).await
                && let Some(field) = plan.schema().fields().first()
            {
                found.entry(at).or_insert_with(|| Arc::clone(field));
            }
        }
    }

    /// The table that is changed, by its name as written, perhaps with an alias.
    fn target(&self, scope: &Scope, written: &str) -> Option<Target> {
        let query = parse_query(&format!("SELECT 1 FROM {written}")).ok()?;
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        Target::of(select.from.first()?, scope, &self.schema).ok()
    }
}

/// The number, from 0, of a parameter that stands alone.
fn place(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => text.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        Expr::Nested(inner) => place(inner),
        _ => None,
    }
}

fn note(target: &Target, expr: &Expr, column: &str, found: &mut Found) {
    let schema = target.table.schema();
    if let (Some(at), Ok(field)) = (place(expr), schema.field_with_name(column)) {
        found.entry(at).or_insert_with(|| Arc::new(field.clone()));
    }
}

fn assigned(target: &Target, assignments: &[Assignment], found: &mut Found) {
    for Assignment { target: place, value } in assignments {
        let pairs: Vec<_> = match (place, value) {
            (AssignmentTarget::ColumnName(name), value) => vec![(name, value)],
            (AssignmentTarget::Tuple(names), Expr::Tuple(values)) => names.iter().zip(values).collect(),
            (AssignmentTarget::Tuple(_), _) => Vec::new(),
        };
        for (name, value) in pairs {
            if let Some(column) = parts(name).ok().and_then(|mut parts| parts.pop()) {
                note(target, value, &column, found);
            }
        }
    }
}

/// What the planner has found out.
fn planned(plan: &LogicalPlan, found: &mut Found) {
    // Two places that want different types of one parameter: the first one that is known counts, as a cast may help.
    let Ok(fields) = plan.get_parameter_fields() else { return };
    for (id, field) in fields {
        if let (Some(at), Some(field)) = (id.strip_prefix('$').and_then(|id| id.parse::<usize>().ok()), field)
            && let Some(at) = at.checked_sub(1)
            && *field.data_type() != DataType::Null
        {
            found.entry(at).or_insert(field);
        }
    }
}

fn listed<T: ToString>(tables: &[T]) -> String {
    tables.iter().map(|table| format!(", {}", table.to_string())).collect()
}

fn texts(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()))
}
