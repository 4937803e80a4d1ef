//! Requests, from their head to the answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use polder_capability::topics::TopicClient;
use polder_capability::{Caller, Origin, SigningKeys, SigningRefusal};
use polder_door::Auth;
use uuid::Uuid;

use crate::cbor;
use crate::error::{ApiError, ApiResult};
use crate::server::House;
use crate::services::{self, Call, Reply};
use crate::signature::{INVALID_SIGNATURE, Signature, UNRECOGNIZED};
use crate::value::{Value, map, read_json, write_json};

/// The largest body: 10 MiB of records in base64, and what is around them.
const BODY_BYTES_MAX: usize = 16 << 20;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

const EVENTS: &str = "application/vnd.amazon.eventstream";

/// Where a client is that does not say.
const REGION: &str = "us-east-1";

/// One of the two forms of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Cbor,
}

impl Form {
    /// What is none of them is read as JSON, as AWS does it.
    fn of(parts: &Parts) -> Self {
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with(Self::Cbor.name()) || kind.starts_with("application/cbor") {
            Self::Cbor
        } else {
            Self::Json
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    fn read(self, body: &[u8]) -> ApiResult<Value> {
        match self {
            _ if body.is_empty() => Ok(map([])),
            Self::Json => read_json(body),
            Self::Cbor => cbor::read(body),
        }
    }

    pub fn write(self) -> fn(&Value) -> Vec<u8> {
        match self {
            Self::Json => write_json,
            Self::Cbor => cbor::write,
        }
    }
}

/// Answers a request. Whatever is wrong with it is an answer.
pub async fn answer(house: Arc<House>, request: Request<Body>, host: IpAddr) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let form = Form::of(&parts);
    let outcome = run(house, &parts, body, host, form).await;
    let (status, kind, body) = match outcome {
        Ok(reply @ Reply::Events(_)) => (StatusCode::OK, EVENTS, reply.into_body(form.write())),
        Ok(reply) => (StatusCode::OK, form.name(), reply.into_body(form.write())),
        Err(error) => {
            let told = map([("__type", error.code.into()), ("message", error.message.into())]);
            (error.status, form.name(), Body::from(form.write()(&told)))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn run(house: Arc<House>, parts: &Parts, body: Body, host: IpAddr, form: Form) -> ApiResult<Reply> {
    let signature = Signature::of(parts)?;
    if signature.is_none() && house.auth == Auth::Password {
        return Err(ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token"));
    }
    let unknown = || ApiError::new("UnknownOperationException", "there is no such operation");
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let found = services::find(target).filter(|_| parts.method == Method::POST && parts.uri.path() == "/");
    let (service, operation) = found.ok_or_else(unknown)?;
    // Held until the body is done with.
    let (_room, body) = read_body(&house, parts, body).await?;
    let (user, region) = match (&house.auth, signature) {
        (Auth::Trust { user }, signature) => (user.clone(), signature.map(|signature| signature.region)),
        (Auth::Password, Some(signature)) => {
            let now = house.contracts.clock.now();
            let keys = house.contracts.keys.as_ref();
            let checked = signature.check(parts, &body, service.signed_as, now, keys).await;
            tell(keys, &signature.key_id, &checked, service.signed_as, host);
            (checked?, Some(signature.region))
        }
        (Auth::Password, None) => return Err(ApiError::internal()),
    };
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let client_id: String = agent.chars().take_while(|c| *c != ' ').take(100).collect();
    let client = TopicClient {
        caller: Caller::new(user, service.signed_as),
        client_id: client_id.into(),
        host: host.to_string().into(),
    };
    let (region, operation) = (region.unwrap_or_else(|| REGION.to_owned()), operation.to_owned());
    let input = form.read(&body)?;
    drop(body);
    (service.run)(Call { house, client, region, operation, form, input }).await
}

/// Tells whoever has the keys what came of a request that names one. Of what is no login nothing is told: a signature that
/// cannot be read, or a store that does not answer.
fn tell(keys: &dyn SigningKeys, id: &str, checked: &ApiResult<String>, via: &str, host: IpAddr) {
    let outcome = match checked {
        Ok(user) => Ok(user.as_str()),
        Err(error) if error.code == UNRECOGNIZED => Err(SigningRefusal::UnknownKey),
        Err(error) if error.code == INVALID_SIGNATURE => Err(SigningRefusal::WrongSignature),
        Err(_) => return,
    };
    keys.signed(id, outcome, Origin { via, address: &host.to_string() });
}

/// Reads a body within its bounds: its length, the room that all have together, and time.
async fn read_body(house: &House, parts: &Parts, body: Body) -> ApiResult<(tokio::sync::OwnedSemaphorePermit, Bytes)> {
    let too_large = || {
        let message = format!("a body has at most {BODY_BYTES_MAX} bytes");
        ApiError::new("RequestEntityTooLargeException", message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    let told = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let late =
        || ApiError::new("RequestTimeoutException", "the body took too long").with_status(StatusCode::REQUEST_TIMEOUT);
    let read = async {
        let room = u32::try_from(told.unwrap_or(BODY_BYTES_MAX)).unwrap_or(u32::MAX);
        let room = Arc::clone(&house.bodies).acquire_many_owned(room).await.map_err(|_| ApiError::unavailable())?;
        // Its length is the one thing that can be wrong with it, unless the client has gone.
        let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| too_large())?;
        Ok((room, bytes))
    };
    // A second more, so that the time is never none.
    let time = house.message_time + Duration::from_secs(1);
    tokio::time::timeout(time, read).await.unwrap_or_else(|_| Err(late()))
}
