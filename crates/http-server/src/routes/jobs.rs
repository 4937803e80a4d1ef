//! Jobs: what is to run when.

use axum::extract::State;
use axum::http::StatusCode;
use polder_capability::deliveries::check_is_no_delivery;
use polder_capability::{Caller, IfExists, JobDefinition, JobStatus, Reach};
use polder_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Json, Segments};
use crate::model::jobs::{CatchUp, Job};
use crate::state::App;

/// The kind of job that runs SQL, with its owner's rights.
const STATEMENT: &str = "statement";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_jobs, create_job))
        .routes(routes!(get_job, replace_job, delete_job))
        .routes(routes!(run_job))
        .routes(routes!(pause_job))
        .routes(routes!(resume_job))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    jobs: Vec<Job>,
}

/// What is to run, and when. Give `sql`, or `kind` and `payload`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    /// Needed to make a job; to change one, it is in the path.
    name: Option<String>,
    /// One statement, or several that run in one session.
    sql: Option<String>,
    /// `compaction`, `vacuum`, `refresh`, or `statement`, which `sql` means.
    kind: Option<String>,
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// A cron expression: minute, hour, day of the month, month, day of the week.
    schedule: Option<String>,
    /// An IANA name; UTC without it.
    time_zone: Option<String>,
    /// Run after each successful run of this job.
    after: Option<String>,
    /// Further attempts after one that failed or was cut off.
    retries: Option<u32>,
    /// Seconds before the second attempt, doubled for each further one.
    backoff_seconds: Option<u64>,
    timeout_seconds: Option<u64>,
    catch_up: Option<CatchUp>,
}

impl JobRequest {
    fn into_definition(self, name: String, owner: String) -> Result<JobDefinition> {
        let (kind, payload) = match (self.sql, self.kind, self.payload) {
            (Some(sql), None, None) => (STATEMENT.to_owned(), serde_json::json!({ "sql": sql })),
            (None, Some(kind), payload) => (kind, payload.unwrap_or_else(|| serde_json::json!({}))),
            _ => return Err(Error::invalid("give `sql`, or `kind` and `payload`")),
        };
        let mut job = JobDefinition::new(name, &kind, payload, owner);
        job.schedule = self.schedule;
        job.time_zone = self.time_zone.unwrap_or(job.time_zone);
        job.after = self.after;
        job.retries = self.retries.unwrap_or_default();
        job.backoff_seconds = self.backoff_seconds.unwrap_or(job.backoff_seconds);
        job.timeout_seconds = self.timeout_seconds;
        job.catch_up = self.catch_up.unwrap_or_default().into();
        Ok(job)
    }
}

/// Lists jobs, by name
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses((status = 200, body = JobList)))]
async fn list_jobs(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<JobList>> {
    let mut jobs = Vec::new();
    for job in app.jobs.list().await? {
        if app.accounts.reaches(&caller.user, &job.definition.owner, Reach::Own).await? {
            jobs.push(job.into());
        }
    }
    Ok(axum::Json(JobList { jobs }))
}

/// Makes a job
#[utoipa::path(post, path = "/jobs", tag = "jobs", request_body = JobRequest,
    responses((status = 201, body = Job)))]
async fn create_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(mut request): Json<JobRequest>,
) -> ApiResult<(StatusCode, axum::Json<Job>)> {
    let name = request.name.take().ok_or_else(|| Error::invalid("a job needs a `name`"))?;
    check_after(&app, &caller, request.after.as_deref()).await?;
    let definition = request.into_definition(name, caller.user)?;
    check_kind(&app, &definition).await?;
    let (job, _) = app.jobs.create(definition, IfExists::Refuse).await?;
    Ok((StatusCode::CREATED, axum::Json(job.into())))
}

/// Tells where a job stands
#[utoipa::path(get, path = "/jobs/{name}", tag = "jobs",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, body = Job)))]
async fn get_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<Job>> {
    let job = owned(&app, &caller, &name).await?;
    Ok(axum::Json(job.into()))
}

