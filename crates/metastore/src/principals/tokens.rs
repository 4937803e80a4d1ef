//! API tokens: for programs that call the HTTP interface.

use chrono::{DateTime, Duration, Utc};
use polder_types::{Error, Result, limits};
use uuid::Uuid;

use super::{Principals, random_secret, secret_hash};
use crate::{AuditEvent, Row, Write};

/// Every secret begins so, which lets scanners of source code find one that was published.
const PREFIX: &str = "polder_";

/// The last use is noted once in so long, not at every request.
const LAST_USE_EVERY: Duration = Duration::minutes(1);

/// A token as listed: never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: String,
    pub name: String,
    pub user: String,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// `None`: never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token just made. The secret is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    pub token: ApiToken,
    pub secret: String,
}

const SELECT: &str = "SELECT id, name, user_name, created_at, last_used_at, expires_at FROM polder_api_token";

impl Principals<'_> {
    pub async fn create_token(&self, user: &str, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken> {
        if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
            let message = format!("a token's name has 1 to {} bytes", limits::NAME_BYTES_MAX);
            return Err(Error::invalid(message));
        }
        let secret = format!("{PREFIX}{}", random_secret::<32>());
        let token = ApiToken {
            id: Uuid::now_v7().to_string(),
            name: name.to_owned(),
            user: user.to_owned(),
            created_at: self.0.clock().now(),
            last_used_at: None,
            expires_at,
        };
        let write = Write::new(
            "INSERT INTO polder_api_token (id, name, user_name, secret_hash, created_at, last_used_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, NULL, $6)",
            vec![
                token.id.as_str().into(),
                name.into(),
                user.into(),
                secret_hash(&secret).into(),
                token.created_at.into(),
                expires_at.into(),
            ],
        );
        let told = AuditEvent::new("create token", user, "").of(name).write(token.created_at);
        self.0.write(&[write, told]).await?;
        Ok(NewApiToken { token, secret })
    }

    /// A user's tokens, the oldest first; those that have expired too.
    pub async fn list_tokens(&self, user: &str) -> Result<Vec<ApiToken>> {
        let rows =
            self.0.query(&format!("{SELECT} WHERE user_name = $1 ORDER BY created_at, id"), &[user.into()]).await?;
        rows.iter().map(read).collect()
    }

    /// True if there was such a token.
    pub async fn delete_token(&self, user: &str, id: &str) -> Result<bool> {
        let sql = "DELETE FROM polder_api_token WHERE id = $1 AND user_name = $2";
        let write = Write::new(sql, vec![id.into(), user.into()]).affecting(1);
        self.write_told(vec![write], &AuditEvent::new("drop token", user, "").of(id)).await
    }

    /// The user of a live token.
    pub async fn token_user(&self, secret: &str) -> Result<Option<String>> {
        if !secret.starts_with(PREFIX) {
            return Ok(None);
        }
        let hash = secret_hash(secret);
        let known = &self.0.known_secrets;
        let now = self.0.clock().now();
        if let Some(user) = known.user(&hash, now) {
            return Ok(Some(user));
        }
        let writes = known.writes();
        let rows = self.0.query(&format!("{SELECT} WHERE secret_hash = $1"), &[hash.as_str().into()]).await?;
        let Some(token) = rows.first().map(read).transpose()? else {
            return Ok(None);
        };
        if token.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Ok(None);
        }
        let noted_until = token.last_used_at.map(|last| last + LAST_USE_EVERY).filter(|until| now < *until);
        if let Some(until) = noted_until {
            known.keep(hash, &token.user, token.expires_at.map_or(until, |end| end.min(until)), writes);
        } else {
            let sql = "UPDATE polder_api_token SET last_used_at = $2 WHERE id = $1";
            self.0.write(&[Write::new(sql, vec![token.id.into(), now.into()])]).await?;
        }
        Ok(Some(token.user))
    }
}

fn read(row: &Row) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        user: row.text(2)?.to_owned(),
        created_at: row.time(3)?,
        last_used_at: row.opt_time(4)?,
        expires_at: row.opt_time(5)?,
    })
}
