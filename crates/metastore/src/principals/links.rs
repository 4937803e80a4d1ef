//! Links that log in once.

use chrono::Duration;
use polder_types::{Error, ErrorKind, Result};

use super::{Principals, random_secret, secret_hash};
use crate::Write;

impl Principals<'_> {
    /// A token for a link to the console. It works once, and for `lifetime` only.
    pub async fn create_link(&self, user: &str, lifetime: Duration) -> Result<String> {
        let token = random_secret::<18>();
        let now = self.0.clock().now();
        let writes = [
            Write::new("DELETE FROM polder_console_link WHERE expires_at <= $1", vec![now.into()]),
            Write::new(
                "INSERT INTO polder_console_link (secret_hash, user_name, created_at, expires_at) VALUES ($1, $2, $3, $4)",
                vec![secret_hash(&token).into(), user.into(), now.into(), (now + lifetime).into()],
            ),
        ];
        self.0.write(&writes).await?;
        Ok(token)
    }

    /// Exchanges a link's token for the user's name.
    ///
    /// # Errors
    /// `Unauthenticated` if it was used, is too old, or never was.
    pub async fn redeem_link(&self, token: &str) -> Result<String> {
        let refused = || {
            Error::new(ErrorKind::Unauthenticated, "the link was used before or is too old")
                .with_hint("log in with user and password, or ask the server for a new link")
        };
        let hash = secret_hash(token);
        let sql = "SELECT user_name, expires_at FROM polder_console_link WHERE secret_hash = $1";
        let rows = self.0.query(sql, &[hash.as_str().into()]).await?;
        let row = rows.first().ok_or_else(refused)?;
        // Of two who come at once, the row goes with one.
        let taken = Write::new("DELETE FROM polder_console_link WHERE secret_hash = $1", vec![hash.into()]);
        if !self.0.write_if_there(taken).await? || row.time(1)? <= self.0.clock().now() {
            return Err(refused());
        }
        Ok(row.text(0)?.to_owned())
    }
}
