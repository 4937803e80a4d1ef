//! `set_config` as a column of an answer that has others, or rows of a table: `SELECT set_config(name, 'off', false) FROM pg_settings`.
//! The query gives what is to be set; then it is set, row by row, and told in the column's place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    SelectItem, SetExpr, Statement,
};
use futures::{StreamExt, TryStreamExt};
use polder_capability::Caller;
use polder_types::{Error, Result};

use super::{Call, called};
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::parse::ParsedStatement;
use crate::record::Running;
use crate::session::{Inner, Outcome};
use crate::statement::quoted_ident;

/// There are fewer settings; who sets them so often means something else.
const CALLS_MAX: usize = 10_000;

/// A query that says in columns of texts what is to be set: the value in the call's place, the setting's name and whether it is
/// for the transaction alone behind the others.
pub(in super::super) struct Beside {
    statement: Statement,
    /// Where the calls stand.
    places: Vec<usize>,
}

/// `None` where no column is a call, and where another may ask for what is set while it runs.
pub(in super::super) fn beside(statement: &Statement) -> Option<Beside> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    if grouped || select.distinct.is_some() || !select.projection.iter().any(|item| called(item).is_some()) {
        return None;
    }
    if query.to_string().to_lowercase().contains("current_setting") {
        return None;
    }
    let (mut query, mut select) = (query.clone(), select.clone());
    let (mut places, mut said) = (Vec::new(), Vec::new());
    for (at, item) in select.projection.iter_mut().enumerate() {
        // Of a star it is not known how many columns it stands for.
        if !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }) {
            return None;
        }
        let Some((function, column)) = called(item) else { continue };
        let [setting, value, local] = arguments(function)?;
        said.push(text(setting, &format!("polder$setting{at}")));
        said.push(text(local, &format!("polder$local{at}")));
        *item = text(value, &column);
        places.push(at);
    }
    select.projection.extend(said);
    *query.body = SetExpr::Select(select);
    Some(Beside { statement: Statement::Query(query), places })
}

fn arguments(function: &Function) -> Option<[Expr; 3]> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let exprs = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    exprs.collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn text(expr: Expr, name: &str) -> SelectItem {
    let (expr, data_type) = (Box::new(expr), SqlType::Text);
    let expr = Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None };
    SelectItem::ExprWithAlias { expr, alias: quoted_ident(name) }
}

impl Engine {
    /// Answers the query, and sets what it says.
    pub(in super::super) async fn set_config_beside(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        beside: Beside,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        let Beside { statement, places } = beside;
        let statement = ParsedStatement::Standard(Parsed::Statement(Box::new(statement)));
        let asked = self.statement(caller, inner, statement, running).await?;
        let Outcome { tag, snapshot, mut notices, rows: Some((schema, mut rows)) } = asked else {
            return Err(Error::internal("a query without an answer"));
        };
        let shown = schema.fields().len().saturating_sub(2 * places.len());
        let (mut batches, mut calls) = (Vec::new(), Vec::new());
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(from_datafusion)?;
            calls.extend(calls_of(&batch, &places, shown)?);
            if calls.len() > CALLS_MAX {
                return Err(Error::unsupported(format!("set_config for more than {CALLS_MAX} rows is not supported")));
            }
            batches.push(batch);
        }
        drop(rows);
        let mut told: Vec<String> = Vec::with_capacity(calls.len());
        if !calls.is_empty() {
            let set = self.set_config(caller, inner, calls, running).await?;
            notices.extend(set.notices);
            if let Some((_, rows)) = set.rows {
                for batch in rows.try_collect::<Vec<_>>().await.map_err(from_datafusion)? {
                    told.extend(batch.columns().iter().map(|column| column.as_string::<i32>().value(0).to_owned()));
                }
            }
        }
        let (schema, answer) = answer(&schema, &batches, &places, shown, &told)?;
        let rows =
            RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter(answer.into_iter().map(Ok)));
        Ok(Outcome { tag, snapshot, notices, rows: Some((schema, Box::pin(rows))) })
    }
}

/// What the rows say, in the order in which it is set.
fn calls_of(batch: &RecordBatch, places: &[usize], shown: usize) -> Result<Vec<Call>> {
    let texts = |at: usize| -> Result<StringArray> {
        let column = batch.columns().get(at).ok_or_else(|| Error::internal("an answer of fewer columns"))?;
        let texts = cast(column, &DataType::Utf8).map_err(|error| Error::internal(error.to_string()))?;
        Ok(texts.as_string::<i32>().clone())
    };
    let mut columns = Vec::with_capacity(places.len());
    for (at, place) in places.iter().enumerate() {
        let behind = shown + 2 * at;
        columns.push((texts(behind)?, texts(*place)?, texts(behind + 1)?));
    }
    let text = |texts: &StringArray, row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
    let mut calls = Vec::with_capacity(batch.num_rows() * places.len());
    for row in 0..batch.num_rows() {
        for (setting, value, local) in &columns {
            let local = text(local, row).is_some_and(|local| local == "true" || local == "t");
            let (setting, value) = (text(setting, row), text(value, row));
            calls.push(Call { setting, value, local, column: String::new() });
        }
    }
    Ok(calls)
}

/// The rows as they were asked for, with what is set in the calls' places.
fn answer(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    places: &[usize],
    shown: usize,
    told: &[String],
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut fields: Vec<FieldRef> = schema.fields().iter().take(shown).cloned().collect();
    for place in places {
        if let Some(field) = fields.get_mut(*place) {
            *field = Arc::new(Field::new(field.name().as_str(), DataType::Utf8, true));
        }
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let mut told = told.iter();
    let mut answer = Vec::with_capacity(batches.len());
    for batch in batches {
        let of_batch: Vec<&String> = told.by_ref().take(batch.num_rows() * places.len()).collect();
        let mut columns: Vec<ArrayRef> = batch.columns().iter().take(shown).cloned().collect();
        for (at, place) in places.iter().enumerate() {
            if let Some(column) = columns.get_mut(*place) {
                let values = of_batch.iter().skip(at).step_by(places.len());
                *column = Arc::new(values.map(|value| Some(value.as_str())).collect::<StringArray>());
            }
        }
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        answer.push(batch.map_err(|error| Error::internal(error.to_string()))?);
    }
    Ok((schema, answer))
}
