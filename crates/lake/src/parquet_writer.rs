//! Record batches into Parquet files that are on disk, for good, before a commit names them.

mod statistics;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion_ducklake::ColumnStat;
use datafusion_ducklake::row_id::EMBEDDED_ROW_ID_COLUMN_NAME;
use datafusion_ducklake::stats_collect::accumulate_nan_flags;
use object_store::ObjectStoreExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use polder_runtime::fault;
use polder_types::{Error, Result};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::conform::{conform, for_file, in_file};
use crate::directories::{make_directory, sync_directory};
use crate::error::{from_io, from_parquet};
use crate::model::TableState;
use crate::partition::{OpenParts, PartitionKey, Partitioning};
use crate::rules::{RowRule, with_subject};
use crate::store::TableStore;

/// A new file is begun at about this size: large enough to read well, small enough to rewrite.
const FILE_BYTES_MAX: usize = 256 << 20;

/// Rows of a row group, as DuckDB writes them: the unit that a scan skips or gives to a core.
const ROW_GROUP_ROWS: usize = 122_880;

/// How the names of our files begin; the sweep touches no others.
pub(crate) const FILE_PREFIX: &str = "polder-";

/// Files of ours that are another name for a file that exists already, whoever wrote that.
pub(crate) const LINKED_PREFIX: &str = "polder-linked-";

/// Batches waiting for the encoder.
const QUEUE_BATCHES: usize = 4;

/// A Parquet file that is written and synced, and that no snapshot names yet.
#[derive(Debug, Clone)]
pub struct StagedFile {
    /// Relative to the table's directory.
    pub name: String,
    /// Relative to the tables' root.
    pub path: String,
    pub record_count: i64,
    pub size_bytes: i64,
    pub footer_bytes: i64,
    /// `crc32:` and eight hex digits, over the whole file.
    pub checksum: String,
    pub column_stats: Vec<ColumnStat>,
    /// The rows carry the ids that they had before an UPDATE.
    pub embeds_row_id: bool,
    /// The partition that its rows are of: (the partitioning's id, the key's values).
    pub(crate) partition: Option<(i64, Vec<Option<String>>)>,
}

/// Writes batches of one table. Encoding runs on a thread of its own, so the caller can make the next batch meanwhile.
///
/// Dropped without [`TableWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct TableWriter {
    schema: SchemaRef,
    /// Where the table is: refusals say so.
    within: String,
    table: String,
    rules: Arc<Vec<RowRule>>,
    sender: Option<mpsc::Sender<RecordBatch>>,
    /// Set once all batches are given: without it, what was written is thrown away.
    complete: Arc<AtomicBool>,
    worker: Option<tokio::task::JoinHandle<Result<Vec<StagedFile>>>>,
}

/// Everything that the encoder's thread needs.
struct Target {
    store: TableStore,
    /// The table's directory, relative to the tables' root, with a slash at the end.
    directory: String,
    table: String,
    schema: SchemaRef,
    column_ids: Vec<i64>,
    /// Top-level columns that get a bloom filter.
    indexed: Vec<String>,
    partitioning: Option<Partitioning>,
    embeds_row_id: bool,
    runtime: tokio::runtime::Handle,
}

/// What a file is to hold.
pub(crate) struct Content<'a> {
    pub table: &'a str,
    pub schema: SchemaRef,
    pub column_ids: Vec<i64>,
    /// Columns that get a bloom filter.
    pub indexed: Vec<String>,
    pub partitioning: Option<Partitioning>,
}

impl TableWriter {
    /// For a table's own columns, in its order.
    pub(crate) fn open(
        store: TableStore,
        directory: String,
        table: &TableState,
        rules: Arc<Vec<RowRule>>,
    ) -> Result<Self> {
        let schema = Arc::clone(&table.arrow_schema);
        let partitioning = Partitioning::of(table)?;
        let content = Content {
            table: &table.name,
            schema,
            column_ids: column_ids(table),
            indexed: indexed(table),
            partitioning,
        };
        Ok(Self::with_content(store, directory, content, rules, false))
    }

