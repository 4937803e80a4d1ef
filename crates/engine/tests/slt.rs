//! Runs every file of `tests/slt`, each on a fresh lake.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use polder_capability::{Caller, SqlRunner, SqlSession, StatementRequest};
use polder_engine::{Engine, EngineOptions};
use polder_lake::{Lake, LakeOptions, TablesLocation};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::SystemClock;
use polder_types::{Error, QueryId};
use sqllogictest::{DBOutput, DefaultColumnType, Runner};

struct Connection(Arc<dyn SqlSession>);

#[async_trait::async_trait]
impl sqllogictest::AsyncDB for Connection {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let request = StatementRequest { sql: sql.to_owned(), query_id: QueryId::new(), row_limit: None };
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/slt")
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

async fn engine(directory: &Path) -> Arc<Engine> {
    let clock = Arc::new(SystemClock);
    let tables = TablesLocation::Directory(directory.join("tables"));
    let metastore = Metastore::open(MetastoreOptions {
        data_dir: directory.to_owned(),
        url: None,
        tables_path: tables.data_path(),
        clock: clock.clone(),
    })
    .await
    .unwrap();
    let lake = Lake::open(LakeOptions { metastore: metastore.clone(), tables, clock: clock.clone() }).await.unwrap();
    let temp_dir = directory.join("temp");
    std::fs::create_dir_all(&temp_dir).unwrap();
    Engine::open(EngineOptions { metastore, lake, clock, temp_dir, memory_bytes: 1 << 30, cores: None }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    all.sort();
    assert!(!all.is_empty(), "no .slt file below {}", root().display());
    let only = std::env::var("SLT").unwrap_or_default();
    let mut failed = Vec::new();
    for file in all.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path()).await;
        let mut runner = Runner::new(|| {
            let session = engine.open_session(Caller::new("test", "slt"));
            async move { Ok(Connection(session)) }
        });
        if let Err(error) = runner.run_file_async(file).await {
            failed.push(format!("{}: {error}", file.display()));
        } else {
            println!("{}: ok", file.display());
        }
        engine.close().await;
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
