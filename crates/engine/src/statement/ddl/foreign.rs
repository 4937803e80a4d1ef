//! Foreign keys: from their definitions in SQL to the rules of a table, and what drops do about them.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    ConstraintReferenceMatchKind, DeferrableInitial, ForeignKeyConstraint, ObjectName, ReferentialAction,
};
use polder_lake::{ForeignKey, Key, Reference, ReferenceAction, TableName, TableRules, TableState, Transaction};
use polder_types::{Error, Result};

use super::super::Context;
use super::super::names::fold;
use super::super::temporary::is_temporary;
use super::rules::{free_name, no_deferral};
use crate::authz::Readable;
use crate::authz::rights::REFERENCES;
use crate::system::pg_catalog::types;

/// A foreign key whose columns are known by name only, since its table is yet to be made.
#[derive(Debug)]
pub(super) struct Foreign {
    name: Option<String>,
    columns: Vec<String>,
    table: ObjectName,
    /// None: the primary key.
    referenced: Vec<String>,
    on_delete: ReferenceAction,
    on_update: ReferenceAction,
    full: bool,
}

impl Foreign {
    /// `column`: the one that the constraint stands at.
    pub fn of(constraint: &ForeignKeyConstraint, name: Option<String>, column: Option<String>) -> Result<Self> {
        if let Some(given) = &constraint.characteristics {
            if given.enforced == Some(false) {
                return Err(Error::unsupported("FOREIGN KEY … NOT ENFORCED is not supported")
                    .with_hint("leave the foreign key out; joins need no declaration"));
            }
            let deferred = given.initially == Some(DeferrableInitial::Deferred);
            if given.deferrable == Some(true) || deferred {
                return Err(no_deferral());
            }
        }
        if constraint.index_name.is_some() {
            return Err(Error::unsupported("FOREIGN KEY with the name of an index is not supported")
                .with_hint("CONSTRAINT name FOREIGN KEY (columns) REFERENCES …"));
        }
        let full = match constraint.match_kind {
            None | Some(ConstraintReferenceMatchKind::Simple) => false,
            Some(ConstraintReferenceMatchKind::Full) => true,
            Some(ConstraintReferenceMatchKind::Partial) => {
                return Err(Error::unsupported("MATCH PARTIAL not yet implemented").with_hint("MATCH SIMPLE or FULL"));
            }
        };
        Ok(Self {
            name,
            columns: column.map_or_else(|| constraint.columns.iter().map(fold).collect(), |column| vec![column]),
            table: constraint.foreign_table.clone(),
            referenced: constraint.referred_columns.iter().map(fold).collect(),
            on_delete: action(constraint.on_delete),
            on_update: action(constraint.on_update),
            full,
        })
    }
}

fn action(given: Option<ReferentialAction>) -> ReferenceAction {
    match given {
        None | Some(ReferentialAction::NoAction) => ReferenceAction::NoAction,
        Some(ReferentialAction::Restrict) => ReferenceAction::Restrict,
        Some(ReferentialAction::Cascade) => ReferenceAction::Cascade,
        Some(ReferentialAction::SetNull) => ReferenceAction::SetNull,
        Some(ReferentialAction::SetDefault) => ReferenceAction::SetDefault,
    }
}

impl Context<'_> {
    /// Adds foreign keys to the rules of a table. Rows that are there are not looked at.
    pub(super) fn declare_foreign(
        &self,
        transaction: &mut Transaction,
        name: &TableName,
        foreign: Vec<Foreign>,
    ) -> Result<()> {
        for one in foreign {
            let parent = self.existing_name(&one.table, transaction.view())?;
            if transaction.view().view(&parent).is_some() {
                return Err(no_table(&parent));
            }
            let parent_state = super::rules::existing(transaction, &parent)?;
            if parent_state.rules.materialized.is_some() {
                return Err(no_table(&parent));
            }
            match (is_temporary(&name.schema), is_temporary(&parent.schema)) {
                (false, true) => return Err(mixed("permanent")),
                (true, false) => return Err(mixed("temporary")),
                _ => {}
            }
            let child = super::rules::existing(transaction, name)?;
            let mut rules = child.rules.as_ref().clone();
            let key = one.resolve(&rules, &child, &parent_state)?;
            self.may_refer(transaction, &parent, parent_state.id, &key.referenced)?;
            rules.foreign_keys.push(key);
            transaction.set_rules(name, rules)?;
            // Whoever drops it meanwhile, or its key, is in conflict.
            transaction.stand_on(&parent);
        }
        Ok(())
    }
}

