//! Servers: endpoints of Firehose's own format, Splunk, OpenSearch.

use std::collections::BTreeMap;

use polder_capability::deliveries::{
    Compression, DeliveryTarget, HttpTarget, OpenSearchTarget, Rotation, SplunkTarget,
};

use super::{BUFFER_SECONDS, Plan, SPLUNK_SECONDS, backup, buffer, check_common, choice, retry_seconds, unsupported};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;

/// Seconds that a collector has to acknowledge, and no others.
const ACKNOWLEDGE: i64 = 180;

const ROTATIONS: [(&str, Rotation); 5] = [
    ("NoRotation", Rotation::None),
    ("OneHour", Rotation::Hour),
    ("OneDay", Rotation::Day),
    ("OneWeek", Rotation::Week),
    ("OneMonth", Rotation::Month),
];

/// An address; one that does not say how it is spoken to is spoken to by TLS.
fn url(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { format!("https://{text}") }
}

pub fn http(input: &Input<'_>) -> ApiResult<Plan> {
    input.only(&[
        "RoleARN",
        "EndpointConfiguration",
        "BufferingHints",
        "CloudWatchLoggingOptions",
        "RequestConfiguration",
        "ProcessingConfiguration",
        "RetryOptions",
        "S3BackupMode",
        "S3DestinationDescription",
    ])?;
    check_common(input)?;
    let endpoint = input.needs_part("EndpointConfiguration")?;
    endpoint.only(&["Url", "Name"])?;
    let (mut attributes, mut compression) = (BTreeMap::new(), Compression::None);
    if let Some(request) = input.part("RequestConfiguration")? {
        request.only(&["ContentEncoding", "CommonAttributes"])?;
        let all = [("NONE", Compression::None), ("GZIP", Compression::Gzip)];
        compression = choice(&request, "ContentEncoding", &all)?.unwrap_or_default();
        for attribute in request.list("CommonAttributes")?.unwrap_or_default() {
            let attribute = Input::of(attribute)?;
            attribute.only(&["AttributeName", "AttributeValue"])?;
            let name = attribute.needs_text("AttributeName")?.to_owned();
            attributes.insert(name, attribute.needs_text("AttributeValue")?.to_owned());
        }
    }
    let target = HttpTarget {
        url: url(endpoint.needs_text("Url")?),
        attributes,
        compression,
        retry_seconds: retry_seconds(input, 300)?,
    };
    let backup = backup(input, "FailedDataOnly", "AllData")?;
    Ok(Plan::new(DeliveryTarget::Http(target), backup, buffer(input, BUFFER_SECONDS)?))
}

pub fn splunk(input: &Input<'_>) -> ApiResult<Plan> {
    input.only(&[
        "HECEndpoint",
        "HECEndpointType",
        "HECAcknowledgmentTimeoutInSeconds",
        "BufferingHints",
        "CloudWatchLoggingOptions",
        "ProcessingConfiguration",
        "RetryOptions",
        "S3BackupMode",
        "S3DestinationDescription",
    ])?;
    check_common(input)?;
    if input.int("HECAcknowledgmentTimeoutInSeconds")?.is_some_and(|seconds| seconds != ACKNOWLEDGE) {
        let instead = format!("a collector has {ACKNOWLEDGE} seconds");
        return Err(unsupported("another HECAcknowledgmentTimeoutInSeconds", &instead));
    }
    let target = SplunkTarget {
        url: url(input.needs_text("HECEndpoint")?),
        raw: choice(input, "HECEndpointType", &[("Raw", true), ("Event", false)])?.unwrap_or(false),
        retry_seconds: retry_seconds(input, 3_600)?,
    };
    let backup = backup(input, "FailedEventsOnly", "AllEvents")?;
    Ok(Plan::new(DeliveryTarget::Splunk(target), backup, buffer(input, SPLUNK_SECONDS)?))
}

pub fn search(input: &Input<'_>) -> ApiResult<Plan> {
    input.only(&[
        "RoleARN",
        "DomainARN",
        "ClusterEndpoint",
        "IndexName",
        "TypeName",
        "IndexRotationPeriod",
        "DocumentIdOptions",
        "BufferingHints",
        "CloudWatchLoggingOptions",
        "ProcessingConfiguration",
        "RetryOptions",
        "S3BackupMode",
        "S3DestinationDescription",
    ])?;
    check_common(input)?;
    let Some(address) = input.text("ClusterEndpoint")? else {
        return Err(ApiError::argument(
            "ClusterEndpoint is needed: a DomainARN says no address, and AWS is not asked for it",
        ));
    };
    if input.text("DomainARN")?.is_some() {
        return Err(ApiError::argument("either ClusterEndpoint or DomainARN is given"));
    }
    if input.text("TypeName")?.is_some_and(|name| !name.is_empty()) {
        return Err(unsupported("TypeName", "indices have no types any more"));
    }
    if let Some(options) = input.part("DocumentIdOptions")? {
        options.only(&["DefaultDocumentIdFormat"])?;
        choice(&options, "DefaultDocumentIdFormat", &[("FIREHOSE_DEFAULT", ())])?;
    }
    let target = OpenSearchTarget {
        url: url(address),
        index: input.needs_text("IndexName")?.to_owned(),
        rotation: choice(input, "IndexRotationPeriod", &ROTATIONS)?.unwrap_or(Rotation::Day),
        user: None,
        retry_seconds: retry_seconds(input, 300)?,
    };
    let backup = backup(input, "FailedDocumentsOnly", "AllDocuments")?;
    Ok(Plan::new(DeliveryTarget::OpenSearch(target), backup, buffer(input, BUFFER_SECONDS)?))
}
