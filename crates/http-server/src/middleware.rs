//! What surrounds every request: its id, the bound on how many there are, the headers of every answer, and the body of
//! every error.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use polder_types::{Error, ErrorKind};
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::{Busy, Peer};
use crate::error::{ApiError, ErrorAnswer, Failure};
use crate::metrics::Metrics;
use crate::read_on::patient;
use crate::state::App;

/// Requests that may run at once. Far more than a team needs, and few enough that their buffers fit in memory.
pub(crate) const REQUESTS_MAX: usize = 256;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Scripts, pictures and connections of this origin only. Styles may be inline because the console's component library
/// writes them so.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
    font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; \
    frame-ancestors 'none'";

const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A request in progress. An answer that streams keeps a clone until its last byte, so that it counts as long.
#[derive(Clone)]
pub(crate) struct InFlight {
    _inner: Arc<InFlightInner>,
}

struct InFlightInner {
    metrics: Arc<Metrics>,
    method: Method,
    started: Instant,
    _permit: OwnedSemaphorePermit,
    _busy: Option<Busy>,
}

impl Drop for InFlightInner {
    fn drop(&mut self) {
        self.metrics.request_ended(&self.method, self.started.elapsed());
    }
}

/// The outermost layer.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::now_v7().to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let busy = request.extensions().get::<ConnectInfo<Peer>>().map(|peer| peer.0.activity.begin());

    let mut response = match Arc::clone(&app.slots).try_acquire_owned() {
        Ok(permit) => {
            app.metrics.request_started();
            let metrics = Arc::clone(&app.metrics);
            let inner = InFlightInner {
                metrics,
                method: method.clone(),
                started: Instant::now(),
                _permit: permit,
                _busy: busy,
            };
            let in_flight = InFlight { _inner: Arc::new(inner) };
            request.extensions_mut().insert(in_flight.clone());
            next.run(patient(request)).await
        }
        Err(_) => ApiError(
            Error::new(ErrorKind::Exhausted, format!("more than {REQUESTS_MAX} requests are running"))
                .with_hint("try again in 1 s"),
        )
        .into_response(),
    };

    if let Some(Failure(error)) = response.extensions_mut().remove::<Failure>() {
        log(&error, &request_id, route.as_deref());
        response = describe(response, &error, &request_id);
    }
    let headers = response.headers_mut();
    for (name, value) in &SECURITY_HEADERS {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    // Answers of the API are of the moment; the console says itself how long its files keep.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    app.metrics.request_answered(route.as_deref().unwrap_or("other"), &method, response.status());
    response
}

/// Puts the error into the body, keeping the status and the headers.
fn describe(response: Response, error: &Error, request_id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    let body = axum::Json(ErrorAnswer::new(error, request_id)).into_response();
    let (json, body) = body.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(json.headers);
    Response::from_parts(parts, body)
}

fn log(error: &Error, request_id: &str, route: Option<&str>) {
    let route = route.unwrap_or("other");
    match error.kind() {
        ErrorKind::Internal | ErrorKind::Corrupt => tracing::error!(request_id, route, ?error, "request failed"),
        _ => tracing::debug!(request_id, route, ?error, "request refused"),
    }
}

/// Turns a panic into an error like any other. What it said stays in the log: it is not for strangers.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands the payload over")]
pub(crate) fn panicked(payload: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a request handler panicked");
    ApiError(Error::internal("the server made a mistake").with_hint("report it with the request id")).into_response()
}

/// In trust mode every request has the rights of the user, so a page of another site must not reach the server by a name
/// of its own that it points at this computer ("DNS rebinding"): only loopback names are answered.
pub(crate) async fn loopback_names(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.auth.is_trust() && !names_loopback(&request) {
        let error = Error::new(ErrorKind::Forbidden, "without passwords the server answers to loopback names only")
            .with_hint("use http://127.0.0.1 or http://localhost, or start the server with passwords");
        return ApiError(error).into_response();
    }
    next.run(request).await
}

fn names_loopback(request: &Request) -> bool {
    let host = host(request.headers());
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    // HTTP/2 has only an authority, HTTP/1.1 only a host; a request that has both must mean it twice.
    (host.is_some() || authority.is_some()) && host.is_none_or(is_loopback) && authority.is_none_or(is_loopback)
}

/// The value of `Host`.
pub(crate) fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// True for `localhost`, `127.0.0.1` and `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        let Some((start, rest)) = host.split_at_checked(name.len()) else { return false };
        let port = rest.strip_prefix(':').unwrap_or(rest);
        start.eq_ignore_ascii_case(name)
            && (rest.is_empty() || (port.len() < rest.len() && port.bytes().all(|byte| byte.is_ascii_digit())))
    })
}

#[cfg(test)]
mod tests;
