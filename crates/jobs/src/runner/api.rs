//! The runner as statements and servers see it.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use polder_capability::{Caller, IfExists, JobDefinition, JobStatus, Jobs, LogPart, RunFilter, RunRecord};
use polder_metastore::RunsWanted;
use polder_types::{Error, ErrorKind, Result, RunId};
use uuid::Uuid;

use super::{JobRunner, Shared};
use crate::attempt::Cause;
use crate::book::{Book, Changes, Job, no_such_job};
use crate::store;

const NAME_BYTES_MAX: usize = 200;
const RETRIES_MAX: u32 = 100;
/// A year, for waits and timeouts.
const SECONDS_MAX: u64 = 366 * 24 * 3600;
/// Runs in one answer.
const RUNS_MAX: u32 = 10_000;

/// A job's status without what the metastore knows of it.
fn status(book: &Book, job: &Job, last_run: Option<RunRecord>) -> JobStatus {
    JobStatus {
        definition: job.definition.clone(),
        enabled: job.enabled,
        created_at: job.created_at,
        next_at: book.next_of(job),
        last_run,
    }
}

impl Shared {
    async fn last_runs(&self) -> Result<HashMap<String, RunRecord>> {
        let rows = self.metastore.jobs().last_runs().await?;
        let attempts = rows.into_iter().map(store::attempt).collect::<Result<Vec<_>>>()?;
        Ok(attempts.into_iter().map(|attempt| (attempt.job_id, attempt.record)).collect())
    }

    async fn all(&self) -> Result<Vec<JobStatus>> {
        let mut last = self.last_runs().await?;
        let desk = self.desk.lock().await;
        Ok(desk.book.jobs().map(|job| status(&desk.book, job, last.remove(&job.id))).collect())
    }

    async fn one(&self, name: &str) -> Result<Option<JobStatus>> {
        let mut last = self.last_runs().await?;
        let desk = self.desk.lock().await;
        Ok(desk.book.job(name).map(|job| status(&desk.book, job, last.remove(&job.id))))
    }

    async fn sure(&self, name: &str) -> Result<JobStatus> {
        self.one(name).await?.ok_or_else(|| no_such_job(name))
    }

    fn is_standing(&self, name: &str) -> bool {
        self.standing.iter().any(|job| job.definition.name == name)
    }

    fn check(&self, definition: &JobDefinition) -> Result<()> {
        let invalid = |message: String| Err(Error::invalid(message).with_code("22023"));
        if definition.name.trim().is_empty() || definition.name.len() > NAME_BYTES_MAX {
            return invalid(format!("a job's name has 1 to {NAME_BYTES_MAX} bytes"));
        }
        if definition.retries > RETRIES_MAX {
            return invalid(format!(
                "{} further attempts are too many, the limit is {RETRIES_MAX}",
                definition.retries
            ));
        }
        if definition.backoff_seconds > SECONDS_MAX {
            return invalid("the wait before another attempt is longer than a year".to_owned());
        }
        if definition.timeout_seconds.is_some_and(|seconds| seconds == 0 || seconds > SECONDS_MAX) {
            return invalid("a timeout is between a second and a year".to_owned());
        }
        let kinds = self.kinds.read();
        let Some(kind) = kinds.get(definition.kind.as_str()) else {
            let known = kinds.keys().copied().collect::<Vec<_>>().join(", ");
            return Err(Error::not_found(format!("there is no kind of jobs named {:?}", definition.kind))
                .with_code("42704")
                .with_hint(format!("the kinds are {known}")));
        };
        let is_always = definition.schedule.as_deref() == Some(JobDefinition::ALWAYS);
        if is_always != kind.is_always() {
            return invalid(match is_always {
                true => format!("jobs of the kind {:?} need a time at which they run", definition.kind),
                false => format!("jobs of the kind {:?} are always due", definition.kind),
            });
        }
        kind.check(&definition.payload)
    }

