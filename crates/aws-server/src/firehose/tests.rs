//! Signed requests to the whole of it, with deliveries that lie in memory.

mod fakes;

use std::sync::Arc;

use polder_capability::deliveries::{DeliveryStart, DeliveryTarget};
use polder_door::Auth;

use self::fakes::{Fakes, People};
use crate::server::DeliveryContracts;
use crate::tests::{KEY, World, get, items, text};
use crate::value::Value;

const FIREHOSE: (&str, &str) = ("Firehose_20150804", "firehose");
const OTHER: (&str, &str) = ("OTHER", "secret");

struct Hoses {
    world: World,
    fakes: Arc<Fakes>,
}

impl Hoses {
    async fn new() -> Self {
        let fakes = Arc::new(Fakes::default());
        let contracts = DeliveryContracts { deliveries: Arc::clone(&fakes) as _, accounts: Arc::new(People) };
        Self { world: World::with(Auth::Password, Some(contracts)).await, fakes }
    }

    async fn call_as(&self, key: (&str, &str), operation: &str, input: &str) -> Result<Value, String> {
        self.world.call_to(FIREHOSE, key, operation, input).await
    }

    async fn call(&self, operation: &str, input: &str) -> Result<Value, String> {
        self.call_as(KEY, operation, input).await
    }

    async fn describe(&self, name: &str) -> Value {
        let told = self.call("DescribeDeliveryStream", &format!(r#"{{"DeliveryStreamName":"{name}"}}"#)).await.unwrap();
        get(&told, "DeliveryStreamDescription").clone()
    }
}

fn iceberg(name: &str) -> String {
    format!(
        r#"{{"DeliveryStreamName":"{name}","IcebergDestinationConfiguration":{{"RoleARN":"r","CatalogConfiguration":{{}},
        "DestinationTableConfigurationList":[{{"DestinationDatabaseName":"web","DestinationTableName":"views"}}],
        "S3Configuration":{{"BucketARN":"arn:aws:s3:::lake"}}}},"Tags":[{{"Key":"b","Value":"1"}},{{"Key":"a"}}]}}"#
    )
}

fn http(name: &str) -> String {
    format!(
        r#"{{"DeliveryStreamName":"{name}","HttpEndpointDestinationConfiguration":{{"EndpointConfiguration":{{
        "Url":"https://a","AccessKey":"sesame"}},"S3Configuration":{{"BucketARN":"arn:aws:s3:::lake"}}}}}}"#
    )
}

