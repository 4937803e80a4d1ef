//! The one commit.

use std::sync::Arc;
use std::time::Duration;

use polder_metastore::{CommitOutcome, Metastore, Value, Write};
use polder_types::ErrorKind;

use crate::place::{Place, commit_next, count, snapshot};

const NOTES: &str = "SELECT count(*) FROM ducklake_snapshot_changes WHERE commit_message IS NOT NULL";

fn setting(key: &str) -> Write {
    Write::new("INSERT INTO polder_setting (key, value) VALUES ($1, $2)", vec![key.into(), "".into()])
}

pub async fn committed_or_stale(place: Place) {
    let metastore = place.open().await;
    assert_eq!(metastore.commit(1, &snapshot(2, "first")).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(metastore.commit(1, &snapshot(2, "late")).await.unwrap(), CommitOutcome::Stale { head: 2 });
    assert_eq!(metastore.commit(7, &snapshot(8, "early")).await.unwrap(), CommitOutcome::Stale { head: 2 });
    assert_eq!(metastore.head().await.unwrap(), 2);
    // A group of two snapshots and a row of ours.
    let mut group = snapshot(3, "second");
    group.extend(snapshot(4, "third"));
    group.push(setting("with the lake"));
    assert_eq!(metastore.commit(2, &group).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(metastore.head().await.unwrap(), 4);
    assert_eq!(metastore.settings().get("with the lake").await.unwrap().as_deref(), Some(""));
    assert_eq!(count(&metastore, NOTES).await, 3);
}

async fn check_failed(metastore: &Metastore, bad: Write, kind: ErrorKind) {
    let head = metastore.head().await.unwrap();
    let mut writes = snapshot(head + 1, "bad");
    writes.push(setting("bad"));
    writes.push(bad);
    let error = metastore.commit(head, &writes).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(metastore.head().await.unwrap(), head);
    assert_eq!(count(metastore, NOTES).await, 0);
    assert_eq!(metastore.settings().get("bad").await.unwrap(), None);
}

pub async fn a_failed_commit_leaves_nothing(place: Place) {
    let metastore = place.open().await;
    let none = "UPDATE polder_setting SET value = 'x' WHERE key = 'nobody'";
    check_failed(&metastore, Write::new("INSERT INTO no_such_table VALUES (1)", vec![]), ErrorKind::Internal).await;
    check_failed(&metastore, Write::new(none, vec![]).affecting(1), ErrorKind::Conflict).await;
    check_failed(&metastore, setting("bad"), ErrorKind::AlreadyExists).await;
    let error = metastore.write(&[setting("bad"), Write::new(none, vec![]).affecting(2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(metastore.settings().get("bad").await.unwrap(), None);
    // And then a good one.
    commit_next(&metastore, "good", &[setting("good")]).await.unwrap();
    assert_eq!(metastore.head().await.unwrap(), 2);
}

pub async fn a_dropped_commit_harms_nobody(place: Place) {
    let metastore = place.open().await;
    let rows = 20;
    for turn in 0..40u64 {
        let head = metastore.head().await.unwrap();
        let mut writes = snapshot(head + 1, "perhaps");
        for row in 0..rows {
            let sql = "INSERT INTO polder_loaded_content VALUES ($1, $2, $3, $4, $5, $6)";
            let params = vec![
                (head + 1).into(),
                format!("{row}").into(),
                "x".into(),
                0.into(),
                0.into(),
                chrono::Utc::now().into(),
            ];
            writes.push(Write::new(sql, params));
        }
        let dropped = tokio::time::timeout(Duration::from_micros(turn * 120), metastore.commit(head, &writes));
        // Done or not, the next one has to find things in order.
        let _ = dropped.await;
        metastore.settings().set("next", &turn.to_string()).await.unwrap();
        let head = metastore.head().await.unwrap();
        let whole = count(&metastore, "SELECT count(*) FROM polder_loaded_content").await;
        assert_eq!(whole, (head - 1) * rows, "turn {turn}");
    }
}

pub async fn eight_committers_lose_nothing(place: Place) {
    const TASKS: i64 = 8;
    const COMMITS: i64 = 25;
    let metastore = place.open().await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let metastore = Arc::clone(&metastore);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for turn in 0..COMMITS {
                    let key = format!("{task}/{turn}");
                    mine.push(commit_next(&metastore, &key, &[setting(&key)]).await.unwrap());
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (2..2 + TASKS * COMMITS).collect::<Vec<_>>());
    assert_eq!(count(&metastore, NOTES).await, TASKS * COMMITS);
    assert_eq!(count(&metastore, "SELECT count(*) FROM polder_setting WHERE key LIKE '%/%'").await, TASKS * COMMITS);
}

pub async fn reads_together_see_one_moment(place: Place) {
    let metastore = place.open().await;
    let writer = Arc::clone(&metastore);
    let writing = tokio::spawn(async move {
        for turn in 0..60 {
            commit_next(&writer, "one", &[setting(&format!("one {turn}"))]).await.unwrap();
        }
    });
    let first = "SELECT max(snapshot_id) - 1 FROM ducklake_snapshot";
    let second = "SELECT count(*) FROM polder_setting WHERE key LIKE $1";
    while !writing.is_finished() {
        let answers =
            metastore.read_together(&[(first, &[]), (second, &["one %".into()]), (first, &[])]).await.unwrap();
        let numbers: Vec<_> = answers.iter().map(|rows| rows[0].int(0).unwrap()).collect();
        assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
    }
    writing.await.unwrap();
}

pub async fn a_dropped_read_harms_nobody(place: Place) {
    let metastore = place.open().await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n";
    for _ in 0..20 {
        let queries: [(&str, &[Value]); 2] = [(sql, &[]), (sql, &[])];
        assert!(tokio::time::timeout(Duration::from_millis(2), metastore.read_together(&queries)).await.is_err());
        assert_eq!(metastore.head().await.unwrap(), 1);
    }
    commit_next(&metastore, "after", &[]).await.unwrap();
    assert_eq!(metastore.head().await.unwrap(), 2);
}

pub async fn closed_means_closed(place: Place) {
    let metastore = place.open().await;
    metastore.close().await;
    assert_eq!(metastore.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(metastore.commit(1, &snapshot(2, "")).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
