//! What the tests stand on: a lake in a directory of its own, a PostgreSQL server, DuckDB beside it.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::prelude::{SessionConfig, SessionContext};
use polder_lake::{Lake, LakeOptions, LakeTable, Snapshot, TableName, TablesLocation, Transaction};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::SystemClock;
use tempfile::TempDir;

/// Which database holds the metastore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Runs one scenario on both databases, as two tests.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::support::Place::new($crate::support::Backend::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::support::Place::new($crate::support::Backend::Postgres)).await;
            }
        })*
    };
}
pub(crate) use both;

/// A place for a lake: a directory, and a database if it is not in there.
pub struct Place {
    pub directory: TempDir,
    pub postgres: Option<Postgres>,
}

/// An open lake.
pub struct Open {
    pub lake: Arc<Lake>,
    pub metastore: Arc<Metastore>,
}

impl Place {
    pub fn new(backend: Backend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let postgres = (backend == Backend::Postgres).then(Postgres::start);
        Self { directory, postgres }
    }

    pub fn tables(&self) -> PathBuf {
        self.directory.path().join("tables")
    }

    pub fn url(&self) -> Option<String> {
        self.postgres.as_ref().map(Postgres::url)
    }

    pub async fn open(&self) -> Open {
        open(self.directory.path(), self.url(), self.tables().to_str().unwrap()).await
    }

    /// DuckDB with this lake attached as `l`; it makes the catalog if there is none.
    pub fn duckdb(&self) -> Duck {
        let mut duck = Duck::start(&["ducklake", "sqlite_scanner", "postgres_scanner"]);
        let catalog = match &self.postgres {
            Some(postgres) => format!("postgres:host=127.0.0.1 port={} user=postgres dbname=postgres", postgres.port),
            None => format!("sqlite:{}/metastore.sqlite", self.directory.path().display()),
        };
        let has_catalog = self.postgres.is_none() && !self.directory.path().join("metastore.sqlite").exists();
        let path = format!(" (DATA_PATH '{}/')", self.tables().display());
        let attach = format!("ATTACH 'ducklake:{catalog}' AS l");
        if has_catalog || duck.try_run(&attach).is_err() {
            duck.run(&format!("{attach}{path}"));
        }
        duck.run("USE l");
        duck
    }
}

pub async fn open(directory: &Path, url: Option<String>, tables: &str) -> Open {
    let clock = Arc::new(SystemClock);
    let options =
        MetastoreOptions { data_dir: directory.to_owned(), url, tables_path: tables.to_owned(), clock: clock.clone() };
    let metastore = Metastore::open(options).await.unwrap();
    let tables = TablesLocation::parse(metastore.tables_path()).unwrap();
    let lake = Lake::open(LakeOptions { metastore: metastore.clone(), tables, clock }).await.unwrap();
    Open { lake, metastore }
}

pub fn name(text: &str) -> TableName {
    match text.split_once('.') {
        Some((schema, table)) => TableName::new(schema, table),
        None => TableName::new("public", text),
    }
}

/// A session that sees a snapshot's tables, by `schema.table`, and the same with row ids by `rows.schema.table`.
pub async fn session(lake: &Arc<Lake>, snapshot: &Arc<Snapshot>) -> SessionContext {
    let config = SessionConfig::new().with_default_catalog_and_schema("polder", "public").with_target_partitions(2);
    let context = SessionContext::new_with_config(config);
    context.register_object_store(lake.store().url.as_ref().as_ref(), lake.store().store.clone());
    for (catalog, row_ids) in [("polder", false), ("rows", true)] {
        let schemas = Arc::new(datafusion::catalog::MemoryCatalogProvider::new());
        for schema in snapshot.schemas.values() {
            use datafusion::catalog::{CatalogProvider, SchemaProvider};
            let tables = MemorySchemaProvider::new();
            for table in snapshot.tables.values().filter(|table| table.schema_id == schema.id) {
                let name = snapshot.name_of(table);
                let opened = if row_ids {
                    LakeTable::open_with_row_ids(lake, snapshot, name, table)
                } else {
                    LakeTable::open(lake, snapshot, name, table, None)
                };
                if let Ok(opened) = opened {
                    tables.register_table(table.name.clone(), Arc::new(opened)).unwrap();
                }
            }
            schemas.register_schema(&schema.name, Arc::new(tables)).unwrap();
        }
        context.register_catalog(catalog, schemas);
    }
    context
}

/// Rows as text, one a line, values between bars.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

pub async fn try_query(
    lake: &Arc<Lake>,
    snapshot: &Arc<Snapshot>,
    sql: &str,
) -> datafusion::error::Result<Vec<String>> {
    let context = session(lake, snapshot).await;
    Ok(lines(&context.sql(sql).await?.collect().await?))
}

