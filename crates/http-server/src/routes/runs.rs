//! Runs of jobs: what came of them, their logs, and what to do about them.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use polder_capability::{Caller, Reach, RunFilter, RunRecord};
use polder_types::{Error, Result, RunId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::jobs::RunQueued;
use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Id, Query};
use crate::model::jobs::{Run, RunState};
use crate::state::App;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_runs))
        .routes(routes!(get_run, cancel_run))
        .routes(routes!(get_run_log))
        .routes(routes!(run_again))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {
    /// Only those of this job.
    job: Option<String>,
    state: Option<RunState>,
    /// Only those queued before this one.
    #[param(value_type = Option<String>, format = "uuid")]
    before: Option<Uuid>,
    /// At most so many, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(default = "limit_default")]
    limit: u32,
}

fn limit_default() -> u32 {
    LIMIT_DEFAULT
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunList {
    runs: Vec<Run>,
}

/// Lists runs, newest first
#[utoipa::path(get, path = "/runs", tag = "jobs", params(RunsQuery), responses((status = 200, body = RunList)))]
async fn list_runs(
    State(app): State<App>,
    Identity(caller): Identity,
    Query(query): Query<RunsQuery>,
) -> ApiResult<axum::Json<RunList>> {
    if query.limit == 0 || query.limit > LIMIT_MAX {
        return Err(Error::invalid(format!("`limit` is {}, it can be 1 to {LIMIT_MAX}", query.limit)).into());
    }
    let filter = RunFilter {
        job: query.job,
        state: query.state.map(Into::into),
        before: query.before.map(RunId),
        limit: query.limit,
    };
    let mut runs = app.jobs.runs(&filter).await?;
    if !app.accounts.is_superuser(&caller.user).await? {
        let mut owned = HashMap::new();
        for job in app.jobs.list().await? {
            if app.accounts.reaches(&caller.user, &job.definition.owner, Reach::Own).await? {
                owned.insert(job.definition.name.clone(), job);
            }
        }
        runs.retain(|run| owned.get(&run.job).is_some_and(|job| job.has_run(run)));
    }
    Ok(axum::Json(RunList { runs: runs.into_iter().map(Into::into).collect() }))
}

/// Tells what came of a run
#[utoipa::path(get, path = "/runs/{id}", tag = "jobs",
    params(("id" = String, Path, format = "uuid", description = "The run's id")),
    responses((status = 200, body = Run)))]
async fn get_run(State(app): State<App>, Identity(caller): Identity, Id(id): Id<RunId>) -> ApiResult<axum::Json<Run>> {
    let run = owned(&app, &caller, id).await?;
    Ok(axum::Json(run.into()))
}

/// Cancels a run that waits or runs
#[utoipa::path(delete, path = "/runs/{id}", tag = "jobs",
    params(("id" = String, Path, format = "uuid", description = "The run's id")),
    responses((status = 204, description = "Asked to stop")))]
async fn cancel_run(State(app): State<App>, Identity(caller): Identity, Id(id): Id<RunId>) -> ApiResult<StatusCode> {
    owned(&app, &caller, id).await?;
    if app.jobs.cancel(id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Error::not_found(format!("no such run, or it has ended: {id}")).with_code(UNDEFINED_OBJECT).into())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// The byte to begin at: what the last answer gave as `next`.
    #[serde(default)]
    from: u64,
}

/// A part of a run's log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunLog {
    /// Lines of `time message`.
    text: String,
    /// Where the next part begins.
    next: u64,
    /// Nothing will be added any more.
    ended: bool,
}

/// Reads a run's log, also while it runs
#[utoipa::path(get, path = "/runs/{id}/log", tag = "jobs",
    params(("id" = String, Path, format = "uuid", description = "The run's id"), LogQuery),
    responses((status = 200, body = RunLog)))]
async fn get_run_log(
    State(app): State<App>,
    Identity(caller): Identity,
    Id(id): Id<RunId>,
    Query(query): Query<LogQuery>,
) -> ApiResult<axum::Json<RunLog>> {
    owned(&app, &caller, id).await?;
    let part = app.jobs.log(id, query.from).await?.ok_or_else(|| no_such_run(id))?;
    Ok(axum::Json(RunLog { text: part.text, next: part.next, ended: part.has_ended }))
}

/// Runs the job of an earlier run again
///
/// As the job is defined today.
#[utoipa::path(post, path = "/runs/{id}/again", tag = "jobs",
    params(("id" = String, Path, format = "uuid", description = "The run's id")),
    responses((status = 202, body = RunQueued)))]
async fn run_again(
    State(app): State<App>,
    Identity(caller): Identity,
    Id(id): Id<RunId>,
) -> ApiResult<(StatusCode, axum::Json<RunQueued>)> {
    owned(&app, &caller, id).await?;
    let run_id = app.jobs.run_again(&caller, id).await?.0;
    Ok((StatusCode::ACCEPTED, axum::Json(RunQueued { run_id })))
}

/// A run of a job of the caller's, or of a role whose rights the caller has. Those of jobs that are gone are for superusers.
async fn owned(app: &App, caller: &Caller, id: RunId) -> Result<RunRecord> {
    let run = app.jobs.run_record(id).await?.ok_or_else(|| no_such_run(id))?;
    if app.accounts.is_superuser(&caller.user).await? {
        return Ok(run);
    }
    match app.jobs.find(&run.job).await? {
        Some(job)
            if job.has_run(&run) && app.accounts.reaches(&caller.user, &job.definition.owner, Reach::Own).await? =>
        {
            Ok(run)
        }
        _ => Err(no_such_run(id)),
    }
}

fn no_such_run(id: RunId) -> Error {
    Error::not_found(format!("there is no run {id}")).with_code(UNDEFINED_OBJECT)
}
