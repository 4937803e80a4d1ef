//! Jobs and their runs: rows only. What a job does, and when, is for the floors above.

use chrono::{DateTime, Utc};
use polder_types::Result;

use crate::{Metastore, Row, Value, Write};

/// Something to be run, once or by a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: String,
    pub name: String,
    pub kind: String,
    /// `None`: only when asked.
    pub schedule: Option<String>,
    /// What the job's kind needs to know.
    pub payload: serde_json::Value,
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
}

/// One run of a job, or of something that is no job, such as a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: String,
    pub job_id: Option<String>,
    pub kind: String,
    /// `running`, `done`, `failed`, `cancelled`.
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// From 1.
    pub attempt: i64,
    pub log: String,
    pub error: Option<String>,
}

/// A view of the metastore: jobs and runs.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }
}

const SELECT_JOB: &str = "SELECT id, name, kind, schedule, payload, enabled, created_at FROM polder_job";
const SELECT_RUN: &str = "SELECT id, job_id, kind, state, started_at, ended_at, attempt, log, error FROM polder_run";

impl Jobs<'_> {
    /// All of them, by name.
    pub async fn list(&self) -> Result<Vec<Job>> {
        let rows = self.0.query(&format!("{SELECT_JOB} ORDER BY name"), &[]).await?;
        rows.iter().map(read_job).collect()
    }

    pub async fn get(&self, id: &str) -> Result<Option<Job>> {
        let rows = self.0.query(&format!("{SELECT_JOB} WHERE id = $1"), &[id.into()]).await?;
        rows.first().map(read_job).transpose()
    }

    /// # Errors
    /// `AlreadyExists` if the id or the name is taken.
    pub async fn insert(&self, job: &Job) -> Result<()> {
        let sql = "INSERT INTO polder_job (id, name, kind, schedule, payload, enabled, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.0.write(&[Write::new(sql, job_params(job))]).await
    }

    /// True if there was one with this id. `created_at` stays as it was.
    pub async fn update(&self, job: &Job) -> Result<bool> {
        let sql = "UPDATE polder_job SET name = $2, kind = $3, schedule = $4, payload = $5, enabled = $6 WHERE id = $1";
        let mut params = job_params(job);
        params.pop();
        self.0.write_if_there(Write::new(sql, params)).await
    }

    /// True if there was one. Its runs stay.
    pub async fn delete(&self, id: &str) -> Result<bool> {
        self.0.write_if_there(Write::new("DELETE FROM polder_job WHERE id = $1", vec![id.into()])).await
    }

    pub async fn insert_run(&self, run: &Run) -> Result<()> {
        let sql = "INSERT INTO polder_run (id, job_id, kind, state, started_at, ended_at, attempt, log, error) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        self.0.write(&[Write::new(sql, run_params(run))]).await
    }

    /// True if there was one with this id.
    pub async fn update_run(&self, run: &Run) -> Result<bool> {
        let sql = "UPDATE polder_run SET job_id = $2, kind = $3, state = $4, started_at = $5, ended_at = $6, \
                   attempt = $7, log = $8, error = $9 WHERE id = $1";
        self.0.write_if_there(Write::new(sql, run_params(run))).await
    }

    /// The newest first; `job_id`: of this job only.
    pub async fn list_runs(&self, job_id: Option<&str>, limit: u64) -> Result<Vec<Run>> {
        let limit = Value::count(limit);
        let rows = match job_id {
            None => self.0.query(&format!("{SELECT_RUN} ORDER BY started_at DESC, id DESC LIMIT $1"), &[limit]).await?,
            Some(job_id) => {
                let sql = format!("{SELECT_RUN} WHERE job_id = $1 ORDER BY started_at DESC, id DESC LIMIT $2");
                self.0.query(&sql, &[job_id.into(), limit]).await?
            }
        };
        rows.iter().map(read_run).collect()
    }
}

fn job_params(job: &Job) -> Vec<Value> {
    vec![
        job.id.as_str().into(),
        job.name.as_str().into(),
        job.kind.as_str().into(),
        job.schedule.clone().into(),
        job.payload.to_string().into(),
        job.enabled.into(),
        job.created_at.into(),
    ]
}

fn run_params(run: &Run) -> Vec<Value> {
    vec![
        run.id.as_str().into(),
        run.job_id.clone().into(),
        run.kind.as_str().into(),
        run.state.as_str().into(),
        run.started_at.into(),
        run.ended_at.into(),
        run.attempt.into(),
        run.log.as_str().into(),
        run.error.clone().into(),
    ]
}

fn read_job(row: &Row) -> Result<Job> {
    let payload = serde_json::from_str(row.text(4)?).map_err(|error| {
        polder_types::Error::new(polder_types::ErrorKind::Corrupt, "a job's payload is no JSON").with_source(error)
    })?;
    Ok(Job {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        kind: row.text(2)?.to_owned(),
        schedule: row.opt_text(3)?.map(str::to_owned),
        payload,
        enabled: row.bool(5)?,
        created_at: row.time(6)?,
    })
}

fn read_run(row: &Row) -> Result<Run> {
    Ok(Run {
        id: row.text(0)?.to_owned(),
        job_id: row.opt_text(1)?.map(str::to_owned),
        kind: row.text(2)?.to_owned(),
        state: row.text(3)?.to_owned(),
        started_at: row.time(4)?,
        ended_at: row.opt_time(5)?,
        attempt: row.int(6)?,
        log: row.text(7)?.to_owned(),
        error: row.opt_text(8)?.map(str::to_owned),
    })
}
