//! Requests to one server: how they are signed, and what their answers mean.

use std::time::Duration;

use parking_lot::Mutex;
use polder_capability::{QueryError, QueryProgress, QueryState};
use polder_types::{Position, QueryId};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::failure::Failure;

/// For questions that need no work. A server that is busy with a load may take its time.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);
/// For what is asked on the way out.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer that broke off is asked about.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(3);

/// How this client shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pass {
    None,
    Token(String),
    /// After a login.
    Cookie(String),
}

#[derive(Debug)]
pub(super) struct Link {
    pub base: String,
    pub http: Client,
    pub pass: Mutex<Pass>,
    /// For a login, when there is no token or it no longer holds.
    pub password: Option<(String, String)>,
}

impl Link {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base)).header("X-Polder", "1");
        match &*self.pass.lock() {
            Pass::None => request,
            Pass::Token(token) => request.bearer_auth(token),
            Pass::Cookie(cookie) => request.header(header::COOKIE, cookie),
        }
    }

    /// Sends a request, logs in if that is asked for, and makes an error answer a failure.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let response = self.send_once(shape(self.request(method.clone(), path))).await?;
        let response = if response.status() == StatusCode::UNAUTHORIZED && self.log_in().await? {
            self.send_once(shape(self.request(method, path))).await?
        } else {
            response
        };
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// Sends a body that exists once, so that the way in is settled before.
    pub async fn send_stream(&self, path: &str, body: Body) -> Result<Response, Failure> {
        self.ask::<serde_json::Value>("/me").await?;
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/octet-stream");
        let response = self.send_once(request.body(body)).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut reason = error as &dyn std::error::Error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        Failure::new(format!("the server at {} cannot be reached: {reason}", self.base))
            .with_hint("is it running? `polder up` starts one")
    }

    /// True if a password was there to log in with.
    async fn log_in(&self) -> Result<bool, Failure> {
        let Some((user, password)) = &self.password else { return Ok(false) };
        let tried = matches!(&*self.pass.lock(), Pass::Cookie(_));
        if tried {
            return Ok(false);
        }
        *self.pass.lock() = Pass::None;
        let request = self.request(Method::POST, "/login").json(&json!({ "user": user, "password": password }));
        let response = self.send_once(request).await?;
        if !response.status().is_success() {
            let failure = self.refusal(response).await;
            let hint = "credentials.toml no longer holds: put the password there, or a token as api_token";
            return Err(Failure { hint: failure.hint.or(Some(hint.to_owned())), ..failure });
        }
        let cookie = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|value| value.split(';').next()).unwrap_or_default();
        *self.pass.lock() = Pass::Cookie(cookie.to_owned());
        Ok(true)
    }

    async fn refusal(&self, response: Response) -> Failure {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<ErrorAnswer>(&body) {
            Ok(answer) => answer.error.into(),
            Err(_) => Failure::new(format!("the server at {} answered {status}", self.base))
                .with_hint("is this a Polder server?"),
        }
    }

    pub async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(format!("the answer of the server at {} cannot be understood: {error}", self.base))
                .with_hint("client and server should be of the same version")
        })
    }

    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let response = self.send(Method::GET, path, |request| request.timeout(QUESTION_TIMEOUT)).await?;
        self.json(response).await
    }

    /// Asks for something to end. It may have ended just now; its own answer then tells what happened.
    pub async fn end(&self, method: Method, path: &str) {
        let _ = self.send(method, path, |request| request.timeout(END_TIMEOUT)).await;
    }

    /// What became of a statement whose answer broke off.
    pub async fn verdict(&self, id: QueryId) -> Failure {
        let broken = Failure::new(format!("the answer of the server at {} broke off", self.base));
        let deadline = tokio::time::Instant::now() + VERDICT_TIMEOUT;
        while tokio::time::Instant::now() < deadline {
            match self.ask::<QueryAnswer>(&format!("/queries/{id}")).await {
                Ok(QueryAnswer { state: QueryState::Running, .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                Ok(QueryAnswer { error: Some(error), .. }) => return error.into(),
                Ok(QueryAnswer { state: QueryState::Cancelled, .. }) => return Failure::interrupted(),
                _ => return broken,
            }
        }
        broken
    }
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    message: String,
    line: Option<u64>,
    column: Option<u64>,
    hint: Option<String>,
    request_id: Option<String>,
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        let position = body.line.zip(body.column).map(|(line, column)| Position { line, column });
        // The id helps only with errors that are the server's own.
        let request_id = body.request_id.filter(|_| body.code.starts_with("XX"));
        Self { message: body.message, code: Some(body.code), position, hint: body.hint, request_id, ..Self::default() }
    }
}

#[derive(Deserialize)]
pub(super) struct QueryAnswer {
    state: QueryState,
    #[serde(default)]
    elapsed_ms: u64,
    #[serde(default)]
    rows_returned: u64,
    #[serde(default)]
    rows_scanned: u64,
    #[serde(default)]
    bytes_scanned: u64,
    rows_total: Option<u64>,
    error: Option<QueryError>,
}

impl QueryAnswer {
    pub fn progress(self, query_id: QueryId) -> QueryProgress {
        QueryProgress {
            query_id,
            state: self.state,
            rows_scanned: self.rows_scanned,
            bytes_scanned: self.bytes_scanned,
            rows_total: self.rows_total,
            rows_returned: self.rows_returned,
            elapsed_ms: self.elapsed_ms,
        }
    }
}
