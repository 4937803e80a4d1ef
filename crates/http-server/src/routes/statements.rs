//! Running SQL.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use polder_capability::{Answer, Caller, Notice, StatementRequest as Statement};
use polder_types::limits::STATEMENT_BYTES_MAX;
use polder_types::{Error, ErrorKind, QueryId, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::answer::{self, RunningStatement};
use crate::auth::Identity;
use crate::encode::Encoder;
use crate::encode::arrow::Arrow;
use crate::encode::csv::Csv;
use crate::encode::json::Json as JsonArray;
use crate::encode::ndjson::Ndjson;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Id, Json};
use crate::middleware::InFlight;
use crate::sessions::Turn;
use crate::state::App;

/// A statement of the greatest length, with room for JSON's escapes.
const BODY_BYTES_MAX: usize = 2 * STATEMENT_BYTES_MAX;

/// All notices together, before percent-encoding. Clients bound the head of an answer.
const NOTICES_BYTES_MAX: usize = 4 << 10;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(run_statement)).routes(routes!(end_session))
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// An Arrow IPC stream, exact in every type.
    #[default]
    Arrow,
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects. Decimals are strings, integers have all their digits, NaN and infinities are strings.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    fn encoder(self, answer: &Answer) -> Box<dyn Encoder> {
        match self {
            Self::Arrow => Box::new(Arrow::new(&answer.schema)),
            Self::Ndjson => Box::new(Ndjson::new()),
            Self::Json => Box::new(JsonArray::new()),
            Self::Csv => Box::new(Csv::new(Arc::clone(&answer.schema))),
        }
    }
}

/// SQL to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatementRequest {
    /// One or several statements; the answer is the last one's.
    sql: String,
    /// Chosen by the client, so that it can ask for progress and cancel before the answer begins.
    #[schema(value_type = Option<String>, format = "uuid")]
    query_id: Option<Uuid>,
    #[serde(default)]
    format: Format,
    /// Rows after which the answer ends. `null`: all.
    row_limit: Option<u64>,
    /// Any UUID: statements with the same one share a transaction and settings. It ends after 10 idle minutes.
    #[schema(value_type = Option<String>, format = "uuid")]
    session: Option<Uuid>,
    /// Read the lake as it was at this version. Not together with `session`: there, use `SET snapshot`.
    snapshot: Option<i64>,
}

/// The request's share in the bound on how many there are.
pub(crate) struct Share(Option<InFlight>);

impl<S: Sync> FromRequestParts<S> for Share {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

/// Runs SQL
///
/// The body streams as the rows come. An error after the first rows breaks the connection off; ask
/// `GET /queries/{id}` then. A client that closes the connection cancels the statement.
#[utoipa::path(post, path = "/statements", tag = "statements", request_body = StatementRequest, responses((
    status = 200,
    description = "The rows, in the format asked for",
    content(
        (String = "application/vnd.apache.arrow.stream"),
        (String = "application/x-ndjson"),
        (String = "application/json"),
        (String = "text/csv"),
    ),
    headers(
        ("Polder-Query-Id" = String, description = "The id of this run"),
        ("Polder-Command" = String, description = "SELECT, INSERT, CREATE TABLE, …"),
        ("Polder-Rows" = Option<u64>, description = "Rows changed, for statements that change rows"),
        ("Polder-Snapshot" = i64, description = "The lake version that was read, or made"),
        ("Polder-Notices" = Option<String>, description = "A JSON array of {message, hint}, percent-encoded"),
    ),
)))]
async fn run_statement(
    State(app): State<App>,
    Identity(caller): Identity,
    Share(share): Share,
    Json(request): Json<StatementRequest, BODY_BYTES_MAX>,
) -> ApiResult<Response> {
    if request.sql.len() > STATEMENT_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the statement has {} bytes, the limit is {STATEMENT_BYTES_MAX}", request.sql.len()),
        )
        .with_hint("load large data as a file")
        .into());
    }
    let query_id = QueryId(request.query_id.unwrap_or_else(Uuid::now_v7));
    if request.query_id.is_some() && app.sql.progress(query_id).is_some() {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("query id {query_id} is taken"))
            .with_code("42710")
            .with_hint("choose a random UUID for each statement")
            .into());
    }
    let turn = turn(&app, &caller, &request).await?;
    let session = Arc::clone(&turn.session);
    let mut running = RunningStatement::new(Arc::clone(&app.sql), query_id, turn, share);
    let statement = Statement { sql: request.sql, query_id, row_limit: request.row_limit, sent: None };
    let answer = session.run(statement).await.inspect_err(|_| running.ended())?;
    let headers = headers(&answer, request.format)?;
    let encoder = request.format.encoder(&answer);
    let body = answer::body(encoder, answer.batches, running, app.stop.clone()).await?;
    Ok((StatusCode::OK, headers, body).into_response())
}

