//! What a database's error means for the caller.

use polder_types::{Error, ErrorKind};

/// What kind of failure a database reported, told apart only as far as somebody acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection is gone or in an unknown state. Use a new one.
    Broken,
    /// A deadlock or serialization failure: the same transaction may succeed when run again.
    Again,
    /// Somebody else holds a lock for too long.
    Busy,
    /// A unique key is taken.
    Taken,
    /// No room left on the disk, or no connection slot.
    Full,
    /// The file is damaged or no database.
    Damaged,
    /// The value cannot be stored.
    Unfit,
    /// Rights are missing, in the file system or in the database.
    Denied,
    Other,
}

/// Reads a `sqlx` error. SQLite gives its result code as a number, PostgreSQL a SQLSTATE of five letters.
pub(crate) fn classify(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Failure::Broken
        }
        sqlx::Error::Encode(_) => Failure::Unfit,
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some(code) if code.len() == 5 => classify_sqlstate(code),
            Some(code) => code.parse().map_or(Failure::Other, classify_sqlite),
            None => Failure::Other,
        },
        _ => Failure::Other,
    }
}

fn classify_sqlstate(code: &str) -> Failure {
    match code {
        "40001" | "40P01" => Failure::Again,
        "55P03" | "57014" => Failure::Busy,
        "23505" => Failure::Taken,
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Failure::Broken,
        "XX001" | "XX002" => Failure::Damaged,
        "42501" => Failure::Denied,
        _ => match code.get(..2) {
            Some("08") => Failure::Broken,
            Some("53") => Failure::Full,
            Some("22") => Failure::Unfit,
            Some("28") => Failure::Denied,
            _ => Failure::Other,
        },
    }
}

fn classify_sqlite(code: i32) -> Failure {
    const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
    const CONSTRAINT_UNIQUE: i32 = 2067;
    match (code, code & 0xff) {
        (CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE, _) => Failure::Taken,
        // BUSY, LOCKED
        (_, 5 | 6) => Failure::Busy,
        // FULL
        (_, 13) => Failure::Full,
        // CORRUPT, NOTADB
        (_, 11 | 26) => Failure::Damaged,
        // PERM, READONLY, CANTOPEN, AUTH
        (_, 3 | 8 | 14 | 23) => Failure::Denied,
        // TOOBIG
        (_, 18) => Failure::Unfit,
        // IOERR
        (_, 10) => Failure::Broken,
        _ => Failure::Other,
    }
}

/// The error at the boundary. `action` says what was being done: `reading`, `committing`, …
pub(crate) fn sql_error(action: &str, error: sqlx::Error) -> Error {
    let kind = match classify(&error) {
        Failure::Broken | Failure::Busy | Failure::Denied => ErrorKind::Unavailable,
        Failure::Again => ErrorKind::Conflict,
        Failure::Taken => ErrorKind::AlreadyExists,
        Failure::Full => ErrorKind::Exhausted,
        Failure::Damaged => ErrorKind::Corrupt,
        Failure::Unfit => ErrorKind::InvalidInput,
        Failure::Other => ErrorKind::Internal,
    };
    let made = Error::new(kind, format!("{action} the metastore failed: {}", detail(&error)));
    let made = match classify(&error) {
        Failure::Broken => {
            made.with_code("08006").with_hint("check that the database runs and its disk works, then try again")
        }
        Failure::Busy => {
            made.with_code("55P03").with_hint("another program holds the database; try again when it is done")
        }
        Failure::Denied => made.with_hint("check the rights on the data directory or in the database"),
        Failure::Taken => made.with_code("23505"),
        Failure::Full => made.with_code("53100").with_hint("free some disk space, and try again"),
        Failure::Damaged => made.with_hint("restore metastore.sqlite from a backup"),
        Failure::Again | Failure::Unfit | Failure::Other => made,
    };
    made.with_source(error)
}

/// The database's own words, without `sqlx`'s preamble.
fn detail(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        other => other.to_string(),
    }
}

/// A file-system error, with the path that it is about.
pub(crate) fn io_error(action: &str, path: &std::path::Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{action} {} failed: {error}", path.display())).with_source(error)
}
