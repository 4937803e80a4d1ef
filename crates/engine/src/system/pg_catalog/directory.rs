//! All relations of one snapshot with their object ids, for whoever looks one up by name or by id.

use std::collections::HashMap;

use polder_capability::topics::TopicTable;
use polder_lake::{ColumnState, Identity, Snapshot, TableState};
use uuid::Uuid;

use super::oids;
use crate::functions::strings::quoted_name;
use crate::statement::temporary;
use crate::system::information;
use crate::topics;

/// What a relation is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// A table of the lake, by its id; a materialized view is one too.
    Table(i64),
    View(i64),
    /// The index at a place of a table.
    Index(i64, usize),
    /// The sequence of the identity at a place of a table.
    Sequence(i64, usize),
    /// A topic, by its id; it is a table that is read only.
    Topic(Uuid),
    /// A table of the system.
    System,
}

#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub oid: i64,
    pub name: String,
    /// The object id of its schema.
    pub schema: i64,
    /// The letter that `relkind` has for it.
    pub kind: &'static str,
    pub of: Of,
}

impl Relation {
    pub(super) fn has_row_type(&self) -> bool {
        matches!(self.of, Of::Table(_) | Of::View(_))
    }

    /// The object id of the type of its rows.
    pub(crate) fn row_type(&self) -> Option<i64> {
        match self.of {
            Of::Table(_) | Of::View(_) => Some(self.oid + oids::ROW_TYPE),
            _ => None,
        }
    }

    /// Its name as it would be written, with the schema unless it is found without.
    pub(crate) fn shown(&self, directory: &Directory) -> String {
        if directory.is_visible(self) {
            return quoted_name(&self.name);
        }
        self.qualified(directory)
    }

    /// Its name with the schema.
    pub(crate) fn qualified(&self, directory: &Directory) -> String {
        let schema = directory.schema(self.schema).unwrap_or_default();
        format!("{}.{}", quoted_name(schema), quoted_name(&self.name))
    }
}

/// Indexes of keys and others of one table: of each kind as many have object ids.
const KEYS_MAX: usize = oids::INDEXES_MAX / 2;

/// An index: that of a key, or one that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexOf<'a> {
    pub place: usize,
    pub name: &'a str,
    pub columns: &'a [i64],
    pub unique: bool,
    pub primary: bool,
    /// It is that of a constraint of the same name.
    pub of_constraint: bool,
    pub comment: Option<&'a str>,
    pub comment_of_constraint: Option<&'a str>,
}

/// The indexes of a table.
pub(crate) fn indexes(table: &TableState) -> impl Iterator<Item = IndexOf<'_>> {
    let keys = table.rules.keys.iter().take(KEYS_MAX).enumerate().map(|(place, key)| IndexOf {
        place,
        name: &key.name,
        columns: &key.columns,
        unique: true,
        primary: key.primary,
        of_constraint: !key.index,
        comment: key.index_comment.as_deref(),
        comment_of_constraint: key.comment.as_deref(),
    });
    let others = table.rules.indexes.iter().take(KEYS_MAX).enumerate().map(|(place, index)| IndexOf {
        place: KEYS_MAX + place,
        name: &index.name,
        columns: &index.columns,
        unique: false,
        primary: false,
        of_constraint: false,
        comment: index.comment.as_deref(),
        comment_of_constraint: None,
    });
    keys.chain(others)
}

/// The identities of a table, with their places and columns.
pub(crate) fn identities(table: &TableState) -> impl Iterator<Item = (usize, &Identity, &ColumnState)> {
    let all = table.rules.identities.iter().take(oids::SEQUENCES_MAX).enumerate();
    all.filter_map(move |(place, identity)| {
        let column = table.top_columns().find(|column| column.id == identity.column)?;
        Some((place, identity, column))
    })
}

/// The number of a column of a table, which stays the same when others are dropped.
pub(crate) fn number(column: &ColumnState) -> i64 {
    column.order
}

