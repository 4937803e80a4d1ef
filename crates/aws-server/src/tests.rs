//! Signed requests to the whole of it, on a real log.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use polder_capability::topics::{TopicClient, TopicRight, TopicRights, TopicThing};
use polder_capability::{Caller, Origin, SigningKeys, SigningRefusal};
use polder_door::Auth;
use polder_runtime::{Clock, ManualClock, Shutdown};
use polder_streaming::{Streaming, StreamingOptions};
use polder_topic_log::{Log, LogOptions};
use polder_types::Result;
use tempfile::TempDir;

use crate::cbor;
use crate::error::ACCOUNT;
use crate::request::answer;
use crate::server::{AwsContracts, DeliveryContracts, House};
use crate::signature::sign;
use crate::value::{Value, map, read_json, write_json};

pub const KEY: (&str, &str) = ("KEY", "secret");

/// `KEY` is the key of `polder`, `OTHER` that of somebody who may know of topics that begin with `open`, and no more.
struct People;

#[async_trait::async_trait]
impl SigningKeys for People {
    async fn signing_key(&self, id: &str) -> Result<Option<(String, String)>> {
        let user = match id {
            "KEY" => "polder",
            "OTHER" => "other",
            _ => return Ok(None),
        };
        Ok(Some((user.to_owned(), "secret".to_owned())))
    }

