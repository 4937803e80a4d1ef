//! Deliveries: what is brought on from topics, and where it stands.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use polder_capability::deliveries::{Deliveries, DeliveryStatus};
use polder_capability::{Caller, Reach};
use polder_types::{Error, ErrorKind, Result};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::Segments;
use crate::model::streams::Delivery;
use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_deliveries))
        .routes(routes!(get_delivery, delete_delivery))
        .routes(routes!(pause_delivery))
        .routes(routes!(resume_delivery))
        .routes(routes!(redrive_delivery))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    deliveries: Vec<Delivery>,
}

/// Lists deliveries, by name
#[utoipa::path(get, path = "/deliveries", tag = "deliveries", responses((status = 200, body = DeliveryList)))]
async fn list_deliveries(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<DeliveryList>> {
    let mut deliveries = Vec::new();
    for delivery in all(&app)?.list().await? {
        if app.accounts.reaches(&caller.user, &delivery.definition.owner, Reach::Own).await? {
            deliveries.push(delivery.into());
        }
    }
    Ok(axum::Json(DeliveryList { deliveries }))
}

/// Tells where a delivery stands
#[utoipa::path(get, path = "/deliveries/{name}", tag = "deliveries",
    params(("name" = String, Path, description = "The delivery's name")),
    responses((status = 200, body = Delivery)))]
async fn get_delivery(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<Delivery>> {
    let (_, delivery) = owned(&app, &caller, &name).await?;
    Ok(axum::Json(delivery.into()))
}

/// Ends a delivery
///
/// What it has delivered, and rejected records, stay.
#[utoipa::path(delete, path = "/deliveries/{name}", tag = "deliveries",
    params(("name" = String, Path, description = "The delivery's name")),
    responses((status = 204, description = "Ended")))]
async fn delete_delivery(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<StatusCode> {
    let (all, _) = owned(&app, &caller, &name).await?;
    if all.remove(&name).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_delivery(&name).into()) }
}

/// Stops a delivery where it is
#[utoipa::path(post, path = "/deliveries/{name}/pause", tag = "deliveries",
    params(("name" = String, Path, description = "The delivery's name")),
    responses((status = 200, body = Delivery)))]
async fn pause_delivery(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<Delivery>> {
    let (all, _) = owned(&app, &caller, &name).await?;
    Ok(axum::Json(all.pause(&name).await?.into()))
}

/// Goes on with a delivery that was paused
#[utoipa::path(post, path = "/deliveries/{name}/resume", tag = "deliveries",
    params(("name" = String, Path, description = "The delivery's name")),
    responses((status = 200, body = Delivery)))]
async fn resume_delivery(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<Delivery>> {
    let (all, _) = owned(&app, &caller, &name).await?;
    Ok(axum::Json(all.resume(&name).await?.into()))
}

/// What came of delivering rejected records again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedriveAnswer {
    /// Rejected records that were taken up.
    read: u64,
    /// Of them, those that arrived.
    delivered: u64,
    /// Of them, those that were rejected again.
    rejected: u64,
}

/// Delivers the rejected records once more
#[utoipa::path(post, path = "/deliveries/{name}/redrive", tag = "deliveries",
    params(("name" = String, Path, description = "The delivery's name")),
    responses((status = 200, body = RedriveAnswer)))]
async fn redrive_delivery(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<RedriveAnswer>> {
    let (all, _) = owned(&app, &caller, &name).await?;
    let done = all.redrive(&name).await?;
    Ok(axum::Json(RedriveAnswer { read: done.read, delivered: done.delivered, rejected: done.rejected }))
}

/// A delivery of the caller's, or of a role whose rights the caller has. That there is another one nobody is told.
async fn owned(app: &App, caller: &Caller, name: &str) -> Result<(Arc<dyn Deliveries>, DeliveryStatus)> {
    let all = all(app)?;
    let delivery = all.find(name).await?.ok_or_else(|| no_such_delivery(name))?;
    if app.accounts.reaches(&caller.user, &delivery.definition.owner, Reach::Own).await? {
        return Ok((Arc::clone(all), delivery));
    }
    Err(no_such_delivery(name))
}

fn all(app: &App) -> Result<&Arc<dyn Deliveries>> {
    let all = app.streams()?.deliveries.as_ref();
    all.ok_or_else(|| Error::new(ErrorKind::Unsupported, "this server delivers nothing"))
}

fn no_such_delivery(name: &str) -> Error {
    Error::not_found(format!("there is no delivery {name:?}")).with_code(UNDEFINED_OBJECT)
}
