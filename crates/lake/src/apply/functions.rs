//! Functions, as macros of the catalog.

use std::sync::Arc;

use polder_types::{Error, Result};

use super::{AGAIN, Applier, end_sql};
use crate::changes::Change;
use crate::functions::{FunctionState, Macro, TAG};

impl Applier {
    /// All implementations of one name, in the place of those that it had.
    pub(super) fn set_function(
        &mut self,
        id: i64,
        schema_id: i64,
        name: &str,
        macros: &[Macro],
        definitions: &[String],
    ) -> Result<()> {
        let schema_id = self.real(schema_id);
        if !self.snapshot.schemas.contains_key(&schema_id) {
            return Err(Error::conflict("the schema was dropped by another transaction").with_hint(AGAIN));
        }
        let old = self.snapshot.functions.values().find(|known| known.schema_id == schema_id && known.name == name);
        let mut access = None;
        if let Some(old) = old.cloned() {
            access = self.snapshot.access(old.id).cloned();
            self.end_function(&old);
        }
        if macros.is_empty() {
            return Ok(());
        }
        let id = self.catalog_id(id);
        let state = FunctionState {
            id,
            schema_id,
            name: name.to_owned(),
            macros: macros.to_vec(),
            definitions: definitions.to_vec(),
        };
        self.emit_function(&state)?;
        self.move_access(access, id)?;
        let full = self.name_of(schema_id, name);
        self.changed(Change::CreatedMacro(full.schema, full.table, state.is_table()));
        Arc::make_mut(&mut self.snapshot.functions).insert(id, Arc::new(state));
        self.schema_changed = true;
        Ok(())
    }

    pub(super) fn end_function(&mut self, old: &FunctionState) {
        let at = self.snapshot.id;
        Arc::make_mut(&mut self.snapshot.functions).remove(&old.id);
        self.forget_access(old.id);
        self.emit_exactly(1, end_sql("macro"), vec![at.into(), old.id.into()]);
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND end_snapshot IS NULL",
            vec![at.into(), old.id.into()],
        );
        self.schema_changed = true;
        self.changed(Change::DroppedMacro(old.id, old.is_table()));
    }

    pub(super) fn emit_function(&mut self, state: &FunctionState) -> Result<()> {
        let at = self.snapshot.id;
        self.emit_row(
            "ducklake_macro (schema_id, macro_id, macro_name, begin_snapshot)",
            vec![state.schema_id.into(), state.id.into(), state.name.as_str().into(), at.into()],
        );
        for (number, body) in (0_i64..).zip(&state.macros) {
            let kind = if body.table { "table" } else { "scalar" };
            self.emit_row(
                "ducklake_macro_impl (macro_id, impl_id, dialect, \"sql\", \"type\")",
                vec![
                    state.id.into(),
                    number.into(),
                    body.dialect.as_str().into(),
                    body.sql.as_str().into(),
                    kind.into(),
                ],
            );
            for (column, parameter) in (0_i64..).zip(&body.parameters) {
                self.emit_row(
                    "ducklake_macro_parameters (macro_id, impl_id, column_id, parameter_name, parameter_type, default_value, default_value_type)",
                    vec![
                        state.id.into(),
                        number.into(),
                        column.into(),
                        parameter.name.as_str().into(),
                        parameter.data_type.as_str().into(),
                        parameter.default.as_deref().unwrap_or("NULL").into(),
                        parameter.default_type.as_str().into(),
                    ],
                );
            }
        }
        if !state.definitions.is_empty() {
            let tag = serde_json::to_string(&state.definitions).map_err(|error| Error::internal(error.to_string()))?;
            self.emit_row(
                "ducklake_tag (object_id, begin_snapshot, value, key)",
                vec![state.id.into(), at.into(), tag.into(), TAG.into()],
            );
        }
        Ok(())
    }
}