#[tokio::test]
async fn a_stream_is_a_delivery() {
    let hoses = Hoses::new().await;
    let made = hoses.call("CreateDeliveryStream", &iceberg("views")).await.unwrap();
    assert_eq!(text(&made, "DeliveryStreamARN"), "arn:aws:firehose:us-east-1:123456789012:deliverystream/views");
    let definition = hoses.fakes.definition("views");
    assert_eq!((definition.topic.as_str(), definition.owns_topic), ("firehose.views", true));
    assert_eq!((definition.owner.as_str(), definition.target.place().as_str()), ("polder", "web.views"));
    let put = hoses.call("PutRecord", r#"{"DeliveryStreamName":"views","Record":{"Data":"e30="}}"#).await.unwrap();
    assert!(text(&put, "RecordId").ends_with("0000") && *get(&put, "Encrypted") == Value::Bool(false));
    let records = r#"{"DeliveryStreamName":"views","Records":[{"Data":"MQ=="},{"Data":"Mg=="}]}"#;
    let put = hoses.call("PutRecordBatch", records).await.unwrap();
    assert_eq!((get(&put, "FailedPutCount"), items(&put, "RequestResponses").len()), (&Value::Int(0), 2));
    assert_eq!(hoses.fakes.offered("views"), ["{}", "1", "2"]);
    let told = hoses.describe("views").await;
    assert_eq!((text(&told, "VersionId"), text(&told, "DeliveryStreamType")), ("1", "DirectPut"));
    let [destination] = items(&told, "Destinations") else { panic!("{told:?}") };
    let iceberg = get(destination, "IcebergDestinationDescription");
    assert_eq!(items(iceberg, "DestinationTableConfigurationList").len(), 1);
    assert_eq!(text(get(iceberg, "S3DestinationDescription"), "BucketARN"), "arn:aws:s3:::lake");
    let tags = hoses.call("ListTagsForDeliveryStream", r#"{"DeliveryStreamName":"views","Limit":1}"#).await.unwrap();
    assert_eq!((text(&items(&tags, "Tags")[0], "Key"), get(&tags, "HasMoreTags")), ("b", &Value::Bool(true)));
    hoses.call("UntagDeliveryStream", r#"{"DeliveryStreamName":"views","TagKeys":["b"]}"#).await.unwrap();
    hoses
        .call("TagDeliveryStream", r#"{"DeliveryStreamName":"views","Tags":[{"Key":"c","Value":"3"}]}"#)
        .await
        .unwrap();
    let after = r#"{"DeliveryStreamName":"views","ExclusiveStartTagKey":"a"}"#;
    let tags = hoses.call("ListTagsForDeliveryStream", after).await.unwrap();
    assert_eq!(text(&items(&tags, "Tags")[0], "Value"), "3");
    hoses.call("DeleteDeliveryStream", r#"{"DeliveryStreamName":"views"}"#).await.unwrap();
    let gone = hoses.call("PutRecord", r#"{"DeliveryStreamName":"views","Record":{"Data":"e30="}}"#).await;
    assert_eq!(gone, Err("ResourceNotFoundException".to_owned()));
}

#[tokio::test]
async fn destinations_change_by_their_version_and_keep_their_secrets() {
    let hoses = Hoses::new().await;
    hoses.call("CreateDeliveryStream", &http("h")).await.unwrap();
    assert_eq!(hoses.fakes.secrets("h").get("access_key"), Some("sesame"));
    assert!(!hoses.fakes.definition("h").about.unwrap().to_string().contains("sesame"));
    let update = |version: &str, what: &str| {
        format!(
            r#"{{"DeliveryStreamName":"h","CurrentDeliveryStreamVersionId":"{version}",
            "DestinationId":"destinationId-000000000001",{what}}}"#
        )
    };
    let all = r#""HttpEndpointDestinationUpdate":{"S3BackupMode":"AllData","BufferingHints":{"IntervalInSeconds":7}}"#;
    hoses.call("UpdateDestination", &update("1", all)).await.unwrap();
    let stale = hoses.call("UpdateDestination", &update("1", all)).await;
    assert_eq!(stale, Err("ConcurrentModificationException".to_owned()));
    let definition = hoses.fakes.definition("h");
    assert_eq!((definition.buffer.seconds, definition.backup.unwrap().all), (7, true));
    assert_eq!(hoses.fakes.secrets("h").get("access_key"), Some("sesame"));
    let told = hoses.describe("h").await;
    assert_eq!(text(&told, "VersionId"), "2");
    // Another endpoint does not get the key of this one.
    let other = r#""HttpEndpointDestinationUpdate":{"EndpointConfiguration":{"Url":"https://b"}}"#;
    hoses.call("UpdateDestination", &update("2", other)).await.unwrap();
    let DeliveryTarget::Http(http) = hoses.fakes.definition("h").target else { panic!() };
    assert_eq!((http.url.as_str(), hoses.fakes.secrets("h").is_empty()), ("https://b", true));
    let kind = r#""S3DestinationUpdate":{"BucketARN":"arn:aws:s3:::lake"}"#;
    let code = hoses.call("UpdateDestination", &update("3", kind)).await;
    assert_eq!(code, Err("InvalidArgumentException".to_owned()));
    // What SQL changes is told too.
    hoses.fakes.with("h", |definition| definition.buffer.seconds = 3);
    let told = hoses.describe("h").await;
    let hints = get(get(&items(&told, "Destinations")[0], "HttpEndpointDestinationDescription"), "BufferingHints");
    assert_eq!(*get(hints, "IntervalInSeconds"), Value::Int(3));
}

#[tokio::test]
async fn topics_are_sources_and_what_sql_made_is_listed() {
    let hoses = Hoses::new().await;
    let with = |name: &str, source: &str| {
        format!(
            r#"{{"DeliveryStreamName":"{name}",{source},"S3DestinationConfiguration":{{"BucketARN":"arn:aws:s3:::lake"}}}}"#
        )
    };
    let kinesis = r#""DeliveryStreamType":"KinesisStreamAsSource","KinesisStreamSourceConfiguration":{"RoleARN":"r",
        "KinesisStreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/s"}"#;
    let kafka = r#""DeliveryStreamType":"MSKAsSource","MSKSourceConfiguration":{"MSKClusterARN":"c","TopicName":"t","ReadFromTimestamp":0,
        "AuthenticationConfiguration":{"RoleARN":"r","Connectivity":"PUBLIC"}}"#;
    hoses.call("CreateDeliveryStream", &with("k", kinesis)).await.unwrap();
    hoses.call("CreateDeliveryStream", &with("m", kafka)).await.unwrap();
    let (kinesis, kafka) = (hoses.fakes.definition("k"), hoses.fakes.definition("m"));
    assert_eq!((kinesis.topic.as_str(), kinesis.start, kinesis.owns_topic), ("s", DeliveryStart::Latest, false));
    assert_eq!((kafka.topic.as_str(), kafka.start), ("t", DeliveryStart::Earliest));
    let told = hoses.describe("m").await;
    assert_eq!(text(get(get(&told, "Source"), "MSKSourceDescription"), "TopicName"), "t");
    let put = hoses.call("PutRecord", r#"{"DeliveryStreamName":"k","Record":{"Data":""}}"#).await;
    assert_eq!(put, Err("InvalidArgumentException".to_owned()));
    hoses.fakes.made_by_sql("a", "polder");
    hoses.fakes.made_by_sql("b", "other");
    let list = async |key, input: &str| {
        let told = hoses.call_as(key, "ListDeliveryStreams", input).await.unwrap();
        (items(&told, "DeliveryStreamNames").to_vec(), *get(&told, "HasMoreDeliveryStreams") == Value::Bool(true))
    };
    assert_eq!(list(OTHER, "{}").await, (vec!["b".into()], false));
    assert_eq!(list(KEY, r#"{"Limit":2}"#).await, (vec!["a".into(), "b".into()], true));
    let rest = r#"{"DeliveryStreamType":"KinesisStreamAsSource","ExclusiveStartDeliveryStreamName":"a"}"#;
    assert_eq!(list(KEY, rest).await, (vec!["b".into(), "k".into()], false));
    let told = hoses.describe("a").await;
    assert_eq!(text(&told, "VersionId"), "1");
    assert_ne!(*get(&items(&told, "Destinations")[0], "IcebergDestinationDescription"), Value::Null);
    hoses.call("TagDeliveryStream", r#"{"DeliveryStreamName":"a","Tags":[{"Key":"c","Value":"3"}]}"#).await.unwrap();
    let update = r#"{"DeliveryStreamName":"a","CurrentDeliveryStreamVersionId":"1","DestinationId":"destinationId-000000000001",
        "IcebergDestinationUpdate":{"BufferingHints":{"IntervalInSeconds":7}}}"#;
    assert_eq!(hoses.call("UpdateDestination", update).await, Err("InvalidArgumentException".to_owned()));
}

#[tokio::test]
async fn refusals_are_firehoses_own() {
    let hoses = Hoses::new().await;
    hoses.call("CreateDeliveryStream", &http("mine")).await.unwrap();
    let named = |more: &str| format!(r#"{{"DeliveryStreamName":"mine"{more}}}"#);
    for operation in ["DescribeDeliveryStream", "DeleteDeliveryStream", "ListTagsForDeliveryStream"] {
        let code = hoses.call_as(OTHER, operation, &named("")).await;
        assert_eq!(code, Err("ResourceNotFoundException".to_owned()), "{operation}");
    }
    let put = r#"{"DeliveryStreamName":"mine","Record":{"Data":"e30="}}"#;
    assert_eq!(hoses.call_as(OTHER, "PutRecord", put).await, Err("ResourceNotFoundException".to_owned()));
    // Into the lake anybody may who has its rights, out of it only superusers.
    assert_eq!(hoses.call_as(OTHER, "CreateDeliveryStream", &http("x")).await, Err("AccessDeniedException".to_owned()));
    assert!(hoses.call_as(OTHER, "CreateDeliveryStream", &iceberg("x")).await.is_ok());
    let (none, large) = (r#"{"DeliveryStreamName":"x"}"#.to_owned(), "A".repeat(4 * ((1_000 << 10) / 3 + 1)));
    let many = format!(r#","Records":[{}{{"Data":""}}]"#, r#"{"Data":""},"#.repeat(500));
    let much = format!(r#"{{"Data":"{}"}}"#, "A".repeat(1_300_000));
    let batch = format!(r#","Records":[{much},{much},{much},{much},{much}]"#);
    let encrypt = r#","DeliveryStreamEncryptionConfigurationInput":{"KeyType":"AWS_OWNED_CMK"}"#;
    for (operation, input, code) in [
        ("Nothing", "{}".to_owned(), "UnknownOperationException"),
        ("CreateDeliveryStream", http("mine"), "ResourceInUseException"),
        ("CreateDeliveryStream", http("a b"), "ValidationException"),
        ("CreateDeliveryStream", http(&"a".repeat(65)), "ValidationException"),
        ("CreateDeliveryStream", none, "InvalidArgumentException"),
        (
            "CreateDeliveryStream",
            r#"{"DeliveryStreamName":"y","SnowflakeDestinationConfiguration":{}}"#.to_owned(),
            "InvalidArgumentException",
        ),
        (
            "CreateDeliveryStream",
            r#"{"DeliveryStreamName":"y","DeliveryStreamType":"KinesisStreamAsSource","S3DestinationConfiguration":{}}"#
                .to_owned(),
            "InvalidArgumentException",
        ),
        ("StartDeliveryStreamEncryption", named(encrypt), "InvalidKMSResourceException"),
        ("PutRecord", named(&format!(r#","Record":{{"Data":"{large}"}}"#)), "ValidationException"),
        ("PutRecordBatch", named(r#","Records":[]"#), "ValidationException"),
        ("PutRecordBatch", named(&many), "ValidationException"),
        ("PutRecordBatch", named(&batch), "InvalidArgumentException"),
        ("TagDeliveryStream", named(r#","Tags":[{"Key":"a!"}]"#), "ValidationException"),
        ("TagDeliveryStream", named(r#","Tags":[{"Key":"aws:a"}]"#), "InvalidArgumentException"),
        ("ListDeliveryStreams", r#"{"Limit":0}"#.to_owned(), "ValidationException"),
        ("DescribeDeliveryStream", named(r#","Odd":1"#), "ValidationException"),
    ] {
        let shown: String = input.chars().take(200).collect();
        assert_eq!(hoses.call(operation, &input).await, Err(code.to_owned()), "{operation} {shown}");
    }
    assert!(hoses.call("StopDeliveryStreamEncryption", &named("")).await.is_ok());
    let tags = |from: usize| {
        let tags: Vec<String> = (from..from + 30).map(|n| format!(r#"{{"Key":"k{n}"}}"#)).collect();
        named(&format!(r#","Tags":[{}]"#, tags.join(",")))
    };
    assert!(hoses.call("TagDeliveryStream", &tags(0)).await.is_ok());
    assert_eq!(hoses.call("TagDeliveryStream", &tags(30)).await, Err("LimitExceededException".to_owned()));
    for number in 0..48 {
        hoses.call("CreateDeliveryStream", &http(&format!("n{number}"))).await.unwrap();
    }
    assert_eq!(hoses.call("CreateDeliveryStream", &http("more")).await, Err("LimitExceededException".to_owned()));
    // Where nothing is delivered there is no Firehose.
    let without = World::with(Auth::Password, None).await;
    let code = without.call_to(FIREHOSE, KEY, "ListDeliveryStreams", "{}").await;
    assert_eq!(code, Err("UnknownOperationException".to_owned()));
}
