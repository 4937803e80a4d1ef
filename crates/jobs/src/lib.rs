//! Jobs: what is due when, and the one runner that does it.
//!
//! [`schedule`] knows when a cron expression is due. [`book`] decides, without a clock and without a disk: given the jobs,
//! the runs that are open and the time, it says what is to be written. [`runner`] writes that to the metastore, starts
//! the work, and waits for the next moment. What a job does is its kind's: [`kinds`].

mod attempt;
mod book;
mod kinds;
mod log;
mod runner;
mod schedule;
mod store;

pub use kinds::{MaintenanceKind, StatementKind};
pub use runner::{JobRunner, JobRunnerOptions, Outlook, StandingJob};
