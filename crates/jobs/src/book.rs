//! The decisions: which due times become runs, which runs start, what follows from their end.
//!
//! Nothing here waits, writes or reads a clock. A question gives [`Changes`], which are written down first and applied to
//! the book afterwards; so what the book knows is on disk.

mod due;
mod end;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use polder_capability::{JobDefinition, QueryError, RunReason, RunRecord, RunState};
use polder_types::{Error, ErrorKind, Result, RunId};

use crate::schedule::Schedule;

pub(crate) use end::Outcome;

/// Runs of one job that may wait at once.
pub(crate) const WAITING_MAX: usize = 100;

/// A job and how far its schedule has been followed.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub id: String,
    pub definition: JobDefinition,
    pub schedule: Option<Schedule>,
    /// Due whenever it is not running.
    pub always: bool,
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
    /// Due times up to this one have become runs, or been passed over.
    pub through: DateTime<Utc>,
    /// The first due time after `through`.
    pub next: Option<DateTime<Utc>>,
}

impl Job {
    /// # Errors
    /// `InvalidInput` for a schedule that cannot be used.
    pub fn new(
        id: String,
        definition: JobDefinition,
        enabled: bool,
        created_at: DateTime<Utc>,
        through: DateTime<Utc>,
    ) -> Result<Self> {
        let always = definition.schedule.as_deref() == Some(JobDefinition::ALWAYS);
        let parse = |text: &String| Schedule::parse(text, &definition.time_zone);
        let schedule = definition.schedule.as_ref().filter(|_| !always).map(parse).transpose()?;
        Ok(Self { id, definition, schedule, always, enabled, created_at, through, next: None }.followed(through))
    }

    /// The job with its schedule followed up to a time.
    pub fn followed(mut self, through: DateTime<Utc>) -> Self {
        self.through = through;
        self.next = self.schedule.as_ref().and_then(|schedule| schedule.next_after(through));
        self
    }
}

/// A run of a job that is or was in the book.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub job_id: String,
    pub record: RunRecord,
}

/// What is to be written down, and then applied.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub new_jobs: Vec<Job>,
    pub jobs: Vec<Job>,
    pub removed_jobs: Vec<Job>,
    pub new_runs: Vec<Attempt>,
    pub runs: Vec<Attempt>,
    /// Lines for the logs of runs, new ones included.
    pub log: Vec<(RunId, String)>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        let Self { new_jobs, jobs, removed_jobs, new_runs, runs, log } = self;
        new_jobs.is_empty()
            && jobs.is_empty()
            && removed_jobs.is_empty()
            && new_runs.is_empty()
            && runs.is_empty()
            && log.is_empty()
    }
}

/// All jobs, and the runs that wait or run.
#[derive(Debug)]
pub(crate) struct Book {
    /// By name.
    jobs: BTreeMap<String, Job>,
    open: BTreeMap<RunId, Attempt>,
    /// Runs that may go on at once.
    slots: usize,
}

