//! Topics: what there is, making and deleting.

use std::collections::{BTreeSet, HashMap};

use axum::extract::State;
use axum::http::StatusCode;
use polder_capability::Caller;
use polder_capability::schemas::{Deleted, SchemaForm, VersionChoice};
use polder_capability::topics::{
    ConfigResource, NewTopic, PartitionBounds, TopicChoice, TopicDescription, TopicRef, TopicResult, TopicScan,
};
use polder_types::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::groups::group_offsets;
use crate::auth::Identity;
use crate::error::ApiResult;
use crate::extract::{Json, Segments};
use crate::model::streams::{GroupOffset, Partition, Topic, TopicRequest, TopicSchema, TopicSetting};
use crate::state::App;
use crate::streams::{Seen, moment, no_such_topic, number, refused};

/// Settings that are told with each topic.
const TOLD: [&str; 2] = ["cleanup.policy", "retention.ms"];

/// Topics whose sizes and schemas are looked up for a list. Those behind them are listed without.
const LOOKED_UP_MAX: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_topics, create_topic)).routes(routes!(get_topic, delete_topic))
}

/// Where Kafka's clients find this server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KafkaDoor {
    /// An address of `0.0.0.0` means all of the machine's.
    address: String,
    /// Whether they must log in.
    login: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicList {
    topics: Vec<Topic>,
    /// `null`: Kafka's protocol is switched off.
    kafka: Option<KafkaDoor>,
}

/// Lists topics, by name
///
/// Of the first 200 the bytes and the schema are told, too.
#[utoipa::path(get, path = "/topics", tag = "topics", responses((status = 200, body = TopicList)))]
async fn list_topics(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<TopicList>> {
    let seen = Seen::new(&app, caller)?;
    let found = seen.services.topics.describe(&seen.client, &TopicChoice::All, false).await;
    let found = found.map_err(|failure| refused(failure, "topic"))?;
    // One that was deleted meanwhile is no matter.
    let described: Vec<TopicDescription> = found.into_iter().flatten().collect();
    let bounds = seen.bounds(&described).await?;
    let mut settings = settings(&seen, &described).await?;
    let mut topics = Vec::with_capacity(described.len());
    for (at, topic) in described.iter().enumerate() {
        let told = settings.remove(&topic.name).unwrap_or_default();
        let mut topic = summary(topic, &bounds, &told);
        if at < LOOKED_UP_MAX {
            topic.bytes = sizes(&seen, &topic.name).await.map(|sizes| sizes.values().sum());
            topic.schema = schema_of(&seen, &topic.name).await;
        }
        topics.push(topic);
    }
    let door = |address: std::net::SocketAddr| KafkaDoor { address: address.to_string(), login: !app.auth.is_trust() };
    Ok(axum::Json(TopicList { topics, kafka: seen.services.kafka.map(door) }))
}

/// A group that reads a topic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicReader {
    group: String,
    state: crate::model::streams::ReaderState,
    lag: u64,
    offsets: Vec<GroupOffset>,
}

/// All about a topic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicDetail {
    topic: Topic,
    partitions: Vec<Partition>,
    settings: Vec<TopicSetting>,
    groups: Vec<TopicReader>,
}

/// Tells what is in a topic, how it is set up, and who reads it
#[utoipa::path(get, path = "/topics/{name}", tag = "topics",
    params(("name" = String, Path, description = "The topic's name")),
    responses((status = 200, body = TopicDetail)))]
async fn get_topic(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<TopicDetail>> {
    let seen = Seen::new(&app, caller)?;
    let described = described(&seen, &name).await?;
    let bounds = seen.bounds(std::slice::from_ref(&described)).await?;
    let asked = vec![(ConfigResource::Topic(name.clone()), None)];
    let found = seen.services.topics.configs(&seen.client, asked).await;
    let found = found.map_err(|failure| refused(failure, "topic"))?;
    let entries = first(found, &format!("topic {name:?}"))?;
    let told = entries.iter().filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?))).collect();
    let sizes = sizes(&seen, &name).await;
    let mut topic = summary(&described, &bounds, &told);
    topic.bytes = sizes.as_ref().map(|sizes| sizes.values().sum());
    topic.schema = schema_of(&seen, &name).await;
    let partitions = (0..described.partitions).map(number).map(|partition| {
        let bounds = bounds.get(&(name.clone(), partition)).copied().unwrap_or_default();
        Partition {
            partition,
            start: bounds.start,
            end: bounds.end,
            stable: bounds.stable,
            bytes: sizes.as_ref().map(|sizes| sizes.get(&partition).copied().unwrap_or_default()),
            newest_at: bounds.newest.and_then(moment),
        }
    });
    let partitions = partitions.collect();
    let settings = entries.into_iter().map(Into::into).collect();
    let groups = readers(&seen, &described, &bounds).await?;
    Ok(axum::Json(TopicDetail { topic, partitions, settings, groups }))
}

/// Makes a topic
#[utoipa::path(post, path = "/topics", tag = "topics", request_body = TopicRequest,
    responses((status = 201, body = TopicDetail)))]
async fn create_topic(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(request): Json<TopicRequest>,
) -> ApiResult<(StatusCode, axum::Json<TopicDetail>)> {
    let name = request.name.clone();
    let config = request.settings.into_iter().map(|(name, value)| {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        (name, value)
    });
    let wish = NewTopic {
        name: request.name,
        partitions: request.partitions,
        config: config.collect(),
        ..NewTopic::default()
    };
    let seen = Seen::new(&app, caller.clone())?;
    let what = format!("topic {name:?}");
    let made = seen.services.topics.create(&seen.client, vec![wish], false).await;
    first(made.map_err(|failure| refused(failure, &what))?, &what)?;
    let made = get_topic(State(app), Identity(caller), Segments(name)).await?;
    Ok((StatusCode::CREATED, made))
}

