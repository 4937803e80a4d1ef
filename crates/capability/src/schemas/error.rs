//! What can go wrong, by its meaning.

use std::fmt;

use polder_types::{Error, ErrorKind};

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaError {
    /// There is no such subject, or the caller may not know.
    UnknownSubject,
    UnknownVersion,
    /// No schema has this id, or the subject does not have this schema.
    UnknownSchema,
    /// The subject is deleted already; what is left is to delete it for good.
    SubjectDeleted,
    /// Only what is deleted can be deleted for good.
    SubjectNotDeleted,
    VersionDeleted,
    VersionNotDeleted,
    /// The subject has no settings of its own.
    NoSubjectConfig,
    NoSubjectMode,
    /// The schema is none, or what it refers to is not there.
    InvalidSchema,
    /// A number from 1 on was asked for.
    InvalidVersion,
    InvalidSubject,
    /// The versions before it, and it, would not read each other as the subject's level asks for.
    Incompatible,
    /// The subject's mode does not allow it.
    WrongMode,
    /// Other schemas refer to it.
    Referenced,
    /// An id that another schema has.
    IdTaken,
    /// More than the registry takes.
    TooLarge,
    TooMany,
    /// The caller may not.
    Forbidden,
    /// What the registry does not do.
    Unsupported,
    /// Others changed it at the same time, again and again. Try again.
    Busy,
    /// An error of the store.
    Store,
}

/// A refusal, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFailure {
    pub error: SchemaError,
    /// Lower case, no full stop: what, where, what to do.
    pub message: String,
}

pub type SchemaResult<T> = Result<T, SchemaFailure>;

impl SchemaFailure {
    #[must_use]
    pub fn new(error: SchemaError, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

impl fmt::Display for SchemaFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SchemaFailure {}

/// What a store of the registry's says.
impl From<Error> for SchemaFailure {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Conflict => SchemaError::Busy,
            _ => SchemaError::Store,
        };
        Self::new(kind, error.to_string())
    }
}
