use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use polder_types::QueryId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, error, eventually, header};

#[tokio::test]
async fn every_answer_has_its_headers() {
    let server = Server::logged_in().await;
    let mut ids = BTreeSet::new();
    for path in ["/", "/healthz", "/api/v1/me", "/api/v1/nothing", "/metrics", "/missing.js"] {
        let response = server.bare(Method::GET, path).send().await.unwrap();
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'self'; style-src 'self' 'unsafe-inline';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "referrer-policy"), "same-origin");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        assert!(ids.insert(header(&response, "x-request-id").to_owned()), "{path}");
    }
    let preflight = server.bare(Method::OPTIONS, "/api/v1/statements").header("origin", "http://evil.example");
    let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
    assert!(!preflight.status().is_success());
}

#[tokio::test]
async fn health_and_metrics() {
    let server = Server::logged_in().await;
    let response = server.bare(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!((response.status(), response.text().await.unwrap().as_str()), (StatusCode::OK, "ok"));

    let id = Uuid::new_v4();
    let slow = server.run(json!({"sql": "slow", "query_id": id})).await;
    let response = server.bare(Method::GET, "/metrics").send().await.unwrap();
    assert!(header(&response, "content-type").starts_with("text/plain; version=0.0.4"));
    let text = response.text().await.unwrap();
    for line in [
        "polder_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
        "polder_http_requests_total{method=\"POST\",route=\"/api/v1/statements\",status=\"200\"} 1",
        "polder_http_requests_in_flight 2",
        "polder_statements_running 1",
        "polder_loads_running 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes "));
    drop(slow);
    eventually("cancelled", || server.sql.was_cancelled(QueryId(id))).await;

    // Through a proxy on this computer anybody may come.
    let proxied = || server.bare(Method::GET, "/metrics").header("x-forwarded-for", "203.0.113.9");
    error(proxied().send().await.unwrap(), 401, "unauthenticated").await;
    assert_eq!(proxied().header("cookie", server.cookie()).send().await.unwrap().status(), StatusCode::OK);
}

/// What `GET` and so on the document and the server must have, no more and no less.
const ROUTES: [&str; 59] = [
    "delete /api/v1/deliveries/{name}",
    "delete /api/v1/groups/{name}",
    "delete /api/v1/jobs/{name}",
    "delete /api/v1/loads/{id}",
    "delete /api/v1/queries/{id}",
    "delete /api/v1/runs/{id}",
    "delete /api/v1/saved-queries/{id}",
    "delete /api/v1/sessions/{id}",
    "delete /api/v1/tokens/{id}",
    "delete /api/v1/topics/{name}",
    "get /api/v1/catalog",
    "get /api/v1/catalog/{schema}/{table}",
    "get /api/v1/catalog/{schema}/{table}/history",
    "get /api/v1/catalog/{schema}/{table}/profile",
    "get /api/v1/deliveries",
    "get /api/v1/deliveries/{name}",
    "get /api/v1/groups",
    "get /api/v1/groups/{name}",
    "get /api/v1/jobs",
    "get /api/v1/jobs/{name}",
    "get /api/v1/loads/{id}",
    "get /api/v1/me",
    "get /api/v1/openapi.json",
    "get /api/v1/queries",
    "get /api/v1/queries/{id}",
    "get /api/v1/running",
    "get /api/v1/runs",
    "get /api/v1/runs/{id}",
    "get /api/v1/runs/{id}/log",
    "get /api/v1/saved-queries",
    "get /api/v1/tokens",
    "get /api/v1/topics",
    "get /api/v1/topics/{name}",
    "get /api/v1/topics/{name}/messages",
    "get /api/v1/topics/{name}/messages/{partition}/{offset}",
    "get /api/v1/topics/{name}/tail",
    "get /healthz",
    "get /login",
    "get /metrics",
    "post /api/v1/deliveries/{name}/pause",
    "post /api/v1/deliveries/{name}/redrive",
    "post /api/v1/deliveries/{name}/resume",
    "post /api/v1/jobs",
    "post /api/v1/jobs/{name}/pause",
    "post /api/v1/jobs/{name}/resume",
    "post /api/v1/jobs/{name}/run",
    "post /api/v1/loads",
    "post /api/v1/loads/preview",
    "post /api/v1/login",
    "post /api/v1/logout",
    "post /api/v1/password",
    "post /api/v1/runs/{id}/again",
    "post /api/v1/saved-queries",
    "post /api/v1/statements",
    "post /api/v1/tokens",
    "post /api/v1/topics",
    "post /api/v1/uploads",
    "put /api/v1/jobs/{name}",
    "put /api/v1/saved-queries/{id}",
];

