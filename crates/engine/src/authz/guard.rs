//! A table of which somebody may read some columns, or none: whatever plan it ends up in, it gives no others.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, Result as DataFusionResult};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use polder_types::Error;

use crate::error::{copy, into_datafusion};

/// The columns that a plan reads are known when its scan is asked for: those that it gives, and those that it filters by.
pub(crate) struct Guarded {
    inner: Arc<dyn TableProvider>,
    /// The names of the columns that may be read.
    allowed: HashSet<String>,
    refusal: Error,
}

impl Guarded {
    pub fn new(inner: Arc<dyn TableProvider>, allowed: HashSet<String>, refusal: Error) -> Self {
        Self { inner, allowed, refusal }
    }

    /// Refuses columns that may not be read, by their places.
    ///
    /// # Errors
    /// `Forbidden` (42501).
    pub fn check_named(&self, columns: &BTreeSet<usize>) -> DataFusionResult<()> {
        let columns: Vec<usize> = columns.iter().copied().collect();
        self.check(Some(&columns), &[])
    }

    fn check(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> DataFusionResult<()> {
        let schema = self.inner.schema();
        let given = |at: &usize| schema.fields().get(*at).is_some_and(|field| self.allowed.contains(field.name()));
        let all_given = match projection {
            Some(columns) => columns.iter().all(given),
            None => (0..schema.fields().len()).all(|at| given(&at)),
        };
        let filtered = |filter: &Expr| filter.column_refs().iter().all(|column| self.allowed.contains(&column.name));
        // Who may read nothing of a table may not count its rows either.
        if !self.allowed.is_empty() && all_given && filters.iter().all(filtered) {
            return Ok(());
        }
        Err(into_datafusion(copy(&self.refusal)))
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Guarded {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.inner.constraints()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.inner.get_column_default(column)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.check(projection, filters)?;
        self.inner.scan(state, projection, filters, limit).await
    }

    async fn insert_into(
        &self,
        state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        insert_op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.inner.insert_into(state, input, insert_op).await
    }
}
