//! Keys: no two rows of a table with the same values in them.
//!
//! A transaction checks the rows that it adds against the table as it sees it, and tells the committer which keys it
//! has added ([`Claim`]); two transactions that add the same key, without seeing each other, conflict there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::{RowConverter, SortField};
use polder_types::{Error, Result};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::model::TableState;
use crate::names::TableName;
use crate::references::ReferenceState;
use crate::rules::{Key, shown_key};
use crate::transaction::Transaction;

/// Keys that one transaction remembers for a table. Beyond that it conflicts with everybody who adds rows meanwhile.
const CLAIMED_MAX: usize = 1 << 20;

/// Rows whose keys are looked up one by one; the keys of more rows are compared by a scan of the table.
pub(crate) const LOOKED_UP_MAX: usize = 500;

/// The keys that a transaction adds to one table; `None`: too many to remember.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim(pub Option<Arc<HashSet<u128>>>);

impl Claim {
    pub fn none_added() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether both can stand: surely no key is in both.
    pub fn apart_from(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(ours), Some(theirs)) => ours.is_disjoint(theirs),
            // One that adds nothing cannot meet anything.
            (Some(keys), None) | (None, Some(keys)) => keys.is_empty(),
            (None, None) => false,
        }
    }

    fn and(self, hashes: Option<HashSet<u128>>) -> Self {
        let (Some(known), Some(hashes)) = (self.0, hashes) else { return Self(None) };
        if known.len() + hashes.len() > CLAIMED_MAX {
            return Self(None);
        }
        let mut all = Arc::unwrap_or_clone(known);
        all.extend(hashes);
        Self(Some(Arc::new(all)))
    }
}

/// Rows of a table whose keys are yet to be checked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unverified {
    /// Rows held back, from this batch on.
    Held(usize),
    /// Rows in files.
    Files,
}

/// What a transaction knows of the keys of its tables.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    unverified: BTreeMap<i64, Unverified>,
    claims: BTreeMap<i64, Claim>,
    pub references: ReferenceState,
}

impl KeyState {
    pub fn held(&mut self, table: &TableState, from: usize) {
        if !table.rules.keys.is_empty() {
            // What a statement that failed has left here may lie behind rows that come now.
            if let Unverified::Held(known) = self.unverified.entry(table.id).or_insert(Unverified::Held(from)) {
                *known = from.min(*known);
            }
        }
        self.references.held(table, from);
    }

    pub fn files(&mut self, table: &TableState) {
        if !table.rules.keys.is_empty() {
            self.unverified.insert(table.id, Unverified::Files);
        }
        self.references.files(table);
    }

    /// Rows held back go to a file: what was not checked among them is checked there.
    pub fn settled(&mut self, table: i64) {
        if let Some(unverified) = self.unverified.get_mut(&table) {
            *unverified = Unverified::Files;
        }
        self.references.settled(table);
    }

    /// Rows were rewritten, with the keys that they had.
    pub fn kept(&mut self, table: &TableState) {
        if !table.rules.keys.is_empty() {
            self.claims.entry(table.id).or_insert_with(Claim::none_added);
        }
    }

    pub fn claims(&self) -> Vec<(i64, Claim)> {
        self.claims.iter().map(|(table, claim)| (*table, claim.clone())).collect()
    }
}

impl Transaction {
    /// Has the keys of all rows of a table checked, as after a new key was declared; foreign keys too.
    ///
    /// # Errors
    /// As [`Transaction::verify_keys`].
    pub async fn recheck_keys(&mut self, name: &TableName) -> Result<()> {
        if let Some(table) = self.table(name) {
            self.settle_table(table.id).await?;
            self.keys.files(&table);
            self.keys.references.all(&table);
        }
        self.verify_unique().await.map_err(not_unique)?;
        self.verify_references().await
    }

    /// Checks the keys of all rows added since the last time, and foreign keys.
    ///
    /// # Errors
    /// As [`Transaction::verify_unique`] and [`Transaction::verify_references`].
    pub async fn verify_keys(&mut self) -> Result<()> {
        self.verify_unique().await?;
        self.verify_references().await
    }

    /// Checks the keys of all rows added since the last time.
    ///
    /// # Errors
    /// `AlreadyExists` with SQLSTATE 23505, naming the key and the row.
    pub async fn verify_unique(&mut self) -> Result<()> {
        for (id, unverified) in std::mem::take(&mut self.keys.unverified) {
            let Some(table) = self.view().tables.get(&id).cloned() else { continue };
            for index in 0..table.rules.keys.len() {
                self.verify_key(&table, index, unverified).await?;
            }
        }
        Ok(())
    }

