//! A server, over its HTTP API.

mod answer;
mod link;
mod upload;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_capability::{ApiToken, LoadStatus, NewApiToken, QueryProgress};
use polder_types::{LoadId, QueryId};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::connection::{Connection, LoadOrder, Reply, Request, Source};
use crate::credentials::Credentials;
use crate::endpoints::{Endpoints, reachable};
use crate::failure::Failure;
use link::{Link, Pass, QueryAnswer};
use upload::Upload;

/// A server of this computer answers at once or not at all, unless the computer is very busy.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After this the server ends a conversation.
const CONVERSATION_IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// The server tells the command line from other programs by this.
const USER_AGENT: &str = concat!("polder/", env!("CARGO_PKG_VERSION"));

pub struct Server {
    link: Arc<Link>,
    conversation: Mutex<Conversation>,
    /// The server runs on this computer, for this user, so it can read the files that the user can.
    shares_files: bool,
}

/// Statements that belong together, as the server knows them: a session.
struct Conversation {
    session: Uuid,
    last_used: Option<Instant>,
    /// A transaction was begun or a setting made, so that it matters if the server has forgotten it.
    holds_state: bool,
}

impl Conversation {
    fn new() -> Self {
        Self { session: Uuid::new_v4(), last_used: None, holds_state: false }
    }

    /// The session for the next statement.
    ///
    /// # Errors
    /// When the server has ended it meanwhile: a statement must not run outside the transaction that it was meant for.
    fn next(&mut self) -> Result<Uuid, Failure> {
        let ended = self.last_used.is_some_and(|last| last.elapsed() >= CONVERSATION_IDLE_MAX);
        let lost = ended && self.holds_state;
        if ended {
            *self = Self::new();
        }
        if lost {
            return Err(Failure::new("the conversation ended after 10 idle minutes; its transaction was rolled back")
                .with_hint("begin the transaction again, and SET what was set"));
        }
        self.last_used = Some(Instant::now());
        Ok(self.session)
    }

    fn saw(&mut self, verb: &str) {
        self.last_used = Some(Instant::now());
        self.holds_state |= ["BEGIN", "START", "SET"].iter().any(|first| verb.starts_with(first));
    }
}

/// The most that is read of an answer about health: a few headers.
const HEALTH_BYTES_MAX: u64 = 8 << 10;

/// Where the server of a data directory answers, if it does: that very process, since one that died may have left the address
/// to a server with other data, which must be told neither statements nor passwords.
#[must_use]
pub fn running(data: &Path) -> Option<SocketAddr> {
    let endpoints = Endpoints::read(data)?;
    let address = reachable(endpoints.http);
    answers(address, endpoints.instance).then_some(address)
}

fn answers(address: SocketAddr, instance: Uuid) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)?;
        stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
        stream.set_write_timeout(Some(HEALTH_TIMEOUT))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut lines = BufReader::new(stream.take(HEALTH_BYTES_MAX)).lines();
        let is_well = lines.next().transpose()?.is_some_and(|status| status.starts_with("HTTP/1.1 200"));
        let wanted = format!("x-polder-instance: {instance}");
        for line in lines {
            match line? {
                line if line.eq_ignore_ascii_case(&wanted) => return Ok(is_well),
                line if line.is_empty() => break,
                _ => {}
            }
        }
        Ok(false)
    };
    ask().unwrap_or(false)
}

impl Server {
    /// The server of a data directory on this computer.
    pub fn here(address: SocketAddr, credentials: Option<Credentials>) -> Result<Self> {
        // Plain HTTP to this computer needs no proxy and no certificates; loading those takes longer than a query.
        let http = builder().no_proxy().tls_built_in_root_certs(false).build()?;
        let pass = match &credentials {
            Some(known) if !known.api_token.is_empty() => Pass::Token(known.api_token.clone()),
            _ => Pass::None,
        };
        let password = credentials.map(|known| (known.user, known.password));
        Ok(Self::new(Link { base: format!("http://{address}"), http, pass: Mutex::new(pass), password }, true))
    }

    /// A server by its address.
    pub fn elsewhere(url: &str, token: Option<&str>) -> Result<Self> {
        let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(parsed) = parsed else {
            return Err(Failure::usage(format!("--url {url} is no address of a server"))
                .with_hint("write http://HOST:PORT")
                .into());
        };
        let http = builder().tls_built_in_root_certs(parsed.scheme() == "https").build()?;
        let pass = Mutex::new(token.map_or(Pass::None, |token| Pass::Token(token.to_owned())));
        let base = parsed.as_str().trim_end_matches('/').to_owned();
        Ok(Self::new(Link { base, http, pass, password: None }, false))
    }

    fn new(link: Link, shares_files: bool) -> Self {
        Self { link: Arc::new(link), conversation: Mutex::new(Conversation::new()), shares_files }
    }

