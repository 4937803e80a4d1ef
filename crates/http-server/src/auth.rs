//! Who asks: the cookie of a console, the token of a program, or everybody in trust mode.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use polder_capability::Caller;
use polder_types::{Error, ErrorKind, Result};

use crate::error::{ApiError, ApiResult};
use crate::middleware::host;
use crate::state::App;

const COOKIE: &str = "polder_session";

/// A page of another site cannot set this header without being asked first, and nobody answers yes.
const GUARD: HeaderName = HeaderName::from_static("x-polder");

/// How the server knows its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// By password, cookie or API token.
    Password,
    /// Everyone who reaches the server is this user. Only for loopback addresses.
    Trust { user: String },
}

impl Auth {
    pub(crate) fn is_trust(&self) -> bool {
        matches!(self, Self::Trust { .. })
    }
}

/// Who asks, as the contracts want it. Handlers behind [`require`] take it as an argument.
#[derive(Debug, Clone)]
pub(crate) struct Identity(pub Caller);

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError(not_logged_in()))
    }
}

fn not_logged_in() -> Error {
    Error::new(ErrorKind::Unauthenticated, "not logged in")
        .with_hint("log in, or send an API token as `Authorization: Bearer …`")
}

/// Lets in those who are known, and tells the handlers who they are.
pub(crate) async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match identify(&app, request.headers()).await {
        Ok(Some(identity)) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Ok(None) => ApiError(not_logged_in()).into_response(),
        Err(error) => ApiError(error).into_response(),
    }
}

/// The user behind a request, or `None`.
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Identity>> {
    let known = if let Auth::Trust { user } = &app.auth {
        let from_browser = headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN);
        Some((user.clone(), if from_browser { "console" } else { "http" }))
    } else if let Some(token) = bearer(headers) {
        app.accounts.token_user(token).await?.map(|user| (user, "http"))
    } else if let Some(secret) = cookie(headers) {
        app.accounts.session_user(secret).await?.map(|user| (user, "console"))
    } else {
        None
    };
    Ok(known.map(|(user, via)| Identity(Caller::new(user, if from_command_line(headers) { "cli" } else { via }))))
}

/// Polder's own command line names itself `polder/<version>`.
fn from_command_line(headers: &HeaderMap) -> bool {
    headers
        .get(header::USER_AGENT)
        .is_some_and(|agent| agent.as_bytes().starts_with(b"polder/") || agent.as_bytes() == b"polder")
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The secret in the session cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE && !value.is_empty()).then_some(value))
}

/// The header that gives a browser its session. No `Secure`: the server speaks plain HTTP on loopback.
pub(crate) fn cookie_header(secret: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(&format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict"))
        .map_err(|error| Error::internal("the session's secret does not fit in a cookie").with_source(error))
}

/// The header that takes it away.
pub(crate) fn cookie_removal() -> HeaderValue {
    HeaderValue::from_static("polder_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// Refuses changes that a page of another site sends in the user's name.
pub(crate) async fn same_site(State(app): State<App>, request: Request, next: Next) -> Response {
    match check_same_site(&app.auth, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => ApiError(error).into_response(),
    }
}

fn check_same_site(auth: &Auth, request: &Request) -> Result<()> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    check_origin(request)?;
    let headers = request.headers();
    // A token is sent on purpose. A cookie, and the trust in everyone, come by themselves, so there the guard is needed.
    let by_itself = bearer(headers).is_none() && (auth.is_trust() || cookie(headers).is_some());
    let guarded = headers.get(GUARD).is_some_and(|value| value == "1");
    if by_itself && !guarded {
        return Err(Error::new(ErrorKind::Forbidden, "the request lacks the header `X-Polder`")
            .with_hint("send `X-Polder: 1`, or an API token"));
    }
    Ok(())
}

/// Refuses what comes from a page of another site, where the browser says so.
pub(crate) fn check_origin(request: &Request) -> Result<()> {
    let headers = request.headers();
    if let Some(origin) = headers.get(header::ORIGIN) {
        let host = request.uri().authority().map(axum::http::uri::Authority::as_str).or_else(|| host(headers));
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        if !matches!((origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host)) {
            return Err(Error::new(ErrorKind::Forbidden, "the request comes from another site")
                .with_hint("open the console at the server's own address"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
