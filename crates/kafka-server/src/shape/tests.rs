use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use super::{Broken, ELEMENTS_MAX, check};
use crate::apis::{self, APIS, Api};

fn s(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn written<Q: Encodable>(request: &Q, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    request.encode(&mut body, version).unwrap();
    body.freeze()
}

fn walk(api: &Api, body: &[u8], version: i16) -> Result<(), Broken> {
    let (_, shape) = apis::of_key(api.key as i16).unwrap();
    check(shape, body, version, api.is_flexible(version))
}

/// Requests with something in every array. What a version has no place for is left out.
pub(crate) fn full(api: &Api, version: i16) -> Bytes {
    let topic = || TopicName(s("topic"));
    let group = || GroupId(s("group"));
    let v = version;
    match api.key {
        ApiKey::Produce => written(
            &ProduceRequest::default().with_transactional_id(Some(TransactionalId(s("t")))).with_topic_data(vec![
                produce_request::TopicProduceData::default().with_name(topic()).with_partition_data(vec![
                    produce_request::PartitionProduceData::default().with_records(Some(Bytes::from_static(b"abc"))),
                    produce_request::PartitionProduceData::default(),
                ]),
            ]),
            v,
        ),
        ApiKey::Fetch => {
            let mut one =
                fetch_request::FetchTopic::default().with_partitions(vec![fetch_request::FetchPartition::default(); 2]);
            let mut gone = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 2]);
            if v >= 13 {
                (one.topic_id, gone.topic_id) = (Uuid::max(), Uuid::max());
            } else {
                (one.topic, gone.topic) = (topic(), topic());
            }
            let request = FetchRequest::default().with_topics(vec![one]);
            written(&if v >= 7 { request.with_forgotten_topics_data(vec![gone]) } else { request }, v)
        }
        ApiKey::ListOffsets => written(
            &ListOffsetsRequest::default().with_topics(vec![
                list_offsets_request::ListOffsetsTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![list_offsets_request::ListOffsetsPartition::default(); 3]),
            ]),
            v,
        ),
        ApiKey::Metadata => written(
            &MetadataRequest::default().with_topics(Some(vec![
                metadata_request::MetadataRequestTopic::default()
                    .with_name(Some(topic()));
                2
            ])),
            v,
        ),
        ApiKey::OffsetCommit => written(
            &OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![
                offset_commit_request::OffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![
                    offset_commit_request::OffsetCommitRequestPartition::default()
                        .with_committed_metadata(Some(s("note")));
                    2
                ]),
            ]),
            v,
        ),
        ApiKey::OffsetFetch if v >= 8 => written(
            &OffsetFetchRequest::default().with_groups(vec![
                offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(
                    vec![
                        offset_fetch_request::OffsetFetchRequestTopics::default()
                            .with_name(topic())
                            .with_partition_indexes(vec![1, 2]),
                    ],
                )),
            ]),
            v,
        ),
        ApiKey::OffsetFetch => written(
            &OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![
                offset_fetch_request::OffsetFetchRequestTopic::default()
                    .with_name(topic())
                    .with_partition_indexes(vec![1, 2]),
            ])),
            v,
        ),
        ApiKey::FindCoordinator => written(&FindCoordinatorRequest::default().with_key(s("group")), v),
        ApiKey::JoinGroup => written(
            &JoinGroupRequest::default().with_group_id(group()).with_rebalance_timeout_ms(-1).with_protocols(vec![
                join_group_request::JoinGroupRequestProtocol::default()
                    .with_name(s("range"))
                    .with_metadata(Bytes::from_static(b"meta"));
                2
            ]),
            v,
        ),
        ApiKey::Heartbeat => written(&HeartbeatRequest::default().with_group_id(group()).with_member_id(s("m")), v),
        ApiKey::LeaveGroup => written(&LeaveGroupRequest::default().with_group_id(group()).with_member_id(s("m")), v),
        ApiKey::SyncGroup => written(
            &SyncGroupRequest::default().with_group_id(group()).with_assignments(vec![
                sync_group_request::SyncGroupRequestAssignment::default()
                    .with_member_id(s("m"))
                    .with_assignment(Bytes::from_static(b"a"));
                2
            ]),
            v,
        ),
        ApiKey::DescribeGroups => written(&DescribeGroupsRequest::default().with_groups(vec![group(); 2]), v),
        ApiKey::ListGroups => {
            let request = ListGroupsRequest::default();
            written(&if v >= 4 { request.with_states_filter(vec![s("Stable")]) } else { request }, v)
        }
        ApiKey::SaslHandshake => written(&SaslHandshakeRequest::default().with_mechanism(s("PLAIN")), v),
        ApiKey::ApiVersions => written(&ApiVersionsRequest::default(), v),
        _ => full_of_administration(api, v),
    }
}

