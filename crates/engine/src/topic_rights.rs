//! Who may do what with topics.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use polder_capability::Caller;
use polder_capability::topics::{TopicClient, TopicRight, TopicRights, TopicThing};
use polder_lake::Grant;
use polder_metastore::{AuditEvent, AuditRefusal, OWNER_OID, Roles, TopicAccess};
use polder_types::{Error, Result};
use uuid::Uuid;

use crate::audit::AuditLog;
use crate::authz::acl::rights_in;
use crate::authz::rights::{INSERT, Kind, SELECT, USAGE};
use crate::authz::{Authority, READ_ALL_DATA, RoleBook, WRITE_ALL_DATA, Who};
use crate::engine::Engine;

/// The rights of roles on topics: a superuser may all, an owner all with its own, others what is granted. Members of
/// `pg_read_all_data` read all topics, and members of `pg_write_all_data` write to all. Groups and transactional ids belong to
/// the role that they are named after. Nobody else knows of any.
struct RoleTopics {
    authority: Arc<Authority>,
    audit: Arc<AuditLog>,
    /// When the audit was last told what was refused to whom.
    told: Mutex<HashMap<(String, String), DateTime<Utc>>>,
}

/// A client that is refused asks again at once, and goes on: the audit is told once in so long.
const TOLD_EVERY: Duration = Duration::minutes(10);

/// Refusals that are remembered. Those beyond are told without the name that was asked for.
const TOLD_MAX: usize = 4_096;

/// Characters of a name that are told: it may be one that somebody made up.
const NAME_CHARS: usize = 256;

impl Engine {
    /// The permission check of topics.
    #[must_use]
    pub fn topic_rights(&self) -> Arc<dyn TopicRights> {
        let (authority, audit) = (Arc::clone(&self.authority), Arc::clone(&self.audit));
        Arc::new(RoleTopics { authority, audit, told: Mutex::default() })
    }

    /// Forgets what was said of topics that are gone: the server may have stopped between the end of one and that of what was
    /// kept about it.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn forget_deleted_topics(&self) -> Result<()> {
        let Some(topics) = self.authority.topics() else { return Ok(()) };
        let there: BTreeSet<Uuid> = topics.into_iter().map(|(_, id)| id).collect();
        let book = self.authority.book().await?;
        let gone = book.said_topics().filter(|id| !there.contains(id));
        let writes: Vec<_> = gone.map(|id| Roles::no_topic_write(&id.to_string())).collect();
        if writes.is_empty() { Ok(()) } else { self.authority.write_topics(&writes).await }
    }
}

/// The rights that somebody has on a topic with these grants.
pub(crate) fn on_topic(who: &Who, grants: &[Grant]) -> u32 {
    if who.superuser {
        return Kind::Topic.rights();
    }
    let mut rights = rights_in(grants, who);
    if who.has(READ_ALL_DATA) {
        rights |= SELECT;
    }
    if who.has(WRITE_ALL_DATA) {
        rights |= INSERT;
    }
    // Whoever reads or writes it knows of it.
    if rights == 0 { 0 } else { rights | USAGE }
}

/// Whether somebody may know of a topic.
pub(crate) fn knows_of(who: &Who, owner: i64, grants: &[Grant]) -> bool {
    who.has(owner) || on_topic(who, grants) != 0
}

/// A topic that is not there, or of which somebody may not know.
pub(crate) fn missing_topic(name: &str) -> Error {
    Error::not_found(format!("topic \"{name}\" does not exist"))
        .with_code("42704")
        .with_hint("SELECT topic_name FROM polder.topics lists those that you may know of")
}

impl Who {
    /// Whether it has one of these rights on some topic.
    pub(crate) fn has_on_some_topic(&self, rights: u32) -> bool {
        // Of the others nobody has said anything, so that they are the first role's.
        on_topic(self, &[]) & rights != 0
            || self.has(OWNER_OID)
            || self.book.said_topics().any(|id| on_topic(self, &self.book.topic_grants(id)) & rights != 0)
    }

    /// Whether a group or a transactional id belongs to it.
    pub(crate) fn owns_named(&self, name: &str) -> bool {
        self.book.named_after(name).is_some_and(|role| self.has(role.oid))
    }
}