/// The session that the statement runs in: the client's own, or one for this statement alone.
async fn turn(app: &App, caller: &Caller, request: &StatementRequest) -> Result<Turn> {
    let open = || app.sql.open_session(caller.clone());
    if let Some(id) = request.session {
        if request.snapshot.is_some() {
            return Err(Error::invalid("`snapshot` and `session` cannot be given together")
                .with_hint("run `SET snapshot = …` in the session"));
        }
        return app.sessions.turn(caller, id, open).await;
    }
    let session = open();
    if let Some(snapshot) = request.snapshot {
        let sql = format!("SET snapshot = {snapshot}");
        let answer = session.run(Statement { sql, query_id: QueryId::new(), row_limit: None, sent: None }).await?;
        answer.batches.try_for_each(|_| std::future::ready(Ok(()))).await?;
    }
    Ok(Turn::once(session))
}

fn headers(answer: &Answer, format: Format) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    let mut set = |name: &'static str, value: String| -> Result<()> {
        let value = HeaderValue::from_str(&value)
            .map_err(|error| Error::internal(format!("the header {name} cannot be written")).with_source(error))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok(())
    };
    set("polder-query-id", answer.query_id.to_string())?;
    set("polder-command", answer.tag.verb.clone())?;
    set("polder-snapshot", answer.snapshot.to_string())?;
    if let Some(rows) = answer.tag.rows {
        set("polder-rows", rows.to_string())?;
    }
    if !answer.notices.is_empty() {
        set("polder-notices", percent_encoded(&notices(&answer.notices)))?;
    }
    Ok(headers)
}

/// The notices as a JSON array: as many as fit, and how many did not.
fn notices(notices: &[Notice]) -> String {
    let mut texts = Vec::new();
    let mut bytes = 0;
    for (index, notice) in notices.iter().enumerate() {
        let text = serde_json::json!({"message": notice.message, "hint": notice.hint}).to_string();
        bytes += text.len();
        if bytes > NOTICES_BYTES_MAX {
            let left = notices.len() - index;
            texts.push(serde_json::json!({"message": format!("{left} more notices"), "hint": null}).to_string());
            break;
        }
        texts.push(text);
    }
    format!("[{}]", texts.join(","))
}

/// For a header's value, which is ASCII: what `decodeURIComponent` takes apart again.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Ends a session
///
/// Its open transaction is rolled back. Sessions that nobody ends go away after 10 idle minutes.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "statements",
    params(("id" = String, Path, format = "uuid", description = "The id that the client chose")),
    responses((status = 204, description = "Ended")))]
async fn end_session(State(app): State<App>, Identity(caller): Identity, Id(id): Id<Uuid>) -> ApiResult<StatusCode> {
    if app.sessions.end(&caller.user, id) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found(format!("no session {id}")).with_code(UNDEFINED_OBJECT).into())
    }
}

#[cfg(test)]
mod tests;
