//! The lake as DataFusion's catalog: one snapshot, or a transaction's own view of it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};
use datafusion::sql::parser::Statement as Parsed;
use polder_lake::{Lake, LakeTable, Snapshot, TableName, TransactionCell, ViewState};
use polder_types::Error;

use crate::inline::{Functions, calls_others, expand};
use crate::parse::parse_kept;
use crate::semantics::with_lengths;
use crate::statement::origins;
use crate::statement::travel::{self, Point};
use crate::system::pg_catalog::{PgCatalog, World};
use crate::system::{InformationSchema, SystemSchema, Views};

/// Views that stand on views, and so on.
const VIEW_DEPTH_MAX: usize = 32;

/// The catalog in which every table shows the ids of its rows, for UPDATE and DELETE.
pub(crate) const ROWS_CATALOG: &str = "polder$rows";

/// The catalog of what a statement brings along: the rows that an INSERT is about to make, in the schema `input`.
pub(crate) const INPUT_CATALOG: &str = "polder$input";

/// What a statement sees.
pub(crate) struct View {
    pub lake: Arc<Lake>,
    pub snapshot: Arc<Snapshot>,
    pub world: World,
    /// Set when the statement may insert.
    pub writer: Option<TransactionCell>,
    pub system: Arc<SystemSchema>,
    /// Plans the views. Set once the state exists that this catalog is part of; weak, since that state holds us.
    pub planner: OnceLock<Weak<SessionState>>,
    pub depth: AtomicUsize,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("snapshot", &self.snapshot.id).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct LakeCatalog {
    pub view: Arc<View>,
    /// Tables with row ids, and nothing else.
    pub rows: bool,
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.view.snapshot.schemas.values().map(|schema| schema.name.clone()).collect();
        // DuckDB makes a schema `main` in every lake; as long as nothing is in it, it only confuses.
        names.retain(|name| name != "main" || !self.view.snapshot.names_in("main").is_empty());
        names.push("polder".into());
        names.push("information_schema".into());
        names.push("pg_catalog".into());
        names.sort();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == "polder" {
            let views = Arc::new(PlannedViews(Arc::clone(&self.view)));
            return (!self.rows).then(|| Arc::new(self.view.system.with_views(views)) as _);
        }
        if name == "information_schema" {
            let (snapshot, views) = (Arc::clone(&self.view.snapshot), Arc::new(PlannedViews(Arc::clone(&self.view))));
            return (!self.rows).then(|| Arc::new(InformationSchema { snapshot, views }) as _);
        }
        if name == "pg_catalog" {
            let (world, views) = (self.view.world.clone(), Arc::new(PlannedViews(Arc::clone(&self.view))));
            return (!self.rows).then(|| Arc::new(PgCatalog { world, views }) as _);
        }
        self.view.snapshot.schema(name)?;
        Some(Arc::new(LakeSchema { view: Arc::clone(&self.view), name: name.to_owned(), rows: self.rows }))
    }
}

/// The columns of views, by planning them.
struct PlannedViews(Arc<View>);

#[async_trait]
impl Views for PlannedViews {
    async fn columns(&self, schema: &str, view: &str) -> Option<SchemaRef> {
        let schema = LakeSchema { view: Arc::clone(&self.0), name: schema.to_owned(), rows: false };
        // One that cannot be planned any more has no columns.
        schema.table(view).await.ok().flatten().map(|table| table.schema())
    }
}

#[derive(Debug)]
struct LakeSchema {
    view: Arc<View>,
    name: String,
    rows: bool,
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        self.view.snapshot.names_in(&self.name)
    }

    fn table_exist(&self, name: &str) -> bool {
        let full = TableName::new(&self.name, name);
        self.view.snapshot.table(&full).is_some() || self.view.snapshot.view(&full).is_some()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let full = TableName::new(&self.name, name);
        let view = &self.view;
        if let Some(table) = view.snapshot.table(&full) {
            if table.rules.materialized.as_ref().is_some_and(|materialized| materialized.snapshot.is_none()) {
                return Err(external(
                    Error::invalid(format!("materialized view {full} has not been populated"))
                        .with_code("55000")
                        .with_hint("REFRESH MATERIALIZED VIEW"),
                ));
            }
            let opened = if self.rows {
                LakeTable::open_with_row_ids(&view.lake, &view.snapshot, full, table)
            } else {
                LakeTable::open(&view.lake, &view.snapshot, full, table, view.writer.clone())
            };
            return opened.map_err(external).and_then(|opened| shown(opened, self.rows)).map(Some);
        }
        if let Some((table, point)) = travel::travelled(&full.table) {
            return self.at(&TableName::new(&self.name, table), &point).await.map(Some).map_err(external);
        }
        match view.snapshot.view(&full) {
            Some(definition) if !self.rows => self.plan_view(&full, definition).await.map(Some),
            _ => Ok(None),
        }
    }
}

