//! The registry of schemas, with Confluent's REST API: its paths, its bodies and its numbers of errors.

mod answer;
mod ask;
mod login;
mod schemas;
mod settings;
mod subjects;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use polder_capability::schemas::SchemaRegistry;

use crate::state::App;
use answer::Refusal;
use login::Logins;

/// Where the registry begins.
pub(crate) const BASE: &str = "/schema-registry";

/// What the registry's handlers can reach.
pub(crate) type Registry = Arc<RegistryState>;

pub(crate) struct RegistryState {
    pub app: App,
    pub schemas: Arc<dyn SchemaRegistry>,
    pub logins: Logins,
}

/// All paths below [`BASE`].
pub(crate) fn router(app: App, schemas: Arc<dyn SchemaRegistry>) -> Router<App> {
    let registry = Arc::new(RegistryState { app, schemas, logins: Logins::default() });
    Router::new()
        .route("/", get(schemas::root))
        .route("/contexts", get(schemas::contexts))
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::look_up).delete(subjects::delete))
        .route("/subjects/{subject}/versions", get(subjects::versions).post(subjects::register))
        .route("/subjects/{subject}/versions/{version}", get(subjects::version).delete(subjects::delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::version_schema))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::referenced_by))
        .route("/schemas", get(schemas::list))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text_by_id))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects_of))
        .route("/schemas/ids/{id}/versions", get(schemas::versions_of))
        .route("/compatibility/subjects/{subject}/versions", post(subjects::check_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(subjects::check))
        .route("/config", get(settings::config).put(settings::set_config).delete(settings::delete_config))
        .route(
            "/config/{subject}",
            get(settings::subject_config).put(settings::set_subject_config).delete(settings::delete_subject_config),
        )
        .route("/mode", get(settings::mode).put(settings::set_mode).delete(settings::delete_mode))
        .route(
            "/mode/{subject}",
            get(settings::subject_mode).put(settings::set_subject_mode).delete(settings::delete_subject_mode),
        )
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&registry), login::require))
        .with_state(registry)
}

async fn no_such_path(request: Request) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, 404, format!("no such path: {}", request.uri().path()))
}

async fn wrong_method(request: Request) -> Refusal {
    let message = format!("{} does not know the method {}", request.uri().path(), request.method());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, 405, message)
}

type Answered = Result<Response, Refusal>;
