use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use polder_capability::{CatchUp, JobDefinition, RunReason, RunState};
use polder_types::{Error, RunId};

use super::end::backoff;
use super::{Attempt, Book, Changes, Job, Outcome, WAITING_MAX};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn definition(name: &str, schedule: Option<&str>) -> JobDefinition {
    let mut definition = JobDefinition::new(name, "statement", serde_json::json!({}), "ada");
    definition.schedule = schedule.map(str::to_owned);
    definition
}

/// A book on a clock, with everything that was ever in it.
struct World {
    book: Book,
    now: DateTime<Utc>,
    runs: BTreeMap<RunId, Attempt>,
    log: Vec<(RunId, String)>,
}

impl World {
    fn new(slots: usize, start: &str, definitions: Vec<JobDefinition>) -> Self {
        let now = time(start);
        let job = |definition: JobDefinition| Job::new(definition.name.clone(), definition, true, now, now).unwrap();
        let jobs = definitions.into_iter().map(job).collect();
        Self { book: Book::new(slots, jobs, Vec::new()), now, runs: BTreeMap::new(), log: Vec::new() }
    }

    fn apply(&mut self, changes: Changes) {
        for attempt in changes.new_runs.iter().chain(&changes.runs) {
            self.runs.insert(attempt.record.run_id, attempt.clone());
        }
        self.log.extend(changes.log.clone());
        self.book.apply(changes);
    }

    /// Looks at the clock, as the runner does; gives what started.
    fn look(&mut self) -> Vec<RunId> {
        let due = self.book.due(self.now);
        self.apply(due);
        let started = self.book.start(self.now);
        let ids = started.runs.iter().map(|attempt| attempt.record.run_id).collect();
        self.apply(started);
        ids
    }

    fn look_at(&mut self, text: &str) -> Vec<RunId> {
        self.now = time(text);
        self.look()
    }

    fn end(&mut self, id: RunId, outcome: &Outcome) {
        let changes = self.book.end(id, outcome, self.now);
        assert!(!changes.runs.is_empty(), "the run does not run");
        self.apply(changes);
    }

    /// Lets time pass until `end`; each run takes as long as `takes` says and ends well.
    fn pass(&mut self, end: &str, takes: impl Fn(&str) -> TimeDelta) {
        let end = time(end);
        let mut ends: Vec<(DateTime<Utc>, RunId)> = Vec::new();
        loop {
            for id in self.look() {
                ends.push((self.now + takes(&self.runs[&id].record.job), id));
            }
            ends.sort();
            let first_end = ends.first().map(|(time, _)| *time);
            let Some(next) = self.book.next_wake(self.now).into_iter().chain(first_end).min() else { return };
            if next > end {
                return;
            }
            assert!(next >= self.now, "time stands still");
            self.now = next;
            if first_end == Some(next) {
                let (_, id) = ends.remove(0);
                self.end(id, &Outcome::Done);
            }
        }
    }

    /// Runs in the order of their making, as `job state attempt due`.
    fn shown(&self) -> Vec<String> {
        let due = |run: &Attempt| run.record.due_at.map_or("-".to_owned(), |due| due.format("%d %H:%M").to_string());
        let show = |run: &Attempt| {
            format!("{} {} {} {}", run.record.job, run.record.state.name(), run.record.attempt, due(run))
        };
        self.runs.values().map(show).collect()
    }

    fn logged(&self, part: &str) -> usize {
        self.log.iter().filter(|(_, line)| line.contains(part)).count()
    }
}

fn failed() -> Outcome {
    Outcome::Failed(Error::invalid("no"))
}

