//! Views of the catalog: planned when a statement names them, with their owners' rights.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as Parsed;
use polder_lake::{FunctionState, Snapshot, TableName, ViewState};
use polder_types::{Error, ErrorKind};

use super::{LakeCatalog, LakeSchema, VIEW_DEPTH_MAX};
use crate::authz::{Rights, Who};
use crate::inline::{Functions, calls_others, expand};
use crate::opaque::OpaqueWeak;
use crate::parse::parse_kept;
use crate::policies::sealed;
use crate::rewrite::whole_numbers;
use crate::semantics::with_lengths;
use crate::statement::origins;
use crate::system::external;

/// The refusal of a view that has been given another definition since the version that is read.
fn otherwise_defined(name: &TableName) -> Error {
    Error::new(ErrorKind::Forbidden, format!("permission denied for view {}", name.table)).with_hint(
        "it, or what it reads, is defined otherwise today: only its owner reads what it showed in older versions",
    )
}

/// Whether a view's text has the name of a function in it.
fn names_a_function(sql: &str, snapshot: &Snapshot) -> bool {
    snapshot.functions.values().any(|known| sql.contains(&known.name))
}

impl LakeSchema {
    /// Puts functions' bodies in the place of a view's calls.
    fn expand(&self, statement: &mut Parsed, state: &SessionState, who: &Who) -> polder_types::Result<()> {
        let Parsed::Statement(statement) = statement else { return Ok(()) };
        if !calls_others(statement.as_ref(), state) {
            return Ok(());
        }
        let path = [self.name.clone()];
        expand(statement.as_mut(), &Functions { snapshot: &self.view.snapshot, path: &path, state, who })
    }

    /// With whose rights a view reads; `None` when they are those of whoever runs the statement.
    fn owner_of(&self, definition: &ViewState) -> Option<Who> {
        let asks = self.view.world.who();
        // Only its columns are asked for, which are no secret.
        if self.who.as_ref().is_none_or(|who| who.is_system) {
            return (!asks.is_system).then(Who::system);
        }
        let rights = Rights::new(asks, &self.view.snapshot);
        let owner = rights.owner(definition.id);
        let is_invokers = rights.access(definition.id).is_some_and(|access| access.invoker);
        if owner == asks.role || is_invokers {
            return None;
        }
        let owner = asks.acting_as(owner);
        (!owner.superuser || !asks.superuser).then_some(owner)
    }

    /// Whether somebody reads an older version by a view that is not theirs: it may have shown more then.
    fn is_strangers_past(&self, definition: &ViewState) -> bool {
        let asks = self.view.world.who();
        asks.travels && !asks.superuser && !Rights::new(asks, &self.view.snapshot).owns(definition.id)
    }

    /// Whether a view has the definition of today, and calls the functions of today.
    fn is_defined_as_today(&self, definition: &ViewState) -> bool {
        let (then, today) = (&self.view.snapshot, self.view.lake.known());
        let same = |known: &Arc<FunctionState>| {
            let now = today.functions.get(&known.id);
            now.is_some_and(|now| now.definitions == known.definitions && now.macros == known.macros)
        };
        today.views.get(&definition.id).is_some_and(|today| today.sql == definition.sql)
            && (then.functions.values().all(same) || !names_a_function(&definition.sql, then))
    }

    /// Whether what a view reads are the tables that have these names today.
    fn reads_tables_of_today(&self, plan: &LogicalPlan) -> DataFusionResult<bool> {
        let (then, today) = (&self.view.snapshot, self.view.lake.known());
        let mut same = true;
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let schema = scan.table_name.schema().unwrap_or(&self.name);
                let name = TableName::new(schema, scan.table_name.table());
                let id = |snapshot: &Snapshot| snapshot.table(&name).map(|table| table.id);
                same &= id(then) == id(&today);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(same)
    }

    pub(super) async fn plan_view(
        &self,
        name: &TableName,
        definition: &ViewState,
    ) -> DataFusionResult<Arc<dyn TableProvider>> {
        let Some(state) = self.view.planner.get().and_then(OpaqueWeak::upgrade) else {
            return Err(external(Error::internal("a view was asked for outside of a statement")));
        };
        if self.view.depth.fetch_add(1, Ordering::SeqCst) >= VIEW_DEPTH_MAX {
            self.view.depth.fetch_sub(1, Ordering::SeqCst);
            return Err(external(Error::invalid(format!(
                "view {name} stands on itself, or on more than {VIEW_DEPTH_MAX} others"
            ))));
        }
        // A view that DuckDB made names its tables relative to its own schema.
        let mut state = SessionState::clone(&state);
        state.config_mut().options_mut().catalog.default_schema.clone_from(&self.name);
        let owner = self.owner_of(definition);
        let past = owner.is_some() && self.is_strangers_past(definition);
        if past && !self.is_defined_as_today(definition) {
            self.view.depth.fetch_sub(1, Ordering::SeqCst);
            return Err(external(otherwise_defined(name)));
        }
        if let Some(owner) = &owner {
            let catalog = LakeCatalog::of(&self.view, false, owner.clone());
            let catalogs = MemoryCatalogProviderList::new();
            catalogs.register_catalog("polder".into(), Arc::new(catalog));
            state.register_catalog_list(Arc::new(catalogs));
        }
        let who = owner.as_ref().unwrap_or_else(|| self.view.world.who());
        let planned = match parse_kept(&definition.sql) {
            Ok(mut statement) => match self.expand(&mut statement, &state, who) {
                Ok(()) => Box::pin(whole_numbers::plan(&state, statement)).await.and_then(with_lengths),
                Err(error) => Err(external(error)),
            },
            Err(error) => Err(external(error)),
        };
        self.view.depth.fetch_sub(1, Ordering::SeqCst);
        let plan = planned.map_err(|error| {
            let inner = crate::error::from_datafusion(error);
            // Its position is one in the view's text, not in the statement's.
            let message = match inner.kind() {
                ErrorKind::Forbidden => inner.message().to_owned(),
                _ => format!("view {name}: {}", inner.message()),
            };
            external(Error::new(inner.kind(), message).with_code(inner.code()))
        })?;
        if past && !self.reads_tables_of_today(&plan)? {
            return Err(external(otherwise_defined(name)));
        }
        if owner.is_some() && self.who.is_some() {
            let asks = Rights::new(self.view.world.who(), &self.view.snapshot);
            if let Some(sealed) = sealed(name, &plan, asks)? {
                return Ok(sealed);
            }
        }
        // So that a column is known to be the view's, and not that of a table under it.
        let mark = origins::view_mark(&name.schema, &name.table);
        let plan = LogicalPlanBuilder::from(plan).alias(mark)?.build()?;
        Ok(Arc::new(ViewTable::new(plan, Some(definition.sql.clone()))))
    }
}
