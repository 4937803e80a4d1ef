//! What a client wants to be granted, as far as it can be.

use kafka_protocol::error::ResponseError as Code;
use kafka_protocol::messages::create_acls_request::AclCreation;
use polder_capability::topics::{Grantee, TopicGrant, TopicGrantChange};

use super::entries::{
    ALL, ALLOW, ANYWHERE, CLUSTER, DELETE, DESCRIBE, Entry, GROUP, LITERAL, Origin, PREFIXED, READ, TOPIC,
    TRANSACTIONAL_ID, WRITE,
};
use super::{Refusal, refusal};

/// What there is to do for an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Grant(TopicGrantChange),
    /// It is there by a name, or not at all.
    Named(Entry),
}

fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(refusal(Code::InvalidRequest, why))
}

fn grantee(principal: &str) -> Result<Grantee, Refusal> {
    match principal.split_once(':') {
        Some(("User", "*")) => Ok(Grantee::Everybody),
        Some(("User", name)) if !name.is_empty() => Ok(Grantee::Role(name.to_owned())),
        _ => Err(refusal(Code::InvalidPrincipalType, "a principal is User: and the name of a role, or User:*")),
    }
}

/// What an entry wants.
///
/// # Errors
/// For what cannot be granted.
pub(super) fn wish(creation: &AclCreation) -> Result<Wish, Refusal> {
    if creation.permission_type != ALLOW {
        return invalid("nothing is denied: what is not granted is refused, and REVOKE takes back what is");
    }
    if creation.host.as_str() != ANYWHERE {
        return invalid("rights hold wherever somebody comes from: the host is *");
    }
    let grantee = grantee(&creation.principal)?;
    match creation.resource_type {
        TOPIC => topic(creation, grantee).map(Wish::Grant),
        GROUP => named(creation, &[READ, DELETE, DESCRIBE, ALL]).map(Wish::Named),
        TRANSACTIONAL_ID => named(creation, &[WRITE, DESCRIBE, ALL]).map(Wish::Named),
        CLUSTER => invalid("what concerns the whole server is the superusers' affair: ALTER ROLE … SUPERUSER"),
        _ => invalid("rights are granted on topics"),
    }
}

fn topic(creation: &AclCreation, grantee: Grantee) -> Result<TopicGrantChange, Refusal> {
    let topic = creation.resource_name.as_str();
    if creation.resource_pattern_type != LITERAL {
        return invalid("rights are on topics that are there, and not on beginnings of names");
    }
    if topic == "*" {
        return invalid(
            "rights are on topics by themselves; members of pg_read_all_data read all, of pg_write_all_data write to all",
        );
    }
    let rights = match creation.operation {
        READ => vec![TopicGrant::Read],
        WRITE => vec![TopicGrant::Write],
        DESCRIBE => vec![TopicGrant::Describe],
        ALL => TopicGrant::ALL.to_vec(),
        _ => {
            return invalid(
                "READ, WRITE and DESCRIBE are granted, which tell the settings too; superusers make topics, and owners change and \
                 delete them: ALTER TOPIC … OWNER TO",
            );
        }
    };
    Ok(TopicGrantChange { topic: topic.to_owned(), grantee, rights, revokes: false })
}

fn named(creation: &AclCreation, operations: &[i8]) -> Result<Entry, Refusal> {
    if ![LITERAL, PREFIXED].contains(&creation.resource_pattern_type) || !operations.contains(&creation.operation) {
        return invalid("there is no such pattern or operation for it");
    }
    Ok(Entry {
        resource: creation.resource_type,
        name: creation.resource_name.to_string(),
        pattern: creation.resource_pattern_type,
        principal: creation.principal.to_string(),
        operation: creation.operation,
        from: Origin::Name,
    })
}