#[test]
fn a_month_of_schedules() {
    let mut nightly = definition("nightly", Some("30 2 * * *"));
    nightly.time_zone = "Europe/Amsterdam".to_owned();
    let mut report = definition("report", None);
    report.after = Some("nightly".to_owned());
    let jobs =
        vec![nightly, report, definition("often", Some("*/5 * * * *")), definition("weekly", Some("0 8 * * MON"))];
    let mut world = World::new(2, "2026-03-01T00:00:00Z", jobs);
    world.pass("2026-03-31T23:59:59Z", |job| TimeDelta::seconds(if job == "nightly" { 900 } else { 20 }));
    let count = |job: &str| world.runs.values().filter(|run| run.record.job == job).count();
    assert_eq!((count("nightly"), count("report"), count("weekly")), (31, 31, 5));
    assert_eq!(count("often"), 31 * 24 * 12 - 1);
    assert!(world.runs.values().all(|run| run.record.state != RunState::Missed));
    let dues: Vec<_> =
        world.runs.values().filter(|run| run.record.job == "nightly").map(|run| run.record.due_at.unwrap()).collect();
    // Winter time, the day whose 02:30 is missing, summer time.
    assert_eq!(dues[27], time("2026-03-28T01:30:00Z"));
    assert_eq!(dues[28], time("2026-03-29T01:00:00Z"));
    assert_eq!(dues[29], time("2026-03-30T00:30:00Z"));
    for run in world.runs.values().filter(|run| run.record.reason == RunReason::After) {
        assert_eq!(world.runs[&run.record.caused_by.unwrap()].record.ended_at, Some(run.record.queued_at));
    }
}

#[test]
fn no_more_than_the_slots_and_no_job_twice() {
    let jobs = (0..5).map(|at| definition(&format!("j{at}"), Some("* * * * *"))).collect();
    let mut world = World::new(3, "2026-01-01T00:00:00Z", jobs);
    let first = world.look_at("2026-01-01T00:01:00Z");
    assert_eq!(first.len(), 3);
    assert_eq!(world.look(), []);
    // The next minute's due times wait, one a job, whatever else is due.
    assert_eq!(world.look_at("2026-01-01T00:02:00Z"), []);
    assert_eq!(world.look_at("2026-01-01T00:03:00Z"), []);
    assert_eq!(world.book.waiting().count(), 5);
    world.end(first[0], &Outcome::Done);
    let next = world.look();
    // The longest due comes first: one of those that have not run yet.
    let names: Vec<_> = next.iter().map(|id| world.runs[id].record.job.clone()).collect();
    let had: Vec<_> = first.iter().map(|id| world.runs[id].record.job.clone()).collect();
    assert!(names.len() == 1 && !had.contains(&names[0]), "{names:?} after {had:?}");
}

/// What becomes of the due times 01:00 to 04:00 when the server is away until 04:30, or 04:00:30.
#[test]
fn catching_up() {
    let check = |catch_up: CatchUp, back: &str, expected: &[&str], line: &str| {
        let mut job = definition("j", Some("0 * * * *"));
        job.catch_up = catch_up;
        let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![job]);
        world.look_at(back);
        assert_eq!(world.shown(), expected, "{catch_up:?}");
        assert_eq!(world.logged(line), usize::from(!line.is_empty()), "{:?}", world.log);
        // Once is enough.
        world.look();
        assert_eq!(world.shown(), expected, "{catch_up:?}");
    };
    let late = "2026-01-01T04:30:00Z";
    check(
        CatchUp::One,
        late,
        &["j running 1 01 04:00"],
        "stands for 4 due times from 2026-01-01T01:00:00Z to 2026-01-01T04:00:00Z",
    );
    check(CatchUp::None, late, &["j missed 1 01 01:00"], "");
    check(CatchUp::None, "2026-01-01T04:00:30Z", &["j missed 1 01 01:00", "j running 1 01 04:00"], "");
    let all = ["j running 1 01 01:00", "j waiting 1 01 02:00", "j waiting 1 01 03:00", "j waiting 1 01 04:00"];
    check(CatchUp::All, late, &all, "");
}

