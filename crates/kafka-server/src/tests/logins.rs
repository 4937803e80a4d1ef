//! One user, `user` with the password `pencil`, as in the example of RFC 7677.

use async_trait::async_trait;
use polder_capability::{Accounts, ApiToken, NewApiToken, Origin, ProvenLogins, Reach};
use polder_types::{Error, ErrorKind, Result};

pub const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                            wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
/// Made with the same salt by Python's hashlib.
pub const VERIFIER_512: &str = "SCRAM-SHA-512$4096:W22ZaJ0SNY7soEsUEjb6gQ==$6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==:jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==";

pub struct OneUser;

fn wrong() -> Error {
    Error::new(ErrorKind::Unauthenticated, "wrong user name or password")
}

fn none() -> Error {
    Error::new(ErrorKind::Unsupported, "not in these tests")
}

type Time = chrono::DateTime<chrono::Utc>;

#[async_trait]
impl Accounts for OneUser {
    async fn login(&self, user: &str, password: &str, _: Origin<'_>) -> Result<String> {
        if (user, password) == ("user", "pencil") { Ok(user.to_owned()) } else { Err(wrong()) }
    }
    async fn redeem_link(&self, _: &str) -> Result<String> {
        Err(none())
    }
    async fn start_session(&self, _: &str) -> Result<String> {
        Err(none())
    }
    async fn session_user(&self, _: &str) -> Result<Option<String>> {
        Err(none())
    }
    async fn end_session(&self, _: &str) -> Result<()> {
        Err(none())
    }
    async fn create_token(&self, _: &str, _: &str, _: Option<Time>) -> Result<NewApiToken> {
        Err(none())
    }
    async fn list_tokens(&self, _: &str) -> Result<Vec<ApiToken>> {
        Err(none())
    }
    async fn delete_token(&self, _: &str, _: &str) -> Result<bool> {
        Err(none())
    }
    async fn token_user(&self, _: &str) -> Result<Option<String>> {
        Err(none())
    }
    async fn change_password(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Err(none())
    }
    async fn reaches(&self, _: &str, _: &str, _: Reach) -> Result<bool> {
        Err(none())
    }
    async fn is_superuser(&self, _: &str) -> Result<bool> {
        Err(none())
    }
}

#[async_trait]
impl ProvenLogins for OneUser {
    async fn scram_verifier(&self, _: &str) -> Result<String> {
        Ok(VERIFIER.to_owned())
    }
    async fn scram_verifier_512(&self, _: &str) -> Result<String> {
        Ok(VERIFIER_512.to_owned())
    }
    async fn login_proven(&self, user: &str, proven: bool, _: Origin<'_>) -> Result<()> {
        if proven && user == "user" { Ok(()) } else { Err(wrong()) }
    }
}
