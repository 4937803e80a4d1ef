//! CREATE, ALTER, DROP and RUN JOB.
//!
//! Jobs are kept by the job runner, not by the lake: these statements take effect at once, and so cannot be part of a
//! transaction that might be taken back.

mod grammar;

use std::sync::Arc;

use polder_capability::deliveries::check_is_no_delivery;
use polder_capability::{Caller, CommandTag, IfExists, JobDefinition};
use polder_types::{Error, Result};

use super::may::check_may_write_beside;
use crate::authz::{Who, not_owner};
use crate::engine::Engine;
use crate::session::{Inner, Outcome};
use crate::system;

pub(crate) use grammar::{CreateJob, JobStatement, parse_job};

/// The kind of the jobs that run a statement.
const STATEMENT: &str = "statement";

impl JobStatement {
    fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "CREATE JOB",
            Self::Pause(_) | Self::Resume(_) => "ALTER JOB",
            Self::Drop { .. } => "DROP JOB",
            Self::Run(_) => "RUN JOB",
        }
    }
}

impl Engine {
    /// # Errors
    /// `Forbidden` (42501) for a job of another role, unless one has its rights. One that is not there is nobody's matter.
    async fn must_own_job(&self, who: &Who, name: &str) -> Result<()> {
        if who.superuser {
            return Ok(());
        }
        let all = self.jobs()?.list().await?;
        match all.iter().find(|job| job.definition.name == name) {
            Some(job) if !who.book.find(&job.definition.owner).is_some_and(|owner| who.has(owner.oid)) => {
                Err(not_owner("job", name, &job.definition.owner))
            }
            _ => Ok(()),
        }
    }

    /// Runs a statement about jobs.
    pub(crate) async fn job(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &Inner,
        statement: JobStatement,
    ) -> Result<Outcome> {
        let verb = statement.verb();
        check_may_write_beside(inner, verb)?;
        let jobs = self.jobs()?;
        if let JobStatement::Pause(name)
        | JobStatement::Resume(name)
        | JobStatement::Drop { name, .. }
        | JobStatement::Run(name) = &statement
        {
            self.must_own_job(&inner.settings.who, name).await?;
        }
        if let JobStatement::Create(create) = &statement
            && create.if_exists == IfExists::Replace
        {
            self.must_own_job(&inner.settings.who, &create.name).await?;
        }
        let gone = match &statement {
            JobStatement::Drop { name, .. } => Some(name),
            JobStatement::Create(create) if create.if_exists == IfExists::Replace => Some(&create.name),
            _ => None,
        };
        if let Some(name) = gone
            && let Some(job) = jobs.find(name).await?
        {
            check_is_no_delivery(&job.definition)?;
        }
        let mut notice = None;
        let snapshot = self.lake.newest().await?.id;
        match statement {
            JobStatement::Create(create) => {
                let CreateJob { name, if_exists, options, sql } = *create;
                let payload = serde_json::json!({ "sql": sql });
                let mut job = JobDefinition::new(name.clone(), STATEMENT, payload, inner.settings.who.role_name());
                job.schedule = options.schedule;
                job.time_zone = options.time_zone.unwrap_or(job.time_zone);
                job.after = options.after;
                job.retries = options.retries.unwrap_or_default();
                job.backoff_seconds = options.backoff_seconds.unwrap_or(job.backoff_seconds);
                job.timeout_seconds = options.timeout_seconds;
                job.catch_up = options.catch_up.unwrap_or_default();
                let (_, made) = jobs.create(job, if_exists).await?;
                if !made {
                    notice = Some(format!("there is a job {name:?} already"));
                }
            }
            JobStatement::Pause(name) => drop(jobs.pause(&name).await?),
            JobStatement::Resume(name) => drop(jobs.resume(&name).await?),
            JobStatement::Drop { name, if_exists } => {
                if !jobs.remove(&name).await? {
                    let message = format!("there is no job {name:?}");
                    if !if_exists {
                        return Err(Error::not_found(message)
                            .with_code("42704")
                            .with_hint("SELECT job_name FROM polder.jobs"));
                    }
                    notice = Some(message);
                }
            }
            JobStatement::Run(name) => {
                let id = jobs.run(caller, &name).await?;
                let mut outcome = system::one_text("run_id", &id.to_string(), snapshot)?;
                outcome.tag = CommandTag { verb: verb.to_owned(), rows: None };
                return Ok(outcome);
            }
        }
        let outcome = Outcome::done(verb, None, snapshot);
        Ok(match notice {
            Some(notice) => outcome.notice(notice),
            None => outcome,
        })
    }
}
