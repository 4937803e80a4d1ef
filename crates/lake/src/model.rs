//! The catalog at one snapshot, in memory.
//!
//! Everything is behind an `Arc`, so a transaction's own version of the catalog shares what it did not change.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion_ducklake::ColumnStat;
use polder_types::{Error, Result};
use uuid::Uuid;

use crate::access::Access;
use crate::functions::FunctionState;
use crate::names::TableName;
use crate::partition::Transform;
use crate::rules::TableRules;

/// Ids from here up belong to one transaction and are exchanged for real ones at commit.
pub const PROVISIONAL: i64 = 1 << 60;

/// One version of the whole lake: what every reader of that version sees.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: i64,
    pub committed_at: DateTime<Utc>,
    pub schema_version: i64,
    pub next_catalog_id: i64,
    pub next_file_id: i64,
    pub schemas: BTreeMap<i64, Arc<SchemaState>>,
    pub tables: BTreeMap<i64, Arc<TableState>>,
    pub views: BTreeMap<i64, Arc<ViewState>>,
    pub functions: Arc<BTreeMap<i64, Arc<FunctionState>>>,
    /// Who may do what, by the id of the thing.
    pub(crate) access: Arc<BTreeMap<i64, Arc<Access>>>,
    /// The newest version when this one was read: whatever other programs moved until then, it knows.
    pub(crate) read_at: i64,
    /// Held by everybody who reads this version, a transaction's own view of it too: its files must stay.
    pub(crate) lease: Arc<()>,
    /// (schema id, name) of every table and view.
    pub(crate) names: BTreeMap<(i64, String), Named>,
}

/// What a name in a schema stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Table(i64),
    View(i64),
}

