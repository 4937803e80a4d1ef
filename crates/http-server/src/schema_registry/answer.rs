//! What the registry answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use polder_capability::schemas::{Schema, SchemaError, SchemaFailure, SchemaKind, SchemaReference, SchemaVersion};
use polder_types::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::error::status;

/// The type of all bodies.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// A body that is no error.
pub(super) fn answer(body: &impl Serialize) -> Result<Response, Refusal> {
    written(StatusCode::OK, body)
}

/// A schema's text alone, as what it is.
pub(super) fn text(schema: &Schema) -> Response {
    let kind = match schema.kind {
        SchemaKind::Protobuf => HeaderValue::from_static("text/plain; charset=utf-8"),
        SchemaKind::Avro | SchemaKind::Json => CONTENT_TYPE,
    };
    ([(header::CONTENT_TYPE, kind)], schema.text.clone()).into_response()
}

fn written(status: StatusCode, body: &impl Serialize) -> Result<Response, Refusal> {
    let json = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "an answer of the registry of schemas cannot be written");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, 50001, "the answer cannot be written as JSON")
    })?;
    Ok((status, [(header::CONTENT_TYPE, CONTENT_TYPE)], json).into_response())
}

/// An error, with the registry's own number.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: u32,
    message: String,
    /// Seconds after which another try is worth it.
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    error_code: u32,
    message: &'a str,
}

impl Refusal {
    pub fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// A request that cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 400, message)
    }

    /// A body or an option whose value is none.
    pub fn unprocessable(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = RefusalBody { error_code: self.code, message: &self.message };
        let mut response = written(self.status, &body).unwrap_or_else(|_| self.status.into_response());
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"polder\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<SchemaFailure> for Refusal {
    fn from(failure: SchemaFailure) -> Self {
        use SchemaError as Of;
        let (status, code) = match failure.error {
            Of::UnknownSubject => (404, 40401),
            Of::UnknownVersion => (404, 40402),
            Of::UnknownSchema => (404, 40403),
            Of::SubjectDeleted => (404, 40404),
            Of::SubjectNotDeleted => (404, 40405),
            Of::VersionDeleted => (404, 40406),
            Of::VersionNotDeleted => (404, 40407),
            Of::NoSubjectConfig => (404, 40408),
            Of::NoSubjectMode => (404, 40409),
            Of::Incompatible => (409, 409),
            Of::InvalidSchema => (422, 42201),
            Of::InvalidVersion => (422, 42202),
            Of::WrongMode | Of::IdTaken | Of::TooMany | Of::Unsupported => (422, 42205),
            Of::Referenced => (422, 42206),
            Of::InvalidSubject => (422, 42208),
            Of::TooLarge => (422, 42209),
            Of::Forbidden => (403, 40301),
            Of::Busy => (503, 50301),
            Of::Store => (500, 50001),
        };
        if failure.error == Of::Store {
            tracing::error!(error = %failure, "the registry of schemas failed");
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, code, failure.message)
    }
}

/// What the rest of the server refuses: logins, bodies.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = status(error.kind());
        if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Corrupt) {
            tracing::error!(?error, "a request to the registry of schemas failed");
        }
        let code = if status.is_server_error() { 50001 } else { u32::from(status.as_u16()) * 100 + 1 };
        let mut refusal = Self::new(status, code, error.described());
        if error.kind() == ErrorKind::Unavailable {
            refusal.retry_after = Some(crate::error::retry_after(&error));
        }
        refusal
    }
}

/// A reference in a body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    pub name: String,
    pub subject: String,
    pub version: i32,
}

impl From<SchemaReference> for Reference {
    fn from(SchemaReference { name, subject, version }: SchemaReference) -> Self {
        Self { name, subject, version }
    }
}

/// A schema in an answer. Avro needs not be named: the registry began with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference>,
    schema: String,
}

impl From<Schema> for SchemaAnswer {
    fn from(Schema { kind, text, references }: Schema) -> Self {
        Self {
            schema_type: (kind != SchemaKind::Avro).then(|| kind.name()),
            references: references.into_iter().map(Into::into).collect(),
            schema: text,
        }
    }
}

/// A version in an answer.
#[derive(Debug, Serialize)]
pub(super) struct VersionAnswer {
    subject: String,
    version: i32,
    id: i32,
    #[serde(flatten)]
    schema: SchemaAnswer,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl From<SchemaVersion> for VersionAnswer {
    fn from(SchemaVersion { subject, version, id, schema, is_deleted }: SchemaVersion) -> Self {
        Self { subject, version, id, schema: schema.into(), deleted: is_deleted }
    }
}
