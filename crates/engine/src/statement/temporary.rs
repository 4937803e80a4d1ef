//! Temporary tables and views: things of the lake, in a schema of the session's own. Others do not see it, names are looked
//! for in it first, and it goes with the session.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectNamePart, OnCommit, Statement};
use polder_lake::{Snapshot, TableName, Transaction};
use polder_sql_tree::visit_relations_mut;
use polder_types::{Error, ErrorKind, Result};

use super::ddl;
use super::names::parts;
use super::resolve::inner;
use super::target::quoted_ident;
use crate::engine::Engine;
use crate::session::{CONFLICT_TRIES, Settings};

/// What the names of such schemas begin with, as in PostgreSQL.
const PREFIX: &str = "pg_temp_";

/// The name by which a session means its own.
pub(crate) const OWN: &str = "pg_temp";

/// Characters that tell one session's schema from another's.
const NUMBER_CHARS: usize = 12;

/// What a session has made that is temporary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Temporary {
    /// Its schema, from the first statement on that makes something in it.
    pub schema: Option<String>,
    /// Tables that each commit empties, or the next one drops.
    on_commit: BTreeMap<String, Ending>,
    /// Whoever looks after all tables sees those of all sessions.
    sees_all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Empty,
    Drop,
}

impl Temporary {
    /// For work that is nobody's session.
    pub(crate) fn of_all() -> Self {
        Self { sees_all: true, ..Self::default() }
    }

    /// Writes the session's schema in the place of `pg_temp`.
    pub(super) fn meant(&self, name: &mut ObjectName) {
        if let Some(schema) = &self.schema
            && is_own(name)
        {
            own_schema(name, schema);
        }
    }

    fn own(&mut self) -> String {
        let named = || {
            let number = uuid::Uuid::new_v4().simple().to_string();
            format!("{PREFIX}{}", number.get(..NUMBER_CHARS).unwrap_or(&number))
        };
        self.schema.get_or_insert_with(named).clone()
    }

    fn is_anothers(&self, schema: &str) -> bool {
        !self.sees_all && is_temporary(schema) && self.schema.as_deref() != Some(schema)
    }

    /// # Errors
    /// `Forbidden` for what is another session's.
    pub(super) fn check(&self, name: &TableName) -> Result<()> {
        if self.is_anothers(&name.schema) {
            let message = format!("{name} is temporary in another session");
            return Err(Error::new(ErrorKind::Forbidden, message).with_code("42501"));
        }
        Ok(())
    }

    /// The snapshot without what is temporary in other sessions.
    pub(crate) fn seen(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        match snapshot.without_schemas(|schema| self.is_anothers(schema)) {
            Some(fewer) => Arc::new(fewer),
            None => snapshot,
        }
    }

    /// Makes the session's schema, if something is about to be made in it and it is not there.
    pub(super) fn prepare(&self, transaction: &mut Transaction, name: &TableName) -> Result<()> {
        if self.schema.as_deref() != Some(&name.schema) || transaction.view().schema(&name.schema).is_some() {
            return Ok(());
        }
        transaction.create_schema(&name.schema)
    }

    /// Does what ON COMMIT says, right before the commit.
    pub(super) async fn before_commit(&self, transaction: &mut Transaction) -> Result<()> {
        let Some(schema) = &self.schema else { return Ok(()) };
        for (table, ending) in &self.on_commit {
            let name = TableName::new(schema, table);
            // It may have been dropped, or renamed, meanwhile.
            if transaction.table(&name).is_none() {
                continue;
            }
            match ending {
                Ending::Empty => transaction.truncate(&name).await.map(drop)?,
                Ending::Drop => ddl::drop_table(transaction, &name, true, &[], &[]).map(drop)?,
            }
        }
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        self.on_commit.retain(|_, ending| *ending == Ending::Empty);
    }
}

pub(crate) fn is_temporary(schema: &str) -> bool {
    schema.starts_with(PREFIX)
}

