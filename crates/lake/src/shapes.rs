//! What a transaction changes of the shape of things: schemas, tables, columns, views, functions, rules, layout.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use polder_types::{Error, ErrorKind, Result, limits};
use uuid::Uuid;

use crate::apply::{Op, Reword, top_column};
use crate::ddl::{AlterColumn, ColumnSpec};
use crate::functions::Macro;
use crate::model::{ColumnState, TableState};
use crate::names::{TableName, check_name};
use crate::partition::Transform;
use crate::rules::TableRules;
use crate::schema::{column_rows, storable};
use crate::transaction::Transaction;

impl Transaction {
    /// # Errors
    /// `AlreadyExists`.
    pub fn create_schema(&mut self, name: &str) -> Result<()> {
        check_name("schema", name)?;
        let id = self.provisional();
        self.record(Op::CreateSchema { id, uuid: Uuid::now_v7(), name: name.to_owned() })
    }

    /// Drops a schema, with everything in it when `cascade`.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` when something is in it.
    pub fn drop_schema(&mut self, name: &str, cascade: bool) -> Result<()> {
        let id = self.schema_id(name)?;
        let inside = self.view().names_in(name);
        let functions = self.view().functions.values().filter(|function| function.schema_id == id);
        let first = inside.first().or_else(|| functions.map(|function| &function.name).next());
        if let (Some(first), false) = (first, cascade) {
            return Err(Error::invalid(format!("schema {name:?} is not empty: it holds {first:?}"))
                .with_code("2BP01")
                .with_hint("use DROP SCHEMA … CASCADE"));
        }
        for inner in inside {
            let full = TableName::new(name, inner);
            if self.view().table(&full).is_some() { self.drop_table(&full)? } else { self.drop_view(&full)? }
        }
        self.record(Op::DropSchema { id })
    }

    /// # Errors
    /// `NotFound`, `AlreadyExists`.
    pub fn rename_schema(&mut self, name: &str, to: &str) -> Result<()> {
        check_name("schema", to)?;
        let id = self.schema_id(name)?;
        let new = self.provisional();
        self.record(Op::RenameSchema { id, new, uuid: Uuid::now_v7(), name: to.to_owned() })?;
        self.keep_owner(new)
    }

    /// # Errors
    /// `NotFound`.
    pub fn comment_schema(&mut self, name: &str, comment: Option<String>) -> Result<()> {
        let id = self.schema_id(name)?;
        self.record(Op::Comment { id, comment })
    }

    /// # Errors
    /// `NotFound`.
    pub fn comment_view(&mut self, name: &TableName, comment: Option<String>) -> Result<()> {
        let id = self.view_id(name)?;
        self.record(Op::Comment { id, comment })
    }

