//! CREATE, ALTER, DROP and RUN JOB.
//!
//! Jobs are kept by the job runner, not by the lake: these statements take effect at once, and so cannot be part of a
//! transaction that might be taken back.

mod grammar;

use std::sync::Arc;

use polder_capability::deliveries::check_is_no_delivery;
use polder_capability::{Caller, CommandTag, IfExists, JobDefinition};
use polder_metastore::AuditEvent;
use polder_types::{Error, ErrorKind, Result};

use super::may::check_may_write_beside;
use crate::authz::Who;
use crate::engine::Engine;
use crate::session::{Inner, Outcome};
use crate::system;

pub(crate) use grammar::{CreateJob, JobOwner, JobStatement, parse_job};

/// The kind of the jobs that run a statement.
const STATEMENT: &str = "statement";

impl JobStatement {
    fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "CREATE JOB",
            Self::Pause(_) | Self::Resume(_) | Self::Owner { .. } => "ALTER JOB",
            Self::Drop { .. } => "DROP JOB",
            Self::Run(_) => "RUN JOB",
        }
    }
}

/// What is said of a name that is no job's, and of one that whoever asks knows nothing of.
fn absent(name: &str) -> String {
    format!("there is no job {name:?}")
}

fn taken(name: &str) -> String {
    format!("there is a job {name:?} already")
}

fn unknown(name: &str) -> Error {
    Error::not_found(absent(name)).with_code("42704").with_hint("SELECT job_name FROM polder.jobs")
}

/// The statement's job, as the runner keeps it.
fn definition(create: CreateJob, owner: &str) -> JobDefinition {
    let CreateJob { name, options, sql, .. } = create;
    let mut job = JobDefinition::new(name, STATEMENT, serde_json::json!({ "sql": sql }), owner);
    job.schedule = options.schedule;
    job.time_zone = options.time_zone.unwrap_or(job.time_zone);
    job.after = options.after;
    job.retries = options.retries.unwrap_or_default();
    job.backoff_seconds = options.backoff_seconds.unwrap_or(job.backoff_seconds);
    job.timeout_seconds = options.timeout_seconds;
    job.catch_up = options.catch_up.unwrap_or_default();
    job
}

impl Engine {
    async fn create_job(&self, who: &Who, create: CreateJob, done: Outcome) -> Result<Outcome> {
        let jobs = self.jobs()?;
        let (name, if_exists) = (create.name.clone(), create.if_exists);
        let existing = jobs.find(&name).await?;
        if let (Some(job), IfExists::Replace) = (&existing, if_exists) {
            if !who.has_named(&job.definition.owner) {
                // Its name cannot be had twice, which whoever makes one is told anyway.
                return Err(Error::new(ErrorKind::AlreadyExists, taken(&name)).with_code("42710"));
            }
            check_is_no_delivery(&job.definition)?;
        }
        // Whoever could have one run behind another's would learn that it is there, and when it runs.
        if let Some(after) = &create.options.after
            && (existing.is_none() || if_exists == IfExists::Replace)
            && !jobs.find(after).await?.is_some_and(|job| who.has_named(&job.definition.owner))
        {
            return Err(unknown(after));
        }
        let wanted = definition(create, who.role_name());
        let made = match (existing, if_exists) {
            // It replaces what was looked at here, and nothing that somebody else has made since.
            (Some(job), IfExists::Replace) => jobs.replace(&job.definition, wanted).await.map(|_| true)?,
            (None, IfExists::Replace) => match jobs.create(wanted, IfExists::Refuse).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    return Err(Error::conflict(format!("the job {name:?} has been made meanwhile"))
                        .with_hint("look at it, and try again"));
                }
                created => created?.1,
            },
            _ => jobs.create(wanted, if_exists).await?.1,
        };
        Ok(if made { done } else { done.notice(taken(&name)) })
    }

    /// Gives a job to a role that whoever has it is a member of, as other things are given: it runs with that role's rights.
    async fn hand_job_over(&self, caller: &Caller, who: &Who, seen: &JobDefinition, to: &JobOwner) -> Result<()> {
        check_is_no_delivery(seen)?;
        if seen.kind != STATEMENT {
            return Err(Error::invalid(format!("the job {:?} is a part of Polder and keeps its owner", seen.name))
                .with_code("42809"));
        }
        let owner = match to {
            JobOwner::Current => who.role,
            JobOwner::Session => who.user,
            JobOwner::Role(name) => who.book.named(name)?.oid,
        };
        let role = who.book.name(owner).unwrap_or_default();
        if !who.superuser && !who.book.is_member(who.role, owner) {
            return Err(Error::new(ErrorKind::Forbidden, format!("must be member of role \"{role}\""))
                .with_hint(format!("GRANT {role} TO {}", who.role_name())));
        }
        let mut event = AuditEvent::new("alter owner", who.user_name(), &caller.via).of(&format!("job {}", seen.name));
        event.message = Some(format!("to {role}"));
        self.jobs()?.replace(seen, JobDefinition { owner: role.to_owned(), ..seen.clone() }).await?;
        self.audit.record(event);
        Ok(())
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
        let (jobs, who) = (self.jobs()?, &inner.settings.who);
        let snapshot = self.lake.newest().await?.id;
        let done = Outcome::done(verb, None, snapshot);
        let name = match statement {
            JobStatement::Create(create) => return self.create_job(who, *create, done).await,
            JobStatement::Pause(ref name)
            | JobStatement::Resume(ref name)
            | JobStatement::Run(ref name)
            | JobStatement::Owner { ref name, .. }
            | JobStatement::Drop { ref name, .. } => name,
        };
        let job = jobs.find(name).await?.filter(|job| who.has_named(&job.definition.owner));
        let Some(job) = job else {
            return match statement {
                JobStatement::Drop { if_exists: true, .. } => Ok(done.notice(absent(name))),
                _ => Err(unknown(name)),
            };
        };
        match &statement {
            JobStatement::Create(_) => {}
            JobStatement::Pause(_) => drop(jobs.pause(name).await?),
            JobStatement::Resume(_) => drop(jobs.resume(name).await?),
            JobStatement::Owner { to, .. } => self.hand_job_over(caller, who, &job.definition, to).await?,
            JobStatement::Drop { if_exists, .. } => {
                check_is_no_delivery(&job.definition)?;
                // Somebody else may have been faster.
                if !jobs.remove(name).await? {
                    return if *if_exists { Ok(done.notice(absent(name))) } else { Err(unknown(name)) };
                }
            }
            JobStatement::Run(_) => {
                let id = jobs.run(caller, name).await?;
                let mut outcome = system::one_text("run_id", &id.to_string(), snapshot)?;
                outcome.tag = CommandTag { verb: verb.to_owned(), rows: None };
                return Ok(outcome);
            }
        }
        Ok(done)
    }
}
