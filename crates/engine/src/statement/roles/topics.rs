//! Topics among the things that rights are on. They are no tables of the lake: who owns one, and what is granted on it, stands
//! with the roles, and comes and goes with the transaction as these do.

use datafusion::sql::sqlparser::ast::ObjectName;
use polder_lake::Grant;
use polder_metastore::{OWNER_OID, Roles, TopicAccess};
use polder_types::{Error, Result};
use uuid::Uuid;

use super::Work;
use super::owners::forget;
use super::things::Thing;
use crate::authz::rights::Kind;
use crate::authz::{acl, names_role};
use crate::statement::names::parts;
use crate::topic_rights::{knows_of, missing_topic, on_topic};
use crate::topics::SCHEMA;

fn thing(name: String, id: Uuid) -> Thing {
    let kind = Kind::Topic;
    Thing { id: None, kind, word: kind.word(), name, schema: None, topic: Some(id) }
}

fn read(items: Option<&str>, owner: i64) -> Vec<Grant> {
    // What cannot be read any more is not granted.
    items.map_or_else(|| Kind::Topic.usual(owner), |items| serde_json::from_str(items).unwrap_or_default())
}

impl Work<'_> {
    fn knows_of(&self, id: Uuid) -> bool {
        knows_of(self.who, self.topic_owner(id), &self.topic_grants(id))
    }

    /// A topic by its name, for somebody who may know of it.
    ///
    /// # Errors
    /// `NotFound` (42704).
    pub(super) fn topic(&self, name: &ObjectName) -> Result<Thing> {
        let parts = parts(name)?;
        let name = match parts.as_slice() {
            [name] => name,
            [schema, name] if schema == SCHEMA => name,
            [database, schema, name] if database == "polder" && schema == SCHEMA => name,
            _ => return Err(missing_topic(&parts.join("."))),
        };
        let id = self.context.engine.authority.topic_id(name).filter(|id| self.knows_of(*id));
        id.map(|id| thing(name.clone(), id)).ok_or_else(|| missing_topic(name))
    }

    /// All topics that somebody may know of.
    pub(super) fn all_topics(&self) -> Vec<Thing> {
        let all = self.context.engine.authority.topics().unwrap_or_default().into_iter();
        all.filter(|(_, id)| self.knows_of(*id)).map(|(name, id)| thing(name, id)).collect()
    }

    fn topic_row(&self, id: Uuid) -> Option<&TopicAccess> {
        let id = id.to_string();
        self.rows.topics.iter().find(|row| row.topic_id == id)
    }

    pub(super) fn topic_owner(&self, id: Uuid) -> i64 {
        self.topic_row(id).map_or(OWNER_OID, |row| row.owner)
    }

    pub(super) fn topic_grants(&self, id: Uuid) -> Vec<Grant> {
        read(self.topic_row(id).and_then(|row| row.items.as_deref()), self.topic_owner(id))
    }

    /// The rights of whoever runs the statement on a topic.
    pub(super) fn rights_on_topic(&self, id: Uuid) -> u32 {
        on_topic(self.who, &self.topic_grants(id))
    }

    fn put_topic(&mut self, id: Uuid, topic: &str, owner: i64, items: Option<String>) {
        let before = self.topic_row(id).cloned();
        let after = TopicAccess { topic_id: id.to_string(), topic: topic.to_owned(), owner, items };
        self.transaction.attach(Roles::topic_write(before.as_ref(), &after));
        self.rows.topics.retain(|row| row.topic_id != after.topic_id);
        self.rows.topics.push(after);
        self.is_changed = true;
    }

    pub(super) fn put_topic_grants(&mut self, id: Uuid, topic: &str, grants: &[Grant]) -> Result<()> {
        let items = serde_json::to_string(grants).map_err(|error| Error::internal(error.to_string()))?;
        self.put_topic(id, topic, self.topic_owner(id), Some(items));
        Ok(())
    }

    pub(super) fn hand_topic_over(&mut self, id: Uuid, topic: &str, to: i64) -> Result<()> {
        let owner = self.topic_owner(id);
        if owner == to {
            return Ok(());
        }
        let said = self.topic_row(id).and_then(|row| row.items.clone());
        let grants = said.map(|items| acl::handed_over(&read(Some(&items), owner), owner, to));
        let items = grants.map(|grants| serde_json::to_string(&grants)).transpose();
        self.put_topic(id, topic, to, items.map_err(|error| Error::internal(error.to_string()))?);
        Ok(())
    }

    /// The topics of which something is said, and that are still there.
    fn said_topics(&self) -> Vec<(Thing, TopicAccess)> {
        let there = self.context.engine.authority.topics();
        let is_there = |id: &Uuid| there.as_ref().is_none_or(|there| there.iter().any(|(_, known)| known == id));
        let rows = self.rows.topics.iter();
        let read = |row: &TopicAccess| Some((Uuid::parse_str(&row.topic_id).ok().filter(is_there)?, row.clone()));
        rows.filter_map(read).map(|(id, row)| (thing(row.topic.clone(), id), row)).collect()
    }

    /// The topics that a role owns.
    pub(super) fn topics_of(&self, role: i64) -> Vec<Thing> {
        self.said_topics().into_iter().filter(|(_, row)| row.owner == role).map(|(thing, _)| thing).collect()
    }

    /// What of topics stands in the way of dropping a role.
    pub(super) fn topic_holdings(&self, oid: i64) -> Vec<String> {
        let held = |(thing, row): (Thing, TopicAccess)| match () {
            () if row.owner == oid => Some(format!("owner of topic {}", thing.name)),
            () if names_role(&read(row.items.as_deref(), row.owner), oid) => {
                Some(format!("privileges for topic {}", thing.name))
            }
            () => None,
        };
        self.said_topics().into_iter().filter_map(held).collect()
    }

    /// Takes all that was granted to a role on topics away, and what it has granted with it.
    pub(super) fn forget_topic_grants(&mut self, role: i64) -> Result<()> {
        for (thing, row) in self.said_topics() {
            let (Some(id), true) = (thing.topic, row.owner != role) else { continue };
            let mut grants = read(row.items.as_deref(), row.owner);
            if forget(&mut grants, row.owner, role)? {
                self.put_topic_grants(id, &thing.name, &grants)?;
            }
        }
        Ok(())
    }
}
