//! Access control lists. There are none apart from what is granted in SQL, and clients are told so.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::Ask;

/// What Kafka answers where no lists are kept.
const CODE: i16 = ResponseError::SecurityDisabled.code();

const WHY: StrBytes = StrBytes::from_static_str("there are no access control lists here: rights are granted with SQL");

pub(super) async fn describe(_: &Ask, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse::default().with_error_code(CODE).with_error_message(Some(WHY))
}

pub(super) async fn create(_: &Ask, request: CreateAclsRequest) -> CreateAclsResponse {
    let refused = |_| AclCreationResult::default().with_error_code(CODE).with_error_message(Some(WHY));
    CreateAclsResponse::default().with_results(request.creations.iter().map(refused).collect())
}

pub(super) async fn delete(_: &Ask, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = |_| DeleteAclsFilterResult::default().with_error_code(CODE).with_error_message(Some(WHY));
    DeleteAclsResponse::default().with_filter_results(request.filters.iter().map(refused).collect())
}