/// The numbers of some columns, by their ids.
pub(crate) fn numbers(table: &TableState, columns: &[i64]) -> Vec<i64> {
    let of = |id: &i64| table.top_columns().find(|column| column.id == *id).map(number);
    columns.iter().filter_map(of).collect()
}

#[derive(Debug)]
pub(crate) struct Directory {
    schemas: Vec<(i64, String)>,
    /// Those in which names without a schema are looked for.
    path: Vec<i64>,
    relations: Vec<Relation>,
    by_oid: HashMap<i64, usize>,
    by_name: HashMap<(i64, String), usize>,
    row_types: HashMap<i64, (usize, bool)>,
}

impl Directory {
    pub(super) fn new(snapshot: &Snapshot, readable: &[TopicTable], path: &[String]) -> Self {
        let mut schemas = vec![
            (oids::PG_CATALOG, "pg_catalog".to_owned()),
            (oids::INFORMATION_SCHEMA, "information_schema".to_owned()),
            (oids::POLDER, "polder".to_owned()),
        ];
        // DuckDB makes a schema `main` in every lake; as long as nothing is in it, it only confuses.
        let own = snapshot.schemas.values();
        let own = own.filter(|schema| schema.name != "main" || !snapshot.names_in("main").is_empty());
        schemas.extend(own.map(|schema| (oids::of(schema.id, 0), schema.name.clone())));
        // Of no topic that somebody may read they are told nothing, not even that there might be some.
        if snapshot.schema(topics::SCHEMA).is_none() && !readable.is_empty() {
            schemas.push((oids::TOPICS_SCHEMA, topics::SCHEMA.to_owned()));
        }
        let in_path = |name: &str| schemas.iter().find(|(_, known)| known == name).map(|(oid, _)| *oid);
        // As in PostgreSQL, the system's own come first.
        let path = std::iter::once(oids::PG_CATALOG).chain(path.iter().filter_map(|name| in_path(name))).collect();
        let mut made = Self {
            schemas,
            path,
            relations: Vec::new(),
            by_oid: HashMap::new(),
            by_name: HashMap::new(),
            row_types: HashMap::new(),
        };
        made.add_system();
        made.add_lake(snapshot);
        made.add_topics(readable);
        made
    }

    fn add(&mut self, relation: Relation) {
        let at = self.relations.len();
        if relation.has_row_type() {
            self.row_types.insert(relation.oid + oids::ROW_TYPE, (at, false));
            self.row_types.insert(relation.oid + oids::ROW_ARRAY, (at, true));
        }
        self.by_oid.insert(relation.oid, at);
        let name = (relation.schema, relation.name.clone());
        // Indexes and sequences have names of their own tables only: a table of such a name is what is meant.
        if matches!(relation.of, Of::Index(..) | Of::Sequence(..)) {
            self.by_name.entry(name).or_insert(at);
        } else {
            self.by_name.insert(name, at);
        }
        self.relations.push(relation);
    }

