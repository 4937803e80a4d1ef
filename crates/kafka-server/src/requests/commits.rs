//! How far groups have come.

use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{
    CommitOffsets, FetchOffsets, FetchedOffset, MemberId, OffsetEntry, TopicError, TopicPartition, TopicRef,
    TopicResult,
};

use super::{Ask, epoch, once, partition, text};
use crate::codes;

/// Groups that one request may ask for, as each is a question of its own; the others are refused.
const GROUPS_MAX: usize = 1_000;

/// Groups are answered until the answer has so many bytes, about; the rest is refused.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What an offset takes beside its note.
const OFFSET_BYTES: usize = 256;

/// From this version on a request asks for several groups.
const HAS_GROUPS: i16 = 8;

pub(super) fn member(id: &StrBytes, instance: Option<&StrBytes>) -> MemberId {
    MemberId { id: id.to_string(), instance: instance.map(ToString::to_string) }
}

pub(super) fn entry(topic: &TopicRef, index: i32, offset: i64, leader: i32, note: Option<StrBytes>) -> OffsetEntry {
    OffsetEntry {
        of: partition(topic, index),
        offset,
        leader_epoch: epoch(leader),
        metadata: note.map(|note| note.to_string()).unwrap_or_default(),
    }
}

pub(super) async fn commit(ask: &Ask, request: OffsetCommitRequest) -> OffsetCommitResponse {
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
    let commit = CommitOffsets {
        group: request.group_id.to_string(),
        generation: request.generation_id_or_member_epoch,
        member: member(&request.member_id, request.group_instance_id.as_ref()),
        offsets,
    };
    let mut results = codes::spread(ask.topics().commit_offsets(&ask.client, commit).await, count).into_iter();
    let topics = names.into_iter().map(|(name, indexes)| {
        let partitions = indexes.into_iter().zip(results.by_ref()).map(|(index, result)| {
            OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(codes::of(&result))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Topics with partitions, one after the other, each partition once.
fn flat<'a>(topics: impl Iterator<Item = (&'a TopicName, &'a [i32])>) -> Vec<TopicPartition> {
    let mut all = Vec::new();
    for (name, indexes) in topics {
        let named = TopicRef::named(name);
        all.extend(indexes.iter().map(|index| partition(&named, *index)));
    }
    once(all, Clone::clone)
}

/// The offsets of one group by topic, each with its code.
type ByTopic = Vec<(TopicName, Vec<(FetchedOffset, i16)>)>;

fn by_topic(found: Vec<FetchedOffset>) -> ByTopic {
    let mut topics: ByTopic = Vec::new();
    for offset in found {
        let name = match &offset.of.topic {
            TopicRef::Name(name) => TopicName(text(&**name)),
            TopicRef::Id(_) => continue,
        };
        let code = codes::of(&offset.result);
        match topics.last_mut() {
            Some((last, offsets)) if *last == name => offsets.push((offset, code)),
            _ => topics.push((name, vec![(offset, code)])),
        }
    }
    topics
}

/// Offset, leader epoch and note; -1 where there is none.
fn told(result: &TopicResult<Option<OffsetEntry>>) -> (i64, i32, Option<StrBytes>) {
    match result {
        Ok(Some(entry)) => (entry.offset, entry.leader_epoch.unwrap_or(-1), Some(text(entry.metadata.as_str()))),
        _ => (-1, -1, Some(StrBytes::default())),
    }
}

pub(super) async fn fetch(ask: &Ask, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if ask.version >= HAS_GROUPS {
        return fetch_of_groups(ask, request).await;
    }
    let topics = request.topics.as_ref();
    let wanted = FetchOffsets {
        group: request.group_id.to_string(),
        member: None,
        partitions: topics
            .map(|topics| flat(topics.iter().map(|topic| (&topic.name, topic.partition_indexes.as_slice())))),
        stable: request.require_stable,
    };
    let asked = wanted.partitions.clone().unwrap_or_default();
    let result = ask.topics().fetch_offsets(&ask.client, wanted).await;
    let code = codes::of(&result);
    // The oldest version has no place for an error of the whole: each partition has it.
    let found = result.unwrap_or_else(|failure| {
        asked.into_iter().map(|of| FetchedOffset { of, result: Err(failure.clone()) }).collect()
    });
    let topics = by_topic(found).into_iter().map(|(name, offsets)| {
        let partitions = offsets.into_iter().map(|(found, code)| {
            let (offset, leader_epoch, metadata) = told(&found.result);
            OffsetFetchResponsePartition::default()
                .with_partition_index(found.of.partition)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(leader_epoch)
                .with_metadata(metadata)
                .with_error_code(code)
        });
        OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect()).with_error_code(code)
}

async fn fetch_of_groups(ask: &Ask, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let (mut groups, mut bytes) = (Vec::new(), 0);
    for (number, group) in once(request.groups, |group| group.group_id.clone()).into_iter().enumerate() {
        if number >= GROUPS_MAX || bytes >= ANSWER_BYTES_MAX {
            let code = codes::code(TopicError::InvalidRequest).code();
            groups.push(OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(code));
            continue;
        }
        let topics = group.topics.as_ref();
        let wanted = FetchOffsets {
            group: group.group_id.to_string(),
            member: group.member_id.map(|id| (id.to_string(), group.member_epoch)),
            partitions: topics
                .map(|topics| flat(topics.iter().map(|topic| (&topic.name, topic.partition_indexes.as_slice())))),
            stable: request.require_stable,
        };
        let result = ask.topics().fetch_offsets(&ask.client, wanted).await;
        let code = codes::of(&result);
        let note = |found: &FetchedOffset| {
            found.result.as_ref().ok().and_then(Option::as_ref).map_or(0, |one| one.metadata.len())
        };
        let found = result.unwrap_or_default();
        bytes += found.iter().map(|one| OFFSET_BYTES + note(one)).sum::<usize>();
        let topics = by_topic(found).into_iter().map(|(name, offsets)| {
            let partitions = offsets.into_iter().map(|(found, code)| {
                let (offset, leader_epoch, metadata) = told(&found.result);
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(found.of.partition)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(leader_epoch)
                    .with_metadata(metadata)
                    .with_error_code(code)
            });
            OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
        });
        let topics = topics.collect();
        groups.push(
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics).with_error_code(code),
        );
    }
    OffsetFetchResponse::default().with_groups(groups)
}

pub(super) async fn delete(ask: &Ask, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let named = TopicRef::named(&topic.name);
        partitions.extend(topic.partitions.iter().map(|data| partition(&named, data.partition_index)));
    }
    let count = partitions.len();
    let whole = ask.topics().delete_offsets(&ask.client, &request.group_id, partitions).await;
    if let Err(failure) = &whole {
        return OffsetDeleteResponse::default().with_error_code(codes::of_failure(failure));
    }
    let mut results = codes::spread(whole, count).into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().zip(results.by_ref()).map(|(data, result)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(data.partition_index)
                .with_error_code(codes::of(&result))
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
