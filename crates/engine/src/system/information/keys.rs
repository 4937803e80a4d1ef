//! What `information_schema` tells of keys, checks and sequences.

use polder_lake::TableState;

use super::{CATALOG, Cell, Rows, Table, standard_name};
use crate::system::pg_catalog::{directory, relations, types};

impl Table {
    /// The columns of each key of all tables: schema, table, key, column, and its place in the key from 1.
    fn each_key_column(&self, mut row: impl FnMut(&str, &TableState, &str, &str, i64)) {
        for table in self.snapshot.tables.values() {
            let schema = self.schema_of(table.schema_id);
            for key in &table.rules.keys {
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
                ]);
            }
        }
    }
}