#[tokio::test]
async fn the_document_has_every_route() {
    let server = Server::start().await;
    let response = server.get("/openapi.json").await;
    assert_eq!(header(&response, "content-type"), "application/json");
    let document: Value = response.json().await.unwrap();
    assert_eq!(document, serde_json::to_value(polder_http_server::openapi()).unwrap());
    assert_eq!(document["openapi"], "3.1.0");

    let mut found = Vec::new();
    let mut operation_ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push(format!("{method} {path}"));
            assert!(operation_ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
            assert!(operation["responses"].get("default").is_some(), "{path}");
            // Whatever the document names, the server knows: nobody is logged in, but the path is there.
            let path = path
                .replace("{id}", &Uuid::new_v4().to_string())
                .replace("{schema}", "s")
                .replace("{table}", "t")
                .replace("{name}", "n")
                .replace("{partition}", "0")
                .replace("{offset}", "0");
            let method: Method = method.to_uppercase().parse().unwrap();
            let status = server.bare(method, &path).send().await.unwrap().status();
            assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    found.sort_unstable();
    let expected = ROUTES;
    assert_eq!(found, expected);

    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_number_of_requests_is_bounded() {
    let server = Server::logged_in().await;
    let requests = (0..256)
        .map(|_| tokio::spawn(server.request(Method::POST, "/statements").json(&json!({"sql": "stuck"})).send()));
    let requests: Vec<_> = requests.collect();
    eventually("all run", || server.sql.running.lock().unwrap().len() == 256).await;
    let response = server.get("/me").await;
    assert_eq!(header(&response, "retry-after"), "1");
    error(response, 503, "exhausted").await;
    for request in requests {
        request.abort();
    }
    eventually("all are cancelled", || server.sql.running.lock().unwrap().is_empty()).await;
    assert_eq!(server.get("/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn stopping_waits_for_what_runs_and_then_cancels_it() {
    let mut server = Server::logged_in().await;
    let id = Uuid::new_v4();
    let mut slow = server.run(json!({"sql": "slow", "query_id": id})).await.bytes_stream();
    slow.next().await.unwrap().unwrap();
    let started = Instant::now();
    server.shutdown.start();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.bare(Method::GET, "/healthz").send().await.is_err(), "no new connections");
    assert!(!server.sql.was_cancelled(QueryId(id)), "running statements get their time");
    let rest: Vec<_> = slow.collect().await;
    assert!(rest.last().is_some_and(Result::is_err), "the body is broken, not ended");
    assert!(server.sql.was_cancelled(QueryId(id)));
    (&mut server.serving).await.unwrap().unwrap();
    let took = started.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(15)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn stopping_an_idle_server_is_quick() {
    let mut server = Server::logged_in().await;
    server.get("/me").await.bytes().await.unwrap();
    let started = Instant::now();
    server.shutdown.start();
    (&mut server.serving).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(4), "it does not wait for nothing");
}

#[tokio::test]
async fn http_2_is_spoken_too() {
    let server = Server::logged_in().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request =
        client.post(server.url("/api/v1/statements")).header("x-polder", "1").header("cookie", server.cookie());
    let response = request.json(&json!({"sql": "rows 5000", "format": "ndjson"})).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.text().await.unwrap().lines().count(), 5000);
}
