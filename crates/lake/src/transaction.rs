mod held;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use polder_metastore::{LoadedContents, Write};
use polder_runtime::to_the_end;
use polder_types::{Error, ErrorKind, Result, SnapshotId};

use crate::apply::{Applier, CommitNote, EndedFile, Op, Rewrite, StagedDelete};
use crate::committer::{OwnRow, Request};
use crate::defaults::Defaults;
use crate::keys::KeyState;
use crate::lake::Lake;
use crate::model::{Snapshot, TableState};
use crate::mutate::ended_file;
use crate::names::{TableName, written};
use crate::parquet_writer::{StagedFile, TableWriter, discard};
use crate::partition::Partitioning;

/// What a commit made.
#[derive(Debug, Clone)]
pub struct CommitReport {
    pub snapshot: Arc<Snapshot>,
    /// False for a transaction that changed nothing: then `snapshot` is the one that it read.
    pub changed: bool,
}

/// Changes to any number of tables, seen by its own reads at once and by nobody else until they are committed.
///
/// It reads one snapshot throughout. Dropped without [`Transaction::commit`], it changes nothing and removes the
/// files that it wrote.
#[derive(Debug)]
pub struct Transaction {
    lake: Arc<Lake>,
    /// Among the open ones.
    number: u64,
    base: Arc<Snapshot>,
    view: Arc<Snapshot>,
    ops: Vec<Op>,
    applier: ViewState,
    rows: Vec<OwnRow>,
    note: CommitNote,
    /// Inserts of a few rows, held back until a read or the commit needs them.
    pub(crate) pending: BTreeMap<i64, Vec<RecordBatch>>,
    pub(crate) keys: KeyState,
    /// Tables and views that views made here read.
    reads: BTreeSet<i64>,
    /// Files that are in nobody's snapshot yet, relative to the tables' root.
    staged: Vec<String>,
}

/// What the view's applier remembers between ops.
#[derive(Debug, Default)]
struct ViewState {
    next_provisional: i64,
}

/// A point to go back to.
#[derive(Debug, Clone)]
pub struct Savepoint {
    view: Arc<Snapshot>,
    ops: usize,
    rows: usize,
    reads: BTreeSet<i64>,
    pending: BTreeMap<i64, Vec<RecordBatch>>,
}

impl Transaction {
    pub(crate) fn new(lake: Arc<Lake>, base: Arc<Snapshot>, number: u64) -> Self {
        Self {
            lake,
            number,
            view: Arc::clone(&base),
            base,
            ops: Vec::new(),
            applier: ViewState::default(),
            rows: Vec::new(),
            note: CommitNote::default(),
            pending: BTreeMap::new(),
            keys: KeyState::default(),
            reads: BTreeSet::new(),
            staged: Vec::new(),
        }
    }

    #[must_use]
    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    /// The version that it reads.
    #[must_use]
    pub fn base(&self) -> SnapshotId {
        self.base.id
    }

    /// The lake as this transaction sees it, less inserts that [`Transaction::settle`] has yet to show.
    #[must_use]
    pub fn view(&self) -> &Arc<Snapshot> {
        &self.view
    }

    /// True once anything is to be committed.
    #[must_use]
    pub fn changed(&self) -> bool {
        !self.ops.is_empty() || !self.rows.is_empty() || !self.pending.is_empty()
    }

    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<Arc<TableState>> {
        self.view.table(name).cloned()
    }

