//! Jobs, their runs, and the upgrade that brought them what they have.

use chrono::Duration;
use polder_metastore::{Backend, Job, Jobs, Metastore, Run, RunsWanted, Write};
use polder_runtime::Clock;
use polder_types::ErrorKind;

use crate::place::{Place, count};

fn job(place: &Place) -> Job {
    Job {
        id: "1".into(),
        name: "nightly".into(),
        kind: "statement".into(),
        payload: serde_json::json!({"sql": "SELECT 1"}),
        owner: "ada".into(),
        schedule: Some("0 3 * * *".into()),
        time_zone: "Europe/Amsterdam".into(),
        after_job: None,
        retries: 2,
        backoff_seconds: 30,
        timeout_seconds: Some(60),
        catch_up: "all".into(),
        enabled: true,
        created_at: place.clock.now(),
        scheduled_through: place.clock.now() + Duration::hours(1),
    }
}

fn run(place: &Place, at: i64) -> Run {
    let time = place.clock.now() + Duration::seconds(at);
    Run {
        id: format!("r{at:03}"),
        job_id: Some("1".into()),
        job_name: "nightly".into(),
        kind: "statement".into(),
        state: "waiting".into(),
        reason: "schedule".into(),
        attempt: 1,
        due_at: Some(time),
        queued_at: time,
        not_before: time,
        started_at: None,
        ended_at: None,
        caused_by: None,
        error_code: None,
        error_message: None,
        error_hint: None,
    }
}

