//! What somebody may do with the things of a snapshot.

use std::borrow::Cow;
use std::collections::BTreeSet;

use polder_lake::{Access, EVERYBODY, FunctionState, Grant, Snapshot, TableName, TableState, ThingKind, Unowned};
use polder_metastore::OWNER_OID;
use polder_types::{Error, ErrorKind, Result};

use super::acl::rights_in;
use super::book::{READ_ALL_DATA, WRITE_ALL_DATA};
use super::rights::{self, Kind};
use super::who::Who;
use crate::policies::Bound;

/// How the names of schemas begin that are one session's own. Those of other sessions are not in the snapshot.
const TEMPORARY: &str = "pg_temp_";

/// Whose name a schema has that everybody may use as long as nobody has said otherwise.
const PUBLIC: &str = "public";

/// What of a table or view somebody may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readable {
    All,
    /// These columns: of a table by their ids, of a view by their places from 1.
    Columns(BTreeSet<i64>),
    Nothing,
}

/// Answers what somebody may do. Copies cost nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rights<'a> {
    pub who: &'a Who,
    pub snapshot: &'a Snapshot,
}

/// The refusal of something, as PostgreSQL says it.
pub(crate) fn denied(word: &str, name: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Forbidden, format!("permission denied for {word} {name}")).with_hint(hint)
}

/// The refusal of what only owners may do.
pub(crate) fn not_owner(word: &str, name: &str, owner: &str) -> Error {
    Error::new(ErrorKind::Forbidden, format!("must be owner of {word} {name}"))
        .with_hint(format!("{owner} owns it, and may hand it over: ALTER … OWNER TO"))
}

/// The word for a table in errors.
pub(crate) fn word_of(table: &TableState) -> &'static str {
    if table.rules.materialized.is_some() { "materialized view" } else { "table" }
}

impl<'a> Rights<'a> {
    pub fn new(who: &'a Who, snapshot: &'a Snapshot) -> Self {
        Self { who, snapshot }
    }

