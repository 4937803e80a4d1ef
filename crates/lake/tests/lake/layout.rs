//! Partitions, sort orders, functions and schemas' names, as DuckDB sees them.

use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, RecordBatch, StringViewArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use polder_lake::{Macro, MacroParameter, Transform};

use crate::support::{Place, append, both, delete, name, update};

both!(partitions, seconds, functions, schemas);

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("day", DataType::Date32, true),
        Field::new("shop", DataType::Utf8View, true),
        Field::new("n", DataType::Int64, true),
    ])
}

/// Days from the first of 2024 on, two shops and none, in turns.
fn rows(range: std::ops::Range<i64>) -> RecordBatch {
    let first = 19_723;
    let days = Date32Array::from_iter_values(range.clone().map(|n| first + (n % 90) as i32));
    let shops: StringViewArray = range.clone().map(|n| [Some("north"), Some("it's"), None][(n % 3) as usize]).collect();
    let numbers = Int64Array::from_iter_values(range);
    RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(days), Arc::new(shops), Arc::new(numbers)]).unwrap()
}

async fn partitions(place: Place) {
    let open = place.open().await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_table(&name("sale"), &schema()).unwrap();
    let keys = [("day".to_owned(), Transform::Month), ("shop".to_owned(), Transform::Identity)];
    transaction.set_partition(&name("sale"), &keys).await.unwrap();
    append(&mut transaction, "sale", rows(0..900)).await;
    transaction.commit().await.unwrap();
    let newest = open.lake.newest().await.unwrap();
    let table = newest.table(&name("sale")).unwrap();
    assert_eq!(table.files.len(), 9, "three months of three shops");
    assert!(table.files.iter().all(|file| file.partition_id.is_some() && file.partition_values.len() == 2));

    // Few rows go to files of their partitions too; rows that change move along.
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.insert(&name("sale"), vec![rows(900..903)]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    assert_eq!(update(&mut transaction, "sale", "day, 'south', n", "n < 6").await, 6);
    assert_eq!(delete(&mut transaction, "sale", "n = 899").await, 1);
    transaction.commit().await.unwrap();

    let mut duck = place.duckdb();
    for sql in [
        "SELECT count(*), sum(n) FROM public.sale",
        "SELECT count(*), sum(n) FROM public.sale WHERE shop = 'it''s'",
        "SELECT count(*), sum(n) FROM public.sale WHERE shop = 'south'",
        "SELECT count(*), sum(n) FROM public.sale WHERE shop IS NULL AND day >= DATE '2024-02-01'",
        "SELECT count(*), sum(n) FROM public.sale WHERE day = DATE '2024-03-01'",
        "SELECT count(*) FROM public.sale WHERE extract('month' FROM day) = 2",
    ] {
        assert_eq!(open.query(sql).await, duck.query(sql), "{sql}");
    }
    // DuckDB writes into the same partitions, and takes the partitioning away.
    duck.run("INSERT INTO public.sale SELECT DATE '2024-05-05', 'east', range FROM range(1000, 1100)");
    assert_eq!(open.query("SELECT count(*), min(n) FROM sale WHERE shop = 'east'").await, ["100|1000"]);
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.set_partition(&name("sale"), &[]).await.unwrap();
    transaction.set_sort(&name("sale"), &[("n".to_owned(), true, false)]).unwrap();
    append(&mut transaction, "sale", rows(2000..2100)).await;
    transaction.commit().await.unwrap();
    let newest = open.lake.newest().await.unwrap();
    let table = newest.table(&name("sale")).unwrap();
    assert!(table.partition.is_none() && table.sort.is_some());
    drop(duck);
    let mut duck = place.duckdb();
    duck.run("INSERT INTO public.sale SELECT DATE '2024-06-06', 'west', range FROM range(3000, 3100)");
    let sql = "SELECT count(*), sum(n), count(DISTINCT shop) FROM public.sale";
    assert_eq!(open.query(sql).await, duck.query(sql));
    let refused = {
        let mut transaction = open.lake.begin().await.unwrap();
        transaction.set_partition(&name("sale"), &[("n".to_owned(), Transform::Year)]).await.unwrap_err()
    };
    assert_eq!(refused.code(), "0A000");
}

/// Parquet knows no seconds: DuckDB reads milliseconds, and we read the column's own type.
async fn seconds(place: Place) {
    let open = place.open().await;
    let field = Field::new("at", DataType::Timestamp(TimeUnit::Second, None), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let times = TimestampSecondArray::from_iter((0..40).map(|n| (n % 7 != 0).then_some(1_700_000_000 + n)));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(times)]).unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_table(&name("times"), &schema).unwrap();
    append(&mut transaction, "times", batch).await;
    transaction.commit().await.unwrap();
    let mut duck = place.duckdb();
    assert_eq!(duck.value("SELECT typeof(\"at\") FROM public.times LIMIT 1"), "TIMESTAMP_S");
    let sql = "SELECT count(\"at\"), CAST(min(\"at\") AS VARCHAR) FROM public.times WHERE \"at\" > TIMESTAMP '2023-11-14 22:13:30'";
    assert_eq!(duck.query(sql), ["25|2023-11-14 22:13:31"]);
    assert_eq!(open.query("SELECT count(at) FROM times WHERE at > TIMESTAMP '2023-11-14 22:13:30'").await, ["25"]);
    assert_eq!(open.query("SELECT arrow_typeof(at) FROM times LIMIT 1").await, ["Timestamp(s)"]);
}

