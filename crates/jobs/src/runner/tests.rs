//! The runner on a real metastore, with a clock that the test moves and work that the test makes up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use polder_capability::{
    Caller, CatchUp, IfExists, JobDefinition, JobKind, JobRun, Jobs, RunFilter, RunRecord, RunState,
};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::{Clock, ManualClock};
use polder_types::{Error, ErrorKind, Result, RunId};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{JobRunner, JobRunnerOptions, StandingJob};

/// Does what the payload's `do` says.
#[derive(Default)]
struct Fake {
    done: Mutex<Vec<String>>,
    tries: AtomicU32,
    /// Cancelled: what waits goes on, and what begins to wait later too.
    go: CancellationToken,
}

#[async_trait::async_trait]
impl JobKind for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn check(&self, payload: &serde_json::Value) -> Result<()> {
        if payload["do"].is_string() { Ok(()) } else { Err(Error::invalid("what?")) }
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        run.log.line(format!("doing {}", run.payload["do"]));
        match run.payload["do"].as_str().unwrap() {
            "succeed" => {}
            "fail" => return Err(Error::invalid("no luck").with_hint("try")),
            "fail twice" if self.tries.fetch_add(1, Ordering::SeqCst) < 2 => return Err(Error::invalid("no luck yet")),
            "wait" => {
                tokio::select! {
                    () = self.go.cancelled() => {}
                    () = run.stop.cancelled() => return Err(Error::cancelled()),
                }
            }
            "hang" => std::future::pending().await,
            "panic" => panic!("as asked"),
            _ => {}
        }
        self.done.lock().push(run.job.clone());
        Ok(())
    }
}

struct World {
    directory: tempfile::TempDir,
    clock: ManualClock,
    fake: Arc<Fake>,
    metastore: Arc<Metastore>,
    runner: Arc<JobRunner>,
}

