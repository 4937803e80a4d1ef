//! What a failure of the disk means for the caller.

use std::io;

use polder_types::{Error, ErrorKind};

/// An error of the file system: full is for waiting, the rest for trying again.
pub(crate) fn failed(doing: &str, path: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{doing} {path}: {error}"))
}

/// Something that was acknowledged is no longer as it was written.
pub(crate) fn damaged(path: &str, position: u64, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{path} is damaged at byte {position}: {what}"))
        .with_hint("restore this file from a backup")
}
