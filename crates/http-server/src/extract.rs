//! Arguments of handlers, read within bounds and refused in the API's own words.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use polder_types::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ApiResult};

/// A body that holds settings, names, lists.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// Time in which the whole of a JSON body must arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// What is read and thrown away of a body that is too large. A client that still sends would else see its connection
/// break instead of the answer.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
const DISCARDED_TIME_MAX: Duration = Duration::from_secs(5);

/// A JSON body of at most `BYTES`.
pub(crate) struct Json<T, const BYTES: usize = BODY_BYTES_MAX>(pub T);

impl<T: DeserializeOwned, S: Sync, const BYTES: usize> FromRequest<S> for Json<T, BYTES> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError(
                Error::invalid("the body is not declared as JSON").with_hint("send `Content-Type: application/json`"),
            ));
        }
        Ok(Self(parse(&in_time(&parts.headers, body, BYTES).await?)?))
    }
}

/// The whole body of a request, of at most `max` bytes.
pub(crate) async fn whole(request: Request, max: usize) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    in_time(&parts.headers, body, max).await
}

async fn in_time(headers: &HeaderMap, body: Body, max: usize) -> Result<Bytes> {
    tokio::time::timeout(BODY_TIME_MAX, read(headers, body, max))
        .await
        .map_err(|_| Error::invalid(format!("the body did not arrive within {} s", BODY_TIME_MAX.as_secs())))?
}

/// JSON, or where it is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line() as u64, error.column() as u64);
        let mut text = error.to_string();
        // The position has its own place in the answer.
        if let Some(end) = text.rfind(" at line ") {
            text.truncate(end);
        }
        Error::invalid(format!("the JSON body cannot be used: {text}")).at(line.max(1), column.max(1))
    })
}

/// `application/json`, whatever follows. A form of another site cannot send it.
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The declared length of a body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body, never more than `max` bytes of it in memory.
async fn read(headers: &HeaderMap, body: Body, max: usize) -> Result<Bytes> {
    let declared = content_length(headers).unwrap_or(0);
    let too_large = || Error::new(ErrorKind::TooLarge, format!("the body is larger than {max} bytes"));
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut fits = declared <= max as u64;
    while fits {
        let Some(chunk) = chunks.next().await else { return Ok(bytes.freeze()) };
        let chunk = chunk.map_err(|error| Error::invalid("the body was cut off").with_source(error))?;
        fits = bytes.len() + chunk.len() <= max;
        if fits {
            bytes.extend_from_slice(&chunk);
        }
    }
    drop(bytes);
    // A client that asks before it sends needs no discarding: it has sent nothing.
    if !headers.contains_key(header::EXPECT) {
        let discard = async {
            let mut discarded = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                discarded += chunk.len();
                if discarded > DISCARDED_BYTES_MAX {
                    break;
                }
            }
        };
        // Out of time is as good as done: the answer is the same.
        let _ = tokio::time::timeout(DISCARDED_TIME_MAX, discard).await;
    }
    Err(too_large())
}

/// The query string.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|error| {
            ApiError(Error::invalid(format!("the query string cannot be used: {}", error.body_text())))
        })
    }
}

/// The variable parts of the path, as text.
pub(crate) struct Segments<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|error| ApiError(Error::invalid(format!("the path cannot be used: {}", error.body_text()))))
    }
}

/// An id in the path.
pub(crate) struct Id<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T>
where
    T::Err: Display,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Segments(text) = Segments::<String>::from_request_parts(parts, state).await?;
        text.parse().map(Self).map_err(|error: T::Err| ApiError(Error::invalid(error.to_string())))
    }
}
