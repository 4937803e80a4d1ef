//! Tables as they were: restored, cloned, and what changed since.

use datafusion::catalog::TableProvider;
use futures_lines::changes;
use polder_lake::{AlterColumn, ColumnSpec, Compaction, Retain, TableChanges, Version};
use polder_types::ErrorKind;

use crate::support::{Open, Place, append, both, delete, lines, make_pairs, name, pairs, session, update};

both!(restores, clones, feeds);

mod futures_lines {
    use super::{Open, TableChanges, TableProvider, Version, lines, name, session};
    use std::sync::Arc;

    /// `snapshot|rowid|kind|columns…`, in the order of DuckDB's own feed sorted by the first three.
    pub async fn changes(open: &Open, from: i64, to: i64) -> Vec<String> {
        let table = TableChanges::open(&open.lake, &name("t"), Version::Snapshot(from), Version::Snapshot(to)).unwrap();
        let newest = open.lake.newest().await.unwrap();
        let context = session(&open.lake, &newest).await;
        assert_eq!(table.schema().field(2).name(), "change_type");
        context.register_table("changes", Arc::new(table)).unwrap();
        let frame = context.sql("SELECT * FROM changes ORDER BY snapshot_id, rowid, change_type").await.unwrap();
        lines(&frame.collect().await.unwrap())
    }
}

const ALL: &str = "SELECT a, b FROM t ORDER BY a";

async fn restores(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(100..103)]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a IN (1, 2, 101)").await;
    let then = transaction.commit().await.unwrap().snapshot;
    let (rows, ids) = (open.query(ALL).await, open.query("SELECT rowid, a FROM rows.public.t ORDER BY a").await);
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    let mut transaction = open.lake.begin().await.unwrap();
    append(&mut transaction, "t", pairs(200..300)).await;
    update(&mut transaction, "t", "a, 'changed'", "a % 5 = 0").await;
    transaction.insert(&name("t"), vec![pairs(300..303)]).await.unwrap();
    transaction.commit().await.unwrap();
    duck.run("DELETE FROM t WHERE a > 40 AND a < 60 OR a = 100");
    open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();

    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(transaction.restore_table(&name("t"), &then).await.unwrap(), rows.len() as u64);
    transaction.commit().await.unwrap();
    assert_eq!(open.query(ALL).await, rows);
    assert_eq!(open.query("SELECT rowid, a FROM rows.public.t ORDER BY a").await, ids);
    assert_eq!(duck.query(ALL), rows);
    assert_eq!(duck.query("SELECT rowid, a FROM t ORDER BY a"), ids);
    assert_eq!(open.value("SELECT count(*) FROM t").await, rows.len().to_string());

    // Its files are its own: what the old versions held may go.
    open.lake.vacuum(Retain::Snapshots(1), chrono::TimeDelta::zero()).await.unwrap();
    duck.run("CALL ducklake_cleanup_old_files('l', cleanup_all => true)");
    assert_eq!(duck.query(ALL), rows);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(delete(&mut transaction, "t", "a IN (3, 102)").await, 2);
    transaction.commit().await.unwrap();
    assert_eq!(open.query(ALL).await, duck.query(ALL));

    let before = open.lake.newest().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    let spec = ColumnSpec::new("c", arrow::datatypes::DataType::Int32, true);
    transaction.alter_column(&name("t"), AlterColumn::Add(spec)).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    let error = transaction.restore_table(&name("t"), &before).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidInput, "55000"));
}

