//! Names that depend on the session: the schemas of its search path, and the functions in them.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{CopySource, FromTable, ObjectName, Statement, TableFactor, TableObject};
use polder_lake::{Snapshot, TableName, TransactionCell};
use polder_sql_tree::{Node, visit_relations_mut};
use polder_types::{Error, Result};

use super::names::{fold, parts, table_name};
use super::target::quoted_ident;
use super::{Context, ended};
use crate::authz::Rights;
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::inline::{Functions, calls_others, expand};
use crate::scope::Scope;
use crate::session::Settings;

impl Engine {
    /// What the session's next statement sees.
    pub(super) async fn seen(&self, settings: &Settings, open: Option<&TransactionCell>) -> Result<Arc<Snapshot>> {
        match open {
            Some(cell) => Ok(Arc::clone(cell.lock().await.as_ref().ok_or_else(ended)?.view())),
            None => self.lake.snapshot(settings.version).await,
        }
    }

    /// The settings, with the first schema of the path that is there as the current one.
    pub(super) async fn current(&self, mut settings: Settings, open: Option<&TransactionCell>) -> Result<Settings> {
        if settings.path.len() > 1 {
            let snapshot = self.seen(&settings, open).await?;
            let rights = Rights::new(&settings.who, &snapshot);
            let is_usable = |schema: &&String| snapshot.schema(schema).is_some() && rights.use_schema(schema).is_ok();
            let first = settings.path.iter().find(is_usable);
            settings.schema.clone_from(first.unwrap_or(&settings.path[0]));
        }
        Ok(settings)
    }

    /// Writes the schema before tables that are not in the first one, and puts functions' bodies in the place of their
    /// calls.
    pub(super) async fn resolve(
        &self,
        settings: Settings,
        open: Option<&TransactionCell>,
        statement: &mut Parsed,
    ) -> Result<Settings> {
        let settings = self.current(settings, open).await?;
        let topics = self.topics_named(&settings);
        if settings.path.len() > 1 || settings.temporary.schema.is_some() || !topics.is_empty() {
            let snapshot = self.seen(&settings, open).await?;
            qualify_by_path(statement, &settings, &snapshot, &topics)?;
            for name in inner(statement).map(|statement| changed(statement)).unwrap_or_default() {
                check_is_no_topic(name, &settings, &snapshot, &topics)?;
            }
        }
        if let Parsed::CopyTo(copy) = statement
            && let CopyToSource::Query(query) = &mut copy.source
        {
            self.expand_in(query.as_mut(), &settings, open).await?;
        }
        let Some(inner) = inner(statement) else { return Ok(settings) };
        // Views, functions and policies keep the calls: what they call may be replaced.
        let keeps = matches!(
            inner,
            Statement::CreateFunction(_)
                | Statement::CreateView(_)
                | Statement::CreatePolicy(_)
                | Statement::AlterPolicy(_)
        );
        if !keeps {
            self.expand_in(inner, &settings, open).await?;
        }
        Ok(settings)
    }

    /// The topics that a name without a schema may mean.
    pub(super) fn topics_named(&self, settings: &Settings) -> Vec<Arc<str>> {
        if let Some(brought) = &settings.brought {
            return vec![brought.topic.as_str().into()];
        }
        self.topic_rows().map(|rows| rows.names(&crate::topics::caller(&settings.who))).unwrap_or_default()
    }

    async fn expand_in<T: Node + Send>(
        &self,
        part: &mut T,
        settings: &Settings,
        open: Option<&TransactionCell>,
    ) -> Result<()> {
        if !calls_others(part, &self.template) {
            return Ok(());
        }
        let snapshot = self.seen(settings, open).await?;
        let (path, state, who) = (settings.path.as_slice(), &self.template, &settings.who);
        expand(part, &Functions { snapshot: &snapshot, path, state, who })
    }
}

pub(super) fn inner(statement: &mut Parsed) -> Option<&mut Statement> {
    match statement {
        Parsed::Statement(statement) => Some(statement),
        Parsed::Explain(explain) => inner(&mut explain.statement),
        _ => None,
    }
}

/// The tables whose rows a statement changes, as it names them.
fn changed(statement: &Statement) -> Vec<&ObjectName> {
    match statement {
        Statement::Insert(insert) => match &insert.table {
            TableObject::TableName(name) => vec![name],
            _ => Vec::new(),
        },
        Statement::Update(update) => named(&update.table.relation).into_iter().collect(),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            from.iter().filter_map(|from| named(&from.relation)).collect()
        }
        Statement::Merge(merge) => named(&merge.table).into_iter().collect(),
        Statement::Truncate(truncate) => truncate.table_names.iter().map(|target| &target.name).collect(),
        Statement::Copy { source: CopySource::Table { table_name, .. }, to: false, .. } => vec![table_name],
        _ => Vec::new(),
    }
}

