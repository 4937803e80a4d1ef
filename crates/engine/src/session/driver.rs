//! A session for a driver: parameters, descriptions, rows that are sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::datatypes::{FieldRef, Schema};
use futures::StreamExt;
use polder_capability::{
    Answer, Description, DriverSession, Kept, KeptStatement, Parameter, RowsIn, SessionStatus, StatementRequest,
    TransactionState,
};
use polder_types::{Error, QueryId, Result};

use super::{EndOnDrop, Inner, Session};
use crate::parse::{Filling, parse_with};

/// What an answer that failed, or the driver, has left behind.
fn note_failure(inner: &mut Inner) {
    if let Some(open) = &mut inner.open {
        open.failed |= open.spoiled.swap(false, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl DriverSession for Session {
    async fn describe(&self, sql: &str, types: &[Option<String>]) -> Result<Description> {
        let engine = self.engine()?;
        let looked_at = engine.recorder.unrecorded(QueryId::new(), &self.caller, sql);
        let mut inner = self.inner.lock().await;
        note_failure(&mut inner);
        let described = engine.describe(&self.caller, &mut inner, sql, types, &looked_at).await;
        if let (Err(_), Some(open)) = (&described, &mut inner.open) {
            open.failed = true;
        }
        self.publish(&inner);
        described
    }

    fn known(&self, request: &StatementRequest) -> Option<Answer> {
        self.literals(request)
    }

    async fn run_with(&self, request: StatementRequest, values: Vec<Parameter>) -> Result<Answer> {
        let values: Vec<Filling> = values.into_iter().map(Filling::Value).collect();
        self.answer(request, move |sql| parse_with(sql, &values), true).await
    }

    async fn columns_of(&self, table: &str, columns: &[String], filter: Option<&str>) -> Result<Vec<FieldRef>> {
        let engine = self.engine()?;
        let looked_at = engine.recorder.unrecorded(QueryId::new(), &self.caller, table);
        let mut inner = self.inner.lock().await;
        note_failure(&mut inner);
        let found = engine.columns_in(&self.caller, &mut inner, table, columns, filter, &looked_at).await;
        if let (Err(_), Some(open)) = (&found, &mut inner.open) {
            open.failed = true;
        }
        self.publish(&inner);
        found
    }

    async fn insert_rows(&self, request: StatementRequest, rows: RowsIn) -> Result<Answer> {
        let engine = self.engine()?;
        let running = engine.recorder.begin_request(&request, &self.caller)?;
        // If the caller gives up here, the record still says how it ended.
        let guard = EndOnDrop { engine: &engine, running: &running, armed: true };
        let mut inner = self.inner.lock().await;
        if let Some(open) = &mut inner.open {
            open.failed |= std::mem::replace(&mut open.busy, true);
            open.failed |= open.spoiled.swap(false, Ordering::Relaxed);
        }
        let result = tokio::select! {
            biased;
            () = running.token.cancelled() => Err(Error::cancelled()),
            done = engine.rows_in(&self.caller, &mut inner, rows, &running) => done,
        };
        if let Some(open) = &mut inner.open {
            open.busy = false;
            open.failed |= result.is_err();
        }
        self.publish(&inner);
        guard.disarm();
        if let Ok(outcome) = &result {
            running.read(outcome.snapshot);
            running.changed(outcome.tag.rows.unwrap_or_default());
        }
        engine.recorder.end(&running, result.as_ref().err());
        let outcome = result?;
        Ok(Answer {
            query_id: request.query_id,
            tag: outcome.tag,
            schema: Arc::new(Schema::empty()),
            batches: futures::stream::empty().boxed(),
            snapshot: outcome.snapshot,
            notices: outcome.notices,
        })
    }

    async fn begin(&self) {
        self.inner.lock().await.settings.begin();
    }

    async fn ended(&self) {
        self.ends.cancelled().await;
    }

    fn status(&self) -> SessionStatus {
        let seen = self.seen.lock();
        let transaction = match &seen.transaction {
            None => TransactionState::None,
            Some((failed, spoiled)) if *failed || spoiled.load(Ordering::Relaxed) => TransactionState::Failed,
            Some(_) => TransactionState::Open,
        };
        let zone = if transaction == TransactionState::Failed { &seen.zone_if_failed } else { &seen.zone };
        let (time_zone, user) = (zone.clone(), seen.user.clone());
        SessionStatus {
            transaction,
            time_zone,
            user,
            is_superuser: seen.is_superuser,
            read_only: seen.read_only,
            statement_timeout: seen.timeout,
        }
    }

    fn keep(&self, statement: KeptStatement) -> Box<dyn Kept> {
        // Without an engine nobody asks any more.
        let now = self.engine.upgrade().map(|engine| engine.recorder.now()).unwrap_or_default();
        self.kept.keep(statement, now)
    }

    fn record(&self, text: &str, start: usize, elapsed: Duration, done: Result<u64, &Error>) {
        if let Some(engine) = self.engine.upgrade() {
            engine.recorder.ended_elsewhere(&self.caller, (text, start), elapsed, done);
        }
    }

    fn fail_transaction(&self) {
        if let Some((_, spoiled)) = &self.seen.lock().transaction {
            spoiled.store(true, Ordering::Relaxed);
        }
    }
}