#[test]
fn catching_up_with_very_many_is_bounded() {
    for (catch_up, expected) in [(CatchUp::One, 1), (CatchUp::None, 2), (CatchUp::All, WAITING_MAX)] {
        let mut job = definition("j", Some("* * * * * *"));
        job.catch_up = catch_up;
        let mut world = World::new(4, "2026-01-01T00:00:00Z", vec![job]);
        world.look_at("2026-12-31T00:02:00Z");
        assert_eq!(world.runs.len(), expected, "{catch_up:?}");
        let job = world.book.job("j").unwrap();
        match catch_up {
            CatchUp::All => {
                assert_eq!(job.through, time("2026-01-01T00:01:40Z"));
                // There is no room for more until one has started; then there is.
                assert_eq!(world.book.waiting().count(), WAITING_MAX - 1);
                assert_eq!(world.book.next_wake(world.now), Some(time("2026-01-01T00:01:41Z")));
                world.look();
                assert_eq!(world.book.next_wake(world.now), None);
                assert_eq!(world.runs.len(), WAITING_MAX + 1);
            }
            _ => assert_eq!(job.through, world.now),
        }
    }
}

#[test]
fn due_while_it_runs() {
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![definition("j", Some("0 * * * *"))]);
    let first = world.look_at("2026-01-01T01:00:00Z");
    world.look_at("2026-01-01T02:00:00Z");
    world.look_at("2026-01-01T03:00:00Z");
    assert_eq!(world.shown(), ["j running 1 01 01:00", "j waiting 1 01 02:00"]);
    assert_eq!(world.logged("stands also for the due time 2026-01-01T03:00:00Z"), 1);
    world.end(first[0], &Outcome::Done);
    world.look();
    assert_eq!(world.shown(), ["j done 1 01 01:00", "j running 1 01 02:00"]);

    let mut job = definition("j", Some("0 * * * *"));
    job.catch_up = CatchUp::None;
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![job]);
    world.look_at("2026-01-01T01:00:00Z");
    world.look_at("2026-01-01T02:00:00Z");
    assert_eq!(world.shown(), ["j running 1 01 01:00", "j missed 1 01 02:00"]);
    let missed = world.runs.values().last().unwrap().record.error.clone().unwrap();
    assert_eq!(missed.message, "missed the due time 2026-01-01T02:00:00Z: the run before went on");
}

#[test]
fn attempts() {
    let mut job = definition("j", Some("0 1 * * *"));
    (job.retries, job.backoff_seconds) = (2, 60);
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![job]);
    let first = world.look_at("2026-01-01T01:00:00Z");
    world.end(first[0], &failed());
    assert_eq!(world.look(), []);
    assert_eq!(world.book.next_wake(world.now), Some(time("2026-01-01T01:01:00Z")));
    assert_eq!(world.book.next_of(world.book.job("j").unwrap()), Some(time("2026-01-01T01:01:00Z")));
    let second = world.look_at("2026-01-01T01:01:00Z");
    world.end(second[0], &failed());
    assert_eq!(world.look_at("2026-01-01T01:02:59Z"), []);
    let third = world.look_at("2026-01-01T01:03:00Z");
    world.end(third[0], &failed());
    let all = ["j failed 1 01 01:00", "j failed 2 01 01:00", "j failed 3 01 01:00"];
    assert_eq!(world.shown(), all);
    assert_eq!(world.runs[&third[0]].record.caused_by, Some(second[0]));
    let error = world.runs[&first[0]].record.error.clone().unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("22000", "no"));
    // The next day begins anew.
    world.look_at("2026-01-02T01:00:00Z");
    assert_eq!(world.shown().last().unwrap(), "j running 1 02 01:00");
}

#[test]
fn a_due_time_comes_before_the_next_attempt() {
    let mut job = definition("j", Some("* * * * *"));
    (job.retries, job.backoff_seconds) = (5, 3600);
    let mut world = World::new(4, "2026-01-01T00:00:00Z", vec![job]);
    let first = world.look_at("2026-01-01T00:01:00Z");
    world.end(first[0], &failed());
    world.look_at("2026-01-01T00:02:00Z");
    assert_eq!(world.shown(), ["j failed 1 01 00:01", "j cancelled 2 01 00:01", "j running 1 01 00:02"]);
}

#[test]
fn waits_grow_up_to_an_hour() {
    let seconds = |attempt| backoff(30, attempt).num_seconds();
    assert_eq!([1, 2, 3, 7, 8, 64, 100].map(seconds), [30, 60, 120, 1920, 3600, 3600, 3600]);
    assert_eq!(backoff(0, 3), TimeDelta::zero());
    assert_eq!(backoff(7200, 1), TimeDelta::hours(1));
}

