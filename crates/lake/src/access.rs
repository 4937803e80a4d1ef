//! Who owns a thing, and who may do what with it.
//!
//! That is one tag of the thing (`polder_access`, JSON) in the catalog: so it has versions as the thing has, changes in the
//! same transactions, goes with it when it is dropped, and is passed over by programs that do not know it. Roles are
//! named by their numbers. What the rights mean is for the floors above.

use std::collections::BTreeMap;
use std::sync::Arc;

use polder_metastore::{OWNER_OID, Row};
use polder_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::apply::Op;
use crate::model::{Named, PROVISIONAL, Snapshot};
use crate::policies::Policies;
use crate::transaction::Transaction;

/// The tag's name.
pub(crate) const TAG: &str = "polder_access";

/// The role that stands for everybody.
pub const EVERYBODY: i64 = 0;

/// Who may do what with a schema, a table, a view or a function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `None` for what another program has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<i64>,
    /// `None`: nothing was granted or taken away yet, so that what is usual for such a thing holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// What is granted on single columns of a table or view: those of a table by their ids, those of a view by their places
    /// from 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<i64, Vec<Grant>>,
    /// Of a schema: what roles grant on things that they make in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<DefaultGrants>,
    /// Of a table: which rows and values are shown to whom.
    #[serde(default, skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
    /// Of a view: it reads with the rights of whoever asks, and not with its owner's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub invoker: bool,
}

/// What one role has granted another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who has the rights; [`EVERYBODY`] for all.
    pub role: i64,
    pub grantor: i64,
    /// A bit for each right.
    pub rights: u32,
    /// Those of them that may be granted on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grantable: u32,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(rights: &u32) -> bool {
    *rights == 0
}

/// What a role grants on things of a kind that it makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultGrants {
    pub role: i64,
    pub kind: String,
    pub grants: Vec<Grant>,
}

/// What can be owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThingKind {
    Schema,
    Table,
    View,
    Function,
}

/// Something that a transaction has made and nobody owns yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unowned {
    pub id: i64,
    pub kind: ThingKind,
    /// Its schema's id; of a schema its own.
    pub schema: i64,
}

impl Access {
    /// # Errors
    /// `Corrupt`.
    fn from_tag(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("who may use a thing cannot be read: {error}")).with_source(error)
        })
    }

    /// The tag's text; `None` when there is nothing to keep.
    pub(crate) fn to_tag(&self) -> Result<Option<String>> {
        if *self == Self::default() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some).map_err(|error| Error::internal(error.to_string()))
    }
}

/// Of rows of (id, tag).
pub(crate) fn read(rows: &[Row]) -> Result<Arc<BTreeMap<i64, Arc<Access>>>> {
    let mut all = BTreeMap::new();
    for row in rows {
        let access = row.opt_text(1)?.map(Access::from_tag).transpose()?.unwrap_or_default();
        all.insert(row.int(0)?, Arc::new(access));
    }
    Ok(Arc::new(all))
}

impl Snapshot {
    /// Who may do what with the schema, table, view or function of an id; `None`: what is usual.
    #[must_use]
    pub fn access(&self, id: i64) -> Option<&Arc<Access>> {
        self.access.get(&id)
    }

    /// All that anybody owns or may use, by the id of the thing.
    #[must_use]
    pub fn all_access(&self) -> &Arc<BTreeMap<i64, Arc<Access>>> {
        &self.access
    }

    /// The snapshot with only those tables and views that somebody is to be told of.
    #[must_use]
    pub fn with_only(&self, told: impl Fn(i64) -> bool) -> Self {
        let mut fewer = self.clone();
        fewer.tables.retain(|id, _| told(*id));
        fewer.views.retain(|id, _| told(*id));
        fewer.names.retain(|_, named| match named {
            Named::Table(id) | Named::View(id) => told(*id),
        });
        fewer
    }

    pub(crate) fn has_thing(&self, id: i64) -> bool {
        self.tables.contains_key(&id)
            || self.views.contains_key(&id)
            || self.schemas.contains_key(&id)
            || self.functions.contains_key(&id)
    }
}

impl Transaction {
    /// Says who owns a schema, table, view or function of the view, and who may do what with it.
    ///
    /// # Errors
    /// `NotFound` for an id that is none.
    pub fn set_access(&mut self, id: i64, access: Access) -> Result<()> {
        if !self.view().has_thing(id) {
            return Err(Error::not_found("what is granted on does not exist"));
        }
        let expected = self.view().access(id).cloned();
        if expected.as_deref() == Some(&access) {
            return Ok(());
        }
        self.record(Op::SetAccess { id, expected, access: Arc::new(access) })
    }

    /// What has taken the place of something that nobody was named the owner of is not whoever's who put it there.
    pub(crate) fn keep_owner(&mut self, id: i64) -> Result<()> {
        match self.view().access(id) {
            Some(_) => Ok(()),
            None => self.set_access(id, Access { owner: Some(OWNER_OID), ..Access::default() }),
        }
    }

    /// What was made here, and has no owner yet.
    #[must_use]
    pub fn unowned(&self) -> Vec<Unowned> {
        let view = self.view();
        let schemas = view.schemas.range(PROVISIONAL..).map(|(id, _)| (*id, ThingKind::Schema, *id));
        let tables = view.tables.range(PROVISIONAL..).map(|(id, table)| (*id, ThingKind::Table, table.schema_id));
        let views = view.views.range(PROVISIONAL..).map(|(id, known)| (*id, ThingKind::View, known.schema_id));
        let functions =
            view.functions.range(PROVISIONAL..).map(|(id, known)| (*id, ThingKind::Function, known.schema_id));
        let all = schemas.chain(tables).chain(views).chain(functions);
        let made = all.filter(|(id, ..)| view.access(*id).is_none_or(|access| access.owner.is_none()));
        made.map(|(id, kind, schema)| Unowned { id, kind, schema }).collect()
    }

    /// Gives what nobody owns yet to the author of the commit.
    pub(crate) fn own_what_is_new(&mut self, author: Option<&str>) -> Result<()> {
        let made = self.unowned();
        if made.is_empty() {
            return Ok(());
        }
        // A program without SQL knows of no roles.
        let Ok(keeper) = self.lake().rule_keeper() else { return Ok(()) };
        for (thing, access) in keeper.owned(author, &made, self.view()) {
            self.set_access(thing, access)?;
        }
        Ok(())
    }
}
