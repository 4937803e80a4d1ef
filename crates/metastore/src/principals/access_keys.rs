//! Access keys: an id and a secret that signs requests, as object stores have them.

use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result};
use rand::Rng;

use super::{Principals, random_secret};
use crate::{AuditEvent, Write};

const ID_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A key as listed: never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub id: String,
    pub user: String,
    pub created_at: DateTime<Utc>,
}

/// A key just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessKey {
    pub id: String,
    pub secret: String,
}

/// Keys of one user: more than that are keys that nobody knows of any more.
pub const ACCESS_KEYS_MAX: usize = 20;

impl Principals<'_> {
    /// Makes a key for a user. `by` is who asked for it, and `via` the way in, for the audit.
    ///
    /// # Errors
    /// `TooLarge` (53400) for a user who has as many as there may be.
    pub async fn create_access_key(&self, user: &str, by: &str, via: &str) -> Result<NewAccessKey> {
        if self.list_access_keys(Some(user)).await?.len() >= ACCESS_KEYS_MAX {
            let message = format!("{user:?} has {ACCESS_KEYS_MAX} access keys, and may not have more");
            return Err(Error::new(ErrorKind::TooLarge, message)
                .with_code("53400")
                .with_hint("DROP ACCESS KEY what is not used: SELECT * FROM polder.access_keys"));
        }
        let key = {
            let mut rng = rand::rng();
            let letter = |_| char::from(ID_LETTERS[rng.random_range(0..ID_LETTERS.len())]);
            NewAccessKey {
                id: format!("PLDR{}", (0..16).map(letter).collect::<String>()),
                secret: random_secret::<30>(),
            }
        };
        let write = Write::new(
            "INSERT INTO polder_access_key (id, user_name, sealed_secret, created_at) VALUES ($1, $2, $3, $4)",
            vec![
                key.id.as_str().into(),
                user.into(),
                self.0.secret_key.seal(&key.id, &key.secret)?.into(),
                self.0.clock().now().into(),
            ],
        );
        let mut told = AuditEvent::new("create access key", by, via).of(&key.id);
        told.message = Some(format!("for {user}"));
        self.0.write(&[write, told.write(self.0.clock().now())]).await?;
        Ok(key)
    }

    /// The keys of a user, or of all: the oldest first.
    pub async fn list_access_keys(&self, user: Option<&str>) -> Result<Vec<AccessKey>> {
        const ALL: &str = "SELECT id, user_name, created_at FROM polder_access_key";
        let rows = match user {
            Some(user) => {
                self.0.query(&format!("{ALL} WHERE user_name = $1 ORDER BY created_at, id"), &[user.into()]).await?
            }
            None => self.0.query(&format!("{ALL} ORDER BY created_at, id"), &[]).await?,
        };
        rows.iter()
            .map(|row| {
                Ok(AccessKey { id: row.text(0)?.to_owned(), user: row.text(1)?.to_owned(), created_at: row.time(2)? })
            })
            .collect()
    }

    /// The key's user and secret, for checking a signature.
    pub async fn access_key_secret(&self, id: &str) -> Result<Option<(String, String)>> {
        let sql = "SELECT user_name, sealed_secret FROM polder_access_key WHERE id = $1";
        let rows = self.0.query(sql, &[id.into()]).await?;
        match rows.first() {
            Some(row) => Ok(Some((row.text(0)?.to_owned(), self.0.secret_key.open(id, row.bytes(1)?)?))),
            None => Ok(None),
        }
    }

    /// True if the user had such a key. `by` and `via` as when it is made.
    pub async fn delete_access_key(&self, user: &str, id: &str, by: &str, via: &str) -> Result<bool> {
        let sql = "DELETE FROM polder_access_key WHERE id = $1 AND user_name = $2";
        let write = Write::new(sql, vec![id.into(), user.into()]).affecting(1);
        let mut told = AuditEvent::new("drop access key", by, via).of(id);
        told.message = Some(format!("of {user}"));
        self.write_told(vec![write], &told).await
    }
}
