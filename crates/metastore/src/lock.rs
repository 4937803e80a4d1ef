//! The lock on a data directory: one server each.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use polder_types::{Error, ErrorKind, Result};

use crate::error::io_error;
use crate::value::TimeText;
use chrono::{DateTime, Utc};

/// A note is some lines; more than this is not ours.
const NOTE_BYTES_MAX: u64 = 4096;

/// Held until it is released or this value goes, and freed by the system when the process dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    path: PathBuf,
    file: Mutex<File>,
    started_at: DateTime<Utc>,
}

impl DirectoryLock {
    pub(crate) fn take(data_dir: &Path, now: DateTime<Utc>) -> Result<Self> {
        let path = data_dir.join("polder.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| io_error("opening", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refusal(data_dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(io_error("locking", &path, error)),
        }
        let lock = Self { path, file: Mutex::new(file), started_at: now };
        lock.set_note("")?;
        Ok(lock)
    }

    /// Says where the server answers, for whoever finds the directory taken.
    pub(crate) fn set_note(&self, address: &str) -> Result<()> {
        let mut note = format!("pid = {}\nstarted_at = \"{}\"\n", std::process::id(), TimeText(self.started_at));
        if !address.is_empty() {
            note.push_str(&format!("http = \"{}\"\n", one_line(address)));
        }
        let mut file = self.file.lock();
        let written = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(note.as_bytes()))
            .and_then(|()| file.set_len(note.len() as u64));
        written.map_err(|error| io_error("writing", &self.path, error))
    }

    /// Lets another server in, though this value may live on in a task that is about to end.
    pub(crate) fn release(&self) {
        if let Err(error) = self.file.lock().unlock() {
            tracing::warn!(%error, path = %self.path.display(), "the lock on the data directory was not released");
        }
    }

    pub(crate) fn started_at(&self) -> DateTime<Utc> {
        self.started_at
    }
}

/// Keeps an address on its line and within its quotes.
fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() && *letter != '"').take(200).collect()
}

fn refusal(data_dir: &Path, file: &mut File) -> Error {
    let mut note = String::new();
    // A note that cannot be read leaves the refusal without names, but it stays a refusal.
    if file.take(NOTE_BYTES_MAX).read_to_string(&mut note).is_err() {
        note.clear();
    }
    let field = |key: &str| {
        let line = note.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))?;
        Some(one_line(line.trim().trim_matches('"'))).filter(|text| !text.is_empty())
    };
    let mut message = format!("the data directory {} is in use by ", data_dir.display());
    match field("pid") {
        Some(pid) => message.push_str(&format!("process {pid}")),
        None => message.push_str("another process"),
    }
    if let Some(started_at) = field("started_at") {
        message.push_str(&format!(", started at {started_at}"));
    }
    if let Some(address) = field("http") {
        message.push_str(&format!(", which answers at {address}"));
    }
    Error::new(ErrorKind::Unavailable, message)
        .with_code("55006")
        .with_hint("use that one, stop it, or choose another directory with --data")
}
