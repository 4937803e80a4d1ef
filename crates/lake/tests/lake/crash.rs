//! `kill -9` at every point of a commit: afterwards all of it is there, or nothing.

use std::path::Path;
use std::process::{Command, Output};

use arrow::datatypes::DataType;
use polder_lake::{AlterColumn, ColumnSpec};
use polder_metastore::Write;

use crate::support::{Backend, Duck, Place, append, delete, make_pairs, name, open, pair_schema, pairs, update};

/// Where the child works, and with what database.
const DIRECTORY: &str = "POLDER_TEST_CRASH_DIRECTORY";
const TABLES: &str = "POLDER_TEST_CRASH_TABLES";
const URL: &str = "POLDER_TEST_CRASH_URL";

/// What the rows say before and after the transaction.
const CHECK: &str = "SELECT count(*), sum(a), count(DISTINCT b) FROM public.t";
const BEFORE: &str = "103|5253|103";
const AFTER: &str = "108|6998|107";

/// Dies in the middle, by the environment; does nothing in a usual run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let open = open(Path::new(&directory), std::env::var(URL).ok(), &std::env::var(TABLES).unwrap()).await;
    let mut transaction = open.lake.begin().await.unwrap();
    append(&mut transaction, "t", pairs(200..210)).await;
    assert_eq!(delete(&mut transaction, "t", "a IN (1, 2, 100)").await, 3);
    assert_eq!(update(&mut transaction, "t", "a, 'updated'", "a IN (50, 101)").await, 2);
    assert_eq!(delete(&mut transaction, "t", "a IN (98, 99)").await, 2);
    transaction.create_table(&name("made"), &pair_schema()).unwrap();
    append(&mut transaction, "made", pairs(0..5)).await;
    let column = AlterColumn::Add(ColumnSpec::new("c", DataType::Int32, true));
    transaction.alter_column(&name("u"), column).await.unwrap();
    transaction.drop_table(&name("gone")).unwrap();
    transaction.insert(&name("v"), vec![pairs(0..1)]).await.unwrap();
    transaction.attach(Write::new("INSERT INTO polder_setting (key, value) VALUES ('crash', 'after')", vec![]));
    transaction.commit().await.unwrap();
    println!("acknowledged");
}

fn run_child(directory: &Path, tables: &Path, url: Option<&str>, fault: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::child", "--nocapture"]).env(DIRECTORY, directory).env(TABLES, tables);
    command.env("POLDER_FAULT", fault);
    if let Some(url) = url {
        command.env(URL, url);
    }
    command.output().unwrap()
}

/// The lake that each child starts from.
async fn prepare(place: &Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    make_pairs(&open.lake, "u", 10).await;
    make_pairs(&open.lake, "v", 0).await;
    make_pairs(&open.lake, "gone", 10).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(100..103)]).await.unwrap();
    transaction.commit().await.unwrap();
    open.close().await;
}

/// A copy of the lake for one child.
struct Trial {
    _copy: tempfile::TempDir,
    directory: std::path::PathBuf,
    tables: std::path::PathBuf,
    url: Option<String>,
}

impl Trial {
    fn new(place: &Place, number: usize, duck: &mut Duck) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let directory = copy.path().to_owned();
        let Some(postgres) = &place.postgres else {
            for entry in ["metastore.sqlite", "tables"] {
                let from = place.directory.path().join(entry);
                assert!(Command::new("cp").arg("-r").arg(from).arg(&directory).status().unwrap().success());
            }
            return Self { tables: directory.join("tables"), directory, _copy: copy, url: None };
        };
        duck.run(&format!(
            "CALL postgres_execute('admin', 'CREATE DATABASE trial{number} TEMPLATE base', use_transaction => false)"
        ));
        let url = postgres.url().replace("/postgres", &format!("/trial{number}"));
        let url = url.replacen(&format!("/trial{number}@"), "/postgres@", 1);
        Self { tables: place.tables(), directory, _copy: copy, url: Some(url) }
    }

    fn attach(&self, place: &Place, number: usize, duck: &mut Duck) {
        match &place.postgres {
            Some(postgres) => duck.run(&format!(
                "ATTACH 'ducklake:postgres:host=127.0.0.1 port={} user=postgres dbname=trial{number}' AS trial",
                postgres.port
            )),
            None => {
                duck.run(&format!("ATTACH 'ducklake:sqlite:{}/metastore.sqlite' AS trial", self.directory.display()))
            }
        }
    }
}

