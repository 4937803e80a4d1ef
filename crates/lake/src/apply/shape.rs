//! Schemas, tables, views and columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use polder_metastore::Value;
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::{AGAIN, Applier, end_sql};
use crate::changes::Change;
use crate::model::{ColumnState, Named, TableState, ViewState};
use crate::names::same_name;
use crate::schema::arrow_schema;

impl Applier {
    /// The schema that a new object goes into, and the proof that its name is free.
    ///
    /// DuckDB tells names apart without regard to case, and refuses a schema with two that it cannot.
    fn free_name(&self, schema_id: i64, name: &str, renamed: Option<Named>) -> Result<i64> {
        let schema_id = self.real(schema_id);
        if !self.snapshot.schemas.contains_key(&schema_id) {
            return Err(Error::conflict("the schema was dropped by another transaction").with_hint(AGAIN));
        }
        let mut others = self.snapshot.named_in(schema_id).filter(|(_, named)| Some(*named) != renamed);
        if let Some((taken, named)) = others.find(|(other, _)| same_name(other, name)) {
            let kind = if matches!(named, Named::Table(_)) { "table" } else { "view" };
            let full = self.name_of(schema_id, taken);
            let error = Error::new(ErrorKind::AlreadyExists, format!("{kind} {full} exists already"));
            return Err(if taken == name { error } else { error.with_hint(CASE) });
        }
        Ok(schema_id)
    }

    pub(super) fn create_table(
        &mut self,
        id: i64,
        uuid: Uuid,
        schema_id: i64,
        name: &str,
        columns: &[ColumnState],
        comment: Option<&str>,
    ) -> Result<()> {
        let schema_id = self.free_name(schema_id, name, None)?;
        let id = self.catalog_id(id);
        let path = directory(name, uuid);
        let begin_snapshot = self.snapshot.id;
        let columns: Vec<ColumnState> =
            columns.iter().map(|column| ColumnState { begin_snapshot, ..column.clone() }).collect();
        self.emit_table_row(id, uuid, schema_id, name, &path, true);
        for column in &columns {
            self.emit_column(id, column);
        }
        self.emit_tag(id, comment);
        for column in &columns {
            self.emit_column_tags(id, column);
        }
        let arrow_schema = arrow_schema(&columns)?;
        let next_column_id = 1 + columns.iter().map(|column| column.id).max().unwrap_or(0);
        self.put_table(TableState {
            id,
            uuid,
            schema_id,
            name: name.to_owned(),
            path,
            path_is_relative: true,
            begin_snapshot,
            schema_version: self.snapshot.schema_version + 1,
            comment: comment.map(str::to_owned),
            columns,
            arrow_schema,
            files: Arc::default(),
            record_count: 0,
            next_row_id: 0,
            file_size_bytes: 0,
            column_stats: BTreeMap::new(),
            inlined_tables: Vec::new(),
            inlined_version: begin_snapshot,
            inlined_read_at: begin_snapshot,
            inlined_ended: Arc::default(),
            inlined_deletes: Arc::default(),
            has_totals: false,
            next_column_id,
            unreadable: None,
            partition: None,
            sort: None,
            rules: Arc::default(),
        });
        self.snapshot.names.insert((schema_id, name.to_owned()), Named::Table(id));
        self.schema_changed = true;
        self.reshaped.insert(id, true);
        let full = self.name_of(schema_id, name);
        self.changed(Change::CreatedTable(full.schema, full.table));
        Ok(())
    }

    pub(super) fn emit_table_row(
        &mut self,
        id: i64,
        uuid: Uuid,
        schema_id: i64,
        name: &str,
        path: &str,
        relative: bool,
    ) {
        self.emit_row(
            "ducklake_table (table_id, table_uuid, begin_snapshot, schema_id, table_name, path, path_is_relative)",
            vec![
                id.into(),
                Value::Uuid(uuid),
                self.snapshot.id.into(),
                schema_id.into(),
                name.into(),
                path.into(),
                relative.into(),
            ],
        );
    }

