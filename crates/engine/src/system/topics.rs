//! `polder.topics`, `polder.topic_partitions`, `polder.consumer_groups` and `polder.consumer_offsets`, as far as somebody may
//! know of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int64Array, ListBuilder, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use polder_capability::topics::{
    ConfigResource, FetchOffsets, GroupKind, GroupListing, GroupState, PartitionBounds, TopicChoice, TopicClient,
    TopicDescription, TopicFailure, TopicRef, Topics, partition_bounds,
};
use polder_types::{Error, Result};

use super::jobs::texts;
use super::{int, text, time};
use crate::authz::rights::in_letters;
use crate::authz::{RoleBook, Who};
use crate::engine::Engine;

/// Settings of topics that are columns.
const SETTINGS: [&str; 3] = ["cleanup.policy", "retention.ms", "retention.bytes"];

pub(super) fn topics_schema() -> Schema {
    Schema::new(vec![
        text("topic_name", false),
        text("topic_id", false),
        int("partitions", false),
        int("records", false),
        text("cleanup_policy", true),
        int("retention_ms", true),
        int("retention_bytes", true),
        Field::new("is_internal", DataType::Boolean, false),
        time("newest_record_at", true),
        text("owner", false),
        Field::new("acl", DataType::new_list(DataType::Utf8, true), false),
    ])
}

pub(super) fn partitions_schema() -> Schema {
    Schema::new(vec![
        text("topic_name", false),
        int("partition", false),
        int("start_offset", false),
        int("end_offset", false),
        int("stable_offset", false),
        int("records", false),
        time("newest_record_at", true),
    ])
}

pub(super) fn groups_schema() -> Schema {
    Schema::new(vec![
        text("group_name", false),
        text("kind", false),
        text("state", false),
        text("protocol", true),
        int("members", false),
    ])
}

pub(super) fn offsets_schema() -> Schema {
    Schema::new(vec![
        text("group_name", false),
        text("topic_name", false),
        int("partition", false),
        int("committed_offset", false),
        int("end_offset", true),
        int("lag", true),
        text("metadata", false),
    ])
}

fn failed(failure: &TopicFailure) -> Error {
    Error::internal(format!("topics cannot be read: {failure}"))
}

/// Topics as somebody sees them.
pub(super) struct Seen {
    topics: Arc<dyn Topics>,
    client: TopicClient,
    book: Arc<RoleBook>,
}

impl Seen {
    /// `None`: a program without topics.
    pub fn of(engine: &Engine, who: &Who) -> Option<Self> {
        let caller = crate::topics::caller(who);
        let client = TopicClient { caller, client_id: "sql".into(), host: "".into() };
        Some(Self { topics: engine.topics()?, client, book: Arc::clone(&who.book) })
    }

    async fn described(&self) -> Result<Vec<TopicDescription>> {
        let found =
            self.topics.describe(&self.client, &TopicChoice::All, false).await.map_err(|error| failed(&error))?;
        // One that was deleted meanwhile is no matter.
        Ok(found.into_iter().flatten().collect())
    }

    async fn bounds(&self, topics: &[TopicDescription]) -> Result<HashMap<(String, i32), PartitionBounds>> {
        partition_bounds(&*self.topics, &self.client, topics).await.map_err(|error| failed(&error))
    }

    async fn settings(&self, topics: &[TopicDescription]) -> Result<Vec<BTreeMap<String, String>>> {
        let names: Vec<String> = SETTINGS.iter().map(|name| (*name).to_owned()).collect();
        let asked = topics.iter().map(|topic| (ConfigResource::Topic(topic.name.clone()), Some(names.clone())));
        let found = self.topics.configs(&self.client, asked.collect()).await.map_err(|error| failed(&error))?;
        let values = found.into_iter().map(|found| {
            let entries = found.unwrap_or_default().into_iter();
            entries.filter_map(|entry| entry.value.map(|value| (entry.name, value))).collect()
        });
        Ok(values.collect())
    }

    pub async fn topics(&self) -> Result<Vec<ArrayRef>> {
        let topics = self.described().await?;
        let (bounds, settings) = (self.bounds(&topics).await?, self.settings(&topics).await?);
        let of = |topic: &TopicDescription| -> Vec<PartitionBounds> {
            let place = |part: u32| (topic.name.clone(), i32::try_from(part).unwrap_or(i32::MAX));
            (0..topic.partitions).filter_map(|part| bounds.get(&place(part)).copied()).collect()
        };
        let number = |name: &str| -> ArrayRef {
            let values = settings.iter().map(|settings| settings.get(name)?.parse::<i64>().ok());
            Arc::new(values.collect::<Int64Array>())
        };
        let mut internal = BooleanBuilder::new();
        topics.iter().for_each(|topic| internal.append_value(topic.internal));
        let records = topics.iter().map(|topic| of(topic).iter().map(|bounds| bounds.end - bounds.start).sum::<i64>());
        let newest = topics.iter().map(|topic| of(topic).iter().filter_map(|bounds| bounds.newest).max());
        Ok(vec![
            texts(&topics, |topic| Some(topic.name.clone())),
            texts(&topics, |topic| Some(topic.id.to_string())),
            Arc::new(topics.iter().map(|topic| i64::from(topic.partitions)).collect::<Int64Array>()),
            Arc::new(records.collect::<Int64Array>()),
            Arc::new(
                settings.iter().map(|settings| settings.get("cleanup.policy")).collect::<arrow::array::StringArray>(),
            ),
            number("retention.ms"),
            number("retention.bytes"),
            Arc::new(internal.finish()),
            times(newest),
            texts(&topics, |topic| Some(self.book.name(self.book.topic_owner(topic.id)).unwrap_or_default())),
            self.grants(&topics),
        ])
    }

