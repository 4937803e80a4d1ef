//! Settings of topics, of the server, and of groups.

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as ChangedResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{
    ConfigChange, ConfigEntry, ConfigKind, ConfigOperation, ConfigResource, ConfigSource, TopicError, TopicFailure,
    TopicResult,
};

use super::{Ask, once, text};
use crate::codes;

/// Kinds of what has settings.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

fn resource(kind: i8, name: &str) -> TopicResult<ConfigResource> {
    let none = || TopicFailure::new(TopicError::InvalidRequest, format!("nothing of kind {kind} has settings here"));
    match kind {
        TOPIC => Ok(ConfigResource::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigResource::Server(None)),
        BROKER => name
            .parse()
            .map(|id| ConfigResource::Server(Some(id)))
            .map_err(|_| TopicFailure::new(TopicError::InvalidRequest, format!("\"{name}\" is no number of a server"))),
        GROUP => Ok(ConfigResource::Group(name.to_owned())),
        _ => Err(none()),
    }
}

/// Where a value comes from, in Kafka's numbers: a topic's or a group's own, the server's, or the default.
const fn source(entry: &ConfigEntry, kind: i8) -> i8 {
    match entry.source {
        ConfigSource::Own if kind == GROUP => 8,
        ConfigSource::Own if kind == BROKER => 2,
        ConfigSource::Own => 1,
        ConfigSource::Server => 4,
        ConfigSource::Default => 5,
    }
}

const fn value_kind(kind: ConfigKind) -> i8 {
    match kind {
        ConfigKind::Boolean => 1,
        ConfigKind::Text => 2,
        ConfigKind::Int => 3,
        ConfigKind::Long => 5,
        ConfigKind::Double => 6,
        ConfigKind::List => 7,
    }
}

/// From this version on a client is told what a value is made of, and documentation.
const HAS_KINDS: i16 = 3;

pub(super) async fn describe(ask: &Ask, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let mut wanted = Vec::new();
    let mut named: Vec<(i8, StrBytes, TopicResult<()>)> = Vec::new();
    for one in once(request.resources, |one| (one.resource_type, one.resource_name.clone())) {
        let keys = one.configuration_keys.map(|keys| keys.iter().map(ToString::to_string).collect());
        let result = resource(one.resource_type, &one.resource_name).map(|resource| wanted.push((resource, keys)));
        named.push((one.resource_type, one.resource_name, result));
    }
    let count = wanted.len();
    let mut described = codes::spread(ask.topics().configs(&ask.client, wanted).await, count).into_iter();
    let show =
        Show { version: ask.version, synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = named.into_iter().map(|(kind, name, result)| {
        let result = result.and_then(|()| described.next().unwrap_or_else(|| Err(TopicError::Internal.into())));
        DescribeConfigsResult::default()
            .with_error_code(codes::of(&result))
            .with_error_message(codes::message(&result))
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_configs(result.unwrap_or_default().into_iter().map(|entry| show.entry(entry, kind)).collect())
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// What a client wishes to see.
struct Show {
    version: i16,
    synonyms: bool,
    documentation: bool,
}

impl Show {
    fn entry(&self, entry: ConfigEntry, kind: i8) -> DescribeConfigsResourceResult {
        let source = source(&entry, kind);
        let synonym = DescribeConfigsSynonym::default()
            .with_name(text(entry.name.as_str()))
            .with_value(entry.value.clone().map(text))
            .with_source(source);
        let shown = DescribeConfigsResourceResult::default()
            .with_name(text(entry.name))
            .with_value(entry.value.map(text))
            .with_read_only(entry.read_only)
            .with_config_source(source)
            .with_synonyms(if self.synonyms { vec![synonym] } else { Vec::new() });
        if self.version < HAS_KINDS {
            return shown;
        }
        let documentation = entry.documentation.filter(|_| self.documentation).map(StrBytes::from_static_str);
        shown.with_config_type(value_kind(entry.kind)).with_documentation(documentation)
    }
}

/// Changes each resource that is one; gives the results of all.
async fn change_all(
    ask: &Ask,
    changes: Vec<(i8, StrBytes, TopicResult<ConfigChange>)>,
    try_only: bool,
) -> Vec<(i8, StrBytes, TopicResult<()>)> {
    let mut wanted = Vec::new();
    let mut named = Vec::new();
    for (kind, name, change) in changes {
        named.push((kind, name, change.map(|change| wanted.push(change))));
    }
    let count = wanted.len();
    let changed = ask.topics().change_configs(&ask.client, wanted, try_only).await;
    let mut changed = codes::spread(changed, count).into_iter();
    let results = named.into_iter().map(|(kind, name, result)| {
        let result = result.and_then(|()| changed.next().unwrap_or_else(|| Err(TopicError::Internal.into())));
        (kind, name, result)
    });
    results.collect()
}

pub(super) async fn replace(ask: &Ask, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let changes = request.resources.into_iter().map(|one| {
        let operations = one.configs.iter().map(|config| {
            let operation =
                config.value.as_ref().map_or(ConfigOperation::Reset, |value| ConfigOperation::Set(value.to_string()));
            (config.name.to_string(), operation)
        });
        let operations = operations.collect();
        let change = resource(one.resource_type, &one.resource_name).map(|resource| ConfigChange {
            resource,
            replace: true,
            operations,
        });
        (one.resource_type, one.resource_name, change)
    });
    let results = change_all(ask, changes.collect(), request.validate_only).await;
    let responses = results.into_iter().map(|(kind, name, result)| {
        AlterConfigsResourceResponse::default()
            .with_error_code(codes::of(&result))
            .with_error_message(codes::message(&result))
            .with_resource_type(kind)
            .with_resource_name(name)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn operation(config: &AlterableConfig) -> TopicResult<(String, ConfigOperation)> {
    let name = config.name.to_string();
    let value = || {
        config.value.as_ref().map(ToString::to_string).ok_or_else(|| {
            TopicFailure::new(TopicError::InvalidRequest, format!("the setting {name} is to become nothing"))
        })
    };
    let operation = match config.config_operation {
        0 => ConfigOperation::Set(value()?),
        1 => ConfigOperation::Reset,
        2 => ConfigOperation::Append(value()?),
        3 => ConfigOperation::Subtract(value()?),
        other => {
            let message = format!("there is no operation {other} on settings");
            return Err(TopicFailure::new(TopicError::InvalidRequest, message));
        }
    };
    Ok((name, operation))
}

pub(super) async fn change(ask: &Ask, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
    let changes = request.resources.into_iter().map(|one| {
        let operations = one.configs.iter().map(operation).collect::<TopicResult<Vec<_>>>();
        let change = resource(one.resource_type, &one.resource_name)
            .and_then(|resource| Ok(ConfigChange { resource, replace: false, operations: operations? }));
        (one.resource_type, one.resource_name, change)
    });
    let results = change_all(ask, changes.collect(), request.validate_only).await;
    let responses = results.into_iter().map(|(kind, name, result)| {
        ChangedResource::default()
            .with_error_code(codes::of(&result))
            .with_error_message(codes::message(&result))
            .with_resource_type(kind)
            .with_resource_name(name)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}
