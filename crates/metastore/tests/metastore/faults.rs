//! Processes that die and connections that break.

use std::process::Command;
use std::time::Instant;

use polder_metastore::{CommitOutcome, Metastore, MetastoreOptions, Write};
use polder_types::ErrorKind;

use crate::place::{Place, commit_next, count, snapshot};
use crate::postgres_server::PostgresServer;
use crate::proxy::{Cut, Proxy};

const DIRECTORY: &str = "POLDER_TEST_DIRECTORY";

/// Not a test by itself: the process that [`a_process_that_dies_leaves_all_or_nothing`] lets die.
#[tokio::test]
async fn victim() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let options = MetastoreOptions {
        data_dir: directory.into(),
        url: None,
        tables_path: "/tables".into(),
        clock: std::sync::Arc::new(polder_runtime::SystemClock),
    };
    let metastore = Metastore::open(options).await.unwrap();
    commit_next(&metastore, "victim", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_leaves_all_or_nothing() {
    let points = [
        "commit.begin:1",
        "commit.statement:1",
        "commit.statement:2",
        "commit.before_commit:1",
        "commit.after_commit:1",
    ];
    for point in points {
        let place = Place::sqlite();
        place.open().await.close().await;
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::victim", "--nocapture"])
            .env(DIRECTORY, place.data_dir())
            .env("POLDER_FAULT", point)
            .output()
            .unwrap();
        assert!(!died.status.success(), "{point}: {died:?}");
        assert!(String::from_utf8_lossy(&died.stderr).contains("aborting"), "{point}: {died:?}");
        let metastore = place.open().await;
        let expected = if point.starts_with("commit.after") { 2 } else { 1 };
        assert_eq!(metastore.head().await.unwrap(), expected, "{point}");
        let notes =
            count(&metastore, "SELECT count(*) FROM ducklake_snapshot_changes WHERE commit_message = 'victim'").await;
        assert_eq!(notes, expected - 1, "{point}");
        commit_next(&metastore, "next", &[]).await.unwrap();
    }
}

pub async fn a_terminated_connection_is_replaced(server: &PostgresServer) {
    let place = Place::postgres(server.url(&server.create_database()));
    let metastore = place.open().await;
    for turn in 0..3 {
        // Every other connection of this database, the writing one too.
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        count(&metastore, sql).await;
        commit_next(&metastore, "after a cut", &[]).await.unwrap();
        count(&metastore, sql).await;
        metastore.settings().set("turn", &turn.to_string()).await.unwrap();
        assert_eq!(metastore.head().await.unwrap(), turn + 2);
    }
    server.stop("fast");
    let error = metastore.head().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = metastore.commit(4, &snapshot(5, "")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.start_again();
    assert_eq!(commit_next(&metastore, "after a restart", &[]).await.unwrap(), 5);
}

async fn commit_through(server: &PostgresServer, cut: Cut) {
    let proxy = Proxy::to(server.port).await;
    let place = Place::postgres(server.url_through(proxy.port, &server.create_database()));
    let metastore = place.open().await;
    proxy.cut_next(cut);
    assert_eq!(metastore.commit(1, &snapshot(2, "cut")).await.unwrap(), CommitOutcome::Committed);
    assert!(proxy.was_cut());
    assert_eq!(metastore.head().await.unwrap(), 2);
    let sql = "SELECT count(*) FROM ducklake_snapshot_changes WHERE commit_message = 'cut'";
    assert_eq!(count(&metastore, sql).await, 1);
}

pub async fn a_commit_whose_answer_is_lost_is_known_as_committed(server: &PostgresServer) {
    commit_through(server, Cut::Answer).await;
}

pub async fn a_commit_that_never_arrived_is_done_again(server: &PostgresServer) {
    commit_through(server, Cut::Request).await;
}

pub async fn a_second_server_is_refused_and_told_who(server: &PostgresServer) {
    let place = Place::postgres(server.url(&server.create_database()));
    let metastore = place.open().await;
    metastore.set_holder_note("127.0.0.1:7400").await.unwrap();
    let elsewhere = Place::postgres(place.url.clone().unwrap());
    let error = elsewhere.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let pid = format!("polder {} ", std::process::id());
    assert!(
        error.message().contains(&pid) && error.message().contains(" 127.0.0.1:7400 (PostgreSQL backend "),
        "{error}"
    );
    metastore.close().await;
    drop(metastore);
    elsewhere.open().await.close().await;
}

pub async fn a_silent_database_leaves_an_honest_answer(server: PostgresServer) {
    let proxy = Proxy::to(server.port).await;
    let place = Place::postgres(server.url_through(proxy.port, &server.create_database()));
    let metastore = place.open().await;
    proxy.cut_next(Cut::Answer);
    proxy.refuse();
    let started = Instant::now();
    let error = metastore.commit(1, &snapshot(2, "cut")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "08007"), "{error}");
    assert!(started.elapsed().as_secs() < 60);
    // The same for a row of ours.
    let error = metastore.write(&[Write::new("DELETE FROM polder_setting", vec![])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