    /// For rows that an UPDATE rewrites: the table's columns, then their old row ids.
    pub(crate) fn open_with_row_ids(
        store: TableStore,
        directory: String,
        table: &TableState,
        rules: Arc<Vec<RowRule>>,
    ) -> Result<Self> {
        let mut fields: Vec<_> = table.arrow_schema.fields().iter().cloned().collect();
        fields.push(Arc::new(datafusion_ducklake::row_id::embedded_rowid_field()));
        let schema = Arc::new(Schema::new(fields));
        let partitioning = Partitioning::of(table)?;
        let content = Content {
            table: &table.name,
            schema,
            column_ids: column_ids(table),
            indexed: indexed(table),
            partitioning,
        };
        Ok(Self::with_content(store, directory, content, rules, true))
    }

    pub(crate) fn with_content(
        store: TableStore,
        directory: String,
        content: Content<'_>,
        rules: Arc<Vec<RowRule>>,
        embeds_row_id: bool,
    ) -> Self {
        let Content { table, schema, column_ids, indexed, partitioning } = content;
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let table = table.to_owned();
        let target = Target {
            store,
            directory,
            table: table.clone(),
            schema: in_file(&schema),
            column_ids,
            indexed,
            partitioning,
            embeds_row_id,
            runtime: tokio::runtime::Handle::current(),
        };
        let complete = Arc::new(AtomicBool::new(false));
        let all_given = Arc::clone(&complete);
        let worker = tokio::task::spawn_blocking(move || encode_all(&target, receiver, &all_given));
        Self { schema, within: String::new(), table, rules, sender: Some(sender), complete, worker: Some(worker) }
    }

    /// Says where the table is.
    pub(crate) fn in_schema(self, schema: &str) -> Self {
        Self { within: schema.to_owned(), ..self }
    }

    /// The columns that batches must have, in this order. Types that Arrow can cast without loss are cast.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// # Errors
    /// `InvalidInput` for a missing value in a NOT NULL column; whatever the disk says.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = conform(&batch, &self.schema, &self.table, &self.rules)
            .map_err(|error| with_subject(error, &self.within, &self.table))?;
        let Some(sender) = &self.sender else { return Err(Error::internal("the writer is finished")) };
        if sender.send(batch).await.is_ok() {
            return Ok(());
        }
        // The encoder has stopped: it knows why.
        match self.join().await {
            Err(error) => Err(error),
            Ok(_) => Err(Error::internal("the Parquet writer stopped early")),
        }
    }

    /// Closes, syncs, and gives the files to be named by a commit.
    ///
    /// # Errors
    /// Whatever the disk says; nothing is left behind then.
    pub async fn finish(mut self) -> Result<Vec<StagedFile>> {
        self.complete.store(true, Ordering::Release);
        self.join().await
    }

    async fn join(&mut self) -> Result<Vec<StagedFile>> {
        self.sender = None;
        match self.worker.take() {
            Some(worker) => {
                worker.await.map_err(|error| Error::internal(format!("the Parquet writer failed: {error}")))?
            }
            None => Ok(Vec::new()),
        }
    }
}

fn column_ids(table: &TableState) -> Vec<i64> {
    let mut columns: Vec<_> = table.top_columns().collect();
    columns.sort_by_key(|column| column.order);
    columns.iter().map(|column| column.id).collect()
}

/// Names of the columns that a key or an index stands on.
fn indexed(table: &TableState) -> Vec<String> {
    let ids: Vec<i64> = table.rules.indexed().collect();
    table.top_columns().filter(|column| ids.contains(&column.id)).map(|column| column.name.clone()).collect()
}

