//! What is about the server itself.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{
    ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use polder_capability::topics::TopicThing;

use super::{Ask, NODE, operations, text};
use crate::apis::APIS;
use crate::reply::{self, Reply};

/// Brokers, of what DescribeCluster may ask for; the other is controllers.
const BROKERS: i8 = 1;

/// Keys of coordinators: of groups, and of transactions.
const COORDINATORS: [i8; 2] = [0, 1];

fn api_versions() -> ApiVersionsResponse {
    let versions = APIS.iter().map(|api| {
        ApiVersion::default().with_api_key(api.key as i16).with_min_version(api.first).with_max_version(api.last)
    });
    ApiVersionsResponse::default().with_api_keys(versions.collect())
}

/// Which requests are answered, in which versions.
pub(crate) fn versions(version: i16, correlation_id: i32) -> Reply {
    reply::encoded(correlation_id, version, &api_versions(), Duration::ZERO)
}

/// The same for a client that asks in a version of the future: in the oldest one, which every client reads.
pub(crate) fn too_new(correlation_id: i32) -> Reply {
    let response = api_versions().with_error_code(ResponseError::UnsupportedVersion.code());
    reply::encoded(correlation_id, 0, &response, Duration::ZERO)
}

pub(super) async fn describe(ask: &Ask, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let response = DescribeClusterResponse::default().with_cluster_id(text(ask.topics().cluster_id()));
    if ask.version >= 1 && request.endpoint_type != BROKERS {
        return response
            .with_error_code(ResponseError::UnsupportedEndpointType.code())
            .with_error_message(Some(text("there are no controllers apart from the server here")));
    }
    let broker = DescribeClusterBroker::default().with_broker_id(NODE).with_host(ask.host()).with_port(ask.here.port);
    let bits = request.include_cluster_authorized_operations.then(|| operations::of(ask, TopicThing::Server));
    response
        .with_controller_id(NODE)
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(bits.unwrap_or(operations::UNKNOWN))
}

pub(super) async fn coordinator(ask: &Ask, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if !COORDINATORS.contains(&request.key_type) {
        return FindCoordinatorResponse::default()
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_error_message(Some(text(format!("there are no coordinators of kind {}", request.key_type))));
    }
    FindCoordinatorResponse::default().with_node_id(NODE).with_host(ask.host()).with_port(ask.here.port)
}

/// Nobody logs in twice on one connection.
pub(super) async fn handshake_again(_: &Ask, _: SaslHandshakeRequest) -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ResponseError::IllegalSaslState.code())
}

pub(super) async fn authenticate_again(_: &Ask, _: SaslAuthenticateRequest) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::IllegalSaslState.code())
        .with_error_message(Some(text("this connection needs no login, or has one already")))
}
