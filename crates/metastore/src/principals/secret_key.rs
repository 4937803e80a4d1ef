//! The key file that encrypts what must be read again: the secrets of access keys.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use polder_types::{Error, ErrorKind, Result};
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::error::io_error;
use crate::principals::hex;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// AES-256-GCM under a random key in a file that only its owner may read. The file is made when it is first needed.
#[derive(Debug)]
pub(crate) struct SecretKey {
    path: PathBuf,
    key: OnceLock<[u8; KEY_BYTES]>,
}

impl SecretKey {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, key: OnceLock::new() }
    }

    /// Encrypts. `label` is bound to the result, so that one row's secret cannot be put into another row.
    pub(crate) fn seal(&self, label: &str, secret: &str) -> Result<Vec<u8>> {
        let mut nonce = [0u8; NONCE_BYTES];
        rand::rng().fill(&mut nonce[..]);
        let payload = Payload { msg: secret.as_bytes(), aad: label.as_bytes() };
        let sealed = self.cipher(true)?.encrypt(Nonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("a secret could not be encrypted"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    pub(crate) fn open(&self, label: &str, sealed: &[u8]) -> Result<String> {
        let unreadable = || {
            Error::new(
                ErrorKind::Corrupt,
                format!("the secret of {label} cannot be decrypted with {}", self.path.display()),
            )
            .with_hint("restore the key file that belongs to this metastore, or make a new access key")
        };
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(unreadable)?;
        let payload = Payload { msg: sealed, aad: label.as_bytes() };
        let secret = self.cipher(false)?.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| unreadable())?;
        String::from_utf8(secret).map_err(|_| unreadable())
    }

    /// A secret of its own for a purpose, always the same.
    pub(crate) fn derived(&self, purpose: &str) -> Result<[u8; KEY_BYTES]> {
        let digest = Sha256::new().chain_update(self.key(true)?).chain_update(purpose.as_bytes());
        Ok(digest.finalize().into())
    }

    fn cipher(&self, make: bool) -> Result<Aes256Gcm> {
        Ok(Aes256Gcm::new(self.key(make)?.into()))
    }

    fn key(&self, make: bool) -> Result<&[u8; KEY_BYTES]> {
        match self.key.get() {
            Some(key) => Ok(key),
            None => {
                let key = match std::fs::read_to_string(&self.path) {
                    Ok(text) => parse(&text).ok_or_else(|| {
                        Error::new(ErrorKind::Corrupt, format!("the key file {} is damaged", self.path.display()))
                            .with_hint("restore it from a backup")
                    })?,
                    Err(error) if make && error.kind() == std::io::ErrorKind::NotFound => make_file(&self.path)?,
                    Err(error) => return Err(io_error("reading", &self.path, error)),
                };
                Ok(self.key.get_or_init(|| key))
            }
        }
    }
}

fn parse(text: &str) -> Option<[u8; KEY_BYTES]> {
    let text = text.trim();
    if text.len() != KEY_BYTES * 2 || !text.is_ascii() {
        return None;
    }
    let mut key = [0u8; KEY_BYTES];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

/// Writes a new key beside its place, syncs it and moves it there: a half-written key would lose secrets.
fn make_file(path: &Path) -> Result<[u8; KEY_BYTES]> {
    let mut key = [0u8; KEY_BYTES];
    rand::rng().fill(&mut key[..]);
    let half_done = path.with_extension("key.new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&half_done).and_then(|mut file| {
        writeln!(file, "{}", hex(&key))?;
        file.sync_all()
    });
    written.map_err(|error| io_error("writing", &half_done, error))?;
    std::fs::rename(&half_done, path).map_err(|error| io_error("renaming", &half_done, error))?;
    if let Some(directory) = path.parent() {
        let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| io_error("syncing", directory, error))?;
    }
    Ok(key)
}
