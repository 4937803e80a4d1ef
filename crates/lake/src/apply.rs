//! Changes applied to a snapshot: the next snapshot in memory, and the rows that make it so in the metastore.
//!
//! One code path serves both a transaction's own view (provisional ids, no rows) and the commit (real ids, rows), so
//! what a transaction saw is what it commits. Nothing here waits or reads: given the same input it gives the same
//! output.

mod access;
mod columns;
mod functions;
mod layout;
mod reword;
mod rewrite;
mod rows;
mod rules;
mod schemas;
mod shape;
mod statement;
mod totals;

pub(crate) use columns::top_column;
pub use reword::Reword;
pub(crate) use rewrite::{Rewrite, RewrittenFile};
pub(crate) use rows::merge_range;
pub(crate) use statement::{Statement, into_writes};
pub(crate) use totals::total_statements;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use polder_metastore::{Backend, Value, Write};
use polder_types::{Error, Result};
use uuid::Uuid;

use crate::access::Access;
use crate::changes::Change;
use crate::ddl::AlterColumn;
use crate::functions::Macro;
use crate::inlined;
use crate::model::{ColumnState, Snapshot, TableState};
use crate::names::TableName;
use crate::parquet_writer::StagedFile;
use crate::rules::TableRules;

/// One recorded change. Ids are those of the transaction's own view: provisional for what it made itself.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    CreateSchema {
        id: i64,
        uuid: Uuid,
        name: String,
    },
    DropSchema {
        id: i64,
    },
    RenameSchema {
        id: i64,
        new: i64,
        uuid: Uuid,
        name: String,
    },
    /// Words about a schema or a view.
    Comment {
        id: i64,
        comment: Option<String>,
    },
    /// Who owns a thing, and who may do what with it. `expected` is what the transaction saw.
    SetAccess {
        id: i64,
        expected: Option<Arc<Access>>,
        access: Arc<Access>,
    },
    /// Words about a column of a view, by its place from 1.
    CommentViewColumn {
        id: i64,
        place: i64,
        comment: Option<String>,
    },
    /// All implementations of one name; none drops it.
    SetFunction {
        id: i64,
        schema_id: i64,
        name: String,
        macros: Vec<Macro>,
        definitions: Vec<String>,
    },
    CreateTable {
        id: i64,
        uuid: Uuid,
        schema_id: i64,
        name: String,
        columns: Vec<ColumnState>,
        comment: Option<String>,
    },
    DropTable {
        id: i64,
        /// It goes with what it stands on, and is gone already if another transaction has dropped it meanwhile.
        along: bool,
    },
    RenameTable {
        id: i64,
        schema_id: i64,
        name: String,
    },
    AlterColumn {
        id: i64,
        change: AlterColumn,
    },
    CommentTable {
        id: i64,
        comment: Option<String>,
    },
    /// (column id, transform) of each part of the key; none ends it.
    SetPartition {
        id: i64,
        table: i64,
        columns: Vec<(i64, String)>,
    },
    /// (expression, direction, order of missing values) of each key; none ends it.
    SetSort {
        id: i64,
        table: i64,
        keys: Vec<(String, String, String)>,
    },
    SetRules {
        id: i64,
        rules: Arc<TableRules>,
    },
    CreateView {
        id: i64,
        uuid: Uuid,
        schema_id: i64,
        name: String,
        sql: String,
        comment: Option<String>,
    },
    DropView {
        id: i64,
        /// As for a table.
        along: bool,
    },
    /// Other names in the query of a view or materialized view.
    Reword {
        id: i64,
        reword: Reword,
    },
    RenameView {
        id: i64,
        schema_id: i64,
        name: String,
    },
    ReplaceView {
        id: i64,
        sql: String,
    },
    AddFiles {
        table: i64,
        files: Vec<(i64, Arc<StagedFile>)>,
        /// Set if the files carry ids of rows that this transaction inserted itself: those are right only if the
        /// table's sequence still stands here when the commit comes.
        row_ids_from: Option<i64>,
    },
    /// Rows of some data files are gone. `positions` are cumulative for each file.
    AddDeletes {
        table: i64,
        deletes: Vec<StagedDelete>,
    },
    /// Whole data files are gone.
    EndFiles {
        table: i64,
        files: Vec<EndedFile>,
    },
    /// Small inserts, kept as rows of the metastore.
    InsertInlined {
        table: i64,
        /// The table of the metastore that takes them.
        holder: String,
        batches: Vec<RecordBatch>,
    },
    /// Rows of the metastore are gone.
    EndInlined {
        table: i64,
        rows: Vec<(String, i64)>,
    },
    /// Some files and rows of the metastore in the place of others.
    Rewrite {
        table: i64,
        rewrite: Arc<Rewrite>,
    },
}

