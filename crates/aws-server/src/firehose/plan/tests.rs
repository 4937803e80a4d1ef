//! Configurations as they come, and what becomes of them.

use polder_capability::deliveries::{Compression, ObjectFormat, Rotation};

use super::*;
use crate::value::read_json;

fn planned(kind: Kind, json: &str) -> ApiResult<Plan> {
    plan("events", kind, &read_json(json.as_bytes())?)
}

fn refused(kind: Kind, json: &str) -> &'static str {
    planned(kind, json).unwrap_err().code
}

#[test]
fn buckets() {
    let plan = planned(
        Kind::ExtendedS3,
        r#"{"RoleARN":"r","BucketARN":"arn:aws:s3:::lake","Prefix":"raw/","CompressionFormat":"GZIP",
            "BufferingHints":{"SizeInMBs":2,"IntervalInSeconds":0},"S3BackupMode":"Enabled",
            "S3BackupDescription":{"BucketARN":"arn:aws:s3:::other"}}"#,
    )
    .unwrap();
    assert_eq!(plan.buffer, Buffer { bytes: 2 << 20, seconds: 1 });
    let DeliveryTarget::Objects(objects) = plan.target else { panic!("{plan:?}") };
    assert_eq!((objects.url.as_str(), objects.format), ("s3://lake", ObjectFormat::Raw));
    assert_eq!(objects.prefix.as_deref(), Some("raw/!{timestamp:yyyy/MM/dd/HH}/"));
    assert_eq!((objects.compression, plan.backup.unwrap().all), (Compression::Gzip, true));
    let parquet = r#"{"BucketARN":"arn:aws:s3:::lake","DataFormatConversionConfiguration":{
        "OutputFormatConfiguration":{"Serializer":{"ParquetSerDe":{}}}}}"#;
    let DeliveryTarget::Objects(objects) = planned(Kind::ExtendedS3, parquet).unwrap().target else { panic!() };
    assert_eq!((objects.format, objects.compression), (ObjectFormat::Parquet, Compression::Snappy));
    assert_eq!(refused(Kind::S3, parquet), "ValidationException");
    for wrong in ["x", "arn:aws:s3:::", "arn:aws:s3:::A", "arn:aws:sqs:::lake", "arn:aws:s3:::../lake"] {
        assert_eq!(refused(Kind::S3, &format!(r#"{{"BucketARN":"{wrong}"}}"#)), "ValidationException", "{wrong}");
    }
    let asks = |more: &str| refused(Kind::ExtendedS3, &format!(r#"{{"BucketARN":"arn:aws:s3:::lake",{more}}}"#));
    assert_eq!(asks(r#""ProcessingConfiguration":{"Enabled":true}"#), "InvalidArgumentException");
    assert_eq!(asks(r#""DynamicPartitioningConfiguration":{"Enabled":true}"#), "InvalidArgumentException");
    assert_eq!(asks(r#""S3BackupMode":"Enabled""#), "InvalidArgumentException");
    assert_eq!(asks(r#""FileExtension":".json""#), "ValidationException");
    assert_eq!(asks(r#""BufferingHints":{"SizeInMBs":129}"#), "ValidationException");
    assert_eq!(asks(r#""EncryptionConfiguration":{"KMSEncryptionConfig":{}}"#), "ValidationException");
}

#[test]
fn tables() {
    let beside = r#""S3DestinationDescription":{"BucketARN":"arn:aws:s3:::lake"}"#;
    let plan = planned(
        Kind::Iceberg,
        &format!(
            r#"{{"RoleARN":"r","CatalogConfiguration":{{"CatalogARN":"c"}},"S3BackupMode":"FailedDataOnly",{beside},
            "DestinationTableConfigurationList":[{{"DestinationDatabaseName":"web","DestinationTableName":"views",
            "PartitionSpec":{{"Identity":[{{"SourceName":"a\"b"}}]}}}}]}}"#
        ),
    )
    .unwrap();
    let table = |schema: &str, name: &str| TableTarget { schema: schema.to_owned(), name: name.to_owned() };
    assert_eq!(plan.target, DeliveryTarget::Table(table("web", "views")));
    // What fails is in a table, and the bucket is left alone.
    assert_eq!((plan.backup, plan.partition_by), (None, vec!["\"a\"\"b\"".to_owned()]));
    let plan = planned(Kind::Iceberg, &format!(r#"{{"S3BackupMode":"AllData",{beside}}}"#)).unwrap();
    assert_eq!((plan.target, plan.backup.unwrap().all), (DeliveryTarget::Table(table("public", "events")), true));
    for more in [
        r#""DestinationTableConfigurationList":[{"DestinationDatabaseName":"a","DestinationTableName":"b","UniqueKeys":["id"]}]"#,
        r#""SchemaEvolutionConfiguration":{"Enabled":false}"#,
        r#""S3BackupMode":"AllData""#,
    ] {
        assert_eq!(refused(Kind::Iceberg, &format!("{{{more}}}")), "InvalidArgumentException", "{more}");
    }
    assert_eq!(refused(Kind::Iceberg, r#"{"RetryOptions":{"DurationInSeconds":1}}"#), "ValidationException");
}

#[test]
fn servers() {
    let beside = r#""S3DestinationDescription":{"BucketARN":"arn:aws:s3:::lake","Prefix":"p/"}"#;
    let plan = planned(
        Kind::HttpEndpoint,
        &format!(
            r#"{{"EndpointConfiguration":{{"Url":"example.com/in"}},"RetryOptions":{{"DurationInSeconds":9}},"S3BackupMode":
            "FailedDataOnly",{beside},"RequestConfiguration":{{"ContentEncoding":"GZIP","CommonAttributes":[{{"AttributeName":"a",
            "AttributeValue":"b"}}]}}}}"#
        ),
    )
    .unwrap();
    let backup = plan.backup.unwrap();
    assert_eq!(
        backup.objects.error_prefix.as_deref(),
        Some("p/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/")
    );
    let DeliveryTarget::Http(http) = plan.target else { panic!() };
    assert_eq!(
        (http.url.as_str(), http.retry_seconds, http.attributes["a"].as_str()),
        ("https://example.com/in", 9, "b")
    );
    let plan = planned(Kind::Splunk, r#"{"HECEndpoint":"http://s:8088","HECEndpointType":"Raw"}"#).unwrap();
    assert_eq!(plan.buffer.seconds, 60);
    let DeliveryTarget::Splunk(splunk) = plan.target else { panic!() };
    assert!(splunk.raw && splunk.retry_seconds == 3_600);
    let text = r#"{"ClusterEndpoint":"http://o:9200","IndexName":"i","IndexRotationPeriod":"OneWeek"}"#;
    let DeliveryTarget::OpenSearch(search) = planned(Kind::Elasticsearch, text).unwrap().target else { panic!() };
    assert_eq!((search.rotation, search.index.as_str()), (Rotation::Week, "i"));
    let domain = r#"{"DomainARN":"arn:aws:es:::domain/d","IndexName":"i"}"#;
    assert_eq!(refused(Kind::Amazonopensearchservice, domain), "InvalidArgumentException");
    assert_eq!(
        refused(Kind::Splunk, r#"{"HECEndpoint":"s","HECAcknowledgmentTimeoutInSeconds":1}"#),
        "InvalidArgumentException"
    );
    assert_eq!(refused(Kind::HttpEndpoint, r#"{"EndpointConfiguration":{"Url":"u","Odd":1}}"#), "ValidationException");
}
