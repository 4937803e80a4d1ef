//! Files are passed over by floats that rows are sorted by, as they are by other columns: of `ORDER BY price DESC, id LIMIT 10` what
//! cannot be among the ten is not read.
//!
//! Floats are sorted by a key of theirs, of which both zeros are one (see `semantics/order.rs`), and DataFusion 55 knows the ranges of
//! columns alone. Where no zero is asked for, the column is in the same order as its key.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, IsNotNullExpr, IsNullExpr, Literal,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use crate::semantics::FLOAT;

/// Puts what is found out of the first rows, and is about such keys, into a form that is understood of columns.
#[derive(Debug)]
pub(crate) struct FloatPruning;

impl PhysicalOptimizerRule for FloatPruning {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match pruned(&node)? {
            Some(scan) => Ok(Transformed::yes(scan)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "float_pruning"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A scan whose filter is about such keys, with one that is about columns.
fn pruned(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let scan = node.downcast_ref::<DataSourceExec>();
    let Some((config, source)) = scan.and_then(DataSourceExec::downcast_to_file_source::<ParquetSource>) else {
        return Ok(None);
    };
    let Some(filter) = source.filter() else { return Ok(None) };
    let told = filter.transform_down(|part| {
        let is_dynamic = part.downcast_ref::<DynamicFilterPhysicalExpr>().is_some();
        if is_dynamic && part.exists(|part| Ok(column_of(part).is_some()))? {
            let told: Arc<dyn PhysicalExpr> = Arc::new(OfColumns(part));
            return Ok(Transformed::new(told, true, TreeNodeRecursion::Jump));
        }
        Ok(Transformed::no(part))
    })?;
    if !told.transformed {
        return Ok(None);
    }
    let source = source.with_predicate(told.data);
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
    Ok(Some(DataSourceExec::from_data_source(config)))
}

/// The column of a key.
fn column_of(part: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let call = part.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.fun().name() == FLOAT)?;
    match call.args() {
        [column] if column.downcast_ref::<Column>().is_some() => Some(Arc::clone(column)),
        _ => None,
    }
}

/// A filter that changes while rows are read. What asks for the ranges of its columns takes a picture of it, which is about columns
/// where that is the same.
#[derive(Debug)]
struct OfColumns(Arc<dyn PhysicalExpr>);

impl PartialEq for OfColumns {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for OfColumns {}

impl Hash for OfColumns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for OfColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for OfColumns {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.0.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(match children.pop() {
            Some(filter) => Arc::new(Self(filter)),
            None => self,
        })
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }

    /// What is within has been made a picture of before.
    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        if self.0.exists(|part| Ok(!is_plain(part)))? {
            return Ok(Some(Arc::clone(&self.0)));
        }
        let of_columns = Arc::clone(&self.0).transform_up(|part| {
            Ok(match column_of(&part) {
                Some(column) => Transformed::yes(column),
                None => Transformed::no(part),
            })
        });
        of_columns.data().map(Some)
    }
}

/// Whether it is what sorted rows are compared with, and no zero: of a column's zeros one comes before the other.
fn is_plain(part: &Arc<dyn PhysicalExpr>) -> bool {
    if let Some(literal) = part.downcast_ref::<Literal>() {
        return match literal.value() {
            ScalarValue::Float64(Some(value)) => *value != 0.0,
            ScalarValue::Float32(Some(value)) => *value != 0.0,
            _ => true,
        };
    }
    part.downcast_ref::<BinaryExpr>().is_some()
        || part.downcast_ref::<Column>().is_some()
        || part.downcast_ref::<IsNullExpr>().is_some()
        || part.downcast_ref::<IsNotNullExpr>().is_some()
        || column_of(part).is_some()
}
