//! SCRAM verifiers (RFC 5802, RFC 7677), in the text form that PostgreSQL keeps.
//!
//! One password gives both, so that the console, PostgreSQL clients and Kafka clients all accept it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::Rng;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// PostgreSQL's own number, and the least that Kafka accepts.
const ITERATIONS: u32 = 4096;
/// More than anybody sets, few enough to be done within a second.
const ITERATIONS_MAX: u32 = 1_000_000;
const SALT_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let password = password.as_bytes();
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            Self::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
        }
    }

    fn keyed(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length, so the error cannot happen; an empty key would only fail the comparison.
        match self {
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
                .unwrap_or_default(),
            Self::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
                .unwrap_or_default(),
        }
    }

    fn plain(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`, with a new salt.
pub(super) fn verifier(hash: Hash, password: &str) -> String {
    let mut salt = [0u8; SALT_BYTES];
    rand::rng().fill(&mut salt[..]);
    verifier_with(hash, password, &salt, ITERATIONS)
}

fn verifier_with(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> String {
    let salted = hash.salted(password, salt, iterations);
    let stored_key = hash.plain(&hash.keyed(&salted, b"Client Key"));
    let server_key = hash.keyed(&salted, b"Server Key");
    format!(
        "{}${iterations}:{}${}:{}",
        hash.name(),
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}

/// A verifier that no password belongs to, made of a secret.
pub(super) fn decoy(hash: Hash, secret: &[u8; 32]) -> String {
    let part = |name: &[u8]| hash.keyed(secret, name);
    let salt = part(b"salt");
    format!(
        "{}${ITERATIONS}:{}${}:{}",
        hash.name(),
        STANDARD.encode(salt.get(..SALT_BYTES).unwrap_or(&salt)),
        STANDARD.encode(part(b"stored key")),
        STANDARD.encode(part(b"server key"))
    )
}

/// True if the password belongs to the verifier. `None` stands for a user who does not exist: that takes as long, and
/// gives false. A text that is no verifier gives false too.
pub(super) fn matches(verifier: Option<&str>, password: &str) -> bool {
    const NOBODY: Parts<'static> =
        Parts { hash: Hash::Sha256, iterations: ITERATIONS, salt: "AAAAAAAAAAAAAAAAAAAAAA==", stored_key: "" };
    let parts = verifier.and_then(parse).unwrap_or(NOBODY);
    let salt = STANDARD.decode(parts.salt).unwrap_or_default();
    let expected = STANDARD.decode(parts.stored_key).unwrap_or_default();
    let salted = parts.hash.salted(password, &salt, parts.iterations);
    let found = parts.hash.plain(&parts.hash.keyed(&salted, b"Client Key"));
    bool::from(found.ct_eq(&expected))
}

/// Whether a text is a verifier of SHA-256.
pub(super) fn is_verifier(text: &str) -> bool {
    parse(text).is_some_and(|parts| {
        let is_key = |text: &str| STANDARD.decode(text).is_ok_and(|key| key.len() == 32);
        parts.hash == Hash::Sha256 && STANDARD.decode(parts.salt).is_ok() && is_key(parts.stored_key)
    })
}

struct Parts<'a> {
    hash: Hash,
    iterations: u32,
    salt: &'a str,
    stored_key: &'a str,
}

fn parse(verifier: &str) -> Option<Parts<'_>> {
    let mut fields = verifier.split('$');
    let name = fields.next()?;
    let hash = [Hash::Sha256, Hash::Sha512].into_iter().find(|hash| hash.name() == name)?;
    let (iterations, salt) = fields.next()?.split_once(':')?;
    let (stored_key, _server_key) = fields.next()?.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|count| (1..=ITERATIONS_MAX).contains(count))?;
    Some(Parts { hash, iterations, salt, stored_key })
}

#[cfg(test)]
mod tests;
