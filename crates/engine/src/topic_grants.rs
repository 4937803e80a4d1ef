//! What of topics is granted to whom, for those who do not speak SQL.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::topics::{Grantee, TopicAcl, TopicAcls, TopicGrant, TopicGrantChange, TopicGrants};
use polder_capability::{Caller, SqlSession, StatementRequest};
use polder_lake::{EVERYBODY, Grant};
use polder_types::{Error, ErrorKind, QueryId, Result};
use uuid::Uuid;

use crate::authz::rights::{INSERT, SELECT, USAGE};
use crate::authz::{READ_ALL_DATA, RoleBook, WRITE_ALL_DATA, Who};
use crate::engine::Engine;
use crate::session::Session;
use crate::statement::quoted;
use crate::topic_rights::missing_topic;

/// A right by its bit.
const fn right_of(grant: TopicGrant) -> u32 {
    match grant {
        TopicGrant::Read => SELECT,
        TopicGrant::Write => INSERT,
        TopicGrant::Describe => USAGE,
    }
}

fn granted_in(rights: u32) -> impl Iterator<Item = TopicGrant> {
    TopicGrant::ALL.into_iter().filter(move |grant| rights & right_of(*grant) != 0)
}

fn forbidden() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "rights on topics are seen and granted by those whom they belong to, and by superusers",
    )
}

/// The rights that a list has for a role itself.
fn rights_of(grants: &[Grant], role: i64) -> u32 {
    grants.iter().filter(|grant| grant.role == role).fold(0, |rights, grant| rights | grant.rights)
}

fn acl_of(book: &RoleBook, topic: String, id: Uuid) -> TopicAcl {
    let (owner, grants) = (book.topic_owner(id), book.topic_grants(id));
    let name = |role: i64| book.name(role).map(|name| Grantee::Role(name.to_owned()));
    let others = grants.iter().filter(|grant| grant.role != owner).flat_map(|grant| {
        let grantee = if grant.role == EVERYBODY { Some(Grantee::Everybody) } else { name(grant.role) };
        grantee.into_iter().flat_map(move |grantee| granted_in(grant.rights).map(move |right| (grantee.clone(), right)))
    });
    TopicAcl {
        topic,
        owner: book.name(owner).unwrap_or_default().to_owned(),
        of_owner: granted_in(rights_of(&grants, owner)).collect(),
        granted: others.collect::<BTreeSet<_>>().into_iter().collect(),
    }
}

impl Engine {
    fn asks_about_topics(&self, caller: &Caller) -> Result<(Arc<RoleBook>, Who)> {
        let book = self.authority.known();
        let role = book.find(&caller.user).ok_or_else(forbidden)?.oid;
        let who = book.who(role, role);
        Ok((book, who))
    }
}

#[async_trait]
impl TopicGrants for Engine {
    fn list(&self, caller: &Caller) -> Result<TopicAcls> {
        let (book, who) = self.asks_about_topics(caller)?;
        let topics = self.authority.topics().unwrap_or_default().into_iter();
        let own = topics.filter(|(_, id)| who.has(book.topic_owner(*id)));
        let topics: Vec<TopicAcl> = own.map(|(name, id)| acl_of(&book, name, id)).collect();
        if !who.superuser {
            return match topics.is_empty() {
                true => Err(forbidden()),
                false => Ok(TopicAcls { topics, ..TopicAcls::default() }),
            };
        }
        let name = |role: i64| book.name(role).unwrap_or_default().to_owned();
        let everywhere = [
            (name(READ_ALL_DATA), TopicGrant::Read),
            (name(READ_ALL_DATA), TopicGrant::Describe),
            (name(WRITE_ALL_DATA), TopicGrant::Write),
            (name(WRITE_ALL_DATA), TopicGrant::Describe),
        ];
        let plain = || book.roles().iter().filter(|role| !role.is_superuser);
        let may = |rights: u32| {
            let with = plain().filter(|role| book.who(role.oid, role.oid).has_on_some_topic(rights));
            with.map(|role| role.name.clone()).collect()
        };
        Ok(TopicAcls {
            topics,
            is_all: true,
            everywhere: everywhere.into(),
            groups: may(SELECT),
            transactions: may(INSERT),
        })
    }

    async fn change(&self, caller: &Caller, change: &TopicGrantChange) -> Result<()> {
        let (book, who) = self.asks_about_topics(caller)?;
        let id = self.authority.topic_id(&change.topic);
        let id = match id {
            Some(id) if who.has(book.topic_owner(id)) => id,
            None if who.superuser => return Err(missing_topic(&change.topic)),
            _ => return Err(forbidden()),
        };
        let words: Vec<&str> = change.rights.iter().map(|right| right.word()).collect();
        let to = match &change.grantee {
            Grantee::Everybody => "PUBLIC".to_owned(),
            Grantee::Role(name) => quoted(name),
        };
        let (words, topic) = (words.join(", "), quoted(&change.topic));
        let sql = match change.revokes {
            true => format!("REVOKE {words} ON TOPIC {topic} FROM {to} CASCADE"),
            false => format!("GRANT {words} ON TOPIC {topic} TO {to}"),
        };
        let session = Session::new(Arc::downgrade(&self.shared()?), caller.clone());
        session.run(StatementRequest { sql, query_id: QueryId::new(), row_limit: None, sent: None }).await?;
        if change.revokes {
            self.check_revoked(id, change).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// # Errors
    /// `Conflict` for rights that somebody else than the owner has granted too.
    async fn check_revoked(&self, id: Uuid, change: &TopicGrantChange) -> Result<()> {
        let book = self.authority.book().await?;
        let role = match &change.grantee {
            Grantee::Everybody => EVERYBODY,
            Grantee::Role(name) => book.named(name)?.oid,
        };
        let taken = change.rights.iter().fold(0, |rights, right| rights | right_of(*right));
        let grants = book.topic_grants(id);
        match grants.iter().find(|grant| grant.role == role && grant.rights & taken != 0) {
            None => Ok(()),
            Some(left) => {
                let grantor = book.name(left.grantor).unwrap_or_default();
                Err(Error::conflict(format!("{grantor} has granted it too, and may revoke it: REVOKE … ON TOPIC")))
            }
        }
    }
}
