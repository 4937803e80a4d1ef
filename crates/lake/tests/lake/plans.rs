//! What the planner makes of a table.

use crate::support::{Backend, Open, Place, append, delete, make_pairs, name, pairs};

async fn plan(open: &Open, sql: &str) -> String {
    let rows = open.query(&format!("EXPLAIN {sql}")).await;
    rows.into_iter().find(|row| row.starts_with("physical_plan")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans() {
    let place = Place::new(Backend::Sqlite);
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    let mut transaction = open.lake.begin().await.unwrap();
    append(&mut transaction, "t", pairs(100..200)).await;
    transaction.commit().await.unwrap();

    // Counts and bounds come from the catalog, without a look at a file.
    for sql in ["SELECT count(*) FROM t", "SELECT min(a), max(a) FROM t"] {
        let plan = plan(&open, sql).await;
        assert!(!plan.contains("DataSourceExec"), "{sql}: {plan}");
    }
    // A filter reaches the files, and leaves out those that cannot match.
    let filtered = plan(&open, "SELECT b FROM t WHERE a > 150").await;
    assert!(filtered.contains("predicate=a@0 > 150") && filtered.matches("polder-").count() == 1, "{filtered}");
    let limited = plan(&open, "SELECT a FROM t LIMIT 3").await;
    assert!(limited.contains("limit=3"), "{limited}");

    // Rows in the metastore count too, and one scan over a big file has work for every core.
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(200..203)]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(open.query("SELECT count(*), min(a), max(a) FROM t").await, ["203|0|202"]);
    assert_eq!(open.query("SELECT count(*) FROM t WHERE a > 198").await, ["4"]);
    let counted = plan(&open, "SELECT count(*) FROM t").await;
    assert!(!counted.contains("TableScanExec"), "{counted}");
    let mut transaction = open.lake.begin().await.unwrap();
    append(&mut transaction, "t", pairs(1_000..4_000_000)).await;
    transaction.commit().await.unwrap();
    let big = plan(&open, "SELECT b, count(*) FROM t WHERE a > 1000 GROUP BY b").await;
    assert!(big.contains("file_groups={2 groups"), "{big}");

    // After a delete the old bounds are no answer any more.
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a >= 150 OR a < 10").await;
    transaction.commit().await.unwrap();
    assert_eq!(open.query("SELECT count(*), min(a), max(a) FROM t").await, ["140|10|149"]);
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(transaction.truncate(&name("t")).await.unwrap(), 140);
    append(&mut transaction, "t", pairs(50..60)).await;
    transaction.commit().await.unwrap();
    assert_eq!(open.query("SELECT count(*), min(a), max(a) FROM t").await, ["10|50|59"]);
    assert_eq!(place.duckdb().query("SELECT count(*), min(a), max(a) FROM l.public.t"), ["10|50|59"]);
}
