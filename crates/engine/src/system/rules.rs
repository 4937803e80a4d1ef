//! `polder.constraints`: keys, foreign keys, checks, identities and indexes of all tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::Schema;
use polder_lake::{Snapshot, TableState};

use super::pg_catalog::texts;
use super::text;

pub(super) fn schema() -> Schema {
    Schema::new(vec![
        text("schema_name", false),
        text("table_name", false),
        text("name", true),
        text("kind", false),
        text("definition", false),
    ])
}

/// The names of some columns of a table, as a list in SQL.
fn columns(table: &TableState, ids: &[i64]) -> String {
    let name = |id: &i64| table.top_columns().find(|column| column.id == *id).map(|column| column.name.as_str());
    ids.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

/// (name, kind, definition) of each rule of a table.
fn rules(snapshot: &Snapshot, table: &TableState) -> Vec<(Option<String>, &'static str, String)> {
    let mut all = Vec::new();
    for key in &table.rules.keys {
        let (kind, word) = match (key.primary, key.index) {
            (true, _) => ("primary key", "PRIMARY KEY"),
            (false, false) => ("unique", "UNIQUE"),
            (false, true) => ("index", "UNIQUE INDEX"),
        };
        all.push((Some(key.name.clone()), kind, format!("{word} ({})", columns(table, &key.columns))));
    }
    for reference in snapshot.references_from(table) {
        let parent = snapshot.name_of(&reference.parent).to_string();
        let definition = texts::foreign(&parent, &reference);
        all.push((Some(reference.key.name), "foreign key", definition));
    }
    for check in &table.rules.checks {
        all.push((Some(check.name.clone()), "check", format!("CHECK ({})", check.sql)));
    }
    for identity in &table.rules.identities {
        let when = if identity.always { "ALWAYS" } else { "BY DEFAULT" };
        let column = columns(table, &[identity.column]);
        let (start, step) = (identity.start, identity.step);
        let definition = format!("{column} GENERATED {when} AS IDENTITY (START WITH {start} INCREMENT BY {step})");
        all.push((None, "identity", definition));
    }
    for default in &table.rules.defaults {
        all.push((None, "default", format!("{} DEFAULT {}", columns(table, &[default.column]), default.sql)));
    }
    for index in &table.rules.indexes {
        all.push((Some(index.name.clone()), "index", format!("INDEX ({})", columns(table, &index.columns))));
    }
    all
}

pub(super) fn rows(snapshot: &Snapshot) -> Vec<ArrayRef> {
    let mut builders: [StringBuilder; 5] = std::array::from_fn(|_| StringBuilder::new());
    for table in snapshot.tables.values() {
        let full = snapshot.name_of(table);
        for (name, kind, definition) in rules(snapshot, table) {
            let values =
                [Some(full.schema.as_str()), Some(&full.table), name.as_deref(), Some(kind), Some(&definition)];
            for (builder, value) in builders.iter_mut().zip(values) {
                builder.append_option(value);
            }
        }
    }
    builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect()
}
