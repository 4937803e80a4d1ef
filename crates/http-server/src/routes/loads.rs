//! Files into tables.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use polder_capability as contract;
use polder_capability::{Caller, LoadSource, LoadState, Reach};
use polder_types::{Error, LoadId, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Id, Json};
use crate::model::loading::{LoadMode, LoadOptions, LoadStatus, Preview};
use crate::spool::Claim;
use crate::state::App;

/// Sources of one load.
const SOURCES_MAX: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(preview_load))
        .routes(routes!(start_load))
        .routes(routes!(get_load, cancel_load))
}

/// What to look at: an upload or a location, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    #[schema(value_type = Option<String>, format = "uuid")]
    upload_id: Option<Uuid>,
    /// `https://…`, `s3://…`, or a path on the server's disk.
    source: Option<String>,
    options: Option<LoadOptions>,
}

/// Shows what a load would make
#[utoipa::path(post, path = "/loads/preview", tag = "loading", request_body = PreviewRequest,
    responses((status = 200, body = Preview)))]
async fn preview_load(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(request): Json<PreviewRequest>,
) -> ApiResult<axum::Json<Preview>> {
    let (source, claims) = match (request.upload_id, request.source) {
        (Some(id), None) => {
            let claims = app.spool.claim(&caller.user, &[id])?;
            (claims.first().map(Claim::source), claims)
        }
        (None, Some(source)) => (Some(LoadSource::Location(source)), Vec::new()),
        _ => (None, Vec::new()),
    };
    let source = source.ok_or_else(|| Error::invalid("give either `upload_id` or `source`"))?;
    let options = request.options.unwrap_or_default().into();
    let preview = app.loader.preview(&caller, &source, &options).await?;
    drop(claims);
    Ok(axum::Json(preview.into()))
}

/// What to load, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadRequest {
    /// Uploads of the same user.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    upload_ids: Vec<Uuid>,
    /// `https://…`, `s3://…`, or paths on the server's disk.
    #[serde(default)]
    sources: Vec<String>,
    /// `table` or `schema.table`. Without it, each file makes a table of its own name.
    into: Option<String>,
    #[serde(default)]
    mode: LoadMode,
    /// Refuse the whole load at the first row that cannot be read.
    #[serde(default)]
    strict: bool,
    /// Load again what was loaded before.
    #[serde(default)]
    again: bool,
    options: Option<LoadOptions>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadStarted {
    #[schema(value_type = String, format = "uuid")]
    load_id: Uuid,
}

/// Loads files into tables
///
/// Runs in the background: ask `GET /loads/{id}`. A load is one transaction, all of it is there or nothing. The uploads
/// go away when it is done; after a failure they stay for another try.
#[utoipa::path(post, path = "/loads", tag = "loading", request_body = LoadRequest,
    responses((status = 202, body = LoadStarted)))]
async fn start_load(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(request): Json<LoadRequest>,
) -> ApiResult<(StatusCode, axum::Json<LoadStarted>)> {
    check_sources(&request)?;
    let claims = app.spool.claim(&caller.user, &request.upload_ids)?;
    let uploads = claims.iter().map(Claim::source);
    let locations = request.sources.into_iter().map(LoadSource::Location);
    let load_id = app.loader.start(contract::LoadRequest {
        load_id: LoadId::new(),
        caller,
        sources: uploads.chain(locations).collect(),
        into: request.into,
        mode: request.mode.into(),
        strict: request.strict,
        again: request.again,
        options: request.options.unwrap_or_default().into(),
    })?;
    if !claims.is_empty() {
        tokio::spawn(release(app, load_id, claims));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(LoadStarted { load_id: load_id.0 })))
}

fn check_sources(request: &LoadRequest) -> Result<()> {
    match request.upload_ids.len() + request.sources.len() {
        0 => Err(Error::invalid("nothing to load").with_hint("give `upload_ids` or `sources`")),
        count if count > SOURCES_MAX => Err(Error::invalid(format!("{count} sources, the limit is {SOURCES_MAX}"))
            .with_hint("give a folder or a pattern")),
        _ => Ok(()),
    }
}

/// Keeps the uploads until the load has ended, and deletes them if it went well.
async fn release(app: App, load_id: LoadId, claims: Vec<Claim>) {
    let loader = Arc::clone(&app.loader);
    drop(app);
    let done = loader.wait(load_id).await.is_some_and(|status| status.state == LoadState::Done);
    if done {
        claims.into_iter().for_each(Claim::consume);
    }
}

/// Tells how far a load is, or what came of it
#[utoipa::path(get, path = "/loads/{id}", tag = "loading",
    params(("id" = String, Path, format = "uuid", description = "The load's id")),
    responses((status = 200, body = LoadStatus)))]
async fn get_load(
    State(app): State<App>,
    Identity(caller): Identity,
    Id(id): Id<LoadId>,
) -> ApiResult<axum::Json<LoadStatus>> {
    let status = reached(&app, &caller, id, Reach::See).await?;
    Ok(axum::Json(status.into()))
}

/// Cancels a running load
///
/// Nothing of it stays.
#[utoipa::path(delete, path = "/loads/{id}", tag = "loading",
    params(("id" = String, Path, format = "uuid", description = "The load's id")),
    responses((status = 204, description = "Cancelled")))]
async fn cancel_load(State(app): State<App>, Identity(caller): Identity, Id(id): Id<LoadId>) -> ApiResult<StatusCode> {
    reached(&app, &caller, id, Reach::End).await?;
    if app.loader.cancel(id) { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_load(id).into()) }
}

/// A load that somebody's rights reach. That there is another one nobody is told.
async fn reached(app: &App, caller: &Caller, id: LoadId, reach: Reach) -> Result<contract::LoadStatus> {
    let status = app.loader.status(id).ok_or_else(|| no_such_load(id))?;
    if app.accounts.reaches(&caller.user, &status.user, reach).await? { Ok(status) } else { Err(no_such_load(id)) }
}

fn no_such_load(id: LoadId) -> Error {
    Error::not_found(format!("no such load, or it has ended: {id}")).with_code(UNDEFINED_OBJECT)
}