/// Deletes a topic with all that is in it
#[utoipa::path(delete, path = "/topics/{name}", tag = "topics",
    params(("name" = String, Path, description = "The topic's name")),
    responses((status = 204, description = "Deleted")))]
async fn delete_topic(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<StatusCode> {
    let seen = Seen::new(&app, caller)?;
    let what = format!("topic {name:?}");
    let deleted = seen.services.topics.delete(&seen.client, vec![TopicRef::named(&name)]).await;
    first(deleted.map_err(|failure| refused(failure, &what))?, &what)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one answer to a list of one.
pub(super) fn first<T>(answers: Vec<TopicResult<T>>, what: &str) -> Result<T> {
    let answer = answers.into_iter().next();
    answer.ok_or_else(|| Error::internal("topics gave no answer"))?.map_err(|failure| refused(failure, what))
}

pub(super) async fn described(seen: &Seen<'_>, name: &str) -> Result<TopicDescription> {
    let choice = TopicChoice::These(vec![TopicRef::named(name)]);
    let found = seen.services.topics.describe(&seen.client, &choice, false).await;
    let found = found.map_err(|failure| refused(failure, "topic"))?.into_iter().next();
    found.ok_or_else(|| no_such_topic(name))?.map_err(|failure| refused(failure, &format!("topic {name:?}")))
}

fn summary(
    topic: &TopicDescription,
    bounds: &HashMap<(String, i32), PartitionBounds>,
    settings: &HashMap<String, String>,
) -> Topic {
    let of = (0..topic.partitions).filter_map(|part| bounds.get(&(topic.name.clone(), number(part))));
    let (mut records, mut written, mut newest) = (0_u64, 0_u64, None);
    for bounds in of {
        records = records.saturating_add(u64::try_from(bounds.end.saturating_sub(bounds.start)).unwrap_or(0));
        written = written.saturating_add(u64::try_from(bounds.end).unwrap_or(0));
        newest = newest.max(bounds.newest);
    }
    Topic {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions,
        internal: topic.internal,
        records,
        written,
        bytes: None,
        newest_at: newest.and_then(moment),
        cleanup_policy: settings.get("cleanup.policy").cloned(),
        retention_ms: settings.get("retention.ms").and_then(|value| value.parse().ok()),
        schema: None,
    }
}

async fn settings(seen: &Seen<'_>, topics: &[TopicDescription]) -> Result<HashMap<String, HashMap<String, String>>> {
    let names: Vec<String> = TOLD.iter().map(|name| (*name).to_owned()).collect();
    let asked = topics.iter().map(|topic| (ConfigResource::Topic(topic.name.clone()), Some(names.clone())));
    let found = seen.services.topics.configs(&seen.client, asked.collect()).await;
    let found = found.map_err(|failure| refused(failure, "topic"))?;
    let told = topics.iter().zip(found).map(|(topic, found)| {
        let entries = found.unwrap_or_default().into_iter();
        (topic.name.clone(), entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
    });
    Ok(told.collect())
}

/// Bytes by partition. `None` for who may know of a topic but not read it.
async fn sizes(seen: &Seen<'_>, topic: &str) -> Option<HashMap<i32, u64>> {
    let parts = seen.services.rows.scan(&seen.client.caller, topic, TopicScan::default()).await.ok()?;
    Some(parts.into_iter().map(|part| (part.partition, part.partition_bytes)).collect())
}

/// The newest schema of a topic's values. That there is none, and that it may not be known, look the same.
async fn schema_of(seen: &Seen<'_>, topic: &str) -> Option<TopicSchema> {
    let registry = seen.schemas?;
    let caller: &Caller = &seen.client.caller;
    let subject = format!("{topic}-value");
    let (latest, without) = (VersionChoice::Latest, Deleted::Without);
    let found = registry.version(caller, &subject, latest, without, SchemaForm::AsIs).await.ok()?;
    Some(TopicSchema {
        subject: found.subject,
        version: found.version,
        id: found.id,
        kind: found.schema.kind.name().to_owned(),
        text: found.schema.text,
    })
}

/// The groups that have an offset in a topic.
async fn readers(
    seen: &Seen<'_>,
    topic: &TopicDescription,
    bounds: &HashMap<(String, i32), PartitionBounds>,
) -> Result<Vec<TopicReader>> {
    let names = HashMap::from([(topic.id, topic.name.clone())]);
    let mut listed = seen.services.topics.list_groups(&seen.client).await.map_err(|f| refused(f, "group"))?;
    listed.sort_by(|one, two| one.group.cmp(&two.group));
    let mut readers = Vec::new();
    let mut known = BTreeSet::new();
    for listing in listed {
        if !known.insert(listing.group.clone()) {
            continue;
        }
        // One that went away meanwhile reads nothing.
        let Ok(committed) = seen.committed(&listing.group).await else { continue };
        let offsets: Vec<GroupOffset> =
            group_offsets(committed, bounds, &names).into_iter().filter(|offset| offset.topic == topic.name).collect();
        if !offsets.is_empty() {
            let lag = offsets.iter().filter_map(|offset| offset.lag).sum();
            readers.push(TopicReader { group: listing.group, state: listing.state.into(), lag, offsets });
        }
    }
    Ok(readers)
}