impl Book {
    pub fn new(slots: usize, jobs: Vec<Job>, open: Vec<Attempt>) -> Self {
        let jobs = jobs.into_iter().map(|job| (job.definition.name.clone(), job)).collect();
        let open = open.into_iter().map(|attempt| (attempt.record.run_id, attempt)).collect();
        Self { jobs, open, slots: slots.max(1) }
    }

    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    pub fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.get(name)
    }

    /// The job of that name, or the refusal.
    pub fn existing(&self, name: &str) -> Result<&Job> {
        self.jobs.get(name).ok_or_else(|| no_such_job(name))
    }

    pub fn open_run(&self, id: RunId) -> Option<&Attempt> {
        self.open.get(&id)
    }

    fn open_of<'a>(&'a self, job_id: &'a str) -> impl Iterator<Item = &'a Attempt> {
        self.open.values().filter(move |attempt| attempt.job_id == job_id)
    }

    fn waiting_of<'a>(&'a self, job_id: &'a str) -> impl Iterator<Item = &'a Attempt> {
        self.open_of(job_id).filter(|attempt| attempt.record.state == RunState::Waiting)
    }

    pub fn running(&self) -> impl Iterator<Item = &Attempt> {
        self.open.values().filter(|attempt| attempt.record.state == RunState::Running)
    }

    pub fn waiting(&self) -> impl Iterator<Item = &Attempt> {
        self.open.values().filter(|attempt| attempt.record.state == RunState::Waiting)
    }

    fn is_running(&self, job_id: &str) -> bool {
        self.open_of(job_id).any(|attempt| attempt.record.state == RunState::Running)
    }

    fn is_always(&self, attempt: &Attempt) -> bool {
        self.jobs.get(&attempt.record.job).is_some_and(|job| job.always && job.id == attempt.job_id)
    }

    /// When a job will run next: by its schedule, or as a run that waits for its time.
    pub fn next_of(&self, job: &Job) -> Option<DateTime<Utc>> {
        let due = job.next.filter(|_| job.enabled);
        self.waiting_of(&job.id).map(|attempt| attempt.record.not_before).chain(due).min()
    }

    /// What to start now: the longest due first, one of each job, as many as there are slots.
    pub fn start(&self, now: DateTime<Utc>) -> Changes {
        let mut ready: Vec<&Attempt> = self.waiting().filter(|attempt| attempt.record.not_before <= now).collect();
        ready.sort_by_key(|attempt| (attempt.record.not_before, attempt.record.queued_at, attempt.record.run_id));
        let takes_place = |attempt: &&Attempt| !self.is_always(attempt);
        let mut free = self.slots.saturating_sub(self.running().filter(takes_place).count());
        let mut changes = Changes::default();
        for attempt in ready {
            let is_always = self.is_always(attempt);
            if free == 0 && !is_always {
                continue;
            }
            let is_taken = |other: &Attempt| other.job_id == attempt.job_id;
            // A job that cannot be read is not in the book; its runs wait for a program that can.
            if self.jobs.get(&attempt.record.job).is_none_or(|job| job.id != attempt.job_id) {
                continue;
            }
            if self.is_running(&attempt.job_id) || changes.runs.iter().any(is_taken) {
                continue;
            }
            free -= usize::from(!is_always);
            let mut started = attempt.clone();
            started.record.state = RunState::Running;
            started.record.started_at = Some(now);
            changes.runs.push(started);
        }
        changes
    }

    /// The next moment at which something may be due or start, besides when a run ends.
    pub fn next_wake(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due = self.jobs.values().filter(|job| job.enabled && self.has_room(job)).filter_map(|job| job.next);
        let waits = self.waiting().map(|attempt| attempt.record.not_before).filter(|time| *time > now);
        due.chain(waits).min()
    }

    /// A run because somebody asks for it.
    ///
    /// # Errors
    /// `NotFound`, and `Exhausted` if too many wait already.
    pub fn ask(&self, name: &str, user: &str, caused_by: Option<RunId>, now: DateTime<Utc>) -> Result<Changes> {
        let job = self.existing(name)?;
        if self.waiting_of(&job.id).count() >= WAITING_MAX {
            return Err(Error::new(
                ErrorKind::Exhausted,
                format!("{WAITING_MAX} runs of the job {name:?} wait already"),
            )
            .with_hint("wait, or cancel some"));
        }
        let mut attempt = new_attempt(job, RunReason::Asked, now);
        attempt.record.caused_by = caused_by;
        let line = format!("asked for by {user}");
        Ok(Changes { log: vec![(attempt.record.run_id, line)], new_runs: vec![attempt], ..Changes::default() })
    }

    /// # Errors
    /// `NotFound`.
    pub fn pause(&self, name: &str, now: DateTime<Utc>) -> Result<Changes> {
        let job = self.existing(name)?;
        let mut changes = self.cancel_waiting(job, "the job was paused", now);
        changes.jobs.push(Job { enabled: false, ..job.clone() });
        Ok(changes)
    }

    /// # Errors
    /// `NotFound`.
    pub fn resume(&self, name: &str, now: DateTime<Utc>) -> Result<Changes> {
        let job = self.existing(name)?;
        if job.enabled {
            return Ok(Changes::default());
        }
        let job = Job { enabled: true, ..job.clone() }.followed(now);
        Ok(Changes { jobs: vec![job], ..Changes::default() })
    }

    /// # Errors
    /// `NotFound`, and `InvalidInput` if another job runs after this one.
    pub fn remove(&self, name: &str, now: DateTime<Utc>) -> Result<Changes> {
        let job = self.existing(name)?;
        if let Some(follower) = self.jobs.values().find(|other| other.definition.after.as_deref() == Some(name)) {
            let follower = &follower.definition.name;
            return Err(Error::invalid(format!("the job {follower:?} runs after {name:?}"))
                .with_code("2BP01")
                .with_hint(format!("DROP JOB {follower} first")));
        }
        let mut changes = self.cancel_waiting(job, "the job was removed", now);
        changes.removed_jobs.push(job.clone());
        Ok(changes)
    }

    /// Refuses a job that would, over other jobs, run after itself, or after one that is not there.
    pub fn check_after(&self, definition: &JobDefinition) -> Result<()> {
        let mut before = definition.after.as_deref();
        while let Some(name) = before {
            if name == definition.name {
                return Err(Error::invalid(format!("the job {name:?} would run after itself")).with_code("42P17"));
            }
            before = self.existing(name)?.definition.after.as_deref();
        }
        Ok(())
    }

    fn cancel_waiting(&self, job: &Job, reason: &str, now: DateTime<Utc>) -> Changes {
        let runs = self.waiting_of(&job.id).map(|attempt| cancelled(attempt, reason, now)).collect();
        Changes { runs, ..Changes::default() }
    }

    /// Brings the book to where the changes, now on disk, say.
    pub fn apply(&mut self, changes: Changes) {
        for job in changes.removed_jobs {
            self.jobs.remove(&job.definition.name);
        }
        for job in changes.new_jobs.into_iter().chain(changes.jobs) {
            self.jobs.insert(job.definition.name.clone(), job);
        }
        for attempt in changes.new_runs.into_iter().chain(changes.runs) {
            let id = attempt.record.run_id;
            if attempt.record.state.has_ended() {
                self.open.remove(&id);
            } else {
                self.open.insert(id, attempt);
            }
        }
    }
}

