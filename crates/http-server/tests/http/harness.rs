//! A server on a free port, and ways to speak to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polder_http_server::{Auth, HttpServer, HttpServerOptions, Services};
use polder_runtime::{ManualClock, Shutdown};
use polder_types::Result;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::fakes::{FakeAccounts, FakeJobs, FakeLoader, FakeSaved, FakeSql, SharedSql};

pub struct Server {
    pub address: SocketAddr,
    pub sql: Arc<FakeSql>,
    pub loader: Arc<FakeLoader>,
    pub clock: ManualClock,
    pub shutdown: Shutdown,
    pub serving: JoinHandle<Result<()>>,
    pub client: reqwest::Client,
    pub folder: TempDir,
    pub cookie: Option<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.start();
        self.serving.abort();
    }
}

pub fn trust() -> Auth {
    Auth::Trust { user: "ann".to_owned() }
}

impl Server {
    pub async fn with(auth: Auth, console: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sql = Arc::new(FakeSql::default());
        let loader = Arc::new(FakeLoader::default());
        let clock = ManualClock::at("2026-01-02T03:00:00Z".parse().unwrap());
        let options = HttpServerOptions {
            address: "127.0.0.1:0".parse().unwrap(),
            auth,
            upload_dir: folder.path().join("uploads"),
            version: "1.2.3",
            console,
        };
        let services = Services {
            sql: Arc::new(SharedSql(Arc::clone(&sql))),
            loader: Arc::clone(&loader) as _,
            accounts: Arc::new(FakeAccounts::default()),
            saved: Arc::new(FakeSaved::default()),
            jobs: Arc::new(FakeJobs::default()),
            schemas: crate::schema_registry::registry(),
            streams: None,
            clock: Arc::new(clock.clone()),
        };
        let shutdown = Shutdown::new();
        let server = HttpServer::bind(options, services, shutdown.clone()).await.unwrap();
        let address = server.local_addr();
        let serving = tokio::spawn(server.serve());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, sql, loader, clock, shutdown, serving, client, folder, cookie: None }
    }

    /// A server with passwords, where nobody is logged in.
    pub async fn start() -> Self {
        Self::with(Auth::Password, None).await
    }

    /// A server where `ann` is logged in.
    pub async fn logged_in() -> Self {
        let mut server = Self::start().await;
        server.cookie = Some(server.login("ann").await);
        server
    }

    /// Logs in and gives the cookie.
    pub async fn login(&self, user: &str) -> String {
        let body = serde_json::json!({"user": user, "password": "secret"});
        let response = self.bare(Method::POST, "/api/v1/login").json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        cookie_of(&response)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request by nobody.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).timeout(Duration::from_secs(30))
    }

    /// A request to the API, as the console makes it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.bare(method, &format!("/api/v1{path}")).header("x-polder", "1");
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path).json(&body).send().await.unwrap()
    }

    pub async fn run(&self, body: Value) -> Response {
        self.post("/statements", body).await
    }

    /// Speaks HTTP by hand and gives all that comes back until the server closes.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn uploads(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("uploads")).unwrap().count()
    }

    pub fn cookie(&self) -> &str {
        self.cookie.as_deref().unwrap()
    }
}

pub fn cookie_of(response: &Response) -> String {
    let value = response.headers()["set-cookie"].to_str().unwrap();
    value.split(';').next().unwrap().to_owned()
}

pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Checks an error's status and kind, that it has the shape of the contract, and gives it.
pub async fn error(response: Response, status: u16, kind: &str) -> Value {
    let request_id = header(&response, "x-request-id").to_owned();
    assert_eq!(header(&response, "content-type"), "application/json");
    let code = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!((code.as_u16(), body["error"]["kind"].as_str()), (status, Some(kind)), "{body}");
    let mut fields: Vec<_> = body["error"].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["code", "column", "hint", "kind", "line", "message", "request_id"]);
    assert_eq!(body["error"]["request_id"], request_id);
    assert!(!request_id.is_empty());
    body["error"].clone()
}

/// Waits until something is so.
pub async fn eventually(what: &str, check: impl Fn() -> bool) {
    for _ in 0..500 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}