/// A table without the columns that a materialized view keeps for itself.
fn shown(table: LakeTable, rows: bool) -> DataFusionResult<Arc<dyn TableProvider>> {
    let state = Arc::clone(table.state());
    let shown = state.shown_columns();
    if rows || shown == state.arrow_schema.fields().len() {
        return Ok(Arc::new(table));
    }
    let columns = state.arrow_schema.fields().iter().take(shown).map(|field| ident(field.name()));
    let plan = LogicalPlanBuilder::scan("kept", provider_as_source(Arc::new(table)), None)?
        .project(columns.collect::<Vec<_>>())?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

impl LakeSchema {
    /// A table as it was in another version.
    async fn at(&self, name: &TableName, point: &Point) -> polder_types::Result<Arc<dyn TableProvider>> {
        let view = &self.view;
        let state = view.planner.get().and_then(Weak::upgrade);
        let state = state.ok_or_else(|| Error::internal("a table was asked for outside of a statement"))?;
        let snapshot = view.lake.snapshot(travel::resolve(point, &state).await?).await?;
        let Some(table) = snapshot.table(name) else {
            let error = Error::not_found(format!("table {name} is not in version {}", snapshot.id)).with_code("42P01");
            return Err(match snapshot.view(name) {
                Some(_) => error.with_hint(format!("{name} is a view there; SET snapshot = {}", snapshot.id)),
                None => error.with_hint("SELECT * FROM polder.snapshots lists the versions that are kept"),
            });
        };
        let opened = if self.rows {
            LakeTable::open_with_row_ids(&view.lake, &snapshot, name.clone(), table)
        } else {
            LakeTable::open(&view.lake, &snapshot, name.clone(), table, None)
        };
        shown(opened?, self.rows).map_err(crate::error::from_datafusion)
    }

    /// Puts functions' bodies in the place of a view's calls.
    fn expand(&self, statement: &mut Parsed, state: &SessionState) -> polder_types::Result<()> {
        let Parsed::Statement(statement) = statement else { return Ok(()) };
        if !calls_others(statement.as_ref(), state) {
            return Ok(());
        }
        let path = [self.name.clone()];
        expand(statement.as_mut(), &Functions { snapshot: &self.view.snapshot, path: &path, state })
    }

    async fn plan_view(&self, name: &TableName, definition: &ViewState) -> DataFusionResult<Arc<dyn TableProvider>> {
        let Some(state) = self.view.planner.get().and_then(Weak::upgrade) else {
            return Err(external(Error::internal("a view was asked for outside of a statement")));
        };
        if self.view.depth.fetch_add(1, Ordering::SeqCst) >= VIEW_DEPTH_MAX {
            self.view.depth.fetch_sub(1, Ordering::SeqCst);
            return Err(external(Error::invalid(format!(
                "view {name} stands on itself, or on more than {VIEW_DEPTH_MAX} others"
            ))));
        }
        // A view that DuckDB made names its tables relative to its own schema.
        let mut state = state.as_ref().clone();
        state.config_mut().options_mut().catalog.default_schema.clone_from(&self.name);
        let planned = match parse_kept(&definition.sql) {
            Ok(mut statement) => match self.expand(&mut statement, &state) {
                Ok(()) => Box::pin(state.statement_to_plan(statement)).await.and_then(with_lengths),
                Err(error) => Err(external(error)),
            },
            Err(error) => Err(external(error)),
        };
        self.view.depth.fetch_sub(1, Ordering::SeqCst);
        let plan = planned.map_err(|error| {
            let inner = crate::error::from_datafusion(error);
            // Its position is one in the view's text, not in the statement's.
            external(Error::new(inner.kind(), format!("view {name}: {}", inner.message())).with_code(inner.code()))
        })?;
        // So that a column is known to be the view's, and not that of a table under it.
        let mark = origins::view_mark(&name.schema, &name.table);
        let plan = LogicalPlanBuilder::from(plan).alias(mark)?.build()?;
        Ok(Arc::new(ViewTable::new(plan, Some(definition.sql.clone()))))
    }
}
