//! Jobs and their runs: rows only. What a job does, and when, is for the floors above.

use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result};

use crate::{Metastore, Row, Value, Write};

/// Something to be run when asked, by a schedule, or after another job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: String,
    pub name: String,
    pub kind: String,
    /// What the job's kind needs to know.
    pub payload: serde_json::Value,
    pub owner: String,
    /// `None`: by no schedule.
    pub schedule: Option<String>,
    pub time_zone: String,
    /// The name of the job after which it runs.
    pub after_job: Option<String>,
    pub retries: i64,
    pub backoff_seconds: i64,
    pub timeout_seconds: Option<i64>,
    /// `none`, `one`, `all`.
    pub catch_up: String,
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
    /// Due times up to this one have become runs, or been passed over.
    pub scheduled_through: DateTime<Utc>,
}

/// One attempt of a job. Its log is kept beside it, and read by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: String,
    pub job_id: Option<String>,
    pub job_name: String,
    pub kind: String,
    /// `waiting`, `running`, `done`, `failed`, `cancelled`, `interrupted`, `missed`.
    pub state: String,
    /// `schedule`, `after`, `asked`, `retry`.
    pub reason: String,
    /// From 1.
    pub attempt: i64,
    pub due_at: Option<DateTime<Utc>>,
    pub queued_at: DateTime<Utc>,
    pub not_before: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub caused_by: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub error_hint: Option<String>,
}

/// Which runs to list: all that fit every field that is given.
#[derive(Debug, Clone, Default)]
pub struct RunsWanted<'a> {
    pub job_name: Option<&'a str>,
    pub state: Option<&'a str>,
    /// Only those queued before the run with this id.
    pub before: Option<&'a str>,
    pub limit: u64,
}

/// A view of the metastore: jobs and runs.
///
/// Changes are [`Write`]s, so that what belongs together is written together by [`Metastore::write`].
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }
}

const SELECT_JOB: &str = "SELECT id, name, kind, payload, owner, schedule, time_zone, after_job, retries, \
                          backoff_seconds, timeout_seconds, catch_up, enabled, created_at, scheduled_through \
                          FROM polder_job";
const SELECT_RUN: &str = "SELECT id, job_id, job_name, kind, state, reason, attempt, due_at, queued_at, not_before, \
                          started_at, ended_at, caused_by, error_code, error_message, error_hint FROM polder_run";

impl Jobs<'_> {
    /// All of them, by name.
    pub async fn list(&self) -> Result<Vec<Job>> {
        let rows = self.0.query(&format!("{SELECT_JOB} ORDER BY name"), &[]).await?;
        rows.iter().map(read_job).collect()
    }

    /// Runs that wait or run, the oldest first.
    pub async fn open_runs(&self) -> Result<Vec<Run>> {
        let sql = format!("{SELECT_RUN} WHERE state IN ('waiting', 'running') ORDER BY queued_at, id");
        let rows = self.0.query(&sql, &[]).await?;
        rows.iter().map(read_run).collect()
    }

    pub async fn run(&self, id: &str) -> Result<Option<Run>> {
        let rows = self.0.query(&format!("{SELECT_RUN} WHERE id = $1"), &[id.into()]).await?;
        rows.first().map(read_run).transpose()
    }

    /// The newest first.
    pub async fn runs(&self, wanted: &RunsWanted<'_>) -> Result<Vec<Run>> {
        let mut sql = format!("{SELECT_RUN} WHERE 1 = 1");
        let mut params: Vec<Value> = Vec::new();
        if let Some(name) = wanted.job_name {
            params.push(name.into());
            sql.push_str(&format!(" AND job_name = ${}", params.len()));
        }
        if let Some(state) = wanted.state {
            params.push(state.into());
            sql.push_str(&format!(" AND state = ${}", params.len()));
        }
        if let Some(before) = wanted.before {
            params.push(before.into());
            let at = params.len();
            let time = format!("(SELECT queued_at FROM polder_run WHERE id = ${at})");
            sql.push_str(&format!(" AND (queued_at < {time} OR (queued_at = {time} AND id < ${at}))"));
        }
        params.push(Value::count(wanted.limit));
        sql.push_str(&format!(" ORDER BY queued_at DESC, id DESC LIMIT ${}", params.len()));
        let rows = self.0.query(&sql, &params).await?;
        rows.iter().map(read_run).collect()
    }

    /// The newest run of each job that has started, by the job's id.
    pub async fn last_runs(&self) -> Result<Vec<Run>> {
        let sql = format!(
            "{SELECT_RUN} WHERE id IN (SELECT (SELECT r.id FROM polder_run r WHERE r.job_id = j.id \
             AND r.started_at IS NOT NULL ORDER BY r.queued_at DESC, r.id DESC LIMIT 1) FROM polder_job j)"
        );
        let rows = self.0.query(&sql, &[]).await?;
        rows.iter().map(read_run).collect()
    }

    /// `None` if there is no such run.
    pub async fn log(&self, run_id: &str) -> Result<Option<String>> {
        let rows = self.0.query("SELECT log FROM polder_run WHERE id = $1", &[run_id.into()]).await?;
        rows.first().map(|row| Ok(row.text(0)?.to_owned())).transpose()
    }

    /// Its runs stay.
    #[must_use]
    pub fn delete_write(job_id: &str) -> Write {
        Write::new("DELETE FROM polder_job WHERE id = $1", vec![job_id.into()]).affecting(1)
    }

    /// Adds to a run's log.
    #[must_use]
    pub fn append_log_write(run_id: &str, text: &str) -> Write {
        // PostgreSQL keeps no zero byte in a text.
        let text = text.replace('\0', "\u{FFFD}");
        Write::new("UPDATE polder_run SET log = log || $2 WHERE id = $1", vec![run_id.into(), text.into()])
    }

    /// Replaces a run's log.
    #[must_use]
    pub fn log_write(run_id: &str, text: &str) -> Write {
        let text = text.replace('\0', "\u{FFFD}");
        Write::new("UPDATE polder_run SET log = $2 WHERE id = $1", vec![run_id.into(), text.into()])
    }

    /// Keeps a job's newest `keep` runs that have ended.
    #[must_use]
    pub fn prune_write(job_id: &str, keep: u64) -> Write {
        let sql = "DELETE FROM polder_run WHERE job_id = $1 AND ended_at IS NOT NULL AND id NOT IN \
                   (SELECT id FROM polder_run WHERE job_id = $1 AND ended_at IS NOT NULL \
                   ORDER BY queued_at DESC, id DESC LIMIT $2)";
        Write::new(sql, vec![job_id.into(), Value::count(keep)])
    }
}

