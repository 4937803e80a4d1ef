//! What the registry is asked: options, subjects, versions, bodies.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use polder_capability::schemas::{
    Deleted, NewSchema, Page, Schema, SchemaForm, SchemaKind, SchemaReference, VersionChoice,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::answer::{Reference, Refusal};
use crate::extract;

/// A schema of a mebibyte, as a text in JSON.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The options of all requests. One that is not here is refused, and so is one that the request has no use for, if it asks
/// for anything.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Options {
    #[serde(deserialize_with = "flag")]
    pub deleted: bool,
    /// One client writes it with an underscore.
    #[serde(deserialize_with = "flag", alias = "deleted_only")]
    deleted_only: bool,
    #[serde(deserialize_with = "flag")]
    pub permanent: bool,
    #[serde(deserialize_with = "flag")]
    pub normalize: bool,
    #[serde(deserialize_with = "flag")]
    pub verbose: bool,
    #[serde(deserialize_with = "flag")]
    pub force: bool,
    #[serde(deserialize_with = "flag")]
    pub default_to_global: bool,
    #[serde(deserialize_with = "flag")]
    pub latest_only: bool,
    #[serde(deserialize_with = "flag")]
    fetch_max_id: bool,
    subject_prefix: String,
    /// The subject in whose context an id is looked for. There is one context.
    subject: String,
    format: String,
    #[serde(alias = "reference_format")]
    reference_format: String,
    offset: i64,
    limit: Option<i64>,
}

/// `true` as programs write it, some of them with a capital.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(serde::de::Error::custom(format!("\"{text}\" is neither true nor false"))),
    }
}

impl<S: Sync> FromRequestParts<S> for Options {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let options = axum::extract::Query::<Self>::try_from_uri(&parts.uri)
            .map_err(|error| Refusal::bad(format!("the query string cannot be used: {}", error.body_text())))?
            .0;
        if options.fetch_max_id || !options.reference_format.is_empty() {
            return Err(Refusal::bad("\"fetchMaxId\" and \"referenceFormat\" are not supported"));
        }
        if !options.subject.is_empty() {
            in_the_context(&options.subject)?;
        }
        Ok(options)
    }
}

impl Options {
    pub fn deleted(&self) -> Deleted {
        match (self.deleted_only, self.deleted) {
            (true, _) => Deleted::Only,
            (false, true) => Deleted::With,
            (false, false) => Deleted::Without,
        }
    }

    pub fn form(&self) -> Result<SchemaForm, Refusal> {
        match self.format.as_str() {
            "" => Ok(SchemaForm::AsIs),
            "resolved" => Ok(SchemaForm::Resolved),
            "serialized" => Ok(SchemaForm::Serialized),
            other => Err(Refusal::bad(format!("there is no format \"{other}\", but \"resolved\" and \"serialized\""))),
        }
    }

    /// The beginning of subjects. All contexts are the one that there is.
    pub fn prefix(&self) -> Result<&str, Refusal> {
        match self.subject_prefix.strip_prefix(":*:") {
            Some(rest) => Ok(rest),
            None => in_the_context(&self.subject_prefix),
        }
    }

    pub fn page(&self) -> Page {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        Page { offset: usize::try_from(self.offset).unwrap_or(0), limit }
    }

    /// The part of a list that was asked for.
    pub fn part<T>(&self, list: Vec<T>) -> Vec<T> {
        let Page { offset, limit } = self.page();
        list.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect()
    }
}

/// A subject without its context, which can only be the one that there is.
fn in_the_context(subject: &str) -> Result<&str, Refusal> {
    let Some(qualified) = subject.strip_prefix(":.") else { return Ok(subject) };
    match qualified.strip_prefix(':') {
        Some(subject) => Ok(subject),
        None => Err(Refusal::unprocessable(42205, "there is one context, \".\"; others are not supported")),
    }
}

/// The subject in the path.
pub(super) struct Subject(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Subject {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(subject) = path::<String, S>(parts, state).await?;
        Ok(Self(in_the_context(&subject)?.to_owned()))
    }
}