#[derive(Debug, Clone)]
pub struct SchemaState {
    pub id: i64,
    pub uuid: Uuid,
    pub name: String,
    pub path: String,
    pub path_is_relative: bool,
    pub begin_snapshot: i64,
    pub comment: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ViewState {
    pub id: i64,
    pub uuid: Uuid,
    pub schema_id: i64,
    pub name: String,
    /// `polder` or `duckdb`.
    pub dialect: String,
    pub sql: String,
    pub column_aliases: String,
    pub begin_snapshot: i64,
    pub comment: Option<String>,
    /// Words about its columns, by their places from 1.
    pub column_comments: BTreeMap<i64, String>,
}

/// The name of the tag of a view that holds words about one of its columns, less the column's place.
pub(crate) const COLUMN_COMMENT: &str = "polder_comment:";

/// A table: its columns, its files, and what is known of their contents.
#[derive(Debug, Clone)]
pub struct TableState {
    pub id: i64,
    pub uuid: Uuid,
    pub schema_id: i64,
    pub name: String,
    pub path: String,
    pub path_is_relative: bool,
    pub begin_snapshot: i64,
    /// The lake's schema version when this table's columns last changed.
    pub schema_version: i64,
    pub comment: Option<String>,
    /// Nested fields too, parents before children.
    pub columns: Vec<ColumnState>,
    /// Top-level columns as Arrow fields; each carries its `PARQUET:field_id`, at every depth.
    /// As they are stored; [`TableState::schema`] says what they are to those who compute with them.
    pub arrow_schema: SchemaRef,
    /// Ascending by id.
    pub files: Arc<Vec<Arc<DataFile>>>,
    /// Rows ever added, deleted ones too, as DuckLake counts.
    pub record_count: i64,
    pub next_row_id: i64,
    /// Bytes of data files ever added.
    pub file_size_bytes: i64,
    pub column_stats: BTreeMap<i64, ColumnRange>,
    /// Tables of the metastore that hold small inserts.
    pub inlined_tables: Vec<String>,
    /// Grows whenever rows kept in the metastore change, so that a cache of them knows.
    pub inlined_version: i64,
    /// The newest version when `inlined_version` was read or made: DuckDB moves rows of old versions too.
    pub(crate) inlined_read_at: i64,
    /// Rows in the metastore that this transaction has deleted.
    pub(crate) inlined_ended: Arc<HashSet<(String, i64)>>,
    /// Positions that DuckDB has deleted by rows of the catalog, ascending, by data file.
    pub(crate) inlined_deletes: Arc<BTreeMap<i64, Vec<i64>>>,
    /// The catalog has a row of totals for this table.
    pub(crate) has_totals: bool,
    /// Greater than the id of every column that the table ever had.
    pub(crate) next_column_id: i64,
    /// Why the table cannot be read, if so: a column of a type that is not known here.
    pub unreadable: Option<String>,
    pub partition: Option<Arc<PartitionState>>,
    pub sort: Option<Arc<SortState>>,
    pub rules: Arc<TableRules>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnState {
    pub id: i64,
    pub order: i64,
    pub name: String,
    pub ducklake_type: String,
    pub initial_default: Option<String>,
    pub default_value: Option<String>,
    pub default_value_type: Option<String>,
    pub default_value_dialect: Option<String>,
    pub nullable: bool,
    pub parent: Option<i64>,
    pub begin_snapshot: i64,
    pub comment: Option<String>,
    /// What the declaration says beyond the type, such as `varchar(10)`.
    pub declared: Option<String>,
}

/// Bounds of one column over the whole table, as DuckLake keeps them. They may be wider than the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnRange {
    pub contains_null: Option<bool>,
    pub contains_nan: Option<bool>,
    pub min: Option<String>,
    pub max: Option<String>,
}

#[derive(Debug, Clone)]
pub struct DataFile {
    pub id: i64,
    pub begin_snapshot: i64,
    pub path: String,
    pub path_is_relative: bool,
    pub record_count: i64,
    pub file_size_bytes: i64,
    pub footer_size: Option<i64>,
    pub row_id_start: Option<i64>,
    pub partition_id: Option<i64>,
    pub partition_values: Vec<(i32, Option<String>)>,
    pub encryption_key: Option<String>,
    pub mapping_id: Option<i64>,
    pub partial_max: Option<i64>,
    pub column_stats: Vec<ColumnStat>,
    pub delete: Option<Arc<DeleteFile>>,
}

/// The rows of one data file that are gone. Positions are cumulative: one live delete file a data file.
#[derive(Debug, Clone)]
pub struct DeleteFile {
    pub id: i64,
    pub path: String,
    pub path_is_relative: bool,
    pub delete_count: i64,
    pub file_size_bytes: i64,
    pub footer_size: Option<i64>,
    pub encryption_key: Option<String>,
}

#[derive(Debug, Clone)]
pub struct PartitionState {
    pub id: i64,
    /// (key index, column id, transform)
    pub columns: Vec<(i64, i64, String)>,
}

#[derive(Debug, Clone)]
pub struct SortState {
    pub id: i64,
    /// (key index, expression, dialect, direction, null order)
    pub keys: Vec<(i64, String, String, String, String)>,
}

impl Snapshot {
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&Arc<SchemaState>> {
        self.schemas.values().find(|schema| schema.name == name)
    }

    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Arc<TableState>> {
        match self.named(name)? {
            Named::Table(id) => self.tables.get(&id),
            Named::View(_) => None,
        }
    }

    #[must_use]
    pub fn view(&self, name: &TableName) -> Option<&Arc<ViewState>> {
        match self.named(name)? {
            Named::View(id) => self.views.get(&id),
            Named::Table(_) => None,
        }
    }

    /// The function of a name, with all its implementations.
    #[must_use]
    pub fn function(&self, name: &TableName) -> Option<&Arc<FunctionState>> {
        let schema = self.schema(&name.schema)?.id;
        self.functions.values().find(|function| function.schema_id == schema && function.name == name.table)
    }

    pub(crate) fn named(&self, name: &TableName) -> Option<Named> {
        let schema = self.schema(&name.schema)?;
        self.names.get(&(schema.id, name.table.clone())).copied()
    }

