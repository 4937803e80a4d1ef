//! Groups whose partitions the server divides (KIP-848).

use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment as DescribedAssignment, DescribedGroup, Member, TopicPartitions as DescribedPartitions,
};
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, TopicName,
};
use polder_capability::topics::{ConsumerHeartbeat, ConsumerMember, TopicAssignment, TopicThing};

use super::commits::member;
use super::{Ask, groups, millis, once, operations, text, to_millis};
use crate::codes;

/// From this version on a client chooses its id itself.
const OWN_ID: i16 = 1;

/// What a member is, of those that the protocol tells apart.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

pub(super) async fn heartbeat(ask: &Ask, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    let owned = request.topic_partitions.map(|owned| {
        let assignment = |one: kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions| {
            TopicAssignment { topic: one.topic_id, name: String::new(), partitions: one.partitions }
        };
        owned.into_iter().map(assignment).collect()
    });
    let heartbeat = ConsumerHeartbeat {
        group: request.group_id.to_string(),
        member: member(&request.member_id, request.instance_id.as_ref()),
        epoch: request.member_epoch,
        rack: request.rack_id.map(|rack| rack.to_string()),
        rebalance_timeout: (request.rebalance_timeout_ms >= 0).then(|| millis(request.rebalance_timeout_ms)),
        topics: request.subscribed_topic_names.map(|names| names.into_iter().map(|name| name.to_string()).collect()),
        topics_regex: request.subscribed_topic_regex.map(|regex| regex.to_string()),
        assignor: request.server_assignor.map(|name| name.to_string()),
        owned,
        own_id: ask.version >= OWN_ID,
    };
    match ask.topics().consumer_heartbeat(&ask.client, heartbeat).await {
        Ok(answer) => ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(text(answer.member_id)))
            .with_member_epoch(answer.epoch)
            .with_heartbeat_interval_ms(to_millis(answer.interval))
            .with_assignment(answer.assignment.map(assignment)),
        Err(failure) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(codes::of_failure(&failure))
            .with_error_message(Some(codes::said(&failure))),
    }
}

fn assignment(topics: Vec<TopicAssignment>) -> Assignment {
    let partitions = topics
        .into_iter()
        .map(|topic| TopicPartitions::default().with_topic_id(topic.topic).with_partitions(topic.partitions));
    Assignment::default().with_topic_partitions(partitions.collect())
}

fn described_assignment(topics: Vec<TopicAssignment>) -> DescribedAssignment {
    let partitions = topics.into_iter().map(|topic| {
        DescribedPartitions::default()
            .with_topic_id(topic.topic)
            .with_topic_name(TopicName(text(topic.name)))
            .with_partitions(topic.partitions)
    });
    DescribedAssignment::default().with_topic_partitions(partitions.collect())
}

pub(super) async fn describe(ask: &Ask, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    let asked = once(request.group_ids, Clone::clone);
    let names: Vec<String> = asked.iter().map(|group| group.to_string()).collect();
    let count = names.len();
    let described = codes::spread(ask.topics().describe_consumers(&ask.client, names).await, count);
    let groups = asked.into_iter().zip(described).map(|(name, group)| {
        let bits = request.include_authorized_operations.then(|| operations::of(ask, TopicThing::Group(&name)));
        let response = DescribedGroup::default()
            .with_group_id(name)
            .with_error_code(codes::of(&group))
            .with_error_message(codes::message(&group));
        let Ok(group) = group else { return response };
        let members = group.members.into_iter().map(|one| described_member(one, ask.version));
        response
            .with_group_state(text(groups::state(group.state)))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.assignment_epoch)
            .with_assignor_name(text(group.assignor))
            .with_authorized_operations(bits.unwrap_or(operations::UNKNOWN))
            .with_members(members.collect())
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn described_member(member: ConsumerMember, version: i16) -> Member {
    let names = member.topics.into_iter().map(|name| TopicName(text(name)));
    let described = Member::default()
        .with_member_id(text(member.member.id))
        .with_instance_id(member.member.instance.map(text))
        .with_rack_id(member.rack.map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&*member.client_id))
        .with_client_host(text(format!("/{}", member.host)))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(member.topics_regex.map(text))
        .with_assignment(described_assignment(member.assignment))
        .with_target_assignment(described_assignment(member.target));
    if version == 0 {
        return described;
    }
    described.with_member_type(if member.classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER })
}
