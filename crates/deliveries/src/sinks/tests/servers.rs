//! Endpoints, OpenSearch and Splunk, each as a small server that does what the real one does in bad hours.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use polder_capability::deliveries::{
    Compression, DeliveryTarget, HttpTarget, OpenSearchTarget, Rotation, SplunkTarget,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::super::Trouble;
use super::{records, rows_of, serve, sink, sink_that_tells};

/// What a server was asked.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

type Answering = dyn Fn(usize, &Asked) -> (StatusCode, Value) + Send + Sync;

#[derive(Clone)]
struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Answering>,
}

async fn answered(State(server): State<Server>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let asked = Asked { path: parts.uri.to_string(), headers: parts.headers, body };
    let mut all = server.asked.lock().await;
    let (status, answer) = (server.answer)(all.len(), &asked);
    all.push(asked);
    (status, answer.to_string())
}

/// Answers by the number of the request and what it says.
async fn server(answer: impl Fn(usize, &Asked) -> (StatusCode, Value) + Send + Sync + 'static) -> (String, Server) {
    let server = Server { asked: Arc::default(), answer: Arc::new(answer) };
    let router = Router::new().fallback(post(answered)).with_state(server.clone());
    (serve(router).await, server)
}

fn endpoint(url: &str, compression: Compression, retry_seconds: u64) -> DeliveryTarget {
    let attributes = BTreeMap::from([("env".to_owned(), "test".to_owned())]);
    DeliveryTarget::Http(HttpTarget { url: url.to_owned(), attributes, compression, retry_seconds })
}

fn unzipped(asked: &Asked) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*asked.body).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn taken_by_endpoint(body: &[u8]) -> (StatusCode, Value) {
    let body: Value = serde_json::from_slice(body).unwrap();
    (StatusCode::OK, json!({ "requestId": body["requestId"], "timestamp": 1 }))
}

