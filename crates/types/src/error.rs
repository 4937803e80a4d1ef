//! The one error that crosses a boundary. Inside, crates keep enums of their own.

use std::fmt;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Mend the input: a statement, a file, an option.
    InvalidInput,
    /// Name something that exists.
    NotFound,
    /// Choose another name, or say that replacing is meant.
    AlreadyExists,
    /// Log in.
    Unauthenticated,
    /// Ask an administrator for the right.
    Forbidden,
    /// Run the transaction again: somebody else committed first.
    Conflict,
    /// Send less, or raise the limit.
    TooLarge,
    /// Wait for memory, disk or a slot, or free some.
    Exhausted,
    /// Nothing: the caller asked for it.
    Cancelled,
    /// Try again later.
    Unavailable,
    /// Use another way: this one is not there.
    Unsupported,
    /// Restore the named file from a backup.
    Corrupt,
    /// Report it, with the request id.
    Internal,
}

impl ErrorKind {
    const ALL: [Self; 13] = [
        Self::InvalidInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Conflict,
        Self::TooLarge,
        Self::Exhausted,
        Self::Cancelled,
        Self::Unavailable,
        Self::Unsupported,
        Self::Corrupt,
        Self::Internal,
    ];

    /// The SQLSTATE used when nothing more precise is known, and those by which [`ErrorKind::of_code`] knows the kind.
    const fn codes(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::InvalidInput => (
                "22000",
                &[
                    "22001", "22003", "22007", "22008", "22012", "22023", "2200H", "22P02", "22P04", "23502", "23503",
                    "23505", "23514", "42601", "42602", "42701", "428C9", "55000",
                ],
            ),
            Self::NotFound => ("42P01", &["3F000", "42703", "42704", "58P01"]),
            Self::AlreadyExists => ("42P07", &[]),
            Self::Unauthenticated => ("28P01", &[]),
            Self::Forbidden => ("42501", &[]),
            Self::Conflict => ("40001", &[]),
            Self::TooLarge => ("54000", &["54011"]),
            Self::Exhausted => ("53000", &["53100", "53200", "53400"]),
            Self::Cancelled => ("57014", &[]),
            Self::Unavailable => ("57P03", &["08006", "08007"]),
            Self::Unsupported => ("0A000", &[]),
            Self::Corrupt => ("XX001", &[]),
            Self::Internal => ("XX000", &[]),
        }
    }

    /// The SQLSTATE used when nothing more precise is known.
    #[must_use]
    pub const fn default_code(self) -> &'static str {
        self.codes().0
    }

    /// The kind of an error of which only the SQLSTATE is left, and that SQLSTATE. `None` for one that is not known.
    #[must_use]
    pub fn of_code(code: &str) -> Option<(Self, &'static str)> {
        Self::ALL.into_iter().find_map(|kind| {
            let (usual, others) = kind.codes();
            let known = std::iter::once(&usual).chain(others).find(|known| **known == code)?;
            Some((kind, *known))
        })
    }
}

/// Where in a text an error lies, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    /// The same place in a longer text: of what stands behind `before`.
    #[must_use]
    pub fn behind(self, before: &str) -> Self {
        let lines = before.matches('\n').count() as u64;
        let last = before.rsplit('\n').next().unwrap_or_default();
        let columns = if self.line == 1 { last.chars().count() as u64 } else { 0 };
        Self { line: self.line + lines, column: self.column + columns }
    }
}

/// What an error is about, as PostgreSQL tells it in fields of their own, so that no program takes a message apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

/// An error as a caller sees it: what, where, and what to do next.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<Position>,
    place: Option<String>,
    /// Few errors have one.
    subject: Option<Box<Subject>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `message`: lower case, no full stop, what and where.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: kind.default_code(),
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            place: None,
            subject: None,
            source: None,
        }))
    }

    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled on request")
    }

    /// A SQLSTATE more precise than the kind's own.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.0.code = code;
        self
    }

    /// The particulars, such as the row that was refused: a sentence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same for those who may not know the particulars.
    #[must_use]
    pub fn without_detail(mut self) -> Self {
        self.0.detail = None;
        self
    }

    /// The table that it is about.
    #[must_use]
    pub fn of_table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Self {
        let subject = self.0.subject.get_or_insert_default();
        (subject.schema, subject.table) = (Some(schema.into()), Some(table.into()));
        self
    }

    /// The column that it is about.
    #[must_use]
    pub fn of_column(mut self, column: impl Into<String>) -> Self {
        self.0.subject.get_or_insert_default().column = Some(column.into());
        self
    }

    /// The constraint that it is about.
    #[must_use]
    pub fn of_constraint(mut self, constraint: impl Into<String>) -> Self {
        self.0.subject.get_or_insert_default().constraint = Some(constraint.into());
        self
    }

    /// What to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> Self {
        self.0.position = Some(Position { line, column });
        self
    }

    /// Where in the data it lies, not in the statement: what PostgreSQL calls its context.
    #[must_use]
    pub fn in_place(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// The same error with words in front of its message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code: a SQLSTATE.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Where in the data it lies.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// The message, with the detail and the place behind it: for those who have one field for all.
    #[must_use]
    pub fn described(&self) -> String {
        let detail = self.0.detail.as_ref().map(|detail| format!(": {}", detail.trim_end_matches('.')));
        let place = self.0.place.as_ref().map(|place| format!(" ({place})"));
        format!("{}{}{}", self.0.message, detail.unwrap_or_default(), place.unwrap_or_default())
    }

    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.0.subject.as_deref()
    }

    /// The parts that a caller sees, as a new error.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Box::new(Inner {
            kind: self.0.kind,
            code: self.0.code,
            message: self.0.message.clone(),
            detail: self.0.detail.clone(),
            hint: self.0.hint.clone(),
            position: self.0.position,
            place: self.0.place.clone(),
            subject: self.0.subject.clone(),
            source: None,
        }))
    }

    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.0.position
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described())?;
        if let Some(Position { line, column }) = self.0.position {
            write!(f, " (line {line}, column {column})")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]: {self}", self.0.kind, self.0.code)?;
        if let Some(source) = &self.0.source {
            write!(f, " <- {source:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests;