    pub(crate) fn existing(&self, name: &TableName) -> Result<Arc<TableState>> {
        self.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))
    }

    pub(crate) fn schema_id(&self, name: &str) -> Result<i64> {
        self.view.schema(name).map(|schema| schema.id).ok_or_else(|| {
            Error::not_found(format!("schema {name:?} does not exist"))
                .with_code("3F000")
                .with_hint(format!("CREATE SCHEMA {}", written(name)))
        })
    }

    pub(crate) fn record(&mut self, op: Op) -> Result<()> {
        let mut applier = Applier::view(self.view.as_ref().clone(), self.lake.backend());
        applier.apply(&op)?;
        self.view = Arc::new(applier.snapshot);
        self.ops.push(op);
        Ok(())
    }

    pub(crate) fn provisional(&mut self) -> i64 {
        self.applier.next_provisional += 1;
        crate::model::PROVISIONAL + self.applier.next_provisional
    }

    /// A view or foreign key that is made here stands on a table or view: whoever drops or alters that meanwhile is in conflict with this
    /// transaction. A name that nothing has is passed over.
    pub fn stand_on(&mut self, name: &TableName) {
        let table = self.view.table(name).map(|table| table.id);
        let below = table.or_else(|| self.view.view(name).map(|view| view.id));
        // Nobody else knows what was made here.
        self.reads.extend(below.filter(|id| *id < crate::model::PROVISIONAL));
    }

    /// Words kept with the commit.
    pub fn describe(&mut self, author: impl Into<String>, message: impl Into<String>) {
        self.note = CommitNote { author: Some(author.into()), message: Some(message.into()) };
    }

    /// Polder's own rows in the same commit.
    pub fn attach(&mut self, row: Write) {
        self.rows.push(OwnRow::Fixed(row));
    }

    /// A row of Polder's own about a table, made at commit from (table id, snapshot id): a table that this transaction
    /// makes has its id only then.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn attach_about(
        &mut self,
        name: &TableName,
        make: impl Fn(i64, SnapshotId) -> Write + Send + Sync + 'static,
    ) -> Result<()> {
        let table = self.existing(name)?.id;
        self.rows.push(OwnRow::AboutTable { table, make: Arc::new(make) });
        Ok(())
    }

    /// A writer of rows for a table. Its files count once they are given to [`Transaction::add_files`].
    ///
    /// # Errors
    /// `NotFound`, `Unsupported` for a table whose layout Polder cannot write.
    pub fn append(&self, name: &TableName) -> Result<TableWriter> {
        let table = self.existing(name)?;
        writable(&table)?;
        let rules = self.lake.row_rules(&table)?;
        Ok(TableWriter::open(self.lake.store().clone(), self.directory(&table)?, &table, rules)?
            .in_schema(&self.view.name_of(&table).schema))
    }

    /// Files on disk that a later change will name: removed with the transaction if none does.
    pub(crate) fn stage(&mut self, path: String) {
        self.staged.push(path);
    }

    pub(crate) fn append_with_row_ids(&self, table: &TableState) -> Result<TableWriter> {
        writable(table)?;
        let rules = self.lake.row_rules(table)?;
        Ok(TableWriter::open_with_row_ids(self.lake.store().clone(), self.directory(table)?, table, rules)?
            .in_schema(&self.view.name_of(table).schema))
    }

    /// The table's directory relative to the tables' root.
    pub(crate) fn directory(&self, table: &TableState) -> Result<String> {
        let schema = self.view.schemas.get(&table.schema_id);
        match schema {
            Some(schema) if schema.path_is_relative && table.path_is_relative => {
                Ok(format!("{}{}", schema.path, table.path))
            }
            _ => Err(Error::unsupported(format!("table {} keeps its files outside of the lake", table.name))
                .with_hint("write to it with the program that made it")),
        }
    }

    /// What rows get that come without the columns at these places; `None` when that is nothing.
    ///
    /// # Errors
    /// `NotFound`; when a default cannot be planned any more.
    pub fn defaults(&self, name: &TableName, places: &[usize]) -> Result<Option<Defaults>> {
        Defaults::of(&self.lake, name, &self.existing(name)?, places)
    }

    /// Rows written and synced become part of the table.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn add_files(&mut self, name: &TableName, files: Vec<StagedFile>) -> Result<u64> {
        let table = self.existing(name)?;
        if !files.is_empty() {
            self.keys.files(&table);
        }
        self.add_files_to(table.id, files)
    }

    pub(crate) fn add_files_to(&mut self, table: i64, files: Vec<StagedFile>) -> Result<u64> {
        if files.is_empty() {
            return Ok(0);
        }
        let rows = files.iter().map(|file| u64::try_from(file.record_count).unwrap_or(0)).sum();
        self.staged.extend(files.iter().map(|file| file.path.clone()));
        let row_ids_from = if files.iter().any(|file| file.embeds_row_id) { self.own_rows_from(table) } else { None };
        let files = files.into_iter().map(|file| (self.provisional(), Arc::new(file))).collect();
        self.record(Op::AddFiles { table, files, row_ids_from })?;
        Ok(rows)
    }

    /// Where the table's row ids stood before this transaction's own inserts, if it has inserted any.
    fn own_rows_from(&self, table: i64) -> Option<i64> {
        let before = self.base.tables.get(&table).map_or(0, |table| table.next_row_id);
        self.view.tables.get(&table).is_some_and(|table| table.next_row_id != before).then_some(before)
    }

    /// Removes every row, and with them that anything was loaded into the table.
    ///
    /// # Errors
    /// `NotFound`; when rows kept in the metastore cannot be read.
    pub async fn truncate(&mut self, name: &TableName) -> Result<u64> {
        let table = self.existing(name)?;
        self.settle_table(table.id).await?;
        let table = self.existing(name)?;
        let stored = self.stored_row_ids(&table).await?;
        let gone = u64::try_from(table.file_rows()).unwrap_or(0) + stored.len() as u64;
        let files = table.files.iter().map(|file| ended_file(&table, file)).collect();
        self.end_files(table.id, files)?;
        self.end_inlined(table.id, stored)?;
        self.keys.references.shrunk(&table);
        if gone > 0 {
            self.forget_loads_of(table.id);
        }
        Ok(gone)
    }

    /// Forgets that anything was loaded into a table that is empty: its rows may have gone one by one.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn forget_loads(&mut self, name: &TableName) -> Result<()> {
        let table = self.existing(name)?.id;
        self.forget_loads_of(table);
        Ok(())
    }

    /// A load that was committed since this transaction began keeps its own.
    fn forget_loads_of(&mut self, table: i64) {
        self.attach(LoadedContents::forget_until_write(table, self.base.id));
    }

    pub(crate) fn end_files(&mut self, table: i64, files: Vec<EndedFile>) -> Result<()> {
        if files.is_empty() { Ok(()) } else { self.record(Op::EndFiles { table, files }) }
    }

    pub(crate) fn end_inlined(&mut self, table: i64, rows: Vec<(String, i64)>) -> Result<()> {
        if rows.is_empty() { Ok(()) } else { self.record(Op::EndInlined { table, rows }) }
    }

    /// (the data file as it was seen, its new delete file)
    pub(crate) fn add_deletes(&mut self, table: i64, deletes: Vec<(EndedFile, StagedFile)>) -> Result<()> {
        if deletes.is_empty() {
            return Ok(());
        }
        let mut staged = Vec::with_capacity(deletes.len());
        for (EndedFile { data_file, expected, inlined_deletes }, file) in deletes {
            self.staged.push(file.path.clone());
            let id = self.provisional();
            staged.push(StagedDelete { id, data_file, expected, file: Arc::new(file), inlined_deletes });
        }
        self.record(Op::AddDeletes { table, deletes: staged })
    }

    /// Puts files and rows in the place of others.
    pub(crate) fn rewrite_table(&mut self, table: i64, rewrite: Rewrite) -> Result<()> {
        let op = Op::Rewrite { table, rewrite: Arc::new(rewrite) };
        self.staged.extend(staged_files(&op));
        self.record(op)
    }

    /// Marks a point to go back to.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            view: Arc::clone(&self.view),
            ops: self.ops.len(),
            rows: self.rows.len(),
            reads: self.reads.clone(),
            pending: self.pending.clone(),
        }
    }

    /// Forgets everything since the point. Files written since stay on disk until the transaction ends.
    pub fn rollback_to(&mut self, point: &Savepoint) {
        self.pending.clone_from(&point.pending);
        self.reads.clone_from(&point.reads);
        self.ops.truncate(point.ops);
        self.rows.truncate(point.rows);
        self.view = Arc::clone(&point.view);
    }

    /// Makes it all durable and visible, as one snapshot.
    ///
    /// # Errors
    /// `Conflict` when another transaction got there first: nothing is changed then, and the transaction can be run
    /// again from its beginning.
    pub async fn commit(self) -> Result<CommitReport> {
        if !self.changed() {
            return Ok(CommitReport { snapshot: Arc::clone(&self.base), changed: false });
        }
        // To its end: a caller who goes away must not take the files along that the committer is about to name.
        let work = to_the_end(self.commit_changes()).await;
        work.map_err(|error| Error::internal("the commit died, and its outcome is unknown").with_source(error))?
    }

    async fn commit_changes(mut self) -> Result<CommitReport> {
        self.verify_keys().await?;
        self.place_pending().await?;
        let author = self.note.author.clone();
        self.own_what_is_new(author.as_deref())?;
        if self.ops.is_empty() {
            // Rows of Polder's own alone make no version of the lake.
            let rows = std::mem::take(&mut self.rows);
            let base = self.base.id;
            let rows: Vec<Write> = rows
                .into_iter()
                .map(|row| match row {
                    OwnRow::Fixed(write) => write,
                    OwnRow::AboutTable { table, make } => make(table, base),
                })
                .collect();
            self.lake.metastore().write(&rows).await?;
            return Ok(CommitReport { snapshot: Arc::clone(&self.base), changed: false });
        }
        let request = Request {
            base: self.base.id,
            ops: self.ops.clone(),
            note: self.note.clone(),
            rows: std::mem::take(&mut self.rows),
            claims: self.keys.claims(),
            references: self.keys.references.promises(),
            reads: std::mem::take(&mut self.reads),
        };
        let committed = self.lake.commit(request).await;
        match committed {
            Ok(snapshot) => {
                // What was rolled back to a savepoint left files that nobody names.
                let named = self.named_files();
                self.staged.retain(|path| !named.contains(path));
                Ok(CommitReport { snapshot, changed: true })
            }
            Err(error) => {
                // An unknown outcome may have been a commit, and then the files are somebody's; the sweep knows.
                let unknown = error.code() == "08007" || error.kind() == ErrorKind::Internal;
                if unknown {
                    self.staged.clear();
                }
                Err(error)
            }
        }
    }

    /// The files that the changes name.
    fn named_files(&self) -> HashSet<String> {
        self.ops.iter().flat_map(staged_files).collect()
    }
}

/// The files that a change names.
fn staged_files(op: &Op) -> Vec<String> {
    match op {
        Op::AddFiles { files, .. } => files.iter().map(|(_, file)| file.path.clone()).collect(),
        Op::AddDeletes { deletes, .. } => deletes.iter().map(|delete| delete.file.path.clone()).collect(),
        Op::Rewrite { rewrite, .. } => {
            let deletes = rewrite.files.iter().filter_map(|file| file.delete.as_ref()).map(|(_, file)| file);
            rewrite.files.iter().map(|file| &file.file).chain(deletes).map(|file| file.path.clone()).collect()
        }
        _ => Vec::new(),
    }
}

pub(crate) fn writable(table: &TableState) -> Result<()> {
    table.check_readable()?;
    Partitioning::of(table)?;
    Ok(())
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.lake.ended(self.number);
        let staged = std::mem::take(&mut self.staged);
        if staged.is_empty() {
            return;
        }
        let lake = Arc::clone(&self.lake);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                for path in staged {
                    discard(lake.store(), &path).await;
                }
            });
        }
    }
}
