//! How fast clients may go.

use kafka_protocol::messages::alter_client_quotas_request::EntryData as Change;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData as ChangedEntity, EntryData as Changed};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{Quota, QuotaChange, QuotaKey, QuotaName, TopicError, TopicFailure, TopicResult};

use super::{Ask, text};
use crate::codes;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";

/// How a component of a question matches: this name, the default, or any that is said.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

fn unknown(what: &str) -> TopicFailure {
    TopicFailure::new(TopicError::InvalidRequest, format!("quotas are for a user or a client-id, not for \"{what}\""))
}

fn matches(component: &ComponentData, name: &QuotaName) -> TopicResult<bool> {
    match (component.match_type, &component._match) {
        (EXACT, Some(wanted)) => Ok(matches!(name, QuotaName::Name(name) if *name == **wanted)),
        (DEFAULT, None) => Ok(*name == QuotaName::Default),
        (SPECIFIED, None) => Ok(*name != QuotaName::Any),
        _ => Err(TopicFailure::new(TopicError::InvalidRequest, "a component of the question contradicts itself")),
    }
}

/// Whether a question is about this quota. A strict one is about those alone that say no more than it does.
fn asked_for(request: &DescribeClientQuotasRequest, key: &QuotaKey) -> TopicResult<bool> {
    let (mut user, mut client_id) = (false, false);
    for component in &request.components {
        let (name, seen) = match component.entity_type.as_str() {
            USER => (&key.user, &mut user),
            CLIENT_ID => (&key.client_id, &mut client_id),
            other => return Err(unknown(other)),
        };
        *seen = true;
        if !matches(component, name)? {
            return Ok(false);
        }
    }
    let more = (!user && key.user != QuotaName::Any) || (!client_id && key.client_id != QuotaName::Any);
    Ok(!(request.strict && more))
}

fn entity(key: &QuotaKey) -> Vec<EntityData> {
    let parts = [(USER, &key.user), (CLIENT_ID, &key.client_id)];
    let said = parts.into_iter().filter(|(_, name)| **name != QuotaName::Any);
    said.map(|(kind, name)| {
        let name = match name {
            QuotaName::Name(name) => Some(text(name.as_str())),
            _ => None,
        };
        EntityData::default().with_entity_type(StrBytes::from_static_str(kind)).with_entity_name(name)
    })
    .collect()
}

fn described(quota: &Quota) -> EntryData {
    let values =
        quota.values.iter().map(|(key, value)| ValueData::default().with_key(text(key.as_str())).with_value(*value));
    EntryData::default().with_entity(entity(&quota.key)).with_values(values.collect())
}

pub(super) async fn describe(ask: &Ask, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    let found = ask.topics().quotas(&ask.client).await.and_then(|quotas| {
        let mut entries = Vec::new();
        // The question itself may be wrong, though there are no quotas.
        let nobody = QuotaKey { user: QuotaName::Any, client_id: QuotaName::Any };
        asked_for(&request, &nobody)?;
        for quota in &quotas {
            if asked_for(&request, &quota.key)? {
                entries.push(described(quota));
            }
        }
        Ok(entries)
    });
    DescribeClientQuotasResponse::default()
        .with_error_code(codes::of(&found))
        .with_error_message(codes::message(&found))
        .with_entries(found.ok())
}

fn change_of(entry: &Change) -> TopicResult<QuotaChange> {
    let mut key = QuotaKey { user: QuotaName::Any, client_id: QuotaName::Any };
    for part in &entry.entity {
        let place = match part.entity_type.as_str() {
            USER => &mut key.user,
            CLIENT_ID => &mut key.client_id,
            other => return Err(unknown(other)),
        };
        *place = part.entity_name.as_ref().map_or(QuotaName::Default, |name| QuotaName::Name(name.to_string()));
    }
    let values = entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value))).collect();
    Ok(QuotaChange { key, values })
}

pub(super) async fn change(ask: &Ask, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
    let mut changes = Vec::new();
    let read: Vec<TopicResult<()>> =
        request.entries.iter().map(|entry| change_of(entry).map(|change| changes.push(change))).collect();
    let count = changes.len();
    let changed = ask.topics().change_quotas(&ask.client, changes, request.validate_only).await;
    let mut changed = codes::spread(changed, count).into_iter();
    let entries = request.entries.into_iter().zip(read).map(|(entry, read)| {
        let result = read.and_then(|()| changed.next().unwrap_or_else(|| Err(TopicError::Internal.into())));
        let entity = entry
            .entity
            .into_iter()
            .map(|part| ChangedEntity::default().with_entity_type(part.entity_type).with_entity_name(part.entity_name));
        Changed::default()
            .with_error_code(codes::of(&result))
            .with_error_message(codes::message(&result))
            .with_entity(entity.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}
