//! Who asks the registry: the cookie or the token of the API, or a user's name and password with each request.

use std::collections::HashMap;
use std::net::IpAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use polder_capability::{Caller, Origin};
use sha2::{Digest, Sha256};

use super::Registry;
use super::answer::Refusal;
use crate::auth::{Identity, check_origin, identify};
use crate::connection::Peer;

/// How long a name with its password stands for the session that it has begun: checking a password takes long on purpose. So
/// long an old password goes on when there is another.
const REMEMBERED: TimeDelta = TimeDelta::minutes(1);

/// Names with passwords that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// Sessions of those who send name and password with each request, by the hash of both. The session is asked each time, so
/// that whoever is dropped or locked out is out at once.
#[derive(Default)]
pub(crate) struct Logins(Mutex<HashMap<[u8; 32], Remembered>>);

struct Remembered {
    session: String,
    until: DateTime<Utc>,
}

impl Logins {
    /// The session, and whether its time is over.
    fn session(&self, key: &[u8; 32], now: DateTime<Utc>) -> Option<(String, bool)> {
        let all = self.0.lock();
        all.get(key).map(|remembered| (remembered.session.clone(), remembered.until <= now))
    }

    fn remember(&self, key: [u8; 32], session: String, now: DateTime<Utc>) {
        let mut all = self.0.lock();
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, remembered| remembered.until > now);
        }
        if all.len() < REMEMBERED_MAX {
            all.insert(key, Remembered { session, until: now + REMEMBERED });
        }
    }

    fn forget(&self, key: &[u8; 32]) {
        self.0.lock().remove(key);
    }
}

/// Lets in those who are known, and tells the handlers who they are.
pub(super) async fn require(State(registry): State<Registry>, mut request: Request, next: Next) -> Response {
    // What changes something has a body that no page of another site can send unasked, or a method that it cannot.
    if let Err(error) = check_origin(&request) {
        return Refusal::from(error).into_response();
    }
    let headers = request.headers().clone();
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|peer| peer.0.address.ip().to_canonical());
    match identity(&registry, &headers, peer).await {
        Ok(identity) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn identity(registry: &Registry, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Identity, Refusal> {
    if let Some(identity) = identify(&registry.app, headers).await? {
        return Ok(identity);
    }
    let unknown = || Refusal::new(StatusCode::UNAUTHORIZED, 40101, "not logged in: send name and password, or a token");
    let (user, password) = basic(headers).ok_or_else(unknown)?;
    let user = log_in(registry, peer, &user, &password).await?;
    Ok(Identity(Caller::new(user, "http")))
}

async fn log_in(registry: &Registry, peer: Option<IpAddr>, user: &str, password: &str) -> Result<String, Refusal> {
    let accounts = &registry.app.accounts;
    let now = registry.app.clock.now();
    let key = key(user, password);
    if let Some((session, is_over)) = registry.logins.session(&key, now) {
        if is_over {
            accounts.end_session(&session).await?;
        } else if let Some(user) = accounts.session_user(&session).await? {
            return Ok(user);
        }
        registry.logins.forget(&key);
    }
    let address = peer.map(|address| address.to_string()).unwrap_or_default();
    let user = accounts.login(user, password, Origin { via: "http", address: &address }).await?;
    let session = accounts.start_session(&user).await?;
    registry.logins.remember(key, session, now);
    Ok(user)
}

/// A name cannot have a zero in it, so that no other pair has the same hash.
fn key(user: &str, password: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(user);
    hash.update([0]);
    hash.update(password);
    hash.finalize().into()
}

/// The name and the password of `Authorization: Basic …`.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (!user.contains('\0')).then(|| (user.to_owned(), password.to_owned()))
}