pub async fn query(lake: &Arc<Lake>, snapshot: &Arc<Snapshot>, sql: &str) -> Vec<String> {
    try_query(lake, snapshot, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

impl Open {
    /// A query on the newest version.
    pub async fn query(&self, sql: &str) -> Vec<String> {
        let newest = self.lake.newest().await.unwrap();
        query(&self.lake, &newest, sql).await
    }

    /// One number, or one text.
    pub async fn value(&self, sql: &str) -> String {
        self.query(sql).await.join("\n")
    }

    pub async fn close(self) {
        self.metastore.close().await;
    }
}

/// A query in a transaction's own view.
pub async fn view(transaction: &mut Transaction, sql: &str) -> Vec<String> {
    transaction.settle().await.unwrap();
    let (lake, view) = (transaction.lake().clone(), transaction.view().clone());
    query(&lake, &view, sql).await
}

/// `DELETE FROM table WHERE condition`.
pub async fn delete(transaction: &mut Transaction, table: &str, condition: &str) -> u64 {
    transaction.settle().await.unwrap();
    let full = name(table);
    let sql = format!("SELECT rowid FROM rows.\"{}\".\"{}\" WHERE {condition}", full.schema, full.table);
    let (lake, snapshot) = (transaction.lake().clone(), transaction.view().clone());
    let rows = query(&lake, &snapshot, &sql).await;
    transaction.delete_rows(&full, rows.iter().map(|row| row.parse().unwrap()).collect()).await.unwrap()
}

/// `UPDATE table SET … WHERE condition`; `values` are all columns' new values.
pub async fn update(transaction: &mut Transaction, table: &str, values: &str, condition: &str) -> u64 {
    transaction.settle().await.unwrap();
    let full = name(table);
    let sql = format!("SELECT {values}, rowid FROM rows.\"{}\".\"{}\" WHERE {condition}", full.schema, full.table);
    let (lake, snapshot) = (transaction.lake().clone(), transaction.view().clone());
    let batches = session(&lake, &snapshot).await.sql(&sql).await.unwrap().collect().await.unwrap();
    let mut writer = transaction.rewrite(&full).unwrap();
    let mut ids = Vec::new();
    for batch in batches {
        let last = batch.column(batch.num_columns() - 1);
        ids.extend(last.as_any().downcast_ref::<Int64Array>().unwrap().values().iter().copied());
        writer.write(batch).await.unwrap();
    }
    let files = writer.finish().await.unwrap();
    transaction.replace_rows(&full, ids.into_iter().collect(), files, polder_lake::Keys::MayChange).await.unwrap()
}

pub fn pair_schema() -> Schema {
    Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8View, true)])
}

/// Rows `(n, "text n")`.
pub fn pairs(range: std::ops::Range<i64>) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(range.clone()));
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(range.map(|number| format!("text {number}"))));
    RecordBatch::try_new(Arc::new(pair_schema()), vec![numbers, texts]).unwrap()
}

/// Rows of any kind, in a Parquet file.
pub async fn append(transaction: &mut Transaction, table: &str, batch: RecordBatch) {
    let mut writer = transaction.append(&name(table)).unwrap();
    writer.write(batch).await.unwrap();
    let files = writer.finish().await.unwrap();
    transaction.add_files(&name(table), files).unwrap();
}

/// A table `a BIGINT, b VARCHAR` with rows 0 to `rows` in one file, committed.
pub async fn make_pairs(lake: &Arc<Lake>, table: &str, rows: i64) {
    let mut transaction = lake.begin().await.unwrap();
    transaction.create_table(&name(table), &pair_schema()).unwrap();
    if rows > 0 {
        append(&mut transaction, table, pairs(0..rows)).await;
    }
    transaction.commit().await.unwrap();
}

/// DuckDB in a process of its own.
pub struct Duck {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

pub fn python() -> PathBuf {
    match std::env::var_os("POLDER_PYTHON") {
        Some(python) => python.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/polder/venv/bin/python"),
    }
}

impl Duck {
    pub fn start(extensions: &[&str]) -> Self {
        // Asked while it runs: a program built in another clone uses this one's script.
        let script = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/lake/duck.py");
        let mut child = Command::new(python())
            .arg(script)
            .args(extensions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("POLDER_PYTHON names a Python with duckdb");
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn ask(&mut self, sql: &str, rows: bool) -> Result<Vec<String>, String> {
        let request = serde_json::json!({"sql": sql, "rows": rows});
        writeln!(self.input, "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let reply: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("DuckDB died of {sql}"));
        if let Some(error) = reply["error"].as_str() {
            return Err(error.to_owned());
        }
        let row = |row: &serde_json::Value| {
            row.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join("|")
        };
        Ok(reply["rows"].as_array().unwrap().iter().map(row).collect())
    }

    pub fn try_run(&mut self, sql: &str) -> Result<(), String> {
        self.ask(sql, false).map(drop)
    }

    pub fn run(&mut self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("DuckDB: {sql}: {error}"));
    }

    pub fn query(&mut self, sql: &str) -> Vec<String> {
        self.ask(sql, true).unwrap_or_else(|error| panic!("DuckDB: {sql}: {error}"))
    }

    pub fn value(&mut self, sql: &str) -> String {
        self.query(sql).join("\n")
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PostgreSQL server of our own, gone at the end.
pub struct Postgres {
    child: Child,
    _directory: TempDir,
    pub port: u16,
}

/// Who runs the server when we are root, which it refuses.
const NOBODY: u32 = 65534;

fn postgres_program(program: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin").join(program))).collect())
        .unwrap_or_default();
    versions.retain(|path| path.exists());
    versions.sort();
    versions.pop().unwrap_or_else(|| PathBuf::from(program))
}

fn postgres_command(program: &str, root: bool) -> Command {
    let mut command = Command::new(postgres_program(program));
    if root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Postgres {
    pub fn start() -> Self {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let root = std::fs::metadata(directory.path()).unwrap().uid() == 0;
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if root {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = postgres_command("initdb", root)
            .args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("PostgreSQL is installed");
        assert!(made.success(), "initdb failed");
        let port = free_port();
        let child = postgres_command("postgres", root)
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-c", "fsync=off", "-c", "unix_socket_directories="])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, _directory: directory, port };
        server.wait();
        server
    }

    fn wait(&self) {
        for _ in 0..300 {
            let ready = postgres_command("pg_isready", false)
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not answer");
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The fast way down: it takes its own children along.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.child.wait();
    }
}
