//! A bucket, as a small server that speaks as much of S3's protocol as is needed to put objects.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::Duration;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polder_capability::deliveries::{
    Backup, Compression, DeliveryDefinition, DeliveryTarget, ObjectFormat, ObjectsTarget, RejectedRecord, Secrets,
};
use polder_runtime::SystemClock;
use polder_types::ErrorKind;
use tokio::sync::Mutex;

use super::{Sink, Sinks, records, rows_of, serve, sink, time, transformed};

type Parts = BTreeMap<u32, Bytes>;

#[derive(Debug, Default)]
struct Stored {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, Parts>,
    aborted: usize,
    /// Answers to the next requests, before they are done.
    failures: Vec<StatusCode>,
    authorization: String,
}

type Bucket = Arc<Mutex<Stored>>;

async fn answer(State(bucket): State<Bucket>, request: Request) -> (StatusCode, HeaderMap, String) {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut bucket = bucket.lock().await;
    bucket.authorization = head.headers["authorization"].to_str().unwrap().to_owned();
    let mut headers = HeaderMap::new();
    headers.insert("etag", "\"1\"".parse().unwrap());
    if let Some(status) = bucket.failures.pop() {
        return (status, headers, "<Error><Code>SlowDown</Code></Error>".to_owned());
    }
    let key = head.uri.path().replace("%3D", "=");
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let text = match (head.method, query.get("partNumber")) {
        (Method::PUT, Some(number)) => {
            bucket.uploads.entry(key).or_default().insert(number.parse().unwrap(), body);
            String::new()
        }
        (Method::PUT, None) => {
            bucket.objects.insert(key, body.to_vec());
            String::new()
        }
        (Method::POST, _) if query.contains_key("uploads") => {
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".to_owned()
        }
        (Method::POST, _) => {
            let parts = bucket.uploads.remove(&key).unwrap();
            bucket.objects.insert(key, parts.into_values().flatten().collect());
            "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>".to_owned()
        }
        _ => {
            bucket.aborted += 1;
            String::new()
        }
    };
    (StatusCode::OK, headers, text)
}

async fn bucket() -> (String, Bucket) {
    let bucket = Bucket::default();
    (serve(Router::new().fallback(answer).with_state(Arc::clone(&bucket))).await, bucket)
}

fn target(endpoint: &str, format: ObjectFormat, compression: Compression, prefix: Option<&str>) -> ObjectsTarget {
    ObjectsTarget {
        url: "s3://lake/clicks".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: None,
        format,
        compression,
        prefix: prefix.map(ToOwned::to_owned),
        error_prefix: Some("wrong/!{firehose:error-output-type}/!{timestamp:yyyy}/".to_owned()),
    }
}

fn open(target: ObjectsTarget) -> Arc<dyn Sink> {
    sink(DeliveryTarget::Objects(target), &[("access_key_id", "AKID"), ("secret_access_key", "secret")])
}

const NAME: &str = "clicks-2026-11-28-03-04-05-00000000000000000000000000000abc";

#[tokio::test]
async fn a_lot_is_an_object_of_lines() {
    let (endpoint, bucket) = bucket().await;
    let sink = open(target(&endpoint, ObjectFormat::JsonLines, Compression::Gzip, None));
    let lot = records(&[Some(b"{\"a\":\n1}"), None, Some(b"\xff"), Some(b"text")]);
    for _ in 0..2 {
        assert_eq!(rows_of(&sink.deliver(&lot).await.unwrap()), [2]);
    }
    let bucket = bucket.lock().await;
    // Sent again it is the same object.
    let (key, bytes) = bucket.objects.first_key_value().unwrap();
    assert_eq!((bucket.objects.len(), key), (1, &format!("/lake/clicks/2026/11/28/03/{NAME}.json.gz")));
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "{\"a\": 1}\n\"text\"\n");
    assert!(bucket.authorization.contains("Credential=AKID/"), "{}", bucket.authorization);
}

