//! What follows from the end of a run.

use chrono::{DateTime, TimeDelta, Utc};
use polder_capability::{CatchUp, QueryError, RunReason, RunState};
use polder_types::{Error, RunId};

use super::{Attempt, Book, Changes, Job, WAITING_MAX, new_attempt, remark};

/// However often an attempt has failed, the next one comes within this.
const BACKOFF_SECONDS_MAX: u64 = 3600;

/// What is always due is not left alone for longer: somebody waits for it.
const ALWAYS_BACKOFF_MAX: TimeDelta = TimeDelta::seconds(60);

/// A run of a job that is always due, and failed after so long, was no failed beginning.
const WENT_WELL_AFTER: TimeDelta = TimeDelta::seconds(600);

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Failed(Error),
    Cancelled,
    /// Cut off by the end of the server's process; the time is when that was noticed.
    Interrupted,
}

impl Outcome {
    fn state(&self) -> RunState {
        match self {
            Self::Done => RunState::Done,
            Self::Failed(_) => RunState::Failed,
            Self::Cancelled => RunState::Cancelled,
            Self::Interrupted => RunState::Interrupted,
        }
    }

    fn error(&self) -> Option<QueryError> {
        match self {
            Self::Done => None,
            Self::Failed(error) => Some(QueryError {
                code: error.code().to_owned(),
                message: error.described(),
                position: error.position(),
                hint: error.hint().map(str::to_owned),
            }),
            Self::Cancelled => Some(remark(Error::cancelled().code(), Error::cancelled().message().to_owned())),
            Self::Interrupted => Some(remark("57P01", "the server stopped while it ran".to_owned())),
        }
    }
}

impl Book {
    /// The end of a run, the attempt that comes after it, the jobs that run after it. No changes if it is not running.
    pub fn end(&self, id: RunId, outcome: &Outcome, now: DateTime<Utc>) -> Changes {
        let mut changes = Changes::default();
        let Some(attempt) = self.open.get(&id).filter(|attempt| attempt.record.state == RunState::Running) else {
            return changes;
        };
        let mut ended = attempt.clone();
        ended.record.state = outcome.state();
        ended.record.ended_at = Some(now);
        ended.record.error = outcome.error();
        changes.runs.push(ended);
        // The job may be gone, or be another one of the same name.
        let job = self.jobs.get(&attempt.record.job).filter(|job| job.id == attempt.job_id);
        match (outcome, job) {
            (Outcome::Done, Some(job)) => self.follow(job, id, now, &mut changes),
            (Outcome::Failed(_) | Outcome::Interrupted, Some(job)) => {
                self.retry(job, attempt, matches!(outcome, Outcome::Interrupted), now, &mut changes);
            }
            _ => {}
        }
        changes
    }

    /// The runs that were running when the process ended.
    pub fn cut_off(&self) -> Vec<RunId> {
        self.running().map(|attempt| attempt.record.run_id).collect()
    }

    fn retry(&self, job: &Job, attempt: &Attempt, at_once: bool, now: DateTime<Utc>, changes: &mut Changes) {
        let record = &attempt.record;
        if job.always {
            // One that is cut off is due again at once, as any that is not running.
            if !at_once && job.enabled {
                changes.new_runs.push(next_of_always(job, attempt, now));
            }
            return;
        }
        if record.attempt > job.definition.retries {
            return;
        }
        if !job.enabled {
            changes.log.push((record.run_id, "not tried again: the job is paused".to_owned()));
            return;
        }
        if job.definition.catch_up != CatchUp::All && self.waiting_of(&job.id).next().is_some() {
            changes.log.push((record.run_id, "not tried again: the next run waits already".to_owned()));
            return;
        }
        let mut next = new_attempt(job, RunReason::Retry, now);
        next.record.attempt = record.attempt + 1;
        next.record.due_at = record.due_at;
        next.record.caused_by = Some(record.run_id);
        if !at_once {
            next.record.not_before = now + backoff(job.definition.backoff_seconds, record.attempt);
        }
        changes.new_runs.push(next);
    }

    fn follow(&self, job: &Job, id: RunId, now: DateTime<Utc>, changes: &mut Changes) {
        let name = job.definition.name.as_str();
        let followers = self.jobs.values().filter(|other| other.enabled);
        for follower in followers.filter(|other| other.definition.after.as_deref() == Some(name)) {
            let all = follower.definition.catch_up == CatchUp::All;
            let mut waiting = self.waiting_of(&follower.id).filter(|one| one.record.reason != RunReason::Retry);
            match waiting.next() {
                Some(waits) if !all || self.waiting_of(&follower.id).count() >= WAITING_MAX => {
                    changes.log.push((waits.record.run_id, format!("stands also for the run {id} of {name}")));
                }
                _ => {
                    let mut next = new_attempt(follower, RunReason::After, now);
                    next.record.caused_by = Some(id);
                    changes.new_runs.push(next);
                }
            }
        }
    }
}

/// The attempt after one that failed of a job that is always due. One that went well for a while begins to count anew.
fn next_of_always(job: &Job, attempt: &Attempt, now: DateTime<Utc>) -> Attempt {
    let record = &attempt.record;
    let went_well = record.started_at.is_some_and(|started| now - started >= WENT_WELL_AFTER);
    let failed = if went_well { 1 } else { record.attempt };
    let mut next = new_attempt(job, RunReason::Retry, now);
    next.record.attempt = failed.saturating_add(1);
    next.record.caused_by = Some(record.run_id);
    next.record.not_before = now + backoff(job.definition.backoff_seconds, failed).min(ALWAYS_BACKOFF_MAX);
    next
}

/// The wait after the `attempt`th attempt, which failed.
pub(super) fn backoff(first_seconds: u64, attempt: u32) -> TimeDelta {
    let factor = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
    let seconds = first_seconds.saturating_mul(factor).min(BACKOFF_SECONDS_MAX);
    TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}
