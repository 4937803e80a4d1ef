//! Rows of a table that come another way than by a scan of it: by what changed in them, say.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use polder_lake::{Snapshot, TableName, TableState};
use polder_types::{Error, Result};

use super::bound::Bound;
use super::columns::Given;
use super::plan::{Asked, Surroundings, govern};
use crate::authz::Rights;
use crate::error::into_datafusion;
use crate::system::pg_catalog::World;

/// They are governed when they are asked for, by the rights of whoever runs the statement.
pub(crate) struct Governing {
    snapshot: Arc<Snapshot>,
    name: TableName,
    table: i64,
    columns: Vec<Given>,
    rows: Arc<dyn TableProvider>,
    schema: SchemaRef,
}

impl Governing {
    /// `rows` have the columns of the table as it is in the snapshot, under its names, and may have others beside them.
    pub fn new(snapshot: Arc<Snapshot>, name: TableName, table: &TableState, rows: Arc<dyn TableProvider>) -> Self {
        let columns = Given::of(table, table, &rows.schema());
        // A mask may have nothing for a value that is there.
        let fields = rows.schema();
        let fields = fields.fields().iter().map(|field| {
            let stored = columns.iter().any(|column| column.id.is_some() && column.named == *field.name());
            field.as_ref().clone().with_nullable(stored || field.is_nullable())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { snapshot, name, table: table.id, columns, rows, schema }
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
            state: Arc::new(session.clone()),
            snapshot: Arc::clone(&self.snapshot),
            who: who.clone(),
        };
        let rows = Arc::clone(&self.rows);
        Box::pin(govern(&around, &self.name, rows, &self.columns, &bound, &Asked::reading())).await
    }
}

impl fmt::Debug for Governing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governing").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Governing {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let governed = self.governed(state).await.map_err(into_datafusion)?;
        governed.scan(state, projection, &[], None).await
    }
}
