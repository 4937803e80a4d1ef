//! Whether a table has only got more rows since a version, and which ones: what a materialized view needs to be refreshed
//! from the new rows alone.

use std::ops::Range;
use std::sync::Arc;

use polder_types::{Error, Result, SnapshotId};

use crate::changes::Change;
use crate::compact::with_table;
use crate::lake::Lake;
use crate::model::{DataFile, Snapshot, TableState};
use crate::mutate::has_implied_ids;
use crate::read::read_history;
use crate::rules::Source;
use crate::table::LakeTable;

/// What became of a table since it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Growth {
    /// It has the rows that it had.
    Same,
    /// It has rows with ids from `from` on besides; at most `rows` of them.
    Appended { from: i64, rows: i64 },
    /// Rows or columns are others; the words say how.
    Changed(String),
}

impl Lake {
    /// What became of tables between two versions, in the order of `sources`.
    ///
    /// # Errors
    /// When the metastore cannot be read.
    pub async fn growth(&self, since: SnapshotId, now: &Snapshot, sources: &[Source]) -> Result<Vec<Growth>> {
        let limit = u32::try_from(now.id - since).unwrap_or(u32::MAX);
        let history = read_history(self.metastore(), since, limit, false).await?;
        let whole = history.len() as u64 == now.id.abs_diff(since);
        let changes: Vec<&Change> = history.iter().flat_map(|info| &info.changes).collect();
        let of = |source: &Source| {
            let name = || now.tables.get(&source.table).map(|table| now.name_of(table).to_string()).unwrap_or_default();
            let Some(table) = now.tables.get(&source.table) else {
                return Growth::Changed("a table that it read is no more".into());
            };
            if !whole {
                return Growth::Changed(format!("versions since {since} have expired"));
            }
            let touching = changes.iter().filter(|change| change.table() == Some(source.table));
            for change in touching {
                match change {
                    Change::InsertedInto(_) | Change::InlinedInsert(_) => {}
                    // Rows that are moved keep their ids.
                    moved if moved.is_housekeeping() => {}
                    Change::AlteredTable(_) => return Growth::Changed(format!("{} was altered", name())),
                    _ => return Growth::Changed(format!("rows of {} were changed or deleted", name())),
                }
            }
            if changes.iter().any(|change| matches!(change, Change::Other(_))) {
                return Growth::Changed("another program made a change of an unknown kind".into());
            }
            match table.next_row_id - source.next_row_id {
                0 => Growth::Same,
                rows if rows > 0 => Growth::Appended { from: source.next_row_id, rows },
                _ => Growth::Changed(format!("the rows of {} count anew", name())),
            }
        };
        Ok(sources.iter().map(of).collect())
    }
}

impl Lake {
    /// Whether nobody but Polder's own refreshes has changed the rows of a materialized view since a version: DuckDB takes
    /// its table for any other.
    ///
    /// # Errors
    /// When the metastore cannot be read.
    pub async fn is_as_refreshed(&self, since: SnapshotId, now: &Snapshot, view: i64) -> Result<bool> {
        let limit = u32::try_from(now.id - since).unwrap_or(u32::MAX);
        let history = read_history(self.metastore(), since, limit, false).await?;
        Ok(history.iter().all(|info| {
            let of_view = |change: &&Change| change.table() == Some(view);
            let rows = |change: &Change| !change.is_housekeeping() && !matches!(change, Change::AlteredTable(_));
            // A refresh also writes down what it has read; making the view makes a table.
            let refresh = info
                .changes
                .iter()
                .any(|change| *change == Change::AlteredTable(view) || matches!(change, Change::CreatedTable(..)));
            refresh || !info.changes.iter().filter(of_view).any(rows)
        }))
    }
}

impl LakeTable {
    /// A table of which only files are read that may hold rows with ids in the range. It has the column `rowid` behind its
    /// own, and rows outside of the range too: whoever reads it filters by that.
    ///
    /// # Errors
    /// As [`LakeTable::open`].
    pub fn open_around(
        lake: &Arc<Lake>,
        snapshot: &Arc<Snapshot>,
        table: &Arc<TableState>,
        ids: &Range<i64>,
    ) -> Result<Self> {
        let may_hold = |file: &Arc<DataFile>| match file.row_id_start.filter(|_| has_implied_ids(file)) {
            Some(start) => start < ids.end && start.saturating_add(file.record_count) > ids.start,
            // The ids are in the file.
            None => true,
        };
        let name = snapshot.name_of(table);
        let mut part = table.as_ref().clone();
        part.files = Arc::new(table.files.iter().filter(|file| may_hold(file)).cloned().collect());
        let part = Arc::new(part);
        let snapshot = Arc::new(with_table(snapshot, &part));
        Self::open_with_row_ids(lake, &snapshot, name, &part)
    }
}

/// Columns that a materialized view keeps for itself, and what is left without them.
impl TableState {
    /// How many columns people see: all but those that a materialized view keeps for its next refresh.
    #[must_use]
    pub fn shown_columns(&self) -> usize {
        let hidden = self.rules.materialized.as_ref().map_or(0, |materialized| materialized.hidden.len());
        self.arrow_schema.fields().len().saturating_sub(hidden)
    }
}

/// Sources as they are now, for a view that has just read them.
///
/// # Errors
/// `Internal` for a table that is not there.
pub fn sources_of(snapshot: &Snapshot, tables: impl IntoIterator<Item = i64>) -> Result<Vec<Source>> {
    let mut tables: Vec<i64> = tables.into_iter().collect();
    tables.sort_unstable();
    tables.dedup();
    let of = |table: i64| {
        let state = snapshot.tables.get(&table).ok_or_else(|| Error::internal("a source that is not there"))?;
        Ok(Source { table, next_row_id: state.next_row_id })
    };
    tables.into_iter().map(of).collect()
}
