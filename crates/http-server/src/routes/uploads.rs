//! Files from the user's computer.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::extract::{Query, content_length};
use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(upload_file))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// The file's name. Only its last component is used: shown, and made into a table name.
    name: String,
}

/// A file that waits to be loaded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upload {
    #[schema(value_type = String, format = "uuid")]
    upload_id: Uuid,
    name: String,
    bytes: u64,
}

/// Uploads a file
///
/// The body is the file as it is. Load it with `POST /loads`; what is not loaded goes away after a day. An upload that is
/// cut off leaves nothing.
#[utoipa::path(post, path = "/uploads", tag = "loading", params(UploadQuery),
    request_body(content = String, content_type = "application/octet-stream", description = "The file's bytes"),
    responses((status = 200, body = Upload)))]
async fn upload_file(
    State(app): State<App>,
    Identity(caller): Identity,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<axum::Json<Upload>> {
    let declared = content_length(&headers);
    let (upload_id, upload) = app.spool.receive(&caller.user, &query.name, declared, body.into_data_stream()).await?;
    Ok(axum::Json(Upload { upload_id, name: upload.name, bytes: upload.bytes }))
}
