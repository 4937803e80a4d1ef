//! What a failure of the disk means for the caller.

use std::io;

use polder_runtime::is_unreadable;
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

/// An error of reading at a place. Where the disk cannot give what is there, it is damage as any other.
pub(crate) fn unread(path: &str, position: u64, error: io::Error) -> Error {
    if is_unreadable(&error) {
        let message = format!("{path} cannot be read at byte {position}: {error}");
        return Error::new(ErrorKind::Corrupt, message).with_hint(RESTORE);
    }
    failed("reading", path, error)
}

/// What to do about a file of which a part is lost.
const RESTORE: &str = "restore this file from a backup that has it in its full length; if there is none, restore the whole folder of the \
                       log, or everything with `polder restore`";

/// What to do about a file that is gone. One of an old backup does not go with the others of today.
pub(crate) const RESTORE_ALL: &str = "the files of a log belong together: restore the whole folder of the log from a backup, or everything with `polder restore`";

/// A file is not there.
pub(crate) fn missing(path: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{path} is missing")).with_hint(RESTORE_ALL)
}

/// Something that was acknowledged is no longer as it was written.
pub(crate) fn damaged(path: &str, position: u64, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{path} is damaged at byte {position}: {what}")).with_hint(RESTORE)
}
