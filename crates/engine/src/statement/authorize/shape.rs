//! Whether somebody may change the shape of things: owners may, and whoever may make things in a schema.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    AlterTable, AlterTableOperation, CommentObject, CreateTableLikeKind, ObjectName, ObjectType, RenameTableNameKind,
    Statement,
};
use polder_lake::{Snapshot, TableName, TableState};
use polder_types::{Error, ErrorKind, Result};

use super::super::maintenance::Maintenance;
use super::super::names::{parts, schema_name, table_name};
use super::super::{Context, temporary};
use crate::authz::rights::{CREATE, SELECT, TEMPORARY, TRUNCATE};
use crate::authz::{denied, not_owner, word_of};
use crate::policies::Bound;

impl Context<'_> {
    /// # Errors
    /// `Forbidden` (42501).
    pub(super) fn may_shape(&self, view: &Snapshot, statement: &Statement) -> Result<()> {
        match statement {
            Statement::CreateTable(create) => {
                let name = self.name(&create.name)?;
                self.may_create(view, &name)?;
                if create.or_replace {
                    self.must_own_if_there(view, &name, None)?;
                }
                create.like.as_ref().map_or(Ok(()), |like| self.may_copy(view, like))
            }
            Statement::CreateView(create) => {
                let name = self.name(&create.name)?;
                self.may_create(view, &name)?;
                if create.or_replace { self.must_own_if_there(view, &name, None) } else { Ok(()) }
            }
            Statement::CreateFunction(create) => {
                let name = self.name(&create.name)?;
                self.may_create(view, &name)?;
                self.must_own_function(view, &name)
            }
            Statement::CreateSchema { .. } => self.may_create_schemas(view),
            Statement::Drop { object_type, names, .. } => {
                names.iter().try_for_each(|name| self.may_drop(view, *object_type, name))
            }
            Statement::AlterTable(alter) => self.may_alter(view, alter),
            Statement::CreateIndex(create) => self.must_own(view, &self.existing_name(&create.table_name, view)?),
            Statement::AlterIndex { name, .. } => self.must_own_index(view, name),
            Statement::AlterSchema(alter) => {
                self.must_own_schema(view, &schema_name(&alter.name)?)?;
                self.may_create_schemas(view)
            }
            Statement::DropFunction(drop) => drop.func_desc.iter().try_for_each(|wanted| {
                let name = match self.name(&wanted.name) {
                    // Without a schema to look in there is none to own.
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                    name => name?,
                };
                self.rights(view).use_schema(&name.schema)?;
                self.must_own_function(view, &name)
            }),
            Statement::Truncate(truncate) => {
                truncate.table_names.iter().try_for_each(|target| self.may_truncate(view, &target.name))
            }
            Statement::CreatePolicy(create) => self.must_own(view, &self.existing_name(&create.table_name, view)?),
            Statement::AlterPolicy(alter) => self.must_own(view, &self.existing_name(&alter.table_name, view)?),
            Statement::DropPolicy(drop) => {
                let name = self.existing_name(&drop.table_name, view)?;
                self.rights(view).use_schema(&name.schema)?;
                self.must_own_if_there(view, &name, Some("relation"))
            }
            Statement::Comment { object_type, object_name, .. } => self.may_comment(view, *object_type, object_name),
            _ => Err(Error::new(ErrorKind::Forbidden, "permission denied: superusers may do this")),
        }
    }

    /// What keeps a lake in shape is for the owners of tables where it is about one, and else for superusers.
    ///
    /// # Errors
    /// `Forbidden` (42501).
    pub(in super::super) fn may_maintain(&self, view: &Snapshot, work: &Maintenance) -> Result<()> {
        let superusers = |what: &str| {
            Err(Error::new(ErrorKind::Forbidden, format!("permission denied to {what}"))
                .with_hint("superusers may; a job of theirs does it too"))
        };
        if self.settings.who.superuser {
            return Ok(());
        }
        match work {
            Maintenance::Optimize { table: Some(table), .. } | Maintenance::Restore { table, .. } => {
                self.must_own(view, &self.known(table)?)
            }
            Maintenance::Clone { table, or_replace, source, at, .. } => {
                let (name, source) = (self.name(table)?, self.known(source)?);
                if *or_replace {
                    self.must_own(view, &name)?;
                }
                self.may_create(view, &name)?;
                // Of an old version it is asked once that is known: another table may have had the name.
                if at.is_some() { Ok(()) } else { self.may_clone(view, &source, view.table(&source)) }
            }
            Maintenance::Lock { tables } => tables.iter().try_for_each(|table| {
                let name = self.existing_name(table, view)?;
                match (view.table(&name), view.view(&name)) {
                    (Some(table), _) => self.rights(view).require(word_of(table), &name, table.id, SELECT),
                    (None, Some(known)) => self.rights(view).require("view", &name, known.id, SELECT),
                    (None, None) => Ok(()),
                }
            }),
            Maintenance::VacuumTables { tables, .. } | Maintenance::Analyze { tables } if !tables.is_empty() => {
                tables.iter().try_for_each(|listed| self.must_own(view, &self.existing_name(&listed.table, view)?))
            }
            Maintenance::VacuumTables { .. } => superusers("vacuum all tables"),
            // It looks at nothing.
            Maintenance::Analyze { .. } | Maintenance::History { .. } => Ok(()),
            Maintenance::Optimize { table: None, .. } => superusers("optimize all tables"),
            Maintenance::Vacuum { .. } => superusers("expire versions"),
            Maintenance::Check => superusers("check all tables"),
            Maintenance::Backup { .. } => superusers("make a backup"),
        }
    }

    /// A clone has all that is in a table, `then` as it was in the version that is cloned. Whoever may read the table that has its
    /// name today may not have been let into that one.
    ///
    /// # Errors
    /// `Forbidden` (42501).
    pub(in super::super) fn may_clone(
        &self,
        view: &Snapshot,
        source: &TableName,
        then: Option<&Arc<TableState>>,
    ) -> Result<()> {
        if self.settings.who.superuser {
            return Ok(());
        }
        // What has been dropped since is for superusers. What was moved to another schema is the table that it became there.
        let moved = |then: &Arc<TableState>| view.tables.values().find(|table| table.known_id() == then.known_id());
        let known = then.and_then(|then| view.tables.get(&then.id).or_else(|| moved(then)));
        let missing = || denied("table", &source.table, "it is not there any more: superusers may clone it");
        let table = known.ok_or_else(missing)?;
        // By the name that it has today.
        self.rights(view).require(word_of(table), &view.name_of(table), table.id, SELECT)?;
        match Bound::of(self.rights(view), table.id) {
            Some(_) => Err(denied("table", &source.table, "CREATE TABLE … AS SELECT copies what you are shown")),
            None => Ok(()),
        }
    }

    /// # Errors
    /// `Forbidden` (42501) unless somebody may make things in the schema of a name.
    pub(in super::super) fn may_create(&self, view: &Snapshot, name: &TableName) -> Result<()> {
        let rights = self.rights(view);
        if temporary::is_temporary(&name.schema) && rights.on_database() & TEMPORARY == 0 {
            let message = "permission denied to create temporary tables in database \"polder\"";
            return Err(Error::new(ErrorKind::Forbidden, message)
                .with_hint(format!("GRANT TEMPORARY ON DATABASE polder TO {}", self.settings.who.role_name())));
        }
        rights.create_in(&name.schema)
    }

    /// Defaults and checks are copied too, which tell of what is in a table.
    fn may_copy(&self, view: &Snapshot, like: &CreateTableLikeKind) -> Result<()> {
        let (CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)) = like;
        let name = self.existing_name(&like.name, view)?;
        let rights = self.rights(view);
        match (view.table(&name), view.view(&name)) {
            (Some(table), _) => rights.require(word_of(table), &name, table.id, SELECT),
            (None, Some(known)) => rights.require("view", &name, known.id, SELECT),
            (None, None) => rights.use_schema(&name.schema),
        }
    }

    fn may_create_schemas(&self, view: &Snapshot) -> Result<()> {
        if self.rights(view).on_database() & CREATE != 0 {
            return Ok(());
        }
        let role = self.settings.who.role_name();
        Err(denied("database", "polder", format!("GRANT CREATE ON DATABASE polder TO {role}")))
    }

    fn may_drop(&self, view: &Snapshot, kind: ObjectType, name: &ObjectName) -> Result<()> {
        match kind {
            ObjectType::Schema => self.must_own_schema(view, &schema_name(name)?),
            ObjectType::Index => self.must_own_index(view, name),
            _ => self.must_own(view, &self.existing_name(name, view)?),
        }
    }

    fn must_own_schema(&self, view: &Snapshot, name: &str) -> Result<()> {
        let rights = self.rights(view);
        match view.schema(name) {
            Some(schema) if !rights.owns(schema.id) => Err(not_owner("schema", name, rights.owner_name(schema.id))),
            _ => Ok(()),
        }
    }

    fn must_own_function(&self, view: &Snapshot, name: &TableName) -> Result<()> {
        let rights = self.rights(view);
        let owns_schema = view.schema(&name.schema).is_some_and(|schema| rights.owns(schema.id));
        match view.function(name) {
            Some(known) if !owns_schema && !rights.owns(known.id) => {
                Err(not_owner("function", &name.table, rights.owner_name(known.id)))
            }
            _ => Ok(()),
        }
    }

    fn must_own_index(&self, view: &Snapshot, name: &ObjectName) -> Result<()> {
        let mut all = parts(name)?;
        let index = all.pop().unwrap_or_default();
        let schema = all.pop().unwrap_or_else(|| self.settings.schema.clone());
        let table = view.tables.values().find(|table| {
            let indexes = table.rules.indexes.iter().map(|index| &index.name);
            let mut all = indexes.chain(table.rules.keys.iter().map(|key| &key.name));
            view.name_of(table).schema == schema && all.any(|known| *known == index)
        });
        let rights = self.rights(view);
        rights.use_schema(&schema)?;
        match table {
            Some(table) if !rights.owns(table.id) => Err(not_owner("index", &index, rights.owner_name(table.id))),
            _ => Ok(()),
        }
    }

    fn may_alter(&self, view: &Snapshot, alter: &AlterTable) -> Result<()> {
        let name = match self.known(&alter.name) {
            // It is passed over.
            Err(error) if alter.if_exists && error.kind() == ErrorKind::NotFound => return Ok(()),
            known => known?,
        };
        self.must_own(view, &name)?;
        for operation in &alter.operations {
            match operation {
                AlterTableOperation::RenameTable { table_name: to } if !self.has_layout() => {
                    let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = to;
                    let to = match self.extras.set_schema {
                        true => TableName::new(schema_name(to)?, &name.table),
                        false => table_name(to, &name.schema)?,
                    };
                    self.may_create(view, &to)?;
                }
                AlterTableOperation::SwapWith { table_name: other } => self.must_own(view, &self.known(other)?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn may_truncate(&self, view: &Snapshot, name: &ObjectName) -> Result<()> {
        let name = self.existing_name(name, view)?;
        match view.table(&name) {
            Some(table) => self.rights(view).require(word_of(table), &name, table.id, TRUNCATE),
            None => self.rights(view).use_schema(&name.schema),
        }
    }

    fn may_comment(&self, view: &Snapshot, kind: CommentObject, name: &ObjectName) -> Result<()> {
        match kind {
            CommentObject::Schema => self.must_own_schema(view, &schema_name(name)?),
            CommentObject::Index => self.must_own_index(view, name),
            CommentObject::Column => {
                let mut table = name.clone();
                table.0.pop();
                self.must_own(view, &self.existing_name(&table, view)?)
            }
            _ => self.must_own(view, &self.existing_name(name, view)?),
        }
    }
}