#[test]
fn cut_off_runs_come_again_if_an_attempt_is_left() {
    let mut again = definition("again", Some("0 1 * * *"));
    again.retries = 1;
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![again, definition("once", Some("0 1 * * *"))]);
    world.look_at("2026-01-01T01:00:00Z");
    // The process ends, and a new one finds them running.
    world.now = time("2026-01-01T05:00:00Z");
    for id in world.book.cut_off() {
        world.end(id, &Outcome::Interrupted);
    }
    world.look();
    let mut shown = world.shown();
    shown.sort();
    assert_eq!(shown, ["again interrupted 1 01 01:00", "again running 2 01 01:00", "once interrupted 1 01 01:00"]);
    // The second attempt was the last one.
    for id in world.book.cut_off() {
        world.end(id, &Outcome::Interrupted);
    }
    assert_eq!(world.look(), []);
}

#[test]
fn followers() {
    let mut second = definition("second", None);
    second.after = Some("first".to_owned());
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![definition("first", Some("0 * * * *")), second]);
    let first = world.look_at("2026-01-01T01:00:00Z");
    world.end(first[0], &failed());
    assert_eq!(world.look(), []);
    for hour in ["02", "03", "04"] {
        let first = world.look_at(&format!("2026-01-01T{hour}:00:00Z"));
        world.end(first[0], &Outcome::Done);
        world.look();
    }
    // The first of the three runs still; one more waits for both others.
    let states =
        |state| world.runs.values().filter(|run| run.record.job == "second" && run.record.state == state).count();
    assert_eq!((states(RunState::Running), states(RunState::Waiting)), (1, 1));
    assert_eq!(world.logged("stands also for the run"), 1);
}

#[test]
fn who_may_follow_whom() {
    let mut b = definition("b", None);
    b.after = Some("a".to_owned());
    let world = World::new(4, "2026-01-01T00:30:00Z", vec![definition("a", None), b]);
    let check = |name: &str, after: &str, code: Option<&str>| {
        let mut job = definition(name, None);
        job.after = Some(after.to_owned());
        assert_eq!(world.book.check_after(&job).err().map(|error| error.code()), code, "{name} after {after}");
    };
    check("c", "b", None);
    check("a", "b", Some("42P17"));
    check("c", "c", Some("42P17"));
    check("c", "d", Some("42704"));
    assert_eq!(world.book.remove("a", world.now).unwrap_err().code(), "2BP01");
    assert!(world.book.remove("b", world.now).is_ok());
}

#[test]
fn paused_and_resumed() {
    let mut job = definition("j", Some("0 * * * *"));
    job.retries = 3;
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![job]);
    let first = world.look_at("2026-01-01T01:00:00Z");
    world.look_at("2026-01-01T02:00:00Z");
    let paused = world.book.pause("j", world.now).unwrap();
    world.apply(paused);
    assert_eq!(world.shown(), ["j running 1 01 01:00", "j cancelled 1 01 02:00"]);
    assert_eq!(world.book.next_wake(world.now), None);
    // What ran may fail: no further attempt.
    world.end(first[0], &failed());
    assert_eq!(world.look_at("2026-01-01T03:00:00Z"), []);
    assert_eq!(world.logged("the job is paused"), 1);
    // Asking works all the same.
    let asked = world.book.ask("j", "ada", None, world.now).unwrap();
    world.apply(asked);
    assert_eq!(world.look().len(), 1);
    world.now = time("2026-01-01T09:30:00Z");
    let resumed = world.book.resume("j", world.now).unwrap();
    world.apply(resumed);
    world.look();
    assert_eq!(world.book.next_wake(world.now), Some(time("2026-01-01T10:00:00Z")));
    assert_eq!(world.runs.len(), 3);
}

