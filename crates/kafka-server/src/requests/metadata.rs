//! Which topics and servers there are.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use polder_capability::topics::{LEADER_EPOCH, TopicChoice, TopicDescription, TopicRef, TopicThing};

use super::{Ask, NODE, once, operations, text};
use crate::codes;

/// From this version on an empty list means no topic, rather than all.
const EMPTY_MEANS_NONE: i16 = 1;

/// From this version on the client says whether what is missing is to be made.
const SAYS_CREATE: i16 = 4;

pub(super) async fn metadata(ask: &Ask, request: MetadataRequest) -> MetadataResponse {
    let asked = request.topics.filter(|topics| !topics.is_empty() || ask.version >= EMPTY_MEANS_NONE);
    let known_by = |topic: &MetadataRequestTopic| match &topic.name {
        Some(name) => TopicRef::named(name),
        None => TopicRef::Id(topic.topic_id),
    };
    let asked = asked.map(|topics| once(topics, known_by));
    let choice = match &asked {
        None => TopicChoice::All,
        Some(topics) => TopicChoice::These(topics.iter().map(known_by).collect()),
    };
    let create = ask.version < SAYS_CREATE || request.allow_auto_topic_creation;
    let found = ask.topics().describe(&ask.client, &choice, create).await;
    let topics = match asked {
        None => found.unwrap_or_default().into_iter().flatten().map(known).collect::<Vec<_>>(),
        Some(asked) => {
            let found = codes::spread(found, asked.len());
            let both = asked.into_iter().zip(found);
            both.map(|(asked, found)| match found {
                Ok(found) => known(found),
                failed => MetadataResponseTopic::default()
                    .with_error_code(codes::of_partition(&failed))
                    // Older versions have no place for a topic without a name.
                    .with_name(asked.name.or_else(|| (ask.version < 12).then(TopicName::default)))
                    .with_topic_id(asked.topic_id),
            })
            .collect()
        }
    };
    let topics = topics.into_iter().map(|topic| match &topic.name {
        Some(name) if topic.error_code == 0 && request.include_topic_authorized_operations => {
            let bits = operations::of(ask, TopicThing::Topic(name));
            topic.with_topic_authorized_operations(bits)
        }
        _ => topic,
    });
    let topics = topics.collect();
    let of_server = request.include_cluster_authorized_operations.then(|| operations::of(ask, TopicThing::Server));
    let broker = MetadataResponseBroker::default().with_node_id(NODE).with_host(ask.host()).with_port(ask.here.port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(ask.topics().cluster_id())))
        .with_controller_id(NODE)
        .with_topics(topics)
        .with_cluster_authorized_operations(of_server.unwrap_or(operations::UNKNOWN))
}

fn known(topic: TopicDescription) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions).filter_map(|index| i32::try_from(index).ok()).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
}