    fn signed(&self, _id: &str, _outcome: std::result::Result<&str, SigningRefusal>, _origin: Origin<'_>) {}
}

impl TopicRights for People {
    fn may(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool {
        let is_open = matches!(thing, TopicThing::Topic(name) if name.starts_with("open"));
        caller.user == "polder" || (right == TopicRight::Describe && is_open)
    }

    fn refused(&self, _client: &TopicClient, _right: TopicRight, _thing: TopicThing<'_>) {}
}

pub struct World {
    pub house: Arc<House>,
    clock: ManualClock,
    _dir: TempDir,
}

impl World {
    async fn new(auth: Auth) -> Self {
        Self::with(auth, None).await
    }

    pub async fn with(auth: Auth, deliveries: Option<DeliveryContracts>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(chrono::DateTime::from_timestamp_millis(1_800_000_000_000).unwrap());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let (log, _) = Log::open(dir.path(), LogOptions::default(), Arc::clone(&shared)).await.unwrap();
        let options = StreamingOptions::default();
        let topics = Streaming::open(log, options, Arc::new(People), Arc::clone(&shared)).await.unwrap();
        let shutdown = Shutdown::new();
        drop(topics.start(&shutdown));
        let contracts = AwsContracts { shards: Arc::new(topics), keys: Arc::new(People), deliveries, clock: shared };
        let house = House::new(contracts, auth, Duration::from_secs(5), shutdown);
        Self { house: Arc::new(house), clock, _dir: dir }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = answer(Arc::clone(&self.house), request, [127, 0, 0, 1].into()).await;
        assert!(response.headers().contains_key("x-amzn-requestid"));
        let status = response.status();
        (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    fn request(&self, key: (&str, &str), operation: &str, kind: &str, body: Vec<u8>) -> Request<Body> {
        self.request_to(("Kinesis_20131202", "kinesis"), key, operation, kind, body)
    }

    /// `service`: the name in targets, and what is signed.
    fn request_to(
        &self,
        service: (&str, &str),
        key: (&str, &str),
        operation: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Request<Body> {
        let request = Request::post("/")
            .header("host", "127.0.0.1:7466")
            .header("content-type", kind)
            .header("x-amz-target", format!("{}.{operation}", service.0));
        let mut parts = request.body(()).unwrap().into_parts().0;
        sign(&mut parts, &body, key, service.1, self.clock.now());
        Request::from_parts(parts, Body::from(body))
    }

    async fn call_as(&self, key: (&str, &str), operation: &str, input: &str) -> std::result::Result<Value, String> {
        self.call_to(("Kinesis_20131202", "kinesis"), key, operation, input).await
    }

    pub async fn call_to(
        &self,
        service: (&str, &str),
        key: (&str, &str),
        operation: &str,
        input: &str,
    ) -> std::result::Result<Value, String> {
        let body = input.as_bytes().to_vec();
        let request = self.request_to(service, key, operation, "application/x-amz-json-1.1", body);
        let (status, body) = self.send(request).await;
        let value = if body.is_empty() { map([]) } else { read_json(&body).unwrap() };
        if status == StatusCode::OK { Ok(value) } else { Err(text(&value, "__type").to_owned()) }
    }

    async fn call(&self, operation: &str, input: &str) -> std::result::Result<Value, String> {
        self.call_as(KEY, operation, input).await
    }
}

pub fn get<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Value::Map(members) = value else { panic!("{value:?}") };
    members.iter().find(|(member, _)| member == name).map_or(&Value::Null, |(_, value)| value)
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    let Value::Text(text) = get(value, name) else { panic!("{name}: {value:?}") };
    text
}

pub fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let Value::List(items) = get(value, name) else { panic!("{name}: {value:?}") };
    items
}

#[tokio::test]
async fn records_are_put_and_read() {
    let world = World::new(Auth::Password).await;
    world.call("CreateStream", r#"{"StreamName":"s","ShardCount":1}"#).await.unwrap();
    for data in ["aGVsbG8=", "d29ybGQ="] {
        let input = format!(r#"{{"StreamName":"s","PartitionKey":"k","Data":"{data}"}}"#);
        let put = world.call("PutRecord", &input).await.unwrap();
        assert_eq!(text(&put, "ShardId"), "shardId-000000000000");
    }
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s");
    let input =
        format!(r#"{{"StreamARN":"{arn}","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}}"#);
    let iterator = world.call("GetShardIterator", &input).await.unwrap();
    let input = format!(r#"{{"ShardIterator":"{}","Limit":1}}"#, text(&iterator, "ShardIterator"));
    let read = world.call("GetRecords", &input).await.unwrap();
    let [record] = items(&read, "Records") else { panic!("{read:?}") };
    assert_eq!((text(record, "Data"), text(record, "PartitionKey")), ("aGVsbG8=", "k"));
    // The same in the other form.
    let input = map([("ShardIterator", text(&read, "NextShardIterator").into())]);
    let request = world.request(KEY, "GetRecords", "application/x-amz-cbor-1.1", cbor::write(&input));
    let (status, body) = world.send(request).await;
    let read = cbor::read(&body).unwrap();
    assert_eq!(status, StatusCode::OK, "{read:?}");
    let [record] = items(&read, "Records") else { panic!("{read:?}") };
    assert_eq!(*get(record, "Data"), Value::Blob(b"world".to_vec()));
    assert_eq!(*get(record, "ApproximateArrivalTimestamp"), Value::Time(1_800_000_000_000));
    assert_eq!(*get(&read, "MillisBehindLatest"), Value::Int(0));
    world.clock.advance(chrono::TimeDelta::minutes(6));
    let expired = format!(r#"{{"ShardIterator":"{}"}}"#, text(&iterator, "ShardIterator"));
    assert_eq!(world.call("GetRecords", &expired).await, Err("ExpiredIteratorException".to_owned()));
}

/// The numbers of all shards that a filter lets through, page by page.
async fn listed(world: &World, filter: &str) -> Vec<String> {
    let (mut numbers, mut next) =
        (Vec::new(), format!(r#"{{"StreamName":"s","MaxResults":1,"ShardFilter":{filter}}}"#));
    loop {
        let page = world.call("ListShards", &next).await.unwrap();
        numbers.extend(
            items(&page, "Shards").iter().map(|shard| text(shard, "ShardId").replace("shardId-00000000000", "")),
        );
        if *get(&page, "NextToken") == Value::Null {
            return numbers;
        }
        next = format!(r#"{{"MaxResults":1,"NextToken":"{}"}}"#, text(&page, "NextToken"));
    }
}

#[tokio::test]
async fn shards_are_listed_by_when_they_were_open() {
    let world = World::new(Auth::Password).await;
    world.call("CreateStream", r#"{"StreamName":"s","ShardCount":2}"#).await.unwrap();
    world.clock.advance(chrono::TimeDelta::seconds(100));
    let split = r#"{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"9"}"#;
    world.call("SplitShard", split).await.unwrap();
    world.clock.advance(chrono::TimeDelta::seconds(100));
    let merge =
        r#"{"StreamName":"s","ShardToMerge":"shardId-000000000003","AdjacentShardToMerge":"shardId-000000000001"}"#;
    world.call("MergeShards", merge).await.unwrap();
    for (filter, expected) in [
        (r#"{"Type":"FROM_TRIM_HORIZON"}"#, &["0", "1", "2", "3", "4"][..]),
        (r#"{"Type":"AT_TRIM_HORIZON"}"#, &["0", "1"]),
        (r#"{"Type":"AT_LATEST"}"#, &["2", "4"]),
        (r#"{"Type":"AFTER_SHARD_ID","ShardId":"shardId-000000000001"}"#, &["2", "3", "4"]),
        (r#"{"Type":"AT_TIMESTAMP","Timestamp":1800000050}"#, &["0", "1"]),
        (r#"{"Type":"AT_TIMESTAMP","Timestamp":1800000150}"#, &["1", "2", "3"]),
        (r#"{"Type":"FROM_TIMESTAMP","Timestamp":1800000150}"#, &["1", "2", "3", "4"]),
    ] {
        assert_eq!(listed(&world, filter).await, expected, "{filter}");
    }
    // The first one's records are gone, and it with them: its children are the oldest now.
    world.clock.advance(chrono::TimeDelta::milliseconds(24 * 3_600_000 - 50_000));
    assert_eq!(listed(&world, r#"{"Type":"AT_TRIM_HORIZON"}"#).await, ["1", "2", "3"]);
    for wrong in [r#"{"Type":"AT_TIMESTAMP"}"#, r#"{"Type":"SOME"}"#] {
        let input = format!(r#"{{"StreamName":"s","ShardFilter":{wrong}}}"#);
        assert_eq!(world.call("ListShards", &input).await, Err("InvalidArgumentException".to_owned()));
    }
}

#[tokio::test]
async fn whoever_is_unknown_or_has_no_right_is_told_aws_own_codes() {
    let world = World::new(Auth::Password).await;
    for name in ["open", "closed"] {
        world.call("CreateStream", &format!(r#"{{"StreamName":"{name}","ShardCount":1}}"#)).await.unwrap();
    }
    let put = |name| format!(r#"{{"StreamName":"{name}","PartitionKey":"k","Data":""}}"#);
    let other = ("OTHER", "secret");
    let code = async |key, name| world.call_as(key, "PutRecord", &put(name)).await.unwrap_err();
    assert_eq!(code(other, "open").await, "AccessDeniedException");
    assert_eq!(code(other, "closed").await, "ResourceNotFoundException");
    assert_eq!(code(other, "nowhere").await, "ResourceNotFoundException");
    assert_eq!(code(("NOBODY", "secret"), "open").await, "UnrecognizedClientException");
    assert_eq!(code(("KEY", "wrong"), "open").await, "InvalidSignatureException");
    let seen = world.call_as(other, "ListStreams", "{}").await.unwrap();
    assert_eq!(items(&seen, "StreamNames"), [Value::from("open")]);
    let unsigned =
        || Request::post("/").header("x-amz-target", "Kinesis_20131202.ListStreams").body(Body::empty()).unwrap();
    let (status, body) = world.send(unsigned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(text(&read_json(&body).unwrap(), "__type"), "MissingAuthenticationTokenException");
    // Where everybody is let in, nobody has to sign.
    let trusting = World::new(Auth::Trust { user: "polder".to_owned() }).await;
    assert_eq!(trusting.send(unsigned()).await.0, StatusCode::OK);
    assert!(trusting.call_as(("NOBODY", "x"), "ListStreams", "").await.is_ok());
}

#[tokio::test]
async fn hostile_requests_are_errors() {
    let world = World::new(Auth::Password).await;
    world.call("CreateStream", r#"{"StreamName":"s","ShardCount":2}"#).await.unwrap();
    let deep = "[".repeat(1_000);
    for (operation, input, code) in [
        ("Nothing", "{}", "UnknownOperationException"),
        ("ListStreams", "[]", "SerializationException"),
        ("ListStreams", deep.as_str(), "SerializationException"),
        ("ListStreams", r#"{"Limit":0}"#, "ValidationException"),
        ("ListStreams", r#"{"Odd":1}"#, "ValidationException"),
        ("ListStreams", r#"{"NextToken":"x"}"#, "InvalidArgumentException"),
        ("CreateStream", r#"{"StreamName":"s","ShardCount":1}"#, "ResourceInUseException"),
        ("CreateStream", r#"{"StreamName":"t","ShardCount":100000}"#, "LimitExceededException"),
        ("CreateStream", r#"{"StreamName":"a/b","ShardCount":1}"#, "ValidationException"),
        ("PutRecord", r#"{"StreamName":"s","PartitionKey":"","Data":""}"#, "ValidationException"),
        ("PutRecord", r#"{"StreamName":"s","PartitionKey":"k","Data":"?"}"#, "SerializationException"),
        (
            "PutRecord",
            r#"{"StreamName":"s","PartitionKey":"k","Data":"","ExplicitHashKey":"x"}"#,
            "ValidationException",
        ),
        ("PutRecords", r#"{"StreamName":"s","Records":[]}"#, "ValidationException"),
        ("GetRecords", r#"{"ShardIterator":"x"}"#, "InvalidArgumentException"),
        (
            "UpdateShardCount",
            r#"{"StreamName":"s","TargetShardCount":10000,"ScalingType":"UNIFORM_SCALING"}"#,
            "InvalidArgumentException",
        ),
        ("StartStreamEncryption", r#"{"StreamName":"s","EncryptionType":"KMS","KeyId":"k"}"#, "KMSNotFoundException"),
        ("DescribeStream", r#"{"StreamARN":"arn:aws:kinesis:us-east-1:1:stream/s"}"#, "ResourceNotFoundException"),
    ] {
        assert_eq!(world.call(operation, input).await, Err(code.to_owned()), "{operation} {input}");
    }
    let large = Request::post("/")
        .header("x-amz-target", "Kinesis_20131202.ListStreams")
        .header("content-length", usize::MAX.to_string())
        .header("authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=e")
        .header("x-amz-date", "x")
        .body(Body::empty());
    assert_eq!(world.send(large.unwrap()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_room_of_an_answer_is_given_back_when_it_is_taken_or_left() {
    let world = World::new(Auth::Password).await;
    world.call("CreateStream", r#"{"StreamName":"s","ShardCount":1}"#).await.unwrap();
    let data = "AAAA".repeat(100_000);
    let input = format!(r#"{{"StreamName":"s","PartitionKey":"k","Data":"{data}"}}"#);
    world.call("PutRecord", &input).await.unwrap();
    let input = r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}"#;
    let iterator = world.call("GetShardIterator", input).await.unwrap();
    let input = format!(r#"{{"ShardIterator":"{}"}}"#, text(&iterator, "ShardIterator"));
    let answers = &world.house.answers;
    let all = answers.available_permits();
    let read = world.call("GetRecords", &input).await.unwrap();
    assert_eq!((text(&items(&read, "Records")[0], "Data"), answers.available_permits()), (data.as_str(), all));
    let request = world.request(KEY, "GetRecords", "application/x-amz-json-1.1", input.into_bytes());
    let response = answer(Arc::clone(&world.house), request, [127, 0, 0, 1].into()).await;
    assert!(answers.available_permits() < all - data.len() && answers.available_permits() > all / 2);
    drop(response);
    assert_eq!(answers.available_permits(), all);
}

#[tokio::test]
async fn a_subscription_ends_with_its_shard() {
    let world = World::new(Auth::Password).await;
    world.call("CreateStream", r#"{"StreamName":"s","ShardCount":1}"#).await.unwrap();
    world.call("PutRecord", r#"{"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8="}"#).await.unwrap();
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s");
    let input = format!(r#"{{"StreamARN":"{arn}","ConsumerName":"c"}}"#);
    let made = world.call("RegisterStreamConsumer", &input).await.unwrap();
    let consumer = text(get(&made, "Consumer"), "ConsumerARN");
    let half = (1_u128 << 127).to_string();
    let split = format!(r#"{{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"{half}"}}"#);
    world.call("SplitShard", &split).await.unwrap();
    let position = map([("Type", "TRIM_HORIZON".into())]);
    let input = map([
        ("ConsumerARN", consumer.into()),
        ("ShardId", "shardId-000000000000".into()),
        ("StartingPosition", position),
    ]);
    let request = world.request(KEY, "SubscribeToShard", "application/x-amz-json-1.1", write_json(&input));
    let (status, body) = world.send(request).await;
    let told = String::from_utf8_lossy(&body);
    assert_eq!(status, StatusCode::OK, "{told}");
    for part in ["initial-response", "SubscribeToShardEvent", "aGVsbG8=", "shardId-000000000002"] {
        assert!(told.contains(part), "{told}");
    }
    // The same in the other form.
    let request = world.request(KEY, "SubscribeToShard", "application/x-amz-cbor-1.1", cbor::write(&input));
    let (_, other) = world.send(request).await;
    let holds = |part: &[u8]| other.windows(part.len()).any(|bytes| bytes == part);
    assert!(holds(b"application/x-amz-cbor-1.1") && holds(b"DataEhello"), "{}", String::from_utf8_lossy(&other));
    let first = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
    let second = u32::from_be_bytes(body[first..first + 4].try_into().unwrap()) as usize;
    assert_eq!(first + second, body.len());
}
