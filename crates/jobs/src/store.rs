//! The book's rows in the metastore.

use chrono::{DateTime, Utc};
use polder_capability::{CatchUp, JobDefinition, QueryError, RunReason, RunRecord, RunState};
use polder_metastore::{self as metastore, Metastore, Write};
use polder_types::{Error, ErrorKind, Result};

use crate::book::{Attempt, Changes, Job};
use crate::log;

/// Runs of each job that are kept once they have ended.
const RUNS_KEPT: u64 = 1000;

/// Writes changes down, after `before`: all of them or none.
pub(crate) async fn write(store: &Metastore, changes: &Changes, before: &[Write], now: DateTime<Utc>) -> Result<()> {
    let mut writes: Vec<Write> = before.to_vec();
    writes.extend(changes.removed_jobs.iter().map(|job| metastore::Jobs::delete_write(&job.id)));
    writes.extend(changes.new_jobs.iter().map(|job| job_row(job).insert_write()));
    writes.extend(changes.jobs.iter().map(|job| job_row(job).update_write()));
    writes.extend(changes.new_runs.iter().map(|attempt| run_row(attempt).insert_write()));
    writes.extend(changes.runs.iter().map(|attempt| run_row(attempt).update_write()));
    for (id, line) in &changes.log {
        writes.push(metastore::Jobs::append_log_write(&id.to_string(), &log::line(now, line)));
    }
    let ended = changes.runs.iter().chain(&changes.new_runs).filter(|attempt| attempt.record.state.has_ended());
    writes.extend(ended.map(|attempt| metastore::Jobs::prune_write(&attempt.job_id, RUNS_KEPT)));
    store.write(&writes).await
}

/// All jobs that can be read. One that cannot, as after a newer program was here, is left alone and told about.
pub(crate) async fn jobs(store: &Metastore) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for row in store.jobs().list().await? {
        let name = row.name.clone();
        match job(row) {
            Ok(job) => jobs.push(job),
            Err(error) => tracing::error!(job = name, %error, "a job cannot be used"),
        }
    }
    Ok(jobs)
}

pub(crate) async fn open_runs(store: &Metastore) -> Result<Vec<Attempt>> {
    store.jobs().open_runs().await?.into_iter().map(attempt).collect()
}

fn job_row(job: &Job) -> metastore::Job {
    let definition = job.definition.clone();
    metastore::Job {
        id: job.id.clone(),
        name: definition.name,
        kind: definition.kind,
        payload: definition.payload,
        owner: definition.owner,
        schedule: definition.schedule,
        time_zone: definition.time_zone,
        after_job: definition.after,
        retries: definition.retries.into(),
        backoff_seconds: i64::try_from(definition.backoff_seconds).unwrap_or(i64::MAX),
        timeout_seconds: definition.timeout_seconds.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
        catch_up: catch_up_name(definition.catch_up).to_owned(),
        enabled: job.enabled,
        created_at: job.created_at,
        scheduled_through: job.through,
    }
}

fn job(row: metastore::Job) -> Result<Job> {
    let number = |number: i64| u64::try_from(number).map_err(|_| corrupt("a number is negative"));
    let definition = JobDefinition {
        name: row.name,
        kind: row.kind,
        payload: row.payload,
        owner: row.owner,
        schedule: row.schedule,
        time_zone: row.time_zone,
        after: row.after_job,
        retries: u32::try_from(row.retries).map_err(|_| corrupt("the number of attempts is out of range"))?,
        backoff_seconds: number(row.backoff_seconds)?,
        timeout_seconds: row.timeout_seconds.map(number).transpose()?,
        catch_up: catch_up(&row.catch_up)?,
    };
    Job::new(row.id, definition, row.enabled, row.created_at, row.scheduled_through)
}

pub(crate) fn catch_up_name(catch_up: CatchUp) -> &'static str {
    match catch_up {
        CatchUp::None => "none",
        CatchUp::One => "one",
        CatchUp::All => "all",
    }
}

fn catch_up(name: &str) -> Result<CatchUp> {
    match name {
        "none" => Ok(CatchUp::None),
        "one" => Ok(CatchUp::One),
        "all" => Ok(CatchUp::All),
        other => Err(corrupt(&format!("{other:?} is no way to catch up"))),
    }
}

fn run_row(attempt: &Attempt) -> metastore::Run {
    let record = attempt.record.clone();
    let (code, message, hint) = match record.error {
        Some(error) => (Some(error.code), Some(error.message), error.hint),
        None => (None, None, None),
    };
    metastore::Run {
        id: record.run_id.to_string(),
        job_id: Some(attempt.job_id.clone()),
        job_name: record.job,
        kind: record.kind,
        state: record.state.name().to_owned(),
        reason: record.reason.name().to_owned(),
        attempt: record.attempt.into(),
        due_at: record.due_at,
        queued_at: record.queued_at,
        not_before: record.not_before,
        started_at: record.started_at,
        ended_at: record.ended_at,
        caused_by: record.caused_by.map(|id| id.to_string()),
        error_code: code,
        error_message: message,
        error_hint: hint,
    }
}

pub(crate) fn attempt(row: metastore::Run) -> Result<Attempt> {
    let error = row.error_message.map(|message| QueryError {
        code: row.error_code.unwrap_or_else(|| ErrorKind::Internal.default_code().to_owned()),
        message,
        position: None,
        hint: row.error_hint,
    });
    let record = RunRecord {
        run_id: row.id.parse().map_err(|_| corrupt("a run's id is none"))?,
        job: row.job_name,
        kind: row.kind,
        state: RunState::from_name(&row.state).ok_or_else(|| corrupt("a run has an unknown state"))?,
        reason: RunReason::from_name(&row.reason).ok_or_else(|| corrupt("a run has an unknown reason"))?,
        attempt: u32::try_from(row.attempt).map_err(|_| corrupt("the number of an attempt is out of range"))?,
        due_at: row.due_at,
        queued_at: row.queued_at,
        not_before: row.not_before,
        started_at: row.started_at,
        ended_at: row.ended_at,
        caused_by: row.caused_by.map(|id| id.parse()).transpose().map_err(|_| corrupt("a run's id is none"))?,
        error,
    };
    Ok(Attempt { job_id: row.job_id.unwrap_or_default(), record })
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
