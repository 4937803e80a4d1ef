//! What ran and what runs.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use polder_capability::Reach;
use polder_types::{Error, QueryId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Id, Query};
use crate::model::loading::LoadStatus;
use crate::model::query::{QueryError, QueryRecord, QueryState};
use crate::state::App;
use crate::system::{self, Excess, known_moment, literal};

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;
const SEARCH_CHARS_MAX: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_queries))
        .routes(routes!(get_query, cancel_query))
        .routes(routes!(list_running))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// At most so many, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default = "limit_default")]
    limit: u64,
    /// Only those that started before this one.
    #[param(value_type = Option<String>, format = "uuid")]
    before: Option<Uuid>,
    /// Only those whose text contains this, in any case.
    search: Option<String>,
}

fn limit_default() -> u64 {
    LIMIT_DEFAULT
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryList {
    queries: Vec<QueryRecord>,
}

/// A row of `polder.queries`.
#[derive(Debug, Deserialize)]
struct Row {
    query_id: Uuid,
    user_name: String,
    via: String,
    sql: String,
    state: QueryState,
    #[serde(deserialize_with = "known_moment")]
    started_at: DateTime<Utc>,
    elapsed_ms: Option<u64>,
    rows_returned: Option<u64>,
    rows_changed: Option<u64>,
    rows_scanned: Option<u64>,
    bytes_scanned: Option<u64>,
    snapshot: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl From<Row> for QueryRecord {
    fn from(row: Row) -> Self {
        let error = row.error_message.map(|message| QueryError {
            code: row.error_code.unwrap_or_default(),
            message,
            position: None,
            hint: None,
        });
        Self {
            query_id: row.query_id,
            user: row.user_name,
            via: row.via,
            sql: row.sql,
            state: row.state,
            started_at: row.started_at,
            elapsed_ms: row.elapsed_ms.unwrap_or_default(),
            rows_returned: row.rows_returned.unwrap_or_default(),
            rows_changed: row.rows_changed.unwrap_or_default(),
            rows_scanned: row.rows_scanned.unwrap_or_default(),
            bytes_scanned: row.bytes_scanned.unwrap_or_default(),
            rows_total: None,
            snapshot: row.snapshot,
            error,
        }
    }
}

/// Lists statements, newest first
///
/// Runs SQL on `polder.queries`; the server's own questions are left out. Answers over 16 MiB are cut: ask for the rest
/// with `before`.
#[utoipa::path(get, path = "/queries", tag = "queries", params(ListQuery), responses((status = 200, body = QueryList)))]
async fn list_queries(
    State(app): State<App>,
    Identity(caller): Identity,
    Query(query): Query<ListQuery>,
) -> ApiResult<axum::Json<QueryList>> {
    if query.limit == 0 || query.limit > LIMIT_MAX {
        return Err(Error::invalid(format!("`limit` is {}, it can be 1 to {LIMIT_MAX}", query.limit)).into());
    }
    if query.search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
        return Err(Error::invalid(format!("`search` is longer than {SEARCH_CHARS_MAX} characters")).into());
    }
    let answer = system::rows::<Row>(&app.sql, &caller.user, list_statement(&query), Excess::Cut).await?;
    Ok(axum::Json(QueryList { queries: answer.rows.into_iter().map(Into::into).collect() }))
}

fn list_statement(query: &ListQuery) -> String {
    let mut sql = format!(
        "SELECT query_id, user_name, via, sql, state, started_at, elapsed_ms, rows_returned, rows_changed, rows_scanned, \
         bytes_scanned, snapshot, error_code, error_message FROM polder.queries WHERE via <> {}",
        literal(system::VIA)
    );
    if let Some(before) = query.before {
        // Ids are chosen by clients, so only the start tells the order; the id breaks ties.
        let id = literal(&before.to_string());
        let start = format!("(SELECT max(started_at) FROM polder.queries WHERE query_id = {id})");
        sql.push_str(&format!(" AND (started_at < {start} OR (started_at = {start} AND query_id < {id}))"));
    }
    if let Some(search) = query.search.as_deref().filter(|text| !text.is_empty()) {
        sql.push_str(&format!(" AND strpos(lower(sql), {}) > 0", literal(&search.to_lowercase())));
    }
    sql.push_str(&format!(" ORDER BY started_at DESC, query_id DESC LIMIT {}", query.limit));
    sql
}

/// Tells how a statement ran, or how far it is
#[utoipa::path(get, path = "/queries/{id}", tag = "queries",
    params(("id" = String, Path, format = "uuid", description = "The query id")),
    responses((status = 200, body = QueryRecord)))]
async fn get_query(
    State(app): State<App>,
    Identity(caller): Identity,
    Id(id): Id<QueryId>,
) -> ApiResult<axum::Json<QueryRecord>> {
    // First the progress: a statement that ends in between is then told as ended.
    let progress = app.sql.progress(id);
    let record = match app.sql.record(id).await? {
        Some(record) => Some(record),
        None => app.sql.running().into_iter().find(|record| record.query_id == id),
    };
    let record = record.ok_or_else(|| no_such_query(id))?;
    if !app.accounts.reaches(&caller.user, &record.user, Reach::See).await? {
        // That there is another's nobody is told.
        return Err(no_such_query(id).into());
    }
    Ok(axum::Json(QueryRecord::from(record).with_progress(progress)))
}

/// Cancels a running statement
///
/// The work stops within a second.
#[utoipa::path(delete, path = "/queries/{id}", tag = "queries",
    params(("id" = String, Path, format = "uuid", description = "The query id")),
    responses((status = 204, description = "Cancelled")))]
async fn cancel_query(
    State(app): State<App>,
    Identity(caller): Identity,
    Id(id): Id<QueryId>,
) -> ApiResult<StatusCode> {
    let running = app.sql.running().into_iter().find(|record| record.query_id == id);
    if let Some(record) = running
        && !app.accounts.reaches(&caller.user, &record.user, Reach::End).await?
    {
        return Err(no_such_query(id).into());
    }
    if app.sql.cancel(id) { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_query(id).into()) }
}

fn no_such_query(id: QueryId) -> Error {
    Error::not_found(format!("no such statement, or it has ended: {id}")).with_code(UNDEFINED_OBJECT)
}

/// What runs now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Running {
    queries: Vec<QueryRecord>,
    loads: Vec<LoadStatus>,
}

/// Lists what runs now
#[utoipa::path(get, path = "/running", tag = "queries", responses((status = 200, body = Running)))]
async fn list_running(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<Running>> {
    let mut running = Running { queries: Vec::new(), loads: Vec::new() };
    for record in app.sql.running().into_iter().filter(|record| record.via != system::VIA) {
        if app.accounts.reaches(&caller.user, &record.user, Reach::See).await? {
            let progress = app.sql.progress(record.query_id);
            running.queries.push(QueryRecord::from(record).with_progress(progress));
        }
    }
    for load in app.loader.running() {
        if app.accounts.reaches(&caller.user, &load.user, Reach::See).await? {
            running.loads.push(load.into());
        }
    }
    Ok(axum::Json(running))
}

#[cfg(test)]
mod tests;
