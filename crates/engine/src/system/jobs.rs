//! `polder.jobs` and `polder.runs`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use polder_capability::{CatchUp, JobStatus, RunFilter};
use polder_types::Result;

use super::{int, text, time};
use crate::authz::Who;
use crate::engine::Engine;

/// The newest runs that are shown.
const RUNS_MAX: u32 = 10_000;

pub(super) fn jobs_schema() -> Schema {
    Schema::new(vec![
        text("job_name", false),
        text("kind", false),
        text("owner", false),
        text("schedule", true),
        text("time_zone", false),
        text("after_job", true),
        int("retries", false),
        int("backoff_seconds", false),
        int("timeout_seconds", true),
        text("catch_up", false),
        Field::new("is_paused", DataType::Boolean, false),
        text("sql", true),
        text("payload", false),
        time("created_at", false),
        time("next_at", true),
        text("last_run_id", true),
        text("last_state", true),
        time("last_started_at", true),
        text("last_error", true),
    ])
}

pub(super) fn runs_schema() -> Schema {
    Schema::new(vec![
        text("run_id", false),
        text("job_name", false),
        text("kind", false),
        text("state", false),
        text("reason", false),
        int("attempt", false),
        time("due_at", true),
        time("queued_at", false),
        time("started_at", true),
        time("ended_at", true),
        text("caused_by", true),
        text("error_code", true),
        text("error_message", true),
        text("error_hint", true),
    ])
}

pub(super) fn texts<T, S: AsRef<str>>(rows: &[T], value: impl Fn(&T) -> Option<S>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    rows.iter().for_each(|row| builder.append_option(value(row)));
    Arc::new(builder.finish())
}

pub(super) fn ints<T>(rows: &[T], value: impl Fn(&T) -> Option<u64>) -> ArrayRef {
    let mut builder = Int64Builder::new();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    rows.iter().for_each(|row| builder.append_option(value(row).map(number)));
    Arc::new(builder.finish())
}

pub(super) fn times<T>(rows: &[T], value: impl Fn(&T) -> Option<DateTime<Utc>>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::new();
    rows.iter().for_each(|row| builder.append_option(value(row).map(|time| time.timestamp_micros())));
    Arc::new(builder.finish().with_timezone("UTC"))
}

/// One's own, and those of roles whose rights one has.
pub(super) async fn jobs(engine: &Engine, who: &Who) -> Result<Vec<ArrayRef>> {
    let mut rows = engine.jobs()?.list().await?;
    rows.retain(|job| who.has_named(&job.definition.owner));
    let mut paused = BooleanBuilder::new();
    rows.iter().for_each(|job| paused.append_value(!job.enabled));
    let catch_up = |catch_up: CatchUp| match catch_up {
        CatchUp::None => "none",
        CatchUp::One => "one",
        CatchUp::All => "all",
    };
    Ok(vec![
        texts(&rows, |job| Some(job.definition.name.clone())),
        texts(&rows, |job| Some(job.definition.kind.clone())),
        texts(&rows, |job| Some(job.definition.owner.clone())),
        texts(&rows, |job| job.definition.schedule.clone()),
        texts(&rows, |job| Some(job.definition.time_zone.clone())),
        texts(&rows, |job| job.definition.after.clone()),
        ints(&rows, |job| Some(job.definition.retries.into())),
        ints(&rows, |job| Some(job.definition.backoff_seconds)),
        ints(&rows, |job| job.definition.timeout_seconds),
        texts(&rows, |job| Some(catch_up(job.definition.catch_up))),
        Arc::new(paused.finish()),
        texts(&rows, |job| job.definition.payload.get("sql").and_then(|sql| sql.as_str()).map(str::to_owned)),
        texts(&rows, |job| Some(job.definition.payload.to_string())),
        times(&rows, |job| Some(job.created_at)),
        times(&rows, |job| job.next_at),
        texts(&rows, |job| job.last_run.as_ref().map(|run| run.run_id.to_string())),
        texts(&rows, |job| job.last_run.as_ref().map(|run| run.state.name())),
        times(&rows, |job| job.last_run.as_ref().and_then(|run| run.started_at)),
        texts(&rows, |job| job.last_run.as_ref().and_then(|run| run.error.as_ref()).map(|error| error.message.clone())),
    ])
}

pub(super) async fn runs(engine: &Engine, who: &Who) -> Result<Vec<ArrayRef>> {
    let mut rows = engine.jobs()?.runs(&RunFilter { limit: RUNS_MAX, ..RunFilter::default() }).await?;
    if !who.superuser {
        let jobs = engine.jobs()?.list().await?;
        let own = jobs.iter().filter(|job| who.has_named(&job.definition.owner));
        let own: HashMap<&str, &JobStatus> = own.map(|job| (job.definition.name.as_str(), job)).collect();
        rows.retain(|run| own.get(run.job.as_str()).is_some_and(|job| job.has_run(run)));
    }
    Ok(vec![
        texts(&rows, |run| Some(run.run_id.to_string())),
        texts(&rows, |run| Some(run.job.clone())),
        texts(&rows, |run| Some(run.kind.clone())),
        texts(&rows, |run| Some(run.state.name())),
        texts(&rows, |run| Some(run.reason.name())),
        ints(&rows, |run| Some(run.attempt.into())),
        times(&rows, |run| run.due_at),
        times(&rows, |run| Some(run.queued_at)),
        times(&rows, |run| run.started_at),
        times(&rows, |run| run.ended_at),
        texts(&rows, |run| run.caused_by.map(|id| id.to_string())),
        texts(&rows, |run| run.error.as_ref().map(|error| error.code.clone())),
        texts(&rows, |run| run.error.as_ref().map(|error| error.message.clone())),
        texts(&rows, |run| run.error.as_ref().and_then(|error| error.hint.clone())),
    ])
}
