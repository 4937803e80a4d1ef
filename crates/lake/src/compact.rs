//! Small files into larger ones, files with many deletes without them, small inserts out of the metastore.
//!
//! The old files end and new ones begin, as after an UPDATE that changes no value: older versions read what they
//! always read. Every row keeps its id. Inserts do not disturb it; whoever changes rows of one of the files first
//! makes it begin again, and the other way round.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::SortExpr;
use datafusion::prelude::{SessionContext, ident};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use polder_types::{Error, ErrorKind, Result, SnapshotId};

use crate::apply::{Rewrite, RewrittenFile};
use crate::check::first_broken;
use crate::error::{copy, is_of_file};
use crate::lake::Lake;
use crate::model::{DataFile, Snapshot, TableState};
use crate::mutate::ended_file;
use crate::names::TableName;
use crate::parquet_writer::{TableWriter, discard};
use crate::table::LakeTable;
use crate::transaction::{Transaction, writable};

/// Bytes of the files that are rewritten together, unless they are sorted: what is lost when somebody else is first.
const TOGETHER_BYTES: i64 = 256 << 20;

/// How often one group of files is begun again because somebody else changed them.
const TRIES: usize = 5;

/// What is worth rewriting.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// Files below this size are merged, in bytes.
    pub small_bytes: u64,
    /// Fewer small files than this stay as they are.
    pub files_min: usize,
    /// A file of whose rows at least this share is deleted is written anew, from 0 to 1.
    pub deleted_share: f64,
    /// Rows in the metastore, from which on they are moved to files.
    pub stored_rows_min: usize,
    /// A file is merged only with others that are together about as large, so that each row is rewritten few times in
    /// its life, however often this runs.
    pub tiered: bool,
    /// Not empty: all rows are sorted and written anew.
    pub order: Vec<SortKey>,
}

/// A column to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    pub column: String,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Compaction {
    /// All that can be gained: what a person asks for.
    #[must_use]
    pub fn thorough() -> Self {
        Self {
            small_bytes: 64 << 20,
            files_min: 2,
            deleted_share: 0.05,
            stored_rows_min: 1,
            tiered: false,
            order: Vec::new(),
        }
    }

    /// What pays for itself, for a job that runs often.
    #[must_use]
    pub fn background() -> Self {
        Self {
            small_bytes: 32 << 20,
            files_min: 8,
            deleted_share: 0.3,
            stored_rows_min: 1000,
            tiered: true,
            order: Vec::new(),
        }
    }
}

/// What became of a table's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Files that are no longer read.
    pub files_removed: usize,
    pub files_added: usize,
    pub bytes_removed: u64,
    pub bytes_added: u64,
    /// Rows moved out of the metastore.
    pub stored_rows: usize,
    /// The last version that it made, if any.
    pub snapshot: Option<SnapshotId>,
}

/// Files and stored rows to be rewritten at once.
#[derive(Debug, Default)]
struct Group {
    files: Vec<i64>,
    stored: bool,
}

