//! Runs every file of `tests/slt`, each on a fresh lake, and counts the records that it checked.
//!
//! `SLT=text` runs the files whose path has that text. What waits for work is below `tests/slt/pending`: it is left out,
//! unless the text names that folder. `SLT_ROOT=folder` runs the files of another folder.
//!
//! The metastore is SQLite's. What it keeps (tables, rows, keys, rights, views) runs on PostgreSQL's too, and every file does with
//! `SLT_METASTORE=postgresql`.

#[path = "slt/pages.rs"]
mod pages;
#[path = "../../metastore/tests/metastore/postgres_server.rs"]
#[expect(dead_code, reason = "the tests of the metastore stop it, too")]
mod postgres_server;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use polder_capability::{Caller, SqlRunner, SqlSession, StatementRequest};
use polder_engine::{Engine, EngineOptions};
use polder_lake::{Lake, LakeOptions, TablesLocation};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::{OwnFiles, SystemClock};
use polder_types::{Error, QueryId};
use postgres_server::PostgresServer;
use sqllogictest::{DBOutput, DefaultColumnType, Record, Runner, parse_file};

struct Connection(Arc<dyn SqlSession>);

#[async_trait::async_trait]
impl sqllogictest::AsyncDB for Connection {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let request = StatementRequest { sql: sql.to_owned(), query_id: QueryId::new(), row_limit: None, sent: None };
        let answer = self.0.run(request).await?;
        let types = answer.schema.fields().iter().map(|_| DefaultColumnType::Any).collect::<Vec<_>>();
        if types.is_empty() {
            return Ok(DBOutput::StatementComplete(answer.tag.rows.unwrap_or(0)));
        }
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<ArrayFormatter<'_>> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| plain(&column.value(row).to_string())).collect());
            }
        }
        Ok(DBOutput::Rows { types, rows })
    }

    fn error_sql_state(error: &Error) -> Option<String> {
        Some(error.code().to_owned())
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "polder"
    }

    async fn sleep(duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Whole floats without `.0`, as PostgreSQL writes them.
fn plain(text: &str) -> String {
    match text.strip_suffix(".0") {
        Some(whole) if whole.parse::<i64>().is_ok() => whole.to_owned(),
        _ if text.is_empty() => "(empty)".to_owned(),
        _ => text.to_owned(),
    }
}

fn root() -> PathBuf {
    match std::env::var_os("SLT_ROOT") {
        Some(named) => PathBuf::from(named),
        // Asked while it runs: a program built in another clone reads this one's files.
        None => PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../tests/slt"),
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
}

async fn engine(directory: &Path, url: Option<String>) -> Arc<Engine> {
    let clock = Arc::new(SystemClock);
    let tables = TablesLocation::Directory(directory.join("tables"));
    let metastore = Metastore::open(MetastoreOptions {
        data_dir: directory.to_owned(),
        url,
        tables_path: tables.data_path(),
        clock: clock.clone(),
    })
    .await
    .unwrap();
    let lake = Lake::open(LakeOptions { metastore: metastore.clone(), tables, clock: clock.clone() }).await.unwrap();
    let temp_dir = directory.join("temp");
    std::fs::create_dir_all(&temp_dir).unwrap();
    Engine::open(EngineOptions {
        metastore,
        lake,
        clock,
        temp_dir,
        own_files: OwnFiles::default(),
        memory_bytes: 1 << 30,
        cores: None,
    })
    .unwrap()
}

/// Runs one file to its end, with a metastore in a database of its own: how many records were checked, and what failed.
async fn run(file: &Path, postgres: Option<&PostgresServer>) -> (usize, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let url = postgres.map(|server| server.url(&server.create_database()));
    let engine = engine(directory.path(), url).await;
    let mut runner = Runner::new(|| {
        let session = engine.open_session(Caller::new("polder", "slt"));
        async move { Ok(Connection(session)) }
    });
    let (mut checked, mut failed) = (0, Vec::new());
    for record in parse_file::<DefaultColumnType>(file).unwrap() {
        if matches!(record, Record::Halt { .. }) {
            failed.push(format!("{}: halt leaves out what follows", file.display()));
            break;
        }
        checked += usize::from(matches!(record, Record::Statement { .. } | Record::Query { .. }));
        if let Err(error) = runner.run_async(record).await {
            failed.push(error.to_string());
        }
    }
    drop(runner);
    engine.close().await;
    (checked, failed)
}

/// The files of these tests whose paths have `SLT` in them.
fn wanted() -> Vec<PathBuf> {
    let only = std::env::var("SLT").unwrap_or_default();
    let pending = root().join("pending");
    let mut all = Vec::new();
    files(&root(), &mut all);
    all.retain(|file| only.contains("pending") || !file.starts_with(&pending));
    all.retain(|file| file.to_string_lossy().contains(&only));
    all.sort();
    assert!(!all.is_empty(), "no .slt file of {only:?} below {}", root().display());
    all
}

/// Nothing of any of them may fail.
async fn check(all: &[PathBuf], postgres: Option<&PostgresServer>) {
    let (mut records, mut all_failed) = (0, Vec::new());
    for file in all {
        let (checked, failed) = run(file, postgres).await;
        println!("{}: {checked} records, {} failed", file.display(), failed.len());
        records += checked;
        all_failed.extend(failed);
    }
    println!("{records} records of {} files checked, {} failed", all.len(), all_failed.len());
    assert!(all_failed.is_empty(), "{}", all_failed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file() {
    let on_postgres = std::env::var("SLT_METASTORE").is_ok_and(|named| named == "postgresql");
    let postgres = on_postgres.then(PostgresServer::start);
    check(&wanted(), postgres.as_ref()).await;
}

/// What is read and computed alike, wherever the names of tables come from, is not run a second time.
const OF_THE_METASTORE: [&str; 10] = [
    "/engine/changes/",
    "/engine/changes.slt",
    "/engine/keys.slt",
    "/engine/maintenance.slt",
    "/engine/permissions/",
    "/engine/refresh",
    "/engine/system.slt",
    "/engine/tables/",
    "/engine/transactions/",
    "/engine/transactions.slt",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_metastore_keeps_on_postgresql() {
    let mut all = wanted();
    all.retain(|file| OF_THE_METASTORE.iter().any(|part| file.to_string_lossy().contains(part)));
    if std::env::var_os("SLT").is_some() && all.is_empty() {
        return;
    }
    assert!(!all.is_empty(), "none of the files is where it was");
    check(&all, Some(&PostgresServer::start())).await;
}
