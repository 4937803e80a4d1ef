//! Durable small inserts a second, beside a bare SQLite loop in the same run.
//!
//! `commit_rate [seconds] [--json] [--postgres URL]`: each measurement takes that many seconds (3). Every insert is
//! one row in a transaction of its own, on disk before the next one of that writer begins.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use polder_lake::{Lake, LakeOptions, TableName, TablesLocation};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::SystemClock;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

struct Arguments {
    seconds: f64,
    json: bool,
    postgres: Option<String>,
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { seconds: 3.0, json: false, postgres: None };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--json" => arguments.json = true,
            "--postgres" => arguments.postgres = Some(given.next().context("--postgres needs an address")?),
            seconds => match seconds.parse() {
                Ok(seconds) => arguments.seconds = seconds,
                Err(_) => bail!("commit_rate [seconds] [--json] [--postgres URL]"),
            },
        }
    }
    Ok(arguments)
}

fn row(number: i64) -> Result<RecordBatch> {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8View, true)]);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![number]));
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values([format!("text {number}")]));
    Ok(RecordBatch::try_new(Arc::new(schema), vec![numbers, texts])?)
}

/// One connection, one INSERT a transaction, WAL, `synchronous = FULL`.
async fn bare(directory: &Path, time: Duration) -> Result<f64> {
    let mut connection = SqliteConnectOptions::new()
        .filename(directory.join("bare.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS t (a BIGINT, b VARCHAR)").execute(&mut connection).await?;
    let (start, mut done) = (Instant::now(), 0_i64);
    while start.elapsed() < time {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
        sqlx::query("INSERT INTO t (a, b) VALUES ($1, $2)")
            .bind(done)
            .bind(format!("text {done}"))
            .execute(&mut connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut connection).await?;
        done += 1;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

async fn writers(lake: &Arc<Lake>, table: &str, count: i64, time: Duration) -> Result<f64> {
    let name = TableName::new("public", table);
    let mut transaction = lake.begin().await?;
    transaction.create_table(&name, row(0)?.schema_ref())?;
    transaction.commit().await?;
    let start = Instant::now();
    let mut tasks = Vec::new();
    for writer in 0..count {
        let (lake, name) = (Arc::clone(lake), name.clone());
        tasks.push(tokio::spawn(async move {
            let mut done = 0_i64;
            while start.elapsed() < time {
                let mut transaction = lake.begin().await?;
                transaction.insert(&name, vec![row(writer + done * count)?]).await?;
                transaction.commit().await?;
                done += 1;
            }
            Ok::<i64, anyhow::Error>(done)
        }));
    }
    let mut all = 0;
    for task in tasks {
        all += task.await??;
    }
    Ok(all as f64 / start.elapsed().as_secs_f64())
}

async fn open(directory: &Path, url: Option<String>) -> Result<Arc<Lake>> {
    let tables = directory.join("tables");
    let clock = Arc::new(SystemClock);
    let options = MetastoreOptions {
        data_dir: directory.to_owned(),
        url,
        tables_path: tables.to_string_lossy().into_owned(),
        clock: clock.clone(),
    };
    let metastore = Metastore::open(options).await?;
    Ok(Lake::open(LakeOptions { metastore, tables: TablesLocation::Directory(tables), clock }).await?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { seconds, json, postgres } = arguments()?;
    let time = Duration::from_secs_f64(seconds);
    // The working directory's disk is measured, not that of temporary files, which may be memory.
    let directory = tempfile::tempdir_in(".")?;
    let before = bare(directory.path(), time).await?;
    let lake = open(&directory.path().join("sqlite"), None).await?;
    let mut rates = vec![("1 writer, SQLite", writers(&lake, "one", 1, time).await?)];
    rates.push(("8 writers, SQLite", writers(&lake, "eight", 8, time).await?));
    if postgres.is_some() {
        let lake = open(&directory.path().join("postgres"), postgres).await?;
        let table = format!("t{}", std::process::id());
        rates.push(("1 writer, PostgreSQL", writers(&lake, &format!("{table}_one"), 1, time).await?));
        rates.push(("8 writers, PostgreSQL", writers(&lake, &format!("{table}_eight"), 8, time).await?));
    }
    // The disk is not equally fast all the time, so the bare loop runs before and after.
    let bare = f64::midpoint(before, bare(directory.path(), time).await?);
    rates.insert(0, ("bare SQLite loop", bare));
    if json {
        let entry =
            |(what, rate): &(&str, f64)| serde_json::json!({"what": what, "per_second": rate, "ratio": rate / bare});
        println!("{}", serde_json::Value::Array(rates.iter().map(entry).collect()));
        return Ok(());
    }
    println!("{:<24}{:>12}{:>10}", "durable small inserts", "per second", "of bare");
    for (what, rate) in rates {
        println!("{what:<24}{rate:>12.0}{:>10.2}", rate / bare);
    }
    Ok(())
}
