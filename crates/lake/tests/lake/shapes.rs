//! Shapes of tables that change, on either side, with rows in files and in the metastore from before and after.

use arrow::datatypes::DataType;
use polder_lake::{AlterColumn, ColumnSpec, Version};

use crate::support::{Duck, Open, Place, both, delete, make_pairs, name, pair_schema, pairs, query, update};

both!(by_duckdb, by_us, nested, views_and_comments, names_and_case, partitioned, versions);

async fn same(open: &Open, duck: &mut Duck, sql: &str) -> Vec<String> {
    let (ours, theirs) = (open.query(sql).await, duck.query(sql));
    assert_eq!(ours, theirs, "{sql}");
    ours
}

async fn by_duckdb(place: Place) {
    let mut duck = place.duckdb();
    let open = place.open().await;
    duck.run("USE l.public");
    duck.run("CREATE TABLE t (a INTEGER, b VARCHAR)");
    let insert_both = |duck: &mut Duck, row: &str| {
        duck.run(&format!("INSERT INTO t VALUES ({row})"));
        duck.run(&format!("INSERT INTO t SELECT {row} FROM range(20)"));
    };
    let all = "SELECT count(*) AS n, * FROM t GROUP BY ALL ORDER BY ALL";
    let ours = |columns: &str| format!("SELECT count(*) AS n, {columns} FROM t GROUP BY {columns} ORDER BY 1, 2, 3");
    insert_both(&mut duck, "1, 'one'");
    duck.run("ALTER TABLE t RENAME COLUMN b TO c");
    insert_both(&mut duck, "2, 'two'");
    assert_eq!(open.query(&ours("a, c")).await, ["21|1|one", "21|2|two"]);
    duck.run("ALTER TABLE t ADD COLUMN d BIGINT DEFAULT 7");
    insert_both(&mut duck, "3, 'three', 33");
    duck.run("ALTER TABLE t ALTER COLUMN a TYPE BIGINT");
    insert_both(&mut duck, "4000000000, 'four', NULL");
    assert_eq!(
        open.query(&ours("a, c, d")).await,
        ["21|1|one|7", "21|2|two|7", "21|3|three|33", "21|4000000000|four|NULL"]
    );
    duck.run("ALTER TABLE t DROP COLUMN c");
    duck.run("ALTER TABLE t ADD COLUMN c INTEGER");
    insert_both(&mut duck, "5, 5, 5");
    assert_eq!(
        open.query(&ours("a, d, c")).await,
        ["21|1|7|NULL", "21|2|7|NULL", "21|3|33|NULL", "21|5|5|5", "21|4000000000|NULL|NULL"]
    );
    duck.run("ALTER TABLE t ALTER COLUMN d SET DEFAULT 8");
    duck.run("ALTER TABLE t RENAME TO u");
    duck.run("INSERT INTO u (a) VALUES (6)");
    assert_eq!(open.query("SELECT * FROM u WHERE a = 6").await, ["6|8|NULL"]);

    // Rows of every age are changed by us.
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(delete(&mut transaction, "u", "a IN (1, 6)").await, 22);
    assert_eq!(update(&mut transaction, "u", "a, d + 1, 9", "a IN (2, 5)").await, 42);
    transaction.commit().await.unwrap();
    assert_eq!(
        duck.query(&all.replace(" t ", " u ")),
        ["21|2|8|9", "21|3|33|NULL", "21|5|6|9", "21|4000000000|NULL|NULL"]
    );
    same(&open, &mut duck, "SELECT a, d, c FROM u ORDER BY a, d, c").await;
}