    /// Words about a column of a view, by its place from 1.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn comment_view_column(&mut self, name: &TableName, place: i64, comment: Option<String>) -> Result<()> {
        let id = self.view_id(name)?;
        self.record(Op::CommentViewColumn { id, place, comment })
    }

    /// All implementations of a function's name, in the place of those that it had; none drops it.
    ///
    /// # Errors
    /// `NotFound` for the schema.
    pub fn set_function(&mut self, name: &TableName, macros: Vec<Macro>, definitions: Vec<String>) -> Result<()> {
        check_name("function", &name.table)?;
        let schema_id = self.schema_id(&name.schema)?;
        let id = self.provisional();
        let is_there = self.view().function(name).is_some() && !macros.is_empty();
        self.record(Op::SetFunction { id, schema_id, name: name.table.clone(), macros, definitions })?;
        if is_there { self.keep_owner(id) } else { Ok(()) }
    }

    /// Makes a table with the columns of an Arrow schema.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` for the schema, `Unsupported` for a type.
    pub fn create_table(&mut self, name: &TableName, schema: &Schema) -> Result<Arc<TableState>> {
        let columns: Vec<ColumnSpec> = schema
            .fields()
            .iter()
            .map(|field| ColumnSpec::new(field.name(), field.data_type().clone(), field.is_nullable()))
            .collect();
        self.create_table_with(name, &columns, None)
    }

    /// Makes a table.
    ///
    /// # Errors
    /// As [`Transaction::create_table`].
    pub fn create_table_with(
        &mut self,
        name: &TableName,
        columns: &[ColumnSpec],
        comment: Option<String>,
    ) -> Result<Arc<TableState>> {
        check_name("table", &name.table)?;
        let schema_id = self.schema_id(&name.schema)?;
        if columns.is_empty() {
            return Err(Error::invalid(format!("table {name} has no columns")).with_code("42P16"));
        }
        if columns.len() > limits::COLUMNS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("table {name} has {} columns", columns.len()))
                .with_code("54011")
                .with_hint(format!("a table has at most {} columns", limits::COLUMNS_MAX)));
        }
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        let mut next_id = 1;
        for spec in columns {
            check_name("column", &spec.name)?;
            if !seen.insert(spec.name.to_ascii_lowercase()) {
                return Err(Error::invalid(format!("column {:?} is named twice", spec.name)).with_code("42701"));
            }
            let field = Field::new(&spec.name, storable(&spec.data_type), spec.nullable);
            let order = next_id;
            let mut column = column_rows(&field, order, &mut next_id, self.view().id)?;
            if let Some(first) = column.first_mut() {
                first.comment.clone_from(&spec.comment);
                if spec.declared.is_some() {
                    first.declared.clone_from(&spec.declared);
                }
                if let Some(default) = &spec.default {
                    first.default_value = Some(default.clone());
                }
            }
            rows.extend(column);
        }
        let id = self.provisional();
        let (uuid, table) = (Uuid::now_v7(), name.table.clone());
        self.record(Op::CreateTable { id, uuid, schema_id, name: table, columns: rows, comment })?;
        self.existing(name)
    }

    /// # Errors
    /// `NotFound`.
    pub fn drop_table(&mut self, name: &TableName) -> Result<()> {
        let table = self.existing(name)?;
        self.pending.remove(&table.id);
        self.record(Op::DropTable { id: table.id, along: false })
    }

    /// # Errors
    /// `NotFound`, `AlreadyExists`, `Unsupported` for a move to another schema.
    pub fn rename_table(&mut self, name: &TableName, to: &TableName) -> Result<()> {
        check_name("table", &to.table)?;
        let id = self.existing(name)?.id;
        let schema_id = self.schema_id(&to.schema)?;
        self.record(Op::RenameTable { id, schema_id, name: to.table.clone() })
    }

    /// # Errors
    /// `NotFound`, `AlreadyExists`, `Unsupported`, by the change.
    pub async fn alter_column(&mut self, name: &TableName, change: AlterColumn) -> Result<()> {
        if let AlterColumn::Add(ColumnSpec { name, .. }) | AlterColumn::Rename { to: name, .. } = &change {
            check_name("column", name)?;
        }
        let table = self.existing(name)?;
        // Rows held back have the old shape.
        self.settle_table(table.id).await?;
        let retyped = match &change {
            AlterColumn::Retype(spec) => Some(top_column(&table, &spec.name)?.clone()),
            _ => None,
        };
        self.record(Op::AlterColumn { id: table.id, change })?;
        match retyped {
            Some(old) => self.refer_anew(name, &old),
            None => Ok(()),
        }
    }

    /// A column has another id: foreign keys that refer to it follow.
    fn refer_anew(&mut self, name: &TableName, old: &ColumnState) -> Result<()> {
        let table = self.existing(name)?;
        let new = top_column(&table, &old.name)?.id;
        for reference in self.view().references_to(&table) {
            let child = self.view().name_of(&reference.child);
            let mut rules = self.existing(&child)?.rules.as_ref().clone();
            for key in rules.foreign_keys.iter_mut().filter(|key| key.table == table.uuid) {
                key.referenced.iter_mut().filter(|id| **id == old.id).for_each(|id| *id = new);
            }
            self.set_rules(&child, rules)?;
        }
        Ok(())
    }

    /// # Errors
    /// `NotFound`.
    pub fn comment_table(&mut self, name: &TableName, comment: Option<String>) -> Result<()> {
        let id = self.existing(name)?.id;
        self.record(Op::CommentTable { id, comment })
    }

    /// New files of the table hold one partition each: by columns, or by what is taken of them. None ends it.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` for a column that cannot be partitioned by so.
    pub async fn set_partition(&mut self, name: &TableName, columns: &[(String, Transform)]) -> Result<()> {
        let table = self.existing(name)?;
        // Rows held back are written as the table is now.
        self.settle_table(table.id).await?;
        let keys = columns.iter().map(|(column, transform)| {
            let id = top_column(&table, column)?.id;
            let field = table.arrow_schema.field_with_name(column);
            transform.check(column, field.map_err(|error| Error::internal(error.to_string()))?.data_type())?;
            Ok((id, transform.name().to_owned()))
        });
        let columns = keys.collect::<Result<Vec<_>>>()?;
        let id = self.provisional();
        self.record(Op::SetPartition { id, table: table.id, columns })
    }

    /// The order that OPTIMIZE gives the rows: (column, descending, missing values first). None ends it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_sort(&mut self, name: &TableName, keys: &[(String, bool, bool)]) -> Result<()> {
        let table = self.existing(name)?;
        let keys = keys.iter().map(|(column, descending, nulls_first)| {
            top_column(&table, column)?;
            let direction = if *descending { "DESC" } else { "ASC" };
            let nulls = if *nulls_first { "NULLS_FIRST" } else { "NULLS_LAST" };
            Ok((format!("\"{}\"", column.replace('"', "\"\"")), direction.to_owned(), nulls.to_owned()))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let id = self.provisional();
        self.record(Op::SetSort { id, table: table.id, keys })
    }

    /// Replaces the table's keys, checks and the like. Rows that are there are not looked at.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_rules(&mut self, name: &TableName, rules: TableRules) -> Result<()> {
        let id = self.existing(name)?.id;
        self.record(Op::SetRules { id, rules: Arc::new(rules) })
    }

    /// # Errors
    /// `AlreadyExists`, `NotFound` for the schema.
    pub fn create_view(&mut self, name: &TableName, sql: &str, comment: Option<String>) -> Result<()> {
        check_name("view", &name.table)?;
        let schema_id = self.schema_id(&name.schema)?;
        let id = self.provisional();
        let (uuid, view, sql) = (Uuid::now_v7(), name.table.clone(), sql.to_owned());
        self.record(Op::CreateView { id, uuid, schema_id, name: view, sql, comment })
    }

    /// Gives a view another query. Who owns it and who may read it stays, and what is said about it and its columns.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn replace_view(&mut self, name: &TableName, sql: &str, comment: Option<String>) -> Result<()> {
        let Some(known) = self.view().view(name).cloned() else { return self.create_view(name, sql, comment) };
        self.record(Op::ReplaceView { id: known.id, sql: sql.to_owned() })?;
        match comment {
            Some(_) if comment != known.comment => self.comment_view(name, comment),
            _ => Ok(()),
        }
    }

    fn view_id(&self, name: &TableName) -> Result<i64> {
        let view = self.view().view(name);
        view.map(|view| view.id).ok_or_else(|| Error::not_found(format!("view {name} does not exist")))
    }

    /// # Errors
    /// `NotFound`.
    pub fn drop_view(&mut self, name: &TableName) -> Result<()> {
        let id = self.view_id(name)?;
        self.record(Op::DropView { id, along: false })
    }

    /// Drops a view or table with what it stands on. One that another transaction drops meanwhile is no conflict.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn drop_along(&mut self, name: &TableName) -> Result<()> {
        if let Some(id) = self.view().view(name).map(|view| view.id) {
            return self.record(Op::DropView { id, along: true });
        }
        let id = self.existing(name)?.id;
        self.pending.remove(&id);
        self.record(Op::DropTable { id, along: true })
    }

    /// Writes other names into the query of a view or materialized view, and again into what it has become at commit.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn reword(&mut self, name: &TableName, reword: Reword) -> Result<()> {
        let view = self.view().view(name).map(|view| view.id);
        let id = view.map_or_else(|| self.existing(name).map(|table| table.id), Ok)?;
        self.record(Op::Reword { id, reword })
    }

    /// # Errors
    /// `NotFound`, `AlreadyExists`.
    pub fn rename_view(&mut self, name: &TableName, to: &TableName) -> Result<()> {
        check_name("view", &to.table)?;
        let id = self.view_id(name)?;
        let schema_id = self.schema_id(&to.schema)?;
        self.record(Op::RenameView { id, schema_id, name: to.table.clone() })
    }
}
