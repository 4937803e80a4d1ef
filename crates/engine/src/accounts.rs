use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use polder_capability::{Accounts, ApiToken, NewApiToken, ProvenLogins};
use polder_metastore::Metastore;
use polder_types::Result;

/// Logins, sessions and tokens, kept in the metastore.
#[derive(Debug)]
pub struct StoredAccounts(Arc<Metastore>);

impl StoredAccounts {
    #[must_use]
    pub fn new(metastore: Arc<Metastore>) -> Self {
        Self(metastore)
    }

    /// A token that logs in once, for the console link.
    ///
    /// # Errors
    /// `NotFound` for an unknown user.
    pub async fn create_link(&self, user: &str, lifetime: Duration) -> Result<String> {
        self.0.principals().create_link(user, lifetime).await
    }
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
        self.0.principals().login(user, password, origin).await?;
        Ok(user.to_owned())
    }

    async fn redeem_link(&self, token: &str) -> Result<String> {
        self.0.principals().redeem_link(token).await
    }

    async fn start_session(&self, user: &str) -> Result<String> {
        self.0.principals().start_session(user).await
    }

    async fn session_user(&self, secret: &str) -> Result<Option<String>> {
        self.0.principals().session_user(secret).await
    }

    async fn end_session(&self, secret: &str) -> Result<()> {
        self.0.principals().end_session(secret).await
    }

    async fn create_token(&self, user: &str, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken> {
        let made = self.0.principals().create_token(user, name, expires_at).await?;
        Ok(NewApiToken { token: token(made.token), secret: made.secret })
    }

    async fn list_tokens(&self, user: &str) -> Result<Vec<ApiToken>> {
        Ok(self.0.principals().list_tokens(user).await?.into_iter().map(token).collect())
    }

    async fn delete_token(&self, user: &str, id: &str) -> Result<bool> {
        self.0.principals().delete_token(user, id).await
    }

    async fn token_user(&self, secret: &str) -> Result<Option<String>> {
        self.0.principals().token_user(secret).await
    }

    async fn change_password(&self, user: &str, old: &str, new: &str) -> Result<()> {
        self.0.principals().change_password(user, old, new, "console").await
    }
}

#[async_trait::async_trait]
impl ProvenLogins for StoredAccounts {
    async fn scram_verifier(&self, user: &str) -> Result<String> {
        self.0.principals().scram_verifier_or_decoy(user).await
    }

    async fn login_proven(&self, user: &str, proven: bool, origin: &str) -> Result<()> {
        self.0.principals().login_proven(user, proven, origin).await
    }
}