fn on(book: &RoleBook, who: &Who, right: TopicRight, topic: Option<Uuid>) -> bool {
    let (owns, grants) = match topic {
        Some(id) => (who.has(book.topic_owner(id)), book.topic_grants(id)),
        None => (false, std::borrow::Cow::Borrowed([].as_slice())),
    };
    let rights = on_topic(who, &grants);
    match right {
        TopicRight::Describe => owns || rights != 0,
        TopicRight::Read => rights & SELECT != 0,
        TopicRight::Write => rights & INSERT != 0,
        TopicRight::Delete | TopicRight::Alter => owns,
        // Superusers make topics.
        TopicRight::Create => false,
    }
}

/// What somebody wanted to do, and with what.
fn told_of(right: TopicRight, thing: TopicThing<'_>) -> (&'static str, String) {
    let what = match right {
        TopicRight::Describe => "know of",
        TopicRight::Read => "read",
        TopicRight::Write => "write to",
        TopicRight::Create => "create",
        TopicRight::Delete => "delete",
        TopicRight::Alter => "alter",
    };
    let (kind, name) = match thing {
        TopicThing::Topic(name) => ("topic", name),
        TopicThing::Group(name) => ("group", name),
        TopicThing::Transaction(name) => ("transaction", name),
        TopicThing::Server => ("the server", ""),
    };
    let name: String = name.chars().take(NAME_CHARS).collect();
    (what, format!("{kind} {name}").trim_end().to_owned())
}

#[async_trait]
impl TopicRights for RoleTopics {
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool {
        let book = self.authority.known();
        let Some(role) = book.find(&caller.user) else { return false };
        if role.is_superuser {
            return true;
        }
        let who = book.who(role.oid, role.oid);
        match (right, thing) {
            (_, TopicThing::Topic(name)) => on(&book, &who, right, self.authority.topic_id(name)),
            (TopicRight::Describe | TopicRight::Read, TopicThing::Group(_)) if who.has(READ_ALL_DATA) => true,
            (TopicRight::Write | TopicRight::Create, TopicThing::Group(_)) => false,
            (_, TopicThing::Group(name)) => who.owns_named(name) && who.has_on_some_topic(SELECT),
            (TopicRight::Describe | TopicRight::Write, TopicThing::Transaction(id)) => {
                who.has(WRITE_ALL_DATA) || (who.owns_named(id) && who.has_on_some_topic(INSERT))
            }
            _ => false,
        }
    }

    fn refused(&self, client: &TopicClient, right: TopicRight, thing: TopicThing<'_>) {
        let (what, mut object) = told_of(right, thing);
        let (user, now) = (&client.caller.user, self.audit.now());
        {
            let mut told = self.told.lock();
            let place = (user.clone(), format!("{what} {object}"));
            if told.get(&place).is_some_and(|last| now - *last < TOLD_EVERY) {
                return;
            }
            if told.len() >= TOLD_MAX {
                told.retain(|_, last| now - *last < TOLD_EVERY);
            }
            if told.len() < TOLD_MAX {
                told.insert(place, now);
            } else {
                // Made-up names are as many as somebody likes: told one by one, they would push out what else was refused.
                "one of many names".clone_into(&mut object);
            }
        }
        let refusal = AuditRefusal { code: "42501".into(), message: format!("permission denied to {what} {object}") };
        let event = AuditEvent::new("request", user, &client.caller.via).of(&object);
        let origin = Some(client.host.to_string()).filter(|host| !host.is_empty());
        self.audit.record(AuditEvent { refusal: Some(refusal), origin, ..event });
    }

    async fn making(&self, caller: &Caller, topic: &str, id: Uuid) -> Result<()> {
        let owner = self.authority.book().await?.named(&caller.user)?.oid;
        // What nobody has said anything of is the first role's.
        if owner == OWNER_OID {
            return Ok(());
        }
        let access = TopicAccess { topic_id: id.to_string(), topic: topic.to_owned(), owner, items: None };
        self.authority.write_topics(&[Roles::topic_write(None, &access)]).await
    }

    async fn deleted(&self, id: Uuid) {
        if !self.authority.known().said_topics().any(|known| known == id) {
            return;
        }
        if let Err(error) = self.authority.write_topics(&[Roles::no_topic_write(&id.to_string())]).await {
            tracing::warn!(topic = %id, %error, "what was granted on a deleted topic is kept until the next start");
        }
    }
}
