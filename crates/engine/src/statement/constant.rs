//! Queries that read nothing and have the same answer each time, such as `SELECT 1`: pools send them to see whether a
//! connection lives. They are planned once, and their row is kept.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{SetExpr, Statement};
use parking_lot::Mutex;

use super::Context;

/// Answers that are kept; when there are more, all are forgotten, which costs a few plans.
const KEPT_MAX: usize = 256;

/// Bytes of a statement whose answer is kept.
const TEXT_BYTES_MAX: usize = 1_024;

/// Bytes of an answer that is kept.
const ROW_BYTES_MAX: usize = 64 << 10;

/// Everything that an answer may depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    text: String,
    user: i64,
    role: i64,
    schema: String,
    zone: String,
    typed: bool,
}

/// The answers, each one row.
#[derive(Debug, Default)]
pub(crate) struct Constants(Mutex<HashMap<Key, RecordBatch>>);

impl Constants {
    pub(super) fn rows(&self, key: &Key) -> Option<SendableRecordBatchStream> {
        let row = self.0.lock().get(key)?.clone();
        let schema = row.schema();
        Some(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(row)]))))
    }

    /// Keeps a row, if it is not a long one.
    pub(super) fn keep(&self, key: Key, row: RecordBatch) {
        if row.get_array_memory_size() > ROW_BYTES_MAX {
            return;
        }
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, row);
    }
}

impl Key {
    /// `None` for what reads something.
    pub(super) fn of(statement: &Parsed, context: &Context<'_>) -> Option<Self> {
        let Parsed::Statement(inner) = statement else { return None };
        let Statement::Query(query) = inner.as_ref() else { return None };
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        if !select.from.is_empty() || query.with.is_some() {
            return None;
        }
        let text = statement.to_string();
        (text.len() <= TEXT_BYTES_MAX).then(|| Self {
            text,
            user: context.settings.who.user,
            role: context.settings.who.role,
            schema: context.settings.schema.clone(),
            zone: context.settings.zone().to_owned(),
            typed: context.typed,
        })
    }
}

/// The row of a query that is the same each time; `None` if it may be another one, or is more than values.
pub(super) fn row(logical: &LogicalPlan, physical: &Arc<dyn ExecutionPlan>) -> Option<RecordBatch> {
    let projection = physical.downcast_ref::<ProjectionExec>()?;
    projection.input().downcast_ref::<PlaceholderRowExec>()?;
    if !is_immutable(logical).unwrap_or(false) {
        return None;
    }
    let value = |expr: &Arc<dyn datafusion::physical_expr::PhysicalExpr>| {
        expr.downcast_ref::<Literal>().and_then(|literal| literal.value().to_array().ok())
    };
    let columns = projection.expr().iter().map(|item| value(&item.expr)).collect::<Option<Vec<_>>>()?;
    let schema: SchemaRef = physical.schema();
    RecordBatch::try_new(schema, columns).ok()
}

/// Whether all that a plan computes is computed alike each time.
fn is_immutable(plan: &LogicalPlan) -> Result<bool> {
    let mut immutable = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                immutable &= match part {
                    Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
                    Expr::Literal(..)
                    | Expr::Alias(_)
                    | Expr::Cast(_)
                    | Expr::TryCast(_)
                    | Expr::BinaryExpr(_)
                    | Expr::Negative(_)
                    | Expr::Not(_)
                    | Expr::Case(_) => true,
                    _ => false,
                };
                Ok(if immutable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            })
        })
    })?;
    Ok(immutable)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringViewArray};

    use super::*;

    #[test]
    fn long_answers_are_not_kept() {
        let constants = Constants::default();
        let is_kept = |letters: usize| {
            let (schema, zone, text) =
                ("public".to_owned(), "UTC".to_owned(), format!("SELECT repeat('x', {letters})"));
            let key = Key { text, user: 1, role: 1, schema, zone, typed: false };
            let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(["x".repeat(letters)]));
            constants.keep(key.clone(), RecordBatch::try_from_iter([("a", column)]).unwrap());
            constants.rows(&key).is_some()
        };
        assert!(is_kept(1_000));
        assert!(!is_kept(ROW_BYTES_MAX));
    }
}
