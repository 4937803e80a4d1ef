//! Schemas, tables, views and columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use polder_metastore::Value;
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::{AGAIN, Applier, end_sql};
use crate::changes::Change;
use crate::ddl::AlterColumn;
use crate::model::{ColumnState, Named, SchemaState, TableState, ViewState};
use crate::names::same_name;
use crate::schema::{self, arrow_schema, column_rows, readable_schema, with_children};

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
        let state = SchemaState { id, uuid, name: name.to_owned(), path, path_is_relative: true, begin_snapshot };
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
        self.snapshot.schemas.remove(&id);
        self.emit_exactly(1, end_sql("schema"), vec![self.snapshot.id.into(), id.into()]);
        self.schema_changed = true;
        self.changed(Change::DroppedSchema(id));
        Ok(())
    }

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
        for column in columns.iter().filter(|column| column.comment.is_some()) {
            self.emit_column_tag(id, column.id, column.comment.as_deref());
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

    fn emit_table_row(&mut self, id: i64, uuid: Uuid, schema_id: i64, name: &str, path: &str, relative: bool) {
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

    fn emit_column(&mut self, table: i64, column: &ColumnState) {
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

    pub(super) fn drop_table(&mut self, id: i64) -> Result<()> {
        let table = self.table(id)?;
        let (id, at) = (table.id, self.snapshot.id);
        self.snapshot.tables.remove(&id);
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

    fn emit_tag(&mut self, object: i64, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.emit_row(
                "ducklake_tag (object_id, begin_snapshot, value, key)",
                vec![object.into(), self.snapshot.id.into(), comment.into(), "comment".into()],
            );
        }
    }

    fn emit_column_tag(&mut self, table: i64, column: i64, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.emit_row(
                "ducklake_column_tag (table_id, column_id, begin_snapshot, value, key)",
                vec![table.into(), column.into(), self.snapshot.id.into(), comment.into(), "comment".into()],
            );
        }
    }

    pub(super) fn alter_column(&mut self, id: i64, change: &AlterColumn) -> Result<()> {
        let table = self.table(id)?;
        let mut altered = table.as_ref().clone();
        let at = self.snapshot.id;
        match change {
            AlterColumn::Add(spec) => {
                if altered.top_columns().any(|column| same_name(&column.name, &spec.name)) {
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("column {:?} exists already", spec.name))
                        .with_code("42701"));
                }
                let mut next_id = altered.next_column_id;
                let order = next_id;
                let field = arrow::datatypes::Field::new(&spec.name, schema::storable(&spec.data_type), spec.nullable);
                let mut rows = column_rows(&field, order, &mut next_id, at)?;
                if let (Some(default), Some(row)) = (&spec.default, rows.first_mut()) {
                    row.initial_default = Some(default.clone());
                    row.default_value = Some(default.clone());
                } else if !spec.nullable && (altered.record_count > 0) {
                    return Err(Error::invalid(format!("column {:?} is NOT NULL but has no default", spec.name))
                        .with_code("23502")
                        .with_hint("give it a DEFAULT for the rows that are there"));
                }
                for row in &rows {
                    self.emit_column(table.id, row);
                }
                altered.columns.extend(rows);
                altered.next_column_id = next_id;
            }
            AlterColumn::Drop { name } => {
                let root = top_column(&altered, name)?.id;
                if altered.top_columns().count() == 1 {
                    return Err(Error::invalid(format!("column {name:?} is the only one of {}", altered.name))
                        .with_hint("drop the table instead"));
                }
                let gone = with_children(&altered.columns, root);
                for column in &gone {
                    self.end_column(table.id, *column);
                }
                altered.columns.retain(|column| !gone.contains(&column.id));
                let rules = altered.rules.without_column(root);
                if rules != *altered.rules {
                    self.emit_rules(table.id, &rules)?;
                    altered.rules = Arc::new(rules);
                }
            }
            AlterColumn::Rename { name, to } => {
                if altered.top_columns().any(|column| column.name != *name && same_name(&column.name, to)) {
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("column {to:?} exists already"))
                        .with_code("42701"));
                }
                self.replace_column(&mut altered, name, |column| column.name = to.clone())?;
            }
            AlterColumn::Widen { name, data_type } => {
                let wanted = schema::ducklake_type(&schema::storable(data_type))?;
                let column = top_column(&altered, name)?;
                if !datafusion_ducklake::types::is_promotable(&column.ducklake_type, &wanted) {
                    return Err(Error::unsupported(format!(
                        "column {name:?} cannot become {wanted}: not every {} fits",
                        column.ducklake_type
                    ))
                    .with_hint("use CREATE TABLE … AS SELECT with a CAST"));
                }
                self.replace_column(&mut altered, name, |column| column.ducklake_type = wanted.clone())?;
            }
            AlterColumn::SetNullable { name, nullable } => {
                self.replace_column(&mut altered, name, |column| column.nullable = *nullable)?;
            }
            AlterColumn::SetDefault { name, default } => {
                self.replace_column(&mut altered, name, |column| {
                    column.default_value = Some(default.clone().unwrap_or_else(|| "NULL".into()));
                })?;
            }
            AlterColumn::Comment { name, comment } => {
                let column = top_column(&altered, name)?.id;
                self.emit(
                    "UPDATE ducklake_column_tag SET end_snapshot = $1 WHERE table_id = $2 AND column_id = $3 AND key = 'comment' AND end_snapshot IS NULL",
                    vec![at.into(), table.id.into(), column.into()],
                );
                self.emit_column_tag(table.id, column, comment.as_deref());
                for row in altered.columns.iter_mut().filter(|row| row.id == column) {
                    row.comment.clone_from(comment);
                }
            }
        }
        (altered.arrow_schema, altered.unreadable) = readable_schema(&altered.columns)?;
        self.schema_changed = true;
        if !matches!(change, AlterColumn::Comment { .. }) {
            altered.schema_version = self.snapshot.schema_version + 1;
            // Defaults and NOT NULL are nothing to a place for small rows.
            let physical = !matches!(change, AlterColumn::SetNullable { .. } | AlterColumn::SetDefault { .. });
            *self.reshaped.entry(table.id).or_default() |= physical;
        }
        self.put_table(altered);
        self.changed(Change::AlteredTable(table.id));
        Ok(())
    }

    fn end_column(&mut self, table: i64, column: i64) {
        self.emit_exactly(
            1,
            "UPDATE ducklake_column SET end_snapshot = $1 WHERE table_id = $2 AND column_id = $3 AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), table.into(), column.into()],
        );
    }

    fn replace_column(
        &mut self,
        table: &mut TableState,
        name: &str,
        edit: impl FnOnce(&mut ColumnState),
    ) -> Result<()> {
        let id = top_column(table, name)?.id;
        self.end_column(table.id, id);
        let at = self.snapshot.id;
        for column in table.columns.iter_mut().filter(|column| column.id == id) {
            column.begin_snapshot = at;
        }
        let Some(column) = table.columns.iter_mut().find(|column| column.id == id) else { return Ok(()) };
        edit(column);
        let edited = column.clone();
        self.emit_column(table.id, &edited);
        Ok(())
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

    fn emit_view_row(&mut self, view: &ViewState) {
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

    fn view_state(&self, id: i64) -> Result<Arc<ViewState>> {
        let id = self.real(id);
        let missing = || Error::conflict("the view was dropped by another transaction").with_hint(AGAIN);
        self.snapshot.views.get(&id).cloned().ok_or_else(missing)
    }

    pub(super) fn drop_view(&mut self, id: i64) -> Result<()> {
        let view = self.view_state(id)?;
        self.snapshot.views.remove(&view.id);
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
}

const CASE: &str = "names that differ in case only are one name to DuckDB, which reads this lake too";

fn top_column<'a>(table: &'a TableState, name: &str) -> Result<&'a ColumnState> {
    table.top_columns().find(|column| column.name == name).ok_or_else(|| {
        let known = table.top_columns().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::not_found(format!("table {} has no column {name:?}", table.name))
            .with_code("42703")
            .with_hint(format!("its columns are {known}"))
    })
}

/// A directory that says whose it is, and is nobody else's: a dropped table's files stay until they expire.
fn directory(name: &str, uuid: Uuid) -> String {
    let plain = name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { format!("{name}-{}/", &uuid.simple().to_string()[24..]) } else { format!("{}/", uuid.simple()) }
}
