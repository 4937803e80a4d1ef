//! Versions expire, and their files go, but nothing that anybody still reads.

use std::path::Path;

use chrono::TimeDelta;
use polder_lake::{Compaction, Retain, Version};
use polder_types::ErrorKind;

use crate::compaction::every_version;
use crate::support::{Place, append, both, delete, make_pairs, name, pairs, query, session};

both!(expires, respects_readers, together_with_duckdb);

fn parquet_files(below: &Path) -> usize {
    let count = |entry: std::fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() { parquet_files(&path) } else { usize::from(path.extension().is_some_and(|e| e == "parquet")) }
    };
    std::fs::read_dir(below).unwrap().map(|entry| count(entry.unwrap())).sum()
}

const ALL: &str = "SELECT a, b FROM t ORDER BY a";

async fn expires(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    make_pairs(&open.lake, "dropped", 100).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("dropped"), vec![pairs(100..103)]).await.unwrap();
    transaction.insert(&name("t"), vec![pairs(100..103)]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.drop_table(&name("dropped")).unwrap();
    delete(&mut transaction, "t", "a % 2 = 0").await;
    transaction.commit().await.unwrap();
    open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    let rows = open.query(ALL).await;
    assert_eq!(parquet_files(&place.tables()), 4);

    // Nothing is old enough, nothing goes.
    let done = open.lake.vacuum(Retain::Time(TimeDelta::days(7)), TimeDelta::zero()).await.unwrap();
    assert_eq!((done.snapshots_expired, done.files_scheduled, done.files_deleted.len()), (0, 0, 0));
    let versions = open.lake.history(1000).await.unwrap().len();

    let done = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::hours(1)).await.unwrap();
    assert_eq!((done.snapshots_expired, done.files_scheduled, done.files_waiting), (versions - 1, 3, 3));
    assert_eq!(parquet_files(&place.tables()), 4);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
    let done = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::zero()).await.unwrap();
    assert_eq!((done.snapshots_expired, done.files_deleted.len(), done.files_waiting), (0, 3, 0));
    assert!(done.bytes_deleted > 0);
    assert_eq!(parquet_files(&place.tables()), 1);

    let newest = open.lake.newest().await.unwrap();
    let error = open.lake.snapshot(Version::Snapshot(newest.id - 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(open.query(ALL).await, rows);
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    assert_eq!(duck.query(ALL), rows);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
    let left = open.metastore.query("SELECT count(*) FROM ducklake_table WHERE table_name = 'dropped'", &[]).await;
    assert_eq!(left.unwrap()[0].int(0).unwrap(), 0);

    // Both sides go on.
    make_pairs(&open.lake, "dropped", 5).await;
    duck.run("INSERT INTO t VALUES (500, 'theirs')");
    duck.run("INSERT INTO t SELECT 600 + range, 'theirs' FROM range(50)");
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a = 1 OR a = 500").await;
    transaction.commit().await.unwrap();
    every_version(&open, &mut duck, ALL).await;
    assert_eq!(duck.query("SELECT count(*) FROM dropped"), ["5"]);
}

/// What a statement reads, or an open transaction, stays to its end.
async fn respects_readers(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 200_000).await;
    let first = open.lake.newest().await.unwrap();
    let context = session(&open.lake, &first).await;
    let running = context.sql("SELECT a, b FROM t").await.unwrap().create_physical_plan().await.unwrap();
    let task = context.task_ctx();
    let id = first.id;
    drop((first, context));

    let waiting = open.lake.begin().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.truncate(&name("t")).await.unwrap();
    append(&mut transaction, "t", pairs(0..10)).await;
    transaction.commit().await.unwrap();
    for _ in 0..2 {
        let done = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::zero()).await.unwrap();
        assert_eq!(done.files_deleted, Vec::<String>::new());
    }
    // The open transaction still reads, and fails for the right reason.
    assert_eq!(query(&open.lake, waiting.view(), "SELECT count(*) FROM t").await, ["200000"]);
    drop(waiting);
    let done = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::zero()).await.unwrap();
    assert_eq!(done.files_deleted, Vec::<String>::new());
    assert!(open.lake.snapshot(Version::Snapshot(id)).await.is_ok());
    let read = datafusion::physical_plan::collect(running, task).await.unwrap();
    assert_eq!(read.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 200_000);
    drop(read);
    let done = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::zero()).await.unwrap();
    assert_eq!(done.files_scheduled, 1);
    let again = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::zero()).await.unwrap();
    assert_eq!(done.files_deleted.len() + again.files_deleted.len(), 1);
    assert_eq!(parquet_files(&place.tables()), 1);
}

/// DuckDB's list of files is ours, and the other way round.
async fn together_with_duckdb(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    for start in [100, 200, 300] {
        duck.run(&format!("INSERT INTO t SELECT {start} + range, 'd' FROM range(100)"));
    }
    duck.run("INSERT INTO t VALUES (1000, 'small')");
    duck.run("UPDATE t SET b = 'u' WHERE a IN (1, 150, 1000)");
    duck.run("DELETE FROM t WHERE a BETWEEN 20 AND 50");
    let rows = duck.query(ALL);
    // A merge of DuckDB's puts files on the list at once.
    duck.run("CALL ducklake_flush_inlined_data('l')");
    duck.run("CALL ducklake_merge_adjacent_files('l')");
    let before = every_version(&open, &mut duck, ALL).await;
    let done = open.lake.vacuum(Retain::Time(TimeDelta::days(1)), TimeDelta::zero()).await.unwrap();
    assert!(!done.files_deleted.is_empty());
    assert_eq!(every_version(&open, &mut duck, ALL).await, before);

    duck.run("CALL ducklake_rewrite_data_files('l', delete_threshold => 0.01)");
    let done = open.lake.vacuum(Retain::Snapshots(1), TimeDelta::zero()).await.unwrap();
    assert!(done.snapshots_expired > 5);
    assert_eq!(open.query(ALL).await, rows);
    assert_eq!(duck.query(ALL), rows);
    assert_eq!(open.lake.check().await.unwrap().problems, []);

    // What we put on the list, DuckDB may delete.
    open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    duck.run("INSERT INTO t VALUES (2000, 'x')");
    open.lake.vacuum(Retain::Snapshots(1), TimeDelta::hours(1)).await.unwrap();
    duck.run("CALL ducklake_cleanup_old_files('l', cleanup_all => true)");
    assert_eq!(open.query(ALL).await, duck.query(ALL));
    assert_eq!(open.lake.check().await.unwrap().problems, []);
}
