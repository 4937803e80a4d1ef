//! Places in partitions.

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};
use polder_capability::topics::{
    EpochEnd, EpochQuestion, FoundOffset, Isolation, LEADER_EPOCH, OffsetAt, OffsetQuestion, TopicError, TopicRef,
    TopicResult,
};

use super::{Ask, epoch, partition};
use crate::codes;

/// Timestamps with a meaning of their own.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// The version that brought [`MAX_TIMESTAMP`].
const KNOWS_MAX_TIMESTAMP: i16 = 7;

const READ_COMMITTED: i8 = 1;

fn place(timestamp: i64, version: i16) -> Option<OffsetAt> {
    match timestamp {
        LATEST => Some(OffsetAt::Latest),
        EARLIEST => Some(OffsetAt::Earliest),
        MAX_TIMESTAMP if version >= KNOWS_MAX_TIMESTAMP => Some(OffsetAt::MaxTimestamp),
        timestamp if timestamp >= 0 => Some(OffsetAt::Timestamp(timestamp)),
        _ => None,
    }
}

pub(super) async fn list(ask: &Ask, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation =
        if request.isolation_level == READ_COMMITTED { Isolation::Committed } else { Isolation::Uncommitted };
    let mut questions = Vec::new();
    for topic in &request.topics {
        let named = TopicRef::named(&topic.name);
        questions.extend(topic.partitions.iter().filter_map(|data| {
            Some(OffsetQuestion {
                of: partition(&named, data.partition_index),
                at: place(data.timestamp, ask.version)?,
                leader_epoch: epoch(data.current_leader_epoch),
            })
        }));
    }
    let count = questions.len();
    let mut found = codes::spread(ask.topics().offsets(&ask.client, questions, isolation).await, count).into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|data| {
            let result = match place(data.timestamp, ask.version) {
                Some(_) => found.next().unwrap_or_else(|| Err(TopicError::Internal.into())),
                None => Err(TopicError::Unsupported.into()),
            };
            one(data.partition_index, &result, ask.version)
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// From this version on a client is told the epoch of the leader.
const HAS_EPOCH: i16 = 4;

fn one(index: i32, result: &TopicResult<FoundOffset>, version: i16) -> ListOffsetsPartitionResponse {
    let found = result.as_ref().ok();
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(codes::of_partition(result))
        .with_offset(found.and_then(|found| found.offset).unwrap_or(-1))
        .with_timestamp(found.and_then(|found| found.timestamp).unwrap_or(-1))
        .with_leader_epoch(
            found.and_then(|found| found.offset).filter(|_| version >= HAS_EPOCH).map_or(-1, |_| LEADER_EPOCH),
        )
}

pub(super) async fn of_epoch(ask: &Ask, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let mut questions = Vec::new();
    for topic in &request.topics {
        let named = TopicRef::named(&topic.topic);
        questions.extend(topic.partitions.iter().map(|data| EpochQuestion {
            of: partition(&named, data.partition),
            current: epoch(data.current_leader_epoch),
            epoch: data.leader_epoch,
        }));
    }
    let count = questions.len();
    let mut ends = codes::spread(ask.topics().epoch_ends(&ask.client, questions).await, count).into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().zip(ends.by_ref());
        let partitions = partitions.map(|(data, end): (_, TopicResult<EpochEnd>)| {
            let known = end.as_ref().ok().and_then(|end| Some((end.epoch?, end.end_offset)));
            let (epoch, offset) = known.unwrap_or((-1, -1));
            EpochEndOffset::default()
                .with_error_code(codes::of_partition(&end))
                .with_partition(data.partition)
                .with_leader_epoch(epoch)
                .with_end_offset(offset)
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

pub(super) async fn delete_records(ask: &Ask, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut before = Vec::new();
    for topic in &request.topics {
        let named = TopicRef::named(&topic.name);
        before.extend(topic.partitions.iter().filter(|data| data.offset >= LATEST).map(|data| {
            // -1 stands for the high watermark.
            (partition(&named, data.partition_index), (data.offset != LATEST).then_some(data.offset))
        }));
    }
    let count = before.len();
    let mut deleted = codes::spread(ask.topics().delete_records(&ask.client, before).await, count).into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|data| {
            let result = match data.offset >= LATEST {
                true => deleted.next().unwrap_or_else(|| Err(TopicError::Internal.into())),
                false => Err(TopicError::OffsetOutOfRange.into()),
            };
            DeleteRecordsPartitionResult::default()
                .with_partition_index(data.partition_index)
                .with_error_code(codes::of_partition(&result))
                .with_low_watermark(result.unwrap_or(-1))
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}
