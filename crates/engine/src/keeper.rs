//! The rules of tables, planned: checks as expressions over rows, keys as queries.

use std::fmt;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, ExprSchemable, lit};
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use polder_lake::{RowCheck, RuleKeeper, Snapshot, TableName, TableState};
use polder_types::{Error, ErrorKind, Result};

use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::session::Settings;

/// Plans the rules for the lake, which calls for them at each write.
pub(crate) struct Keeper {
    pub engine: Weak<Engine>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server is stopping"))
    }
}

/// One condition over a table's columns, as planned.
///
/// # Errors
/// `InvalidInput` for an unknown column, a subquery, or what is neither true nor false.
pub(crate) fn plan_condition(engine: &Engine, table: &TableState, sql: &str) -> Result<(DFSchema, Expr)> {
    let reference = TableReference::bare(table.name.clone());
    let schema =
        DFSchema::try_from_qualified_schema(reference, table.arrow_schema.as_ref()).map_err(from_datafusion)?;
    let expr = engine.template.create_logical_expr(sql, &schema).map_err(from_datafusion)?;
    match expr.get_type(&schema).map_err(from_datafusion)? {
        DataType::Boolean | DataType::Null => Ok((schema, expr)),
        other => Err(Error::invalid(format!("a condition must be true or false, and {sql} is of type {other}"))
            .with_code("42804")),
    }
}

#[async_trait]
impl RuleKeeper for Keeper {
    fn checks(&self, table: &TableState) -> Result<Vec<RowCheck>> {
        let engine = self.engine()?;
        table
            .rules
            .checks
            .iter()
            .map(|check| {
                let (schema, expr) = plan_condition(&engine, table, &check.sql)?;
                let expr = engine.template.create_physical_expr(expr, &schema).map_err(from_datafusion)?;
                Ok(RowCheck { name: check.name.clone(), expr })
            })
            .collect()
    }

    async fn duplicate(
        &self,
        view: &Arc<Snapshot>,
        table: &TableName,
        columns: &[String],
        new: Option<&RecordBatch>,
    ) -> Result<Option<String>> {
        let engine = self.engine()?;
        let scope = engine.scope(Arc::clone(view), None, &Settings::default());
        let reference = TableReference::full("polder", table.schema.as_str(), table.table.as_str());
        let keys: Vec<Expr> = columns.iter().map(|name| Expr::Column(Column::from_name(name))).collect();
        let frame = scope.context().table(reference).await.map_err(from_datafusion)?;
        let frame = match new {
            Some(new) => {
                let Some(condition) = any_of(&keys, new)? else { return Ok(None) };
                frame.filter(condition).and_then(|frame| frame.select(keys))
            }
            None => twice(frame, keys),
        };
        let limited = frame.and_then(|frame| frame.limit(0, Some(1))).map_err(from_datafusion)?;
        let mut rows = limited.execute_stream().await.map_err(from_datafusion)?;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(from_datafusion)?;
            if batch.num_rows() > 0 {
                return Ok(Some(shown(&batch, columns)));
            }
        }
        Ok(None)
    }
}

/// Rows whose key is one of those in `new`; `None` when none of them is complete.
fn any_of(keys: &[Expr], new: &RecordBatch) -> Result<Option<Expr>> {
    let value =
        |column: usize, row: usize| ScalarValue::try_from_array(new.column(column), row).map_err(from_datafusion);
    let complete: Vec<usize> =
        (0..new.num_rows()).filter(|row| new.columns().iter().all(|column| column.is_valid(*row))).collect();
    if complete.is_empty() {
        return Ok(None);
    }
    if let [key] = keys {
        let list = complete.iter().map(|row| value(0, *row).map(|value| lit(value))).collect::<Result<Vec<_>>>()?;
        return Ok(Some(key.clone().in_list(list, false)));
    }
    let mut any: Option<Expr> = None;
    for row in complete {
        let mut all: Option<Expr> = None;
        for (column, key) in keys.iter().enumerate() {
            let equal = key.clone().eq(lit(value(column, row)?));
            all = Some(all.map_or(equal.clone(), |all| all.and(equal)));
        }
        let Some(all) = all else { continue };
        any = Some(any.map_or(all.clone(), |any| any.or(all)));
    }
    Ok(any)
}

/// Keys that are there more than once. An aggregation spills when it must.
fn twice(frame: DataFrame, keys: Vec<Expr>) -> datafusion::common::Result<DataFrame> {
    let mut frame = frame;
    for key in &keys {
        frame = frame.filter(key.clone().is_not_null())?;
    }
    let times = "how often";
    frame
        .aggregate(keys.clone(), vec![count(lit(1)).alias(times)])?
        .filter(Expr::Column(Column::from_name(times)).gt(lit(1)))?
        .select(keys)
}

/// `a = 1, b = x`
fn shown(batch: &RecordBatch, columns: &[String]) -> String {
    let options = FormatOptions::default();
    let parts = columns.iter().zip(batch.columns()).map(|(name, column)| {
        let value = ArrayFormatter::try_new(column, &options).ok();
        let value = value.and_then(|formatter| formatter.value(0).try_to_string().ok()).unwrap_or_default();
        format!("{name} = {value}")
    });
    parts.collect::<Vec<_>>().join(", ")
}
