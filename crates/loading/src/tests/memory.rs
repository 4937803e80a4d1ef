//! A lake in memory, and a loader on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parking_lot::Mutex;
use polder_capability::{
    Caller, LoadMode, LoadOptions, LoadReport, LoadRequest, LoadSource, LoadState, LoadStatus, Loader, TableReport,
};
use polder_runtime::{OwnFiles, SystemClock};
use polder_types::{Error, LoadId, Result, SnapshotId};

use crate::FileLoader;
use crate::infer::types::to_sql;
use crate::names::TableRef;
use crate::store::{BatchWriter, Existing, Fill, LoadedContent, Store, Transaction};

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub schema: SchemaRef,
    /// One list for each writer, in the order in which they were asked for.
    pub files: Vec<Vec<RecordBatch>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub tables: BTreeMap<TableRef, Table>,
    pub loaded: Vec<LoadedContent>,
    pub snapshot: SnapshotId,
}

#[derive(Debug, Clone, Default)]
pub(super) struct MemoryStore(pub Arc<Mutex<Tables>>);

struct MemoryTransaction {
    store: Arc<Mutex<Tables>>,
    tables: Arc<Mutex<Tables>>,
}

struct MemoryWriter {
    tables: Arc<Mutex<Tables>>,
    table: TableRef,
    file: usize,
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        let tables = self.0.lock().clone();
        Ok(Box::new(MemoryTransaction { store: self.0.clone(), tables: Arc::new(Mutex::new(tables)) }))
    }
}

#[async_trait::async_trait]
impl Transaction for MemoryTransaction {
    async fn table(&mut self, table: &TableRef) -> Result<Option<Existing>> {
        let tables = self.tables.lock();
        Ok(tables.tables.get(table).map(|table| Existing { schema: table.schema.clone(), generated: Vec::new() }))
    }

    async fn loaded(&mut self, table: &TableRef, hashes: &HashSet<String>) -> Result<HashMap<String, String>> {
        let tables = self.tables.lock();
        let known = tables.loaded.iter().filter(|known| known.table == *table && hashes.contains(&known.content_hash));
        Ok(known.map(|known| (known.content_hash.clone(), known.source.clone())).collect())
    }

    async fn create(&mut self, table: &TableRef, schema: SchemaRef) -> Result<()> {
        let made = Table { schema, files: Vec::new() };
        assert!(self.tables.lock().tables.insert(table.clone(), made).is_none(), "{table} is made twice");
        Ok(())
    }

    async fn drop_table(&mut self, table: &TableRef) -> Result<()> {
        let mut tables = self.tables.lock();
        tables.loaded.retain(|known| known.table != *table);
        assert!(tables.tables.remove(table).is_some(), "{table} is not there");
        Ok(())
    }

    async fn truncate(&mut self, table: &TableRef) -> Result<()> {
        let mut tables = self.tables.lock();
        tables.loaded.retain(|known| known.table != *table);
        tables.tables.get_mut(table).unwrap().files.clear();
        Ok(())
    }

    async fn defaults(&mut self, _table: &TableRef, _places: &[usize]) -> Result<Option<Arc<dyn Fill>>> {
        Ok(None)
    }

    async fn writer(&mut self, table: &TableRef) -> Result<Box<dyn BatchWriter>> {
        let mut tables = self.tables.lock();
        let files = &mut tables.tables.get_mut(table).unwrap().files;
        files.push(Vec::new());
        Ok(Box::new(MemoryWriter { tables: self.tables.clone(), table: table.clone(), file: files.len() - 1 }))
    }

    async fn commit(self: Box<Self>, _author: &str, _message: &str, loaded: Vec<LoadedContent>) -> Result<SnapshotId> {
        let mut tables = self.tables.lock().clone();
        tables.loaded.extend(loaded);
        tables.snapshot += 1;
        let snapshot = tables.snapshot;
        *self.store.lock() = tables;
        Ok(snapshot)
    }
}

#[async_trait::async_trait]
impl BatchWriter for MemoryWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let mut tables = self.tables.lock();
        let table = tables.tables.get_mut(&self.table).unwrap();
        let batch = RecordBatch::try_new(table.schema.clone(), batch.columns().to_vec())
            .map_err(|error| Error::invalid(format!("a batch of another schema: {error}")))?;
        table.files[self.file].push(batch);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// A loader on an empty lake, with a directory of its own.
