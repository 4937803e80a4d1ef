//! First committer wins; what does not touch commutes.

use arrow::datatypes::DataType;
use polder_lake::{AlterColumn, ColumnSpec, CommitReport, Transaction};
use polder_types::{ErrorKind, Result};

use crate::support::{Open, Place, append, both, delete, make_pairs, name, pair_schema, pairs, update, view};

both!(pairs_of_changes, own_row_ids, duckdb_in_between, own_rows);

/// What one transaction does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Insert,
    InsertSmall,
    DeleteFirstFile,
    DeleteSecondFile,
    DeleteAllOfFirstFile,
    UpdateFirstFile,
    UpdateAllOfFirstFile,
    DeleteStored,
    UpdateStored,
    Truncate,
    AddColumn,
    AddOtherColumn,
    RenameColumn,
    Comment,
    Drop,
    Rename,
    CreateNew,
    CreateNewView,
    CreateSchema,
    DropSchema,
    CreateInSchema,
}

use Step as S;

async fn run(transaction: &mut Transaction, step: Step) {
    let t = name("t");
    match step {
        S::Insert => append(transaction, "t", pairs(500..600)).await,
        S::InsertSmall => drop(transaction.insert(&t, vec![pairs(600..602)]).await.unwrap()),
        S::DeleteFirstFile => assert_eq!(delete(transaction, "t", "a = 1").await, 1),
        S::DeleteSecondFile => assert_eq!(delete(transaction, "t", "a = 101").await, 1),
        S::DeleteAllOfFirstFile => assert_eq!(delete(transaction, "t", "a < 100").await, 100),
        S::UpdateFirstFile => assert_eq!(update(transaction, "t", "a, 'u'", "a = 2").await, 1),
        S::UpdateAllOfFirstFile => assert_eq!(update(transaction, "t", "a, 'all'", "a < 100").await, 100),
        S::DeleteStored => assert_eq!(delete(transaction, "t", "a = 200").await, 1),
        S::UpdateStored => assert_eq!(update(transaction, "t", "a, 's'", "a IN (200, 201)").await, 2),
        S::Truncate => assert_eq!(transaction.truncate(&t).await.unwrap(), 203),
        S::AddColumn => alter(transaction, AlterColumn::Add(ColumnSpec::new("c", DataType::Int32, true))).await,
        S::AddOtherColumn => alter(transaction, AlterColumn::Add(ColumnSpec::new("d", DataType::Int32, true))).await,
        S::RenameColumn => alter(transaction, AlterColumn::Rename { name: "b".into(), to: "bb".into() }).await,
        S::Comment => transaction.comment_table(&t, Some("c".into())).unwrap(),
        S::Drop => transaction.drop_table(&t).unwrap(),
        S::Rename => transaction.rename_table(&t, &name("renamed")).unwrap(),
        S::CreateNew => drop(transaction.create_table(&name("new"), &pair_schema()).unwrap()),
        S::CreateNewView => transaction.create_view(&name("new"), "SELECT 1", None).unwrap(),
        S::CreateSchema => transaction.create_schema("fresh").unwrap(),
        S::DropSchema => transaction.drop_schema("s", true).unwrap(),
        S::CreateInSchema => drop(transaction.create_table(&name("s.inner"), &pair_schema()).unwrap()),
    }
}

async fn alter(transaction: &mut Transaction, change: AlterColumn) {
    transaction.alter_column(&name("t"), change).await.unwrap();
}

/// Which of two go together, in either order.
const COMMUTE: &[(Step, Step)] = &[
    (S::Insert, S::Insert),
    (S::Insert, S::InsertSmall),
    (S::InsertSmall, S::InsertSmall),
    (S::Insert, S::DeleteFirstFile),
    (S::InsertSmall, S::UpdateFirstFile),
    (S::Insert, S::Truncate),
    (S::DeleteFirstFile, S::DeleteSecondFile),
    (S::UpdateFirstFile, S::DeleteSecondFile),
    (S::DeleteAllOfFirstFile, S::DeleteSecondFile),
    (S::DeleteStored, S::DeleteFirstFile),
    (S::DeleteStored, S::InsertSmall),
    (S::AddColumn, S::CreateNew),
    (S::CreateSchema, S::Insert),
    (S::Drop, S::CreateNew),
    (S::Insert, S::DropSchema),
];