    fn add_system(&mut self) {
        for table in super::TABLES {
            let (oid, kind) = (table.oid, table.kind());
            self.add(Relation { oid, name: table.name.to_owned(), schema: oids::PG_CATALOG, kind, of: Of::System });
        }
        let views = |names: Vec<&'static str>, first: i64, schema: i64| {
            names.into_iter().zip(first..).map(move |(name, oid)| Relation {
                oid,
                name: name.to_owned(),
                schema,
                kind: "v",
                of: Of::System,
            })
        };
        let of_standard = information::names().collect();
        let of_polder = crate::system::TABLES.iter().map(|table| table.name).collect();
        let of_standard = views(of_standard, oids::INFORMATION_TABLES, oids::INFORMATION_SCHEMA);
        let of_polder = views(of_polder, oids::POLDER_TABLES, oids::POLDER);
        let all: Vec<Relation> = of_standard.chain(of_polder).collect();
        all.into_iter().for_each(|relation| self.add(relation));
    }

    /// What the lake has by the same name is what the name means.
    fn add_topics(&mut self, topics: &[TopicTable]) {
        let Some(schema) = self.schema_named(topics::SCHEMA) else { return };
        for topic in topics {
            let name = topic.name.to_string();
            if self.by_name.contains_key(&(schema, name.clone())) {
                continue;
            }
            let mut oid = oids::of_topic(topic.id);
            while self.by_oid.contains_key(&oid) {
                oid = oids::topic_after(oid);
            }
            self.add(Relation { oid, name, schema, kind: "v", of: Of::Topic(topic.id) });
        }
    }

    fn add_lake(&mut self, snapshot: &Snapshot) {
        for table in snapshot.tables.values() {
            let schema = oids::of(table.schema_id, 0);
            let kind = if table.rules.materialized.is_some() { "m" } else { "r" };
            let of = Of::Table(table.id);
            self.add(Relation { oid: oids::of(table.known_id(), 0), name: table.name.clone(), schema, kind, of });
            for index in indexes(table) {
                let oid = oids::of_index(table.known_id(), index.place);
                let of = Of::Index(table.id, index.place);
                self.add(Relation { oid, name: index.name.to_owned(), schema, kind: "i", of });
            }
            for (place, _, column) in identities(table) {
                let oid = oids::of(table.known_id(), oids::SEQUENCE + place as i64);
                let name = format!("{}_{}_seq", table.name, column.name);
                self.add(Relation { oid, name, schema, kind: "S", of: Of::Sequence(table.id, place) });
            }
        }
        for view in snapshot.views.values() {
            let (oid, schema) = (oids::of(view.id, 0), oids::of(view.schema_id, 0));
            self.add(Relation { oid, name: view.name.clone(), schema, kind: "v", of: Of::View(view.id) });
        }
    }

    pub(crate) fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter()
    }

    pub(crate) fn relation(&self, oid: i64) -> Option<&Relation> {
        self.by_oid.get(&oid).map(|at| &self.relations[*at])
    }

    /// The relation of a row type, or of the type of arrays of it (true).
    pub(crate) fn row_type(&self, oid: i64) -> Option<(&Relation, bool)> {
        self.row_types.get(&oid).map(|(at, array)| (&self.relations[*at], *array))
    }

    /// The relation that a name means, which without a schema is the first one of the path.
    pub(crate) fn named(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let find = |schema: i64| self.by_name.get(&(schema, name.to_owned())).map(|at| &self.relations[*at]);
        match schema {
            // The session's own, whose number nobody has to know.
            Some(temporary::OWN) => self.path.iter().find_map(|schema| {
                self.schema(*schema).filter(|name| temporary::is_temporary(name)).and_then(|_| find(*schema))
            }),
            Some(schema) => find(self.schema_named(schema)?),
            None => self.path.iter().find_map(|schema| find(*schema)),
        }
    }

    /// Whether a relation is what its name without a schema means.
    pub(crate) fn is_visible(&self, relation: &Relation) -> bool {
        self.named(None, &relation.name).is_some_and(|found| found.oid == relation.oid)
    }

    /// (object id, name) of each schema.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = (i64, &str)> {
        self.schemas.iter().map(|(oid, name)| (*oid, name.as_str()))
    }

    pub(crate) fn schema(&self, oid: i64) -> Option<&str> {
        self.schemas.iter().find(|(known, _)| *known == oid).map(|(_, name)| name.as_str())
    }

    pub(crate) fn schema_named(&self, name: &str) -> Option<i64> {
        self.schemas.iter().find(|(_, known)| known == name).map(|(oid, _)| *oid)
    }

    /// The schemas of the path that are there; the first one is `pg_catalog`.
    pub(crate) fn path(&self) -> &[i64] {
        &self.path
    }
}
