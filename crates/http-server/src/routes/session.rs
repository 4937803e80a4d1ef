//! Logging in and out.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use polder_capability::Origin;
use polder_types::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Auth, Identity, cookie, cookie_header, cookie_removal};
use crate::connection::Peer;
use crate::error::ApiResult;
use crate::extract::{Json, Query};
use crate::state::App;

/// A name and a password, not a document.
const LOGIN_BYTES_MAX: usize = 4 << 10;

pub(crate) fn root_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(open_link))
}

pub(crate) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(login)).routes(routes!(logout))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(me)).routes(routes!(change_password))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    user: String,
    password: String,
}

/// Logs in with a password
///
/// Gives the cookie `polder_session`. After wrong passwords further tries are slowed down: 503 with `Retry-After`.
#[utoipa::path(post, path = "/login", tag = "session", security(()), request_body = LoginRequest,
    responses((status = 204, description = "Logged in; the answer sets the cookie")))]
async fn login(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(request): Json<LoginRequest, LOGIN_BYTES_MAX>,
) -> ApiResult<Response> {
    if app.auth.is_trust() {
        return Err(Error::invalid("the server trusts everyone on this computer, there is nothing to log in to").into());
    }
    let address = peer.address.ip().to_canonical().to_string();
    let origin = Origin { via: "http", address: &address };
    let user = app.accounts.login(&request.user, &request.password, origin).await?;
    let secret = app.accounts.start_session(&user).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie_header(&secret)?)]).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinkQuery {
    /// The one-time token of the link.
    token: Option<String>,
}

/// Logs in with the console link
///
/// Exchanges the one-time token that `polder up` prints for the cookie and leads to the console. A used or wrong token
/// leads to the login form.
#[utoipa::path(get, path = "/login", tag = "session", security(()), params(LinkQuery),
    responses((status = 303, description = "To the console, or to its login form")))]
async fn open_link(State(app): State<App>, Query(query): Query<LinkQuery>) -> ApiResult<Response> {
    if app.auth.is_trust() {
        return Ok(Redirect::to("/").into_response());
    }
    let redeemed = app.accounts.redeem_link(&query.token.unwrap_or_default()).await;
    let user = match redeemed {
        Ok(user) => user,
        // Both mean that the link is of no use; anything else is a fault that must be seen.
        Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::NotFound) => {
            return Ok(Redirect::to("/#/login?expired=1").into_response());
        }
        Err(error) => return Err(error.into()),
    };
    let secret = app.accounts.start_session(&user).await?;
    Ok(([(header::SET_COOKIE, cookie_header(&secret)?)], Redirect::to("/")).into_response())
}

/// Logs out
///
/// Ends the session of the cookie. Does nothing without one.
#[utoipa::path(post, path = "/logout", tag = "session",
    responses((status = 204, description = "Logged out; the answer removes the cookie")))]
async fn logout(State(app): State<App>, headers: HeaderMap) -> ApiResult<Response> {
    if let Some(secret) = cookie(&headers) {
        app.accounts.end_session(secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie_removal())]).into_response())
}

/// Who is logged in, and to what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    user: String,
    /// The server's version.
    version: String,
    auth: AuthMode,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthMode {
    Password,
    /// Nobody logs in: everyone on this computer is the user.
    Trust,
}

/// Tells who is logged in
#[utoipa::path(get, path = "/me", tag = "session", responses((status = 200, body = Me)))]
async fn me(State(app): State<App>, Identity(caller): Identity) -> axum::Json<Me> {
    let auth = match app.auth {
        Auth::Password => AuthMode::Password,
        Auth::Trust { .. } => AuthMode::Trust,
    };
    axum::Json(Me { user: caller.user, version: app.version.to_owned(), auth })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordRequest {
    old: String,
    new: String,
}

/// Changes the own password
#[utoipa::path(post, path = "/password", tag = "session", request_body = PasswordRequest,
    responses((status = 204, description = "Changed")))]
async fn change_password(
    State(app): State<App>,
    Identity(caller): Identity,
    Json(request): Json<PasswordRequest, LOGIN_BYTES_MAX>,
) -> ApiResult<StatusCode> {
    app.accounts.change_password(&caller.user, &request.old, &request.new).await?;
    Ok(StatusCode::NO_CONTENT)
}