/// A delete file for one data file, already written.
#[derive(Debug, Clone)]
pub(crate) struct StagedDelete {
    pub id: i64,
    pub data_file: i64,
    /// The delete file that this one supersedes; another one at commit means somebody deleted meanwhile.
    pub expected: Option<i64>,
    pub file: Arc<StagedFile>,
    /// Rows of the data file that DuckDB had deleted by rows of the catalog.
    pub inlined_deletes: usize,
}

/// A data file of which nothing is left.
#[derive(Debug, Clone)]
pub(crate) struct EndedFile {
    pub data_file: i64,
    /// Its delete file as the transaction saw it; another one at commit means somebody changed rows meanwhile.
    pub expected: Option<i64>,
    pub inlined_deletes: usize,
}

/// Who commits, and the words kept with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitNote {
    pub author: Option<String>,
    pub message: Option<String>,
}

/// A snapshot being changed.
pub(crate) struct Applier {
    pub snapshot: Snapshot,
    backend: Backend,
    /// The version that the transaction has read.
    seen: i64,
    /// `None` in a transaction's own view.
    statements: Option<Vec<Statement>>,
    /// From provisional to real ids.
    ids: HashMap<i64, i64>,
    changes: HashSet<Change>,
    change_list: Vec<Change>,
    /// Tables whose columns changed, and whether those of a place for small rows did.
    reshaped: BTreeMap<i64, bool>,
    schema_changed: bool,
    /// Tables whose totals or bounds changed.
    counted: BTreeSet<i64>,
    /// Where a table's sequence of row ids stood before the first of these changes.
    sequence_starts: HashMap<i64, i64>,
}

/// What a commit is made of.
pub(crate) struct Finished {
    pub snapshot: Snapshot,
    pub statements: Vec<Statement>,
    pub changes: Vec<Change>,
    pub counted: BTreeSet<i64>,
}

impl Applier {
    /// For a transaction's own view.
    pub fn view(base: Snapshot, backend: Backend) -> Self {
        let seen = base.id;
        Self::new(base, seen, backend, None)
    }

    /// For the commit that follows `head`, of a transaction that has read version `seen`.
    pub fn commit(head: &Snapshot, seen: i64, backend: Backend, now: DateTime<Utc>) -> Self {
        let mut snapshot = head.clone();
        snapshot.id += 1;
        snapshot.read_at = snapshot.id;
        // Time never runs backwards in the history, whatever the clock does.
        snapshot.committed_at = now.max(head.committed_at);
        snapshot.lease = Arc::default();
        Self::new(snapshot, seen, backend, Some(Vec::new()))
    }

    fn new(snapshot: Snapshot, seen: i64, backend: Backend, statements: Option<Vec<Statement>>) -> Self {
        Self {
            snapshot,
            backend,
            seen,
            statements,
            ids: HashMap::new(),
            changes: HashSet::new(),
            change_list: Vec::new(),
            reshaped: BTreeMap::new(),
            schema_changed: false,
            counted: BTreeSet::new(),
            sequence_starts: HashMap::new(),
        }
    }

    fn committing(&self) -> bool {
        self.statements.is_some()
    }

    fn push(&mut self, statement: Statement) {
        if let Some(statements) = &mut self.statements {
            statements.push(statement);
        }
    }