async fn functions(place: Place) {
    let open = place.open().await;
    let parameter = |name: &str, default: Option<&str>| MacroParameter {
        name: name.into(),
        data_type: "int32".into(),
        default: default.map(str::to_owned),
        default_type: if default.is_some() { "int32" } else { "unknown" }.into(),
    };
    let twice = |sql: &str| Macro {
        dialect: "duckdb".into(),
        sql: sql.into(),
        table: false,
        parameters: vec![parameter("x", None), parameter("y", Some("1"))],
    };
    let mut transaction = open.lake.begin().await.unwrap();
    let definition = "CREATE FUNCTION twice(x INT, y INT DEFAULT 1) RETURNS INT RETURN x * 2 + y".to_owned();
    transaction.set_function(&name("twice"), vec![twice("((x * 2) + y)")], vec![definition.clone()]).unwrap();
    transaction.commit().await.unwrap();
    let mut duck = place.duckdb();
    assert_eq!(duck.query("SELECT l.public.twice(4), l.public.twice(4, 10)"), ["9|18"]);
    duck.run("CREATE MACRO l.public.by_duck(a, b := 'z') AS concat(a, b)");
    let newest = open.lake.newest().await.unwrap();
    let known = newest.function(&name("by_duck")).unwrap();
    assert!(known.definitions.is_empty());
    assert_eq!(known.macros[0].parameters[1].default.as_deref(), Some("z"));
    assert_eq!(newest.function(&name("twice")).unwrap().definitions, [definition]);

    let mut transaction = open.lake.begin().await.unwrap();
    transaction.set_function(&name("twice"), vec![twice("x")], Vec::new()).unwrap();
    transaction.set_function(&name("by_duck"), Vec::new(), Vec::new()).unwrap();
    transaction.commit().await.unwrap();
    drop(duck);
    let mut duck = place.duckdb();
    assert_eq!(duck.query("SELECT l.public.twice(4)"), ["4"]);
    assert!(duck.try_run("SELECT l.public.by_duck('a')").is_err());
    // As it was.
    let before = open.lake.snapshot(polder_lake::Version::Snapshot(newest.id)).await.unwrap();
    assert!(before.function(&name("by_duck")).is_some());
    open.close().await;
    let open = place.open().await;
    assert_eq!(open.lake.newest().await.unwrap().function(&name("twice")).unwrap().macros[0].sql, "x");
}

async fn schemas(place: Place) {
    let open = place.open().await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_schema("one").unwrap();
    let table = polder_lake::TableName::new("one", "sale");
    transaction.create_table(&table, &schema()).unwrap();
    transaction.comment_schema("one", Some("words".into())).unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.rename_schema("one", "two").unwrap();
    let table = polder_lake::TableName::new("two", "sale");
    let mut writer = transaction.append(&table).unwrap();
    writer.write(rows(0..50)).await.unwrap();
    let files = writer.finish().await.unwrap();
    transaction.add_files(&table, files).unwrap();
    transaction.commit().await.unwrap();
    let mut duck = place.duckdb();
    assert_eq!(duck.query("SELECT count(*), max(n) FROM two.sale"), ["50|49"]);
    duck.run("INSERT INTO two.sale SELECT NULL, 'x', range FROM range(100, 200)");
    assert_eq!(open.query("SELECT count(*), max(n) FROM two.sale").await, ["150|199"]);
    assert_eq!(open.lake.newest().await.unwrap().schema("two").unwrap().comment.as_deref(), Some("words"));
    assert!(duck.try_run("SELECT * FROM one.sale").is_err());
}