fn full_of_administration(api: &Api, v: i16) -> Bytes {
    let topic = || TopicName(s("topic"));
    let group = || GroupId(s("group"));
    match api.key {
        ApiKey::CreateTopics => written(
            &CreateTopicsRequest::default().with_topics(vec![
                create_topics_request::CreatableTopic::default()
                    .with_name(topic())
                    .with_assignments(vec![
                        create_topics_request::CreatableReplicaAssignment::default()
                            .with_broker_ids(vec![BrokerId(1), BrokerId(2)]);
                        2
                    ])
                    .with_configs(vec![create_topics_request::CreatableTopicConfig::default().with_name(s("a")); 2]),
            ]),
            v,
        ),
        ApiKey::DeleteTopics => written(&DeleteTopicsRequest::default().with_topic_names(vec![topic(); 2]), v),
        ApiKey::DeleteRecords => written(
            &DeleteRecordsRequest::default().with_topics(vec![
                delete_records_request::DeleteRecordsTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![delete_records_request::DeleteRecordsPartition::default(); 2]),
            ]),
            v,
        ),
        ApiKey::InitProducerId => written(&InitProducerIdRequest::default(), v),
        ApiKey::OffsetForLeaderEpoch => written(
            &OffsetForLeaderEpochRequest::default().with_topics(vec![
                offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                    .with_topic(topic())
                    .with_partitions(vec![offset_for_leader_epoch_request::OffsetForLeaderPartition::default(); 2]),
            ]),
            v,
        ),
        ApiKey::AddPartitionsToTxn => written(
            &AddPartitionsToTxnRequest::default().with_v3_and_below_topics(vec![
                add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![0, 1]),
            ]),
            v,
        ),
        ApiKey::AddOffsetsToTxn => written(&AddOffsetsToTxnRequest::default().with_group_id(group()), v),
        ApiKey::EndTxn => written(&EndTxnRequest::default(), v),
        ApiKey::TxnOffsetCommit => written(
            &TxnOffsetCommitRequest::default().with_topics(vec![
                txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![txn_offset_commit_request::TxnOffsetCommitRequestPartition::default(); 2]),
            ]),
            v,
        ),
        ApiKey::DescribeAcls => written(&DescribeAclsRequest::default(), v),
        ApiKey::CreateAcls => written(
            &CreateAclsRequest::default().with_creations(vec![
                create_acls_request::AclCreation::default()
                    .with_principal(s("User:a"));
                2
            ]),
            v,
        ),
        ApiKey::DeleteAcls => written(
            &DeleteAclsRequest::default().with_filters(vec![delete_acls_request::DeleteAclsFilter::default(); 2]),
            v,
        ),
        ApiKey::DescribeConfigs => written(
            &DescribeConfigsRequest::default().with_resources(vec![
                describe_configs_request::DescribeConfigsResource::default()
                    .with_configuration_keys(Some(vec![s("a"), s("b")])),
            ]),
            v,
        ),
        ApiKey::AlterConfigs => written(
            &AlterConfigsRequest::default().with_resources(vec![
                alter_configs_request::AlterConfigsResource::default()
                    .with_configs(vec![alter_configs_request::AlterableConfig::default(); 2]),
            ]),
            v,
        ),
        ApiKey::SaslAuthenticate => {
            written(&SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"abc")), v)
        }
        ApiKey::CreatePartitions => written(
            &CreatePartitionsRequest::default().with_topics(vec![
                create_partitions_request::CreatePartitionsTopic::default().with_assignments(Some(vec![
                    create_partitions_request::CreatePartitionsAssignment::default()
                        .with_broker_ids(vec![BrokerId(1), BrokerId(2)]);
                    2
                ])),
            ]),
            v,
        ),
        ApiKey::DeleteGroups => written(&DeleteGroupsRequest::default().with_groups_names(vec![group(); 2]), v),
        ApiKey::IncrementalAlterConfigs => written(
            &IncrementalAlterConfigsRequest::default().with_resources(vec![
                incremental_alter_configs_request::AlterConfigsResource::default()
                    .with_configs(vec![incremental_alter_configs_request::AlterableConfig::default(); 2]),
            ]),
            v,
        ),
        ApiKey::OffsetDelete => written(
            &OffsetDeleteRequest::default().with_topics(vec![
                offset_delete_request::OffsetDeleteRequestTopic::default()
                    .with_partitions(vec![offset_delete_request::OffsetDeleteRequestPartition::default(); 2]),
            ]),
            v,
        ),
        ApiKey::DescribeClientQuotas => written(
            &DescribeClientQuotasRequest::default()
                .with_components(vec![describe_client_quotas_request::ComponentData::default(); 2]),
            v,
        ),
        ApiKey::AlterClientQuotas => written(
            &AlterClientQuotasRequest::default().with_entries(vec![
                alter_client_quotas_request::EntryData::default()
                    .with_entity(vec![alter_client_quotas_request::EntityData::default(); 2])
                    .with_ops(vec![alter_client_quotas_request::OpData::default(); 2]),
            ]),
            v,
        ),
        ApiKey::DescribeCluster => written(&DescribeClusterRequest::default(), v),
        ApiKey::ConsumerGroupHeartbeat => written(
            &ConsumerGroupHeartbeatRequest::default()
                .with_subscribed_topic_names(Some(vec![topic(); 2]))
                .with_topic_partitions(Some(vec![
                    consumer_group_heartbeat_request::TopicPartitions::default()
                        .with_partitions(vec![1, 2]);
                    2
                ])),
            v,
        ),
        ApiKey::ConsumerGroupDescribe => {
            written(&ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(); 2]), v)
        }
        key => panic!("{key:?} has no example"),
    }
}