pub(super) struct Bench {
    pub store: MemoryStore,
    pub loader: Arc<FileLoader>,
    pub directory: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl Bench {
    pub(super) fn new() -> Self {
        let store = MemoryStore::default();
        let directory = tempfile::tempdir().unwrap();
        let temp = directory.path().join("temp");
        std::fs::create_dir(&temp).unwrap();
        let loader = FileLoader::with_store(Arc::new(store.clone()), Arc::new(SystemClock), temp, OwnFiles::default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { store, loader, directory, runtime }
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn request(&self, source: impl AsRef<Path>) -> LoadRequest {
        LoadRequest {
            load_id: LoadId::new(),
            caller: Caller::new("ada", "test"),
            sources: vec![LoadSource::Location(source.as_ref().to_str().unwrap().to_owned())],
            into: None,
            mode: LoadMode::Create,
            strict: false,
            again: false,
            options: LoadOptions::default(),
        }
    }

    pub(super) fn run(&self, request: LoadRequest) -> LoadStatus {
        let status = self.runtime.block_on(async {
            let id = self.loader.start(request).unwrap();
            self.loader.wait(id).await.unwrap()
        });
        let left: Vec<_> = std::fs::read_dir(self.directory.path().join("temp")).unwrap().collect();
        assert!(left.is_empty(), "temporary files stay: {left:?}");
        status
    }

    pub(super) fn load_request(&self, request: LoadRequest) -> LoadReport {
        let status = self.run(request);
        assert_eq!(status.state, LoadState::Done, "{:?}", status.error);
        status.report.unwrap()
    }

    /// Loads a file that makes one table.
    pub(super) fn load(&self, source: impl AsRef<Path>) -> TableReport {
        let mut report = self.load_request(self.request(source));
        assert_eq!(report.tables.len(), 1, "{report:?}");
        report.tables.remove(0)
    }

    /// The message of a load that must fail, and that it left nothing.
    pub(super) fn fail(&self, request: LoadRequest) -> String {
        let before = format!("{:?}", self.store.0.lock());
        let status = self.run(request);
        assert_eq!(status.state, LoadState::Failed, "{:?}", status.report);
        assert_eq!(format!("{:?}", self.store.0.lock()), before, "a failed load has changed something");
        let error = status.error.unwrap();
        match error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message,
        }
    }

    pub(super) fn table(&self, name: &str) -> Table {
        let tables = self.store.0.lock();
        tables.tables.get(&TableRef::public(name)).unwrap_or_else(|| panic!("no table {name}")).clone()
    }

    /// `name type` of each column.
    pub(super) fn columns(&self, name: &str) -> Vec<String> {
        let table = self.table(name);
        table.schema.fields().iter().map(|field| format!("{} {}", field.name(), to_sql(field.data_type()))).collect()
    }

    /// Each row as text, cells separated by `|`; `∅` is missing.
    pub(super) fn rows(&self, name: &str) -> Vec<String> {
        let options = FormatOptions::default().with_null("∅");
        let mut rows = Vec::new();
        for batch in self.table(name).files.iter().flatten() {
            let columns: Vec<_> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
                rows.push(cells.join("|"));
            }
        }
        rows
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.table(name).files.iter().flatten().map(RecordBatch::num_rows).sum()
    }
}

/// Loads one content and shows its columns and rows.
pub(super) fn shown(name: &str, content: impl AsRef<[u8]>) -> String {
    shown_with(name, content, LoadOptions::default())
}

pub(super) fn shown_with(name: &str, content: impl AsRef<[u8]>, options: LoadOptions) -> String {
    let bench = Bench::new();
    let path = bench.file(name, content);
    let report = bench.load_request(LoadRequest { options, ..bench.request(path) });
    let mut text = String::new();
    for table in &report.tables {
        let name = table.table.strip_prefix("public.").unwrap();
        text += &format!("{name}: {}\n", bench.columns(name).join(", "));
        for row in bench.rows(name) {
            text += &format!("{row}\n");
        }
        for reject in &table.rejects {
            text += &format!("rejected line {} {:?}: {}: {}\n", reject.line, reject.column, reject.reason, reject.raw);
        }
        for remark in &table.remarks {
            text += &format!("- {remark}\n");
        }
        assert_eq!(table.rows_loaded as usize, bench.count(name));
    }
    text
}
