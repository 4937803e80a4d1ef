//! Small files into larger ones, while others write, with DuckDB reading every version.

use polder_lake::{Compaction, SortKey, Version};
use polder_types::ErrorKind;

use crate::support::{Duck, Open, Place, append, both, delete, make_pairs, name, pairs, query, update};

both!(
    merges,
    sorts,
    beside_others,
    of_what_duckdb_wrote,
    what_duckdb_merges_afterwards,
    what_duckdb_flushes_afterwards
);

const ALL: &str = "SELECT a, b FROM t ORDER BY a";

async fn append_alone(open: &Open, table: &str, from: i64) {
    let mut transaction = open.lake.begin().await.unwrap();
    append(&mut transaction, table, pairs(from..from + 100)).await;
    transaction.commit().await.unwrap();
}

async fn delete_alone(open: &Open, table: &str, condition: &str) -> u64 {
    let mut transaction = open.lake.begin().await.unwrap();
    let deleted = delete(&mut transaction, table, condition).await;
    transaction.commit().await.unwrap();
    deleted
}

/// Many small files, rows in the metastore, deletes and updates.
async fn scattered(open: &Open) {
    make_pairs(&open.lake, "t", 100).await;
    for start in [100, 200, 300] {
        append_alone(open, "t", start).await;
    }
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(400..405)]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(delete_alone(open, "t", "a % 10 = 3").await, 41);
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(update(&mut transaction, "t", "a, b || '!'", "a % 50 = 1").await, 9);
    transaction.commit().await.unwrap();
}

pub(crate) async fn every_version(open: &Open, duck: &mut Duck, sql: &str) -> Vec<Vec<String>> {
    let last = open.lake.newest().await.unwrap().id;
    let mut all = Vec::new();
    for info in open.lake.history(10_000).await.unwrap().into_iter().rev() {
        let snapshot = open.lake.snapshot(Version::Snapshot(info.id)).await.unwrap();
        if snapshot.table(&name("t")).is_none() {
            continue;
        }
        let ours = query(&open.lake, &snapshot, sql).await;
        let theirs = duck.query(&sql.replace(" FROM t", &format!(" FROM t AT (VERSION => {})", info.id)));
        assert!(ours == theirs, "version {} of {last}", info.id);
        all.push(ours);
    }
    all
}

async fn merges(place: Place) {
    let open = place.open().await;
    scattered(&open).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    let before = every_version(&open, &mut duck, ALL).await;
    let ids = open.query("SELECT rowid, a FROM rows.public.t ORDER BY rowid").await;
    let done = open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    assert_eq!((done.files_removed, done.files_added, done.stored_rows), (5, 1, 3));
    let after = every_version(&open, &mut duck, ALL).await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.last(), before.last());
    assert_eq!(open.query("SELECT rowid, a FROM rows.public.t ORDER BY rowid").await, ids);
    assert_eq!(duck.query("SELECT rowid, a FROM t ORDER BY rowid"), ids);
    let newest = open.lake.newest().await.unwrap();
    let table = newest.table(&name("t")).unwrap();
    assert_eq!(table.files.len(), 1);
    // The total counts what was ever added: equal to what is there, it would tell DuckDB that nothing was deleted.
    assert!(table.record_count > table.file_rows());
    // Once is enough.
    assert_eq!(open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap().snapshot, None);

    // Both sides go on with it, and a server that starts anew reads the same.
    duck.run("INSERT INTO t VALUES (1000, 'theirs')");
    duck.run("DELETE FROM t WHERE a = 0");
    assert_eq!(delete_alone(&open, "t", "a IN (1, 404, 1000)").await, 3);
    assert_eq!(duck.query(ALL), open.query(ALL).await);
    every_version(&open, &mut duck, ALL).await;
    assert_eq!(open.lake.check().await.unwrap().problems, []);
    open.close().await;
    let again = place.open().await;
    assert_eq!(again.query(ALL).await, duck.query(ALL));
    assert_eq!(again.value("SELECT count(*) FROM t").await, duck.value("SELECT count(*) FROM t"));
}

async fn sorts(place: Place) {
    let open = place.open().await;
    scattered(&open).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    let before = open.query(ALL).await;
    let key = |column: &str| SortKey { column: column.into(), descending: true, nulls_first: false };
    let what = |column| Compaction { order: vec![key(column)], ..Compaction::thorough() };
    let error = open.lake.compact(&name("t"), &what("nowhere"), None).await.unwrap_err();
    assert_eq!(error.code(), "42703");
    open.lake.compact(&name("t"), &what("a"), None).await.unwrap();
    assert_eq!(open.query(ALL).await, before);
    assert_eq!(duck.query(ALL), before);
    let stored: Vec<i64> = open.query("SELECT a FROM t").await.iter().map(|row| row.parse().unwrap()).collect();
    assert!(stored.is_sorted_by(|a, b| a > b));
}

