//! One file for each kind of request, and the one list of which goes where.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, BrokerId};
use kafka_protocol::protocol::{Decodable, StrBytes};
use parking_lot::Mutex;
use polder_capability::topics::{TopicClient, TopicPartition, TopicRef, Topics};
use uuid::Uuid;

use crate::apis::Api;
use crate::reply::{self, Reply};
use crate::server::House;

mod acls;
mod cluster;
mod commits;
mod configs;
mod consumers;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod operations;
mod produce;
mod quotas;
mod session;
mod topics;
mod transactions;

pub(crate) use cluster::{too_new, versions};

/// The one server there is.
pub(crate) const NODE: BrokerId = BrokerId(1);

/// Where clients are to come to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub host: String,
    pub port: i32,
}

/// A request's surroundings.
#[derive(Clone)]
pub(crate) struct Ask {
    pub house: Arc<House>,
    pub client: Arc<TopicClient>,
    pub here: Arc<Endpoint>,
    /// The connection's fetch session, if it has one: a client that comes again begins a new one.
    pub fetching: Arc<Mutex<Option<session::Session>>>,
    pub version: i16,
    pub correlation_id: i32,
}

impl Ask {
    pub(crate) fn topics(&self) -> &dyn Topics {
        self.house.contracts.topics.as_ref()
    }

    fn host(&self) -> StrBytes {
        StrBytes::from_string(self.here.host.clone())
    }
}

pub(crate) fn is_write(api: &Api) -> bool {
    matches!(api.key, ApiKey::Produce)
}

/// Reads a body and answers it by a function of the request.
macro_rules! by {
    ($ask:ident, $body:ident, $function:path) => {
        match decoded(&mut $body, $ask.version) {
            Ok(request) => {
                let response = $function(&$ask, request).await;
                reply::encoded($ask.correlation_id, $ask.version, &response, Duration::ZERO)
            }
            Err(why) => Reply::HangUp(why),
        }
    };
}

/// The same for a function that makes the whole reply.
macro_rules! whole {
    ($ask:ident, $body:ident, $function:path) => {
        match decoded(&mut $body, $ask.version) {
            Ok(request) => $function(&$ask, request).await,
            Err(why) => Reply::HangUp(why),
        }
    };
}

/// Answers a request of somebody who has logged in.
pub(crate) async fn answer(ask: Ask, api: &'static Api, mut body: Bytes) -> Reply {
    match api.key {
        ApiKey::Produce => whole!(ask, body, produce::produce),
        ApiKey::Fetch => whole!(ask, body, fetch::fetch),
        ApiKey::ApiVersions => versions(ask.version, ask.correlation_id),
        ApiKey::Metadata => by!(ask, body, metadata::metadata),
        ApiKey::DescribeCluster => by!(ask, body, cluster::describe),
        ApiKey::FindCoordinator => by!(ask, body, cluster::coordinator),
        ApiKey::SaslHandshake => by!(ask, body, cluster::handshake_again),
        ApiKey::SaslAuthenticate => by!(ask, body, cluster::authenticate_again),
        ApiKey::ListOffsets => by!(ask, body, offsets::list),
        ApiKey::OffsetForLeaderEpoch => by!(ask, body, offsets::of_epoch),
        ApiKey::DeleteRecords => by!(ask, body, offsets::delete_records),
        ApiKey::OffsetCommit => by!(ask, body, commits::commit),
        ApiKey::OffsetFetch => by!(ask, body, commits::fetch),
        ApiKey::OffsetDelete => by!(ask, body, commits::delete),
        _ => answer_rarer(ask, api, body).await,
    }
}

async fn answer_rarer(ask: Ask, api: &'static Api, mut body: Bytes) -> Reply {
    match api.key {
        ApiKey::JoinGroup => by!(ask, body, groups::join),
        ApiKey::SyncGroup => by!(ask, body, groups::sync),
        ApiKey::Heartbeat => by!(ask, body, groups::heartbeat),
        ApiKey::LeaveGroup => by!(ask, body, groups::leave),
        ApiKey::DescribeGroups => by!(ask, body, groups::describe),
        ApiKey::ListGroups => by!(ask, body, groups::list),
        ApiKey::DeleteGroups => by!(ask, body, groups::delete),
        ApiKey::ConsumerGroupHeartbeat => by!(ask, body, consumers::heartbeat),
        ApiKey::ConsumerGroupDescribe => by!(ask, body, consumers::describe),
        ApiKey::CreateTopics => by!(ask, body, topics::create),
        ApiKey::DeleteTopics => by!(ask, body, topics::delete),
        ApiKey::CreatePartitions => by!(ask, body, topics::add_partitions),
        ApiKey::DescribeConfigs => by!(ask, body, configs::describe),
        ApiKey::AlterConfigs => by!(ask, body, configs::replace),
        ApiKey::IncrementalAlterConfigs => by!(ask, body, configs::change),
        ApiKey::InitProducerId => by!(ask, body, transactions::init),
        ApiKey::AddPartitionsToTxn => by!(ask, body, transactions::add_partitions),
        ApiKey::AddOffsetsToTxn => by!(ask, body, transactions::add_group),
        ApiKey::TxnOffsetCommit => by!(ask, body, transactions::commit_offsets),
        ApiKey::EndTxn => by!(ask, body, transactions::end),
        ApiKey::DescribeAcls => by!(ask, body, acls::describe),
        ApiKey::CreateAcls => by!(ask, body, acls::create),
        ApiKey::DeleteAcls => by!(ask, body, acls::delete),
        ApiKey::DescribeClientQuotas => by!(ask, body, quotas::describe),
        ApiKey::AlterClientQuotas => by!(ask, body, quotas::change),
        key => Reply::HangUp(format!("{key:?} has no answer")),
    }
}

