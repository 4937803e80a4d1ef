//! For machines that watch.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use polder_types::{Error, ErrorKind};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::identify;
use crate::connection::Peer;
use crate::error::ApiResult;
use crate::metrics::Gauges;
use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(get_health)).routes(routes!(get_metrics))
}

/// Names the process that answers.
const INSTANCE: &str = "x-polder-instance";

/// Tells whether the server answers
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "`ok`",
        headers(("x-polder-instance" = String, description = "Another one after each start")))))]
async fn get_health(State(app): State<App>) -> impl IntoResponse {
    ([(INSTANCE, app.instance.to_string())], "ok")
}

/// Counters for Prometheus
///
/// Without a login from this computer only; a proxy on this computer counts as what stands behind it.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain", description = "Prometheus' text format")))]
async fn get_metrics(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let forwarded = headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for");
    let is_local = peer.address.ip().to_canonical().is_loopback() && !forwarded;
    if !is_local && identify(&app, &headers).await?.is_none() {
        return Err(Error::new(ErrorKind::Unauthenticated, "not logged in")
            .with_hint("send an API token as `Authorization: Bearer …`")
            .into());
    }
    let gauges = Gauges {
        statements_running: app.sql.running().len(),
        loads_running: app.loader.running().len(),
        sessions: app.sessions.count(),
        uploads: app.spool.count(),
        log: app.streams.as_ref().map(|streams| streams.store.counts()),
    };
    let text = app.metrics.render(&gauges);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
