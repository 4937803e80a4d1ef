//! Rows of a table that come another way than by a scan of it: by what changed in them, say.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use polder_lake::{Snapshot, TableName, TableState};
use polder_types::{Error, Result};

use super::bound::Bound;
use super::columns::Given;
use super::plan::{Asked, Surroundings, govern};
use crate::authz::Rights;
use crate::computed::{Computed, Rows};
use crate::error::into_datafusion;
use crate::opaque::Opaque;
use crate::system::pg_catalog::World;

/// The column of the ids of rows.
const ROW_ID: &str = "rowid";

/// They are governed when they are asked for, by the rights of whoever runs the statement.
pub(crate) struct Governing {
    snapshot: Arc<Snapshot>,
    name: TableName,
    table: i64,
    columns: Vec<Given>,
    rows: Arc<dyn TableProvider>,
}

impl Governing {
    /// `rows` have the columns of the table as it is in the snapshot, under its names, and may have others beside them.
    /// `ids`: the ids of rows are given, which tell how many others there are.
    ///
    /// # Errors
    /// As planning goes.
    pub fn table(
        snapshot: Arc<Snapshot>,
        name: TableName,
        table: &TableState,
        rows: Arc<dyn TableProvider>,
        ids: bool,
    ) -> DataFusionResult<Arc<dyn TableProvider>> {
        let rows = if ids { rows } else { without_ids(rows)? };
        let columns = Given::of(table, table, &rows.schema());
        // A mask may have nothing for a value that is there.
        let fields = rows.schema();
        let fields = fields.fields().iter().map(|field| {
            let stored = columns.iter().any(|column| column.id.is_some() && column.named == *field.name());
            field.as_ref().clone().with_nullable(stored || field.is_nullable())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Computed::table(schema, Self { snapshot, name, table: table.id, columns, rows }))
    }

    async fn governed(&self, state: &dyn Session) -> Result<Arc<dyn TableProvider>> {
        let session = state.as_any().downcast_ref::<SessionState>();
        let session = session.ok_or_else(|| Error::internal("policies need a session"))?;
        let who = World::of(session.config_options()).map_err(crate::error::from_datafusion)?.who();
        let bound = Bound::of(Rights::new(who, &self.snapshot), self.table);
        let Some(bound) = bound else { return Ok(Arc::clone(&self.rows)) };
        let catalog = session.catalog_list().catalog("polder");
        let around = Surroundings {
            catalog: catalog.ok_or_else(|| Error::internal("policies need a catalog"))?,
            state: Opaque::new(session.clone()),
            snapshot: Arc::clone(&self.snapshot),
            who: who.clone(),
        };
        let rows = Arc::clone(&self.rows);
        Box::pin(govern(&around, &self.name, rows, &self.columns, &bound, &Asked::reading())).await
    }
}

/// Rows with nothing in the place of their ids.
fn without_ids(rows: Arc<dyn TableProvider>) -> DataFusionResult<Arc<dyn TableProvider>> {
    let schema = rows.schema();
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        ROW_ID => lit(ScalarValue::Int64(None)).alias(ROW_ID),
        name => ident(name),
    });
    let columns: Vec<_> = columns.collect();
    let plan = LogicalPlanBuilder::scan("changes", provider_as_source(rows), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

#[async_trait]
impl Rows for Governing {
    async fn plan(
        &self,
        state: &dyn Session,
        _schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let governed = self.governed(state).await.map_err(into_datafusion)?;
        governed.scan(state, projection, &[], None).await
    }
}