const EXCLUDE: &[(Step, Step)] = &[
    (S::DeleteFirstFile, S::DeleteFirstFile),
    (S::DeleteFirstFile, S::UpdateFirstFile),
    (S::UpdateFirstFile, S::UpdateFirstFile),
    (S::DeleteFirstFile, S::DeleteAllOfFirstFile),
    (S::UpdateAllOfFirstFile, S::DeleteFirstFile),
    (S::UpdateAllOfFirstFile, S::UpdateFirstFile),
    (S::UpdateAllOfFirstFile, S::UpdateAllOfFirstFile),
    (S::UpdateAllOfFirstFile, S::Truncate),
    (S::DeleteStored, S::DeleteStored),
    (S::DeleteStored, S::UpdateStored),
    (S::UpdateStored, S::UpdateStored),
    (S::Truncate, S::Truncate),
    (S::Truncate, S::DeleteStored),
    (S::Truncate, S::UpdateFirstFile),
    (S::AddColumn, S::Insert),
    (S::AddColumn, S::InsertSmall),
    (S::AddColumn, S::AddColumn),
    (S::AddColumn, S::AddOtherColumn),
    (S::AddColumn, S::DeleteFirstFile),
    (S::RenameColumn, S::UpdateStored),
    (S::RenameColumn, S::Comment),
    (S::Drop, S::Insert),
    (S::Drop, S::DeleteFirstFile),
    (S::Drop, S::DeleteStored),
    (S::Drop, S::AddColumn),
    (S::Drop, S::Drop),
    (S::Drop, S::Rename),
    (S::Rename, S::Rename),
    (S::CreateNew, S::CreateNew),
    (S::CreateNew, S::CreateNewView),
    (S::CreateSchema, S::CreateSchema),
    (S::DropSchema, S::CreateInSchema),
    (S::DropSchema, S::DropSchema),
];

/// Two files of a hundred rows, three rows in the metastore, and an empty schema `s`; all else is gone.
async fn reset(open: &Open) {
    let mut transaction = open.lake.begin().await.unwrap();
    let names: Vec<_> = transaction.view().names_in("public");
    for table in names {
        if transaction.drop_table(&name(&table)).is_err() {
            transaction.drop_view(&name(&table)).unwrap();
        }
    }
    for schema in ["s", "fresh"] {
        if transaction.view().schema(schema).is_some() {
            transaction.drop_schema(schema, true).unwrap();
        }
    }
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_schema("s").unwrap();
    transaction.create_table(&name("t"), &pair_schema()).unwrap();
    append(&mut transaction, "t", pairs(0..100)).await;
    append(&mut transaction, "t", pairs(100..200)).await;
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("t"), vec![pairs(200..203)]).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn race(open: &Open, first: Step, second: Step) -> Result<CommitReport> {
    reset(open).await;
    let (mut one, mut two) = (open.lake.begin().await.unwrap(), open.lake.begin().await.unwrap());
    run(&mut one, first).await;
    run(&mut two, second).await;
    one.commit().await.unwrap_or_else(|error| panic!("{first:?}: {error}"));
    let between = open.lake.newest().await.unwrap().id;
    let result = two.commit().await;
    if result.is_err() {
        assert_eq!(open.lake.newest().await.unwrap().id, between, "{first:?}, {second:?}: something was committed");
    }
    result
}

