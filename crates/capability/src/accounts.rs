use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Who asks, and by which way in. Every statement and load carries one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    pub user: String,
    /// `console`, `http`, `cli`, `postgres`, `job`, …; kept in `polder.queries`.
    pub via: String,
    /// The number of the session, by which its client and others know it; `None`: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<i32>,
}

impl Caller {
    #[must_use]
    pub fn new(user: impl Into<String>, via: impl Into<String>) -> Self {
        Self { user: user.into(), via: via.into(), process: None }
    }

    #[must_use]
    pub fn of_process(self, process: i32) -> Self {
        Self { process: Some(process), ..self }
    }
}

/// How far somebody's rights go over what is another's: statements, loads, jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To see it.
    See,
    /// To end it.
    End,
    /// To do with it what the other may.
    Own,
}

/// An API token as listed: never its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiToken {
    pub id: String,
    pub name: String,
    pub user: String,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token just made. `secret` is shown once and kept only as a hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewApiToken {
    pub token: ApiToken,
    pub secret: String,
}

/// Logins, sessions and tokens. Wrong passwords are slowed down here, so every server is protected alike.
/// Where a login comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The way in, as in [`Caller`]: `http`, `postgres`, `kafka`, …
    pub via: &'a str,
    /// The address, without the port.
    pub address: &'a str,
}

#[async_trait::async_trait]
pub trait Accounts: Send + Sync {
    /// Checks a password. The address that it comes from is what guessing is counted by, together with the user.
    ///
    /// # Errors
    /// `Unauthenticated` for a wrong name or password, `Unavailable` while slowed down (the hint says how long).
    async fn login(&self, user: &str, password: &str, origin: Origin<'_>) -> Result<String>;

    /// Exchanges the one-time token of the console link for the user's name. Works once.
    async fn redeem_link(&self, token: &str) -> Result<String>;

    /// Starts a session for a user who has logged in; gives the secret for the cookie.
    async fn start_session(&self, user: &str) -> Result<String>;

    /// The user of a live session, or `None`.
    async fn session_user(&self, secret: &str) -> Result<Option<String>>;

    async fn end_session(&self, secret: &str) -> Result<()>;

    async fn create_token(&self, user: &str, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken>;

    async fn list_tokens(&self, user: &str) -> Result<Vec<ApiToken>>;

    /// True if there was such a token.
    async fn delete_token(&self, user: &str, id: &str) -> Result<bool>;

    /// The user of a live API token, or `None`.
    async fn token_user(&self, secret: &str) -> Result<Option<String>>;

    async fn change_password(&self, user: &str, old: &str, new: &str) -> Result<()>;

    /// Whether a user's rights go so far over what is `owner`'s. Their own is everybody's to see, to end and to change.
    async fn reaches(&self, user: &str, owner: &str, reach: Reach) -> Result<bool>;

    /// Whether nothing is refused to a user.
    async fn is_superuser(&self, user: &str) -> Result<bool>;
}

/// Logins in which a password is proven without being told (SCRAM). The server that speaks the protocol checks the proof.
#[async_trait::async_trait]
pub trait ProvenLogins: Send + Sync {
    /// What a proof is checked against, in PostgreSQL's form: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. A user who
    /// does not exist has one too, always the same, which nothing proves: so nobody learns who exists.
    async fn scram_verifier(&self, user: &str) -> Result<String>;

    /// The same for SCRAM-SHA-512. Somebody of whom there is none, because a client has made the verifier itself, has one that
    /// nothing proves.
    ///
    /// # Errors
    /// `Unsupported` where nobody has one.
    async fn scram_verifier_512(&self, user: &str) -> Result<String> {
        let _ = user;
        Err(Error::new(ErrorKind::Unsupported, "there are no verifiers for SCRAM-SHA-512"))
    }

    /// Settles a login: lets in whose proof was right, and counts the others as wrong passwords.
    ///
    /// # Errors
    /// `Unauthenticated` unless `proven`, `Unavailable` while slowed down, as [`Accounts::login`].
    async fn login_proven(&self, user: &str, proven: bool, origin: Origin<'_>) -> Result<()>;
}

/// Why a request is not that of the key that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningRefusal {
    /// There is no such key, or its user is not let in.
    UnknownKey,
    /// It was signed with another secret, at another time, or was another request.
    WrongSignature,
}

/// Keys that requests are signed with.
#[async_trait::async_trait]
pub trait SigningKeys: Send + Sync {
    /// The user whose key this is and its secret, if the user is let in; `None` for a key that there is not.
    ///
    /// # Errors
    /// Those of the store.
    async fn signing_key(&self, id: &str) -> Result<Option<(String, String)>>;

    /// What came of a request that names a key: the key's user, or why it was refused. Told of each request, so it waits for
    /// nothing.
    fn signed(&self, id: &str, outcome: std::result::Result<&str, SigningRefusal>, origin: Origin<'_>);
}
