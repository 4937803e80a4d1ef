//! What a statement is planned in: functions, settings, and one view of the lake.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
};
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use polder_lake::{Snapshot, TransactionCell};

use crate::catalog::{Changed, INPUT_CATALOG, LakeCatalog, View};
use crate::engine::Engine;
use crate::opaque::Opaque;
use crate::policies::Surroundings;
use crate::session::Settings;
use crate::system::pg_catalog::World;

pub(crate) struct Scope {
    pub state: Opaque<SessionState>,
    pub snapshot: Arc<Snapshot>,
    world: World,
    /// What the statement brings along.
    input: Option<Arc<dyn SchemaProvider>>,
}

impl Engine {
    /// A scope on a snapshot. With `writer`, statements can insert.
    pub(crate) fn scope(
        self: &Arc<Self>,
        snapshot: Arc<Snapshot>,
        writer: Option<TransactionCell>,
        settings: &Settings,
    ) -> Scope {
        let snapshot = settings.temporary.seen(snapshot);
        let world = World::new(self, &snapshot, settings);
        let view = View::of(&world, Arc::clone(&snapshot), writer, None);
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog("polder".into(), Arc::new(LakeCatalog::new(&view, false)));
        // A copy that is changed takes a tenth of the time of one that is built, which registers each function anew.
        let mut state = SessionState::clone(&self.template);
        let options = state.config_mut().options_mut();
        options.catalog.default_schema.clone_from(&settings.schema);
        options.execution.time_zone = Some(settings.zone().to_owned());
        options.extensions.insert(world.clone());
        state.register_catalog_list(Arc::new(catalogs));
        // What `now()` is, all through the statement.
        state.mark_start_execution();
        let state = Opaque::new(state);
        // Set once, right here; nobody else can have.
        let _ = view.planner.set(state.downgrade());
        Scope { state, snapshot, world, input: None }
    }
}

impl Scope {
    /// The same scope, in which the table that is changed also shows the ids of its rows.
    pub fn with_rows(&self, changed: Option<&Changed>) -> Self {
        let view = View::of(&self.world, Arc::clone(&self.snapshot), None, changed.cloned());
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog("polder".into(), Arc::new(LakeCatalog::new(&view, false)));
        if let Some(changed) = changed {
            catalogs.register_catalog(changed.catalog(), Arc::new(LakeCatalog::new(&view, true)));
        }
        if let Some(input) = &self.input {
            let catalog = MemoryCatalogProvider::new();
            // A new catalog has no schema of that name.
            let _ = catalog.register_schema("input", Arc::clone(input));
            catalogs.register_catalog(INPUT_CATALOG.into(), Arc::new(catalog));
        }
        let mut state = SessionState::clone(&self.state);
        state.register_catalog_list(Arc::new(catalogs));
        let state = Opaque::new(state);
        let _ = view.planner.set(state.downgrade());
        Self { state, snapshot: Arc::clone(&self.snapshot), world: self.world.clone(), input: self.input.clone() }
    }

    /// The same scope, with tables that the statement brings along.
    pub fn with_input(&self, input: Arc<dyn SchemaProvider>) -> Self {
        Self {
            state: self.state.clone(),
            snapshot: Arc::clone(&self.snapshot),
            world: self.world.clone(),
            input: Some(input),
        }
    }

    /// What conditions of policies are planned in, for whoever runs the statement.
    pub fn surroundings(&self) -> Surroundings {
        let view = View::of(&self.world, Arc::clone(&self.snapshot), None, None);
        // Nobody else has the view yet.
        let _ = view.planner.set(self.state.downgrade());
        Surroundings::of(self.state.clone(), view, self.world.who().clone())
    }

    pub fn context(&self) -> SessionContext {
        SessionContext::new_with_state(SessionState::clone(&self.state))
    }
}
