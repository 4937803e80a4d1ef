//! Tables whose rows are computed when they are read, such as those of the catalog.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// Computes the rows of a table, all of them: conditions and limits stay above.
#[async_trait]
pub(crate) trait Rows: Send + Sync + 'static {
    /// A plan that gives those of the table's columns that are asked for.
    async fn plan(
        &self,
        state: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>>;
}

/// A table of computed rows.
pub(crate) struct Computed<T> {
    schema: SchemaRef,
    rows: T,
}

impl<T: Rows> Computed<T> {
    pub fn table(schema: SchemaRef, rows: T) -> Arc<dyn TableProvider> {
        Arc::new(Self { schema, rows })
    }
}

impl<T> fmt::Debug for Computed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computed").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: Rows> TableProvider for Computed<T> {
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
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.rows.plan(state, &self.schema, projection).await
    }
}
