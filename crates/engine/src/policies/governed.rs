//! A table of which somebody is shown some rows and values only: whatever plan it ends up in, it gives no others.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result as DataFusionResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, lit};
use datafusion::physical_plan::ExecutionPlan;
use polder_lake::{SealedExec, TableName, scan_sizes};
use polder_types::Error;

use super::leakproof::is_leakproof;
use crate::error::into_datafusion;
use crate::statement::joins;

/// Its plan is optimised and made by itself, and then sealed.
pub(crate) struct Governed {
    name: TableName,
    /// The table with all its rows, for what is written into it.
    table: Arc<dyn TableProvider>,
    plan: LogicalPlan,
    schema: SchemaRef,
    /// The columns whose values are those that are stored.
    open: HashSet<String>,
    /// Rows may be written without a look at them.
    writable: bool,
}

impl Governed {
    pub fn new(
        name: TableName,
        table: Arc<dyn TableProvider>,
        plan: LogicalPlan,
        fields: Vec<Field>,
        open: HashSet<String>,
        writable: bool,
    ) -> Self {
        Self { name, table, plan, schema: Arc::new(Schema::new(fields)), open, writable }
    }

    fn column(&self, at: usize) -> Expr {
        Expr::Column(Column::from(self.plan.schema().qualified_field(at)))
    }

    /// The plan of the rows that a scan asks for.
    fn asked(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<LogicalPlan> {
        let mut builder = LogicalPlanBuilder::from(self.plan.clone());
        for filter in filters {
            builder = builder.filter(self.own(filter)?)?;
        }
        if let Some(limit) = limit {
            builder = builder.limit(0, Some(limit))?;
        }
        match projection {
            // Rows that are only counted: of one column, which is left out of what is given.
            Some(columns) if columns.is_empty() => builder.project([lit(true).alias("row")])?.build(),
            Some(columns) => builder.project(columns.iter().map(|at| self.column(*at)).collect::<Vec<_>>())?.build(),
            None => builder.build(),
        }
    }

    /// A condition in terms of the plan's own columns.
    fn own(&self, filter: &Expr) -> DataFusionResult<Expr> {
        let named = filter.clone().transform(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let at = self.schema.index_of(&column.name)?;
            Ok(Transformed::yes(self.column(at)))
        });
        named.data()
    }
}

/// The plan as any query's is made: it may be a view with joins of its own.
async fn physical(state: &dyn Session, plan: &LogicalPlan) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    match state.as_any().downcast_ref::<SessionState>() {
        Some(state) => joins::physical(state, plan).await,
        None => state.create_physical_plan(plan).await,
    }
}

impl fmt::Debug for Governed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governed").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Governed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.table.get_column_default(column)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match is_leakproof(filter, &self.open) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        // What is not leakproof was refused above, and stays there.
        let filters: Vec<Expr> = filters.iter().filter(|filter| is_leakproof(filter, &self.open)).cloned().collect();
        let inner = physical(state, &self.asked(projection, &filters, limit)?).await?;
        // How much is left out by somebody's own conditions would tell what is in the rows that they do not see.
        let cost = match filters.as_slice() {
            [] => scan_sizes(&inner),
            _ => scan_sizes(&state.create_physical_plan(&self.asked(projection, &[], None)?).await?),
        };
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        Ok(Arc::new(SealedExec::new(inner, self.name.clone(), schema, &cost)))
    }

    async fn insert_into(
        &self,
        state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        insert_op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if !self.writable {
            let message = format!("rows go into {} without a look at its policies", self.name);
            return Err(into_datafusion(Error::internal(message)));
        }
        self.table.insert_into(state, input, insert_op).await
    }
}
