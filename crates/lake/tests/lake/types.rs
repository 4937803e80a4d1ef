//! Every type goes both ways: DuckDB writes it inlined and into files, we read and copy it, and DuckDB finds no
//! difference.

use arrow::array::RecordBatch;
use polder_types::ErrorKind;

use crate::support::{Duck, Open, Place, append, both, name, session};

both!(types, unknown_types);

/// (a name for the table, DuckDB's type, values, whether DuckDB itself reads what it inlines)
const TYPES: &[(&str, &str, &str)] = &[
    ("bool", "BOOLEAN", "true, false, NULL"),
    ("i8", "TINYINT", "-128, 127, NULL"),
    ("i16", "SMALLINT", "-32768, 32767, NULL"),
    ("i32", "INTEGER", "-2147483648, 2147483647, 0, NULL"),
    ("i64", "BIGINT", "-9223372036854775808, 9223372036854775807, NULL"),
    ("u8", "UTINYINT", "0, 255, NULL"),
    ("u16", "USMALLINT", "0, 65535, NULL"),
    ("u32", "UINTEGER", "0, 4294967295, NULL"),
    ("u64", "UBIGINT", "0, 18446744073709551615, NULL"),
    ("f32", "FLOAT", "1.5, 0.1, -3.4e38, NULL"),
    ("f64", "DOUBLE", "0.1, 1e300, -1e-300, 5e-324, 123456789.123, NULL"),
    ("nan", "DOUBLE", "'nan', 'inf', '-inf', '0.5', NULL"),
    ("nan32", "FLOAT", "'nan', 'inf', '-inf', '0.5', NULL"),
    ("dec2", "DECIMAL(10,2)", "1.25, -99999999.99, 0, NULL"),
    ("dec38", "DECIMAL(38,5)", "'123456789012345678901234567890.12345', '-0.00001', NULL"),
    ("date", "DATE", "'2024-02-29', '1969-12-31', '0001-01-01', '9999-12-31', '0044-03-15 (BC)', NULL"),
    ("time", "TIME", "'00:00:00', '10:11:12.123456', '23:59:59.999999', NULL"),
    ("ts", "TIMESTAMP", "'2024-01-02 03:04:05.678', '1969-12-31 23:59:59.999999', '0001-01-01 00:00:00', NULL"),
    ("ts_s", "TIMESTAMP_S", "'2024-01-02 03:04:05', NULL"),
    ("ts_ms", "TIMESTAMP_MS", "'2024-01-02 03:04:05.678', NULL"),
    ("ts_ns", "TIMESTAMP_NS", "'2024-01-02 03:04:05.678901234', NULL"),
    ("tz", "TIMESTAMPTZ", "'2024-01-02 03:04:05.5+02', '1969-12-31 23:59:59+00', NULL"),
    ("text", "VARCHAR", r#"'it''s', '', ' ', 'NULL', '\x41', 'ü€😀', E'a\nb\tc', '"q"', '{[(,:=)]}', NULL"#),
    ("blob", "BLOB", r"'\xAA\x00\x41'::BLOB, ''::BLOB, 'plain'::BLOB, NULL"),
    ("uuid", "UUID", "'123e4567-e89b-12d3-a456-426614174000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL"),
    ("json", "JSON", r#"'{"a": [1, "x''y"]}', 'null', '"s"', NULL"#),
    ("list", "INTEGER[]", "[1, NULL, 3], [], [NULL], NULL"),
    (
        "texts",
        "VARCHAR[]",
        r#"['a', 'b,c', NULL, 'it''s', '"q"', '', 'a\b', 'NULL', ' x ', '[1]', '{k=v}', E'l1\nl2'], NULL"#,
    ),
    ("dates", "DATE[]", "['2024-01-01', NULL], NULL"),
    ("lists", "VARCHAR[][]", "[['x'], [], NULL, ['it''s', NULL]], NULL"),
    ("pair", "STRUCT(x INTEGER, y VARCHAR)", r#"{'x': 1, 'y': 'z, "w" }'}, {'x': NULL, 'y': NULL}, NULL"#),
    ("pairs", "STRUCT(x INTEGER, y VARCHAR)[]", "[{'x': 1, 'y': 'it''s'}, NULL, {'x': NULL, 'y': 'a'}], [], NULL"),
    ("deep", "STRUCT(a STRUCT(b INTEGER[], c VARCHAR))", "{'a': {'b': [1, NULL], 'c': 'x'}}, {'a': NULL}, NULL"),
    ("map", "MAP(VARCHAR, INTEGER)", "MAP {'k': 1, 'it''s': NULL, 'a=b': 3}, MAP {}, NULL"),
    (
        "mapped",
        "MAP(INTEGER, STRUCT(d DATE, t VARCHAR[]))",
        "MAP {1: {'d': DATE '2024-01-01', 't': ['a', NULL]}}, NULL",
    ),
];

async fn types(place: Place) {
    let mut duck = place.duckdb();
    for (table, sql_type, values) in TYPES {
        let rows = |extra: &str| {
            let values = format!("unnest([{values}]::{sql_type}[])");
            // JSON has no lists of its own kind in a cast.
            let values = if *sql_type == "JSON" {
                format!("CAST(unnest([{}]::VARCHAR[]) AS JSON)", &values[8..values.rfind("]::").unwrap()])
            } else {
                values
            };
            format!("SELECT row_number() OVER () AS n, x FROM (SELECT {values} AS x{extra})")
        };
        duck.run(&format!("CREATE TABLE small_{table} (n BIGINT, x {sql_type})"));
        duck.run(&format!("INSERT INTO small_{table} {}", rows("")));
        duck.run(&format!("CREATE TABLE large_{table} (n BIGINT, x {sql_type})"));
        duck.run(&format!("INSERT INTO large_{table} {}", rows(", unnest(range(50))")));
    }
    let open = place.open().await;
    let mut wrong = Vec::new();
    for (table, ..) in TYPES {
        for kind in ["small", "large"] {
            let table = format!("{kind}_{table}");
            if let Err(problem) = copy_and_compare(&open, &mut duck, &table).await {
                wrong.push(format!("{table}: {problem}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn copy_and_compare(open: &Open, duck: &mut Duck, table: &str) -> Result<(), String> {
    let newest = open.lake.newest().await.unwrap();
    let context = session(&open.lake, &newest).await;
    let read = async { context.sql(&format!("SELECT * FROM main.\"{table}\"")).await?.collect().await }.await;
    let batches: Vec<RecordBatch> = read.map_err(|error| format!("cannot be read: {error}"))?;
    let schema = context.table(format!("main.\"{table}\"")).await.unwrap().schema().as_arrow().clone();

    // Once into a file, once in small pieces, which stay in the metastore if they can.
    let (filed, pieces) = (format!("filed_{table}"), format!("pieces_{table}"));
    let mut transaction = open.lake.begin().await.unwrap();
    for copy in [&filed, &pieces] {
        transaction.create_table(&name(copy), &schema).map_err(|error| format!("cannot be made: {error}"))?;
    }
    for batch in &batches {
        append(&mut transaction, &filed, batch.clone()).await;
    }
    transaction.commit().await.unwrap();
    for batch in &batches {
        for start in (0..batch.num_rows()).step_by(8) {
            let piece = batch.slice(start, 8.min(batch.num_rows() - start));
            let mut transaction = open.lake.begin().await.unwrap();
            transaction
                .insert(&name(&pieces), vec![piece])
                .await
                .map_err(|error| format!("cannot be inserted: {error}"))?;
            transaction.commit().await.unwrap();
        }
    }
    let nested = !duck
        .value(&format!("SELECT typeof(x) FROM main.{table} LIMIT 1"))
        .chars()
        .all(|c| c.is_alphanumeric() || "_(), ".contains(c))
        || table.contains("map")
        || table.contains("pair")
        || table.contains("deep");
    for copy in [&filed, &pieces] {
        compare(duck, table, copy)?;
        if !nested {
            compare_bounds(open, duck, table, copy).await?;
        }
    }
    Ok(())
}

fn compare(duck: &mut Duck, table: &str, copy: &str) -> Result<(), String> {
    let cast = if table.ends_with("json") { "x::VARCHAR AS x" } else { "x" };
    let (a, b) = (format!("SELECT n, {cast} FROM main.{table}"), format!("SELECT n, {cast} FROM public.{copy}"));
    let sql = format!(
        "SELECT 'lost' AS what, * FROM ({a} EXCEPT ALL {b}) UNION ALL SELECT 'gained', * FROM ({b} EXCEPT ALL {a})"
    );
    let difference = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| duck.query(&sql)));
    match difference {
        Ok(rows) if rows.is_empty() => Ok(()),
        Ok(rows) => Err(format!("{copy} differs: {}", rows.join("; "))),
        Err(_) => Err(format!("{copy} cannot be compared")),
    }
}

/// Bounds in the catalog answer queries, in DuckDB too.
async fn compare_bounds(open: &Open, duck: &mut Duck, table: &str, copy: &str) -> Result<(), String> {
    if ["blob", "uuid", "json", "bool"].iter().any(|kind| table.ends_with(kind)) {
        return Ok(());
    }
    let bounds = |from: &str| format!("SELECT min(x)::VARCHAR, max(x)::VARCHAR, count(x) FROM {from}");
    let (original, copied) =
        (duck.query(&bounds(&format!("main.{table}"))), duck.query(&bounds(&format!("public.{copy}"))));
    if original != copied {
        return Err(format!("{copy} has bounds {copied:?} instead of {original:?}"));
    }
    let ours = |from: &str| format!("SELECT min(x), max(x), count(x), count(*) FROM {from}");
    let (original, copied) =
        (open.query(&ours(&format!("main.{table}"))).await, open.query(&ours(&format!("public.{copy}"))).await);
    if original != copied {
        return Err(format!("{copy} has bounds {copied:?} instead of {original:?} here"));
    }
    Ok(())
}

/// A table with a type that is not known here cannot be read, and harms no other.
async fn unknown_types(place: Place) {
    let mut duck = place.duckdb();
    duck.run("CREATE TABLE odd (a INTEGER, h HUGEINT)");
    duck.run("INSERT INTO odd VALUES (1, 2)");
    duck.run("CREATE TABLE even (a INTEGER)");
    duck.run("INSERT INTO even VALUES (1)");
    let open = place.open().await;
    assert_eq!(open.query("SELECT * FROM main.even").await, ["1"]);
    let mut transaction = open.lake.begin().await.unwrap();
    let error = transaction.append(&name("main.odd")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("column h"), "{error}");
    transaction.rename_table(&name("main.odd"), &name("main.odder")).unwrap();
    transaction.alter_column(&name("main.odder"), polder_lake::AlterColumn::Drop { name: "h".into() }).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(open.query("SELECT * FROM main.odder").await, ["1"]);
    assert_eq!(duck.query("SELECT * FROM odder"), ["1"]);
}
