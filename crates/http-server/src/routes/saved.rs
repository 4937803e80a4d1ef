//! Queries kept under a name.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use polder_capability::{self as contract, Caller, Reach};
use polder_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Json, Segments};
use crate::state::App;

const NAME_CHARS_MAX: usize = 255;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_saved_queries, create_saved_query))
        .routes(routes!(update_saved_query, delete_saved_query))
}

/// A query kept under a name, with the chart that shows its answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedQuery {
    id: String,
    name: String,
    description: String,
    sql: String,
    /// `null`: a table. Given back as it was stored.
    #[schema(value_type = Option<Chart>)]
    chart: Value,
    owner: String,
    updated_at: DateTime<Utc>,
}

impl From<contract::SavedQuery> for SavedQuery {
    fn from(query: contract::SavedQuery) -> Self {
        let contract::SavedQuery { id, name, description, sql, chart, owner, updated_at } = query;
        Self { id, name, description, sql, chart, owner, updated_at }
    }
}

/// A picture of an answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chart {
    kind: ChartKind,
    /// The column along the horizontal axis.
    x: Option<String>,
    /// The columns that are drawn.
    #[serde(default)]
    y: Vec<String>,
    /// The column whose values make one line, bar or colour each.
    series: Option<String>,
    #[serde(default)]
    stacked: bool,
    title: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChartKind {
    Bar,
    Line,
    Area,
    Scatter,
    Pie,
    Histogram,
    Heatmap,
    Number,
    Table,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedQueryList {
    queries: Vec<SavedQuery>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedQueryRequest {
    name: String,
    #[serde(default)]
    description: String,
    sql: String,
    chart: Option<Chart>,
}

impl SavedQueryRequest {
    /// The query as the contract wants it; an empty id makes a new one.
    fn into_query(self, id: String, owner: String, updated_at: DateTime<Utc>) -> Result<contract::SavedQuery> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(Error::invalid(format!("a query's name has 1 to {NAME_CHARS_MAX} characters")));
        }
        let chart = serde_json::to_value(self.chart)
            .map_err(|error| Error::internal("the chart cannot be written as JSON").with_source(error))?;
        Ok(contract::SavedQuery { id, name, description: self.description, sql: self.sql, chart, owner, updated_at })
    }
}

/// Lists saved queries
#[utoipa::path(get, path = "/saved-queries", tag = "saved queries", responses((status = 200, body = SavedQueryList)))]
async fn list_saved_queries(State(app): State<App>, Identity(_): Identity) -> ApiResult<axum::Json<SavedQueryList>> {
    let queries = app.saved.list().await?.into_iter().map(Into::into).collect();
    Ok(axum::Json(SavedQueryList { queries }))
}

/// Saves a query
#[utoipa::path(post, path = "/saved-queries", tag = "saved queries", request_body = SavedQueryRequest,
    responses((status = 201, body = SavedQuery)))]
async fn create_saved_query(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(request): Json<SavedQueryRequest>,
) -> ApiResult<(StatusCode, axum::Json<SavedQuery>)> {
    let query = request.into_query(String::new(), caller.user, app.clock.now())?;
    Ok((StatusCode::CREATED, axum::Json(app.saved.put(query).await?.into())))
}

/// Changes a saved query
///
/// Its owner stays.
#[utoipa::path(put, path = "/saved-queries/{id}", tag = "saved queries", request_body = SavedQueryRequest,
    params(("id" = String, Path, description = "The query's id")),
    responses((status = 200, body = SavedQuery)))]
async fn update_saved_query(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(id): Segments<String>,
    Json(request): Json<SavedQueryRequest>,
) -> ApiResult<axum::Json<SavedQuery>> {
    let before = owned(&app, &caller, &id).await?;
    let query = request.into_query(before.id, before.owner, app.clock.now())?;
    Ok(axum::Json(app.saved.put(query).await?.into()))
}

/// Deletes a saved query
#[utoipa::path(delete, path = "/saved-queries/{id}", tag = "saved queries",
    params(("id" = String, Path, description = "The query's id")),
    responses((status = 204, description = "Deleted")))]
async fn delete_saved_query(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(id): Segments<String>,
) -> ApiResult<StatusCode> {
    owned(&app, &caller, &id).await?;
    if app.saved.delete(&id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_query().into()) }
}

/// A query that the caller may change: everybody may run it, so that whoever could write another text into it would have it
/// run by others.
///
/// # Errors
/// `NotFound`, and `Forbidden` (42501) unless the caller saved it, or has the rights of whoever did.
async fn owned(app: &App, caller: &Caller, id: &str) -> Result<contract::SavedQuery> {
    let query = app.saved.get(id).await?.ok_or_else(no_such_query)?;
    if app.accounts.reaches(&caller.user, &query.owner, Reach::Own).await? {
        return Ok(query);
    }
    let message = format!("permission denied for saved query \"{}\"", query.name);
    let hint = format!("{} saved it; save one of your own", query.owner);
    Err(Error::new(ErrorKind::Forbidden, message).with_hint(hint))
}

fn no_such_query() -> Error {
    Error::not_found("no such saved query").with_code(UNDEFINED_OBJECT)
}
