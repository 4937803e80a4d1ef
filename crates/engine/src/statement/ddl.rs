//! Statements that change the shape of things: schemas, tables, views, columns.

mod added;
mod columns;
mod comments;
mod computed;
mod constants;
mod create;
mod depend;
mod drops;
mod foreign;
mod functions;
mod indexes;
mod layout;
mod like;
mod materialized;
mod moves;
mod policies;
mod readers;
mod renames;
mod retype;
mod rules;
mod schemas;
mod told;
mod truncate;
mod view;

pub(super) use create::REPLACED;
pub(super) use drops::{drop_materialized, drop_schema, drop_table, drop_view};
pub(super) use foreign::release;
pub(super) use functions::drop_whole as drop_whole_function;
pub(crate) use layout::part as partition_part;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, CommentObject, DropBehavior, ObjectName, ObjectType,
    RenameTableNameKind, Statement,
};
use polder_lake::{AlterColumn, TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use self::policies::Becomes;
use self::told::Told;
use super::names::{fold, parts, schema_name, table_name};
use super::{Context, ended};
use crate::error::from_datafusion;
use crate::forms::not_there;
use crate::session::Outcome;
use columns::passed_over;
use drops::{is_materialized, wrong_kind};

impl Context<'_> {
    pub(super) async fn shape(&self, cell: &TransactionCell, statement: &Statement) -> Result<Outcome> {
        match statement {
            Statement::CreateTable(create) => self.create_table(cell, create).await,
            Statement::CreateView(create) => self.create_view(cell, create).await,
            Statement::CreateSchema { schema_name, if_not_exists, .. } => {
                self.create_schema(cell, statement, schema_name, *if_not_exists).await
            }
            Statement::Drop { object_type, if_exists, names, cascade, temporary, .. } => {
                if *temporary {
                    return Err(Error::unsupported("DROP TEMPORARY is not supported")
                        .with_hint("leave TEMPORARY out: temporary tables are found first"));
                }
                self.drop_all(cell, *object_type, *if_exists, names, *cascade).await
            }
            Statement::AlterTable(alter) => self.alter_table(cell, alter).await,
            Statement::CreateIndex(create) => self.create_index(cell, create).await,
            Statement::AlterIndex { name, operation } => self.alter_index(cell, name, operation).await,
            Statement::AlterSchema(alter) => self.alter_schema(cell, alter).await,
            Statement::CreateFunction(create) => self.create_function(cell, create).await,
            Statement::DropFunction(drop) => self.drop_function(cell, drop).await,
            Statement::Truncate(truncate) => self.truncate(cell, truncate).await,
            Statement::CreatePolicy(create) => self.create_policy(cell, create).await,
            Statement::AlterPolicy(alter) => self.alter_policy(cell, alter).await,
            Statement::DropPolicy(drop) => self.drop_policy(cell, drop).await,
            Statement::Comment { object_type, object_name, comment, if_exists } => {
                self.comment(cell, *object_type, object_name, comment.clone(), *if_exists).await
            }
            other => Err(not_there(other)),
        }
    }

    async fn drop_all(
        &self,
        cell: &TransactionCell,
        kind: ObjectType,
        if_exists: bool,
        names: &[ObjectName],
        cascade: bool,
    ) -> Result<Outcome> {
        let verb = match kind {
            ObjectType::Table => "DROP TABLE",
            ObjectType::View => "DROP VIEW",
            ObjectType::Schema => "DROP SCHEMA",
            ObjectType::MaterializedView => "DROP MATERIALIZED VIEW",
            ObjectType::Index => "DROP INDEX",
            other => return Err(Error::unsupported(format!("DROP {other} is not supported"))),
        };
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let mut outcome = Outcome::done(verb, None, transaction.base());
        let (path, mut went_along) = (self.settings.path.as_slice(), Vec::new());
        let together = match kind {
            ObjectType::Table => {
                names.iter().map(|name| self.existing_name(name, transaction.view())).collect::<Result<Vec<_>>>()?
            }
            _ => Vec::new(),
        };
        for name in names {
            let dropped = match kind {
                ObjectType::Schema => {
                    let name = schema_name(name)?;
                    if name == "public" {
                        return Err(Error::new(
                            ErrorKind::Forbidden,
                            "schema public stays, since names without a schema mean it",
                        ));
                    }
                    drop_schema(transaction, &name, cascade, path)
                }
                ObjectType::Index => self.drop_index(transaction, name).map(|()| Vec::new()),
                kind => {
                    let name = self.existing_name(name, transaction.view())?;
                    match kind {
                        ObjectType::Table => drop_table(transaction, &name, cascade, &together, path),
                        ObjectType::MaterializedView => drop_materialized(transaction, &name, cascade, path),
                        _ => drop_view(transaction, &name, cascade, path),
                    }
                }
            };
            match dropped {
                Err(error) if if_exists && error.kind() == ErrorKind::NotFound => {
                    let (what, name) = (kind.to_string().to_lowercase(), parts(name)?.pop().unwrap_or_default());
                    outcome = outcome.notice(format!("{what} {name:?} does not exist, skipping"));
                }
                other => went_along.extend(other?),
            }
        }
        Ok(drops::told(outcome, &went_along))
    }

    async fn comment(
        &self,
        cell: &TransactionCell,
        kind: CommentObject,
        name: &ObjectName,
        comment: Option<String>,
        if_exists: bool,
    ) -> Result<Outcome> {
        // An empty one is none, as with PostgreSQL.
        let comment = comment.filter(|text| !text.is_empty());
        let result = match kind {
            CommentObject::Column if self.extras.constraint => self.comment_constraint(cell, name, comment).await,
            CommentObject::Column => self.comment_column(cell, name, comment).await,
            kind => self.comment_thing(cell, kind, name, comment).await,
        };
        let done = Outcome::done("COMMENT", None, cell.lock().await.as_ref().ok_or_else(ended)?.base());
        match result {
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => {
                Ok(done.notice(format!("{}, skipping", error.message())))
            }
            other => other.map(|()| done),
        }
    }

    async fn comment_thing(
        &self,
        cell: &TransactionCell,
        kind: CommentObject,
        name: &ObjectName,
        comment: Option<String>,
    ) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        match kind {
            CommentObject::Schema => transaction.comment_schema(&schema_name(name)?, comment),
            CommentObject::Index => self.comment_index(transaction, name, comment),
            CommentObject::Table | CommentObject::View | CommentObject::MaterializedView => {
                let name = self.existing_name(name, transaction.view())?;
                let view = transaction.view().view(&name).is_some();
                let materialized = is_materialized(transaction, &name);
                match kind {
                    CommentObject::View if view => transaction.comment_view(&name, comment),
                    CommentObject::MaterializedView if materialized => transaction.comment_table(&name, comment),
                    CommentObject::View if transaction.table(&name).is_some() => {
                        Err(Error::invalid(format!("{name} is no view")).with_code("42809"))
                    }
                    CommentObject::Table if view || materialized => {
                        Err(Error::invalid(format!("{name} is no table")).with_code("42809"))
                    }
                    CommentObject::Table => transaction.comment_table(&name, comment),
                    _ => Err(Error::not_found(format!("view {name} does not exist"))),
                }
            }
            other => Err(Error::unsupported(format!("COMMENT ON {other} is not supported"))),
        }
    }

    async fn comment_column(&self, cell: &TransactionCell, name: &ObjectName, comment: Option<String>) -> Result<()> {
        let mut all = parts(name)?;
        let column = all.pop().unwrap_or_default();
        let (table, is_view) = {
            let guard = cell.lock().await;
            let seen = guard.as_ref().ok_or_else(ended)?.view();
            let table = match all.as_slice() {
                [table] => {
                    let bare = datafusion::sql::sqlparser::ast::Ident::with_quote('"', table);
                    self.existing_name(&ObjectName::from(vec![bare]), seen)?
                }
                [.., schema, table] => TableName::new(schema, table),
                [] => return Err(Error::invalid("COMMENT ON COLUMN needs table.column").with_code("42601")),
            };
            let is_view = seen.view(&table).is_some();
            (table, is_view)
        };
        let place = if is_view { Some(self.place_in_view(cell, &table, &column).await?) } else { None };
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        match place {
            Some(place) => transaction.comment_view_column(&table, place, comment),
            None => transaction.alter_column(&table, AlterColumn::Comment { name: column, comment }).await,
        }
    }

    /// Where a column stands among those of a view, from 1.
    async fn place_in_view(&self, cell: &TransactionCell, view: &TableName, column: &str) -> Result<i64> {
        let scope = self.writing_scope(cell).await?;
        let reference = TableReference::full("polder", view.schema.as_str(), view.table.as_str());
        let planned = scope.context().table(reference).await.map_err(from_datafusion)?;
        let place = planned.schema().fields().iter().position(|field| field.name() == column);
        place.and_then(|place| i64::try_from(place + 1).ok()).ok_or_else(|| {
            Error::not_found(format!("column {column:?} of view {view} does not exist")).with_code("42703")
        })
    }

    async fn alter_table(&self, cell: &TransactionCell, alter: &AlterTable) -> Result<Outcome> {
        let verb = self.extras.altered.unwrap_or("ALTER TABLE");
        let name = match self.known(&alter.name) {
            Err(error) if alter.if_exists && error.kind() == ErrorKind::NotFound => {
                let name = parts(&alter.name)?.pop().unwrap_or_default();
                let guard = cell.lock().await;
                let done = Outcome::done(verb, None, guard.as_ref().ok_or_else(ended)?.base());
                return Ok(done.notice(format!("relation {name:?} does not exist, skipping")));
            }
            known => known?,
        };
        {
            let guard = cell.lock().await;
            let transaction = guard.as_ref().ok_or_else(ended)?;
            let is_view = transaction.view().view(&name).is_some();
            if transaction.table(&name).is_none() && !is_view {
                let missing = Error::not_found(format!("table {name} does not exist"));
                if alter.if_exists {
                    return Ok(Outcome::done(verb, None, transaction.base())
                        .notice(format!("relation {:?} does not exist, skipping", name.table)));
                }
                return Err(missing);
            }
        }
        let mut current = name;
        let mut notices = Vec::new();
        for operation in &alter.operations {
            let table = cell.lock().await.as_ref().ok_or_else(ended)?.table(&current);
            notices.extend(table.into_iter().flat_map(|table| passed_over(&table, operation)));
            current = self.alter_one(cell, current, operation).await?;
        }
        let guard = cell.lock().await;
        let done = Outcome::done(verb, None, guard.as_ref().ok_or_else(ended)?.base());
        Ok(notices.into_iter().fold(done, Outcome::told))
    }

    /// One change; gives the name that the table has afterwards.
    async fn alter_one(
        &self,
        cell: &TransactionCell,
        name: TableName,
        operation: &AlterTableOperation,
    ) -> Result<TableName> {
        if self.has_layout() {
            self.set_layout(cell, &name).await?;
            return Ok(name);
        }
        if let AlterTableOperation::RenameTable { table_name: to } = operation {
            let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = to;
            // PostgreSQL takes a bare name here, which stays in the table's own schema.
            let to = match self.extras.set_schema {
                true => TableName::new(schema_name(to)?, &name.table),
                false => table_name(to, &name.schema)?,
            };
            let mut guard = cell.lock().await;
            moves::rename(guard.as_mut().ok_or_else(ended)?, &name, &to).await?;
            return Ok(to);
        }
        if let AlterTableOperation::SetOptionsParens { options } = operation {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            view::set_options(&self.settings.who, transaction, &name, options)?;
            let options: Vec<_> = options.iter().map(ToString::to_string).collect();
            self.tell(transaction, &name, Told::of("alter view", options.join(", ")));
            return Ok(name);
        }
        if let AlterTableOperation::SwapWith { table_name: other } = operation {
            self.swap(cell, &name, &self.known(other)?).await?;
            return Ok(name);
        }
        self.check_altered(cell, &name, operation).await?;
        if let (Some(change), AlterTableOperation::AlterColumn { column_name, .. }) = (&self.extras.mask, operation) {
            self.set_mask(cell, &name, &column(column_name), change).await?;
            return Ok(name);
        }
        if self.add_ruled(cell, &name, operation).await? {
            return Ok(name);
        }
        match operation {
            AlterTableOperation::EnableRowLevelSecurity
            | AlterTableOperation::DisableRowLevelSecurity
            | AlterTableOperation::ForceRowLevelSecurity
            | AlterTableOperation::NoForceRowLevelSecurity => {
                self.set_row_security(cell, &name, operation).await?;
                return Ok(name);
            }
            AlterTableOperation::AddConstraint { not_valid: true, .. } => {
                return Err(Error::unsupported("ALTER TABLE … ADD CONSTRAINT … NOT VALID is not supported")
                    .with_hint("leave NOT VALID out: the rows that are there must keep the constraint too"));
            }
            AlterTableOperation::AddConstraint { constraint, not_valid: false } => {
                self.add_constraint(cell, &name, constraint).await?;
                return Ok(name);
            }
            AlterTableOperation::AlterColumn {
                column_name,
                op: AlterColumnOperation::SetDataType { data_type, using, .. },
            } => {
                self.set_data_type(cell, &name, &column(column_name), data_type, using.as_ref()).await?;
                return Ok(name);
            }
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                self.rename_constraint(cell, &name, old_name, new_name).await?;
                return Ok(name);
            }
            AlterTableOperation::DropConstraint { if_exists, name: constraint, drop_behavior } => {
                let cascade = *drop_behavior == Some(DropBehavior::Cascade);
                self.drop_constraint(cell, &name, constraint, *if_exists, cascade).await?;
                return Ok(name);
            }
            _ => {}
        }
        self.change_columns_or_defaults(cell, &name, operation).await?;
        Ok(name)
    }

    async fn change_columns(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<()> {
        let cascade =
            matches!(operation, AlterTableOperation::DropColumn { drop_behavior: Some(DropBehavior::Cascade), .. });
        let changes = self.column_changes(cell, name, operation).await?;
        for change in self.with_generated(cell, name, changes, cascade).await? {
            let (renamed, dropped) = match &change {
                AlterColumn::Rename { name: old, to } => {
                    self.checks_without(cell, name, old, Some(to)).await?;
                    self.policies_without(cell, name, old, Becomes::Named(to)).await?;
                    (Some((old.clone(), to.clone())), false)
                }
                AlterColumn::Drop { name: old } => {
                    self.checks_without(cell, name, old, None).await?;
                    self.policies_without(cell, name, old, Becomes::Nothing { cascade }).await?;
                    (None, true)
                }
                _ => (None, false),
            };
            {
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                if let AlterColumn::Drop { name: column } = &change {
                    foreign::release_column(transaction, name, column, cascade)?;
                }
                transaction.alter_column(name, change).await?;
                if let Some((old, new)) = &renamed {
                    depend::keep_column(transaction, name, old, new)?;
                }
            }
            if renamed.is_some() {
                self.check_views(cell, name, false, "drop the view first, and make it again with the new name").await?;
            }
            if dropped {
                self.check_views(cell, name, cascade, "drop the view first, or use DROP COLUMN … CASCADE").await?;
            }
        }
        Ok(())
    }

    /// A materialized view has the columns of its query.
    async fn check_altered(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<()> {
        let guard = cell.lock().await;
        if !is_materialized(guard.as_ref().ok_or_else(ended)?, name) {
            return Ok(());
        }
        let text = operation.to_string();
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        Err(Error::invalid(format!("{name} is a materialized view, which takes no {}", words.join(" ")))
            .with_code("42809")
            .with_hint("DROP MATERIALIZED VIEW, and CREATE it with another query"))
    }

    /// Two tables change names, at once.
    async fn swap(&self, cell: &TransactionCell, one: &TableName, other: &TableName) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let aside = TableName::new(&one.schema, format!("{} (swapping {})", one.table, uuid::Uuid::now_v7().simple()));
        transaction.rename_table(one, &aside)?;
        transaction.rename_table(other, one)?;
        transaction.rename_table(&aside, other)?;
        // Grants stay with the tables: who may read what is found by these names is changed by it.
        self.tell(transaction, one, Told::of("swap tables", format!("with {other}")));
        Ok(())
    }
}

/// The names of columns in an ALTER TABLE, folded.
fn column(ident: &datafusion::sql::sqlparser::ast::Ident) -> String {
    fold(ident)
}
