//! A delivery's own topic, and the records that are put into it.

use std::time::Duration;

use polder_capability::Caller;
use polder_capability::deliveries::{DeliveryDefinition, OfferedRecord};
use polder_capability::topics::{
    Acks, ConfigResource, ConfigSource, NewTopic, Produce, ProduceBatch, TopicClient, TopicError, TopicFailure,
    TopicPartition, TopicRef, TopicRight, TopicScan, TopicThing,
};
use polder_topic_log::format::{BatchBuilder, Codec, NewRecord};
use polder_types::{Error, ErrorKind, Result};

use crate::JobDeliveries;
use crate::run::VIA;

/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Records that are offered come in batches larger than the default of topics.
const OWN_TOPIC_MESSAGE_BYTES: &str = "16777216";

/// Makes a delivery's own topic. One that is there already is somebody else's, unless it was made like this for a delivery
/// that never came to be, because the server was killed in between: that one is taken.
pub(crate) async fn make_topic(house: &JobDeliveries, definition: &DeliveryDefinition) -> Result<()> {
    let config = vec![("max.message.bytes".to_owned(), Some(OWN_TOPIC_MESSAGE_BYTES.to_owned()))];
    let topic = NewTopic { name: definition.topic.clone(), partitions: Some(1), config, ..NewTopic::default() };
    let client = client(&Caller::new(&definition.owner, VIA));
    let made = house.topics.create(&client, vec![topic], false).await.map_err(of_topics)?;
    match made.into_iter().next() {
        Some(Err(failure)) if failure.error == TopicError::TopicExists && is_left_over(house, definition).await? => {
            Ok(())
        }
        Some(Err(failure)) => Err(of_topics(failure)),
        _ => Ok(()),
    }
}

/// Whether a topic is as a delivery's own topic is made, without a record, and its owner's to delete. No delivery has its name.
async fn is_left_over(house: &JobDeliveries, definition: &DeliveryDefinition) -> Result<bool> {
    const SIZE: &str = "max.message.bytes";
    let (caller, topic) = (Caller::new(&definition.owner, VIA), &definition.topic);
    let client = client(&caller);
    let rights = house.topics.rights_on(&client, TopicThing::Topic(topic)).unwrap_or_default();
    if !rights.contains(&TopicRight::Delete) {
        return Ok(false);
    }
    if house.rows.find(&caller, topic).is_none_or(|table| table.partitions != 1) {
        return Ok(false);
    }
    let asked = vec![(ConfigResource::Topic(topic.clone()), Some(vec![SIZE.to_owned()]))];
    let configs = house.topics.configs(&client, asked).await.map_err(of_topics)?.into_iter().next();
    let configs = configs.transpose().map_err(of_topics)?.unwrap_or_default();
    let is_ours = configs.iter().any(|entry| {
        entry.name == SIZE
            && entry.source == ConfigSource::Own
            && entry.value.as_deref() == Some(OWN_TOPIC_MESSAGE_BYTES)
    });
    Ok(is_ours && house.rows.scan(&caller, topic, TopicScan::default()).await?.is_empty())
}

/// Deletes it, if it is there.
pub(crate) async fn delete_topic(house: &JobDeliveries, definition: &DeliveryDefinition) -> Result<()> {
    let client = client(&Caller::new(&definition.owner, VIA));
    let topics = vec![TopicRef::named(&definition.topic)];
    let deleted = house.topics.delete(&client, topics).await.map_err(of_topics)?;
    match deleted.into_iter().next() {
        Some(Err(failure)) if failure.error != TopicError::UnknownTopic => Err(of_topics(failure)),
        _ => Ok(()),
    }
}

/// Writes records as one batch, into the one partition that such a topic has.
pub(crate) async fn offer(
    house: &JobDeliveries,
    caller: &Caller,
    definition: &DeliveryDefinition,
    records: Vec<OfferedRecord>,
) -> Result<Vec<(i32, i64)>> {
    if !definition.owns_topic {
        let (name, topic) = (&definition.name, &definition.topic);
        return Err(Error::unsupported(format!(
            "the delivery {name:?} takes no records: it reads the topic {topic:?}"
        )));
    }
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let timestamp = house.now().timestamp_millis();
    let mut batch = BatchBuilder::new();
    for record in &records {
        let (key, value) = (record.key.as_deref(), Some(&*record.value));
        batch.push(&NewRecord { timestamp, key, value, headers: &[] })?;
    }
    let to = TopicPartition { topic: TopicRef::named(&definition.topic), partition: 0 };
    let batches = vec![ProduceBatch { to, bytes: batch.finish(Codec::None)? }];
    let produce = Produce { transactional_id: None, acks: Acks::All, timeout: PATIENCE, batches };
    let answer = house.topics.produce(&client(caller), produce).await.map_err(of_topics)?;
    let written = answer.results.into_iter().next();
    let written = written.ok_or_else(|| Error::internal("a batch was written without an answer"))?;
    let base = written.map_err(of_topics)?.base_offset;
    Ok((base..).take(records.len()).map(|offset| (0, offset)).collect())
}

fn client(caller: &Caller) -> TopicClient {
    TopicClient { caller: caller.clone(), client_id: VIA.into(), host: "".into() }
}

fn of_topics(failure: TopicFailure) -> Error {
    let kind = match failure.error {
        TopicError::UnknownTopic | TopicError::UnknownTopicId => ErrorKind::NotFound,
        TopicError::TopicExists => ErrorKind::AlreadyExists,
        TopicError::TopicForbidden | TopicError::ServerForbidden => ErrorKind::Forbidden,
        TopicError::TooLarge => ErrorKind::TooLarge,
        TopicError::Storage | TopicError::Throttled => ErrorKind::Exhausted,
        TopicError::Unavailable | TopicError::TimedOut => ErrorKind::Unavailable,
        TopicError::Internal => ErrorKind::Internal,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, format!("topics: {failure}"))
}
