//! Sessions of the console: a secret in a cookie.

use chrono::Duration;
use polder_types::Result;

use super::{Principals, random_secret, secret_hash};
use crate::Write;

/// A session ends when it was not used for so long.
const LIFETIME: Duration = Duration::days(30);

/// A session in use is prolonged once in so long, not at every request.
const PROLONGED_EVERY: Duration = Duration::days(1);

impl Principals<'_> {
    /// Starts a session for a user who has shown who they are; gives the secret for the cookie.
    pub async fn start_session(&self, user: &str) -> Result<String> {
        let secret = random_secret::<32>();
        let now = self.0.clock().now();
        let writes = [
            Write::new("DELETE FROM polder_session WHERE expires_at <= $1", vec![now.into()]),
            Write::new(
                "INSERT INTO polder_session (secret_hash, user_name, created_at, expires_at) VALUES ($1, $2, $3, $4)",
                vec![secret_hash(&secret).into(), user.into(), now.into(), (now + LIFETIME).into()],
            ),
        ];
        self.0.write(&writes).await?;
        Ok(secret)
    }

    /// The user of a live session. Using a session prolongs it to thirty days from now.
    pub async fn session_user(&self, secret: &str) -> Result<Option<String>> {
        let hash = secret_hash(secret);
        let known = &self.0.known_secrets;
        let now = self.0.clock().now();
        if let Some(user) = known.user(&hash, now) {
            return Ok(Some(user));
        }
        let writes = known.writes();
        let sql = "SELECT user_name, expires_at FROM polder_session WHERE secret_hash = $1";
        let rows = self.0.query(sql, &[hash.as_str().into()]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let expires_at = row.time(1)?;
        if expires_at <= now {
            return Ok(None);
        }
        if expires_at - now < LIFETIME - PROLONGED_EVERY {
            let sql = "UPDATE polder_session SET expires_at = $2 WHERE secret_hash = $1";
            self.0.write(&[Write::new(sql, vec![hash.into(), (now + LIFETIME).into()])]).await?;
        } else {
            known.keep(hash, row.text(0)?, expires_at - LIFETIME + PROLONGED_EVERY, writes);
        }
        Ok(Some(row.text(0)?.to_owned()))
    }

    pub async fn end_session(&self, secret: &str) -> Result<()> {
        let sql = "DELETE FROM polder_session WHERE secret_hash = $1";
        self.0.write(&[Write::new(sql, vec![secret_hash(secret).into()])]).await
    }

    /// Ends every session of a user; to go with a change of the role.
    #[must_use]
    pub fn end_sessions_write(user: &str) -> Write {
        Write::new("DELETE FROM polder_session WHERE user_name = $1", vec![user.into()])
    }
}
