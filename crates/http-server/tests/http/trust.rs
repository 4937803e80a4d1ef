use polder_http_server::{Auth, HttpServer, HttpServerOptions, Services};
use polder_runtime::{Shutdown, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::fakes::{FakeAccounts, FakeJobs, FakeLoader, FakeSaved, FakeSql, SharedSql};
use crate::harness::{Server, error, trust};

#[tokio::test]
async fn everyone_is_the_user() {
    let server = Server::with(trust(), None).await;
    let me: Value = server.get("/me").await.json().await.unwrap();
    assert_eq!(me, json!({"user": "ann", "version": "1.2.3", "auth": "trust"}));
    assert_eq!(server.run(json!({"sql": "rows 1"})).await.status(), StatusCode::OK);
    assert_eq!(server.sql.last().caller.via, "http");
    let console = server.request(Method::POST, "/statements").header("sec-fetch-site", "same-origin");
    console.json(&json!({"sql": "rows 1"})).send().await.unwrap();
    assert_eq!(server.sql.last().caller.via, "console");
    error(server.post("/login", json!({"user": "ann", "password": "secret"})).await, 400, "invalid_input").await;
    let link = server.bare(Method::GET, "/login?token=any").send().await.unwrap();
    assert_eq!(link.headers()["location"], "/");
}

#[tokio::test]
async fn only_loopback_names_are_answered() {
    let server = Server::with(trust(), None).await;
    let port = server.address.port();
    let get = async |host: String| {
        let request = format!("GET /api/v1/me HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        server.raw(&request).await.lines().next().unwrap_or_default().to_owned()
    };
    for host in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}"), "LOCALHOST".to_owned()]
    {
        assert_eq!(get(format!("Host: {host}\r\n")).await, "HTTP/1.1 200 OK", "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
        assert_eq!(get(format!("Host: {host}\r\n")).await, "HTTP/1.1 403 Forbidden", "{host}");
    }
    assert_eq!(get(String::new()).await, "HTTP/1.1 403 Forbidden");
    let absolute = "GET http://evil.example/api/v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(server.raw(absolute).await.starts_with("HTTP/1.1 403"));
    let page = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(server.raw(page).await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let server = Server::with(trust(), None).await;
    let post = || server.bare(Method::POST, "/api/v1/statements").json(&json!({"sql": "rows 1"}));
    error(post().send().await.unwrap(), 403, "forbidden").await;
    let foreign = post().header("x-polder", "1").header("origin", "http://evil.example").send().await.unwrap();
    error(foreign, 403, "forbidden").await;
    assert!(server.sql.log.lock().unwrap().is_empty());
    assert_eq!(post().header("x-polder", "1").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn trust_is_refused_on_addresses_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |address: &str, auth: Auth, allowed: bool| {
        let options = HttpServerOptions {
            address: address.parse().unwrap(),
            auth,
            upload_dir: folder.path().join("uploads"),
            version: "1",
            console: None,
        };
        let services = Services {
            sql: Arc::new(SharedSql(Arc::new(FakeSql::default()))),
            loader: Arc::new(FakeLoader::default()),
            accounts: Arc::new(FakeAccounts::default()),
            saved: Arc::new(FakeSaved::default()),
            jobs: Arc::new(FakeJobs::default()),
            schemas: None,
            streams: None,
            clock: Arc::new(SystemClock),
        };
        assert_eq!(HttpServer::bind(options, services, Shutdown::new()).await.is_ok(), allowed, "{address}");
    };
    check("127.0.0.1:0", trust(), true).await;
    check("0.0.0.0:0", trust(), false).await;
    check("[::]:0", trust(), false).await;
    check("0.0.0.0:0", Auth::Password, true).await;
}