    /// The full name of a table of this snapshot.
    #[must_use]
    pub fn name_of(&self, table: &TableState) -> TableName {
        let schema = self.schemas.get(&table.schema_id).map_or("", |schema| schema.name.as_str());
        TableName::new(schema, &table.name)
    }

    /// The snapshot without some schemas and what is in them; `None` if there are none of them.
    #[must_use]
    pub fn without_schemas(&self, hidden: impl Fn(&str) -> bool) -> Option<Self> {
        let ids: HashSet<i64> =
            self.schemas.values().filter(|schema| hidden(&schema.name)).map(|schema| schema.id).collect();
        if ids.is_empty() {
            return None;
        }
        let mut fewer = self.clone();
        fewer.schemas.retain(|id, _| !ids.contains(id));
        fewer.tables.retain(|_, table| !ids.contains(&table.schema_id));
        fewer.views.retain(|_, view| !ids.contains(&view.schema_id));
        fewer.names.retain(|(schema, _), _| !ids.contains(schema));
        Some(fewer)
    }

    /// Names of one schema, with what they stand for, sorted.
    pub(crate) fn named_in(&self, schema: i64) -> impl Iterator<Item = (&str, Named)> {
        let range = self.names.range((schema, String::new())..(schema + 1, String::new()));
        range.map(|((_, name), named)| (name.as_str(), *named))
    }

    /// Names of tables and views of one schema, sorted.
    #[must_use]
    pub fn names_in(&self, schema: &str) -> Vec<String> {
        let Some(schema) = self.schema(schema) else { return Vec::new() };
        self.named_in(schema.id).map(|(name, _)| name.to_owned()).collect()
    }
}

impl TableState {
    /// The id that its object ids are made from: its own, or the one that it had before it was moved.
    #[must_use]
    pub fn known_id(&self) -> i64 {
        self.rules.known_as.unwrap_or(self.id)
    }

    /// The top-level columns as those see them who compute with them: an interval that is kept as text is an interval.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        crate::logical::logical_schema(&self.arrow_schema)
    }

    /// Columns that are not inside another.
    pub fn top_columns(&self) -> impl Iterator<Item = &ColumnState> {
        self.columns.iter().filter(|column| column.parent.is_none())
    }

    /// Rows that the files hold, less those deleted from them. [`crate::Lake::row_count`] adds those kept in the
    /// metastore.
    #[must_use]
    pub fn file_rows(&self) -> i64 {
        let of_file = |file: &Arc<DataFile>| {
            let deleted = file.delete.as_ref().map_or(0, |delete| delete.delete_count);
            file.record_count - deleted - self.inlined_deletes_of(file.id).len() as i64
        };
        self.files.iter().map(of_file).sum()
    }

    /// Positions in one file that are deleted by rows of the catalog.
    pub(crate) fn inlined_deletes_of(&self, file: i64) -> &[i64] {
        self.inlined_deletes.get(&file).map_or(&[], Vec::as_slice)
    }

    /// Whether Polder can write into it as it is partitioned.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.partition.as_ref().is_none_or(|partition| {
            partition.columns.iter().all(|(_, _, transform)| Transform::parse(transform).is_some())
        })
    }

    /// Whether its files can be written anew: it is [readable and writable](Self::is_writable), and has no intervals as DuckDB
    /// keeps them, which Parquet's writer does not know. Polder's own are texts there.
    #[must_use]
    pub fn is_rewritable(&self) -> bool {
        self.is_writable()
            && self.unreadable.is_none()
            && self.columns.iter().all(|column| column.ducklake_type != "interval")
    }

    /// Refuses a table with a column of an unknown type.
    pub(crate) fn check_readable(&self) -> Result<()> {
        match &self.unreadable {
            None => Ok(()),
            Some(reason) => Err(Error::unsupported(format!("table {} cannot be read: {reason}", self.name))
                .with_hint("drop that column or change its type with DuckDB")),
        }
    }

    #[must_use]
    pub fn file(&self, id: i64) -> Option<&Arc<DataFile>> {
        self.files.binary_search_by_key(&id, |file| file.id).ok().map(|index| &self.files[index])
    }
}
