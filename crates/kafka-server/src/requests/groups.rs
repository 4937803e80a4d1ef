//! Groups whose members divide the partitions among themselves.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use polder_capability::topics::{
    GroupDescription, GroupKind, GroupListing, GroupMember, GroupState, JoinGroup, Joined, JoinedGroup, LeavingMember,
    SyncGroup, TopicResult, TopicThing,
};

use super::commits::member;
use super::{Ask, millis, once, operations, text};
use crate::codes;

/// From this version on the client says how long a rebalance may take; before, as long as a session.
const SAYS_REBALANCE: i16 = 1;

/// From this version on a newcomer is given its id first (KIP-394), which static members have no need of.
const ID_FIRST: i16 = 4;

pub(super) async fn join(ask: &Ask, request: JoinGroupRequest) -> JoinGroupResponse {
    let session_timeout = millis(request.session_timeout_ms);
    let rebalance_timeout =
        if ask.version >= SAYS_REBALANCE { millis(request.rebalance_timeout_ms) } else { session_timeout };
    let join = JoinGroup {
        group: request.group_id.to_string(),
        member: member(&request.member_id, request.group_instance_id.as_ref()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.into_iter().map(|one| (one.name.to_string(), one.metadata)).collect(),
        id_first: ask.version >= ID_FIRST && request.group_instance_id.is_none(),
        reason: request.reason.map(|reason| reason.to_string()),
    };
    let none = JoinGroupResponse::default()
        .with_generation_id(-1)
        .with_protocol_name(Some(text("")))
        .with_member_id(request.member_id);
    match ask.topics().join(&ask.client, join).await {
        Ok(Joined::Group(group)) => joined(group),
        Ok(Joined::TakeId(id)) => {
            none.with_error_code(kafka_protocol::error::ResponseError::MemberIdRequired.code()).with_member_id(text(id))
        }
        Err(failure) => none.with_error_code(codes::of_failure(&failure)),
    }
}

fn joined(group: JoinedGroup) -> JoinGroupResponse {
    let members = group.members.into_iter().map(|one| {
        JoinGroupResponseMember::default()
            .with_member_id(text(one.member.id))
            .with_group_instance_id(one.member.instance.map(text))
            .with_metadata(one.metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(group.generation)
        .with_protocol_name(Some(text(group.protocol)))
        .with_leader(text(group.leader))
        .with_member_id(text(group.member_id))
        .with_members(members.collect())
}

pub(super) async fn sync(ask: &Ask, request: SyncGroupRequest) -> SyncGroupResponse {
    let sync = SyncGroup {
        group: request.group_id.to_string(),
        generation: request.generation_id,
        member: member(&request.member_id, request.group_instance_id.as_ref()),
        protocol_type: request.protocol_type.map(|name| name.to_string()),
        protocol: request.protocol_name.map(|name| name.to_string()),
        assignments: request.assignments.into_iter().map(|one| (one.member_id.to_string(), one.assignment)).collect(),
    };
    match ask.topics().sync(&ask.client, sync).await {
        Ok(synced) => SyncGroupResponse::default().with_assignment(synced.assignment),
        Err(failure) => SyncGroupResponse::default().with_error_code(codes::of_failure(&failure)),
    }
}

pub(super) async fn heartbeat(ask: &Ask, request: HeartbeatRequest) -> HeartbeatResponse {
    let member = member(&request.member_id, request.group_instance_id.as_ref());
    let result = ask.topics().heartbeat(&ask.client, &request.group_id, request.generation_id, &member).await;
    HeartbeatResponse::default().with_error_code(codes::of(&result))
}

pub(super) async fn leave(ask: &Ask, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let members = vec![LeavingMember { member: member(&request.member_id, None), reason: None }];
    let whole = ask.topics().leave(&ask.client, &request.group_id, members).await;
    let code = codes::spread(whole, 1).first().map_or(0, codes::of);
    LeaveGroupResponse::default().with_error_code(code)
}

pub(super) const fn state(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "Empty",
        GroupState::PreparingRebalance => "PreparingRebalance",
        GroupState::CompletingRebalance => "CompletingRebalance",
        GroupState::Stable => "Stable",
        GroupState::Assigning => "Assigning",
        GroupState::Reconciling => "Reconciling",
        GroupState::Dead => "Dead",
    }
}

pub(super) async fn describe(ask: &Ask, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let asked = once(request.groups, Clone::clone);
    let names: Vec<String> = asked.iter().map(|group| group.to_string()).collect();
    let count = names.len();
    let described = codes::spread(ask.topics().describe_groups(&ask.client, names).await, count);
    let groups = asked.into_iter().zip(described).map(|(name, group)| {
        let bits = (request.include_authorized_operations && group.is_ok())
            .then(|| operations::of(ask, TopicThing::Group(&name)));
        described_group(name, group).with_authorized_operations(bits.unwrap_or(operations::UNKNOWN))
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn described_group(name: GroupId, group: TopicResult<GroupDescription>) -> DescribedGroup {
    let response = DescribedGroup::default().with_group_id(name).with_error_code(codes::of(&group));
    let Ok(group) = group else { return response.with_group_state(text("")) };
    response
        .with_group_state(text(state(group.state)))
        .with_protocol_type(text(group.protocol_type))
        .with_protocol_data(text(group.protocol))
        .with_members(group.members.into_iter().map(described_member).collect())
}

fn described_member(member: GroupMember) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(member.member.id))
        .with_group_instance_id(member.member.instance.map(text))
        .with_client_id(text(&*member.client_id))
        // As Kafka shows it.
        .with_client_host(text(format!("/{}", member.host)))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}

const fn kind(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Classic => "Classic",
        GroupKind::Consumer => "Consumer",
    }
}

pub(super) async fn list(ask: &Ask, request: ListGroupsRequest) -> ListGroupsResponse {
    let groups = match ask.topics().list_groups(&ask.client).await {
        Ok(groups) => groups,
        Err(failure) => return ListGroupsResponse::default().with_error_code(codes::of_failure(&failure)),
    };
    let among = |names: &[kafka_protocol::protocol::StrBytes], name: &str| {
        names.is_empty() || names.iter().any(|one| one.eq_ignore_ascii_case(name))
    };
    let wanted = |group: &GroupListing| {
        among(&request.states_filter, state(group.state)) && among(&request.types_filter, kind(group.kind))
    };
    let listed = groups.into_iter().filter(wanted).map(|group| {
        let listed = ListedGroup::default()
            .with_group_id(GroupId(text(group.group)))
            .with_protocol_type(text(group.protocol_type));
        // Each came with a version of its own, and the codec refuses what a version has no place for.
        let listed = if ask.version >= 4 { listed.with_group_state(text(state(group.state))) } else { listed };
        if ask.version >= 5 { listed.with_group_type(text(kind(group.kind))) } else { listed }
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

pub(super) async fn delete(ask: &Ask, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let names: Vec<String> = request.groups_names.iter().map(|group| group.to_string()).collect();
    let count = names.len();
    let deleted = codes::spread(ask.topics().delete_groups(&ask.client, names).await, count);
    let results =
        request.groups_names.into_iter().zip(deleted).map(|(name, result)| {
            DeletableGroupResult::default().with_group_id(name).with_error_code(codes::of(&result))
        });
    DeleteGroupsResponse::default().with_results(results.collect())
}