    /// What is granted on a thing, and who owns it.
    pub fn access(&self, id: i64) -> Option<&'a Access> {
        match &self.who.newest {
            Some(newest) => newest.get(&id).map(AsRef::as_ref),
            None => self.snapshot.access(id).map(AsRef::as_ref),
        }
    }

    pub fn owner(&self, id: i64) -> i64 {
        self.access(id).and_then(|access| access.owner).unwrap_or(OWNER_OID)
    }

    pub fn owner_name(&self, id: i64) -> &'a str {
        self.who.book.name(self.owner(id)).unwrap_or("nobody")
    }

    pub fn owns(&self, id: i64) -> bool {
        self.who.has(self.owner(id))
    }

    /// The grants on a thing, those included that nobody has written down.
    pub fn grants(&self, kind: Kind, id: i64) -> Cow<'a, [Grant]> {
        match self.access(id).and_then(|access| access.grants.as_deref()) {
            Some(grants) => Cow::Borrowed(grants),
            None => Cow::Owned(self.usual(kind, id)),
        }
    }

    /// The grants on a thing as long as nobody has granted or revoked any.
    pub fn usual(&self, kind: Kind, id: i64) -> Vec<Grant> {
        let is_public =
            kind == Kind::Schema && self.snapshot.schemas.get(&id).is_some_and(|schema| schema.name == PUBLIC);
        match is_public {
            true => kind.usual_with(self.owner(id), rights::USAGE),
            false => kind.usual(self.owner(id)),
        }
    }

    /// The rights on a thing as a whole.
    pub fn on(&self, kind: Kind, id: i64) -> u32 {
        if self.who.superuser {
            return kind.rights();
        }
        let mut found = rights_in(&self.grants(kind, id), self.who);
        if matches!(kind, Kind::Table | Kind::Schema) {
            let reads = self.who.has(READ_ALL_DATA);
            let writes = self.who.has(WRITE_ALL_DATA);
            found |= match kind {
                Kind::Schema if reads || writes => rights::USAGE,
                Kind::Table => {
                    let read = if reads { rights::SELECT } else { 0 };
                    let write = if writes { rights::INSERT | rights::UPDATE | rights::DELETE } else { 0 };
                    read | write
                }
                _ => 0,
            };
        }
        found
    }

    /// The rights on one column by itself, beside those on the table.
    pub fn on_column(&self, id: i64, column: i64) -> u32 {
        let grants = self.access(id).and_then(|access| access.columns.get(&column));
        grants.map_or(0, |grants| rights_in(grants, self.who))
    }

    /// The rights on a table or on any of its columns.
    pub fn on_any_column(&self, id: i64) -> u32 {
        let columns = self.access(id).into_iter().flat_map(|access| access.columns.values());
        columns.fold(self.on(Kind::Table, id), |rights, grants| rights | rights_in(grants, self.who))
    }

    /// The columns on which somebody has a right: all, if it is on the table.
    pub fn columns_with(&self, id: i64, right: u32) -> Readable {
        if self.on(Kind::Table, id) & right == right {
            return Readable::All;
        }
        let columns = self.access(id).into_iter().flat_map(|access| access.columns.iter());
        let with = columns.filter(|(_, grants)| rights_in(grants, self.who) & right == right);
        let with: BTreeSet<i64> = with.map(|(column, _)| *column).collect();
        if with.is_empty() { Readable::Nothing } else { Readable::Columns(with) }
    }

    pub fn is_own_temporary(schema: &str) -> bool {
        schema.starts_with(TEMPORARY)
    }

    /// # Errors
    /// `Forbidden` (42501) for a schema that somebody may not use. One that is not there is nobody's matter.
    pub fn use_schema(&self, name: &str) -> Result<()> {
        self.schema_with(name, rights::USAGE, "USAGE")
    }

    /// # Errors
    /// `Forbidden` (42501).
    pub fn create_in(&self, name: &str) -> Result<()> {
        self.schema_with(name, rights::CREATE, "CREATE")
    }

    fn schema_with(&self, name: &str, right: u32, word: &str) -> Result<()> {
        if self.who.superuser || Self::is_own_temporary(name) {
            return Ok(());
        }
        let Some(schema) = self.snapshot.schema(name) else { return Ok(()) };
        if self.on(Kind::Schema, schema.id) & right == right {
            return Ok(());
        }
        let role = self.who.role_name();
        Err(denied(
            "schema",
            name,
            format!("{} may GRANT {word} ON SCHEMA {name} TO {role}", self.owner_name(schema.id)),
        ))
    }

    /// What somebody may read of a table or view.
    ///
    /// # Errors
    /// `Forbidden` (42501) when its schema may not be used.
    pub fn readable(&self, name: &TableName, id: i64) -> Result<Readable> {
        if self.who.superuser {
            return Ok(Readable::All);
        }
        self.use_schema(&name.schema)?;
        Ok(self.columns_with(id, rights::SELECT))
    }

    /// # Errors
    /// `Forbidden` (42501) unless somebody has a right on the table as a whole.
    pub fn require(&self, word: &str, name: &TableName, id: i64, right: u32) -> Result<()> {
        if self.who.superuser {
            return Ok(());
        }
        self.use_schema(&name.schema)?;
        if self.on(Kind::Table, id) & right == right { Ok(()) } else { Err(self.denied_on(word, name, id, right)) }
    }

    /// The refusal of a right on a table or view.
    pub fn denied_on(&self, word: &str, name: &TableName, id: i64, right: u32) -> Error {
        let words: Vec<&str> = rights::names(right, 0).map(|(word, _)| word).collect();
        let (owner, role) = (self.owner_name(id), self.who.role_name());
        denied(word, &name.table, format!("{owner} may GRANT {} ON {name} TO {role}", words.join(", ")))
    }

    /// # Errors
    /// `Forbidden` (42501).
    pub fn execute(&self, function: &FunctionState) -> Result<()> {
        if self.who.superuser {
            return Ok(());
        }
        if let Some(schema) = self.snapshot.schemas.get(&function.schema_id) {
            self.use_schema(&schema.name)?;
        }
        if self.on(Kind::Function, function.id) & rights::EXECUTE != 0 {
            return Ok(());
        }
        let (owner, role) = (self.owner_name(function.id), self.who.role_name());
        let name = &function.name;
        Err(denied("function", name, format!("{owner} may GRANT EXECUTE ON FUNCTION {name} TO {role}")))
    }

    /// The rights on the database.
    pub fn on_database(&self) -> u32 {
        if self.who.superuser {
            return Kind::Database.rights();
        }
        rights_in(&self.database_grants(), self.who)
    }

    pub fn database_grants(&self) -> Cow<'a, [Grant]> {
        match &self.who.book.database {
            Some(grants) => Cow::Borrowed(grants.as_slice()),
            None => Cow::Owned(Kind::Database.usual(OWNER_OID)),
        }
    }

    /// Whether somebody has any right on a table or view: then they may know of it.
    pub fn sees(&self, id: i64) -> bool {
        self.who.superuser || self.owns(id) || self.on_any_column(id) != 0
    }

    /// Whether somebody may know what is in a table, as a whole.
    pub fn reads(&self, id: i64) -> bool {
        self.who.superuser || self.on(Kind::Table, id) & rights::SELECT != 0
    }

    /// Whether somebody may know how much is in a table: whoever is shown some of its rows only may not.
    pub fn counts(&self, id: i64) -> bool {
        self.reads(id) && !Bound::of(*self, id).is_some_and(|bound| bound.rows)
    }
}

/// What a role that makes something grants on it, by what was said with ALTER DEFAULT PRIVILEGES. `None`: what is usual.
fn grants_on_new(who: &Who, kind: Kind, owner: i64, schema: Option<&Access>) -> Option<Vec<Grant>> {
    let fits = |role: i64, word: &str| role == owner && Kind::of_word(word) == Some(kind);
    let overall = who.book.defaults.iter().find(|known| fits(known.role, &known.kind));
    let here = schema.and_then(|schema| schema.defaults.iter().find(|known| fits(known.role, &known.kind)));
    if overall.is_none() && here.is_none() {
        return None;
    }
    let mut grants = overall.map_or_else(|| kind.usual(owner), |known| known.grants.clone());
    for added in here.into_iter().flat_map(|known| &known.grants) {
        super::acl::add(&mut grants, added);
    }
    Some(grants)
}

/// Who owns something that somebody makes, and what is granted on it; `None`: what is usual for what nobody owns.
pub(crate) fn access_of_new(who: &Who, made: &Unowned, view: &Snapshot) -> Option<Access> {
    let (kind, schema) = match made.kind {
        ThingKind::Schema => (Kind::Schema, None),
        ThingKind::Table | ThingKind::View => (Kind::Table, view.access(made.schema)),
        ThingKind::Function => (Kind::Function, view.access(made.schema)),
    };
    let grants = grants_on_new(who, kind, who.role, schema.map(AsRef::as_ref));
    if grants.is_none() && who.role == OWNER_OID {
        return None;
    }
    Some(Access { owner: Some(who.role), grants, ..Access::default() })
}

/// Whether a list of grants names a role, as one who has rights or has granted them.
pub(crate) fn names_role(grants: &[Grant], role: i64) -> bool {
    role != EVERYBODY && grants.iter().any(|grant| grant.role == role || grant.grantor == role)
}
