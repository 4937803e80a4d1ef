//! Tables: DuckLake 1.0 snapshots in memory, transactions over any number of tables, Parquet files.
//!
//! The life of a write: [`Lake::begin`] pins a [`Snapshot`]; a [`Transaction`] records changes and shows them to
//! its own reads at once; [`Transaction::commit`] hands the record to the one committer, which applies it to the
//! newest snapshot and runs it as one transaction of the metastore.
//!
//! The only crate that imports `datafusion-ducklake`.

mod access;
mod apply;
mod backup;
mod changes;
mod check;
mod committer;
mod compact;
mod conform;
mod ddl;
mod declared;
mod defaults;
mod delete_file;
mod deleted;
mod deleted_rows;
mod directories;
mod error;
mod expiry;
mod feed;
mod file_columns;
mod functions;
mod growth;
mod inlined;
mod keys;
mod lake;
mod leases;
mod logical;
mod model;
mod mutate;
mod names;
mod one_input;
mod orphans;
mod parquet_writer;
mod partition;
mod places;
mod policies;
mod provider;
mod read;
mod references;
mod rules;
mod scan;
mod scan_size;
mod schema;
mod scrub;
mod sealed;
mod shapes;
mod store;
mod table;
mod transaction;
mod travel;
mod vacuum;

pub use access::{Access, DefaultGrants, EVERYBODY, Grant, ThingKind, Unowned};
pub use apply::Reword;
pub use backup::{Backup, BackupFile, restore_backup};
pub use changes::{Change, SnapshotInfo};
pub use check::{CheckReport, Problem, ProblemKind};
pub use compact::{Compacted, Compaction, SortKey};
pub use conform::conform;
pub use ddl::{AlterColumn, ColumnSpec};
pub use declared::{DECLARED, TextLength};
pub use defaults::Defaults;
pub use error::explain_file_error;
pub use feed::TableChanges;
pub use functions::{FunctionState, Macro, MacroParameter};
pub use growth::{Growth, sources_of};
pub use keys::row_hashes;
pub use lake::{Lake, LakeOptions, Version};
pub use logical::{
    CATALOG_TYPE, EXTENSION, JSON, JSON_EXTENSION, JSON_LIST, JSONB, JSONB_LIST, interval_text, logical_batch,
    logical_schema,
};
pub use model::{ColumnState, DataFile, DeleteFile, PROVISIONAL, SchemaState, Snapshot, TableState, ViewState};
pub use mutate::{Keys, RowIds};
pub use names::TableName;
pub use orphans::Sweep;
pub use parquet_writer::{StagedFile, TableWriter};
pub use partition::Transform;
pub use policies::{Mask, Policies, PolicyCommand, RowPolicy};
pub use references::{Broken, ForeignKey, Reference, ReferenceAction};
pub use rules::{
    Check, ComputedDefault, Identity, IdentityPlace, Index, Key, Materialized, RowRule, RuleKeeper, Source, TableRules,
    values,
};
pub use scan_size::{ScanSize, scan_sizes};
pub use schema::{arrow_type, ducklake_type};
pub use scrub::Scrubbed;
pub use sealed::SealedExec;
pub use store::{TableStore, TablesLocation};
pub use table::{LakeTable, TransactionCell};
pub use transaction::{CommitReport, Savepoint, Transaction};
pub use vacuum::{Retain, Vacuumed};