fn each(mut with: impl FnMut(&'static Api, i16, Bytes)) {
    for api in APIS {
        for version in (api.first..=api.last).filter(|version| api.takes(*version)) {
            with(api, version, full(api, version));
        }
    }
}

#[test]
fn requests_are_built_as_the_codec_builds_them() {
    each(|api, version, body| {
        assert_eq!(walk(api, &body, version), Ok(()), "{:?} {version}", api.key);
        assert!(crate::requests::readable(api, version, body), "{:?} {version}", api.key);
    });
}

#[test]
fn each_request_cut_is_refused_and_a_longer_one_read() {
    each(|api, version, body| {
        for length in 0..body.len() {
            assert!(walk(api, &body[..length], version).is_err(), "{:?} {version} of {length} bytes", api.key);
        }
        let longer = [&body[..], &[0]].concat();
        assert_eq!(walk(api, &longer, version), Ok(()), "{:?} {version}", api.key);
    });
}

#[test]
fn lengths_that_lie_are_refused() {
    let metadata = APIS.iter().find(|api| matches!(api.key, ApiKey::Metadata)).unwrap();
    // An array that says that it has more elements than there are bytes.
    for count in [1_000, i32::MAX, i32::MIN, -2] {
        let mut body = BytesMut::new();
        body.put_i32(count);
        assert_eq!(walk(metadata, &body, 0), Err(Broken::Length), "{count}");
    }
    // The same of variable size: the largest there is, and one that does not end.
    for count in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff; 6]] {
        assert_eq!(walk(metadata, count, 9), Err(Broken::Length));
    }
    // A text that is longer than a text can be.
    let mut body = BytesMut::new();
    body.put_i32(1);
    body.put_i16(i16::MAX);
    body.put_slice(&[b'x'; 100]);
    assert_eq!(walk(metadata, &body, 0), Err(Broken::Short));
}

#[test]
fn a_million_topics_are_too_many() {
    let metadata = APIS.iter().find(|api| matches!(api.key, ApiKey::Metadata)).unwrap();
    let of = |count: usize| {
        let mut body = BytesMut::new();
        body.put_i32(i32::try_from(count).unwrap());
        (0..count).for_each(|_| body.put_i16(0));
        walk(metadata, &body, 0)
    };
    assert_eq!(of(ELEMENTS_MAX), Ok(()));
    assert_eq!(of(ELEMENTS_MAX + 1), Err(Broken::TooMany));
    assert_eq!(of(1_000_000), Err(Broken::TooMany));
}

#[test]
fn arrays_in_arrays_count_together() {
    let offsets = APIS.iter().find(|api| matches!(api.key, ApiKey::DeleteRecords)).unwrap();
    let mut body = BytesMut::new();
    body.put_i32(1_000);
    for _ in 0..1_000 {
        body.put_i16(0);
        body.put_i32(100);
        body.put_slice(&[0; 1_200]);
    }
    body.put_i32(0);
    assert_eq!(walk(offsets, &body, 0), Err(Broken::TooMany));
}

/// As librdkafka 2.16 sends it: an array of no length takes one byte, and it leaves the room of four.
#[test]
fn a_request_for_all_topics_is_read_with_what_stands_behind_it() {
    let api = APIS.iter().find(|api| matches!(api.key, ApiKey::Metadata)).unwrap();
    let sent = [0, 0, 0, 0, 1, 0, 0];
    assert_eq!(walk(api, &sent, 13), Ok(()));
}