impl Job {
    /// Fails with `AlreadyExists` if the id or the name is taken.
    #[must_use]
    pub fn insert_write(&self) -> Write {
        let sql = "INSERT INTO polder_job (id, name, kind, payload, owner, schedule, time_zone, after_job, retries, \
                   backoff_seconds, timeout_seconds, catch_up, enabled, created_at, scheduled_through) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
        Write::new(sql, self.params())
    }

    /// Replaces the row with this id.
    #[must_use]
    pub fn update_write(&self) -> Write {
        let sql = "UPDATE polder_job SET name = $2, kind = $3, payload = $4, owner = $5, schedule = $6, time_zone = $7, \
                   after_job = $8, retries = $9, backoff_seconds = $10, timeout_seconds = $11, catch_up = $12, \
                   enabled = $13, created_at = $14, scheduled_through = $15 WHERE id = $1";
        Write::new(sql, self.params()).affecting(1)
    }

    fn params(&self) -> Vec<Value> {
        vec![
            self.id.as_str().into(),
            self.name.as_str().into(),
            self.kind.as_str().into(),
            self.payload.to_string().into(),
            self.owner.as_str().into(),
            self.schedule.clone().into(),
            self.time_zone.as_str().into(),
            self.after_job.clone().into(),
            self.retries.into(),
            self.backoff_seconds.into(),
            self.timeout_seconds.into(),
            self.catch_up.as_str().into(),
            self.enabled.into(),
            self.created_at.into(),
            self.scheduled_through.into(),
        ]
    }
}

impl Run {
    /// A new row, with an empty log.
    #[must_use]
    pub fn insert_write(&self) -> Write {
        let sql = "INSERT INTO polder_run (id, job_id, job_name, kind, state, reason, attempt, due_at, queued_at, \
                   not_before, started_at, ended_at, caused_by, error_code, error_message, error_hint, log) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, '')";
        Write::new(sql, self.params())
    }

    /// Replaces the row with this id; the log stays.
    #[must_use]
    pub fn update_write(&self) -> Write {
        let sql = "UPDATE polder_run SET job_id = $2, job_name = $3, kind = $4, state = $5, reason = $6, attempt = $7, \
                   due_at = $8, queued_at = $9, not_before = $10, started_at = $11, ended_at = $12, caused_by = $13, \
                   error_code = $14, error_message = $15, error_hint = $16 WHERE id = $1";
        Write::new(sql, self.params()).affecting(1)
    }

    fn params(&self) -> Vec<Value> {
        let clean = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', "\u{FFFD}")).into();
        vec![
            self.id.as_str().into(),
            self.job_id.clone().into(),
            self.job_name.as_str().into(),
            self.kind.as_str().into(),
            self.state.as_str().into(),
            self.reason.as_str().into(),
            self.attempt.into(),
            self.due_at.into(),
            self.queued_at.into(),
            self.not_before.into(),
            self.started_at.into(),
            self.ended_at.into(),
            self.caused_by.clone().into(),
            self.error_code.clone().into(),
            clean(&self.error_message),
            clean(&self.error_hint),
        ]
    }
}

fn read_job(row: &Row) -> Result<Job> {
    let payload = serde_json::from_str(row.text(3)?)
        .map_err(|error| Error::new(ErrorKind::Corrupt, "a job's payload is no JSON").with_source(error))?;
    let created_at = row.time(13)?;
    Ok(Job {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        kind: row.text(2)?.to_owned(),
        payload,
        owner: row.text(4)?.to_owned(),
        schedule: row.opt_text(5)?.map(str::to_owned),
        time_zone: row.text(6)?.to_owned(),
        after_job: row.opt_text(7)?.map(str::to_owned),
        retries: row.int(8)?,
        backoff_seconds: row.int(9)?,
        timeout_seconds: row.opt_int(10)?,
        catch_up: row.text(11)?.to_owned(),
        enabled: row.bool(12)?,
        created_at,
        scheduled_through: row.opt_time(14)?.unwrap_or(created_at),
    })
}

fn read_run(row: &Row) -> Result<Run> {
    let text = |column| Ok::<_, Error>(row.opt_text(column)?.map(str::to_owned));
    Ok(Run {
        id: row.text(0)?.to_owned(),
        job_id: text(1)?,
        job_name: row.text(2)?.to_owned(),
        kind: row.text(3)?.to_owned(),
        state: row.text(4)?.to_owned(),
        reason: row.text(5)?.to_owned(),
        attempt: row.int(6)?,
        due_at: row.opt_time(7)?,
        queued_at: row.time(8)?,
        not_before: row.time(9)?,
        started_at: row.opt_time(10)?,
        ended_at: row.opt_time(11)?,
        caused_by: text(12)?,
        error_code: text(13)?,
        error_message: text(14)?,
        error_hint: text(15)?,
    })
}
