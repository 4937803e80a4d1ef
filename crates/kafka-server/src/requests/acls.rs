//! Access control lists: another way to see and to change what is granted on topics in SQL.
//!
//! An entry is one right of one role: `READ` is SELECT, `WRITE` is INSERT, `DESCRIBE` is USAGE. What comes with owning a topic,
//! and with the name of a group, is seen as entries too, which are not changed here.

mod entries;
#[cfg(test)]
mod tests;
mod wishes;

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError as Code;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{TopicAcls, TopicGrantChange, TopicGrants};
use polder_types::{Error, ErrorKind};

use super::Ask;
use entries::{ALLOW, ANYWHERE, Entry, Filter};
use wishes::{Wish, wish};

/// Entries of one answer.
const ENTRIES_MAX: usize = 100_000;

/// Changes of one request: each is durable by itself.
const CHANGES_MAX: usize = 1_000;

/// Why something was refused.
struct Refusal {
    code: Code,
    why: String,
}

fn refusal(code: Code, why: impl Into<String>) -> Refusal {
    Refusal { code, why: why.into() }
}

fn too_many() -> Refusal {
    refusal(Code::PolicyViolation, format!("at most {CHANGES_MAX} changes are made at once"))
}

impl Refusal {
    fn of(error: &Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Forbidden => Code::ClusterAuthorizationFailed,
            ErrorKind::NotFound => Code::InvalidPrincipalType,
            ErrorKind::InvalidInput | ErrorKind::Conflict => Code::InvalidRequest,
            ErrorKind::Unavailable | ErrorKind::Exhausted => Code::KafkaStorageError,
            _ => Code::UnknownServerError,
        };
        refusal(code, error.message())
    }

    fn code(&self) -> i16 {
        self.code.code()
    }

    fn why(self) -> Option<StrBytes> {
        Some(StrBytes::from_string(self.why))
    }
}

fn grants(ask: &Ask) -> Result<&dyn TopicGrants, Refusal> {
    let none = || refusal(Code::SecurityDisabled, "there are no access control lists here");
    ask.house.contracts.grants.as_deref().ok_or_else(none)
}

/// What is in effect, as far as the client may know.
fn listed(ask: &Ask) -> Result<TopicAcls, Refusal> {
    grants(ask)?.list(&ask.client.caller).map_err(|error| Refusal::of(&error))
}

fn matching(acls: &TopicAcls, filter: &Filter) -> Result<Vec<Entry>, Refusal> {
    filter.check()?;
    let found: Vec<Entry> = entries::of(acls).filter(|entry| filter.takes(entry)).take(ENTRIES_MAX + 1).collect();
    if found.len() > ENTRIES_MAX {
        return Err(refusal(Code::PolicyViolation, format!("more than {ENTRIES_MAX} entries: ask for fewer at once")));
    }
    Ok(found)
}

pub(super) async fn describe(ask: &Ask, request: DescribeAclsRequest) -> DescribeAclsResponse {
    let filter = Filter {
        resource: request.resource_type_filter,
        name: request.resource_name_filter,
        pattern: request.pattern_type_filter,
        principal: request.principal_filter,
        host: request.host_filter,
        operation: request.operation,
        permission: request.permission_type,
    };
    match listed(ask).and_then(|acls| matching(&acls, &filter)) {
        Ok(found) => DescribeAclsResponse::default().with_resources(resources(found)),
        Err(refused) => {
            DescribeAclsResponse::default().with_error_code(refused.code()).with_error_message(refused.why())
        }
    }
}

/// The entries by what they are about.
fn resources(found: Vec<Entry>) -> Vec<DescribeAclsResource> {
    let mut by_resource: BTreeMap<(i8, String, i8), Vec<AclDescription>> = BTreeMap::new();
    for entry in found {
        let acl = AclDescription::default()
            .with_principal(StrBytes::from_string(entry.principal))
            .with_host(StrBytes::from_static_str(ANYWHERE))
            .with_operation(entry.operation)
            .with_permission_type(ALLOW);
        by_resource.entry((entry.resource, entry.name, entry.pattern)).or_default().push(acl);
    }
    let resource = |((resource, name, pattern), acls)| {
        DescribeAclsResource::default()
            .with_resource_type(resource)
            .with_resource_name(StrBytes::from_string(name))
            .with_pattern_type(pattern)
            .with_acls(acls)
    };
    by_resource.into_iter().map(resource).collect()
}

