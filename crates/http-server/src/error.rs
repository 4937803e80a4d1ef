//! Errors on the wire.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use polder_types::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// Nothing of that name: SQLSTATE `undefined_object`, for what is no table.
pub(crate) const UNDEFINED_OBJECT: &str = "42704";

/// Seconds to wait when the error does not say how long.
const RETRY_AFTER_DEFAULT: u64 = 5;
const RETRY_AFTER_MAX: u64 = 3600;

/// An error on its way out. It travels as an extension of the response; [`crate::middleware::observe`] writes the body,
/// because only it knows the request id.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Error);

/// The error that a response carries.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) Arc<Error>);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status(self.0.kind()).into_response();
        let headers = response.headers_mut();
        match self.0.kind() {
            ErrorKind::Unavailable | ErrorKind::Exhausted => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after(&self.0)));
            }
            ErrorKind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"polder\""));
            }
            _ => {}
        }
        response.extensions_mut().insert(Failure(Arc::new(self.0)));
        response
    }
}

/// The HTTP status of a kind of error.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Exhausted | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // "Client closed request": no standard number says it, and this one is widely known.
        ErrorKind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds until it is worth trying again: the first number in the hint, since the contract tells it in words.
pub(crate) fn retry_after(error: &Error) -> u64 {
    let hint = error.hint().unwrap_or_default();
    let digits: String =
        hint.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).take(6).collect();
    digits.parse().unwrap_or(RETRY_AFTER_DEFAULT).clamp(1, RETRY_AFTER_MAX)
}

/// The body of every answer that is no success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    pub error: ErrorBody,
}

/// What went wrong, where, and what to do next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A stable code: a SQLSTATE.
    pub code: String,
    pub kind: Kind,
    /// What and where, for people.
    pub message: String,
    /// Line in the statement or in the JSON body, from 1.
    pub line: Option<u64>,
    /// Column in that line, from 1.
    pub column: Option<u64>,
    /// What to do next.
    pub hint: Option<String>,
    /// Find it in the server's log by this id.
    pub request_id: String,
}

impl ErrorAnswer {
    pub(crate) fn new(error: &Error, request_id: &str) -> Self {
        let position = error.position();
        Self {
            error: ErrorBody {
                code: error.code().to_owned(),
                kind: error.kind().into(),
                message: error.described(),
                line: position.map(|position| position.line),
                column: position.map(|position| position.column),
                hint: error.hint().map(str::to_owned),
                request_id: request_id.to_owned(),
            },
        }
    }
}

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ErrorKind)]
pub(crate) enum Kind {
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    TooLarge,
    Exhausted,
    Cancelled,
    Unavailable,
    Unsupported,
    Corrupt,
    Internal,
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::Unauthenticated => Self::Unauthenticated,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Exhausted => Self::Exhausted,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests;
