//! The checks of foreign keys in a transaction's own view.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::error::ArrowError;
use polder_types::{Error, Result};

use super::{Broken, Reference, Unchecked};
use crate::compact::with_table;
use crate::keys::{LOOKED_UP_MAX, row_hashes};
use crate::model::{PROVISIONAL, Snapshot, TableState};
use crate::rules::values;
use crate::transaction::Transaction;

impl Transaction {
    /// Checks the foreign keys of all rows added since the last time, and those that refer to rows taken away.
    ///
    /// # Errors
    /// `InvalidInput` with SQLSTATE 23503, naming the foreign key and the values.
    pub async fn verify_references(&mut self) -> Result<()> {
        while let Some((id, unchecked)) = self.keys.references.unchecked.pop_first() {
            let Some(table) = self.view().tables.get(&id).cloned() else { continue };
            let references = self.view().references_from(&table);
            self.verify_rows(&table, &references, unchecked).await?;
            let last = self.provisional();
            self.keys.references.looked_at.insert(id, last);
        }
        while let Some(id) = self.keys.references.shrunk.pop_first() {
            let Some(table) = self.view().tables.get(&id).cloned() else { continue };
            for reference in self.view().references_to(&table) {
                self.verify_children(&reference).await?;
            }
        }
        Ok(())
    }

    async fn verify_rows(
        &mut self,
        table: &Arc<TableState>,
        references: &[Reference],
        unchecked: Unchecked,
    ) -> Result<()> {
        self.keys.references.promises.relied.extend(references.iter().map(|reference| reference.parent.id));
        let few = match unchecked {
            Unchecked::Held(from) => {
                references.iter().map(|reference| self.few(reference, from)).collect::<Result<Option<Vec<_>>>>()?
            }
            Unchecked::New | Unchecked::All => None,
        };
        if let Some(few) = few {
            for (reference, new) in references.iter().zip(&few) {
                self.look_up(reference, new).await?;
            }
            return Ok(());
        }
        self.settle_table(table.id).await?;
        for reference in references {
            self.settle_table(reference.parent.id).await?;
            let rows = match unchecked {
                Unchecked::All => Arc::clone(self.view()),
                Unchecked::Held(_) | Unchecked::New => self.with_new_files_only(table.id),
            };
            let found = self.lake().rule_keeper()?.broken(&rows, self.view(), reference).await?;
            if let Some(broken) = found {
                return Err(missing(reference, &broken));
            }
        }
        Ok(())
    }

    /// The view, with what this transaction has added to a table since it was looked at as all that is in it.
    fn with_new_files_only(&self, id: i64) -> Arc<Snapshot> {
        let Some(table) = self.view().tables.get(&id) else { return Arc::clone(self.view()) };
        let from = self.keys.references.looked_at.get(&id).copied().unwrap_or(PROVISIONAL);
        let mut part = table.as_ref().clone();
        part.files = Arc::new(table.files.iter().filter(|file| file.id > from).cloned().collect());
        part.inlined_tables.clear();
        Arc::new(with_table(self.view(), &Arc::new(part)))
    }