fn properties(indexed: &[String]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        // No two rows have one id, so that a dictionary of them is all of them once more, in memory and in the file.
        .set_column_dictionary_enabled(ColumnPath::from(EMBEDDED_ROW_ID_COLUMN_NAME), false)
        .set_created_by(concat!("Polder ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in indexed {
        builder = builder.set_column_bloom_filter_enabled(ColumnPath::from(column.as_str()), true);
    }
    builder.build()
}

fn encode_all(
    target: &Target,
    mut receiver: mpsc::Receiver<RecordBatch>,
    complete: &AtomicBool,
) -> Result<Vec<StagedFile>> {
    let mut staged = Vec::new();
    let result = (|| {
        let mut parts: OpenParts<OpenFile> = OpenParts::default();
        let finish = |key: PartitionKey, file: OpenFile| -> Result<StagedFile> {
            let mut file = file.finish(target)?;
            file.partition = target.partitioning.as_ref().map(|partitioning| (partitioning.id, key));
            Ok(file)
        };
        while let Some(batch) = receiver.blocking_recv() {
            let split = match &target.partitioning {
                Some(partitioning) => partitioning.split(&batch)?,
                None => vec![(PartitionKey::new(), batch)],
            };
            for (key, batch) in split {
                let mut file = match parts.take(&key) {
                    Some(file) => file,
                    None => OpenFile::create(target)?,
                };
                file.write(&for_file(batch, &target.schema)?)?;
                if file.bytes() >= FILE_BYTES_MAX {
                    staged.push(finish(key, file)?);
                } else if let Some((key, file)) = parts.put(key, file)? {
                    staged.push(finish(key, file)?);
                }
            }
        }
        if !complete.load(Ordering::Acquire) {
            return Err(Error::cancelled());
        }
        for (key, file) in parts.into_files() {
            staged.push(finish(key, file)?);
        }
        Ok(())
    })();
    if let Err(error) = result {
        for file in &staged {
            remove(target, file);
        }
        return Err(error);
    }
    Ok(staged)
}

fn remove(target: &Target, file: &StagedFile) {
    if let Some(path) = target.store.local_file(&file.path) {
        let _ = std::fs::remove_file(path);
    } else {
        let path = target.store.object_path(&file.path);
        let _ = target.runtime.block_on(target.store.store.delete(&path));
    }
}

/// Counts bytes and sums them up on their way to the disk.
struct Checked {
    inner: BufWriter<File>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Write for Checked {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(data)?;
        self.crc.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

struct OpenFile {
    writer: Option<ArrowWriter<Checked>>,
    /// Where the bytes go now: the file itself, or a temporary one that is uploaded when complete.
    local: PathBuf,
    keep: bool,
    name: String,
    path: String,
    rows: usize,
    nan: Vec<Option<bool>>,
    columns: usize,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_file(&self.local);
        }
    }
}

/// Parquet has a form for them that loses some.
fn has_intervals(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) => true,
        DataType::List(item) | DataType::Map(item, _) => has_intervals(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_intervals(field.data_type())),
        _ => false,
    }
}

impl OpenFile {
    fn create(target: &Target) -> Result<Self> {
        if let Some(field) = target.schema.fields().iter().find(|field| has_intervals(field.data_type())) {
            let message =
                format!("column {:?} has intervals as DuckDB keeps them, which are not written here", field.name());
            return Err(Error::unsupported(message).with_hint(
                "DuckDB can change the rows; as VARCHAR, Polder can, too: ALTER TABLE … ALTER … TYPE VARCHAR",
            ));
        }
        let name = format!("{FILE_PREFIX}{}.parquet", Uuid::now_v7());
        let path = format!("{}{name}", target.directory);
        let local = match target.store.local_file(&path) {
            Some(local) => {
                if let Some(parent) = local.parent() {
                    make_directory(parent)?;
                }
                local
            }
            None => std::env::temp_dir().join(&name),
        };
        let shown = local.to_string_lossy().into_owned();
        let file = File::create_new(&local).map_err(|error| from_io("create", &shown, error))?;
        let sink = Checked { inner: BufWriter::with_capacity(1 << 20, file), crc: crc32fast::Hasher::new(), bytes: 0 };
        let columns = target.column_ids.len();
        let mut opened =
            Self { writer: None, local, keep: false, name, path, rows: 0, nan: vec![None; columns], columns };
        let writer = ArrowWriter::try_new(sink, Arc::clone(&target.schema), Some(properties(&target.indexed)))
            .map_err(|error| from_parquet(&shown, error))?;
        opened.writer = Some(writer);
        Ok(opened)
    }

    fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, |writer| writer.bytes_written() + writer.in_progress_size())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Err(Error::internal("the file is closed")) };
        writer.write(batch).map_err(|error| from_parquet(&self.local.to_string_lossy(), error))?;
        self.rows += batch.num_rows();
        accumulate_nan_flags(&mut self.nan, batch, self.columns);
        Ok(())
    }

    fn finish(mut self, target: &Target) -> Result<StagedFile> {
        let shown = self.local.to_string_lossy().into_owned();
        let Some(mut writer) = self.writer.take() else { return Err(Error::internal("the file is closed")) };
        let metadata = writer.finish().map_err(|error| from_parquet(&shown, error))?;
        let sink = writer.inner_mut();
        sink.flush().map_err(|error| from_io("write", &shown, error))?;
        let (bytes, crc) = (sink.bytes, sink.crc.clone().finalize());
        fault::point("file.before_sync");
        sink.inner.get_ref().sync_all().map_err(|error| from_io("sync", &shown, error))?;
        drop(writer);
        let footer_bytes = footer_bytes(&self.local)?;
        let record_count = i64::try_from(self.rows).map_err(|_| Error::internal("a file of too many rows"))?;
        let column_stats = statistics::stats(target, &metadata, record_count, &self.nan);
        if target.store.local_file(&self.path).is_some() {
            if let Some(parent) = self.local.parent() {
                sync_directory(parent)?;
            }
            self.keep = true;
        } else {
            upload(target, &self.local, &self.path)?;
        }
        fault::point("file.after_sync");
        Ok(StagedFile {
            name: std::mem::take(&mut self.name),
            path: std::mem::take(&mut self.path),
            record_count,
            size_bytes: i64::try_from(bytes).map_err(|_| Error::internal("a file of too many bytes"))?,
            footer_bytes,
            checksum: format!("crc32:{crc:08x}"),
            column_stats,
            embeds_row_id: target.embeds_row_id,
            partition: None,
        })
    }
}

/// The footer's length stands before the closing magic bytes.
pub(crate) fn footer_bytes(path: &Path) -> Result<i64> {
    use std::io::{Read, Seek, SeekFrom};
    let shown = path.to_string_lossy();
    let read = || -> std::io::Result<u32> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-8))?;
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        Ok(u32::from_le_bytes(length))
    };
    read().map(i64::from).map_err(|error| from_io("read", &shown, error))
}

fn upload(target: &Target, local: &Path, path: &str) -> Result<()> {
    use object_store::buffered::BufWriter as Upload;
    use tokio::io::AsyncWriteExt;
    let location = target.store.object_path(path);
    let shown = target.store.display(path);
    target.runtime.block_on(async {
        let mut reader = tokio::fs::File::open(local).await.map_err(|error| from_io("read", &shown, error))?;
        let mut writer = Upload::new(Arc::clone(&target.store.store), location);
        let copied = tokio::io::copy(&mut reader, &mut writer).await;
        if let Err(error) = copied {
            let _ = writer.abort().await;
            return Err(from_io("upload", &shown, error));
        }
        writer.shutdown().await.map_err(|error| from_io("upload", &shown, error))
    })
}

/// Removes a staged file that no commit will name.
pub(crate) async fn discard(store: &TableStore, path: &str) {
    let removed = match store.local_file(path) {
        Some(local) => tokio::fs::remove_file(local).await.map_err(|error| error.to_string()),
        None => store.store.delete(&store.object_path(path)).await.map_err(|error| error.to_string()),
    };
    if let Err(error) = removed {
        tracing::debug!(path, error, "a file that nobody names could not be removed; the clean-up will");
    }
}