impl Context<'_> {
    fn may_refer(&self, transaction: &Transaction, parent: &TableName, id: i64, columns: &[i64]) -> Result<()> {
        let rights = self.rights(transaction.view());
        if self.settings.who.superuser {
            return Ok(());
        }
        rights.use_schema(&parent.schema)?;
        match rights.columns_with(id, REFERENCES) {
            Readable::All => Ok(()),
            Readable::Columns(granted) if columns.iter().all(|column| granted.contains(column)) => Ok(()),
            _ => Err(rights.denied_on("table", parent, id, REFERENCES)),
        }
    }
}

impl Foreign {
    fn resolve(self, rules: &TableRules, child: &TableState, parent: &TableState) -> Result<ForeignKey> {
        let columns = ids(child, &self.columns)?;
        let referenced = match self.referenced.as_slice() {
            [] => {
                let key = parent.rules.primary_key().ok_or_else(|| {
                    Error::not_found(format!("there is no primary key for referenced table \"{}\"", parent.name))
                        .with_code("42704")
                        .with_hint("name its columns: REFERENCES table (columns)")
                })?;
                key.columns.clone()
            }
            given => ids(parent, given)?,
        };
        if columns.len() != referenced.len() {
            return Err(Error::invalid("number of referencing and referenced columns for foreign key disagree")
                .with_code("42830"));
        }
        if !parent.rules.keys.iter().any(|key| key.is_of(&referenced)) {
            return Err(Error::invalid(format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                parent.name
            ))
            .with_code("42830")
            .with_hint(format!("ALTER TABLE {} ADD UNIQUE (…)", parent.name)));
        }
        let default = format!("{}_{}_fkey", child.name, self.columns.join("_"));
        let name = free_name(rules, self.name, &default, &child.name)?;
        check_types(&name, (child, &columns), (parent, &referenced))?;
        let Self { on_delete, on_update, full, .. } = self;
        let computed = columns.iter().any(|column| rules.generated_of(*column).is_some());
        if computed && on_update.changes_rows() {
            return Err(computed_column("UPDATE"));
        }
        if computed && on_delete.changes_rows() && on_delete != ReferenceAction::Cascade {
            return Err(computed_column("DELETE"));
        }
        Ok(ForeignKey { name, columns, table: parent.uuid, referenced, on_delete, on_update, full, comment: None })
    }
}

fn computed_column(verb: &str) -> Error {
    let message = format!("invalid ON {verb} action for foreign key constraint containing generated column");
    Error::invalid(message).with_code("42601").with_hint("NO ACTION refuses the change")
}

fn no_table(name: &TableName) -> Error {
    Error::invalid(format!("referenced relation \"{}\" is not a table", name.table)).with_code("42809")
}

fn mixed(kind: &str) -> Error {
    Error::invalid(format!("constraints on {kind} tables may reference only {kind} tables")).with_code("42P16")
}

fn ids(table: &TableState, names: &[String]) -> Result<Vec<i64>> {
    let id = |name: &String| {
        let column = table.top_columns().find(|column| column.name == *name);
        column.map(|column| column.id).ok_or_else(|| {
            Error::not_found(format!("column \"{name}\" referenced in foreign key constraint does not exist"))
                .with_code("42703")
        })
    };
    names.iter().map(id).collect()
}

/// The types of both sides must be comparable, and no value of the one that refers may be lost in the other.
fn check_types(
    name: &str,
    (child, columns): (&TableState, &[i64]),
    (parent, referenced): (&TableState, &[i64]),
) -> Result<()> {
    let (own, theirs) = (child.schema(), parent.schema());
    for (from, to) in columns.iter().zip(referenced) {
        let of =
            |table: &TableState, id: i64| table.top_columns().find(|column| column.id == id).map(|c| c.name.clone());
        let (from, to) = (of(child, *from).unwrap_or_default(), of(parent, *to).unwrap_or_default());
        let internal = |error: arrow::error::ArrowError| Error::internal(error.to_string());
        let (own, theirs) =
            (own.field_with_name(&from).map_err(internal)?, theirs.field_with_name(&to).map_err(internal)?);
        if !comparable(own.data_type(), theirs.data_type()) {
            return Err(Error::invalid(format!("foreign key constraint \"{name}\" cannot be implemented"))
                .with_code("42804")
                .with_detail(format!(
                    "Key columns \"{from}\" and \"{to}\" are of incompatible types: {} and {}.",
                    title(own),
                    title(theirs)
                )));
        }
    }
    Ok(())
}

fn title(field: &arrow::datatypes::Field) -> &'static str {
    types::find(types::of_field(field).0).map_or("text", |(base, _)| base.title)
}

/// As PostgreSQL, which has operators for these pairs.
fn comparable(from: &DataType, to: &DataType) -> bool {
    let text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let moment = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Timestamp(..));
    let decimal = |kind: &DataType| matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..));
    from == to
        || (text(from) && text(to))
        || (moment(from) && moment(to))
        || (from.is_integer() && (to.is_integer() || decimal(to) || to.is_floating()))
        || (decimal(from) && (decimal(to) || to.is_floating()))
        || (from.is_floating() && to.is_floating())
}

