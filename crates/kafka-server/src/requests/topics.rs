//! Topics that are made, deleted, and widened.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse,
};
use polder_capability::topics::{MorePartitions, NewTopic, TopicRef};

use super::{Ask, text};
use crate::codes;

/// As many as the server makes by itself.
const DEFAULT: i32 = -1;

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments: BTreeMap<i32, Vec<i32>> = topic
        .assignments
        .iter()
        .map(|one| (one.partition_index, one.broker_ids.iter().map(|id| id.0).collect()))
        .collect();
    let config = topic.configs.iter().map(|one| (one.name.to_string(), one.value.as_ref().map(ToString::to_string)));
    NewTopic {
        name: topic.name.to_string(),
        partitions: (topic.num_partitions != DEFAULT).then_some(topic.num_partitions),
        replication: (i32::from(topic.replication_factor) != DEFAULT).then_some(topic.replication_factor),
        assignments,
        config: config.collect(),
    }
}

pub(super) async fn create(ask: &Ask, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let topics: Vec<NewTopic> = request.topics.iter().map(new_topic).collect();
    let count = topics.len();
    let created = codes::spread(ask.topics().create(&ask.client, topics, request.validate_only).await, count);
    let results = request.topics.into_iter().zip(created).map(|(topic, result)| {
        CreatableTopicResult::default()
            .with_name(topic.name)
            .with_error_code(codes::of(&result))
            .with_error_message(codes::message(&result))
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

pub(super) async fn delete(ask: &Ask, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let topics: Vec<TopicRef> = request.topic_names.iter().map(|name| TopicRef::named(name)).collect();
    let count = topics.len();
    let deleted = codes::spread(ask.topics().delete(&ask.client, topics).await, count);
    let results = request.topic_names.into_iter().zip(deleted).map(|(name, result)| {
        DeletableTopicResult::default().with_name(Some(name)).with_error_code(codes::of(&result))
    });
    DeleteTopicsResponse::default().with_responses(results.collect())
}

pub(super) async fn add_partitions(ask: &Ask, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let wishes: Vec<MorePartitions> = request
        .topics
        .iter()
        .map(|topic| MorePartitions {
            topic: topic.name.to_string(),
            total: topic.count,
            assignments: topic
                .assignments
                .as_ref()
                .map(|all| all.iter().map(|one| one.broker_ids.iter().map(|id| id.0).collect()).collect()),
        })
        .collect();
    let count = wishes.len();
    let added = codes::spread(ask.topics().add_partitions(&ask.client, wishes, request.validate_only).await, count);
    let results = request.topics.into_iter().zip(added).map(|(topic, result)| {
        CreatePartitionsTopicResult::default()
            .with_name(topic.name)
            .with_error_code(codes::of(&result))
            .with_error_message(result.is_err().then(|| codes::message(&result).unwrap_or_else(|| text(""))))
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}
