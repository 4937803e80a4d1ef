//! Foreign keys: the values of a row in some columns are those that a row of another table has in a key.
//!
//! A transaction checks the rows that it adds against the referenced table as it sees it, and what is left of a table
//! whose rows it takes away against the tables that refer to it. To the committer it tells which tables it relies on and
//! from which it has taken rows ([`Promises`]): two transactions that do both, without seeing each other, conflict there.

mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::changes::Change;
use crate::model::{Snapshot, TableState};
use crate::rules::Key;

/// Rows of this table refer to those of another. Tables and columns are named by what outlives a rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<i64>,
    /// The table that is referred to.
    pub table: Uuid,
    /// Its columns, in the order of `columns`.
    pub referenced: Vec<i64>,
    #[serde(default)]
    pub on_delete: ReferenceAction,
    #[serde(default)]
    pub on_update: ReferenceAction,
    /// MATCH FULL: values are missing in all of the columns or in none.
    #[serde(default)]
    pub full: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What becomes of rows when the one that they refer to goes, or gets another key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceAction {
    /// The change is refused.
    #[default]
    NoAction,
    /// The same, by another name: both are checked at the end of the statement.
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

impl ReferenceAction {
    /// Whether rows are changed instead of a change being refused.
    #[must_use]
    pub fn changes_rows(self) -> bool {
        !matches!(self, Self::NoAction | Self::Restrict)
    }
}

/// A foreign key with the tables on both of its sides, as one version of the lake has them.
#[derive(Debug, Clone)]
pub struct Reference {
    pub key: ForeignKey,
    pub child: Arc<TableState>,
    pub parent: Arc<TableState>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// No row has these values.
    Missing(String),
    /// Some of its values are missing and some are not, which MATCH FULL forbids.
    Mixed,
}

impl Reference {
    /// The names of the columns that refer.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        names(&self.child, &self.key.columns)
    }

    /// The key that is referred to.
    #[must_use]
    pub fn parent_key(&self) -> Option<&Key> {
        self.parent.rules.keys.iter().find(|key| key.is_of(&self.key.referenced))
    }

    /// The names of the columns that are referred to.
    #[must_use]
    pub fn referenced(&self) -> Vec<String> {
        names(&self.parent, &self.key.referenced)
    }
}

impl Key {
    /// Whether it is the key of these columns, in any order.
    #[must_use]
    pub fn is_of(&self, columns: &[i64]) -> bool {
        let own: BTreeSet<i64> = self.columns.iter().copied().collect();
        own == columns.iter().copied().collect() && self.columns.len() == columns.len()
    }
}

fn names(table: &TableState, ids: &[i64]) -> Vec<String> {
    let name = |id: &i64| table.top_columns().find(|column| column.id == *id).map(|column| column.name.clone());
    ids.iter().filter_map(name).collect()
}

fn has_all(table: &TableState, ids: &[i64]) -> bool {
    ids.iter().all(|id| table.top_columns().any(|column| column.id == *id))
}

impl Snapshot {
    /// The foreign keys of a table. One whose other side is gone, since another program has dropped it, is none any more.
    #[must_use]
    pub fn references_from(&self, table: &TableState) -> Vec<Reference> {
        let Some(child) = self.tables.get(&table.id) else { return Vec::new() };
        let of = |key: &ForeignKey| {
            let parent = self.tables.values().find(|parent| parent.uuid == key.table)?;
            let whole = has_all(child, &key.columns) && has_all(parent, &key.referenced);
            whole.then(|| Reference { key: key.clone(), child: Arc::clone(child), parent: Arc::clone(parent) })
        };
        child.rules.foreign_keys.iter().filter_map(of).collect()
    }

    /// The foreign keys that refer to a table, its own ones too.
    #[must_use]
    pub fn references_to(&self, table: &TableState) -> Vec<Reference> {
        let children =
            self.tables.values().filter(|child| child.rules.foreign_keys.iter().any(|key| key.table == table.uuid));
        let mut found: Vec<Reference> = children.flat_map(|child| self.references_from(child)).collect();
        found.retain(|reference| reference.parent.id == table.id);
        found
    }
}

/// What one transaction does to tables that foreign keys refer to, by their ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promises {
    /// It has added rows that refer to rows of these.
    relied: BTreeSet<i64>,
    /// It has taken rows, or keys of rows, from these.
    removed: BTreeSet<i64>,
}

impl Promises {
    /// Whether both can stand: none takes away what the other may rely on.
    pub fn apart_from(&self, other: &Self) -> bool {
        self.relied.is_disjoint(&other.removed) && self.removed.is_disjoint(&other.relied)
    }

    pub fn with_ids(&self, real: impl Fn(i64) -> i64) -> Self {
        let all = |ids: &BTreeSet<i64>| ids.iter().map(|id| real(*id)).collect();
        Self { relied: all(&self.relied), removed: all(&self.removed) }
    }

    /// What changes of another program come to, of which no more is known.
    pub fn guessed(changes: &[Change], snapshot: &Snapshot) -> Self {
        let mut guessed = Self::default();
        for change in changes {
            match change {
                Change::DeletedFrom(id) | Change::InlinedDelete(id) => {
                    guessed.removed.insert(*id);
                }
                Change::InsertedInto(id) | Change::InlinedInsert(id) => {
                    let Some(table) = snapshot.tables.get(id) else { continue };
                    let parents = snapshot.references_from(table).into_iter().map(|reference| reference.parent.id);
                    guessed.relied.extend(parents);
                }
                _ => {}
            }
        }
        guessed
    }
}

/// Rows of a table whose foreign keys are yet to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unchecked {
    /// Rows held back, from this batch on.
    Held(usize),
    /// Rows in files that this transaction has made.
    New,
    All,
}

/// What a transaction knows of the foreign keys of its tables.
#[derive(Debug, Default)]
pub(crate) struct ReferenceState {
    unchecked: BTreeMap<i64, Unchecked>,
    /// The last id when the new files of a table were looked at.
    looked_at: BTreeMap<i64, i64>,
    /// Tables that have lost rows, or keys of rows, since those that refer to them were looked at.
    shrunk: BTreeSet<i64>,
    promises: Promises,
}

impl ReferenceState {
    pub fn held(&mut self, table: &TableState, from: usize) {
        if !table.rules.foreign_keys.is_empty() {
            // What a statement that failed has left here may lie behind rows that come now.
            if let Unchecked::Held(known) = self.unchecked.entry(table.id).or_insert(Unchecked::Held(from)) {
                *known = from.min(*known);
            }
        }
    }

    pub fn files(&mut self, table: &TableState) {
        if !table.rules.foreign_keys.is_empty() {
            let unchecked = self.unchecked.entry(table.id).or_insert(Unchecked::New);
            if *unchecked != Unchecked::All {
                *unchecked = Unchecked::New;
            }
        }
    }

    /// Rows held back go to a file.
    pub fn settled(&mut self, table: i64) {
        if let Some(unchecked @ Unchecked::Held(_)) = self.unchecked.get_mut(&table) {
            *unchecked = Unchecked::New;
        }
    }

    /// Any row may be another than before.
    pub fn all(&mut self, table: &TableState) {
        if !table.rules.foreign_keys.is_empty() {
            self.unchecked.insert(table.id, Unchecked::All);
        }
        self.shrunk(table);
    }

    pub fn shrunk(&mut self, table: &TableState) {
        // What has no key is referred to by nothing.
        if !table.rules.keys.is_empty() {
            self.shrunk.insert(table.id);
            self.promises.removed.insert(table.id);
        }
    }

    pub fn promises(&self) -> Promises {
        self.promises.clone()
    }
}