pub(crate) fn no_such_job(name: &str) -> Error {
    Error::not_found(format!("there is no job {name:?}"))
        .with_code("42704")
        .with_hint("SELECT job_name FROM polder.jobs")
}

/// A run that waits from now on.
fn new_attempt(job: &Job, reason: RunReason, now: DateTime<Utc>) -> Attempt {
    let record = RunRecord {
        run_id: RunId::new(),
        job: job.definition.name.clone(),
        kind: job.definition.kind.clone(),
        state: RunState::Waiting,
        reason,
        attempt: 1,
        due_at: None,
        queued_at: now,
        not_before: now,
        started_at: None,
        ended_at: None,
        caused_by: None,
        error: None,
    };
    Attempt { job_id: job.id.clone(), record }
}

/// A run that waited, and will not be.
pub(crate) fn cancelled(attempt: &Attempt, reason: &str, now: DateTime<Utc>) -> Attempt {
    let mut attempt = attempt.clone();
    attempt.record.state = RunState::Cancelled;
    attempt.record.ended_at = Some(now);
    attempt.record.error = Some(remark(Error::cancelled().code(), reason.to_owned()));
    attempt
}

fn remark(code: &str, message: String) -> QueryError {
    QueryError { code: code.to_owned(), message, position: None, hint: None }
}

#[cfg(test)]
mod tests;
