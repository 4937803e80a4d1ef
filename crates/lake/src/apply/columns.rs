//! Columns.

use std::sync::Arc;

use arrow::datatypes::DataType;
use polder_types::{Error, ErrorKind, Result};

use super::Applier;
use crate::changes::Change;
use crate::ddl::{AlterColumn, ColumnSpec};
use crate::declared;
use crate::model::{ColumnState, TableState};
use crate::names::same_name;
use crate::schema::{self, column_rows, readable_schema, with_children};

impl Applier {
    /// What is kept about a new column beside its row.
    pub(super) fn emit_column_tags(&mut self, table: i64, column: &ColumnState) {
        self.emit_column_tag(table, column.id, "comment", column.comment.as_deref());
        self.emit_declared(table, column.id, column.declared.as_deref());
    }

    /// What the declaration of a column says. It is a tag of the table: DuckDB attaches no lake whose columns have tags other
    /// than comments.
    fn emit_declared(&mut self, table: i64, column: i64, declared: Option<&str>) {
        if let Some(declared) = declared {
            self.emit_row(
                "ducklake_tag (object_id, begin_snapshot, value, key)",
                vec![table.into(), self.snapshot.id.into(), declared.into(), declared::tag(column).into()],
            );
        }
    }

    fn end_declared(&mut self, table: i64, column: i64) {
        self.emit(
            "UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND key = $3 AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), table.into(), declared::tag(column).into()],
        );
    }

