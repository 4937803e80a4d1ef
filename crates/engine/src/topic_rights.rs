//! Who may do what with topics.

use std::sync::Arc;

use polder_capability::Caller;
use polder_capability::topics::{TopicRight, TopicRights, TopicThing};

use crate::authz::{Authority, READ_ALL_DATA, WRITE_ALL_DATA};
use crate::engine::Engine;

/// The rights of roles on topics: a superuser may all; members of `pg_read_all_data` may read topics and commit the offsets of
/// groups, members of `pg_write_all_data` write, in transactions too. Nobody else knows of any.
struct RoleTopics {
    authority: Arc<Authority>,
}

impl Engine {
    /// The permission check of topics.
    #[must_use]
    pub fn topic_rights(&self) -> Arc<dyn TopicRights> {
        Arc::new(RoleTopics { authority: Arc::clone(&self.authority) })
    }
}

impl TopicRights for RoleTopics {
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool {
        let book = self.authority.known();
        let Some(role) = book.find(&caller.user) else { return false };
        let who = book.who(role.oid, role.oid);
        let (reads, writes) = (who.has(READ_ALL_DATA), who.has(WRITE_ALL_DATA));
        who.superuser
            || match (right, thing) {
                (TopicRight::Describe, TopicThing::Topic(_)) => reads || writes,
                (TopicRight::Read, TopicThing::Topic(_)) => reads,
                (TopicRight::Describe | TopicRight::Read, TopicThing::Group(_)) => reads,
                (TopicRight::Write, TopicThing::Topic(_)) => writes,
                (TopicRight::Describe | TopicRight::Write, TopicThing::Transaction(_)) => writes,
                _ => false,
            }
    }
}
