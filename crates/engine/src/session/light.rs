//! Statements that take less time than the way to another thread and back, and are carried out where they are asked for:
//! an INSERT of constants by itself, into a table without rules, whose way is the one into the metastore and nothing else.

use std::sync::Arc;

use arrow::datatypes::Schema;
use futures::StreamExt;
use polder_capability::{Answer, Parameter, StatementRequest};
use polder_types::{Error, Result};

use super::{EndOnDrop, Session};
use crate::parse::{at_literal, insert_of_constants};

/// Of parameters. What is longer keeps a thread, for which others wait, for too long.
const BYTES_MAX: usize = 64 << 10;

impl Session {
    /// As [`polder_capability::SqlSession::run_light`].
    pub(super) async fn light(&self, request: &StatementRequest, values: &[Parameter]) -> Option<Result<Answer>> {
        let bytes: usize = values.iter().filter_map(|value| value.text.as_deref()).map(str::len).sum();
        if bytes > BYTES_MAX {
            return None;
        }
        let insert = insert_of_constants(&request.sql, |at| values.get(at))?;
        let engine = self.engine.upgrade()?;
        let mut inner = self.inner.try_lock().ok()?;
        let running = engine.recorder.begin_request(request, &self.caller).ok()?;
        // If the caller gives up here, the record still says how it ended.
        let guard = EndOnDrop { engine: &engine, running: &running, armed: true };
        let done = engine.insert_at_once(&self.caller, &mut inner, &insert, &running).await;
        self.publish(&inner);
        guard.disarm();
        let done = match done {
            Some(done) => done,
            None if running.token.is_cancelled() => Err(Error::cancelled()),
            None => {
                engine.recorder.withdraw(&running);
                return None;
            }
        };
        if let Ok(outcome) = &done {
            running.read(outcome.snapshot);
            running.changed(outcome.tag.rows.unwrap_or_default());
        }
        engine.recorder.end(&running, done.as_ref().err());
        let done = done.map_err(|error| at_literal(error, &request.sql));
        Some(done.map(|outcome| Answer {
            query_id: request.query_id,
            tag: outcome.tag,
            schema: Arc::new(Schema::empty()),
            batches: futures::stream::empty().boxed(),
            snapshot: outcome.snapshot,
            notices: outcome.notices,
        }))
    }
}