/// Inserts commute with it; changes of the same files do not, and lose nothing.
async fn beside_others(place: Place) {
    let open = place.open().await;
    scattered(&open).await;
    let rows: usize = open.value("SELECT count(*) FROM t").await.parse().unwrap();
    let lake = open.lake.clone();
    let inserting = tokio::spawn(async move {
        for at in 0..20 {
            let mut transaction = lake.begin().await.unwrap();
            transaction.insert(&name("t"), vec![pairs(1000 + at..1001 + at)]).await.unwrap();
            transaction.commit().await.unwrap();
        }
    });
    for _ in 0..5 {
        open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    }
    inserting.await.unwrap();
    assert_eq!(open.value("SELECT count(*) FROM t").await, (rows + 20).to_string());

    // A delete that saw the old files comes too late, and can be run again.
    make_pairs(&open.lake, "u", 100).await;
    append_alone(&open, "u", 100).await;
    let mut late = open.lake.begin().await.unwrap();
    assert_eq!(delete(&mut late, "u", "a < 10").await, 10);
    open.lake.compact(&name("u"), &Compaction::thorough(), None).await.unwrap();
    assert_eq!(late.commit().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(delete_alone(&open, "u", "a < 10").await, 10);
    assert_eq!(open.value("SELECT count(*) FROM u").await, "190");
}

async fn of_what_duckdb_wrote(place: Place) {
    let open = place.open().await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    duck.run("CREATE TABLE t (a BIGINT, b VARCHAR)");
    for start in [0, 100, 200] {
        duck.run(&format!("INSERT INTO t SELECT {start} + range, 'text' FROM range(100)"));
    }
    duck.run("INSERT INTO t VALUES (300, 'small')");
    duck.run("UPDATE t SET b = 'new' WHERE a = 300 OR a = 5");
    duck.run("DELETE FROM t WHERE a BETWEEN 10 AND 30");
    duck.run("ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7");
    duck.run("INSERT INTO t VALUES (301, 'wide', 8)");
    let sql = "SELECT * FROM t ORDER BY a";
    let before = every_version(&open, &mut duck, sql).await;
    let done = open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    assert_eq!(done.files_added, 1);
    let after = every_version(&open, &mut duck, sql).await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.last(), before.last());
    assert_eq!(open.lake.check().await.unwrap().problems, []);
}

/// Old versions, once DuckDB has merged files that carry deletes.
async fn what_duckdb_merges_afterwards(place: Place) {
    let open = place.open().await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    duck.run("CREATE TABLE t (a BIGINT, b VARCHAR)");
    for start in [0, 100, 200] {
        duck.run(&format!("INSERT INTO t SELECT {start} + range, 'text' FROM range(100)"));
    }
    duck.run("INSERT INTO t VALUES (300, 'small')");
    duck.run("DELETE FROM t WHERE a BETWEEN 10 AND 30");
    open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    let before = every_version(&open, &mut duck, ALL).await;
    duck.run("CALL ducklake_flush_inlined_data('l')");
    duck.run("CALL ducklake_merge_adjacent_files('l')");
    assert_eq!(every_version(&open, &mut duck, ALL).await[..before.len()], before);
}

/// Deletes that DuckDB keeps in the catalog: it moves them to delete files later, which old versions must not see whole,
/// and which would be of a file that is no more if we had merged it.
async fn what_duckdb_flushes_afterwards(place: Place) {
    let open = place.open().await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    duck.run("CREATE TABLE t (a BIGINT, b VARCHAR)");
    duck.run("INSERT INTO t VALUES (1, 'small'), (2, 'small')");
    duck.run("INSERT INTO t SELECT 100 + range, 'text' FROM range(100)");
    duck.run("INSERT INTO t SELECT 200 + range, 'text' FROM range(100)");
    duck.run("INSERT INTO t VALUES (3, 'small'), (4, 'small')");
    for a in [1, 3, 105, 106, 107, 2] {
        duck.run(&format!("DELETE FROM t WHERE a = {a}"));
    }
    duck.run("UPDATE t SET b = 'new' WHERE a IN (4, 110)");
    let before = every_version(&open, &mut duck, ALL).await;
    for _ in 0..2 {
        open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
        assert_eq!(every_version(&open, &mut duck, ALL).await[..before.len()], before);
        duck.run("CALL ducklake_flush_inlined_data('l')");
        assert_eq!(every_version(&open, &mut duck, ALL).await[..before.len()], before);
    }
    open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    assert_eq!(every_version(&open, &mut duck, ALL).await[..before.len()], before);
    assert_eq!(open.lake.newest().await.unwrap().table(&name("t")).unwrap().files.len(), 1);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
}