    pub(super) fn emit_column(&mut self, table: i64, column: &ColumnState) {
        let text = |value: &Option<String>| value.clone().map_or(Value::Null, Value::Text);
        self.emit_row(
            "ducklake_column (column_id, begin_snapshot, table_id, column_order, column_name, column_type, initial_default, default_value, nulls_allowed, parent_column, default_value_type, default_value_dialect)",
            vec![
                column.id.into(),
                self.snapshot.id.into(),
                table.into(),
                column.order.into(),
                column.name.as_str().into(),
                column.ducklake_type.as_str().into(),
                text(&column.initial_default),
                text(&column.default_value),
                column.nullable.into(),
                column.parent.map_or(Value::Null, Value::Int),
                text(&column.default_value_type),
                text(&column.default_value_dialect),
            ],
        );
    }

    pub(super) fn drop_table(&mut self, id: i64, along: bool) -> Result<()> {
        if along && !self.snapshot.tables.contains_key(&self.real(id)) {
            return Ok(());
        }
        let table = self.table(id)?;
        let (id, at) = (table.id, self.snapshot.id);
        self.snapshot.tables.remove(&id);
        self.forget_access(id);
        self.snapshot.names.remove(&(table.schema_id, table.name.clone()));
        self.emit_exactly(1, end_sql("table"), vec![at.into(), id.into()]);
        for sql in [
            "UPDATE ducklake_column SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
            "UPDATE ducklake_data_file SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
            "UPDATE ducklake_delete_file SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND end_snapshot IS NULL",
            "UPDATE ducklake_column_tag SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
            "UPDATE ducklake_partition_info SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
            "UPDATE ducklake_sort_info SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
        ] {
            self.emit(sql, vec![at.into(), id.into()]);
        }
        self.counted.remove(&id);
        self.reshaped.remove(&id);
        self.schema_changed = true;
        self.changed(Change::DroppedTable(id));
        Ok(())
    }

    pub(super) fn rename_table(&mut self, id: i64, schema_id: i64, name: &str) -> Result<()> {
        let table = self.table(id)?;
        let schema_id = self.free_name(schema_id, name, Some(Named::Table(table.id)))?;
        self.snapshot.names.remove(&(table.schema_id, table.name.clone()));
        self.snapshot.names.insert((schema_id, name.to_owned()), Named::Table(table.id));
        let mut renamed = table.as_ref().clone();
        // Files are named below the directory of the schema that the table was made in.
        if renamed.schema_id != schema_id {
            return Err(Error::unsupported(format!("table {} cannot be moved to another schema", renamed.name))
                .with_hint("use CREATE TABLE … AS SELECT in the other schema, then DROP TABLE"));
        }
        renamed.schema_id = schema_id;
        renamed.name = name.to_owned();
        self.emit_exactly(1, end_sql("table"), vec![self.snapshot.id.into(), table.id.into()]);
        self.emit_table_row(table.id, table.uuid, schema_id, name, &renamed.path, renamed.path_is_relative);
        self.put_table(renamed);
        self.schema_changed = true;
        // DuckLake has no word for a rename: it is listed as the creation of the new name, and as an alteration.
        let full = self.name_of(schema_id, name);
        self.changed(Change::CreatedTable(full.schema, full.table));
        self.changed(Change::AlteredTable(table.id));
        Ok(())
    }