#[tokio::test]
async fn an_endpoint_gets_firehose_requests_until_it_takes_them() {
    let (url, server) = server(|number, asked| match number {
        0 => (StatusCode::SERVICE_UNAVAILABLE, json!({ "requestId": "x", "timestamp": 1, "errorMessage": "later" })),
        // Somebody else answers.
        1 => (StatusCode::OK, json!({ "status": "ok" })),
        _ => (StatusCode::OK, json!({ "requestId": unzipped(asked)["requestId"], "timestamp": 1 })),
    })
    .await;
    let sink = sink(endpoint(&url, Compression::Gzip, 30), &[("access_key", "secret")]);
    let refused = sink.deliver(&records(&[Some(b"one"), None, Some(b"\xff")])).await.unwrap();
    assert!(refused.is_empty());
    let asked = server.asked.lock().await;
    assert_eq!(asked.len(), 3);
    let bodies: Vec<Value> = asked.iter().map(unzipped).collect();
    assert_eq!(bodies[2]["records"], json!([{ "data": BASE64.encode("one") }, { "data": BASE64.encode(b"\xff") }]));
    assert!(bodies[2]["timestamp"].is_i64());
    let header = |name: &str| asked[2].headers[name].to_str().unwrap();
    assert_eq!(header("x-amz-firehose-protocol-version"), "1.0");
    assert_eq!(header("x-amz-firehose-access-key"), "secret");
    assert_eq!(header("x-amz-firehose-common-attributes"), r#"{"commonAttributes":{"env":"test"}}"#);
    assert_eq!(header("x-amz-firehose-source-arn"), "arn:aws:firehose:us-east-1:000000000000:deliverystream/clicks");
    assert_eq!(header("content-type"), "application/json");
    for (one, body) in asked.iter().zip(&bodies) {
        // An endpoint knows by it what it has already.
        assert_eq!(one.headers["x-amz-firehose-request-id"].to_str().unwrap(), body["requestId"]);
        assert_eq!(body["requestId"], bodies[0]["requestId"]);
    }
}

#[tokio::test]
async fn each_try_is_told_with_the_next_one_until_there_is_none() {
    let (url, _server) = server(|number, asked| match number {
        1 => taken_by_endpoint(&asked.body),
        _ => (StatusCode::SERVICE_UNAVAILABLE, json!({ "message": "not now" })),
    })
    .await;
    for (retry_seconds, wanted) in [(30, vec![Some(true), None]), (0, vec![Some(false)])] {
        let all = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&all);
        let told = Arc::new(move |trouble: Option<Trouble>| seen.lock().unwrap().push(trouble));
        let sink = sink_that_tells(&endpoint(&url, Compression::None, retry_seconds), &[], told);
        let refused = sink.deliver(&records(&[Some(b"one")])).await.unwrap();
        let all = all.lock().unwrap();
        let has_next: Vec<_> = all.iter().map(|told| told.as_ref().map(|told| told.next_at.is_some())).collect();
        assert_eq!(has_next, wanted, "{all:?}");
        assert!(all.iter().flatten().all(|told| told.why.contains("not now")), "{all:?}");
        assert_eq!(refused.is_empty(), retry_seconds > 0);
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_less_gets_less() {
    let (url, server) = server(|_, asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let records = body["records"].as_array().unwrap();
        if records.len() > 2 || records.iter().any(|one| one["data"] == BASE64.encode("heavy")) {
            return (StatusCode::PAYLOAD_TOO_LARGE, json!({}));
        }
        taken_by_endpoint(&asked.body)
    })
    .await;
    let sink = sink(endpoint(&url, Compression::None, 30), &[]);
    let values: Vec<Option<&[u8]>> = vec![Some(b"0"), Some(b"1"), Some(b"heavy"), Some(b"3"), Some(b"4")];
    let refused = sink.deliver(&records(&values)).await.unwrap();
    assert_eq!(rows_of(&refused), [2]);
    let asked = server.asked.lock().await;
    let taken: Vec<Value> = asked.iter().map(|one| serde_json::from_slice(&one.body).unwrap()).collect();
    let ids: std::collections::BTreeSet<String> = taken.iter().map(|body| body["requestId"].to_string()).collect();
    // Those that hold other records are other requests.
    assert_eq!(ids.len(), asked.len(), "{ids:?}");
}

#[tokio::test]
async fn what_an_endpoint_never_takes_is_refused_with_its_reason() {
    let (url, _server) =
        server(|_, _| (StatusCode::FORBIDDEN, json!({ "requestId": "x", "errorMessage": "no key" }))).await;
    let sink = sink(endpoint(&url, Compression::None, 0), &[]);
    let refused = sink.deliver(&records(&[Some(b"one"), Some(b"two")])).await.unwrap();
    assert_eq!(rows_of(&refused), [0, 1]);
    assert!(refused[0].reason.contains("403") && refused[0].reason.contains("no key"), "{}", refused[0].reason);
    let nobody = super::sink(endpoint("http://127.0.0.1:1/?key=secret", Compression::None, 0), &[]);
    let refused = nobody.deliver(&records(&[Some(b"one")])).await.unwrap();
    assert!(
        refused[0].reason.contains("not reached") && !refused[0].reason.contains("secret"),
        "{}",
        refused[0].reason
    );
}

fn search(url: &str, retry_seconds: u64) -> DeliveryTarget {
    DeliveryTarget::OpenSearch(OpenSearchTarget {
        url: url.to_owned(),
        index: "clicks".to_owned(),
        rotation: Rotation::Day,
        user: Some("admin".to_owned()),
        retry_seconds,
    })
}

#[tokio::test]
async fn documents_are_sent_again_one_by_one() {
    let item = |status: u16| json!({ "index": { "status": status, "error": { "reason": format!("is {status}") } } });
    let (url, server) = server(move |number, _| match number {
        0 => (StatusCode::OK, json!({ "errors": true, "items": [item(201), item(429), item(400)] })),
        1 => (StatusCode::BAD_GATEWAY, json!("proxy")),
        _ => (StatusCode::OK, json!({ "errors": false, "items": [{ "index": { "status": 200 } }] })),
    })
    .await;
    let sink = sink(search(&url, 30), &[("password", "pw")]);
    let lot = records(&[Some(b"{\"a\":1}"), Some(b"{\"a\":\n2}"), Some(b"{\"a\":{}}"), Some(b"text"), Some(b"\xff")]);
    let refused = sink.deliver(&lot).await.unwrap();
    assert_eq!(rows_of(&refused), [2, 3, 4]);
    assert!(refused[0].reason.contains("is 400"), "{}", refused[0].reason);
    let asked = server.asked.lock().await;
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].path, "/_bulk");
    assert_eq!(asked[0].headers["authorization"], format!("Basic {}", BASE64.encode("admin:pw")));
    let lines: Vec<&str> = std::str::from_utf8(&asked[0].body).unwrap().lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0], r#"{"index":{"_index":"clicks-2026-11-28","_id":"page-3-100"}}"#);
    assert_eq!(lines[3], r#"{"a": 2}"#);
    let again = std::str::from_utf8(&asked[2].body).unwrap();
    assert_eq!(again, "{\"index\":{\"_index\":\"clicks-2026-11-28\",\"_id\":\"page-3-101\"}}\n{\"a\": 2}\n");
}