async fn kill_everywhere(backend: Backend) {
    let place = Place::new(backend);
    let mut duck = Duck::start(&["ducklake", "sqlite_scanner", "postgres_scanner"]);
    prepare(&place).await;
    if let Some(postgres) = &place.postgres {
        let admin = format!("host=127.0.0.1 port={} user=postgres dbname=template1", postgres.port);
        duck.run(&format!("ATTACH '{admin}' AS admin (TYPE postgres)"));
        duck.run("CALL postgres_execute('admin', 'ALTER DATABASE postgres RENAME TO base', use_transaction => false)");
    }
    let (mut number, mut killed, mut seen_after) = (0, 0, 0);
    for point in ["*", "commit.statement", "file.before_sync", "file.after_sync"] {
        for nth in 1.. {
            number += 1;
            let trial = Trial::new(&place, number, &mut duck);
            let output = run_child(&trial.directory, &trial.tables, trial.url.as_deref(), &format!("{point}:{nth}"));
            let said = String::from_utf8_lossy(&output.stdout);
            let acknowledged = said.contains("acknowledged");
            let died = String::from_utf8_lossy(&output.stderr).contains("fault point");
            assert!(
                died != output.status.success(),
                "{point}:{nth}: {said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let after = verify(&place, &trial, number, &mut duck, &format!("{point}:{nth}")).await;
            assert!(after || !acknowledged, "{point}:{nth}: acknowledged and lost");
            if !died {
                assert!(acknowledged && after, "{point}:{nth}");
                break;
            }
            killed += 1;
            seen_after += usize::from(after);
        }
    }
    println!("{killed} deaths, {seen_after} of them after the commit");
    assert!(killed > 40 && seen_after > 0 && seen_after < killed);
}

/// Both see the same, all or nothing; true for all.
async fn verify(place: &Place, trial: &Trial, number: usize, duck: &mut Duck, fault: &str) -> bool {
    let reopened = open(&trial.directory, trial.url.clone(), trial.tables.to_str().unwrap()).await;
    let ours = reopened.value(CHECK).await;
    let after = match ours.as_str() {
        BEFORE => false,
        AFTER => true,
        other => panic!("{fault}: {other}"),
    };
    let newest = reopened.lake.newest().await.unwrap();
    assert_eq!(newest.table(&name("made")).is_some(), after, "{fault}");
    assert_eq!(newest.table(&name("gone")).is_none(), after, "{fault}");
    assert_eq!(newest.table(&name("u")).unwrap().columns.len() == 3, after, "{fault}");
    assert_eq!(reopened.value("SELECT count(*) FROM v").await == "1", after, "{fault}");
    let setting =
        reopened.metastore.query("SELECT count(*) FROM polder_setting WHERE key = 'crash'", &[]).await.unwrap();
    assert_eq!(setting[0].int(0).unwrap() == 1, after, "{fault}");
    assert_eq!(reopened.lake.check().await.unwrap().problems, [], "{fault}");
    // Whatever the dead one left is swept, and what is named stays.
    if place.postgres.is_none() {
        reopened.lake.sweep_orphans(chrono::TimeDelta::zero()).await.unwrap();
        assert_eq!(reopened.value(CHECK).await, ours, "{fault}");
    }
    // Work goes on.
    let mut transaction = reopened.lake.begin().await.unwrap();
    transaction.insert(&name("v"), vec![pairs(7..8)]).await.unwrap();
    transaction.commit().await.unwrap();
    reopened.close().await;
    trial.attach(place, number, duck);
    assert_eq!(duck.value(&CHECK.replace("public.", "trial.public.")), ours, "{fault}");
    assert_eq!(duck.value("SELECT count(*) FROM trial.public.v"), if after { "2" } else { "1" }, "{fault}");
    duck.run("DETACH trial");
    after
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    kill_everywhere(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    kill_everywhere(Backend::Postgres).await;
}
