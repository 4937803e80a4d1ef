//! The routes: one file a topic, each with a `routes` function. What is not listed here does not exist.

pub(crate) mod catalog;
pub(crate) mod console;
pub(crate) mod deliveries;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod jobs;
pub(crate) mod loads;
pub(crate) mod messages;
pub(crate) mod queries;
pub(crate) mod runs;
pub(crate) mod saved;
pub(crate) mod session;
pub(crate) mod statements;
pub(crate) mod tokens;
pub(crate) mod topics;
pub(crate) mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use polder_types::{Error, ErrorKind};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::error::{ApiError, UNDEFINED_OBJECT};
use crate::state::App;
use crate::{auth, middleware, schema_registry};

/// Where the API begins.
pub(crate) const BASE: &str = "/api/v1";

/// Outside the API: for browsers and for machines that watch.
pub(crate) fn root() -> OpenApiRouter<App> {
    OpenApiRouter::default().merge(session::root_routes()).merge(health::routes())
}

/// The part of the API that needs no login.
pub(crate) fn open() -> OpenApiRouter<App> {
    OpenApiRouter::default().merge(session::open_routes()).merge(crate::openapi::routes())
}

/// The part of the API that needs one.
pub(crate) fn closed() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(session::routes())
        .merge(tokens::routes())
        .merge(statements::routes())
        .merge(queries::routes())
        .merge(catalog::routes())
        .merge(uploads::routes())
        .merge(loads::routes())
        .merge(saved::routes())
        .merge(jobs::routes())
        .merge(runs::routes())
        .merge(topics::routes())
        .merge(messages::routes())
        .merge(groups::routes())
        .merge(deliveries::routes())
}

/// Everything, with what surrounds it. The last layer is the first to see a request.
pub(crate) fn router(app: App) -> Router {
    let closed = closed().route_layer(from_fn_with_state(Arc::clone(&app), auth::require));
    let api = OpenApiRouter::default()
        .merge(open())
        .merge(closed)
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::same_site));
    let (mut router, _) = root().nest(BASE, api).split_for_parts();
    if let Some(schemas) = &app.schemas {
        router = router.nest(schema_registry::BASE, schema_registry::router(Arc::clone(&app), Arc::clone(schemas)));
    }
    router
        .fallback(console::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), middleware::loopback_names))
        .layer(CatchPanicLayer::custom(middleware::panicked))
        .layer(from_fn_with_state(Arc::clone(&app), middleware::observe))
        .with_state(app)
}

async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError(
        Error::new(ErrorKind::InvalidInput, format!("{path} does not know the method {method}"))
            .with_hint("see /api/v1/openapi.json"),
    )
}

/// The answer to a path of the API that does not exist.
pub(crate) fn no_such_path(path: &str) -> ApiError {
    ApiError(
        Error::not_found(format!("no such path: {path}"))
            .with_code(UNDEFINED_OBJECT)
            .with_hint("see /api/v1/openapi.json"),
    )
}
