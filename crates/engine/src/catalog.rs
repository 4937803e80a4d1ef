//! The lake as DataFusion's catalog: one snapshot, or a transaction's own view of it.

mod views;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::common::Result as DataFusionResult;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};
use polder_lake::{Lake, LakeTable, Snapshot, TableName, TableState, TransactionCell};
use polder_types::Error;

use crate::authz::rights::{INSERT, SELECT};
use crate::authz::{Guarded, Readable, Rights, Who, word_of};
use crate::opaque::{Opaque, OpaqueWeak};
use crate::policies::{Asked, Bound, Given, Hidden, Purpose, Surroundings, govern, off};
use crate::statement::travel::{self, Point};
use crate::system::pg_catalog::{PgCatalog, World};
use crate::system::{InformationSchema, SystemSchema, Views, external};
use crate::topics::{self, TopicsSchema};

/// Views that stand on views, and so on.
const VIEW_DEPTH_MAX: usize = 32;

/// How the catalog's name begins in which the table that a statement changes shows the ids of its rows.
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
    /// The table whose rows the statement changes: the only one that shows their ids.
    pub changed: Option<Changed>,
    pub system: Arc<SystemSchema>,
    /// Plans the views. Set once the state exists that this catalog is part of; weak, since that state holds us.
    pub planner: OnceLock<OpaqueWeak<SessionState>>,
    pub depth: AtomicUsize,
}

/// A table that is changed, as the query sees it that finds the rows.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    pub name: TableName,
    pub asked: Asked,
}

impl Changed {
    /// The name of the catalog that has it. Nobody but the statement knows it: there may be more rows in it than whoever
    /// runs the statement may read.
    pub fn catalog(&self) -> String {
        self.asked.hidden.as_ref().map_or_else(|| ROWS_CATALOG.to_owned(), Hidden::catalog)
    }
}

impl View {
    /// What a statement sees of a snapshot, before it has a planner.
    pub fn of(
        world: &World,
        snapshot: Arc<Snapshot>,
        writer: Option<TransactionCell>,
        changed: Option<Changed>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lake: Arc::clone(&world.engine().lake),
            snapshot,
            world: world.clone(),
            writer,
            changed,
            system: Arc::new(SystemSchema::new(world)),
            planner: OnceLock::new(),
            depth: AtomicUsize::new(0),
        })
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("snapshot", &self.snapshot.id).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct LakeCatalog {
    view: Arc<View>,
    /// Tables with row ids, and nothing else.
    rows: bool,
    /// With whose rights tables are read.
    who: Who,
}

impl LakeCatalog {
    /// The catalog of whoever runs the statement.
    pub fn new(view: &Arc<View>, rows: bool) -> Self {
        Self::of(view, rows, view.world.who().clone())
    }

    /// The catalog of somebody whose rights a part of the statement has.
    pub fn of(view: &Arc<View>, rows: bool, who: Who) -> Self {
        Self { view: Arc::clone(view), rows, who }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.view.snapshot.schemas.values().map(|schema| schema.name.clone()).collect();
        // DuckDB makes a schema `main` in every lake; as long as nothing is in it, it only confuses.
        names.retain(|name| name != "main" || !self.view.snapshot.names_in("main").is_empty());
        names.extend(["polder", "information_schema", "pg_catalog", topics::SCHEMA].map(str::to_owned));
        names.sort();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == "polder" {
            let views = Arc::new(PlannedViews(Arc::clone(&self.view)));
            return (!self.rows).then(|| Arc::new(self.view.system.with_views(views)) as _);
        }
        let (world, views) = (self.view.world.clone(), || Arc::new(PlannedViews(Arc::clone(&self.view))));
        if name == "information_schema" {
            return (!self.rows).then(|| Arc::new(InformationSchema::new(world, views())) as _);
        }
        if name == "pg_catalog" {
            return (!self.rows).then(|| Arc::new(PgCatalog { world, views: views() }) as _);
        }
        let (view, who) = (Arc::clone(&self.view), Some(self.who.clone()));
        let in_lake = LakeSchema { view, name: name.to_owned(), rows: self.rows, who };
        let in_lake = self.view.snapshot.schema(name).map(|_| Arc::new(in_lake) as Arc<dyn SchemaProvider>);
        if name == topics::SCHEMA && !self.rows {
            return Some(Arc::new(TopicsSchema::new(&self.view.world, &self.who, in_lake)));
        }
        in_lake
    }
}

/// The columns of views, by planning them.
struct PlannedViews(Arc<View>);

#[async_trait]
impl Views for PlannedViews {
    async fn columns(&self, schema: &str, view: &str) -> Option<SchemaRef> {
        let schema = LakeSchema { view: Arc::clone(&self.0), name: schema.to_owned(), rows: false, who: None };
        // One that cannot be planned any more has no columns.
        schema.table(view).await.ok().flatten().map(|table| table.schema())
    }
}

