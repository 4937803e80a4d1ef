//! The things that rights are on, found by their names.

use datafusion::sql::sqlparser::ast::ObjectName;
use polder_lake::{Grant, Snapshot, TableName};
use polder_metastore::OWNER_OID;
use polder_types::{Error, Result};
use uuid::Uuid;

use super::Work;
use super::statements::{FunctionName, On};
use crate::authz::rights::Kind;
use crate::authz::{Rights, word_of};
use crate::statement::names::parts;

/// The name of the one database.
const DATABASE: &str = "polder";

/// A thing that has an owner, and on which rights are granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    /// `None` for the database and topics.
    pub id: Option<i64>,
    pub kind: Kind,
    /// The word for it in errors.
    pub word: &'static str,
    /// Without its schema.
    pub name: String,
    /// The schema that it is in.
    pub schema: Option<String>,
    /// Of a topic its id; it has no other.
    pub topic: Option<Uuid>,
}

impl Thing {
    /// Its whole name.
    pub fn shown(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

fn missing_schema(name: &str) -> Error {
    Error::not_found(format!("schema \"{name}\" does not exist")).with_code("3F000")
}

/// A name as errors have it.
fn written(name: &ObjectName) -> Result<String> {
    Ok(parts(name)?.join("."))
}

impl Work<'_> {
    pub(super) fn things(&self, on: &On) -> Result<Vec<Thing>> {
        let view = self.transaction.view();
        match on {
            On::Database(names) => names.iter().map(|name| database(name)).collect(),
            On::Schemas(names) => names.iter().map(|name| schema(view, name)).collect(),
            On::Relations(kind, names) => names.iter().map(|name| self.relation(view, name, *kind)).collect(),
            On::Topics(names) => names.iter().map(|name| self.topic(name)).collect(),
            On::AllTopics => Ok(self.all_topics()),
            On::Functions(names) => names.iter().map(|name| self.function(view, name)).collect(),
            On::AllIn(kind, schemas) => {
                let mut all = Vec::new();
                for name in schemas {
                    all.extend(self.all_in(view, *kind, name)?);
                }
                Ok(all)
            }
        }
    }

    pub(super) fn rights<'v>(&'v self, view: &'v Snapshot) -> Rights<'v> {
        Rights::new(self.who, view)
    }

    /// A table or view.
    ///
    /// # Errors
    /// `NotFound` (42P01, 3F000), `InvalidInput` (42809) when it is a table and should be a sequence.
    pub(super) fn relation(&self, view: &Snapshot, name: &ObjectName, kind: Kind) -> Result<Thing> {
        let full = self.context.existing_name(name, view)?;
        let known = named(view, &full);
        if known.is_some() || parts(name)?.len() > 1 {
            if view.schema(&full.schema).is_none() {
                return Err(missing_schema(&full.schema));
            }
            self.rights(view).use_schema(&full.schema)?;
        }
        let Some(thing) = known else {
            return Err(Error::not_found(format!("relation \"{}\" does not exist", written(name)?)));
        };
        if kind == Kind::Sequence {
            return Err(Error::invalid(format!("\"{}\" is not a sequence", thing.name)).with_code("42809"));
        }
        Ok(thing)
    }

    /// # Errors
    /// `NotFound` (42883, 3F000).
    pub(super) fn function(&self, view: &Snapshot, wanted: &FunctionName) -> Result<Thing> {
        let names = parts(&wanted.name)?;
        let found = match names.as_slice() {
            [name] => {
                let mut places = self.context.settings.path.iter().map(|schema| TableName::new(schema, name));
                places.find_map(|name| Some((view.function(&name)?, name)))
            }
            _ => {
                let name = self.context.name(&wanted.name)?;
                if view.schema(&name.schema).is_none() {
                    return Err(missing_schema(&name.schema));
                }
                self.rights(view).use_schema(&name.schema)?;
                view.function(&name).map(|function| (function, name))
            }
        };
        let fits = |arguments: &Vec<String>| {
            found.as_ref().is_some_and(|(known, _)| {
                known.macros.iter().any(|implemented| implemented.parameters.len() == arguments.len())
            })
        };
        let missing = match &wanted.arguments {
            Some(arguments) if !fits(arguments) => {
                format!("function {}({}) does not exist", names.join("."), arguments.join(", "))
            }
            None if found.is_none() => format!("could not find a function named \"{}\"", names.join(".")),
            _ => String::new(),
        };
        match found {
            Some((function, name)) if missing.is_empty() => Ok(Thing {
                id: Some(function.id),
                kind: Kind::Function,
                word: Kind::Function.word(),
                name: function.name.clone(),
                schema: Some(name.schema),
                topic: None,
            }),
            _ => Err(Error::not_found(missing).with_code("42883")),
        }
    }

    fn all_in(&self, view: &Snapshot, kind: Kind, name: &str) -> Result<Vec<Thing>> {
        let Some(schema) = view.schema(name) else { return Err(missing_schema(name)) };
        self.context.settings.temporary.check(&TableName::new(name, ""))?;
        self.rights(view).use_schema(name)?;
        Ok(match kind {
            Kind::Table => {
                let names = view.names_in(name).into_iter();
                names.filter_map(|table| named(view, &TableName::new(name, table))).collect()
            }
            Kind::Function => {
                let all = view.functions.values().filter(|function| function.schema_id == schema.id);
                let thing = |function: &std::sync::Arc<polder_lake::FunctionState>| Thing {
                    id: Some(function.id),
                    kind: Kind::Function,
                    word: Kind::Function.word(),
                    name: function.name.clone(),
                    schema: Some(name.to_owned()),
                    topic: None,
                };
                all.map(thing).collect()
            }
            // There are none: numbers that count themselves up belong to their tables.
            _ => Vec::new(),
        })
    }

    /// The thing of an id.
    pub(super) fn thing(&self, id: i64) -> Option<Thing> {
        let view = self.transaction.view();
        let schema_of = |id: i64| view.schemas.get(&id).map(|schema| schema.name.clone());
        if let Some(schema) = schema_of(id) {
            let kind = Kind::Schema;
            return Some(Thing { id: Some(id), kind, word: kind.word(), name: schema, schema: None, topic: None });
        }
        let (kind, word, name, schema) = if let Some(table) = view.tables.get(&id) {
            (Kind::Table, word_of(table), &table.name, table.schema_id)
        } else if let Some(known) = view.views.get(&id) {
            (Kind::Table, "view", &known.name, known.schema_id)
        } else {
            let known = view.functions.get(&id)?;
            (Kind::Function, Kind::Function.word(), &known.name, known.schema_id)
        };
        Some(Thing { id: Some(id), kind, word, name: name.clone(), schema: schema_of(schema), topic: None })
    }

    /// Who owns a thing.
    pub(super) fn owner_of(&self, thing: &Thing) -> i64 {
        if let Some(topic) = thing.topic {
            return self.topic_owner(topic);
        }
        thing.id.map_or(OWNER_OID, |id| self.rights(self.transaction.view()).owner(id))
    }

    /// What is granted on a thing.
    pub(super) fn grants_on(&self, thing: &Thing) -> Vec<Grant> {
        match (thing.topic, thing.id) {
            (Some(topic), _) => self.topic_grants(topic),
            (_, Some(id)) => self.rights(self.transaction.view()).grants(thing.kind, id).into_owned(),
            (None, None) => self.database_grants().unwrap_or_else(|| Kind::Database.usual(OWNER_OID)),
        }
    }
}

/// # Errors
/// `NotFound` (3D000).
pub(super) fn database(name: &str) -> Result<Thing> {
    if name != DATABASE {
        let message = format!("database \"{name}\" does not exist");
        return Err(Error::not_found(message).with_code("3D000").with_hint(format!("there is one, {DATABASE}")));
    }
    let kind = Kind::Database;
    Ok(Thing { id: None, kind, word: kind.word(), name: name.to_owned(), schema: None, topic: None })
}

/// # Errors
/// `NotFound` (3F000).
pub(super) fn schema(view: &Snapshot, name: &str) -> Result<Thing> {
    let known = view.schema(name).ok_or_else(|| missing_schema(name))?;
    let kind = Kind::Schema;
    Ok(Thing { id: Some(known.id), kind, word: kind.word(), name: name.to_owned(), schema: None, topic: None })
}

/// The table or view of a name.
fn named(view: &Snapshot, name: &TableName) -> Option<Thing> {
    let (id, word) = match view.table(name) {
        Some(table) => (table.id, word_of(table)),
        None => (view.view(name)?.id, "view"),
    };
    let (name, schema) = (name.table.clone(), Some(name.schema.clone()));
    Some(Thing { id: Some(id), kind: Kind::Table, word, name, schema, topic: None })
}
