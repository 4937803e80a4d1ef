//! One run, from its start to its end: the work, its log, its timeout, its cancellation.

use std::convert::Infallible;
use std::sync::Arc;

use chrono::TimeDelta;
use parking_lot::Mutex;
use polder_capability::{JobKind, JobRun, RunLog};
use polder_metastore::{Jobs, Metastore};
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result, RunId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::book::{Job, Outcome};
use crate::log::LiveLog;

/// Time that work gets to end by itself once it must stop.
const STOP_GRACE: TimeDelta = TimeDelta::seconds(10);

/// How often a log that grows is written down.
const LOG_EVERY: TimeDelta = TimeDelta::seconds(1);

/// Why a run must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Asked,
    Timeout,
    Shutdown,
}

/// What is known of a run only while it runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub log: LiveLog,
    stop: CancellationToken,
    cause: Mutex<Option<Cause>>,
}

impl Live {
    /// `log`: what was written of it while it waited.
    pub fn new(log: String) -> Self {
        Self { log: LiveLog::after(log), stop: CancellationToken::new(), cause: Mutex::default() }
    }

    /// Asks the work to stop. The first cause is the one that counts.
    pub fn stop_for(&self, cause: Cause) {
        self.cause.lock().get_or_insert(cause);
        self.stop.cancel();
    }

    fn cause(&self) -> Option<Cause> {
        *self.cause.lock()
    }
}

/// A run about to start.
pub(crate) struct Work {
    pub id: RunId,
    pub attempt: u32,
    pub job: Job,
    /// `None`: this program does not know it.
    pub kind: Option<Arc<dyn JobKind>>,
    pub live: Arc<Live>,
    pub metastore: Arc<Metastore>,
    pub clock: Arc<dyn Clock>,
}

impl Work {
    /// Does the work and tells how it ended. The log's last lines are left to be written with that.
    pub async fn run(self) -> Outcome {
        let ended = self.result().await;
        let outcome = self.outcome(ended);
        let last = match &outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Failed(error) => format!("failed: {error} ({})", error.code()),
            Outcome::Cancelled => "cancelled".to_owned(),
            Outcome::Interrupted => "cut off: the server stops".to_owned(),
        };
        self.live.log.finish(self.clock.now(), Some(&last));
        outcome
    }

    fn outcome(&self, ended: Result<()>) -> Outcome {
        let error = match ended {
            // It came to its end before it heard that it must stop.
            Ok(()) => return Outcome::Done,
            Err(error) => error,
        };
        match self.live.cause() {
            Some(Cause::Asked) => Outcome::Cancelled,
            Some(Cause::Shutdown) => Outcome::Interrupted,
            Some(Cause::Timeout) => {
                let seconds = self.job.definition.timeout_seconds.unwrap_or_default();
                Outcome::Failed(
                    Error::new(ErrorKind::Cancelled, format!("stopped at the timeout of {seconds} s"))
                        .with_hint("a longer TIMEOUT, or less work at once"),
                )
            }
            // By `polder.queries`' means, for instance.
            None if error.kind() == ErrorKind::Cancelled => Outcome::Cancelled,
            None => Outcome::Failed(error),
        }
    }

    async fn result(&self) -> Result<()> {
        let definition = &self.job.definition;
        let Some(kind) = self.kind.clone() else {
            return Err(Error::unsupported(format!("there is no kind of jobs named {:?}", definition.kind)));
        };
        if definition.retries > 0 {
            self.line(&format!("attempt {} of {}", self.attempt, definition.retries + 1));
        }
        let run = self.context();
        // A task of its own, so that a panic ends the run and not the runner.
        let mut task = AbortOnDropHandle::new(tokio::spawn(async move { kind.run(&run).await }));
        let joined = tokio::select! {
            joined = &mut task => Some(joined),
            () = self.timeout() => {
                self.line("the timeout has come");
                self.live.stop_for(Cause::Timeout);
                None
            }
            () = self.live.stop.cancelled() => None,
            never = self.keep_log() => match never {},
        };
        let joined = match joined {
            Some(joined) => joined,
            None => tokio::select! {
                joined = &mut task => joined,
                () = self.clock.sleep_until(self.clock.now() + STOP_GRACE) => {
                    self.line("it did not stop by itself");
                    return Err(Error::cancelled());
                }
            },
        };
        joined.map_err(|error| Error::internal("the work died").with_source(error))?
    }

    fn context(&self) -> JobRun {
        let definition = &self.job.definition;
        let (live, clock) = (Arc::clone(&self.live), Arc::clone(&self.clock));
        JobRun {
            run_id: self.id,
            job: definition.name.clone(),
            owner: definition.owner.clone(),
            attempt: self.attempt,
            payload: definition.payload.clone(),
            log: RunLog::new(move |message| live.log.add(clock.now(), &message)),
            stop: self.live.stop.clone(),
        }
    }

    fn line(&self, message: &str) {
        self.live.log.add(self.clock.now(), message);
    }

    async fn timeout(&self) {
        match self.job.definition.timeout_seconds.and_then(|seconds| i64::try_from(seconds).ok()) {
            Some(seconds) => self.clock.sleep_until(self.clock.now() + TimeDelta::seconds(seconds)).await,
            None => std::future::pending().await,
        }
    }

    /// Writes down what is logged, soon after it is.
    async fn keep_log(&self) -> Infallible {
        loop {
            self.live.log.added().await;
            // The whole of it: this may be given up in the middle, and then nobody knows what is there.
            let write = Jobs::log_write(&self.id.to_string(), &self.live.log.text());
            if let Err(error) = self.metastore.write(&[write]).await {
                // It is tried again with the next line, and at the end.
                tracing::warn!(run = %self.id, %error, "a job's log could not be written");
            }
            self.clock.sleep_until(self.clock.now() + LOG_EVERY).await;
        }
    }
}