/// Whether the codec reads a body that has been walked over.
pub(crate) fn readable(api: &Api, version: i16, mut body: Bytes) -> bool {
    fn read<Q: Decodable>(body: &mut Bytes, version: i16) -> bool {
        Q::decode(body, version).is_ok()
    }
    let read = match api.key {
        ApiKey::Produce => read::<kafka_protocol::messages::ProduceRequest>,
        ApiKey::Fetch => read::<kafka_protocol::messages::FetchRequest>,
        ApiKey::Metadata => read::<kafka_protocol::messages::MetadataRequest>,
        ApiKey::DescribeCluster => read::<kafka_protocol::messages::DescribeClusterRequest>,
        ApiKey::FindCoordinator => read::<kafka_protocol::messages::FindCoordinatorRequest>,
        ApiKey::SaslHandshake => read::<kafka_protocol::messages::SaslHandshakeRequest>,
        ApiKey::SaslAuthenticate => read::<kafka_protocol::messages::SaslAuthenticateRequest>,
        ApiKey::ListOffsets => read::<kafka_protocol::messages::ListOffsetsRequest>,
        ApiKey::OffsetForLeaderEpoch => read::<kafka_protocol::messages::OffsetForLeaderEpochRequest>,
        ApiKey::DeleteRecords => read::<kafka_protocol::messages::DeleteRecordsRequest>,
        ApiKey::OffsetCommit => read::<kafka_protocol::messages::OffsetCommitRequest>,
        ApiKey::OffsetFetch => read::<kafka_protocol::messages::OffsetFetchRequest>,
        ApiKey::OffsetDelete => read::<kafka_protocol::messages::OffsetDeleteRequest>,
        ApiKey::JoinGroup => read::<kafka_protocol::messages::JoinGroupRequest>,
        ApiKey::SyncGroup => read::<kafka_protocol::messages::SyncGroupRequest>,
        ApiKey::Heartbeat => read::<kafka_protocol::messages::HeartbeatRequest>,
        ApiKey::LeaveGroup => read::<kafka_protocol::messages::LeaveGroupRequest>,
        ApiKey::DescribeGroups => read::<kafka_protocol::messages::DescribeGroupsRequest>,
        ApiKey::ListGroups => read::<kafka_protocol::messages::ListGroupsRequest>,
        ApiKey::DeleteGroups => read::<kafka_protocol::messages::DeleteGroupsRequest>,
        ApiKey::ConsumerGroupHeartbeat => read::<kafka_protocol::messages::ConsumerGroupHeartbeatRequest>,
        ApiKey::ConsumerGroupDescribe => read::<kafka_protocol::messages::ConsumerGroupDescribeRequest>,
        ApiKey::CreateTopics => read::<kafka_protocol::messages::CreateTopicsRequest>,
        ApiKey::DeleteTopics => read::<kafka_protocol::messages::DeleteTopicsRequest>,
        ApiKey::CreatePartitions => read::<kafka_protocol::messages::CreatePartitionsRequest>,
        ApiKey::DescribeConfigs => read::<kafka_protocol::messages::DescribeConfigsRequest>,
        ApiKey::AlterConfigs => read::<kafka_protocol::messages::AlterConfigsRequest>,
        ApiKey::IncrementalAlterConfigs => read::<kafka_protocol::messages::IncrementalAlterConfigsRequest>,
        ApiKey::InitProducerId => read::<kafka_protocol::messages::InitProducerIdRequest>,
        ApiKey::AddPartitionsToTxn => read::<kafka_protocol::messages::AddPartitionsToTxnRequest>,
        ApiKey::AddOffsetsToTxn => read::<kafka_protocol::messages::AddOffsetsToTxnRequest>,
        ApiKey::TxnOffsetCommit => read::<kafka_protocol::messages::TxnOffsetCommitRequest>,
        ApiKey::EndTxn => read::<kafka_protocol::messages::EndTxnRequest>,
        ApiKey::DescribeAcls => read::<kafka_protocol::messages::DescribeAclsRequest>,
        ApiKey::CreateAcls => read::<kafka_protocol::messages::CreateAclsRequest>,
        ApiKey::DeleteAcls => read::<kafka_protocol::messages::DeleteAclsRequest>,
        ApiKey::DescribeClientQuotas => read::<kafka_protocol::messages::DescribeClientQuotasRequest>,
        ApiKey::AlterClientQuotas => read::<kafka_protocol::messages::AlterClientQuotasRequest>,
        ApiKey::ApiVersions => read::<kafka_protocol::messages::ApiVersionsRequest>,
        _ => return false,
    };
    read(&mut body, version)
}

/// Reads a body that has been walked over.
fn decoded<Q: Decodable>(body: &mut Bytes, version: i16) -> Result<Q, String> {
    Q::decode(body, version).map_err(|error| error.to_string())
}

/// A time of the protocol, which may be negative: then it is none.
fn millis(time: i32) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}

/// A time for the protocol.
fn to_millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// An epoch of the protocol, where a negative number is none.
fn epoch(number: i32) -> Option<i32> {
    (number >= 0).then_some(number)
}

/// Each thing once, where it first comes: whoever names something often is told of it once.
fn once<T, K: Hash + Eq>(mut things: Vec<T>, name: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::with_capacity(things.len());
    things.retain(|thing| seen.insert(name(thing)));
    things
}

fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

fn partition(topic: &TopicRef, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.clone(), partition }
}

/// A topic by its name, or by its id in versions that have no names.
fn topic(name: &str, id: Uuid) -> TopicRef {
    if name.is_empty() && !id.is_nil() { TopicRef::Id(id) } else { TopicRef::named(name) }
}