async fn open(
    directory: &tempfile::TempDir,
    clock: &ManualClock,
    fake: &Arc<Fake>,
) -> (Arc<Metastore>, Arc<JobRunner>) {
    let metastore = Metastore::open(MetastoreOptions {
        data_dir: directory.path().join("data"),
        url: None,
        tables_path: directory.path().join("data/tables").to_str().unwrap().to_owned(),
        clock: Arc::new(clock.clone()),
    })
    .await
    .unwrap();
    let mut standing = JobDefinition::new("upkeep", "fake", serde_json::json!({"do": "succeed"}), "polder");
    standing.schedule = Some("0 0 1 1 *".to_owned());
    let runner = JobRunner::open(JobRunnerOptions {
        metastore: Arc::clone(&metastore),
        clock: Arc::new(clock.clone()),
        kinds: vec![Arc::clone(fake) as _],
        standing: vec![StandingJob { definition: standing }],
        runs_at_once: 4,
    })
    .await
    .unwrap();
    (metastore, runner)
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-03-01T00:30:00Z".parse().unwrap());
        let fake = Arc::new(Fake::default());
        let (metastore, runner) = open(&directory, &clock, &fake).await;
        runner.start(&Handle::current());
        Self { directory, clock, fake, metastore, runner }
    }

    async fn create(&self, name: &str, what: &str, shape: impl FnOnce(&mut JobDefinition)) {
        let mut job = JobDefinition::new(name, "fake", serde_json::json!({"do": what}), "ada");
        shape(&mut job);
        self.runner.create(job, IfExists::Refuse).await.unwrap();
    }

    async fn ask(&self, name: &str) -> RunId {
        self.runner.run(&Caller::new("ada", "test"), name).await.unwrap()
    }

    /// Waits until a run is in a state.
    async fn until(&self, id: RunId, state: RunState) -> RunRecord {
        for _ in 0..12_000 {
            let record = self.runner.run_record(id).await.unwrap().unwrap();
            if record.state == state {
                return record;
            }
            assert!(!record.state.has_ended(), "{record:?} instead of {state:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the run is not {state:?} within a minute");
    }

    /// Waits until the runner has looked at this moment's clock and nothing runs.
    async fn settle(&self) -> Option<DateTime<Utc>> {
        for _ in 0..20_000 {
            {
                let desk = self.runner.shared.desk.lock().await;
                let outlook = *self.runner.outlook().borrow();
                let is_fresh = outlook.revision == desk.revision && outlook.at >= self.clock.now();
                if is_fresh && outlook.running == 0 {
                    return outlook.next_at;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it does not settle within 20 s");
    }

    /// Moves the clock from one thing to do to the next, until `end`.
    async fn pass(&self, end: &str) {
        let end: DateTime<Utc> = end.parse().unwrap();
        while let Some(next) = self.settle().await.filter(|next| *next <= end) {
            self.clock.set(next);
        }
        self.clock.set(end);
    }

    async fn runs(&self, job: &str) -> Vec<RunRecord> {
        let filter = RunFilter { job: Some(job.to_owned()), limit: 1000, ..RunFilter::default() };
        let mut runs = self.runner.runs(&filter).await.unwrap();
        runs.reverse();
        runs
    }

    async fn log(&self, id: RunId) -> String {
        self.runner.log(id, 0).await.unwrap().unwrap().text
    }

    /// Ends as a process that is killed: nothing is written any more.
    async fn kill_and_reopen(mut self) -> Self {
        self.metastore.close().await;
        self.runner.close().await;
        let place = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        let (clock, fake) = (self.clock.clone(), Arc::clone(&self.fake));
        drop(self);
        let (metastore, runner) = open(&place, &clock, &fake).await;
        Self { directory: place, clock, fake, metastore, runner }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_on_the_real_metastore() {
    let world = World::start().await;
    world
        .create("nightly", "succeed", |job| {
            (job.schedule, job.time_zone) = (Some("30 2 * * *".into()), "Europe/Amsterdam".into());
        })
        .await;
    world.create("report", "succeed", |job| job.after = Some("nightly".into())).await;
    world.pass("2026-03-31T12:00:00Z").await;
    let (nightly, report) = (world.runs("nightly").await, world.runs("report").await);
    assert_eq!((nightly.len(), report.len()), (31, 31));
    assert!(nightly.iter().chain(&report).all(|run| run.state == RunState::Done));
    assert_eq!(nightly[28].due_at, Some("2026-03-29T01:00:00Z".parse().unwrap()));
    assert_eq!(nightly[28].started_at, nightly[28].due_at);
    let status = world.runner.find("nightly").await.unwrap().unwrap();
    assert_eq!(status.next_at, Some("2026-04-01T00:30:00Z".parse().unwrap()));
    assert_eq!(status.last_run.unwrap().run_id, nightly[30].run_id);
    world.runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again() {
    let world = World::start().await;
    world.create("shaky", "fail twice", |job| (job.retries, job.backoff_seconds) = (5, 60)).await;
    world.create("broken", "fail", |job| (job.retries, job.backoff_seconds) = (1, 60)).await;
    world.create("dying", "panic", |_| {}).await;
    for job in ["shaky", "broken", "dying"] {
        world.ask(job).await;
    }
    world.pass("2026-03-01T02:00:00Z").await;
    let states = async |job: &str| -> Vec<&'static str> {
        world.runs(job).await.into_iter().map(|run| run.state.name()).collect()
    };
    assert_eq!(states("shaky").await, ["failed", "failed", "done"]);
    assert_eq!(states("broken").await, ["failed", "failed"]);
    assert_eq!(states("dying").await, ["failed"]);
    let shaky = world.runs("shaky").await;
    let wait = |at: usize| shaky[at].started_at.unwrap() - shaky[at - 1].ended_at.unwrap();
    assert_eq!((wait(1), wait(2)), (TimeDelta::minutes(1), TimeDelta::minutes(2)));
    let broken = world.runs("broken").await.remove(1);
    let error = broken.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str(), error.hint.as_deref()), ("22000", "no luck", Some("try")));
    let log = world.log(broken.run_id).await;
    assert!(log.contains("attempt 2 of 2\n") && log.contains("doing \"fail\"\n"), "{log}");
    assert!(log.ends_with("failed: no luck; try (22000)\n"), "{log}");
    world.runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_timed_out_and_hanging() {
    let world = World::start().await;
    world.create("slow", "wait", |_| {}).await;
    let running = world.ask("slow").await;
    world.until(running, RunState::Running).await;
    let waiting = world.ask("slow").await;
    assert!(world.runner.cancel(waiting).await.unwrap());
    world.until(waiting, RunState::Cancelled).await;
    // The log is there while it runs, and grows.
    let part = world.runner.log(running, 0).await.unwrap().unwrap();
    assert!(!part.has_ended && part.text.contains("asked for by ada\n"), "{part:?}");
    assert!(world.runner.cancel(running).await.unwrap());
    world.until(running, RunState::Cancelled).await;
    assert!(!world.runner.cancel(running).await.unwrap());
    let rest = world.runner.log(running, part.next).await.unwrap().unwrap();
    assert!(rest.has_ended && rest.text.ends_with("cancelled\n"), "{rest:?}");

    world.create("late", "wait", |job| job.timeout_seconds = Some(60)).await;
    let late = world.ask("late").await;
    world.until(late, RunState::Running).await;
    world.clock.advance(TimeDelta::seconds(60));
    let error = world.until(late, RunState::Failed).await.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("57014", "stopped at the timeout of 60 s"));

    // Work that does not listen is given up after a while.
    world.create("deaf", "hang", |_| {}).await;
    let deaf = world.ask("deaf").await;
    world.until(deaf, RunState::Running).await;
    world.runner.cancel(deaf).await.unwrap();
    // Its ten seconds begin once it has heard: move on until they are over.
    let moving = async {
        loop {
            world.clock.advance(TimeDelta::seconds(5));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = world.until(deaf, RunState::Cancelled) => {}
        () = moving => {}
    }
    assert!(world.log(deaf).await.contains("did not stop by itself"));
    world.runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle() {
    let world = World::start().await;
    world.create("again", "wait", |job| job.retries = 1).await;
    world.create("once", "wait", |_| {}).await;
    world.create("hourly", "succeed", |job| job.schedule = Some("0 * * * *".into())).await;
    world
        .create("every", "succeed", |job| {
            (job.schedule, job.catch_up) = (Some("0 * * * *".into()), CatchUp::All);
        })
        .await;
    let (again, once) = (world.ask("again").await, world.ask("once").await);
    world.until(again, RunState::Running).await;
    world.until(once, RunState::Running).await;
    let queued = world.ask("once").await;

    let world = world.kill_and_reopen().await;
    world.clock.advance(TimeDelta::hours(5));
    for id in [again, once] {
        let record = world.runner.run_record(id).await.unwrap().unwrap();
        assert_eq!(record.state, RunState::Interrupted);
        assert_eq!(record.error.unwrap().code, "57P01");
        assert!(world.log(id).await.ends_with("cut off: the server stopped\n"));
    }
    world.runner.start(&Handle::current());
    let next = world.runs("again").await.remove(1);
    assert_eq!((next.attempt, next.caused_by), (2, Some(again)));
    world.until(next.run_id, RunState::Running).await;
    world.until(queued, RunState::Running).await;
    assert_eq!(world.runs("once").await.len(), 2);
    world.fake.go.cancel();
    world.until(next.run_id, RunState::Done).await;
    world.until(queued, RunState::Done).await;
    world.settle().await;
    // What was due meanwhile is made up for, as each job says.
    assert_eq!(world.runs("hourly").await.len(), 1);
    assert_eq!(world.runs("every").await.len(), 5);
    assert_eq!(world.runner.list().await.unwrap().len(), 5);
    world.runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_is_an_interruption_too() {
    let world = World::start().await;
    world.create("again", "wait", |job| job.retries = 1).await;
    let id = world.ask("again").await;
    world.until(id, RunState::Running).await;
    world.runner.close().await;
    assert_eq!(world.runner.run_record(id).await.unwrap().unwrap().state, RunState::Interrupted);
    let runs = world.runs("again").await;
    assert_eq!((runs.len(), runs[1].state), (2, RunState::Waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_is_made() {
    let world = World::start().await;
    world.create("a", "succeed", |_| {}).await;
    let seen = world.runner.find("a").await.unwrap().unwrap().definition;
    let changed = |owner: &str| JobDefinition { owner: owner.to_owned(), ..seen.clone() };
    let both = tokio::join!(world.runner.replace(&seen, changed("bob")), world.runner.replace(&seen, changed("eve")),);
    let (owner, error) = match both {
        (Ok(job), Err(error)) | (Err(error), Ok(job)) => (job.definition.owner, error),
        both => panic!("{both:?}"),
    };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "40001"));
    let there = world.runner.find("a").await.unwrap().unwrap().definition;
    assert_eq!(there, changed(&owner));
    // What was replaced is not there again, nor is what was removed.
    assert!(world.runner.replace(&seen, changed("bob")).await.is_err());
    assert!(world.runner.remove("a").await.unwrap());
    assert_eq!(world.runner.replace(&there, seen.clone()).await.unwrap_err().kind(), ErrorKind::Conflict);
    world.runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused() {
    let world = World::start().await;
    world.create("a", "succeed", |_| {}).await;
    let code = async |shape: &dyn Fn(&mut JobDefinition), if_exists: IfExists| {
        let mut job = JobDefinition::new("new", "fake", serde_json::json!({"do": "succeed"}), "ada");
        shape(&mut job);
        world.runner.create(job, if_exists).await.err().map(|error| error.code())
    };
    let refuse = IfExists::Refuse;
    assert_eq!(code(&|job| job.kind = "magic".into(), refuse).await, Some("42704"));
    assert_eq!(code(&|job| job.payload = serde_json::json!({}), refuse).await, Some("22000"));
    assert_eq!(code(&|job| job.schedule = Some("now".into()), refuse).await, Some("22023"));
    assert_eq!(code(&|job| job.after = Some("b".into()), refuse).await, Some("42704"));
    assert_eq!(code(&|job| job.timeout_seconds = Some(0), refuse).await, Some("22023"));
    assert_eq!(code(&|job| job.retries = 101, refuse).await, Some("22023"));
    assert_eq!(code(&|job| job.name = " ".into(), refuse).await, Some("22023"));
    assert_eq!(code(&|job| job.name = "a".into(), refuse).await, Some("42710"));
    assert_eq!(code(&|job| job.name = "a".into(), IfExists::Keep).await, None);
    assert_eq!(code(&|job| job.name = "a".into(), IfExists::Replace).await, None);
    assert_eq!(world.runner.list().await.unwrap().len(), 2);

    // The program's own job can be paused, and that stays; it cannot be removed.
    assert_eq!(world.runner.remove("upkeep").await.unwrap_err().code(), "42809");
    assert!(!world.runner.pause("upkeep").await.unwrap().enabled);
    assert!(world.runner.remove("a").await.unwrap());
    assert!(!world.runner.remove("a").await.unwrap());
    let world = world.kill_and_reopen().await;
    let jobs = world.runner.list().await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert!(!jobs[0].enabled && jobs[0].next_at.is_none());
    assert!(world.runner.resume("upkeep").await.unwrap().enabled);
}
