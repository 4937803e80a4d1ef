//! What `information_schema` tells of functions, and of what views read.

use super::{CATALOG, Cell, Rows, Table};
use crate::system::pg_catalog::{oids, programs, views_read};

/// A function's name that no other has, as PostgreSQL makes it.
pub(super) fn specific_name(name: &str, id: i64, place: usize) -> String {
    format!("{name}_{}", oids::of(id, place as i64))
}

impl Table {
    pub(super) fn routines(&self, rows: &mut Rows) {
        for program in programs::made_here(&self.world) {
            let Some(function) = program.id.and_then(|id| self.snapshot.functions.get(&id)) else { continue };
            let place = program.place;
            let Some(known) = function.macros.get(place) else { continue };
            let definition = function.definitions.get(place).unwrap_or(&known.sql);
            let schema = self.schema_of(function.schema_id);
            rows.push([
                CATALOG.into(),
                schema.into(),
                specific_name(&function.name, function.id, place).as_str().into(),
                CATALOG.into(),
                schema.into(),
                function.name.as_str().into(),
                if program.gives_rows() { "record" } else { program.gives() }.into(),
                CATALOG.into(),
                "pg_catalog".into(),
                program.result_name().as_str().into(),
                definition.as_str().into(),
                if program.is_strict() { "YES" } else { "NO" }.into(),
            ]);
        }
    }

    pub(super) fn parameters(&self, rows: &mut Rows) {
        for program in programs::made_here(&self.world) {
            let Some(function) = program.id.and_then(|id| self.snapshot.functions.get(&id)) else { continue };
            for (number, parameter) in (1..).zip(program.parameters()) {
                let name = Some(parameter.name.clone()).filter(|name| !name.is_empty());
                rows.push([
                    CATALOG.into(),
                    self.schema_of(function.schema_id).into(),
                    specific_name(&function.name, function.id, program.place).as_str().into(),
                    Some(number).into(),
                    name.into(),
                    if parameter.title.ends_with("[]") { "ARRAY" } else { parameter.title.as_str() }.into(),
                    CATALOG.into(),
                    "pg_catalog".into(),
                    parameter.type_name().as_str().into(),
                    number.to_string().as_str().into(),
                    Cell::Text(parameter.default.clone()),
                ]);
            }
        }
    }

    pub(super) fn view_tables(&self, rows: &mut Rows) {
        for (view, read) in views_read(&self.world) {
            rows.push([
                CATALOG.into(),
                view.0.as_str().into(),
                view.1.as_str().into(),
                CATALOG.into(),
                read.0.as_str().into(),
                read.1.as_str().into(),
            ]);
        }
    }
}
