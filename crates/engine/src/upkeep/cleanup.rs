//! Files that nobody names, removed as a job.

use std::sync::Arc;

use chrono::TimeDelta;
use polder_capability::{JobKind, JobRun};
use polder_types::{Error, Result};
use serde_json::Value;

use super::fields;
use crate::engine::Engine;

/// A file may be this young and not be named yet, beyond what an open transaction keeps: clocks of stores differ.
const GRACE: TimeDelta = TimeDelta::hours(1);

/// Removes the files that a crash, or a transaction that could not tidy up, has left among the tables.
pub struct CleanupKind {
    engine: Arc<Engine>,
}

impl CleanupKind {
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait::async_trait]
impl JobKind for CleanupKind {
    fn name(&self) -> &'static str {
        "cleanup"
    }

    fn check(&self, payload: &Value) -> Result<()> {
        fields("cleanup", payload, &[]).map(drop)
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        let swept = tokio::select! {
            swept = self.engine.lake.sweep_orphans(GRACE) => swept?,
            () = run.stop.cancelled() => return Err(Error::cancelled()),
        };
        for file in &swept.files {
            run.log.line(format!("removed {file}, which nothing names"));
        }
        run.log.line(format!("{} files removed, {} bytes", swept.files.len(), swept.bytes));
        Ok(())
    }
}