async fn clones(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(100..103)]).await.unwrap();
    update(&mut transaction, "t", "a, 'changed'", "a < 3").await;
    let then = transaction.commit().await.unwrap().snapshot;
    let rows = open.query(ALL).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.drop_table(&name("t")).unwrap();
    transaction.commit().await.unwrap();

    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(transaction.clone_table(&name("u"), &name("t"), &then).await.unwrap(), 103);
    // A clone can be cloned before it is committed.
    let view = transaction.view().clone();
    assert_eq!(transaction.clone_table(&name("v"), &name("u"), &view).await.unwrap(), 103);
    transaction.commit().await.unwrap();
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    for table in ["u", "v"] {
        let sql = ALL.replace(" t ", &format!(" {table} "));
        assert_eq!(open.query(&sql).await, rows);
        assert_eq!(duck.query(&sql), rows);
        assert_eq!(duck.query(&format!("SELECT count(DISTINCT rowid), count(*) FROM {table}")), ["103|103"]);
    }
    duck.run("INSERT INTO u VALUES (500, 'theirs')");
    duck.run("INSERT INTO u SELECT 600 + range, 'theirs' FROM range(20)");
    duck.run("DELETE FROM u WHERE a = 50");
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "u", "a = 51 OR a = 500 OR a = 102").await;
    transaction.commit().await.unwrap();
    let sql = ALL.replace(" t ", " u ");
    assert_eq!(open.query(&sql).await, duck.query(&sql));
    assert_eq!(open.query(&ALL.replace(" t ", " v ")).await, rows);
    assert_eq!(duck.query("SELECT count(DISTINCT rowid) = count(*) FROM u"), ["true"]);

    // One goes, the other stays.
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.drop_table(&name("u")).unwrap();
    transaction.commit().await.unwrap();
    open.lake.vacuum(Retain::Snapshots(1), chrono::TimeDelta::zero()).await.unwrap();
    duck.run("CALL ducklake_cleanup_old_files('l', cleanup_all => true)");
    assert_eq!(open.query(&ALL.replace(" t ", " v ")).await, rows);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
}

/// The feed is DuckDB's own, but for versions that only moved rows.
async fn feeds(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 20).await;
    let first = open.lake.newest().await.unwrap().id;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(100..103)]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a IN (1, 101)").await;
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    update(&mut transaction, "t", "a, 'changed'", "a IN (2, 102)").await;
    append(&mut transaction, "t", pairs(200..215)).await;
    transaction.commit().await.unwrap();
    duck.run("UPDATE t SET b = 'theirs' WHERE a IN (3, 100)");
    duck.run("INSERT INTO t VALUES (300, 'x')");
    duck.run("UPDATE t SET b = 'y' WHERE a = 300");
    duck.run("DELETE FROM t WHERE a IN (4, 300)");
    let last = open.lake.newest().await.unwrap().id;
    // Version by version: over several, DuckDB lists a row again for each later delete file that carries it along.
    let theirs = |duck: &mut crate::support::Duck, from: i64, to: i64| {
        let of_version = |version: i64| {
            let mut rows = duck.query(&format!(
                "SELECT snapshot_id, rowid, change_type, a, b FROM ducklake_table_changes('l', 'public', 't', {version}, {version}) ORDER BY snapshot_id, rowid, change_type"
            ));
            rows.dedup();
            rows
        };
        (from..=to).flat_map(of_version).collect::<Vec<_>>()
    };
    let expected = theirs(&mut duck, first, last);
    assert_eq!(changes(&open, first, last).await, expected);
    assert_eq!(changes(&open, last, last).await, theirs(&mut duck, last, last));

    // Moving rows changes nothing, in old versions neither.
    open.lake.compact(&name("t"), &Compaction::thorough(), None).await.unwrap();
    let now = open.lake.newest().await.unwrap().id;
    assert_eq!(changes(&open, first, now).await, expected);
    duck.run("INSERT INTO t SELECT 400 + range, 'm' FROM range(20)");
    duck.run("INSERT INTO t SELECT 500 + range, 'm' FROM range(20)");
    let now = open.lake.newest().await.unwrap().id;
    let expected = changes(&open, first, now).await;
    duck.run("CALL ducklake_flush_inlined_data('l')");
    duck.run("CALL ducklake_merge_adjacent_files('l')");
    let now = open.lake.newest().await.unwrap().id;
    assert_eq!(changes(&open, first, now).await, expected);

    open.lake.vacuum(Retain::Snapshots(1), chrono::TimeDelta::zero()).await.unwrap();
    let table = TableChanges::open(&open.lake, &name("t"), Version::Snapshot(last), Version::Newest).unwrap();
    let newest = open.lake.newest().await.unwrap();
    let context = session(&open.lake, &newest).await;
    context.register_table("changes", std::sync::Arc::new(table)).unwrap();
    let error = context.sql("SELECT * FROM changes").await.unwrap().count().await.unwrap_err();
    assert!(error.to_string().contains("has expired"), "{error}");
}