#[derive(Debug)]
struct LakeSchema {
    view: Arc<View>,
    name: String,
    rows: bool,
    /// With whose rights tables are read; `None` when only their columns are looked at.
    who: Option<Who>,
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
        if self.rows && view.changed.as_ref().is_none_or(|changed| changed.name != full) {
            return Ok(None);
        }
        // Whoever may not use a schema is not told what is in it.
        if let Some(who) = self.who.as_ref().filter(|_| !self.rows) {
            Rights::new(who, &view.snapshot).use_schema(&self.name).map_err(external)?;
        }
        if let Some(table) = view.snapshot.table(&full) {
            if table.rules.materialized.as_ref().is_some_and(|materialized| materialized.snapshot.is_none()) {
                return Err(external(
                    Error::invalid(format!("materialized view {full} has not been populated"))
                        .with_code("55000")
                        .with_hint("REFRESH MATERIALIZED VIEW"),
                ));
            }
            let guard = self.guard(self.who.as_ref(), &view.snapshot, &full, table.id, word_of(table));
            let guard = guard.map_err(external)?;
            let opened = if self.rows {
                LakeTable::open_with_row_ids(&view.lake, &view.snapshot, full.clone(), table)
            } else {
                LakeTable::open(&view.lake, &view.snapshot, full.clone(), table, view.writer.clone())
            };
            let opened = opened.map_err(external).and_then(|opened| shown(opened, self.rows))?;
            if let Some(named) = only_named(self.who.as_ref(), guard.as_ref(), &opened) {
                return Ok(Some(named));
            }
            // Of what nobody reads, nothing need be hidden.
            let opened = match &guard {
                Some(guard) if guard.columns.is_empty() => opened,
                _ => self.governed(self.who.as_ref(), &view.snapshot, &full, table, opened).await.map_err(external)?,
            };
            return Ok(Some(guarded(opened, guard, table)));
        }
        if let Some((table, point)) = travel::travelled(&full.table) {
            return self.at(&TableName::new(&self.name, table), &point).await.map(Some).map_err(external);
        }
        match view.snapshot.view(&full) {
            Some(definition) if !self.rows => {
                let guard = self.guard(self.who.as_ref(), &view.snapshot, &full, definition.id, "view");
                let guard = guard.map_err(external)?;
                let planned = self.plan_view(&full, definition).await?;
                if let Some(named) = only_named(self.who.as_ref(), guard.as_ref(), &planned) {
                    return Ok(Some(named));
                }
                let Some(guard) = guard else { return Ok(Some(planned)) };
                let fields = planned.schema();
                let places = (1_i64..).zip(fields.fields());
                let columns = places.map(|(place, field)| (place, field.name().clone()));
                Ok(Some(guard.around(Arc::clone(&planned), columns)))
            }
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

/// The columns of a thing that may be read, and what is said to whoever reads others.
struct Guard {
    columns: BTreeSet<i64>,
    refusal: Error,
}

impl Guard {
    fn around(
        self,
        table: Arc<dyn TableProvider>,
        columns: impl Iterator<Item = (i64, String)>,
    ) -> Arc<dyn TableProvider> {
        let allowed = columns.filter(|(id, _)| self.columns.contains(id)).map(|(_, name)| name).collect();
        Arc::new(Guarded::new(table, allowed, self.refusal))
    }
}

fn guarded(opened: Arc<dyn TableProvider>, guard: Option<Guard>, table: &TableState) -> Arc<dyn TableProvider> {
    match guard {
        Some(guard) => guard.around(opened, table.top_columns().map(|column| (column.id, column.name.clone()))),
        None => opened,
    }
}

/// What may not be read, for a statement that is only planned: its columns, and none of its rows.
fn only_named(
    who: Option<&Who>,
    guard: Option<&Guard>,
    opened: &Arc<dyn TableProvider>,
) -> Option<Arc<dyn TableProvider>> {
    let is_named = guard.is_some() && who.is_some_and(|who| who.defines);
    is_named.then(|| Arc::new(EmptyTable::new(opened.schema())) as _)
}

/// The refusal of a policy that reads its own table.
fn recursion(name: &TableName) -> Error {
    Error::invalid(format!("infinite recursion detected in policy for relation \"{}\"", name.table))
        .with_code("42P17")
        .with_hint("a policy that reads its own table does so by a view, whose owner it does not bind")
}

impl LakeSchema {
    /// What keeps somebody from columns; `None`: nothing does.
    ///
    /// # Errors
    /// `Forbidden` (42501) for a table or view of which they may read nothing.
    fn guard(
        &self,
        who: Option<&Who>,
        snapshot: &Snapshot,
        name: &TableName,
        id: i64,
        word: &str,
    ) -> polder_types::Result<Option<Guard>> {
        // Tables with row ids are those that a statement changes, of which it has been asked before.
        let Some(who) = who.filter(|who| !who.superuser && !self.rows) else { return Ok(None) };
        let rights = Rights::new(who, snapshot);
        let readable = rights.readable(name, id)?;
        let refusal = || rights.denied_on(word, name, id, SELECT);
        match readable {
            Readable::All => Ok(None),
            Readable::Columns(columns) => {
                self.view.world.note_guard();
                Ok(Some(Guard { columns, refusal: refusal() }))
            }
            // It may be what rows go into.
            Readable::Nothing if self.view.writer.is_some() && rights.on_any_column(id) & INSERT != 0 => {
                Ok(Some(Guard { columns: BTreeSet::new(), refusal: refusal() }))
            }
            Readable::Nothing if who.defines => Ok(Some(Guard { columns: BTreeSet::new(), refusal: refusal() })),
            Readable::Nothing => Err(refusal()),
        }
    }

    /// A table as it was in another version.
    async fn at(&self, name: &TableName, point: &Point) -> polder_types::Result<Arc<dyn TableProvider>> {
        let view = &self.view;
        let state = view.planner.get().and_then(OpaqueWeak::upgrade);
        let state = state.ok_or_else(|| Error::internal("a table was asked for outside of a statement"))?;
        let snapshot = view.lake.snapshot(travel::resolve(point, &state).await?).await?;
        let Some(table) = snapshot.table(name) else {
            let error = Error::not_found(format!("table {name} is not in version {}", snapshot.id)).with_code("42P01");
            return Err(match snapshot.view(name) {
                Some(_) => error.with_hint(format!("{name} is a view there; SET snapshot = {}", snapshot.id)),
                None => error.with_hint("SELECT * FROM polder.snapshots lists the versions that are kept"),
            });
        };
        // By what is granted now; what has gone since is for superusers.
        let now = |who: &Who| who.newest.is_none().then(|| who.with_grants(view.snapshot.all_access()));
        let who = self.who.as_ref().map(|who| now(who).unwrap_or_else(|| who.clone()));
        let guard = self.guard(who.as_ref(), &snapshot, name, table.id, word_of(table))?;
        let opened = if self.rows {
            LakeTable::open_with_row_ids(&view.lake, &snapshot, name.clone(), table)
        } else {
            LakeTable::open(&view.lake, &snapshot, name.clone(), table, None)
        };
        let opened = shown(opened?, self.rows).map_err(crate::error::from_datafusion)?;
        if let Some(named) = only_named(who.as_ref(), guard.as_ref(), &opened) {
            return Ok(named);
        }
        let opened = self.governed(who.as_ref(), &snapshot, name, table, opened).await?;
        Ok(guarded(opened, guard, table))
    }

    /// A table with the rows and values of it that somebody may see.
    ///
    /// # Errors
    /// `Forbidden` (42501) for whoever wants to see all of it or nothing (`row_security`).
    async fn governed(
        &self,
        who: Option<&Who>,
        snapshot: &Snapshot,
        name: &TableName,
        then: &TableState,
        opened: Arc<dyn TableProvider>,
    ) -> polder_types::Result<Arc<dyn TableProvider>> {
        let Some(who) = who else { return Ok(opened) };
        let view = &self.view;
        let asked = match &view.changed {
            Some(changed) if self.rows => changed.asked.clone(),
            _ => Asked::reading(),
        };
        let rights = Rights::new(who, snapshot);
        let bound = Bound::of(rights, then.id).filter(|_| asked.purpose != Purpose::Rewrite);
        let Some(bound) = bound else { return Ok(opened) };
        if bound.rows && !view.world.row_security() {
            return Err(off(&name.table, rights.owns(then.id)));
        }
        let state = view.planner.get().and_then(OpaqueWeak::upgrade);
        let state = state.ok_or_else(|| Error::internal("a table was asked for outside of a statement"))?;
        let around = self.surroundings(state, who);
        let now = around.snapshot.tables.get(&then.id);
        let columns = Given::of(now.map_or(then, AsRef::as_ref), then, &opened.schema());
        if view.depth.fetch_add(1, Ordering::SeqCst) >= VIEW_DEPTH_MAX {
            view.depth.fetch_sub(1, Ordering::SeqCst);
            return Err(recursion(name));
        }
        let governed = Box::pin(govern(&around, name, opened, &columns, &bound, &asked)).await;
        view.depth.fetch_sub(1, Ordering::SeqCst);
        governed
    }

    /// What policies are planned in. They are those of today, speak of the columns of today, and read what is in other
    /// tables today, whatever version the session reads: nobody is let in by what has been taken from them since.
    fn surroundings(&self, state: Opaque<SessionState>, who: &Who) -> Surroundings {
        let travels = self.who.as_ref().is_some_and(|who| who.travels);
        if !travels {
            let view = Arc::clone(&self.view);
            return Surroundings::of(state, view, who.clone());
        }
        let who = Who { newest: None, travels: false, ..who.clone() };
        let view = View::of(&self.view.world, self.view.lake.known(), None, None);
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog("polder".into(), Arc::new(LakeCatalog::of(&view, false, who.clone())));
        let mut state = SessionState::clone(&state);
        state.register_catalog_list(Arc::new(catalogs));
        let state = Opaque::new(state);
        // Nobody else has the view yet.
        let _ = view.planner.set(state.downgrade());
        Surroundings::of(state, view, who)
    }
}