    /// The values of the rows held back from a batch on, in the types of the columns that they refer to; `None` when they
    /// are many, or when they do not stand there as they are compared.
    fn few(&self, reference: &Reference, from: usize) -> Result<Option<RecordBatch>> {
        let (child, parent) = (&reference.child, &reference.parent);
        let held = self.pending.get(&child.id).map(Vec::as_slice).unwrap_or_default();
        let held = &held[from.min(held.len())..];
        let rows: usize = held.iter().map(RecordBatch::num_rows).sum();
        let (own, referenced) = (places(child, &reference.key.columns)?, places(parent, &reference.key.referenced)?);
        if rows > LOOKED_UP_MAX || has_another_form(child, &own) || has_another_form(parent, &referenced) {
            return Ok(None);
        }
        let schema = child.arrow_schema.project(&own).map_err(internal)?;
        let new = held.iter().map(|batch| batch.project(&own)).collect::<Result<Vec<_>, _>>().map_err(internal)?;
        let new = arrow::compute::concat_batches(&Arc::new(schema), &new).map_err(internal)?;
        let schema = Arc::new(parent.arrow_schema.project(&referenced).map_err(internal)?);
        let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let typed = new.columns().iter().zip(&fields).map(|(array, field)| cast(array, field.data_type()));
        let typed: Vec<ArrayRef> = typed.collect::<Result<_, _>>().map_err(internal)?;
        // A value that the other type does not have, or has in part, is in no row of it.
        for (typed, given) in typed.iter().zip(new.columns()) {
            let back = cast(typed, given.data_type()).map_err(internal)?;
            if typed.null_count() != given.null_count() || back.as_ref() != given.as_ref() {
                return Ok(None);
            }
        }
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), typed).map(Some).map_err(internal)
    }

    async fn look_up(&self, reference: &Reference, new: &RecordBatch) -> Result<()> {
        let mixed = |row: usize| {
            let missing = new.columns().iter().filter(|column| column.is_null(row)).count();
            missing > 0 && missing < new.num_columns()
        };
        if reference.key.full && (0..new.num_rows()).any(mixed) {
            return Err(missing(reference, &Broken::Mixed));
        }
        let wanted = row_hashes(new.columns(), 0)?;
        let mut known: HashSet<u128> = HashSet::new();
        let parent = &reference.parent;
        let at = places(parent, &reference.key.referenced)?;
        for held in self.pending.get(&parent.id).map(Vec::as_slice).unwrap_or_default() {
            let held = held.project(&at).map_err(internal)?;
            known.extend(row_hashes(held.columns(), 0)?.into_iter().flatten());
        }
        if wanted.iter().flatten().all(|hash| known.contains(hash)) {
            return Ok(());
        }
        let (name, columns) = (self.view().name_of(parent), reference.referenced());
        for found in self.lake().rule_keeper()?.found(self.view(), &name, &columns, new).await? {
            let typed = found.columns().iter().zip(new.columns());
            let typed = typed.map(|(array, new)| cast(array, new.data_type()));
            let typed: Vec<ArrayRef> = typed.collect::<Result<_, _>>().map_err(internal)?;
            known.extend(row_hashes(&typed, 0)?.into_iter().flatten());
        }
        let absent = wanted.iter().position(|hash| hash.is_some_and(|hash| !known.contains(&hash)));
        match absent {
            Some(row) => Err(missing(reference, &Broken::Missing(values(new, row)))),
            None => Ok(()),
        }
    }

    async fn verify_children(&mut self, reference: &Reference) -> Result<()> {
        self.settle_table(reference.child.id).await?;
        self.settle_table(reference.parent.id).await?;
        let found = self.lake().rule_keeper()?.broken(self.view(), self.view(), reference).await?;
        let Some(Broken::Missing(values)) = found else { return Ok(()) };
        let (parent, child) = (&reference.parent.name, &reference.child.name);
        let schema = self.view().name_of(&reference.child).schema;
        let (name, columns) = (&reference.key.name, reference.referenced().join(", "));
        Err(Error::invalid(format!(
            "update or delete on table \"{parent}\" violates foreign key constraint \"{name}\" on table \"{child}\""
        ))
        .with_code("23503")
        .with_detail(format!("Key ({columns})=({values}) is still referenced from table \"{child}\"."))
        .of_table(schema, child)
        .of_constraint(name))
    }
}

fn missing(reference: &Reference, broken: &Broken) -> Error {
    let (child, name) = (&reference.child.name, &reference.key.name);
    let error =
        Error::invalid(format!("insert or update on table \"{child}\" violates foreign key constraint \"{name}\""))
            .with_code("23503");
    match broken {
        Broken::Mixed => error.with_detail("MATCH FULL does not allow mixing of null and nonnull key values."),
        Broken::Missing(values) => error.with_detail(format!(
            "Key ({})=({values}) is not present in table \"{}\".",
            reference.columns().join(", "),
            reference.parent.name
        )),
    }
}

/// Where columns stand in a table's batches.
fn places(table: &TableState, ids: &[i64]) -> Result<Vec<usize>> {
    ids.iter()
        .map(|id| {
            let column = table.top_columns().find(|column| column.id == *id);
            let at = column.and_then(|column| table.arrow_schema.index_of(&column.name).ok());
            at.ok_or_else(|| Error::internal(format!("a foreign key of {} stands on a missing column", table.name)))
        })
        .collect()
}

/// Whether a column is kept in another form than it is compared in.
fn has_another_form(table: &TableState, places: &[usize]) -> bool {
    let logical = table.schema();
    let differs = |at: &usize| {
        let stored = table.arrow_schema.field(*at).data_type();
        // Zero and minus zero are one value, with two hashes.
        stored.is_floating() || logical.field(*at).data_type() != stored
    };
    places.iter().any(differs)
}

fn internal(error: ArrowError) -> Error {
    Error::internal(error.to_string())
}