/// The subject and the version in the path.
pub(super) struct SubjectVersion(pub String, pub VersionChoice);

impl<S: Send + Sync> FromRequestParts<S> for SubjectVersion {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path((subject, version)) = path::<(String, String), S>(parts, state).await?;
        let version = match version.as_str() {
            "latest" | "-1" => VersionChoice::Latest,
            number => VersionChoice::Number(number.parse().map_err(|_| {
                let message = format!("a version is a number from 1 on, or \"latest\", not \"{number}\"");
                Refusal::unprocessable(42202, message)
            })?),
        };
        Ok(Self(in_the_context(&subject)?.to_owned(), version))
    }
}

/// The id in the path.
pub(super) struct SchemaId(pub i32);

impl<S: Send + Sync> FromRequestParts<S> for SchemaId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(id) = path::<String, S>(parts, state).await?;
        id.parse().map(Self).map_err(|_| {
            Refusal::new(axum::http::StatusCode::NOT_FOUND, 404, format!("an id is a number, not \"{id}\""))
        })
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Path<T>, Refusal> {
    let read = Path::<T>::from_request_parts(parts, state).await;
    read.map_err(|error| Refusal::bad(format!("the path cannot be used: {}", error.body_text())))
}

/// A body in JSON.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            let message =
                "the body is not declared as JSON: send `Content-Type: application/vnd.schemaregistry.v1+json`";
            return Err(Refusal::new(axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, message));
        }
        let bytes = extract::whole(request, BODY_BYTES_MAX).await?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| Refusal::unprocessable(422, format!("the JSON body cannot be used: {error}")))
    }
}

/// Only types that a page of another site cannot send without being asked first: no form, no plain text.
fn is_json(headers: &HeaderMap) -> bool {
    const TYPES: [&str; 3] =
        ["application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json"];
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let declared = declared.split(';').next().unwrap_or_default().trim();
    TYPES.iter().any(|kind| kind.eq_ignore_ascii_case(declared))
}

/// What a body asks for beyond what is known: nothing but `null`s and what is empty.
pub(super) fn check_rest(rest: &Map<String, Value>) -> Result<(), Refusal> {
    let asks = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => object.values().any(|value| !value.is_null()),
        _ => true,
    };
    match rest.iter().find(|(_, value)| asks(value)) {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::unprocessable(42205, format!("\"{name}\" is not supported"))),
    }
}

/// A schema in a body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaBody {
    schema: Option<String>,
    schema_type: Option<String>,
    references: Option<Vec<Reference>>,
    id: Option<i32>,
    version: Option<i32>,
    /// What an answer says of a schema, in a body that brings it back.
    #[serde(rename = "subject")]
    _subject: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl SchemaBody {
    pub fn schema(self) -> Result<Schema, Refusal> {
        Ok(self.new_schema(false)?.schema)
    }

    pub fn new_schema(self, normalizes: bool) -> Result<NewSchema, Refusal> {
        check_rest(&self.rest)?;
        let name = self.schema_type.unwrap_or_else(|| SchemaKind::Avro.name().to_owned());
        let kind = SchemaKind::named(&name)
            .ok_or_else(|| Refusal::unprocessable(42201, format!("there is no type of schemas \"{name}\"")))?;
        let text = self.schema.filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Refusal::unprocessable(42201, "the schema is empty"))?;
        let references = self
            .references
            .unwrap_or_default()
            .into_iter()
            .map(|Reference { name, subject, version }| {
                let subject = in_the_context(&subject)?.to_owned();
                Ok(SchemaReference { name, subject, version })
            })
            .collect::<Result<_, Refusal>>()?;
        // Numbers below 1 say that there is none.
        let (id, version) = (self.id.filter(|id| *id >= 0), self.version.filter(|version| *version > 0));
        Ok(NewSchema { schema: Schema { kind, text, references }, id, version, normalizes })
    }
}
