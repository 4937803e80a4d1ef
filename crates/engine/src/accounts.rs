use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use polder_capability::{Accounts, ApiToken, NewApiToken, ProvenLogins};
use polder_metastore::{AuditEvent, AuditRefusal, Metastore};
use polder_types::Result;

use crate::audit::AuditLog;
use crate::engine::Engine;

/// Logins, sessions and tokens, kept in the metastore.
#[derive(Debug)]
pub struct StoredAccounts {
    metastore: Arc<Metastore>,
    audit: Arc<AuditLog>,
    /// When the audit was last told that a user's token is in use.
    tokens_told: Mutex<HashMap<String, DateTime<Utc>>>,
}

/// A token logs in with each request; the audit is told once in so long for each user.
const TOKENS_TOLD_EVERY: Duration = Duration::hours(1);

impl StoredAccounts {
    #[must_use]
    pub fn new(metastore: Arc<Metastore>, engine: &Engine) -> Self {
        Self { metastore, audit: Arc::clone(&engine.audit), tokens_told: Mutex::default() }
    }

    fn told_of_token(&self, user: Option<&str>) {
        let Some(user) = user else {
            let refusal =
                AuditRefusal { code: "28000".into(), message: "the token is not known, or has expired".into() };
            let event = AuditEvent { refusal: Some(refusal), ..AuditEvent::new("login", "", "token") };
            return self.audit.record(event);
        };
        let now = self.audit.now();
        let mut told = self.tokens_told.lock();
        if told.get(user).is_none_or(|last| now - *last >= TOKENS_TOLD_EVERY) {
            // Only users who are known come here, so there are no more than those.
            told.insert(user.to_owned(), now);
            self.audit.record(AuditEvent::new("login", user, "token"));
        }
    }

    /// A token that logs in once, for the console link.
    ///
    /// # Errors
    /// `NotFound` for an unknown user.
    pub async fn create_link(&self, user: &str, lifetime: Duration) -> Result<String> {
        self.metastore.principals().create_link(user, lifetime).await
    }
}

/// The event, with the address that it came from.
fn from(event: AuditEvent, origin: &str) -> AuditEvent {
    AuditEvent { origin: Some(origin.to_owned()), ..event }
}

fn token(token: polder_metastore::principals::ApiToken) -> ApiToken {
    ApiToken {
        id: token.id,
        name: token.name,
        user: token.user,
        created_at: token.created_at,
        last_used_at: token.last_used_at,
        expires_at: token.expires_at,
    }
}

#[async_trait::async_trait]
impl Accounts for StoredAccounts {
    async fn login(&self, user: &str, password: &str, origin: &str) -> Result<String> {
        let result = self.metastore.principals().login(user, password, origin).await;
        self.audit.settled(from(AuditEvent::new("login", user, "http"), origin), &result);
        result.map(|()| user.to_owned())
    }

    async fn redeem_link(&self, token: &str) -> Result<String> {
        let result = self.metastore.principals().redeem_link(token).await;
        let user = result.as_deref().unwrap_or_default();
        self.audit.settled(AuditEvent::new("login", user, "link"), &result);
        result
    }

    async fn start_session(&self, user: &str) -> Result<String> {
        self.metastore.principals().start_session(user).await
    }

    async fn session_user(&self, secret: &str) -> Result<Option<String>> {
        self.metastore.principals().session_user(secret).await
    }

    async fn end_session(&self, secret: &str) -> Result<()> {
        self.metastore.principals().end_session(secret).await
    }

    async fn create_token(&self, user: &str, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken> {
        let made = self.metastore.principals().create_token(user, name, expires_at).await?;
        Ok(NewApiToken { token: token(made.token), secret: made.secret })
    }

    async fn list_tokens(&self, user: &str) -> Result<Vec<ApiToken>> {
        Ok(self.metastore.principals().list_tokens(user).await?.into_iter().map(token).collect())
    }

    async fn delete_token(&self, user: &str, id: &str) -> Result<bool> {
        self.metastore.principals().delete_token(user, id).await
    }

    async fn token_user(&self, secret: &str) -> Result<Option<String>> {
        let user = self.metastore.principals().token_user(secret).await?;
        self.told_of_token(user.as_deref());
        Ok(user)
    }

    async fn change_password(&self, user: &str, old: &str, new: &str) -> Result<()> {
        let result = self.metastore.principals().change_password(user, old, new, "console").await;
        if result.is_err() {
            // One that succeeds has its row in the same transaction.
            self.audit.settled(AuditEvent::new("set password", user, "console").of(user), &result);
        }
        result
    }
}

#[async_trait::async_trait]
impl ProvenLogins for StoredAccounts {
    async fn scram_verifier(&self, user: &str) -> Result<String> {
        self.metastore.principals().scram_verifier_or_decoy(user).await
    }

    async fn login_proven(&self, user: &str, proven: bool, origin: &str) -> Result<()> {
        let result = self.metastore.principals().login_proven(user, proven, origin).await;
        self.audit.settled(from(AuditEvent::new("login", user, "postgres"), origin), &result);
        result
    }
}
