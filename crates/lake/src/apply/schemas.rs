//! Schemas, and the words kept about them.

use std::sync::Arc;

use polder_metastore::Value;
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::shape::directory;
use super::{AGAIN, Applier, end_sql};
use crate::changes::Change;
use crate::model::{COLUMN_COMMENT, Named, SchemaState};
use crate::names::same_name;

impl Applier {
    pub(super) fn create_schema(&mut self, id: i64, uuid: Uuid, name: &str) -> Result<()> {
        if self.snapshot.schemas.values().any(|schema| same_name(&schema.name, name)) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("schema {name:?} exists already"))
                .with_code("42P06")
                .with_hint("use CREATE SCHEMA IF NOT EXISTS, or another name"));
        }
        let id = self.catalog_id(id);
        let path = directory(name, uuid);
        let begin_snapshot = self.snapshot.id;
        self.emit_row(
            "ducklake_schema (schema_id, schema_uuid, begin_snapshot, schema_name, path, path_is_relative)",
            vec![id.into(), Value::Uuid(uuid), begin_snapshot.into(), name.into(), path.as_str().into(), true.into()],
        );
        let state = SchemaState {
            id,
            uuid,
            name: name.to_owned(),
            path,
            path_is_relative: true,
            begin_snapshot,
            comment: None,
        };
        self.snapshot.schemas.insert(id, Arc::new(state));
        self.schema_changed = true;
        self.changed(Change::CreatedSchema(name.to_owned()));
        Ok(())
    }

    pub(super) fn drop_schema(&mut self, id: i64) -> Result<()> {
        let id = self.real(id);
        let Some(schema) = self.snapshot.schemas.get(&id) else {
            return Err(Error::conflict("the schema was dropped by another transaction").with_hint(AGAIN));
        };
        let inside = self.snapshot.names_in(&schema.name);
        if let Some(first) = inside.first() {
            // A table made meanwhile by somebody else is not swept away unseen.
            return Err(Error::conflict(format!("schema {:?} holds {first:?}", schema.name)).with_hint(AGAIN));
        }
        let functions: Vec<_> =
            self.snapshot.functions.values().filter(|function| function.schema_id == id).cloned().collect();
        for function in functions {
            self.end_function(&function);
        }
        self.snapshot.schemas.remove(&id);
        self.forget_access(id);
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), id.into()],
        );
        self.emit_exactly(1, end_sql("schema"), vec![self.snapshot.id.into(), id.into()]);
        self.schema_changed = true;
        self.changed(Change::DroppedSchema(id));
        Ok(())
    }
    /// The catalog has one row for a schema's id, so that what it was called stays known: the new name is a new schema, in
    /// the same directory, and everything moves there.
    pub(super) fn rename_schema(&mut self, id: i64, new: i64, uuid: Uuid, name: &str) -> Result<()> {
        let old = self.real(id);
        let Some(schema) = self.snapshot.schemas.get(&old).cloned() else {
            return Err(Error::conflict("the schema was dropped by another transaction").with_hint(AGAIN));
        };
        if self.snapshot.schemas.values().any(|known| known.id != old && same_name(&known.name, name)) {
            return Err(
                Error::new(ErrorKind::AlreadyExists, format!("schema {name:?} exists already")).with_code("42P06")
            );
        }
        let new = self.catalog_id(new);
        let at = self.snapshot.id;
        self.emit_exactly(1, end_sql("schema"), vec![at.into(), old.into()]);
        self.emit_row(
            "ducklake_schema (schema_id, schema_uuid, begin_snapshot, schema_name, path, path_is_relative)",
            vec![
                new.into(),
                Value::Uuid(uuid),
                at.into(),
                name.into(),
                schema.path.as_str().into(),
                schema.path_is_relative.into(),
            ],
        );
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND end_snapshot IS NULL",
            vec![at.into(), old.into()],
        );
        self.emit_tag(new, schema.comment.as_deref());
        self.snapshot.schemas.remove(&old);
        let access = self.snapshot.access(old).cloned();
        self.forget_access(old);
        let renamed =
            SchemaState { id: new, uuid, name: name.to_owned(), begin_snapshot: at, ..schema.as_ref().clone() };
        self.snapshot.schemas.insert(new, Arc::new(renamed));
        self.move_access(access, new)?;
        // Later changes of the same transaction may name the old id.
        self.ids.insert(old, new);
        self.schema_changed = true;
        self.changed(Change::DroppedSchema(old));
        self.changed(Change::CreatedSchema(name.to_owned()));
        self.move_contents(old, new)
    }

    fn move_contents(&mut self, old: i64, new: i64) -> Result<()> {
        let at = self.snapshot.id;
        let names: Vec<_> = self.snapshot.named_in(old).map(|(name, named)| (name.to_owned(), named)).collect();
        for (name, named) in names {
            self.snapshot.names.remove(&(old, name.clone()));
            self.snapshot.names.insert((new, name.clone()), named);
            match named {
                Named::Table(id) => {
                    let mut table = self.table(id)?.as_ref().clone();
                    table.schema_id = new;
                    self.emit_exactly(1, end_sql("table"), vec![at.into(), id.into()]);
                    self.emit_table_row(id, table.uuid, new, &name, &table.path, table.path_is_relative);
                    self.put_table(table);
                }
                Named::View(id) => {
                    let mut view = self.view_state(id)?.as_ref().clone();
                    view.schema_id = new;
                    self.emit_exactly(1, end_sql("view"), vec![at.into(), id.into()]);
                    self.emit_view_row(&view);
                    self.snapshot.views.insert(id, Arc::new(view));
                }
            }
        }
        let functions: Vec<_> =
            self.snapshot.functions.values().filter(|function| function.schema_id == old).cloned().collect();
        for function in functions {
            let access = self.snapshot.access(function.id).cloned();
            self.end_function(&function);
            let mut moved = function.as_ref().clone();
            moved.schema_id = new;
            moved.id = self.catalog_id(function.id);
            self.emit_function(&moved)?;
            self.move_access(access, moved.id)?;
            Arc::make_mut(&mut self.snapshot.functions).insert(moved.id, Arc::new(moved));
        }
        Ok(())
    }

    /// Words about a schema or a view.
    pub(super) fn comment(&mut self, id: i64, comment: Option<&str>) -> Result<()> {
        let id = self.real(id);
        let text = comment.map(str::to_owned);
        if let Some(schema) = self.snapshot.schemas.get(&id) {
            let mut commented = schema.as_ref().clone();
            commented.comment = text;
            self.snapshot.schemas.insert(id, Arc::new(commented));
        } else if let Some(view) = self.snapshot.views.get(&id) {
            let mut commented = view.as_ref().clone();
            commented.comment = text;
            self.snapshot.views.insert(id, Arc::new(commented));
            self.changed(Change::AlteredView(id));
        } else {
            return Err(Error::conflict("what is commented on was dropped by another transaction").with_hint(AGAIN));
        }
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND key = 'comment' AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), id.into()],
        );
        self.emit_tag(id, comment);
        self.schema_changed = true;
        Ok(())
    }

    /// Words about a column of a view, by its place from 1: a tag of the view.
    pub(super) fn comment_view_column(&mut self, id: i64, place: i64, comment: Option<&str>) -> Result<()> {
        let mut view = self.view_state(id)?.as_ref().clone();
        let (id, at, key) = (view.id, self.snapshot.id, format!("{COLUMN_COMMENT}{place}"));
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND key = $3 AND end_snapshot IS NULL",
            vec![at.into(), id.into(), key.as_str().into()],
        );
        match comment {
            Some(comment) => {
                self.emit_row(
                    "ducklake_tag (object_id, begin_snapshot, value, key)",
                    vec![id.into(), at.into(), comment.into(), key.into()],
                );
                view.column_comments.insert(place, comment.to_owned());
            }
            None => {
                view.column_comments.remove(&place);
            }
        }
        self.snapshot.views.insert(id, Arc::new(view));
        self.changed(Change::AlteredView(id));
        self.schema_changed = true;
        Ok(())
    }
}