    /// A new row: `into` is the table with the columns that have values.
    fn emit_row(&mut self, into: &'static str, values: Vec<Value>) {
        self.push(Statement::Row { into: into.into(), values });
    }

    fn emit(&mut self, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) {
        self.push(Statement::Other(Write::new(sql, params)));
    }

    /// A row that must be there exactly so often, or somebody else has changed it.
    fn emit_exactly(&mut self, rows: u64, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) {
        self.push(Statement::Other(Write::new(sql, params).affecting(rows)));
    }

    fn changed(&mut self, change: Change) {
        if self.changes.insert(change.clone()) {
            self.change_list.push(change);
        }
    }

    /// Rows of files are deleted. DuckDB lets its own small deletes stand beside `deleted_from_table`, even of the same rows of
    /// the same file, which it cannot read any more then; beside `inlined_delete` it does not.
    fn deleted_from(&mut self, table: i64) {
        self.changed(Change::DeletedFrom(table));
        self.changed(Change::InlinedDelete(table));
    }

    /// The real id of an id in an op: itself, unless the transaction made the thing.
    pub fn real(&self, id: i64) -> i64 {
        self.ids.get(&id).copied().unwrap_or(id)
    }

    /// An id of the catalog's own sequence for a new schema, table or view.
    fn catalog_id(&mut self, provisional: i64) -> i64 {
        if !self.committing() {
            return provisional;
        }
        let id = self.snapshot.next_catalog_id;
        self.snapshot.next_catalog_id += 1;
        self.ids.insert(provisional, id);
        id
    }

    fn file_id(&mut self, provisional: i64) -> i64 {
        if !self.committing() {
            return provisional;
        }
        let id = self.snapshot.next_file_id;
        self.snapshot.next_file_id += 1;
        self.ids.insert(provisional, id);
        id
    }

    fn table(&self, id: i64) -> Result<Arc<TableState>> {
        let id = self.real(id);
        self.snapshot.tables.get(&id).cloned().ok_or_else(|| {
            Error::conflict("a table that this transaction changes was dropped by another one").with_hint(AGAIN)
        })
    }

    fn put_table(&mut self, table: TableState) {
        self.snapshot.tables.insert(table.id, Arc::new(table));
    }

