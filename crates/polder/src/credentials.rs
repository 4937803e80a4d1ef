//! `credentials.toml`: what lets the owner of a data directory in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const FILE: &str = "credentials.toml";

/// The user that the first start makes.
pub const USER: &str = "polder";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub user: String,
    pub password: String,
    /// For protocols that sign requests.
    #[serde(default)]
    pub access_key_id: String,
    #[serde(default)]
    pub secret_access_key: String,
    /// For this directory's own command line: cheaper than a login, and it outlives a change of password.
    #[serde(default)]
    pub api_token: String,
}

impl Credentials {
    /// `None` if there is no such file.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(data: &Path) -> Result<Option<Self>> {
        let path = path(data);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::new(format!("{} cannot be read: {error}", path.display())).into()),
        };
        let parsed = toml::from_str(&text).map_err(|error| {
            Failure::new(format!("{} cannot be read: {}", path.display(), error.message()))
                .with_hint("it has the keys user, password, access_key_id, secret_access_key")
        })?;
        Ok(Some(parsed))
    }

    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, data: &Path) -> Result<()> {
        write_private(&path(data), &toml::to_string(self)?)
    }
}

/// The file's place.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// A file for its owner's eyes (mode 0600), put there whole or not at all, and on disk when this returns.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("toml.new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