/// Writes the session's schema before the names of what a statement makes that is temporary, and in the place of `pg_temp`.
///
/// # Errors
/// `InvalidInput` for something temporary in a schema that is not.
pub(super) fn place(temporary: &mut Temporary, statement: &mut Parsed) -> Result<()> {
    let Some(statement) = inner(statement) else { return Ok(()) };
    match statement {
        Statement::CreateTable(create) if create.temporary || is_own(&create.name) => {
            create.temporary = false;
            // GLOBAL and LOCAL have no meaning, as in PostgreSQL.
            create.global = None;
            let table = into(&mut create.name, &temporary.own())?;
            let ending = match create.on_commit.take() {
                Some(OnCommit::DeleteRows) => Some(Ending::Empty),
                Some(OnCommit::Drop) => Some(Ending::Drop),
                Some(OnCommit::PreserveRows) | None => None,
            };
            match ending {
                Some(ending) => drop(temporary.on_commit.insert(table, ending)),
                None => drop(temporary.on_commit.remove(&table)),
            }
        }
        Statement::CreateView(create) if create.temporary || is_own(&create.name) => {
            create.temporary = false;
            into(&mut create.name, &temporary.own())?;
        }
        Statement::Drop { names, .. } => {
            if let Some(schema) = &temporary.schema {
                names.iter_mut().filter(|name| is_own(name)).for_each(|name| own_schema(name, schema));
            }
        }
        _ => {}
    }
    // Without anything temporary there is no such schema, and the name tells so by itself.
    if let Some(schema) = &temporary.schema {
        let _ = visit_relations_mut(statement, |name: &mut ObjectName| {
            if is_own(name) {
                own_schema(name, schema);
            }
            ControlFlow::<()>::Continue(())
        });
    }
    Ok(())
}

fn is_own(name: &ObjectName) -> bool {
    matches!(parts(name).as_deref(), Ok([schema, _]) if schema == OWN)
}

fn own_schema(name: &mut ObjectName, schema: &str) {
    if let Some(first) = name.0.first_mut() {
        *first = ObjectNamePart::Identifier(quoted_ident(schema));
    }
}

/// Puts a name into the session's schema; its last part.
fn into(name: &mut ObjectName, schema: &str) -> Result<String> {
    let named = parts(name)?;
    match named.as_slice() {
        [table] => {
            name.0.insert(0, ObjectNamePart::Identifier(quoted_ident(schema)));
            Ok(table.clone())
        }
        [own, table] if own == OWN => {
            own_schema(name, schema);
            Ok(table.clone())
        }
        _ => Err(Error::invalid("cannot create temporary relation in non-temporary schema")
            .with_code("42P16")
            .with_hint("leave the schema out")),
    }
}

impl Engine {
    /// Drops what a session has made that is temporary.
    ///
    /// # Errors
    /// As commits have.
    pub(crate) async fn drop_temporary(&self, schemas: &[String]) -> Result<()> {
        for attempt in 1.. {
            let mut transaction = self.lake.begin().await?;
            for schema in schemas {
                if transaction.view().schema(schema).is_some() {
                    ddl::drop_schema(&mut transaction, schema, true, &[])?;
                }
            }
            if !transaction.changed() {
                return Ok(());
            }
            transaction.describe("polder", "the end of a session");
            match transaction.commit().await {
                // Compaction may have come first.
                Err(error) if error.kind() == ErrorKind::Conflict && attempt < CONFLICT_TRIES => {}
                done => return done.map(drop),
            }
        }
        Ok(())
    }

    /// Drops what sessions have left that a crash has ended. No session may be open.
    ///
    /// # Errors
    /// As commits have.
    pub async fn drop_left_temporary(&self) -> Result<()> {
        let newest = self.lake.newest().await?;
        let names = newest.schemas.values().map(|schema| schema.name.clone());
        let left: Vec<String> = names.filter(|name| is_temporary(name)).collect();
        if left.is_empty() { Ok(()) } else { self.drop_temporary(&left).await }
    }
}

/// Drops a session's schema after it, by whatever runtime is there. Without one, the next start does it.
pub(crate) fn drop_later(engine: &Arc<Engine>, settings: &Settings) {
    let Some(schema) = settings.temporary.schema.clone() else { return };
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let engine = Arc::clone(engine);
    runtime.spawn(async move {
        if let Err(error) = engine.drop_temporary(&[schema]).await {
            tracing::warn!(%error, "a session's temporary tables stay until the next start");
        }
    });
}