    async fn verify_key(&mut self, table: &Arc<TableState>, index: usize, unverified: Unverified) -> Result<()> {
        let key = &table.rules.keys[index];
        let columns = key_columns(table, key)?;
        let held = self.pending.get(&table.id).cloned().unwrap_or_default();
        let from = match unverified {
            Unverified::Held(from) => from.min(held.len()),
            Unverified::Files => 0,
        };
        let new = project(table, &held[from..], &columns)?;
        let name = self.view().name_of(table);
        let hashes = hashes(&held, &name, &columns, index, key)?;
        let keeper = self.lake().rule_keeper()?;
        let names: Vec<String> = columns.iter().map(|(_, name)| name.clone()).collect();
        let few = matches!(unverified, Unverified::Held(_)) && new.num_rows() <= LOOKED_UP_MAX;
        let found = if few {
            keeper.duplicate(self.view(), &name, &names, Some(&new)).await?
        } else {
            self.settle_table(table.id).await?;
            keeper.duplicate(self.view(), &name, &names, None).await?
        };
        if let Some(row) = found {
            return Err(duplicate(&name, key, &row, 0));
        }
        let claim = self.keys.claims.remove(&table.id).unwrap_or_else(Claim::none_added);
        self.keys.claims.insert(table.id, claim.and(few.then_some(hashes)));
        Ok(())
    }
}

fn duplicate(table: &TableName, key: &Key, keys: &RecordBatch, row: usize) -> Error {
    Error::new(
        polder_types::ErrorKind::AlreadyExists,
        format!("duplicate key value violates unique constraint {:?}", key.name),
    )
    .with_code("23505")
    .with_detail(format!("Key {} already exists.", shown_key(keys, row)))
    .with_hint("INSERT … ON CONFLICT DO UPDATE changes the row that is there")
    .of_table(&table.schema, &table.table)
    .of_constraint(&key.name)
}

/// What a key is refused with that the rows of its table do not have.
fn not_unique(error: Error) -> Error {
    let Some((subject, detail)) = error.subject().zip(error.detail()) else { return error };
    let name = subject.constraint.clone().unwrap_or_default();
    let (schema, table) = (subject.schema.clone().unwrap_or_default(), subject.table.clone().unwrap_or_default());
    Error::new(error.kind(), format!("could not create unique index {name:?}"))
        .with_code(error.code())
        .with_detail(detail.replace(" already exists.", " is duplicated."))
        .with_hint("remove the rows that are there twice")
        .of_table(schema, table)
        .of_constraint(name)
}

/// (place among the table's columns, name) of each column of a key.
pub(crate) fn key_columns(table: &TableState, key: &Key) -> Result<Vec<(usize, String)>> {
    key.columns
        .iter()
        .map(|id| {
            let column = table.top_columns().find(|column| column.id == *id);
            let at = column.and_then(|column| table.arrow_schema.index_of(&column.name).ok());
            match (column, at) {
                (Some(column), Some(at)) => Ok((at, column.name.clone())),
                _ => Err(Error::internal(format!("key {:?} of {} stands on a missing column", key.name, table.name))),
            }
        })
        .collect()
}

/// The key's columns of some batches, as one batch.
fn project(table: &TableState, batches: &[RecordBatch], columns: &[(usize, String)]) -> Result<RecordBatch> {
    let at: Vec<usize> = columns.iter().map(|(at, _)| *at).collect();
    let internal = |error: arrow::error::ArrowError| Error::internal(error.to_string());
    let schema = Arc::new(table.arrow_schema.project(&at).map_err(internal)?);
    let projected = batches.iter().map(|batch| batch.project(&at)).collect::<Result<Vec<_>, _>>().map_err(internal)?;
    arrow::compute::concat_batches(&schema, &projected).map_err(internal)
}

/// One hash for each key of the batches; refuses one that is there twice. Rows with a missing value have no key.
fn hashes(
    batches: &[RecordBatch],
    table: &TableName,
    columns: &[(usize, String)],
    index: usize,
    key: &Key,
) -> Result<HashSet<u128>> {
    let mut all = HashSet::new();
    for batch in batches {
        let arrays: Vec<ArrayRef> = columns.iter().map(|(at, _)| Arc::clone(batch.column(*at))).collect();
        for (row, hash) in row_hashes(&arrays, index as u64)?.into_iter().enumerate() {
            let Some(hash) = hash else { continue };
            if !all.insert(hash) {
                let at: Vec<usize> = columns.iter().map(|(at, _)| *at).collect();
                let keys = batch.project(&at).map_err(|error| Error::internal(error.to_string()))?;
                return Err(duplicate(table, key, &keys, row));
            }
        }
    }
    Ok(all)
}

/// A hash of 128 bits for each row: equal rows have equal ones, and others practically never. `None` for a row with a
/// missing value.
///
/// # Errors
/// For types that have no order.
pub fn row_hashes(arrays: &[ArrayRef], seed: u64) -> Result<Vec<Option<u128>>> {
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    let unsupported = |error: arrow::error::ArrowError| Error::unsupported(format!("a key of this type: {error}"));
    let converter = RowConverter::new(fields).map_err(unsupported)?;
    let rows = converter.convert_columns(arrays).map_err(unsupported)?;
    let missing = |row: usize| arrays.iter().any(|array| array.is_null(row));
    Ok((0..rows.num_rows())
        .map(|row| (!missing(row)).then(|| xxh3_128_with_seed(rows.row(row).as_ref(), seed)))
        .collect())
}