    async fn create(&self, definition: JobDefinition, if_exists: IfExists) -> Result<bool> {
        self.check(&definition)?;
        let now = self.now();
        let mut desk = self.desk.lock().await;
        let name = definition.name.clone();
        let existing = desk.book.job(&name).cloned();
        let changes = match (existing, if_exists) {
            (Some(_), IfExists::Keep) => return Ok(false),
            (Some(_), IfExists::Refuse) => {
                return Err(Error::new(ErrorKind::AlreadyExists, format!("there is a job {name:?} already"))
                    .with_code("42710")
                    .with_hint("CREATE OR REPLACE JOB, or CREATE JOB IF NOT EXISTS"));
            }
            (Some(job), IfExists::Replace) => self.replaced(&desk.book, job, definition, now)?,
            (None, _) => {
                desk.book.check_after(&definition)?;
                let job = Job::new(Uuid::now_v7().to_string(), definition, true, now, now)?;
                Changes { new_jobs: vec![job], ..Changes::default() }
            }
        };
        self.commit(&mut desk, changes).await?;
        Ok(true)
    }

    async fn replace(&self, seen: &JobDefinition, definition: JobDefinition) -> Result<()> {
        self.check(&definition)?;
        let now = self.now();
        let mut desk = self.desk.lock().await;
        let there = desk.book.job(&seen.name).filter(|job| job.definition == *seen && seen.name == definition.name);
        let Some(job) = there.cloned() else {
            return Err(Error::conflict(format!("the job {:?} has been changed meanwhile", seen.name))
                .with_hint("look at it, and try again"));
        };
        let changes = self.replaced(&desk.book, job, definition, now)?;
        self.commit(&mut desk, changes).await
    }

    fn replaced(&self, book: &Book, job: Job, definition: JobDefinition, now: DateTime<Utc>) -> Result<Changes> {
        if self.is_standing(&definition.name) && job.definition.kind != definition.kind {
            return Err(Error::invalid(format!(
                "the job {:?} is a part of Polder and keeps its kind",
                definition.name
            ))
            .with_code("42809")
            .with_hint("choose another name"));
        }
        book.check_after(&definition)?;
        let job = Job::new(job.id, definition, job.enabled, job.created_at, now)?;
        Ok(Changes { jobs: vec![job], ..Changes::default() })
    }

    async fn change(&self, change: impl FnOnce(&Book, DateTime<Utc>) -> Result<Changes>) -> Result<()> {
        let mut desk = self.desk.lock().await;
        let changes = change(&desk.book, self.now())?;
        self.commit(&mut desk, changes).await
    }

    async fn remove(&self, name: &str) -> Result<bool> {
        if self.is_standing(name) {
            return Err(Error::invalid(format!("the job {name:?} is a part of Polder"))
                .with_code("42809")
                .with_hint(format!("ALTER JOB {name} PAUSE")));
        }
        let mut desk = self.desk.lock().await;
        let Some(job) = desk.book.job(name) else { return Ok(false) };
        let id = job.id.clone();
        let changes = desk.book.remove(name, self.now())?;
        self.commit(&mut desk, changes).await?;
        let running: Vec<RunId> =
            desk.book.running().filter(|run| run.job_id == id).map(|run| run.record.run_id).collect();
        for live in running.iter().filter_map(|run| desk.live.get(run)) {
            live.stop_for(Cause::Asked);
        }
        Ok(true)
    }

    async fn ask(&self, caller: &Caller, name: &str, caused_by: Option<RunId>) -> Result<RunId> {
        let mut desk = self.desk.lock().await;
        let changes = desk.book.ask(name, &caller.user, caused_by, self.now())?;
        let id = changes.new_runs.first().map(|run| run.record.run_id);
        self.commit(&mut desk, changes).await?;
        id.ok_or_else(|| Error::internal("asking for a run made none"))
    }

    async fn record(&self, id: RunId) -> Result<Option<RunRecord>> {
        let row = self.metastore.jobs().run(&id.to_string()).await?;
        Ok(row.map(store::attempt).transpose()?.map(|attempt| attempt.record))
    }

