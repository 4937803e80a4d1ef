//! Who may come in: users and their passwords, API tokens, sessions, console links, access keys.
//!
//! No secret is kept in the clear: of a password there are SCRAM verifiers, of tokens, cookies and links only SHA-256,
//! and the secret of an access key, which signatures need, is encrypted under a key file beside the database.

mod access_keys;
mod guesses;
mod known;
mod links;
mod scram;
mod secret_key;
mod sessions;
mod tokens;
mod users;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use polder_types::{ErrorKind, Result};
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::{AuditEvent, Metastore, Write};

pub use access_keys::{ACCESS_KEYS_MAX, AccessKey, NewAccessKey};
pub(crate) use guesses::Guesses;
pub use guesses::LoginAttempt;
pub(crate) use known::KnownSecrets;
pub(crate) use secret_key::SecretKey;
pub use tokens::{ApiToken, NewApiToken};
pub use users::{ScramVerifiers, User};

/// A view of the metastore: who may come in.
#[derive(Debug, Clone, Copy)]
pub struct Principals<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn principals(&self) -> Principals<'_> {
        Principals(self)
    }
}

impl Principals<'_> {
    /// A change of who may come in, and the row of the audit that tells of it. False, and nothing is written, if one of
    /// the writes does not change the rows that it promises.
    async fn write_told(&self, mut writes: Vec<Write>, told: &AuditEvent) -> Result<bool> {
        writes.push(told.write(self.0.clock().now()));
        match self.0.write(&writes).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Letters and digits without those that look alike.
const PASSWORD_LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789";
const PASSWORD_LENGTH: usize = 20;

/// A password of 20 letters and digits, some 115 bits.
#[must_use]
pub fn random_password() -> String {
    let mut rng = rand::rng();
    let letter = |_| char::from(PASSWORD_LETTERS[rng.random_range(0..PASSWORD_LETTERS.len())]);
    (0..PASSWORD_LENGTH).map(letter).collect()
}

/// `N` random bytes in letters that URLs and cookies accept.
fn random_secret<const N: usize>() -> String {
    let mut bytes = [0u8; N];
    rand::rng().fill(&mut bytes[..]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is kept of a secret. The secrets are random and long, so a plain hash is enough, and looking it up in an index
/// tells a guesser nothing.
fn secret_hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
