//! Answers that are known before anything is asked: those to `SELECT 1` and its like, which pools send before each use of
//! a connection, to see whether it lives. They are kept by the text that was sent, and found without a parser.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement, Value};
use futures::StreamExt;
use parking_lot::Mutex;
use polder_capability::{Answer, CommandTag, StatementRequest};
use polder_lake::Version;
use polder_types::Result;

use super::{Inner, Outcome, Session};
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::parse::ParsedStatement;
use crate::stream::Tracked;

/// Answers that are kept; when there are more, all are forgotten, which costs a few plans.
const KEPT_MAX: usize = 64;

/// Bytes of a statement whose answer is kept.
const TEXT_BYTES_MAX: usize = 256;

/// A statement as a driver's session sent it → its row.
#[derive(Debug, Default)]
pub(crate) struct Literals(Mutex<HashMap<String, (SchemaRef, RecordBatch)>>);

impl Literals {
    fn find(&self, sql: &str) -> Option<(SchemaRef, RecordBatch)> {
        if sql.len() > TEXT_BYTES_MAX { None } else { self.0.lock().get(sql).cloned() }
    }

    /// Keeps the row of a statement that is nothing but literals.
    ///
    /// # Errors
    /// Those of computing it.
    pub(super) async fn keep(&self, sql: &str, outcome: Outcome) -> Result<Outcome> {
        let Some((schema, mut rows)) = outcome.rows else { return Ok(outcome) };
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await {
            batches.push(batch.map_err(from_datafusion)?);
        }
        if let [row] = batches.as_slice()
            && sql.len() <= TEXT_BYTES_MAX
        {
            let mut kept = self.0.lock();
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(sql.to_owned(), (Arc::clone(&schema), row.clone()));
        }
        let told = rows.schema();
        let rows = futures::stream::iter(batches.into_iter().map(Ok));
        let rows = Box::pin(RecordBatchStreamAdapter::new(told, rows));
        Ok(Outcome { rows: Some((schema, rows)), ..outcome })
    }
}

/// Whether a statement is nothing but literals, whose answer hangs on no setting, no right and no table.
pub(super) fn are_all(statements: &[ParsedStatement]) -> bool {
    let [ParsedStatement::Standard(Parsed::Statement(statement))] = statements else { return false };
    let Statement::Query(query) = statement.as_ref() else { return false };
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let items: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    // Written out there is nothing else: no condition, no order, no limit.
    select.projection.iter().all(is_literal) && statement.to_string() == format!("SELECT {}", items.join(", "))
}

fn is_literal(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(Expr::Value(value)) | SelectItem::ExprWithAlias { expr: Expr::Value(value), .. }) =
        item
    else {
        return false;
    };
    matches!(value.value, Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null)
}

impl Session {
    /// As [`polder_capability::DriverSession::known`].
    pub(super) fn literals(&self, request: &StatementRequest) -> Option<Answer> {
        let engine = self.engine.upgrade()?;
        let inner = self.inner.try_lock().ok()?;
        let (schema, row) = engine.literals.find(&request.sql)?;
        if !inner.typed || inner.open.is_some() || !is_settled(&engine, &inner) {
            return None;
        }
        let running = engine.recorder.begin_request(request, &self.caller).ok()?;
        let snapshot = engine.lake.known().id;
        running.read(snapshot);
        let told = row.schema();
        let rows = Box::pin(RecordBatchStreamAdapter::new(told, futures::stream::iter([Ok(row)])));
        let rows = Tracked::new(rows, running, Arc::clone(&engine.recorder), request.row_limit, None).closable();
        let tag = CommandTag { verb: "SELECT".to_owned(), rows: None };
        Some(Answer { query_id: request.query_id, tag, schema, batches: rows.boxed(), snapshot, notices: Vec::new() })
    }
}

/// Whether the next statement would run in the same name as the last one, as far as is known without asking, and nothing
/// has to be counted before it.
fn is_settled(engine: &Engine, inner: &Inner) -> bool {
    let settings = &inner.settings;
    let user = settings.user.or(settings.login);
    settings.version == Version::Newest
        && settings.roles.is_none()
        && settings.limits.now.bytes_scanned_per_day.is_none()
        && Arc::ptr_eq(&settings.who.book, &engine.authority.known())
        && user == Some(settings.who.user)
        && settings.role.unwrap_or(settings.who.user) == settings.who.role
}
