//! Changes of streams: what is kept about them, and how they are divided.

use polder_capability::topics::{
    ConfigChange, ConfigOperation, ConfigResource, Division, StreamChange, TopicAdmin, TopicClient, TopicError,
    TopicFailure, TopicRef, TopicResult, TopicRight,
};
use polder_topic_log::{Entry, Topic};

use super::division::Divided;
use super::kept::Kept;
use super::{BATCH_EXTRA_BYTES, HOUR_MS};
use crate::Streaming;

/// Tags of one stream or consumer, as AWS has it.
const TAGS_MAX: usize = 50;

/// Consumers of one stream, as AWS has it.
const CONSUMERS_MAX: usize = 20;

impl Streaming {
    pub(super) async fn change(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        change: StreamChange,
    ) -> TopicResult<()> {
        let topic = self.stream_of(client, TopicRight::Alter, stream)?;
        match change {
            StreamChange::RetentionHours(hours) => {
                self.set_config(client, &topic, "retention.ms", hours.saturating_mul(HOUR_MS)).await
            }
            StreamChange::RecordBytesMax(bytes) => {
                let bytes = i64::try_from(bytes + BATCH_EXTRA_BYTES).unwrap_or(i64::MAX);
                self.set_config(client, &topic, "max.message.bytes", bytes).await
            }
            change => {
                let mut kept = self.kept(&topic)?;
                apply(&mut kept, change)?;
                self.keep(topic.id, &kept, Vec::new()).await
            }
        }
    }

    async fn set_config(&self, client: &TopicClient, topic: &Topic, name: &str, value: i64) -> TopicResult<()> {
        let change = ConfigChange {
            resource: ConfigResource::Topic(topic.name.clone()),
            replace: false,
            operations: vec![(name.to_owned(), ConfigOperation::Set(value.to_string()))],
        };
        self.change_configs(client, vec![change], false).await?.pop().ok_or(TopicError::Internal)?
    }

    pub(super) async fn divide_anew(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        division: Division,
    ) -> TopicResult<()> {
        let topic = self.stream_of(client, TopicRight::Alter, stream)?;
        let (kept, slots) = self.slots(&topic)?;
        let ends = |number, slot: &_| self.end_of(&topic, number, slot);
        let slots_max = self.inner.options.partitions_max;
        let mut divided = Divided { slots, ends: &ends, now_ms: self.now_ms(), slots_max };
        divided.divide(division)?;
        let Divided { slots, .. } = divided;
        let total = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let mut entries = Vec::new();
        if total > topic.partitions {
            self.check_room(u64::from(total - topic.partitions))?;
            entries.push(Entry::AddPartitions { id: topic.id, total });
        }
        self.keep(topic.id, &Kept { slots, ..kept }, entries).await
    }
}

fn tag(tags: &mut Vec<(String, String)>, new: Vec<(String, String)>) -> TopicResult<()> {
    tags.retain(|(key, _)| new.iter().all(|(other, _)| other != key));
    tags.extend(new);
    tags.sort();
    if tags.len() > TAGS_MAX {
        return Err(TopicFailure::new(TopicError::Policy, format!("there may be {TAGS_MAX} tags")));
    }
    Ok(())
}

fn apply(kept: &mut Kept, change: StreamChange) -> TopicResult<()> {
    let unknown = |name: &str| TopicFailure::new(TopicError::UnknownMember, format!("there is no consumer {name}"));
    match change {
        StreamChange::OnDemand(on_demand) => kept.on_demand = on_demand,
        StreamChange::Tag(tags) => tag(&mut kept.tags, tags)?,
        StreamChange::Untag(keys) => kept.tags.retain(|(key, _)| !keys.contains(key)),
        StreamChange::Metrics(names) => kept.metrics = names,
        StreamChange::AddConsumer(consumer) => {
            if kept.consumers.iter().any(|one| one.name == consumer.name) {
                let message = format!("there is a consumer {} already", consumer.name);
                return Err(TopicFailure::new(TopicError::TopicExists, message));
            }
            if kept.consumers.len() >= CONSUMERS_MAX {
                return Err(TopicFailure::new(TopicError::Policy, format!("there may be {CONSUMERS_MAX} consumers")));
            }
            kept.consumers.push(consumer);
        }
        StreamChange::RemoveConsumer(name) => {
            let before = kept.consumers.len();
            kept.consumers.retain(|one| one.name != name);
            if kept.consumers.len() == before {
                return Err(unknown(&name));
            }
        }
        StreamChange::TagConsumer(name, tags) => {
            let consumer = kept.consumers.iter_mut().find(|one| one.name == name).ok_or_else(|| unknown(&name))?;
            tag(&mut consumer.tags, tags)?;
        }
        StreamChange::UntagConsumer(name, keys) => {
            let consumer = kept.consumers.iter_mut().find(|one| one.name == name).ok_or_else(|| unknown(&name))?;
            consumer.tags.retain(|(key, _)| !keys.contains(key));
        }
        // These are settings of the topic.
        StreamChange::RetentionHours(_) | StreamChange::RecordBytesMax(_) => return Err(TopicError::Internal.into()),
    }
    Ok(())
}
