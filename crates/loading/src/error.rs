//! Errors of the outside world in the words of a load.

use std::fmt::Display;

use polder_types::{Error, ErrorKind};

/// An operating system's error, with what was being done: `cannot read sales.csv`.
pub(crate) fn io(doing: impl Display, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    // Readers that unpack wrap a bounded load's own error; it says more than the wrapping.
    let error = match error.downcast::<Error>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    let kind = match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::PermissionDenied => ErrorKind::Forbidden,
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::Exhausted,
        Io::InvalidData | Io::UnexpectedEof | Io::InvalidInput => ErrorKind::InvalidInput,
        Io::TimedOut | Io::ConnectionReset | Io::ConnectionRefused => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("{doing}: {error}")).with_source(error)
}

/// Content that its format's reader refuses.
pub(crate) fn broken(label: &str, format: &str, error: impl Display) -> Error {
    Error::invalid(format!("{label} cannot be read as {format}: {}", first_line(&error.to_string())))
        .with_hint("check that the file is whole and of this format")
}

pub(crate) fn too_large(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::TooLarge, message).with_hint(hint)
}

/// A reader's message may quote the content; a line of it is enough.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
