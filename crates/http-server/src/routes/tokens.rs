//! API tokens: passwords for programs.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use polder_capability as contract;
use polder_types::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Json, Segments};
use crate::state::App;

const NAME_CHARS_MAX: usize = 255;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_tokens, create_token)).routes(routes!(delete_token))
}

/// An API token as listed: never its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiToken {
    id: String,
    name: String,
    user: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

impl From<contract::ApiToken> for ApiToken {
    fn from(token: contract::ApiToken) -> Self {
        let contract::ApiToken { id, name, user, created_at, last_used_at, expires_at } = token;
        Self { id, name, user, created_at, last_used_at, expires_at }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    tokens: Vec<ApiToken>,
}

/// Lists the own API tokens
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = TokenList)))]
async fn list_tokens(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<TokenList>> {
    let tokens = app.accounts.list_tokens(&caller.user).await?.into_iter().map(Into::into).collect();
    Ok(axum::Json(TokenList { tokens }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What it is for, in the user's words.
    name: String,
    /// `null`: never.
    expires_at: Option<DateTime<Utc>>,
}

/// A token just made. The secret is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewApiToken {
    token: ApiToken,
    secret: String,
}

/// Makes an API token
///
/// Send its secret as `Authorization: Bearer …`. It is shown once and kept only as a hash.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = TokenRequest,
    responses((status = 200, body = NewApiToken)))]
async fn create_token(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(request): Json<TokenRequest>,
) -> ApiResult<axum::Json<NewApiToken>> {
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Error::invalid(format!("a token's name has 1 to {NAME_CHARS_MAX} characters")).into());
    }
    if request.expires_at.is_some_and(|moment| moment <= app.clock.now()) {
        return Err(Error::invalid("the token would have expired already").into());
    }
    let contract::NewApiToken { token, secret } =
        app.accounts.create_token(&caller.user, name, request.expires_at).await?;
    Ok(axum::Json(NewApiToken { token: token.into(), secret }))
}

/// Deletes an API token
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "Deleted; it opens nothing any more")))]
async fn delete_token(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(id): Segments<String>,
) -> ApiResult<StatusCode> {
    if app.accounts.delete_token(&caller.user, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found("no such token").with_code(UNDEFINED_OBJECT).into())
    }
}