    /// What is granted on topics, in PostgreSQL's letters.
    fn grants(&self, topics: &[TopicDescription]) -> ArrayRef {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for topic in topics {
            let items = in_letters(&self.book.topic_grants(topic.id), &self.book);
            lists.append_value(items.into_iter().map(Some));
        }
        Arc::new(lists.finish())
    }

    pub async fn partitions(&self) -> Result<Vec<ArrayRef>> {
        let topics = self.described().await?;
        let mut bounds: Vec<((String, i32), PartitionBounds)> = self.bounds(&topics).await?.into_iter().collect();
        bounds.sort_by(|one, two| one.0.cmp(&two.0));
        let ints = |value: fn(&PartitionBounds) -> i64| -> ArrayRef {
            Arc::new(bounds.iter().map(|(_, bounds)| value(bounds)).collect::<Int64Array>())
        };
        Ok(vec![
            texts(&bounds, |((topic, _), _)| Some(topic.clone())),
            Arc::new(bounds.iter().map(|((_, partition), _)| i64::from(*partition)).collect::<Int64Array>()),
            ints(|bounds| bounds.start),
            ints(|bounds| bounds.end),
            ints(|bounds| bounds.stable),
            ints(|bounds| bounds.end - bounds.start),
            times(bounds.iter().map(|(_, bounds)| bounds.newest)),
        ])
    }

    async fn listed(&self) -> Result<Vec<GroupListing>> {
        let mut groups = self.topics.list_groups(&self.client).await.map_err(|error| failed(&error))?;
        groups.sort_by(|one, two| one.group.cmp(&two.group));
        Ok(groups)
    }

    pub async fn groups(&self) -> Result<Vec<ArrayRef>> {
        let groups = self.listed().await?;
        let mut rows = Vec::with_capacity(groups.len());
        for group in groups {
            let asked = vec![group.group.clone()];
            let (protocol, members) = match group.kind {
                GroupKind::Classic => {
                    let found = self.topics.describe_groups(&self.client, asked).await;
                    match found.map_err(|error| failed(&error))?.pop() {
                        Some(Ok(found)) => (found.protocol, found.members.len()),
                        _ => continue,
                    }
                }
                GroupKind::Consumer => {
                    let found = self.topics.describe_consumers(&self.client, asked).await;
                    match found.map_err(|error| failed(&error))?.pop() {
                        Some(Ok(found)) => (found.assignor, found.members.len()),
                        _ => continue,
                    }
                }
            };
            rows.push((group, protocol, members));
        }
        let kind = |kind: GroupKind| match kind {
            GroupKind::Classic => "classic",
            GroupKind::Consumer => "consumer",
        };
        Ok(vec![
            texts(&rows, |(group, ..)| Some(group.group.clone())),
            texts(&rows, |(group, ..)| Some(kind(group.kind))),
            texts(&rows, |(group, ..)| Some(state(group.state))),
            texts(&rows, |(_, protocol, _)| Some(protocol.clone()).filter(|protocol| !protocol.is_empty())),
            Arc::new(
                rows.iter().map(|(.., members)| i64::try_from(*members).unwrap_or(i64::MAX)).collect::<Int64Array>(),
            ),
        ])
    }

    pub async fn offsets(&self) -> Result<Vec<ArrayRef>> {
        let topics = self.described().await?;
        let bounds = self.bounds(&topics).await?;
        let names: HashMap<_, _> = topics.iter().map(|topic| (topic.id, topic.name.clone())).collect();
        let mut rows = Vec::new();
        for group in self.listed().await? {
            let asked = FetchOffsets { group: group.group.clone(), member: None, partitions: None, stable: false };
            // One that went away meanwhile has none.
            let Ok(found) = self.topics.fetch_offsets(&self.client, asked).await else { continue };
            for found in found {
                let Ok(Some(entry)) = found.result else { continue };
                let topic = match entry.of.topic {
                    TopicRef::Name(name) => name.to_string(),
                    TopicRef::Id(id) => names.get(&id).cloned().unwrap_or_else(|| id.to_string()),
                };
                let place = (topic, entry.of.partition);
                let end = bounds.get(&place).map(|bounds| bounds.end);
                rows.push((group.group.clone(), place, entry.offset, end, entry.metadata));
            }
        }
        rows.sort();
        Ok(vec![
            texts(&rows, |(group, ..)| Some(group.clone())),
            texts(&rows, |(_, (topic, _), ..)| Some(topic.clone())),
            Arc::new(rows.iter().map(|(_, (_, partition), ..)| i64::from(*partition)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|(.., committed, _, _)| *committed).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|(.., end, _)| *end).collect::<Int64Array>()),
            Arc::new(
                rows.iter()
                    .map(|(.., committed, end, _)| end.map(|end| (end - committed).max(0)))
                    .collect::<Int64Array>(),
            ),
            texts(&rows, |(.., metadata)| Some(metadata.clone())),
        ])
    }
}

/// From milliseconds.
fn times(all: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let micros = all.map(|time| time.map(|time| time.saturating_mul(1_000)));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

const fn state(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "empty",
        GroupState::PreparingRebalance => "joining",
        GroupState::CompletingRebalance => "dividing",
        GroupState::Stable => "stable",
        GroupState::Assigning => "assigning",
        GroupState::Reconciling => "reconciling",
        GroupState::Dead => "dead",
    }
}