pub(super) async fn create(ask: &Ask, request: CreateAclsRequest) -> CreateAclsResponse {
    let mut results = Vec::with_capacity(request.creations.len());
    let is_too_much = request.creations.len() > CHANGES_MAX;
    for creation in &request.creations {
        let done = match wish(creation) {
            _ if is_too_much => Err(too_many()),
            Ok(wish) => granted(ask, wish).await,
            Err(refused) => Err(refused),
        };
        results.push(match done {
            Ok(()) => AclCreationResult::default(),
            Err(refused) => {
                AclCreationResult::default().with_error_code(refused.code()).with_error_message(refused.why())
            }
        });
    }
    CreateAclsResponse::default().with_results(results)
}

async fn granted(ask: &Ask, wish: Wish) -> Result<(), Refusal> {
    let acls = listed(ask)?;
    match wish {
        Wish::Grant(change) => {
            check_topic(&acls, &change.topic)?;
            changed(ask, &change).await
        }
        // Only superusers are told of what comes with names.
        Wish::Named(_) if !acls.is_all => Err(refusal(Code::ClusterAuthorizationFailed, "superusers see who uses it")),
        Wish::Named(entry) => match entries::of(&acls).any(|known| known.covers(&entry)) {
            true => Ok(()),
            false => Err(refusal(
                Code::InvalidRequest,
                "groups and transactional ids belong to the role that they are named after (\"ann\", \"ann.…\", \"ann-…\"), if it \
                 may read or write some topic: name it so, or GRANT that role",
            )),
        },
    }
}

fn check_topic(acls: &TopicAcls, topic: &str) -> Result<(), Refusal> {
    match acls.topics.iter().any(|acl| acl.topic == topic) {
        true => Ok(()),
        false if acls.is_all => {
            Err(refusal(Code::UnknownTopicOrPartition, format!("there is no topic {topic:?}: it is made first")))
        }
        // Whether it is there is not told.
        false => Err(refusal(Code::ClusterAuthorizationFailed, "the topic belongs to somebody else")),
    }
}

async fn changed(ask: &Ask, change: &TopicGrantChange) -> Result<(), Refusal> {
    grants(ask)?.change(&ask.client.caller, change).await.map_err(|error| Refusal::of(&error))
}

pub(super) async fn delete(ask: &Ask, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let mut results = Vec::with_capacity(request.filters.len());
    let mut left = CHANGES_MAX;
    for filter in request.filters {
        results.push(match deleted(ask, filter, &mut left).await {
            Ok(matching) => DeleteAclsFilterResult::default().with_matching_acls(matching),
            Err(refused) => {
                DeleteAclsFilterResult::default().with_error_code(refused.code()).with_error_message(refused.why())
            }
        });
    }
    DeleteAclsResponse::default().with_filter_results(results)
}

async fn deleted(ask: &Ask, filter: DeleteAclsFilter, left: &mut usize) -> Result<Vec<DeleteAclsMatchingAcl>, Refusal> {
    let filter = Filter {
        resource: filter.resource_type_filter,
        name: filter.resource_name_filter,
        pattern: filter.pattern_type_filter,
        principal: filter.principal_filter,
        host: filter.host_filter,
        operation: filter.operation,
        permission: filter.permission_type,
    };
    let found = matching(&listed(ask)?, &filter)?;
    // What comes with owning a topic or with a name stands as long as that does, and is in the way of nothing else.
    let wanted = found.iter().filter(|entry| entry.change().is_some()).count();
    *left = left.checked_sub(wanted).ok_or_else(too_many)?;
    let mut results = Vec::with_capacity(found.len());
    for entry in found {
        let done = match entry.change() {
            Some(change) => changed(ask, &change).await,
            None => Err(refusal(Code::InvalidRequest, entry.why_fixed())),
        };
        let matched = DeleteAclsMatchingAcl::default()
            .with_resource_type(entry.resource)
            .with_resource_name(StrBytes::from_string(entry.name))
            .with_pattern_type(entry.pattern)
            .with_principal(StrBytes::from_string(entry.principal))
            .with_host(StrBytes::from_static_str(ANYWHERE))
            .with_operation(entry.operation)
            .with_permission_type(ALLOW);
        results.push(match done {
            Ok(()) => matched,
            Err(refused) => matched.with_error_code(refused.code()).with_error_message(refused.why()),
        });
    }
    Ok(results)
}