pub async fn jobs_are_kept(place: Place) {
    let metastore = place.open().await;
    let jobs = metastore.jobs();
    let mut job = job(&place);
    metastore.write(&[job.insert_write()]).await.unwrap();
    assert_eq!(metastore.write(&[job.insert_write()]).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let same_name = Job { id: "2".into(), ..job.clone() };
    assert_eq!(metastore.write(&[same_name.insert_write()]).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(jobs.list().await.unwrap(), [job.clone()]);
    job.enabled = false;
    (job.schedule, job.timeout_seconds, job.after_job) = (None, None, Some("0".into()));
    metastore.write(&[job.update_write()]).await.unwrap();
    assert_eq!(jobs.list().await.unwrap(), [job.clone()]);
    assert_eq!(metastore.write(&[same_name.update_write()]).await.unwrap_err().kind(), ErrorKind::Conflict);
    metastore.write(&[Jobs::delete_write("1")]).await.unwrap();
    assert_eq!(jobs.list().await.unwrap(), []);
    assert_eq!(metastore.write(&[Jobs::delete_write("1")]).await.unwrap_err().kind(), ErrorKind::Conflict);
}

pub async fn runs_are_listed_and_pruned(place: Place) {
    let metastore = place.open().await;
    let jobs = metastore.jobs();
    let mut runs: Vec<Run> = (0..6).map(|at| run(&place, at)).collect();
    let mut writes = vec![job(&place).insert_write()];
    writes.extend(runs.iter().map(Run::insert_write));
    metastore.write(&writes).await.unwrap();
    for (at, state) in [(0, "done"), (1, "failed"), (2, "done"), (3, "running")] {
        let started = runs[at].queued_at + Duration::milliseconds(5);
        runs[at].state = state.into();
        runs[at].started_at = Some(started);
        runs[at].ended_at = (state != "running").then(|| started + Duration::minutes(1));
    }
    runs[1].error_code = Some("22012".into());
    runs[1].error_message = Some("division by zero".into());
    runs[1].error_hint = Some("look".into());
    runs[4].caused_by = Some("r001".into());
    metastore.write(&runs.iter().map(Run::update_write).collect::<Vec<_>>()).await.unwrap();

    assert_eq!(jobs.open_runs().await.unwrap(), runs[3..]);
    assert_eq!(jobs.run("r001").await.unwrap().as_ref(), Some(&runs[1]));
    assert_eq!(jobs.run("r999").await.unwrap(), None);
    assert_eq!(jobs.last_runs().await.unwrap(), [runs[3].clone()]);
    let ids = async |wanted: RunsWanted<'_>| -> Vec<String> {
        jobs.runs(&wanted).await.unwrap().into_iter().map(|run| run.id).collect()
    };
    let all = RunsWanted { limit: 10, ..RunsWanted::default() };
    assert_eq!(ids(all.clone()).await, ["r005", "r004", "r003", "r002", "r001", "r000"]);
    assert_eq!(ids(RunsWanted { limit: 2, before: Some("r003"), ..all.clone() }).await, ["r002", "r001"]);
    assert_eq!(ids(RunsWanted { state: Some("done"), ..all.clone() }).await, ["r002", "r000"]);
    assert_eq!(ids(RunsWanted { job_name: Some("nightly"), state: Some("failed"), ..all.clone() }).await, ["r001"]);
    assert_eq!(ids(RunsWanted { job_name: Some("daily"), ..all.clone() }).await, [""; 0]);

    assert_eq!(jobs.log("r001").await.unwrap().as_deref(), Some(""));
    let lines = [Jobs::append_log_write("r001", "one\n"), Jobs::append_log_write("r001", "t\0o\n")];
    metastore.write(&lines).await.unwrap();
    assert_eq!(jobs.log("r001").await.unwrap().as_deref(), Some("one\nt\u{FFFD}o\n"));
    metastore.write(&[Jobs::log_write("r001", "another\n")]).await.unwrap();
    assert_eq!(jobs.log("r001").await.unwrap().as_deref(), Some("another\n"));
    assert_eq!(jobs.log("r999").await.unwrap(), None);

    // Those that wait or run are never pruned.
    metastore.write(&[Jobs::prune_write("1", 1)]).await.unwrap();
    assert_eq!(ids(all).await, ["r005", "r004", "r003", "r002"]);
}

/// Takes our tables back to how version 1 made them.
async fn back_to_version_1(metastore: &Metastore) {
    let list = match metastore.backend() {
        Backend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'polder%'",
        Backend::Postgres => "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'polder%'",
    };
    let tables = metastore.query(list, &[]).await.unwrap();
    let names = tables.iter().map(|row| row.text(0).unwrap()).filter(|name| *name != "polder_migration");
    let drop = names.map(|name| Write::new(format!("DROP TABLE {name}"), vec![]));
    let ground: String = include_str!("../../migrations/0001_ground.sql")
        .lines()
        .filter(|line| !line.starts_with("--"))
        .map(|line| format!("{line}\n"))
        .collect();
    let make = ground.split(';').filter(|sql| sql.contains("CREATE")).map(|sql| Write::new(sql.to_owned(), vec![]));
    let mut writes: Vec<Write> = drop.chain(make).collect();
    writes.push(Write::new("DELETE FROM polder_migration WHERE version > 1", vec![]));
    metastore.write(&writes).await.unwrap();
}

pub async fn version_1_is_upgraded(place: Place) {
    let metastore = place.open().await;
    let newest = count(&metastore, "SELECT max(version) FROM polder_migration").await;
    back_to_version_1(&metastore).await;
    let now = place.clock.now();
    let job = Write::new(
        "INSERT INTO polder_job (id, name, kind, schedule, payload, enabled, created_at) \
         VALUES ('1', 'old', 'compact', '0 3 * * *', '{}', $1, $2)",
        vec![true.into(), now.into()],
    );
    let run = Write::new(
        "INSERT INTO polder_run (id, job_id, kind, state, started_at, ended_at, attempt, log, error) \
         VALUES ('r', '1', 'compact', 'failed', $1, $1, 2, 'a line', 'no room')",
        vec![now.into()],
    );
    let loose = Write::new(
        "INSERT INTO polder_run (id, kind, state, started_at, attempt, log) VALUES ('s', 'load', 'done', $1, 1, '')",
        vec![now.into()],
    );
    metastore.write(&[job, run, loose]).await.unwrap();
    metastore.close().await;
    drop(metastore);

    let metastore = place.open().await;
    assert_eq!(count(&metastore, "SELECT max(version) FROM polder_migration").await, newest);
    if metastore.backend() == Backend::Sqlite {
        let copy = format!("metastore.sqlite.before-v{newest}");
        assert!(place.data_dir().join(copy).is_file());
    }
    let job = metastore.jobs().list().await.unwrap().remove(0);
    assert_eq!((job.name.as_str(), job.owner.as_str(), job.scheduled_through), ("old", "polder", now));
    assert_eq!((job.catch_up.as_str(), job.retries, job.time_zone.as_str()), ("one", 0, "UTC"));
    let run = metastore.jobs().run("r").await.unwrap().unwrap();
    assert_eq!((run.job_name.as_str(), run.state.as_str(), run.attempt), ("old", "failed", 2));
    assert_eq!((run.started_at, run.ended_at, run.queued_at), (Some(now), Some(now), now));
    assert_eq!(run.error_message.as_deref(), Some("no room"));
    assert_eq!(metastore.jobs().log("r").await.unwrap().as_deref(), Some("a line"));
    assert_eq!(metastore.jobs().run("s").await.unwrap().unwrap().job_name, "load");
}