async fn small(open: &Open, table: &str, batch: arrow::array::RecordBatch) {
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name(table), vec![batch]).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn alter(open: &Open, table: &str, change: AlterColumn) {
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.alter_column(&name(table), change).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn by_us(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    small(&open, "t", pairs(100..102)).await;
    alter(&open, "t", AlterColumn::Rename { name: "b".into(), to: "c".into() }).await;
    small(&open, "t", pairs(102..104)).await;
    assert_eq!(same(&open, &mut duck, "SELECT count(c), min(c), max(c) FROM t").await, ["104|text 0|text 99"]);
    let mut spec = ColumnSpec::new("d", DataType::Int32, true);
    spec.default = Some("7".into());
    alter(&open, "t", AlterColumn::Add(spec)).await;
    assert_eq!(same(&open, &mut duck, "SELECT count(*), sum(d) FROM t").await, ["104|728"]);
    duck.run("INSERT INTO t VALUES (104, 'duck', 8)");
    duck.run("INSERT INTO t SELECT 105 + range, 'ducks', 9 FROM range(20)");
    assert_eq!(same(&open, &mut duck, "SELECT count(*), sum(d) FROM t").await, ["125|916"]);
    alter(&open, "t", AlterColumn::Widen { name: "d".into(), data_type: DataType::Int64, declared: None }).await;
    duck.run("INSERT INTO t VALUES (125, 'wide', 5000000000)");
    assert_eq!(same(&open, &mut duck, "SELECT count(*), sum(d) FROM t").await, ["126|5000000916"]);
    alter(&open, "t", AlterColumn::Drop { name: "c".into() }).await;
    alter(&open, "t", AlterColumn::Add(ColumnSpec::new("c", DataType::Boolean, true))).await;
    assert_eq!(same(&open, &mut duck, "SELECT count(*), count(c) FROM t").await, ["126|0"]);
    alter(&open, "t", AlterColumn::SetDefault { name: "d".into(), default: Some("1".into()) }).await;
    duck.run("INSERT INTO t (a) VALUES (126)");
    assert_eq!(
        same(&open, &mut duck, "SELECT a, d, c FROM t WHERE a > 124 ORDER BY a").await,
        ["125|5000000000|NULL", "126|1|NULL"]
    );
    alter(&open, "t", AlterColumn::SetNullable { name: "a".into(), nullable: false }).await;
    assert!(duck.try_run("INSERT INTO t (a) VALUES (NULL)").is_err());

    // A column that never had a row must not give its id to another.
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_table(&name("empty"), &pair_schema()).unwrap();
    transaction.commit().await.unwrap();
    alter(&open, "empty", AlterColumn::Drop { name: "b".into() }).await;
    alter(&open, "empty", AlterColumn::Add(ColumnSpec::new("c", DataType::Int32, true))).await;
    assert_eq!(open.lake.newest().await.unwrap().table(&name("empty")).unwrap().columns[1].id, 3);

    let mut transaction = open.lake.begin().await.unwrap();
    transaction.rename_table(&name("t"), &name("t2")).unwrap();
    transaction.drop_table(&name("empty")).unwrap();
    transaction.create_schema("s").unwrap();
    transaction.create_table(&name("s.inner"), &pair_schema()).unwrap();
    transaction.insert(&name("s.inner"), vec![pairs(0..3)]).await.unwrap();
    transaction.commit().await.unwrap();
    duck.run("INSERT INTO t2 (a) VALUES (127)");
    assert_eq!(same(&open, &mut duck, "SELECT count(*), max(a) FROM t2").await, ["128|127"]);
    assert_eq!(same(&open, &mut duck, "SELECT * FROM s.inner ORDER BY a").await, ["0|text 0", "1|text 1", "2|text 2"]);
    assert!(duck.try_run("SELECT * FROM empty").is_err());
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(transaction.drop_schema("s", false).unwrap_err().code(), "2BP01");
    transaction.drop_schema("s", true).unwrap();
    transaction.commit().await.unwrap();
    assert!(duck.try_run("SELECT * FROM s.inner").is_err());
    // Inserts and a change of shape in one transaction.
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_table(&name("once"), &pair_schema()).unwrap();
    transaction.insert(&name("once"), vec![pairs(0..2)]).await.unwrap();
    transaction.alter_column(&name("once"), AlterColumn::Rename { name: "b".into(), to: "bb".into() }).await.unwrap();
    transaction.insert(&name("once"), vec![pairs(2..4)]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(same(&open, &mut duck, "SELECT count(*), min(bb), max(bb) FROM once").await, ["4|text 0|text 3"]);
}

async fn nested(place: Place) {
    let mut duck = place.duckdb();
    let open = place.open().await;
    duck.run("USE l.public");
    duck.run("CREATE TABLE n (a INTEGER, s STRUCT(x INTEGER, y STRUCT(z INTEGER)), l STRUCT(v INTEGER)[])");
    duck.run("INSERT INTO n VALUES (1, {'x': 1, 'y': {'z': 1}}, [{'v': 1}])");
    duck.run("INSERT INTO n SELECT 2, {'x': 2, 'y': {'z': 2}}, [{'v': 2}] FROM range(20)");
    duck.run("ALTER TABLE n ADD COLUMN s.w INTEGER");
    duck.run("ALTER TABLE n RENAME COLUMN s.x TO xx");
    duck.run("INSERT INTO n VALUES (3, {'xx': 3, 'y': {'z': 3}, 'w': 3}, [])");
    let sql = "SELECT a, s['xx'], s['y']['z'], s['w'], count(*) FROM n GROUP BY 1, 2, 3, 4 ORDER BY 1";
    assert_eq!(same(&open, &mut duck, sql).await, ["1|1|1|NULL|1", "2|2|2|NULL|20", "3|3|3|3|1"]);
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(update(&mut transaction, "n", "a + 10, s, l", "a IN (1, 3) OR a = 2").await, 22);
    transaction.commit().await.unwrap();
    assert_eq!(same(&open, &mut duck, sql).await, ["11|1|1|NULL|1", "12|2|2|NULL|20", "13|3|3|3|1"]);
    duck.run("ALTER TABLE n DROP COLUMN s");
    assert_eq!(
        same(
            &open,
            &mut duck,
            "SELECT a, l[1]['v'], count(*) FROM n GROUP BY ALL ORDER BY 1"
                .replace("GROUP BY ALL", "GROUP BY 1, 2")
                .as_str()
        )
        .await,
        ["11|1|1", "12|2|20", "13|NULL|1"]
    );
}

async fn views_and_comments(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 10).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_view(&name("v"), "SELECT a FROM public.t", Some("ours".into())).unwrap();
    transaction.comment_table(&name("t"), Some("it's \"t\"".into())).unwrap();
    let comment = AlterColumn::Comment { name: "a".into(), comment: Some("number".into()) };
    transaction.alter_column(&name("t"), comment).await.unwrap();
    transaction.commit().await.unwrap();
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    assert_eq!(duck.query("SELECT count(*) FROM t"), ["10"]);
    assert_eq!(duck.query("SELECT comment FROM duckdb_tables() WHERE table_name = 't'"), ["it's \"t\""]);
    assert_eq!(
        duck.query("SELECT comment FROM duckdb_columns() WHERE table_name = 't' AND column_name = 'a'"),
        ["number"]
    );
    duck.run("COMMENT ON TABLE t IS 'theirs'");
    duck.run("COMMENT ON COLUMN t.b IS 'text'");
    duck.run("CREATE VIEW w AS SELECT b FROM t");
    let newest = open.lake.newest().await.unwrap();
    let table = newest.table(&name("t")).unwrap();
    assert_eq!(table.comment.as_deref(), Some("theirs"));
    let comments: Vec<_> = table.columns.iter().map(|column| column.comment.as_deref()).collect();
    assert_eq!(comments, [Some("number"), Some("text")]);
    assert_eq!(newest.view(&name("w")).unwrap().sql, "SELECT b FROM t");
    assert_eq!(newest.view(&name("v")).unwrap().comment.as_deref(), Some("ours"));
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.rename_view(&name("w"), &name("ww")).unwrap();
    transaction.drop_view(&name("v")).unwrap();
    transaction.comment_table(&name("t"), None).unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(duck.query("SELECT count(*) FROM ww"), ["10"]);
    assert_eq!(duck.query("SELECT comment FROM duckdb_tables() WHERE table_name = 't'"), ["NULL"]);
}

async fn names_and_case(place: Place) {
    let open = place.open().await;
    let odd = [r#"a "quoted" name"#, "ünïcödé 表", "dots.and, commas: $1", "CamelCase", "semi;colon--"];
    for table in odd {
        let mut transaction = open.lake.begin().await.unwrap();
        let full = polder_lake::TableName::new("public", table);
        transaction.create_table(&full, &pair_schema()).unwrap();
        transaction.alter_column(&full, AlterColumn::Rename { name: "b".into(), to: table.into() }).await.unwrap();
        transaction.insert(&full, vec![pairs(0..1)]).await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = open.lake.begin().await.unwrap();
        transaction.insert(&full, vec![pairs(1..2)]).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    for table in odd {
        let quoted = format!("\"{}\"", table.replace('"', "\"\""));
        assert_eq!(
            same(&open, &mut duck, &format!("SELECT a, {quoted} FROM {quoted} ORDER BY a")).await,
            ["0|text 0", "1|text 1"]
        );
        duck.run(&format!("INSERT INTO {quoted} VALUES (2, 'theirs')"));
        assert_eq!(same(&open, &mut duck, &format!("SELECT max(a) FROM {quoted}")).await, ["2"]);
        let newest = open.lake.newest().await.unwrap();
        let full = polder_lake::TableName::new("public", table);
        assert_eq!(open.lake.row_count(&newest, newest.table(&full).unwrap()).await.unwrap(), 3);
    }
    // DuckDB tells names apart without regard to case, so no lake may hold two that it cannot.
    let mut transaction = open.lake.begin().await.unwrap();
    let error = transaction.create_table(&name("camelcase"), &pair_schema()).unwrap_err();
    assert_eq!(error.kind(), polder_types::ErrorKind::AlreadyExists);
    let error = transaction.create_schema("PUBLIC").unwrap_err();
    assert_eq!(error.code(), "42P06");
    let twice = [ColumnSpec::new("x", DataType::Int32, true), ColumnSpec::new("X", DataType::Int32, true)];
    assert_eq!(transaction.create_table_with(&name("twice"), &twice, None).unwrap_err().code(), "42701");
    transaction.rename_table(&name("CamelCase"), &name("camelcase")).unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(same(&open, &mut duck, "SELECT count(*) FROM camelcase").await, ["3"]);
}

async fn partitioned(place: Place) {
    let mut duck = place.duckdb();
    let open = place.open().await;
    duck.run("USE l.public");
    duck.run("CREATE TABLE p (a INTEGER, k VARCHAR, d DATE)");
    duck.run("ALTER TABLE p SET PARTITIONED BY (k, year(d))");
    duck.run("INSERT INTO p SELECT range, 'k' || range % 3, DATE '2023-12-30' + (range % 5)::INTEGER FROM range(300)");
    duck.run("INSERT INTO p VALUES (1000, 'k1', '2024-06-01')");
    assert_eq!(same(&open, &mut duck, "SELECT k, count(*), sum(a) FROM p GROUP BY k ORDER BY k").await.len(), 3);
    same(&open, &mut duck, "SELECT count(*) FROM p WHERE k = 'k1' AND d >= DATE '2024-01-01'").await;
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(delete(&mut transaction, "p", "a % 10 = 0").await, 31);
    transaction.commit().await.unwrap();
    assert_eq!(same(&open, &mut duck, "SELECT count(*) FROM p").await, ["270"]);
}

/// Every version reads the same on both sides, whatever was done since: time travel.
async fn versions(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 200).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    let first = open.lake.newest().await.unwrap().id;
    small(&open, "t", pairs(200..205)).await;
    duck.run("DELETE FROM t WHERE a IN (3, 4)");
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a IN (5, 6, 201)").await;
    transaction.commit().await.unwrap();
    duck.run("UPDATE t SET b = 'u' WHERE a = 7");
    duck.run("DELETE FROM t WHERE a BETWEEN 20 AND 60");
    duck.run("DELETE FROM t WHERE a BETWEEN 61 AND 90");
    let mut transaction = open.lake.begin().await.unwrap();
    update(&mut transaction, "t", "a, 'we'", "a BETWEEN 100 AND 120 OR a = 202").await;
    transaction.commit().await.unwrap();
    duck.run("INSERT INTO t VALUES (300, 'x')");
    let compare = async |duck: &mut Duck| {
        let last = open.lake.newest().await.unwrap().id;
        for version in first..=last {
            let sql = |at: &str| format!("SELECT count(*), sum(a), count(DISTINCT b), sum(length(b)) FROM t{at}");
            let snapshot = open.lake.snapshot(Version::Snapshot(version)).await.unwrap();
            let ours = query(&open.lake, &snapshot, &sql("")).await;
            assert_eq!(ours, duck.query(&sql(&format!(" AT (VERSION => {version})"))), "version {version} of {last}");
        }
    };
    compare(&mut duck).await;
    // The clean-up moves rows between places, in old versions too.
    duck.run("CALL ducklake_flush_inlined_data('l')");
    compare(&mut duck).await;
    duck.run("DELETE FROM t WHERE a BETWEEN 91 AND 95");
    duck.run("CALL ducklake_rewrite_data_files('l', delete_threshold => 0.01)");
    duck.run("CALL ducklake_merge_adjacent_files('l')");
    compare(&mut duck).await;
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(delete(&mut transaction, "t", "a IN (7, 110, 150, 202, 300)").await, 5);
    assert_eq!(update(&mut transaction, "t", "a, 'last'", "a < 12").await, 7);
    transaction.commit().await.unwrap();
    compare(&mut duck).await;
    assert_eq!(duck.query("SELECT count(*), count(DISTINCT rowid) FROM t").len(), 1);
    let rows = duck.query("SELECT count(*) = count(DISTINCT rowid) FROM t");
    assert_eq!(rows, ["true"]);
    let time = open.lake.newest().await.unwrap().committed_at;
    assert_eq!(open.lake.snapshot(Version::At(time)).await.unwrap().id, open.lake.newest().await.unwrap().id);
    assert!(open.lake.snapshot(Version::Snapshot(10_000)).await.is_err());
}