impl Lake {
    /// Rewrites the files of a table that are worth it. `state` gives memory, and a place to spill to when sorting;
    /// `None` for what is not sorted.
    ///
    /// Memory is bounded by the batches on their way. Each group of files is a transaction by itself.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file, when one is not as it was written: then its rows stay where they are;
    /// `Conflict` when others keep changing the same files; `Unsupported` for a table that Polder cannot write.
    pub fn compact<'a>(
        self: &'a Arc<Self>,
        name: &'a TableName,
        what: &'a Compaction,
        state: Option<&'a SessionState>,
    ) -> BoxFuture<'a, Result<Compacted>> {
        Box::pin(self.compact_groups(name, what, state))
    }

    async fn compact_groups(
        self: &Arc<Self>,
        name: &TableName,
        what: &Compaction,
        state: Option<&SessionState>,
    ) -> Result<Compacted> {
        let mut done = Compacted::default();
        let mut what = what.clone();
        let plain;
        let state = match state {
            Some(state) => state,
            None => {
                plain = plain_state(self);
                &plain
            }
        };
        let (mut tries, mut left) = (0, None);
        loop {
            let transaction = self.begin().await?;
            let table = transaction
                .table(name)
                .ok_or_else(|| Error::not_found(format!("table {name} does not exist")).with_code("42P01"))?;
            let stored =
                self.stored_rows(transaction.view(), &table).await?.iter().map(|rows| rows.row_ids.len()).sum();
            let Some(group) = choose(&table, &what, stored) else { return Ok(done) };
            // What others add meanwhile is left to the next time.
            let groups = left.get_or_insert(table.files.len() + 1);
            match rewrite_group(self, transaction, name, &table, &group, &what, state).await {
                Ok(one) => {
                    add(&mut done, &one);
                    tries = 0;
                    *groups -= 1;
                    if !what.order.is_empty() || *groups == 0 {
                        return Ok(done);
                    }
                    if group.stored {
                        what.stored_rows_min = usize::MAX;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn add(total: &mut Compacted, one: &Compacted) {
    total.files_removed += one.files_removed;
    total.files_added += one.files_added;
    total.bytes_removed += one.bytes_removed;
    total.bytes_added += one.bytes_added;
    total.stored_rows += one.stored_rows;
    total.snapshot = one.snapshot.or(total.snapshot);
}

/// The next group that is worth it, the oldest files first, so that rows stay roughly in their order.
fn choose(table: &TableState, what: &Compaction, stored: usize) -> Option<Group> {
    // A file with deletes by rows of the catalog stays: DuckDB moves those rows to a delete file later, and would do so
    // for a file that is no more, which old versions then see without its deletes.
    let settled = |file: &DataFile| table.inlined_deletes_of(file.id).is_empty();
    if !what.order.is_empty() {
        let files = table.files.iter().filter(|file| settled(file)).map(|file| file.id).collect();
        let group = Group { files, stored: stored > 0 };
        return (!group.files.is_empty() || group.stored).then_some(group);
    }
    let deleted = |file: &DataFile| {
        let gone = file.delete.as_ref().map_or(0, |delete| delete.delete_count);
        gone > 0 && gone as f64 >= what.deleted_share * file.record_count as f64
    };
    let mergeable = mergeable(table, what);
    let small = |file: &DataFile| mergeable.contains(&file.id);
    let stored = stored >= what.stored_rows_min;
    let (mut group, mut bytes, mut must) = (Group::default(), 0, false);
    for file in table.files.iter().filter(|file| settled(file) && (small(file) || deleted(file))) {
        if bytes + file.file_size_bytes > TOGETHER_BYTES && !group.files.is_empty() {
            if must || group.files.len() >= what.files_min {
                return Some(group);
            }
            (group, bytes, must) = (Group::default(), 0, false);
        }
        bytes += file.file_size_bytes;
        must |= deleted(file);
        group.files.push(file.id);
    }
    if stored {
        // Alone, unless the files are worth it too: a file of moderate size is not rewritten for a few rows.
        let enough = must || group.files.len() + 1 >= what.files_min;
        return Some(Group { files: if enough { group.files } else { Vec::new() }, stored });
    }
    (must || group.files.len() >= what.files_min).then_some(group)
}

/// Below this size a file is merged whatever the others are.
const TINY_BYTES: i64 = 64 << 10;

/// The files that are small, and not too large beside the others.
///
/// Files of one partition only are merged: those of the first partition that has enough of them.
fn mergeable(table: &TableState, what: &Compaction) -> HashSet<i64> {
    let is_small =
        |file: &&Arc<DataFile>| u64::try_from(file.file_size_bytes).is_ok_and(|bytes| bytes < what.small_bytes);
    let mut partitions: BTreeMap<Vec<Option<String>>, Vec<(i64, i64)>> = BTreeMap::new();
    for file in table.files.iter().filter(is_small) {
        let current = table.partition.as_ref().is_some_and(|partition| file.partition_id == Some(partition.id));
        let key = match current {
            true => file.partition_values.iter().map(|(_, value)| value.clone()).collect(),
            // Of no partition, or of one that is past: they are split when they are written anew.
            false => Vec::new(),
        };
        partitions.entry(key).or_default().push((file.id, file.file_size_bytes));
    }
    for small in partitions.into_values() {
        let found = match what.tiered {
            true => tier(small, what.files_min),
            false => small.into_iter().map(|(id, _)| id).collect(),
        };
        if table.partition.is_none() || found.len() >= what.files_min {
            return found;
        }
    }
    HashSet::new()
}

/// The smallest files that are about as large as each other: none is larger, by more than an eighth, than all the smaller
/// ones of them together, as equal inserts never make files of quite one size. `files`: ids and sizes in bytes. A few files
/// that are much smaller than all others do not keep those from each other.
fn tier(mut files: Vec<(i64, i64)>, files_min: usize) -> HashSet<i64> {
    files.sort_by_key(|(_, bytes)| *bytes);
    let (mut found, mut sum) = (HashSet::new(), 0_i64);
    for (id, bytes) in files {
        if !found.is_empty() && bytes > (sum + sum / 8).max(TINY_BYTES) {
            if found.len() >= files_min {
                break;
            }
            found.clear();
            sum = 0;
        }
        found.insert(id);
        sum += bytes;
    }
    found
}

async fn rewrite_group(
    lake: &Arc<Lake>,
    mut transaction: Transaction,
    name: &TableName,
    table: &Arc<TableState>,
    group: &Group,
    what: &Compaction,
    state: &SessionState,
) -> Result<Compacted> {
    let (snapshot, part) = only(transaction.view(), table, group);
    // A flipped bit must not get a fresh checksum.
    if let Some(problem) = first_broken(lake, &snapshot, &part).await? {
        return Err(problem.into_error());
    }
    let stored = if group.stored { transaction.stored_row_ids(table).await? } else { Vec::new() };
    let expected = part.file_rows() + i64::try_from(stored.len()).unwrap_or(i64::MAX);
    let source = LakeTable::open_with_row_ids(lake, &snapshot, name.clone(), &part)?;
    let mut rows = rows_of(source, &what.order, state).await?;
    writable(table)?;
    // Rows that are moved need no check: it may be younger than they are.
    let directory = transaction.directory(table)?;
    let mut writer = TableWriter::open_with_row_ids(lake.store().clone(), directory, table, Arc::default())?;
    while let Some(batch) = rows.next().await {
        writer.write(batch?).await?;
    }
    let files = writer.finish().await?;
    let written: i64 = files.iter().map(|file| file.record_count).sum();
    if written != expected {
        for file in &files {
            discard(lake.store(), &file.path).await;
        }
        let message = format!("{name} has {expected} rows in the files to be rewritten, but {written} were read");
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint("nothing was changed; run `polder check`"));
    }
    let mut done = Compacted {
        files_removed: part.files.len(),
        files_added: files.len(),
        bytes_removed: bytes(part.files.iter().map(|file| file.file_size_bytes)),
        bytes_added: bytes(files.iter().map(|file| file.size_bytes)),
        stored_rows: stored.len(),
        snapshot: None,
    };
    let files = files.into_iter().map(|file| RewrittenFile {
        id: transaction.provisional(),
        file: Arc::new(file),
        row_id_start: None,
        delete: None,
    });
    let rewrite = Rewrite {
        files: files.collect(),
        ended: part.files.iter().map(|file| ended_file(table, file)).collect(),
        inlined: stored,
        next_row_id: 0,
        moved_only: true,
        restored: false,
    };
    transaction.rewrite_table(table.id, rewrite)?;
    transaction.describe("polder", format!("OPTIMIZE {name}"));
    done.snapshot = Some(transaction.commit().await?.snapshot.id);
    Ok(done)
}

fn bytes(sizes: impl Iterator<Item = i64>) -> u64 {
    sizes.map(i64::unsigned_abs).sum()
}

/// A snapshot in which the table consists of some of its files alone.
fn only(snapshot: &Arc<Snapshot>, table: &Arc<TableState>, group: &Group) -> (Arc<Snapshot>, Arc<TableState>) {
    let mut part = table.as_ref().clone();
    let files = table.files.iter().filter(|file| group.files.contains(&file.id)).cloned().collect();
    part.files = Arc::new(files);
    if !group.stored {
        part.inlined_tables.clear();
    }
    let part = Arc::new(part);
    (Arc::new(with_table(snapshot, &part)), part)
}

/// A snapshot with another state of one of its tables.
pub(crate) fn with_table(snapshot: &Snapshot, table: &Arc<TableState>) -> Snapshot {
    let mut changed = snapshot.clone();
    changed.tables.insert(table.id, Arc::clone(table));
    changed
}

/// Enough to read tables: no limit of memory, so for what streams.
pub(crate) fn plain_state(lake: &Lake) -> SessionState {
    let runtime = Arc::new(RuntimeEnv::default());
    let store = lake.store();
    runtime.register_object_store(store.url.as_ref().as_ref(), Arc::clone(&store.store));
    SessionStateBuilder::new().with_default_features().with_runtime_env(runtime).build()
}

/// All rows of a table, with their ids, into a writer.
pub(crate) async fn stream_part(
    lake: &Arc<Lake>,
    snapshot: &Arc<Snapshot>,
    table: &Arc<TableState>,
    writer: &mut TableWriter,
) -> Result<()> {
    let source = LakeTable::open_with_row_ids(lake, snapshot, snapshot.name_of(table), table)?;
    let mut rows = rows_of(source, &[], &plain_state(lake)).await?;
    while let Some(batch) = rows.next().await {
        writer.write(batch?).await?;
    }
    Ok(())
}

/// Rows on their way.
pub(crate) type Rows = BoxStream<'static, Result<RecordBatch>>;

/// A table's rows as a stream: in their order, or sorted.
pub(crate) async fn rows_of(table: LakeTable, order: &[SortKey], state: &SessionState) -> Result<Rows> {
    // Unsorted files are read one after the other.
    let partitions = if order.is_empty() { 1 } else { state.config().target_partitions() };
    let config = state.config().clone().with_target_partitions(partitions);
    let state = SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build();
    let failed = |error: datafusion::error::DataFusionError| from_plan(&error);
    let mut frame = SessionContext::new_with_state(state).read_table(Arc::new(table)).map_err(failed)?;
    if !order.is_empty() {
        for key in order {
            if !frame.schema().fields().iter().any(|field| *field.name() == key.column) {
                return Err(
                    Error::not_found(format!("there is no column {:?} to sort by", key.column)).with_code("42703")
                );
            }
        }
        let keys = order.iter().map(|key| SortExpr::new(ident(&key.column), !key.descending, key.nulls_first));
        frame = frame.sort(keys.collect()).map_err(failed)?;
    }
    let stream = frame.execute_stream().await.map_err(failed)?;
    Ok(stream.map(|batch| batch.map_err(|error| from_plan(&error))).boxed())
}

/// An error of reading a table, as one of ours.
pub(crate) fn from_plan(error: &datafusion::error::DataFusionError) -> Error {
    use datafusion::error::DataFusionError as D;
    if let Some(file) = crate::error::explain_file_error(error) {
        return file;
    }
    let root = error.find_root();
    if let D::External(inner) = root
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return copy(ours);
    }
    let kind = match root {
        D::ResourcesExhausted(_) => ErrorKind::Exhausted,
        _ if is_of_file(error) => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, root.strip_backtrace())
}

#[cfg(test)]
mod tests;
