//! Due times into runs.

use chrono::{DateTime, TimeDelta, Utc};
use polder_capability::{CatchUp, RunReason, RunState};

use super::{Attempt, Book, Changes, Job, WAITING_MAX, cancelled, new_attempt, remark};

/// A due time that is noticed later than this was missed.
const LATE_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Due times that are looked at one by one; beyond, only the last one is.
const DUE_MAX: usize = 1000;

/// The SQLSTATE of what was skipped: a warning.
const MISSED: &str = "01000";

impl Book {
    /// The runs that the schedules ask for by now, and how far they have been followed with that.
    pub fn due(&self, now: DateTime<Utc>) -> Changes {
        let mut changes = Changes::default();
        for job in self.jobs.values().filter(|job| job.enabled && job.always) {
            if self.open_of(&job.id).next().is_none() {
                changes.new_runs.push(new_attempt(job, RunReason::Schedule, now));
            }
        }
        for job in self.jobs.values().filter(|job| job.enabled && job.next.is_some_and(|next| next <= now)) {
            let Some(schedule) = &job.schedule else { continue };
            let times = schedule.between(job.through, now, DUE_MAX);
            let Some(last) = (if times.len() < DUE_MAX { times.last().copied() } else { schedule.last_until(now) })
            else {
                continue;
            };
            let due = Due { job, times: &times, last, now };
            match job.definition.catch_up {
                CatchUp::All => self.due_all(&due, &mut changes),
                CatchUp::One => {
                    self.due_one(&due, &mut changes);
                    changes.jobs.push(job.clone().followed(last));
                }
                CatchUp::None => {
                    self.due_none(&due, &mut changes);
                    changes.jobs.push(job.clone().followed(last));
                }
            }
        }
        changes
    }

    /// True if due times of this job can become runs. Only a job that catches up with all of them can be full.
    pub(super) fn has_room(&self, job: &Job) -> bool {
        job.definition.catch_up != CatchUp::All || self.waiting_of(&job.id).count() < WAITING_MAX
    }

    /// Each time a run. What has no room is left for later.
    fn due_all(&self, due: &Due<'_>, changes: &mut Changes) {
        let room = WAITING_MAX.saturating_sub(self.waiting_of(&due.job.id).count());
        let times = &due.times[..due.times.len().min(room)];
        let Some(through) = times.last() else { return };
        for time in times {
            changes.new_runs.push(due.run(*time));
        }
        changes.jobs.push(due.job.clone().followed(*through));
    }

    /// One run for all times: a new one, or one that waits anyway.
    fn due_one(&self, due: &Due<'_>, changes: &mut Changes) {
        let is_retry = |attempt: &&Attempt| attempt.record.reason == RunReason::Retry;
        if let Some(waiting) = self.waiting_of(&due.job.id).find(|attempt| !is_retry(attempt)) {
            changes.log.push((waiting.record.run_id, format!("stands also for {}", due.named(0))));
            return;
        }
        // The work is about to be done anew, so the attempt that was to come is not needed.
        for retry in self.waiting_of(&due.job.id).filter(is_retry) {
            changes.runs.push(cancelled(retry, "the next due time came first", due.now));
        }
        let run = due.run(due.last);
        if due.times.len() > 1 {
            changes.log.push((run.record.run_id, format!("stands for {}", due.named(0))));
        }
        changes.new_runs.push(run);
    }

    /// A run for the last time if it is punctual and the job is free; the rest is recorded as missed.
    fn due_none(&self, due: &Due<'_>, changes: &mut Changes) {
        let is_punctual = due.now - due.last <= LATE_AFTER;
        let is_busy = self.open_of(&due.job.id).any(|attempt| attempt.record.reason != RunReason::Retry);
        let runs = usize::from(is_punctual && !is_busy);
        if due.times.len() > runs {
            let why = if is_busy { "the run before went on" } else { "the server was down" };
            let mut missed = due.run(due.times[0]);
            missed.record.state = RunState::Missed;
            missed.record.ended_at = Some(due.now);
            missed.record.error = Some(remark(MISSED, format!("missed {}: {why}", due.named(runs))));
            changes.new_runs.push(missed);
        }
        if runs == 1 {
            for retry in self.waiting_of(&due.job.id) {
                changes.runs.push(cancelled(retry, "the next due time came first", due.now));
            }
            changes.new_runs.push(due.run(due.last));
        }
    }
}

/// The due times of a job since it was last looked at; at least one.
struct Due<'a> {
    job: &'a Job,
    /// The first [`DUE_MAX`].
    times: &'a [DateTime<Utc>],
    last: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Due<'_> {
    fn run(&self, time: DateTime<Utc>) -> Attempt {
        let mut attempt = new_attempt(self.job, RunReason::Schedule, self.now);
        attempt.record.due_at = Some(time);
        // Of several that wait, the one that was due first starts first.
        attempt.record.not_before = time;
        attempt
    }

    /// The times without the last `left_out` ones, as a person reads them.
    fn named(&self, left_out: usize) -> String {
        let is_all = self.times.len() < DUE_MAX;
        let times = if is_all { &self.times[..self.times.len().saturating_sub(left_out)] } else { self.times };
        match times {
            [] => "no due time".to_owned(),
            [time] => format!("the due time {}", stamp(*time)),
            [first, .., last] if is_all => {
                format!("{} due times from {} to {}", times.len(), stamp(*first), stamp(*last))
            }
            [first, ..] => format!("over {DUE_MAX} due times from {} to {}", stamp(*first), stamp(self.last)),
        }
    }
}

fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