/// Changes a job
///
/// What is left out gets its default again. The caller becomes its owner.
#[utoipa::path(put, path = "/jobs/{name}", tag = "jobs", request_body = JobRequest,
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, body = Job)))]
async fn replace_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
    Json(mut request): Json<JobRequest>,
) -> ApiResult<axum::Json<Job>> {
    if request.name.take().is_some_and(|other| other != name) {
        return Err(Error::invalid("a job keeps its name").into());
    }
    let seen = owned(&app, &caller, &name).await?.definition;
    check_is_no_delivery(&seen)?;
    check_after(&app, &caller, request.after.as_deref()).await?;
    let definition = request.into_definition(name, caller.user)?;
    check_kind(&app, &definition).await?;
    Ok(axum::Json(app.jobs.replace(&seen, definition).await?.into()))
}

/// Removes a job
///
/// Its run is cancelled; the record of its runs stays.
#[utoipa::path(delete, path = "/jobs/{name}", tag = "jobs",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 204, description = "Removed")))]
async fn delete_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<StatusCode> {
    check_is_no_delivery(&owned(&app, &caller, &name).await?.definition)?;
    if app.jobs.remove(&name).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_job(&name).into()) }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunQueued {
    #[schema(value_type = String, format = "uuid")]
    pub run_id: Uuid,
}

/// Runs a job now
///
/// Paused or not: as soon as its own run before it has ended and a slot is free.
#[utoipa::path(post, path = "/jobs/{name}/run", tag = "jobs",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 202, body = RunQueued)))]
async fn run_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<(StatusCode, axum::Json<RunQueued>)> {
    owned(&app, &caller, &name).await?;
    let run_id = app.jobs.run(&caller, &name).await?.0;
    Ok((StatusCode::ACCEPTED, axum::Json(RunQueued { run_id })))
}

/// Pauses a job
///
/// What runs goes on; what waits is cancelled.
#[utoipa::path(post, path = "/jobs/{name}/pause", tag = "jobs",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, body = Job)))]
async fn pause_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<Job>> {
    owned(&app, &caller, &name).await?;
    Ok(axum::Json(app.jobs.pause(&name).await?.into()))
}

/// Resumes a job that was paused
///
/// It goes on with the next due time.
#[utoipa::path(post, path = "/jobs/{name}/resume", tag = "jobs",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, body = Job)))]
async fn resume_job(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<Job>> {
    owned(&app, &caller, &name).await?;
    Ok(axum::Json(app.jobs.resume(&name).await?.into()))
}

/// A job of the caller's, or of a role whose rights the caller has. That there is another one nobody is told.
async fn owned(app: &App, caller: &Caller, name: &str) -> Result<JobStatus> {
    let job = app.jobs.find(name).await?.ok_or_else(|| no_such_job(name))?;
    let is_owned = app.accounts.reaches(&caller.user, &job.definition.owner, Reach::Own).await?;
    if is_owned { Ok(job) } else { Err(no_such_job(name)) }
}

/// Whoever could have one run behind another's would learn that it is there, and when it runs.
///
/// # Errors
/// `NotFound` (42704).
async fn check_after(app: &App, caller: &Caller, after: Option<&str>) -> Result<()> {
    match after {
        Some(after) => owned(app, caller, after).await.map(|_| ()),
        None => Ok(()),
    }
}

/// # Errors
/// `Forbidden` (42501) for work on all tables, which nobody's rights bound, unless a superuser asks for it.
async fn check_kind(app: &App, job: &JobDefinition) -> Result<()> {
    if job.kind == STATEMENT || app.accounts.is_superuser(&job.owner).await? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, format!("permission denied to make a job of kind {:?}", job.kind))
        .with_hint("superusers may; a job with `sql` has its owner's rights"))
}

fn no_such_job(name: &str) -> Error {
    Error::not_found(format!("there is no job {name:?}")).with_code(UNDEFINED_OBJECT)
}