    async fn upload(&self, source: Upload) -> Result<String, Failure> {
        let name: String = url::form_urlencoded::byte_serialize(source.name().as_bytes()).collect();
        let response = self.link.send_stream(&format!("/uploads?name={name}"), source.body().await?).await?;
        Ok(self.link.json::<UploadAnswer>(response).await?.upload_id)
    }

    /// Makes a new password, for one who knows the old.
    pub async fn change_password(&self, old: &str, new: &str) -> Result<(), Failure> {
        let body = json!({ "old": old, "new": new });
        self.link.send(Method::POST, "/password", |request| request.json(&body)).await.map(drop)
    }
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT_TIMEOUT).http1_only().tcp_nodelay(true)
}

#[async_trait::async_trait]
impl Connection for Server {
    fn name(&self) -> String {
        self.link.base.clone()
    }

    async fn run(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let mut body = json!({ "sql": request.sql, "query_id": request.query_id, "format": "arrow" });
        if let Some(limit) = request.row_limit {
            body["row_limit"] = limit.into();
        }
        if request.keep_session {
            body["session"] = self.conversation.lock().next()?.to_string().into();
        }
        let response = self.link.send(Method::POST, "/statements", |request| request.json(&body)).await?;
        let (link, id) = (Arc::clone(&self.link), request.query_id);
        let reply = answer::read(response, Box::pin(async move { link.verdict(id).await })).await?;
        if request.keep_session {
            self.conversation.lock().saw(&reply.verb);
        }
        Ok(reply)
    }

    async fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        self.link.ask::<QueryAnswer>(&format!("/queries/{id}")).await.ok().map(|answer| answer.progress(id))
    }

    async fn cancel(&self, id: QueryId) {
        self.link.end(Method::DELETE, &format!("/queries/{id}")).await;
    }

    async fn start_load(&self, order: LoadOrder) -> Result<LoadId, Failure> {
        let (mut uploads, mut sources) = (Vec::new(), Vec::new());
        for source in order.sources {
            match source {
                Source::StandardInput => uploads.push(self.upload(Upload::StandardInput).await?),
                Source::Location(location) if location.contains("://") => sources.push(location),
                Source::Location(location) if self.shares_files => sources.push(absolute(&location)?),
                Source::Location(location) => uploads.push(self.upload(Upload::file(&location)?).await?),
            }
        }
        let body = json!({
            "upload_ids": uploads,
            "sources": sources,
            "into": order.into,
            "mode": order.mode,
            "strict": order.strict,
            "again": order.again,
            "options": order.options,
        });
        let response = self.link.send(Method::POST, "/loads", |request| request.json(&body)).await?;
        Ok(self.link.json::<LoadAnswer>(response).await?.load_id)
    }

    async fn load_status(&self, id: LoadId) -> Result<LoadStatus, Failure> {
        self.link.ask(&format!("/loads/{id}")).await
    }

    async fn cancel_load(&self, id: LoadId) {
        self.link.end(Method::DELETE, &format!("/loads/{id}")).await;
    }

    async fn create_token(&self, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken, Failure> {
        let body = json!({ "name": name, "expires_at": expires_at });
        let response = self.link.send(Method::POST, "/tokens", |request| request.json(&body)).await?;
        self.link.json(response).await
    }

    async fn list_tokens(&self) -> Result<Vec<ApiToken>, Failure> {
        match self.link.ask::<Value>("/tokens").await? {
            Value::Object(mut answer) => serde_json::from_value(answer.remove("tokens").unwrap_or_default()),
            list => serde_json::from_value(list),
        }
        .map_err(|error| Failure::new(format!("the list of tokens cannot be understood: {error}")))
    }

    async fn delete_token(&self, id: &str) -> Result<bool, Failure> {
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        match self.link.send(Method::DELETE, &format!("/tokens/{id}"), |request| request).await {
            Ok(_) => Ok(true),
            Err(failure) if matches!(failure.code.as_deref(), Some("42704" | "42P01")) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn close(&self) {
        let used = {
            let conversation = self.conversation.lock();
            conversation.last_used.map(|_| conversation.session)
        };
        if let Some(session) = used {
            self.link.end(Method::DELETE, &format!("/sessions/{session}")).await;
        }
        let logged_in = matches!(&*self.link.pass.lock(), Pass::Cookie(_));
        if logged_in {
            self.link.end(Method::POST, "/logout").await;
        }
    }
}

fn absolute(location: &str) -> Result<String, Failure> {
    let path = std::path::absolute(location).map_err(|error| Failure::new(format!("{location}: {error}")))?;
    path.into_os_string().into_string().map_err(|_| Failure::new(format!("{location}: the path is no UTF-8")))
}

#[derive(Deserialize)]
struct UploadAnswer {
    upload_id: String,
}

#[derive(Deserialize)]
struct LoadAnswer {
    load_id: LoadId,
}