    pub(super) fn comment_table(&mut self, id: i64, comment: Option<&str>) -> Result<()> {
        let table = self.table(id)?;
        let mut commented = table.as_ref().clone();
        commented.comment = comment.map(str::to_owned);
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND key = 'comment' AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), table.id.into()],
        );
        self.emit_tag(table.id, comment);
        self.put_table(commented);
        self.schema_changed = true;
        self.changed(Change::AlteredTable(table.id));
        Ok(())
    }

    pub(super) fn emit_tag(&mut self, object: i64, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.emit_row(
                "ducklake_tag (object_id, begin_snapshot, value, key)",
                vec![object.into(), self.snapshot.id.into(), comment.into(), "comment".into()],
            );
        }
    }

    pub(super) fn create_view(
        &mut self,
        id: i64,
        uuid: Uuid,
        schema_id: i64,
        name: &str,
        sql: &str,
        comment: Option<&str>,
    ) -> Result<()> {
        let schema_id = self.free_name(schema_id, name, None)?;
        let id = self.catalog_id(id);
        let state = ViewState {
            id,
            uuid,
            schema_id,
            name: name.to_owned(),
            dialect: "polder".into(),
            sql: sql.to_owned(),
            column_aliases: String::new(),
            begin_snapshot: self.snapshot.id,
            comment: comment.map(str::to_owned),
            column_comments: BTreeMap::new(),
        };
        self.emit_view_row(&state);
        self.emit_tag(id, comment);
        self.snapshot.views.insert(id, Arc::new(state));
        self.snapshot.names.insert((schema_id, name.to_owned()), Named::View(id));
        self.schema_changed = true;
        let full = self.name_of(schema_id, name);
        self.changed(Change::CreatedView(full.schema, full.table));
        Ok(())
    }

    pub(super) fn emit_view_row(&mut self, view: &ViewState) {
        self.emit_row(
            "ducklake_view (view_id, view_uuid, begin_snapshot, schema_id, view_name, dialect, sql, column_aliases)",
            vec![
                view.id.into(),
                Value::Uuid(view.uuid),
                self.snapshot.id.into(),
                view.schema_id.into(),
                view.name.as_str().into(),
                view.dialect.as_str().into(),
                view.sql.as_str().into(),
                view.column_aliases.as_str().into(),
            ],
        );
    }

    pub(super) fn view_state(&self, id: i64) -> Result<Arc<ViewState>> {
        let id = self.real(id);
        let missing = || Error::conflict("the view was dropped by another transaction").with_hint(AGAIN);
        self.snapshot.views.get(&id).cloned().ok_or_else(missing)
    }

    pub(super) fn drop_view(&mut self, id: i64, along: bool) -> Result<()> {
        if along && !self.snapshot.views.contains_key(&self.real(id)) {
            return Ok(());
        }
        let view = self.view_state(id)?;
        self.snapshot.views.remove(&view.id);
        self.forget_access(view.id);
        self.snapshot.names.remove(&(view.schema_id, view.name.clone()));
        self.emit_exactly(1, end_sql("view"), vec![self.snapshot.id.into(), view.id.into()]);
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), view.id.into()],
        );
        self.schema_changed = true;
        self.changed(Change::DroppedView(view.id));
        Ok(())
    }

    pub(super) fn rename_view(&mut self, id: i64, schema_id: i64, name: &str) -> Result<()> {
        let view = self.view_state(id)?;
        let schema_id = self.free_name(schema_id, name, Some(Named::View(view.id)))?;
        let mut renamed = view.as_ref().clone();
        renamed.schema_id = schema_id;
        renamed.name = name.to_owned();
        self.snapshot.names.remove(&(view.schema_id, view.name.clone()));
        self.snapshot.names.insert((schema_id, name.to_owned()), Named::View(view.id));
        self.emit_exactly(1, end_sql("view"), vec![self.snapshot.id.into(), view.id.into()]);
        self.emit_view_row(&renamed);
        self.snapshot.views.insert(view.id, Arc::new(renamed));
        self.schema_changed = true;
        let full = self.name_of(schema_id, name);
        self.changed(Change::CreatedView(full.schema, full.table));
        self.changed(Change::AlteredView(view.id));
        Ok(())
    }

    /// Another query under the same id, on which everything that is known of the view hangs.
    pub(super) fn replace_view(&mut self, id: i64, sql: &str) -> Result<()> {
        let view = self.view_state(id)?;
        let mut replaced = view.as_ref().clone();
        replaced.dialect = "polder".into();
        replaced.sql = sql.to_owned();
        replaced.column_aliases = String::new();
        replaced.begin_snapshot = self.snapshot.id;
        self.emit_exactly(1, end_sql("view"), vec![self.snapshot.id.into(), view.id.into()]);
        self.emit_view_row(&replaced);
        self.snapshot.views.insert(view.id, Arc::new(replaced));
        self.schema_changed = true;
        let full = self.name_of(view.schema_id, &view.name);
        self.changed(Change::CreatedView(full.schema, full.table));
        self.changed(Change::AlteredView(view.id));
        Ok(())
    }
}

const CASE: &str = "names that differ in case only are one name to DuckDB, which reads this lake too";

/// A directory that says whose it is, and is nobody else's: a dropped table's files stay until they expire.
pub(super) fn directory(name: &str, uuid: Uuid) -> String {
    let plain = name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { format!("{name}-{}/", &uuid.simple().to_string()[24..]) } else { format!("{}/", uuid.simple()) }
}
