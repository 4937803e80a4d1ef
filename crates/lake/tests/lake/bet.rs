//! The riskiest bet: one transaction over names, columns, files, deletes and a row of our own, which DuckDB reads,
//! writes on, and we read back.

use polder_metastore::{Value, Write};

use crate::support::{Open, Place, append, both, delete, name, pair_schema, pairs, update, view};

both!(fresh, adopted);

/// One transaction that makes, fills, changes, reads, and swaps names, then carries a row of our own.
async fn bet(open: &Open) {
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_table(&name("a"), &pair_schema()).unwrap();
    append(&mut transaction, "a", pairs(0..1000)).await;
    transaction.insert(&name("a"), vec![pairs(1000..1003)]).await.unwrap();
    let changed = update(&mut transaction, "a", "a, 'changed'", "a >= 990").await;
    assert_eq!(changed, 13);
    assert_eq!(delete(&mut transaction, "a", "a < 10").await, 10);
    assert_eq!(view(&mut transaction, "SELECT count(*), min(a), max(a) FROM a").await, ["993|10|1002"]);
    assert_eq!(view(&mut transaction, "SELECT count(*) FROM a WHERE b = 'changed'").await, ["13"]);

    transaction.create_table(&name("c"), &pair_schema()).unwrap();
    transaction.insert(&name("c"), vec![pairs(7..8)]).await.unwrap();
    for (from, to) in [("a", "b"), ("c", "a"), ("b", "c")] {
        transaction.rename_table(&name(from), &name(to)).unwrap();
    }
    assert_eq!(view(&mut transaction, "SELECT count(*) FROM a").await, ["1"]);
    assert_eq!(view(&mut transaction, "SELECT count(*) FROM c").await, ["993"]);
    transaction.attach(Write::new(
        "INSERT INTO polder_setting (key, value) VALUES ($1, $2)",
        vec!["bet".into(), "won".into()],
    ));
    transaction.describe("tester", "the bet");
    assert_eq!(open.lake.newest().await.unwrap().table(&name("a")).map(|table| table.id), None);
    let report = transaction.commit().await.unwrap();
    assert!(report.changed);
    assert_eq!(report.snapshot.id, open.lake.newest().await.unwrap().id);

    let setting = open.metastore.query("SELECT value FROM polder_setting WHERE key = $1", &[Value::from("bet")]).await;
    assert_eq!(setting.unwrap()[0].text(0).unwrap(), "won");
    assert_eq!(open.query("SELECT count(*), sum(a) FROM c").await, ["993|502458"]);
    assert_eq!(open.query("SELECT * FROM a").await, ["7|text 7"]);
}

async fn fresh(place: Place) {
    let open = place.open().await;
    bet(&open).await;
    with_duckdb(&place, &open).await;
}

async fn adopted(place: Place) {
    {
        let mut duck = place.duckdb();
        duck.run("CREATE TABLE old AS SELECT range AS n FROM range(500)");
        duck.run("DELETE FROM old WHERE n < 3");
    }
    let open = place.open().await;
    assert_eq!(open.query("SELECT count(*), min(n) FROM main.old").await, ["497|3"]);
    bet(&open).await;
    with_duckdb(&place, &open).await;
}

/// DuckDB reads what the bet left, writes to it, and each sees the other's rows.
async fn with_duckdb(place: &Place, open: &Open) {
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    assert_eq!(duck.query("SELECT count(*), sum(a) FROM c"), ["993|502458"]);
    assert_eq!(duck.query("SELECT * FROM a"), ["7|text 7"]);
    assert_eq!(duck.query("SELECT count(DISTINCT rowid), min(rowid), max(rowid) FROM c"), ["993|10|1002"]);

    duck.run("INSERT INTO a VALUES (8, 'small')");
    duck.run("INSERT INTO a SELECT range, 'large' FROM range(100, 1100)");
    duck.run("UPDATE c SET b = 'by duckdb' WHERE a IN (995, 500)");
    duck.run("DELETE FROM c WHERE a = 1000");
    duck.run("CREATE TABLE made (x INTEGER, y DOUBLE)");
    duck.run("INSERT INTO made VALUES (1, 1.5), (2, NULL)");
    assert_eq!(open.query("SELECT count(*), min(a), max(a) FROM a").await, ["1002|7|1099"]);
    assert_eq!(open.query("SELECT count(*), sum(a) FROM c").await, ["992|501458"]);
    assert_eq!(open.query("SELECT a FROM c WHERE b = 'by duckdb' ORDER BY a").await, ["500", "995"]);
    assert_eq!(open.query("SELECT * FROM made ORDER BY x").await, ["1|1.5", "2|NULL"]);

    // We change rows that DuckDB inlined, and rows that it rewrote.
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(update(&mut transaction, "a", "a * 10, b", "a IN (7, 8, 150)").await, 3);
    assert_eq!(delete(&mut transaction, "c", "a IN (500, 995, 20)").await, 3);
    assert_eq!(delete(&mut transaction, "made", "x = 1").await, 1);
    assert_eq!(view(&mut transaction, "SELECT count(*), min(a), max(a) FROM a").await, ["1002|70|1500"]);
    assert_eq!(view(&mut transaction, "SELECT count(*) FROM c").await, ["989"]);
    transaction.commit().await.unwrap();
    for sql in [
        "SELECT count(*), sum(a), min(a), max(a) FROM a",
        "SELECT count(*), sum(a), min(a), max(a) FROM c",
        "SELECT a, b FROM a WHERE a < 200 OR a > 1090 ORDER BY a",
        "SELECT a, b FROM c WHERE a > 980 ORDER BY a",
        "SELECT * FROM made",
    ] {
        assert_eq!(open.query(sql).await, duck.query(sql), "{sql}");
    }
}