async fn pairs_of_changes(place: Place) {
    let open = place.open().await;
    let mut wrong = Vec::new();
    for (first, second) in COMMUTE {
        for (first, second) in [(*first, *second), (*second, *first)] {
            if let Err(error) = race(&open, first, second).await {
                wrong.push(format!("{first:?}, {second:?}: {error}"));
            }
        }
    }
    for (first, second) in EXCLUDE {
        for (first, second) in [(*first, *second), (*second, *first)] {
            match race(&open, first, second).await {
                Ok(_) => wrong.push(format!("{first:?}, {second:?} went together")),
                Err(error) if error.kind() != ErrorKind::Conflict || error.code() != "40001" => {
                    wrong.push(format!("{first:?}, {second:?}: {error} ({})", error.code()));
                }
                Err(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing of the losers is left but what the sweep is for.
    reset(&open).await;
    assert_eq!(open.query("SELECT count(*), sum(a) FROM t").await, ["203|20503"]);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
}

/// A transaction that changes rows which it inserted itself gives them ids; another insert in between takes those.
async fn own_row_ids(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 10).await;
    let mut one = open.lake.begin().await.unwrap();
    append(&mut one, "t", pairs(10..20)).await;
    assert_eq!(update(&mut one, "t", "a, 'own'", "a = 15").await, 1);
    let mut two = open.lake.begin().await.unwrap();
    append(&mut two, "t", pairs(20..30)).await;
    two.commit().await.unwrap();
    let error = one.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    let mut one = open.lake.begin().await.unwrap();
    append(&mut one, "t", pairs(10..20)).await;
    update(&mut one, "t", "a, 'own'", "a = 15").await;
    one.commit().await.unwrap();
    let rows = "SELECT count(*), count(DISTINCT rowid) FROM rows.public.t";
    assert_eq!(open.query(rows).await, ["30|30"]);
    let mut one = open.lake.begin().await.unwrap();
    assert_eq!(delete(&mut one, "t", "a = 15").await, 1);
    one.commit().await.unwrap();
    assert_eq!(open.query("SELECT count(*) FROM t").await, ["29"]);
    assert_eq!(place.duckdb().query("SELECT count(*), count(DISTINCT rowid) FROM public.t"), ["29|29"]);
}

async fn duckdb_in_between(place: Place) {
    let open = place.open().await;
    reset(&open).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");

    // Not in the way: applied on top of what DuckDB did.
    let mut ours = open.lake.begin().await.unwrap();
    append(&mut ours, "t", pairs(300..310)).await;
    ours.insert(&name("t"), vec![pairs(310..312)]).await.unwrap();
    duck.run("INSERT INTO t VALUES (400, 'd')");
    duck.run("CREATE TABLE other (x INTEGER)");
    duck.run("INSERT INTO other SELECT range FROM range(100)");
    let base = ours.base();
    let report = ours.commit().await.unwrap();
    assert_eq!(report.snapshot.id, base + 4);
    assert_eq!(duck.query("SELECT count(*), max(a), count(DISTINCT rowid) FROM t"), ["216|400|216"]);
    assert_eq!(open.query("SELECT count(*), max(a) FROM t").await, ["216|400"]);

    // In the way, in each of the places where DuckDB keeps a deletion.
    for (theirs, condition) in [
        ("DELETE FROM t WHERE a = 1", "a = 1"),
        ("UPDATE t SET b = 'x' WHERE a = 2", "a = 2"),
        ("DELETE FROM t WHERE a BETWEEN 10 AND 50", "a = 60"),
        ("DELETE FROM t WHERE a = 201", "a = 201"),
        ("ALTER TABLE t ADD COLUMN extra INTEGER", "a = 61"),
        ("CALL ducklake_flush_inlined_data('l')", "a = 202"),
    ] {
        let mut ours = open.lake.begin().await.unwrap();
        assert_eq!(delete(&mut ours, "t", condition).await, 1, "{condition}");
        duck.run(theirs);
        let error = ours.commit().await.expect_err(theirs);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "40001"), "{theirs}: {error}");
    }
    let mut ours = open.lake.begin().await.unwrap();
    ours.insert(&name("t"), Vec::new()).await.unwrap();
    let schema = ours.table(&name("other")).unwrap().arrow_schema.clone();
    let column = arrow::array::Int32Array::from(vec![7]);
    let seven = arrow::array::RecordBatch::try_new(schema, vec![std::sync::Arc::new(column)]).unwrap();
    append(&mut ours, "other", seven).await;
    duck.run("DROP TABLE other");
    assert_eq!(ours.commit().await.unwrap_err().code(), "40001");

    // A version that is read stays as it was, though DuckDB moves its rows.
    let mut reading = open.lake.begin().await.unwrap();
    let before = view(&mut reading, "SELECT count(*), sum(a) FROM t").await;
    duck.run("INSERT INTO t VALUES (500, 'later', 1)");
    duck.run("CALL ducklake_flush_inlined_data('l')");
    assert_eq!(view(&mut reading, "SELECT count(*), sum(a) FROM t").await, before);
    assert_eq!(open.query("SELECT max(a) FROM t").await, ["500"]);
}

/// Rows of our own go with the commit or not at all.
async fn own_rows(place: Place) {
    use polder_metastore::Write;
    let open = place.open().await;
    make_pairs(&open.lake, "t", 1).await;
    let setting = |key: &str| Write::new("INSERT INTO polder_setting (key, value) VALUES ($1, 'x')", vec![key.into()]);
    let mut one = open.lake.begin().await.unwrap();
    one.attach(setting("taken"));
    assert!(!one.commit().await.unwrap().changed);
    let before = open.lake.newest().await.unwrap().id;
    let mut one = open.lake.begin().await.unwrap();
    append(&mut one, "t", pairs(1..2)).await;
    one.attach(setting("taken"));
    assert_eq!(one.commit().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(open.lake.newest().await.unwrap().id, before);
    // A new table's id is known at commit only.
    let mut one = open.lake.begin().await.unwrap();
    one.create_table(&name("fresh"), &pair_schema()).unwrap();
    let about = |table: i64, snapshot: i64| {
        let sql = "INSERT INTO polder_setting (key, value) VALUES ('about', $1)";
        Write::new(sql, vec![format!("{table} {snapshot}").into()])
    };
    one.attach_about(&name("fresh"), about).unwrap();
    let snapshot = one.commit().await.unwrap().snapshot;
    let stored = open.metastore.query("SELECT value FROM polder_setting WHERE key = 'about'", &[]).await.unwrap();
    let expected = format!("{} {}", snapshot.table(&name("fresh")).unwrap().id, snapshot.id);
    assert_eq!(stored[0].text(0).unwrap(), expected);
    // A savepoint takes back names, rows and rows of our own.
    let mut one = open.lake.begin().await.unwrap();
    append(&mut one, "t", pairs(10..11)).await;
    let point = one.savepoint();
    append(&mut one, "t", pairs(11..12)).await;
    one.insert(&name("t"), vec![pairs(12..13)]).await.unwrap();
    one.drop_table(&name("fresh")).unwrap();
    one.attach(setting("rolled back"));
    one.rollback_to(&point);
    one.commit().await.unwrap();
    assert_eq!(open.query("SELECT a FROM t ORDER BY a").await, ["0", "10"]);
    assert_eq!(open.query("SELECT count(*) FROM fresh").await, ["0"]);
    let stored =
        open.metastore.query("SELECT count(*) FROM polder_setting WHERE key = 'rolled back'", &[]).await.unwrap();
    assert_eq!(stored[0].int(0).unwrap(), 0);
}