#[tokio::test]
async fn a_lot_is_divided_by_columns_of_its_prefix() {
    let (endpoint, bucket) = bucket().await;
    let prefix = "c=!{partitionKeyFromQuery:c}/!{timestamp:yyyy}-!{firehose:random-string}-";
    let sink = open(target(&endpoint, ObjectFormat::Parquet, Compression::Zstd, Some(prefix)));
    let refused = sink.deliver(&transformed(&[Some("b"), Some("a"), None, Some("../b"), Some("b"), Some("")])).await;
    assert_eq!(rows_of(&refused.unwrap()), [2, 5]);
    let bucket = bucket.lock().await;
    let keys: Vec<&str> = bucket.objects.keys().map(String::as_str).collect();
    let key = |c: &str| format!("/lake/clicks/c={c}/2026-00000000abc-{NAME}.parquet");
    assert_eq!(keys, [key("../b"), key("a"), key("b")]);
    let read = |key: String| {
        let bytes = Bytes::from(bucket.objects[&key].clone());
        let batches = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>()
    };
    assert_eq!((read(key("a")), read(key("b"))), (1, 2));
    drop(bucket);
    let unknown = target(&endpoint, ObjectFormat::Raw, Compression::None, Some("!{partitionKeyFromQuery:x}/"));
    let error = open(unknown).deliver(&transformed(&[Some("a")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_large_object_is_sent_in_parts_and_passing_failures_are_tried_again() {
    let (endpoint, bucket) = bucket().await;
    let sink = open(target(&endpoint, ObjectFormat::Raw, Compression::None, Some("")));
    let value: Vec<u8> = (0..40_u32 << 20).map(|place| (place % 251) as u8).collect();
    bucket.lock().await.failures = vec![StatusCode::SERVICE_UNAVAILABLE];
    assert!(sink.deliver(&records(&[Some(&value)])).await.unwrap().is_empty());
    let mut bucket = bucket.lock().await;
    assert_eq!(bucket.objects.get(&format!("/lake/clicks/{NAME}")), Some(&value));
    bucket.failures = vec![StatusCode::FORBIDDEN];
    drop(bucket);
    assert_eq!(sink.deliver(&records(&[Some(b"x")])).await.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn every_way_to_pack_can_be_undone() {
    let (endpoint, bucket) = bucket().await;
    let value = b"some text ".repeat(100_000);
    for compression in [Compression::Zip, Compression::Snappy, Compression::HadoopSnappy, Compression::Zstd] {
        let sink = open(target(&endpoint, ObjectFormat::Raw, compression, Some("")));
        assert!(sink.deliver(&records(&[Some(&value)])).await.unwrap().is_empty());
        let (_, bytes) = bucket.lock().await.objects.pop_first().unwrap();
        assert!(bytes.len() < value.len() / 2, "{compression:?}");
        let mut unpacked = Vec::new();
        match compression {
            Compression::Zip => {
                let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
                archive.by_index(0).unwrap().read_to_end(&mut unpacked).unwrap();
            }
            Compression::Snappy => {
                snap::read::FrameDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
            }
            Compression::Zstd => unpacked = zstd::stream::decode_all(bytes.as_slice()).unwrap(),
            _ => {
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
                    let (plain, packed) = (number(0), number(4));
                    let block = snap::raw::Decoder::new().decompress_vec(&rest[8..8 + packed]).unwrap();
                    assert_eq!(block.len(), plain);
                    unpacked.extend(block);
                    rest = &rest[8 + packed..];
                }
            }
        }
        assert_eq!(unpacked, value, "{compression:?}");
    }
}

#[tokio::test]
async fn rejected_records_are_kept_beside_and_backups_have_keys_of_their_own() {
    let (endpoint, bucket) = bucket().await;
    let objects = target(&endpoint, ObjectFormat::Raw, Compression::None, Some("all/"));
    let sinks = Sinks::new(Arc::new(SystemClock), Arc::new(|| [7; 16]));
    let backup = Backup { objects: objects.clone(), all: true };
    let secrets = [("backup_access_key_id", "OTHER"), ("backup_secret_access_key", "secret")];
    let secrets = Secrets(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    sinks.open_backup(&backup, &secrets).unwrap().deliver(&records(&[Some(b"a"), Some(b"b")])).await.unwrap();
    assert_eq!(bucket.lock().await.objects[&format!("/lake/clicks/all/{NAME}")], b"ab");
    assert!(bucket.lock().await.authorization.contains("Credential=OTHER/"));
    let rejected = |offset| RejectedRecord {
        topic: "page".to_owned(),
        partition: 1,
        offset,
        timestamp: 5,
        key: None,
        value: Some(Bytes::from_static(b"\xff")),
        headers: None,
        reason: "it is wrong".to_owned(),
        at: time() + Duration::days(365),
    };
    let sink = open(objects);
    sink.keep_rejected("clicks", &[rejected(7), rejected(8)]).await.unwrap();
    sink.keep_rejected("clicks", &[]).await.unwrap();
    let bucket = bucket.lock().await;
    let (key, bytes) = bucket.objects.last_key_value().unwrap();
    assert!(key.starts_with("/lake/clicks/wrong/processing-failed/2027/clicks-2027-11-28-"), "{key}");
    let lines: Vec<serde_json::Value> =
        std::str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["offset"]), (2, &serde_json::json!(8)));
    assert_eq!(lines[0]["errorMessage"], "it is wrong");
    assert_eq!(lines[0]["rawData"], BASE64.encode(b"\xff"));
    assert_eq!(bucket.objects.len(), 2);
}

#[test]
fn prefixes_name_columns_that_there_are() {
    let to = |prefix: &str| target("http://127.0.0.1:1", ObjectFormat::Raw, Compression::None, Some(prefix));
    let mut definition = DeliveryDefinition::new(
        "clicks",
        "polder",
        "page",
        DeliveryTarget::Objects(to("!{partitionKeyFromQuery:page}/!{timestamp:yyyy}/")),
    );
    let check = |definition: &DeliveryDefinition, columns: &[&str]| {
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        super::super::check_columns(definition, &columns).map_err(|error| error.code())
    };
    assert_eq!(check(&definition, &["id", "page"]), Ok(()));
    assert_eq!(check(&definition, &["id", "Page"]), Err("42703"));
    // The records go there as they came.
    definition.backup = Some(Backup { objects: to("!{partitionKeyFromQuery:key}/"), all: true });
    assert_eq!(check(&definition, &["page"]), Ok(()));
    definition.backup = Some(Backup { objects: to("!{partitionKeyFromQuery:page}/"), all: true });
    assert_eq!(check(&definition, &["page"]), Err("42703"));
}

#[test]
fn targets_that_cannot_be_are_refused() {
    let sinks = Sinks::new(Arc::new(SystemClock), Arc::new(|| [7; 16]));
    let both = [("access_key_id", "a"), ("secret_access_key", "b")];
    let kind = |change: &dyn Fn(&mut ObjectsTarget), secrets: &[(&str, &str)]| {
        let mut target = target("http://127.0.0.1:1", ObjectFormat::Parquet, Compression::None, None);
        change(&mut target);
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        sinks
            .open(&DeliveryTarget::Objects(target), &Secrets(secrets), Arc::new(|_| {}))
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    assert_eq!(kind(&|_| {}, &both), Ok(()));
    assert_eq!(kind(&|target| target.url = "file:///tmp".to_owned(), &both), Err(ErrorKind::Unsupported));
    let changes: [&dyn Fn(&mut ObjectsTarget); 4] = [
        &|target| target.url = "s3://".to_owned(),
        &|target| target.compression = Compression::Zip,
        &|target| target.prefix = Some("!{nothing}".to_owned()),
        &|target| target.endpoint = Some("ftp://127.0.0.1".to_owned()),
    ];
    for change in changes {
        assert_eq!(kind(change, &both), Err(ErrorKind::InvalidInput));
    }
    // The server's own key is not sent wherever somebody likes.
    assert_eq!(kind(&|_| {}, &[]), Err(ErrorKind::InvalidInput));
    assert_eq!(kind(&|_| {}, &both[..1]), Err(ErrorKind::InvalidInput));
}