#[test]
fn removed_while_it_runs() {
    let mut job = definition("j", Some("0 * * * *"));
    job.retries = 3;
    let mut world = World::new(4, "2026-01-01T00:30:00Z", vec![job]);
    let first = world.look_at("2026-01-01T01:00:00Z");
    let asked = world.book.ask("j", "ada", None, world.now).unwrap();
    world.apply(asked);
    let removed = world.book.remove("j", world.now).unwrap();
    world.apply(removed);
    world.end(first[0], &Outcome::Cancelled);
    assert_eq!(world.shown(), ["j cancelled 1 01 01:00", "j cancelled 1 -"]);
    assert_eq!(world.look_at("2026-01-02T01:00:00Z"), []);
    assert_eq!(world.book.ask("j", "ada", None, world.now).unwrap_err().code(), "42704");
}

#[test]
fn asking_has_a_limit() {
    let mut world = World::new(1, "2026-01-01T00:30:00Z", vec![definition("j", None)]);
    for _ in 0..WAITING_MAX {
        let asked = world.book.ask("j", "ada", None, world.now).unwrap();
        world.apply(asked);
    }
    assert_eq!(world.book.ask("j", "ada", None, world.now).unwrap_err().code(), "53000");
}

/// A job whose work has no end.
fn always(name: &str) -> JobDefinition {
    let mut definition = definition(name, Some(JobDefinition::ALWAYS));
    definition.backoff_seconds = 1;
    definition
}

#[test]
fn work_without_an_end_takes_no_slot() {
    let jobs = vec![always("a"), always("b"), definition("c", Some("* * * * *"))];
    let mut world = World::new(1, "2026-11-28T00:00:00Z", jobs);
    let first = world.look();
    assert_eq!(first.len(), 2);
    assert!(world.look().is_empty(), "one run of each is enough");
    let cron = world.look_at("2026-11-28T00:01:00Z");
    assert_eq!(cron.len(), 1, "the one slot is free");
    assert_eq!(world.runs[&cron[0]].record.job, "c");
    // And with the slot taken, work without an end still begins.
    world.end(first[0], &Outcome::Interrupted);
    assert_eq!(world.look().len(), 1);
}

#[test]
fn work_without_an_end_begins_again_after_longer_and_longer_waits() {
    let mut world = World::new(1, "2026-11-28T00:00:00Z", vec![always("a")]);
    let mut id = world.look()[0];
    let mut waits = Vec::new();
    for _ in 0..8 {
        world.end(id, &Outcome::Failed(Error::invalid("no luck")));
        let next = world.book.next_wake(world.now).unwrap();
        waits.push((next - world.now).num_seconds());
        assert!(world.look().is_empty(), "it waits");
        world.now = next;
        id = world.look()[0];
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    // What went well for a while is not made to wait for how it began.
    world.now += TimeDelta::hours(1);
    world.end(id, &Outcome::Failed(Error::invalid("no luck")));
    assert_eq!(world.book.next_wake(world.now).unwrap(), world.now + TimeDelta::seconds(1));
    world.now += TimeDelta::seconds(1);
    let id = world.look()[0];
    // After a restart in the middle it begins at once, as if for the first time.
    world.end(id, &Outcome::Interrupted);
    let id = world.look()[0];
    assert_eq!(world.runs[&id].record.attempt, 1);
    // Whoever cancels a run has it begin anew.
    world.end(id, &Outcome::Cancelled);
    assert_eq!(world.look().len(), 1);
}

#[test]
fn work_without_an_end_can_be_paused_and_removed() {
    let mut world = World::new(1, "2026-11-28T00:00:00Z", vec![always("a")]);
    let id = world.look()[0];
    let paused = world.book.pause("a", world.now).unwrap();
    world.apply(paused);
    world.end(id, &Outcome::Failed(Error::invalid("no luck")));
    world.now += TimeDelta::hours(1);
    assert!(world.look().is_empty());
    assert_eq!(world.book.next_wake(world.now), None);
    let resumed = world.book.resume("a", world.now).unwrap();
    world.apply(resumed);
    let id = world.look()[0];
    let removed = world.book.remove("a", world.now).unwrap();
    world.apply(removed);
    world.end(id, &Outcome::Cancelled);
    world.now += TimeDelta::hours(1);
    assert!(world.look().is_empty());
}