const CASCADE: &str = "Use DROP ... CASCADE to drop the dependent objects too.";

/// Takes away the foreign keys that refer to a table which is about to be dropped, or refuses when there are any but its
/// own and those of tables that go together with it. Gives words about each that is taken away.
pub(in super::super) fn release(
    transaction: &mut Transaction,
    name: &TableName,
    cascade: bool,
    together: &[TableName],
) -> Result<Vec<String>> {
    let Some(table) = transaction.table(name) else { return Ok(Vec::new()) };
    let mut references = transaction.view().references_to(&table);
    references.retain(|reference| reference.child.id != table.id);
    let goes_along = |transaction: &Transaction, reference: &Reference| {
        together.contains(&transaction.view().name_of(&reference.child))
    };
    if let Some(first) = references.iter().find(|reference| !cascade && !goes_along(transaction, reference)) {
        return Err(Error::invalid(format!("cannot drop table {} because other objects depend on it", name.table))
            .with_code("2BP01")
            .with_detail(format!(
                "constraint {} on table {} depends on table {}",
                first.key.name, first.child.name, name.table
            ))
            .with_hint(CASCADE));
    }
    let mut dropped = Vec::new();
    for reference in &references {
        drop_foreign(transaction, reference)?;
        if !goes_along(transaction, reference) {
            dropped.push(words(reference));
        }
    }
    Ok(dropped)
}

fn words(reference: &Reference) -> String {
    format!("constraint {} on table {}", reference.key.name, reference.child.name)
}

fn drop_foreign(transaction: &mut Transaction, reference: &Reference) -> Result<()> {
    let child = transaction.view().name_of(&reference.child);
    let mut rules = super::rules::existing(transaction, &child)?.rules.as_ref().clone();
    rules.foreign_keys.retain(|key| key.name != reference.key.name);
    transaction.set_rules(&child, rules)
}

/// The same for the foreign keys that a table's keys no longer carry, since some of them are about to go.
/// `what`: as in `constraint p_pkey on table p`.
pub(super) fn release_keys(
    transaction: &mut Transaction,
    table: &TableState,
    kept: &[Key],
    what: &str,
    cascade: bool,
) -> Result<Vec<String>> {
    let mut references = transaction.view().references_to(table);
    references.retain(|reference| !kept.iter().any(|key| key.is_of(&reference.key.referenced)));
    if let (Some(first), false) = (references.first(), cascade) {
        return Err(Error::invalid(format!("cannot drop {what} because other objects depend on it"))
            .with_code("2BP01")
            .with_detail(format!("constraint {} on table {} depends on {what}", first.key.name, first.child.name))
            .with_hint(CASCADE));
    }
    references.iter().try_for_each(|reference| drop_foreign(transaction, reference))?;
    Ok(references.iter().map(words).collect())
}

/// The same for a column that is about to go.
pub(super) fn release_column(
    transaction: &mut Transaction,
    name: &TableName,
    column: &str,
    cascade: bool,
) -> Result<Vec<String>> {
    let Some(table) = transaction.table(name) else { return Ok(Vec::new()) };
    let Some(id) = table.top_columns().find(|known| known.name == column).map(|known| known.id) else {
        return Ok(Vec::new());
    };
    let kept: Vec<Key> = table.rules.keys.iter().filter(|key| !key.columns.contains(&id)).cloned().collect();
    release_keys(transaction, &table, &kept, &format!("column {column} of table {}", name.table), cascade)
}

/// Refuses to empty a table that others refer to, unless they are emptied too.
pub(super) fn check_emptied(transaction: &Transaction, all: &[TableName]) -> Result<()> {
    for name in all {
        let Some(table) = transaction.table(name) else { continue };
        for reference in transaction.view().references_to(&table) {
            let child = transaction.view().name_of(&reference.child);
            if !all.contains(&child) {
                return Err(Error::unsupported("cannot truncate a table referenced in a foreign key constraint")
                    .with_detail(format!("Table \"{}\" references \"{}\".", child.table, name.table))
                    .with_hint(format!(
                        "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                        child.table
                    )));
            }
        }
    }
    Ok(())
}

/// The tables that refer to any of some, and to those, and so on.
pub(super) fn referring(transaction: &Transaction, all: &[TableName]) -> Vec<TableName> {
    let mut found = all.to_vec();
    let mut at = 0;
    while let Some(name) = found.get(at).cloned() {
        at += 1;
        let Some(table) = transaction.table(&name) else { continue };
        for reference in transaction.view().references_to(&table) {
            let child = transaction.view().name_of(&reference.child);
            if !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found.split_off(all.len())
}