    fn emit_column_tag(&mut self, table: i64, column: i64, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.emit_row(
                "ducklake_column_tag (table_id, column_id, begin_snapshot, value, key)",
                vec![table.into(), column.into(), self.snapshot.id.into(), value.into(), key.into()],
            );
        }
    }

    pub(super) fn alter_column(&mut self, id: i64, change: &AlterColumn) -> Result<()> {
        let table = self.table(id)?;
        let mut altered = table.as_ref().clone();
        match change {
            AlterColumn::Add(spec) => self.add_column(&mut altered, spec)?,
            AlterColumn::Drop { name } => {
                let root = top_column(&altered, name)?.id;
                if altered.top_columns().count() == 1 {
                    return Err(Error::invalid(format!("column {name:?} is the only one of {}", altered.name))
                        .with_hint("drop the table instead"));
                }
                if altered.partition.iter().any(|partition| partition.columns.iter().any(|(_, id, _)| *id == root)) {
                    return Err(Error::invalid(format!("{} is partitioned by column {name:?}", altered.name))
                        .with_code("2BP01")
                        .with_hint("ALTER TABLE … RESET PARTITIONED BY"));
                }
                let gone = with_children(&altered.columns, root);
                for column in &gone {
                    self.end_column(table.id, *column);
                    self.end_declared(table.id, *column);
                }
                altered.columns.retain(|column| !gone.contains(&column.id));
                let rules = altered.rules.without_column(root);
                if rules != *altered.rules {
                    self.emit_rules(table.id, &rules)?;
                    altered.rules = Arc::new(rules);
                }
                self.move_column_access(table.id, root, None)?;
            }
            AlterColumn::Rename { name, to } => {
                if altered.top_columns().any(|column| column.name != *name && same_name(&column.name, to)) {
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("column {to:?} exists already"))
                        .with_code("42701"));
                }
                self.replace_column(&mut altered, name, |column| column.name = to.clone())?;
            }
            AlterColumn::Widen { name, data_type, declared } => {
                self.widen(&mut altered, name, data_type, declared.as_deref())?;
            }
            AlterColumn::Retype(spec) => self.retype(&mut altered, spec)?,
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
                self.end_column_tag(table.id, column, "comment");
                self.emit_column_tag(table.id, column, "comment", comment.as_deref());
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

    fn add_column(&mut self, table: &mut TableState, spec: &ColumnSpec) -> Result<()> {
        if table.top_columns().any(|column| same_name(&column.name, &spec.name)) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("column {:?} exists already", spec.name))
                .with_code("42701"));
        }
        let mut rows = self.new_column(table, spec, table.next_column_id)?;
        match (&spec.default, rows.first_mut()) {
            (Some(default), Some(row)) => row.initial_default = Some(default.clone()),
            _ if !spec.nullable && table.record_count > 0 => {
                return Err(Error::invalid(format!(
                    "column {:?} of relation {:?} contains null values",
                    spec.name, table.name
                ))
                .with_code("23502")
                .of_table(self.snapshot.name_of(table).schema, &table.name)
                .of_column(&spec.name)
                .with_hint("give it a DEFAULT for the rows that are there"));
            }
            _ => {}
        }
        self.put_columns(table, rows);
        Ok(())
    }

    /// The rows of a new column, with ids that no column of the table ever had.
    fn new_column(&mut self, table: &mut TableState, spec: &ColumnSpec, order: i64) -> Result<Vec<ColumnState>> {
        let field = arrow::datatypes::Field::new(&spec.name, schema::storable(&spec.data_type), spec.nullable);
        let mut rows = column_rows(&field, order, &mut table.next_column_id, self.snapshot.id)?;
        if let Some(row) = rows.first_mut() {
            row.comment.clone_from(&spec.comment);
            if spec.declared.is_some() {
                row.declared.clone_from(&spec.declared);
            }
            if let Some(default) = &spec.default {
                row.default_value = Some(default.clone());
            }
        }
        Ok(rows)
    }

    fn put_columns(&mut self, table: &mut TableState, rows: Vec<ColumnState>) {
        for row in &rows {
            self.emit_column(table.id, row);
            self.emit_column_tags(table.id, row);
        }
        table.columns.extend(rows);
    }

    fn widen(
        &mut self,
        table: &mut TableState,
        name: &str,
        data_type: &DataType,
        declared: Option<&str>,
    ) -> Result<()> {
        let wanted = schema::ducklake_type(&schema::storable(data_type))?;
        let column = top_column(table, name)?.clone();
        if !datafusion_ducklake::types::is_promotable(&column.ducklake_type, &wanted) {
            return Err(Error::unsupported(format!(
                "column {name:?} cannot become {wanted}: not every {} fits",
                column.ducklake_type
            ))
            .with_hint("use CREATE TABLE … AS SELECT with a CAST"));
        }
        if column.ducklake_type != wanted {
            self.replace_column(table, name, |column| column.ducklake_type = wanted)?;
        }
        if column.declared.as_deref() != declared {
            self.end_declared(table.id, column.id);
            self.emit_declared(table.id, column.id, declared);
            for row in table.columns.iter_mut().filter(|row| row.id == column.id) {
                row.declared = declared.map(str::to_owned);
            }
        }
        Ok(())
    }

    /// The old column goes, with its values; what stood on it stands on the new one.
    fn retype(&mut self, table: &mut TableState, spec: &ColumnSpec) -> Result<()> {
        let old = top_column(table, &spec.name)?.clone();
        if table.partition.iter().any(|partition| partition.columns.iter().any(|(_, id, _)| *id == old.id)) {
            return Err(Error::unsupported(format!("{} is partitioned by column {:?}", table.name, spec.name))
                .with_hint("ALTER TABLE … RESET PARTITIONED BY first"));
        }
        let gone = with_children(&table.columns, old.id);
        for column in &gone {
            self.end_column(table.id, *column);
            self.end_column_tag(table.id, *column, "comment");
            self.end_declared(table.id, *column);
        }
        // The place of a column in memory is that of its values too.
        let at = table.columns.iter().position(|column| column.id == old.id).unwrap_or(table.columns.len());
        table.columns.retain(|column| !gone.contains(&column.id));
        let rows = self.new_column(table, spec, old.order)?;
        let new = rows.first().map_or(old.id, |row| row.id);
        for row in &rows {
            self.emit_column(table.id, row);
            self.emit_column_tags(table.id, row);
        }
        table.columns.splice(at..at, rows);
        self.move_column_access(table.id, old.id, Some(new))?;
        let rules = table.rules.with_column(old.id, new);
        if rules != *table.rules {
            self.emit_rules(table.id, &rules)?;
            table.rules = Arc::new(rules);
        }
        Ok(())
    }

    fn end_column_tag(&mut self, table: i64, column: i64, key: &'static str) {
        self.emit(
            "UPDATE ducklake_column_tag SET end_snapshot = $1 WHERE table_id = $2 AND column_id = $3 AND key = $4 AND end_snapshot IS NULL",
            vec![self.snapshot.id.into(), table.into(), column.into(), key.into()],
        );
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
}

pub(crate) fn top_column<'a>(table: &'a TableState, name: &str) -> Result<&'a ColumnState> {
    table.top_columns().find(|column| column.name == name).ok_or_else(|| {
        let known = table.top_columns().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::not_found(format!("table {} has no column {name:?}", table.name))
            .with_code("42703")
            .with_hint(format!("its columns are {known}"))
    })
}
