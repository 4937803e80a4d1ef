//! Producers with an identity, and transactions.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use polder_capability::topics::{
    CommitOffsets, InitProducer, Producer, TopicError, TopicRef, TopicResult, TransactionOffsets,
};

use super::commits::{entry, member};
use super::{Ask, millis, partition};
use crate::codes;

/// The versions from which on a client knows that it is fenced; before, that its epoch is too old.
const INIT_KNOWS_FENCED: i16 = 4;
const END_KNOWS_FENCED: i16 = 2;

/// The code of a result for a client that may not know the newer one.
fn code<T>(result: &TopicResult<T>, knows_fenced: bool) -> i16 {
    match result {
        Err(failure) if failure.error == TopicError::ProducerFenced && !knows_fenced => {
            ResponseError::InvalidProducerEpoch.code()
        }
        result => codes::of(result),
    }
}

pub(super) async fn init(ask: &Ask, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let init = InitProducer {
        transactional_id: request.transactional_id.map(|id| id.to_string()),
        timeout: millis(request.transaction_timeout_ms),
        current: (request.producer_id.0 >= 0)
            .then_some(Producer { id: request.producer_id.0, epoch: request.producer_epoch }),
    };
    let result = ask.topics().init_producer(&ask.client, init).await;
    let response = InitProducerIdResponse::default().with_error_code(code(&result, ask.version >= INIT_KNOWS_FENCED));
    match result {
        Ok(producer) => response.with_producer_id(producer.id.into()).with_producer_epoch(producer.epoch),
        Err(_) => response.with_producer_id((-1).into()).with_producer_epoch(-1),
    }
}

pub(super) async fn add_partitions(ask: &Ask, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    let topics = request.v3_and_below_topics;
    let mut partitions = Vec::new();
    for topic in &topics {
        let named = TopicRef::named(&topic.name);
        partitions.extend(topic.partitions.iter().map(|index| partition(&named, *index)));
    }
    let count = partitions.len();
    let producer = Producer { id: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
    let id = request.v3_and_below_transactional_id;
    let added = ask.topics().add_to_transaction(&ask.client, &id, producer, partitions).await;
    let mut results = codes::spread(added, count).into_iter();
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().zip(results.by_ref()).map(|(index, result)| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(code(&result, false))
        });
        let partitions = partitions.collect();
        AddPartitionsToTxnTopicResult::default().with_name(topic.name).with_results_by_partition(partitions)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
}

pub(super) async fn add_group(ask: &Ask, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let topics = ask.topics();
    let (id, group) = (&request.transactional_id, &request.group_id);
    let result = topics.add_group_to_transaction(&ask.client, id, producer, group).await;
    AddOffsetsToTxnResponse::default().with_error_code(code(&result, false))
}

pub(super) async fn commit_offsets(ask: &Ask, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let mut offsets = Vec::new();
    let mut names = Vec::new();
    for topic in request.topics {
        let named = TopicRef::named(&topic.name);
        names.push((topic.name, topic.partitions.iter().map(|data| data.partition_index).collect::<Vec<_>>()));
        offsets.extend(topic.partitions.into_iter().map(|data| {
            let (index, offset) = (data.partition_index, data.committed_offset);
            entry(&named, index, offset, data.committed_leader_epoch, data.committed_metadata)
        }));
    }
    let count = offsets.len();
    let offsets = TransactionOffsets {
        transactional_id: request.transactional_id.to_string(),
        producer: Producer { id: request.producer_id.0, epoch: request.producer_epoch },
        commit: CommitOffsets {
            group: request.group_id.to_string(),
            generation: request.generation_id,
            member: member(&request.member_id, request.group_instance_id.as_ref()),
            offsets,
        },
    };
    let mut results = codes::spread(ask.topics().commit_in_transaction(&ask.client, offsets).await, count).into_iter();
    let topics = names.into_iter().map(|(name, indexes)| {
        let partitions = indexes.into_iter().zip(results.by_ref()).map(|(index, result)| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code(&result, false))
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

pub(super) async fn end(ask: &Ask, request: EndTxnRequest) -> EndTxnResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let id = &request.transactional_id;
    let result = ask.topics().end_transaction(&ask.client, id, producer, request.committed).await;
    EndTxnResponse::default().with_error_code(code(&result, ask.version >= END_KNOWS_FENCED))
}
