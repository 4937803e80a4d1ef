use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use polder_capability::{Accounts, ApiToken, NewApiToken, Origin, ProvenLogins, Reach, SigningKeys, SigningRefusal};
use polder_metastore::{AuditEvent, AuditRefusal, Metastore};
use polder_types::{ErrorKind, Result};

use crate::audit::AuditLog;
use crate::authz::{Authority, READ_ALL_STATS, SIGNAL_BACKEND};
use crate::engine::Engine;

/// Logins, sessions and tokens, kept in the metastore.
#[derive(Debug)]
pub struct StoredAccounts {
    metastore: Arc<Metastore>,
    audit: Arc<AuditLog>,
    authority: Arc<Authority>,
    /// When the audit was last told that a user's token is in use.
    tokens_told: Mutex<HashMap<String, DateTime<Utc>>>,
    /// The same of keys that requests are signed with.
    keys_told: Mutex<HashMap<String, DateTime<Utc>>>,
}

/// A token logs in with each request; the audit is told once in so long for each user.
const TOKENS_TOLD_EVERY: Duration = Duration::hours(1);

/// Characters of the id of an access key that are told. One that is not known may be of any length.
const KEY_ID_CHARS: usize = 128;

impl StoredAccounts {
    #[must_use]
    pub fn new(metastore: Arc<Metastore>, engine: &Engine) -> Self {
        let (audit, authority) = (Arc::clone(&engine.audit), Arc::clone(&engine.authority));
        Self { metastore, audit, authority, tokens_told: Mutex::default(), keys_told: Mutex::default() }
    }

    /// Lets in whom others have found to be who they say, if they are let in at all.
    async fn admit(&self, user: &str, via: &str) -> Result<()> {
        self.authority.admit(user, via, self.audit.now()).await
    }

    async fn admitted(&self, user: Option<String>) -> Result<Option<String>> {
        let Some(user) = user else { return Ok(None) };
        match self.admit(&user, "http").await {
            Ok(()) => Ok(Some(user)),
            Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => Ok(None),
            Err(error) => Err(error),
        }
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
    async fn login(&self, user: &str, password: &str, origin: Origin<'_>) -> Result<String> {
        let result = match self.metastore.principals().login(user, password, origin.address).await {
            Ok(()) => self.admit(user, origin.via).await,
            refused => refused,
        };
        self.audit.settled(from(AuditEvent::new("login", user, origin.via), origin.address), &result);
        result.map(|()| user.to_owned())
    }

    async fn redeem_link(&self, token: &str) -> Result<String> {
        let result = match self.metastore.principals().redeem_link(token).await {
            Ok(user) => self.admit(&user, "http").await.map(|()| user),
            refused => refused,
        };
        let user = result.as_deref().unwrap_or_default();
        self.audit.settled(AuditEvent::new("login", user, "link"), &result);
        result
    }

    async fn start_session(&self, user: &str) -> Result<String> {
        self.metastore.principals().start_session(user).await
    }

    async fn session_user(&self, secret: &str) -> Result<Option<String>> {
        self.admitted(self.metastore.principals().session_user(secret).await?).await
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
        let user = self.admitted(self.metastore.principals().token_user(secret).await?).await?;
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

    async fn reaches(&self, user: &str, owner: &str, reach: Reach) -> Result<bool> {
        if user == owner {
            return Ok(true);
        }
        let book = self.authority.book().await?;
        // Whoever is not there any more reaches nothing.
        let Some(role) = book.find(user) else { return Ok(false) };
        let who = book.who(role.oid, role.oid);
        let is_granted = match reach {
            Reach::See => who.has(READ_ALL_STATS),
            Reach::End => who.has(SIGNAL_BACKEND) && !book.find(owner).is_some_and(|owner| owner.is_superuser),
            Reach::Own => false,
        };
        Ok(is_granted || who.superuser || book.find(owner).is_some_and(|owner| who.has(owner.oid)))
    }

    async fn is_superuser(&self, user: &str) -> Result<bool> {
        Ok(self.authority.book().await?.find(user).is_some_and(|role| role.is_superuser))
    }
}

#[async_trait::async_trait]
impl ProvenLogins for StoredAccounts {
    async fn scram_verifier(&self, user: &str) -> Result<String> {
        self.metastore.principals().scram_verifier_or_decoy(user).await
    }

    async fn scram_verifier_512(&self, user: &str) -> Result<String> {
        self.metastore.principals().scram_verifier_512_or_decoy(user).await
    }

    async fn login_proven(&self, user: &str, proven: bool, origin: Origin<'_>) -> Result<()> {
        let result = match self.metastore.principals().login_proven(user, proven, origin.address).await {
            Ok(()) => self.admit(user, origin.via).await,
            refused => refused,
        };
        self.audit.settled(from(AuditEvent::new("login", user, origin.via), origin.address), &result);
        result
    }
}

#[async_trait::async_trait]
impl SigningKeys for StoredAccounts {
    fn signed(&self, id: &str, outcome: std::result::Result<&str, SigningRefusal>, origin: Origin<'_>) {
        let id: String = id.chars().take(KEY_ID_CHARS).collect();
        let (user, refusal) = match outcome {
            Ok(user) => {
                let now = self.audit.now();
                let mut told = self.keys_told.lock();
                if told.get(&id).is_some_and(|last| now - *last < TOKENS_TOLD_EVERY) {
                    return;
                }
                // Only keys that there are come here.
                told.insert(id.clone(), now);
                (user, None)
            }
            Err(SigningRefusal::UnknownKey) => {
                ("", Some(("28000", "there is no such access key, or its user may not come in")))
            }
            Err(SigningRefusal::WrongSignature) => {
                ("", Some(("28P01", "the request was not signed with this access key")))
            }
        };
        let refusal = refusal.map(|(code, message)| AuditRefusal { code: code.into(), message: message.into() });
        let event = AuditEvent::new("login", user, origin.via);
        // Made-up keys are as many as somebody likes: told one by one, they would push out what else was refused.
        let event = match outcome {
            Err(SigningRefusal::UnknownKey) => event,
            _ => event.of(&id),
        };
        let event = AuditEvent { refusal, ..event };
        self.audit.record(from(event, origin.address));
    }

    async fn signing_key(&self, id: &str) -> Result<Option<(String, String)>> {
        let Some((user, secret)) = self.metastore.principals().access_key_secret(id).await? else { return Ok(None) };
        match self.admit(&user, "aws").await {
            Ok(()) => Ok(Some((user, secret))),
            Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