    pub fn apply(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::CreateSchema { id, uuid, name } => self.create_schema(*id, *uuid, name),
            Op::DropSchema { id } => self.drop_schema(*id),
            Op::RenameSchema { id, new, uuid, name } => self.rename_schema(*id, *new, *uuid, name),
            Op::Comment { id, comment } => self.comment(*id, comment.as_deref()),
            Op::SetAccess { id, expected, access } => self.set_access(*id, expected.as_ref(), access),
            Op::CommentViewColumn { id, place, comment } => self.comment_view_column(*id, *place, comment.as_deref()),
            Op::SetFunction { id, schema_id, name, macros, definitions } => {
                self.set_function(*id, *schema_id, name, macros, definitions)
            }
            Op::CreateTable { id, uuid, schema_id, name, columns, comment } => {
                self.create_table(*id, *uuid, *schema_id, name, columns, comment.as_deref())
            }
            Op::DropTable { id, along } => self.drop_table(*id, *along),
            Op::RenameTable { id, schema_id, name } => self.rename_table(*id, *schema_id, name),
            Op::AlterColumn { id, change } => self.alter_column(*id, change),
            Op::CommentTable { id, comment } => self.comment_table(*id, comment.as_deref()),
            Op::SetPartition { id, table, columns } => self.set_partition(*id, *table, columns),
            Op::SetSort { id, table, keys } => self.set_sort(*id, *table, keys),
            Op::SetRules { id, rules } => self.set_rules(*id, rules),
            Op::CreateView { id, uuid, schema_id, name, sql, comment } => {
                self.create_view(*id, *uuid, *schema_id, name, sql, comment.as_deref())
            }
            Op::DropView { id, along } => self.drop_view(*id, *along),
            Op::Reword { id, reword } => self.reword(*id, reword),
            Op::RenameView { id, schema_id, name } => self.rename_view(*id, *schema_id, name),
            Op::ReplaceView { id, sql } => self.replace_view(*id, sql),
            Op::AddFiles { table, files, row_ids_from } => self.add_files(*table, files, *row_ids_from),
            Op::AddDeletes { table, deletes } => self.add_deletes(*table, deletes),
            Op::EndFiles { table, files } => self.end_files(*table, files),
            Op::InsertInlined { table, holder, batches } => self.insert_inlined(*table, holder, batches),
            Op::EndInlined { table, rows } => self.end_inlined(*table, rows),
            Op::Rewrite { table, rewrite } => self.rewrite(*table, rewrite),
        }
    }

    /// Ends the commit. The totals of the tables it touched are left to [`total_statements`], once for a group.
    pub fn finish(mut self, note: &CommitNote) -> Finished {
        if self.schema_changed {
            self.snapshot.schema_version += 1;
        }
        let (id, version) = (self.snapshot.id, self.snapshot.schema_version);
        for (table, new_holder) in std::mem::take(&mut self.reshaped) {
            let Some(state) = self.snapshot.tables.get(&table) else { continue };
            let mut state = state.as_ref().clone();
            state.schema_version = version;
            self.emit_row(
                "ducklake_schema_versions (begin_snapshot, schema_version, table_id)",
                vec![id.into(), version.into(), table.into()],
            );
            // DuckDB looks for holders only when the schema's version has grown, so now is the time to make one.
            if new_holder && let Some((holder, sql)) = inlined::new_holder(&state, version, self.backend) {
                self.emit(sql, Vec::new());
                self.emit_row(
                    "ducklake_inlined_data_tables (table_id, table_name, schema_version)",
                    vec![table.into(), holder.as_str().into(), version.into()],
                );
                state.inlined_tables.push(holder);
            }
            self.put_table(state);
        }
        let mut told = HashSet::new();
        let words = self.change_list.iter().map(ToString::to_string).filter(|words| told.insert(words.clone()));
        let changes = words.collect::<Vec<_>>().join(",");
        self.emit_row(
            "ducklake_snapshot (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)",
            vec![
                id.into(),
                Value::Time(self.snapshot.committed_at),
                version.into(),
                self.snapshot.next_catalog_id.into(),
                self.snapshot.next_file_id.into(),
            ],
        );
        self.emit_row(
            "ducklake_snapshot_changes (snapshot_id, changes_made, author, commit_message)",
            vec![id.into(), Value::Text(changes), note.author.clone().into(), note.message.clone().into()],
        );
        Finished {
            snapshot: self.snapshot,
            statements: self.statements.unwrap_or_default(),
            changes: self.change_list,
            counted: self.counted,
        }
    }

    /// The changes so far, for the check against other commits.
    pub fn change_list(&self) -> &[Change] {
        &self.change_list
    }

    fn name_of(&self, schema_id: i64, name: &str) -> TableName {
        let schema = self.snapshot.schemas.get(&schema_id).map_or("", |schema| schema.name.as_str());
        TableName::new(schema, name)
    }
}

pub(crate) const AGAIN: &str = "run the transaction again";

/// Ends catalog rows of one kind: sets `end_snapshot` on the live row.
const END_SQL: &[(&str, &str)] = &[
    ("schema", "UPDATE ducklake_schema SET end_snapshot = $1 WHERE schema_id = $2 AND end_snapshot IS NULL"),
    ("table", "UPDATE ducklake_table SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL"),
    ("macro", "UPDATE ducklake_macro SET end_snapshot = $1 WHERE macro_id = $2 AND end_snapshot IS NULL"),
    ("view", "UPDATE ducklake_view SET end_snapshot = $1 WHERE view_id = $2 AND end_snapshot IS NULL"),
];

fn end_sql(kind: &str) -> &'static str {
    END_SQL.iter().find(|(name, _)| *name == kind).map_or("", |(_, sql)| sql)
}
