//! What `information_schema` tells of keys, foreign keys, checks and sequences.

use polder_lake::{Reference, TableState};

use super::columns::numeric;
use super::{CATALOG, Cell, Rows, Table, standard_name};
use crate::system::pg_catalog::{directory, relations, texts, types};

impl Table {
    /// The columns of each key of all tables: schema, table, key, column, and its place in the key from 1.
    fn each_key_column(&self, mut row: impl FnMut(&str, &TableState, &str, &str, i64)) {
        for table in self.snapshot.tables.values() {
            let schema = self.schema_of(table.schema_id);
            for key in table.rules.keys.iter().filter(|key| !key.index) {
                let name = |id: &i64| table.top_columns().find(|column| column.id == *id);
                for (place, column) in (1..).zip(key.columns.iter().filter_map(name)) {
                    row(schema, table, &key.name, &column.name, place);
                }
            }
        }
    }

    pub(super) fn key_columns(&self, rows: &mut Rows) {
        self.each_key_column(|schema, table, key, column, place| {
            rows.push([
                CATALOG.into(),
                schema.into(),
                key.into(),
                CATALOG.into(),
                schema.into(),
                table.name.as_str().into(),
                column.into(),
                Some(place).into(),
                Cell::Int(None),
            ]);
        });
        for reference in self.each_reference() {
            let (schema, table) = (self.schema_of(reference.child.schema_id), reference.child.name.as_str());
            let unique = reference.parent_key().map(|key| key.columns.as_slice()).unwrap_or_default();
            let columns = reference.columns();
            for ((place, column), referenced) in (1..).zip(&columns).zip(&reference.key.referenced) {
                let place_there = (1..).zip(unique).find(|(_, id)| *id == referenced).map(|(place, _)| place);
                rows.push([
                    CATALOG.into(),
                    schema.into(),
                    reference.key.name.as_str().into(),
                    CATALOG.into(),
                    schema.into(),
                    table.into(),
                    column.as_str().into(),
                    Some(place).into(),
                    place_there.into(),
                ]);
            }
        }
    }

    fn each_reference(&self) -> impl Iterator<Item = Reference> + '_ {
        self.snapshot.tables.values().flat_map(|table| self.snapshot.references_from(table))
    }

    pub(super) fn references(&self, rows: &mut Rows) {
        for reference in self.each_reference() {
            rows.push([
                CATALOG.into(),
                self.schema_of(reference.child.schema_id).into(),
                reference.key.name.as_str().into(),
                CATALOG.into(),
                self.schema_of(reference.parent.schema_id).into(),
                reference.parent_key().filter(|key| !key.index).map(|key| key.name.clone()).into(),
                if reference.key.full { "FULL" } else { "NONE" }.into(),
                texts::words(reference.key.on_update).into(),
                texts::words(reference.key.on_delete).into(),
            ]);
        }
    }

    pub(super) fn constraint_columns(&self, rows: &mut Rows) {
        self.each_key_column(|schema, table, key, column, _| {
            rows.push([
                CATALOG.into(),
                schema.into(),
                table.name.as_str().into(),
                column.into(),
                CATALOG.into(),
                schema.into(),
                key.into(),
            ]);
        });
        // Of a foreign key, the columns that it refers to.
        for reference in self.each_reference() {
            for column in reference.referenced() {
                rows.push([
                    CATALOG.into(),
                    self.schema_of(reference.parent.schema_id).into(),
                    reference.parent.name.as_str().into(),
                    column.as_str().into(),
                    CATALOG.into(),
                    self.schema_of(reference.child.schema_id).into(),
                    reference.key.name.as_str().into(),
                ]);
            }
        }
    }

    /// The table of each key, and that which a foreign key refers to.
    pub(super) fn constraint_tables(&self, rows: &mut Rows) {
        let mut push = |table: &TableState, schema: i64, name: &str| {
            rows.push([
                CATALOG.into(),
                self.schema_of(table.schema_id).into(),
                table.name.as_str().into(),
                CATALOG.into(),
                self.schema_of(schema).into(),
                name.into(),
            ]);
        };
        for table in self.snapshot.tables.values() {
            for key in table.rules.keys.iter().filter(|key| !key.index) {
                push(table, table.schema_id, &key.name);
            }
        }
        for reference in self.each_reference() {
            push(&reference.parent, reference.child.schema_id, &reference.key.name);
        }
    }

    pub(super) fn check_constraints(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            let schema = self.schema_of(table.schema_id);
            for check in &table.rules.checks {
                rows.push([CATALOG.into(), schema.into(), check.name.as_str().into(), check.sql.as_str().into()]);
            }
        }
    }

    pub(super) fn sequences(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            let schema = table.schema();
            for (_, identity, column) in directory::identities(table) {
                let Ok(field) = schema.field_with_name(&column.name) else { continue };
                let (least, greatest) = relations::range(types::of_field(field).0, identity.step);
                rows.push([
                    CATALOG.into(),
                    self.schema_of(table.schema_id).into(),
                    format!("{}_{}_seq", table.name, column.name).as_str().into(),
                    standard_name(field).as_str().into(),
                    identity.start.to_string().as_str().into(),
                    least.to_string().as_str().into(),
                    greatest.to_string().as_str().into(),
                    identity.step.to_string().as_str().into(),
                    "NO".into(),
                    numeric(field.data_type()).0.into(),
                ]);
            }
        }
    }
}