fn named(factor: &TableFactor) -> Option<&ObjectName> {
    match factor {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// Refuses a topic where a table is wanted whose rows can be changed. `topics`: that can be read; of others nothing is told.
///
/// # Errors
/// `InvalidInput` (42809).
pub(super) fn check_is_no_topic(
    name: &ObjectName,
    settings: &Settings,
    snapshot: &Snapshot,
    topics: &[Arc<str>],
) -> Result<()> {
    let is_there = |name: &TableName| snapshot.table(name).is_some() || snapshot.view(name).is_some();
    let parts = parts(name)?;
    let topic = match parts.as_slice() {
        [table] if holder(table, settings, snapshot).is_none() => table,
        [schema, table] if schema == crate::topics::SCHEMA && !is_there(&TableName::new(schema.as_str(), table)) => {
            table
        }
        _ => return Ok(()),
    };
    if !topics.iter().any(|known| known.as_ref() == topic.as_str()) {
        return Ok(());
    }
    Err(Error::invalid(format!("{topic} is a topic, which SELECT reads and producers write"))
        .with_code("42809")
        .with_hint("send records to it with a client of Kafka or Kinesis; CREATE DELIVERY brings them into a table"))
}

/// `topics`: that can be read.
fn qualify_by_path(
    statement: &mut Parsed,
    settings: &Settings,
    snapshot: &Snapshot,
    topics: &[Arc<str>],
) -> Result<()> {
    let (tables, _) = resolve_table_references(statement, true).map_err(from_datafusion)?;
    let bare: HashSet<String> =
        tables.iter().filter(|table| table.schema().is_none()).map(|table| table.table().to_owned()).collect();
    let Some(inner) = inner(statement) else { return Ok(()) };
    // A new thing goes into the first schema, whatever the others hold.
    let made = match inner {
        Statement::CreateTable(create) => Some(create.name.clone()),
        Statement::CreateView(create) => Some(create.name.clone()),
        _ => None,
    };
    let targets = matches!(
        inner,
        Statement::Insert(_) | Statement::AlterTable(_) | Statement::CreateIndex(_) | Statement::Copy { .. }
    );
    let _ = visit_relations_mut(inner, |relation: &mut ObjectName| {
        if let [part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
            && (targets || bare.contains(&fold(ident)))
        {
            let name = fold(ident);
            let schema = match holder(&name, settings, snapshot) {
                Some(schema) if *schema == settings.schema => None,
                None if bare.contains(&name) && topics.iter().any(|topic| topic.as_ref() == name) => {
                    Some(crate::topics::SCHEMA)
                }
                found => found.map(String::as_str),
            };
            if let Some(schema) = schema {
                relation.0.insert(0, datafusion::sql::sqlparser::ast::ObjectNamePart::Identifier(quoted_ident(schema)));
            }
        }
        ControlFlow::<()>::Continue(())
    });
    match (inner, made) {
        (Statement::CreateTable(create), Some(name)) => create.name = name,
        (Statement::CreateView(create), Some(name)) => create.name = name,
        _ => {}
    }
    Ok(())
}

/// The first schema of the path that holds a table or view; that of temporary ones comes before it.
fn holder<'a>(table: &str, settings: &'a Settings, snapshot: &Snapshot) -> Option<&'a String> {
    let rights = Rights::new(&settings.who, snapshot);
    settings.temporary.schema.iter().chain(&settings.path).find(|schema| {
        let name = TableName::new(schema.as_str(), table);
        let is_there = snapshot.table(&name).is_some() || snapshot.view(&name).is_some();
        // Schemas that may not be used are passed over.
        is_there && rights.use_schema(schema).is_ok()
    })
}

impl Context<'_> {
    /// Where functions are looked for, and who calls them.
    pub(super) fn functions<'a>(&'a self, scope: &'a Scope) -> Functions<'a> {
        Functions {
            snapshot: &scope.snapshot,
            path: &self.settings.path,
            state: &self.engine.template,
            who: &self.settings.who,
        }
    }

    /// The table or view that a name means; in the first schema when it is in none.
    pub(super) fn existing_name(&self, name: &ObjectName, snapshot: &Snapshot) -> Result<TableName> {
        if let [table] = parts(name)?.as_slice()
            && let Some(schema) = holder(table, self.settings, snapshot)
        {
            return Ok(TableName::new(schema.as_str(), table));
        }
        self.in_first_schema(name)
    }

    /// What a name means that need not be there yet; in the first schema when it is in none.
    pub(super) fn name(&self, name: &ObjectName) -> Result<TableName> {
        if self.settings.schema.is_empty() && name.0.len() == 1 {
            return Err(Error::not_found("no schema has been selected to create in")
                .with_code("3F000")
                .with_hint("name its schema, or RESET search_path"));
        }
        self.in_first_schema(name)
    }

    /// What a name means that has to be there, once the search path has been gone through.
    pub(super) fn known(&self, name: &ObjectName) -> Result<TableName> {
        if self.settings.schema.is_empty()
            && let [table] = parts(name)?.as_slice()
        {
            return Err(Error::not_found(format!("table {table} does not exist"))
                .with_code("42P01")
                .with_hint("name its schema, or RESET search_path"));
        }
        self.in_first_schema(name)
    }

    fn in_first_schema(&self, name: &ObjectName) -> Result<TableName> {
        let name = table_name(name, &self.settings.schema)?;
        self.settings.temporary.check(&name)?;
        Ok(name)
    }
}