    async fn log(&self, id: RunId, from: u64) -> Result<Option<LogPart>> {
        let live = self.desk.lock().await.live.get(&id).cloned();
        let (text, has_ended) = match live {
            Some(live) => (live.log.text(), false),
            None => {
                let Some(record) = self.record(id).await? else { return Ok(None) };
                let Some(text) = self.metastore.jobs().log(&id.to_string()).await? else { return Ok(None) };
                (text, record.state.has_ended())
            }
        };
        let next = text.len() as u64;
        let start = usize::try_from(from.min(next)).unwrap_or(usize::MAX);
        let part = text.get(start..).ok_or_else(|| Error::invalid(format!("byte {from} is within a character")))?;
        Ok(Some(LogPart { text: part.to_owned(), next, has_ended }))
    }
}

/// Runs a change in a task of its own: a caller that stops waiting must not leave it half done.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(|error| Error::internal("a change of a job died").with_source(error))?
}

impl JobRunner {
    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

#[async_trait::async_trait]
impl Jobs for JobRunner {
    async fn list(&self) -> Result<Vec<JobStatus>> {
        self.shared.all().await
    }

    async fn find(&self, name: &str) -> Result<Option<JobStatus>> {
        self.shared.one(name).await
    }

    async fn create(&self, definition: JobDefinition, if_exists: IfExists) -> Result<(JobStatus, bool)> {
        let (shared, name) = (self.shared(), definition.name.clone());
        let made = to_the_end(async move { shared.create(definition, if_exists).await }).await?;
        Ok((self.shared.sure(&name).await?, made))
    }

    async fn replace(&self, seen: &JobDefinition, definition: JobDefinition) -> Result<JobStatus> {
        let (shared, seen, name) = (self.shared(), seen.clone(), definition.name.clone());
        to_the_end(async move { shared.replace(&seen, definition).await }).await?;
        self.shared.sure(&name).await
    }

    async fn pause(&self, name: &str) -> Result<JobStatus> {
        let (shared, owned) = (self.shared(), name.to_owned());
        to_the_end(async move { shared.change(|book, now| book.pause(&owned, now)).await }).await?;
        self.shared.sure(name).await
    }

    async fn resume(&self, name: &str) -> Result<JobStatus> {
        let (shared, owned) = (self.shared(), name.to_owned());
        to_the_end(async move { shared.change(|book, now| book.resume(&owned, now)).await }).await?;
        self.shared.sure(name).await
    }

    async fn remove(&self, name: &str) -> Result<bool> {
        let (shared, name) = (self.shared(), name.to_owned());
        to_the_end(async move { shared.remove(&name).await }).await
    }

    async fn run(&self, caller: &Caller, name: &str) -> Result<RunId> {
        let (shared, caller, name) = (self.shared(), caller.clone(), name.to_owned());
        to_the_end(async move { shared.ask(&caller, &name, None).await }).await
    }

    async fn run_again(&self, caller: &Caller, id: RunId) -> Result<RunId> {
        let record = self.shared.record(id).await?;
        let record = record.ok_or_else(|| Error::not_found(format!("there is no run {id}")).with_code("42704"))?;
        let (shared, caller) = (self.shared(), caller.clone());
        to_the_end(async move { shared.ask(&caller, &record.job, Some(id)).await }).await
    }

    async fn cancel(&self, id: RunId) -> Result<bool> {
        let shared = self.shared();
        to_the_end(async move { shared.cancel(id).await }).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        let before = filter.before.map(|id| id.to_string());
        let wanted = RunsWanted {
            job_name: filter.job.as_deref(),
            state: filter.state.map(|state| state.name()),
            before: before.as_deref(),
            limit: filter.limit.min(RUNS_MAX).into(),
        };
        let rows = self.shared.metastore.jobs().runs(&wanted).await?;
        rows.into_iter().map(|row| store::attempt(row).map(|attempt| attempt.record)).collect()
    }

    async fn run_record(&self, id: RunId) -> Result<Option<RunRecord>> {
        self.shared.record(id).await
    }

    async fn log(&self, id: RunId, from: u64) -> Result<Option<LogPart>> {
        self.shared.log(id, from).await
    }
}