#[tokio::test]
async fn documents_that_find_no_time_are_refused() {
    let (url, _server) = server(|_, _| (StatusCode::OK, json!({ "items": [{ "index": { "status": 503 } }] }))).await;
    let refused = sink(search(&url, 0), &[]).deliver(&records(&[Some(b"{}")])).await.unwrap();
    assert_eq!(rows_of(&refused), [0]);
    let (url, _server) = self::server(|_, _| (StatusCode::OK, json!({ "items": [] }))).await;
    let refused = sink(search(&url, 0), &[]).deliver(&records(&[Some(b"{}")])).await.unwrap();
    assert!(refused[0].reason.contains("every document"), "{}", refused[0].reason);
}

fn splunk(url: &str, raw: bool) -> DeliveryTarget {
    DeliveryTarget::Splunk(SplunkTarget { url: url.to_owned(), raw, retry_seconds: 30 })
}

#[tokio::test]
async fn events_are_there_when_indexers_say_so() {
    let (url, server) = server(|number, asked| match number {
        0 => (StatusCode::SERVICE_UNAVAILABLE, json!({ "text": "Server is busy", "code": 9 })),
        1 => (StatusCode::BAD_REQUEST, json!({ "text": "Invalid data format", "code": 6, "invalid-event-number": 1 })),
        2 => (StatusCode::OK, json!({ "text": "Success", "code": 0, "ackId": 7 })),
        3 => (StatusCode::OK, json!({ "acks": { "7": false } })),
        _ => {
            assert!(asked.path.contains("/ack"), "{}", asked.path);
            (StatusCode::OK, json!({ "acks": { "7": true } }))
        }
    })
    .await;
    let sink = sink(splunk(&url, false), &[("token", "tok")]);
    let refused = sink.deliver(&records(&[Some(b"{\"a\":1}"), Some(b"bad"), Some(b"text"), Some(b"")])).await.unwrap();
    assert_eq!(rows_of(&refused), [1, 3]);
    let asked = server.asked.lock().await;
    assert_eq!(asked.len(), 5);
    assert!(asked[2].path.starts_with("/services/collector/event?channel="), "{}", asked[2].path);
    assert_eq!(asked[2].headers["authorization"], "Splunk tok");
    assert_eq!(asked[2].headers["x-splunk-request-channel"], asked[3].headers["x-splunk-request-channel"]);
    let events: Vec<Value> =
        std::str::from_utf8(&asked[2].body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        events,
        [
            json!({ "time": "1795835045.678", "source": "clicks", "sourcetype": "_json", "event": { "a": 1 } }),
            json!({ "time": "1795835045.678", "source": "clicks", "sourcetype": "_json", "event": "text" }),
        ]
    );
}

#[tokio::test]
async fn without_acknowledgement_an_answer_is_enough() {
    let (url, server) = server(|_, _| (StatusCode::OK, json!({ "text": "Success", "code": 0 }))).await;
    let refused = sink(splunk(&url, true), &[("token", "tok")]).deliver(&records(&[Some(b"a b"), Some(b"c")])).await;
    assert!(refused.unwrap().is_empty());
    let asked = server.asked.lock().await;
    assert!(asked[0].path.starts_with("/services/collector/raw?channel="), "{}", asked[0].path);
    assert_eq!(&*asked[0].body, b"a b\nc\n");
}
