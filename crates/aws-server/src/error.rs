//! Refusals, by AWS' own codes.

use axum::http::StatusCode;
use polder_capability::topics::{TopicError, TopicFailure};

/// The account that everything here belongs to. There are no others.
pub const ACCOUNT: &str = "123456789012";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub code: &'static str,
    pub message: String,
    pub status: StatusCode,
}

pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: StatusCode::BAD_REQUEST }
    }

    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub fn argument(message: impl Into<String>) -> Self {
        Self::new("InvalidArgumentException", message)
    }

    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// One value that breaks a rule, as AWS words it.
    pub fn constraint(value: &str, at: &str, rule: &str) -> Self {
        let value: String = value.chars().take(200).collect();
        Self::validation(format!(
            "1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: Member must {rule}"
        ))
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }

    pub fn internal() -> Self {
        Self::new("InternalFailure", "an error of the server's own, which its log tells more about")
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub fn unavailable() -> Self {
        Self::new("ServiceUnavailable", "try again later").with_status(StatusCode::SERVICE_UNAVAILABLE)
    }

    pub fn no_stream(name: &str) -> Self {
        Self::not_found(format!("Stream {name} under account {ACCOUNT} not found."))
    }

    /// What a topic's refusal is to somebody who asked for this stream.
    pub fn of_topic(failure: TopicFailure, stream: &str) -> Self {
        let message = failure.message.unwrap_or_else(|| format!("{:?}", failure.error));
        match failure.error {
            TopicError::UnknownTopic | TopicError::UnknownTopicId => Self::no_stream(stream),
            TopicError::UnknownMember => Self::not_found(message),
            TopicError::TopicExists => {
                Self::new("ResourceInUseException", format!("Stream {stream} under account {ACCOUNT} already exists."))
            }
            TopicError::TopicForbidden | TopicError::ServerForbidden => {
                Self::new("AccessDeniedException", format!("the user has no right to do this with stream {stream}"))
            }
            TopicError::Throttled => Self::new("ProvisionedThroughputExceededException", message),
            TopicError::Policy => Self::new("LimitExceededException", message),
            TopicError::Storage | TopicError::Unavailable | TopicError::TimedOut => {
                Self { message, ..Self::unavailable() }
            }
            TopicError::Internal | TopicError::CorruptBatch => Self::internal(),
            _ => Self::argument(message),
        }
    }
}
