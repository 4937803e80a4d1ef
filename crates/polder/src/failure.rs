//! What went wrong, as a person at a terminal reads it: what, where, and what next.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use polder_capability::QueryError;
use polder_types::{Error, Position};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::{EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE};
use crate::terminal;

/// SQLSTATE of a statement that was stopped on request.
pub const CANCELLED: &str = "57014";

/// Columns of a source line shown around the place of an error.
const EXCERPT_COLUMNS: usize = 100;

/// An error on its way to the terminal.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    pub message: String,
    /// The stable code: a SQLSTATE, when known.
    pub code: Option<String>,
    /// Counted in the statement; see [`Excerpt`].
    pub position: Option<Position>,
    pub hint: Option<String>,
    /// To find the request in the server's log.
    pub request_id: Option<String>,
    pub excerpt: Option<Excerpt>,
    pub exit: Option<u8>,
}

/// Where the statement that failed stands in what the user wrote.
#[derive(Debug, Clone)]
pub struct Excerpt {
    /// The whole text.
    pub source: Arc<str>,
    /// The file's name; `None` for a command line or the shell.
    pub name: Option<String>,
    /// Where the statement begins in the text, from 1.
    pub line: u64,
    pub column: u64,
}

impl Failure {
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A command that was not understood: exit code 2.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Some(EXIT_USAGE), ..Self::new(message) }
    }

    #[must_use]
    pub fn interrupted() -> Self {
        Self { exit: Some(EXIT_INTERRUPTED), code: Some(CANCELLED.to_owned()), ..Self::new("interrupted") }
    }

    /// Writing the answer failed. A reader that has had enough (`| head`) is no failure.
    #[must_use]
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Some(EXIT_DONE), ..Self::default() };
        }
        Self::new(format!("cannot write the answer: {error}"))
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn in_statement(mut self, excerpt: Excerpt) -> Self {
        self.excerpt = Some(excerpt);
        self
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.code.as_deref() == Some(CANCELLED)
    }

    /// Writes the error in up to a few lines, the place in the SQL marked by a caret.
    pub fn render(&self, out: &mut dyn Write, color: bool) -> io::Result<()> {
        let (red, dim, plain) = if color { ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        write!(out, "{red}error:{plain} {}", terminal::printable(&self.message, true))?;
        if let Some(code) = &self.code {
            write!(out, " {dim}[{code}]{plain}")?;
        }
        writeln!(out)?;
        match (&self.excerpt, self.position) {
            (Some(excerpt), Some(position)) => excerpt.render(position, out)?,
            (None, Some(position)) => writeln!(out, "  at line {}, column {}", position.line, position.column)?,
            (Some(Excerpt { name: Some(name), line, .. }), None) => {
                writeln!(out, "  in the statement at {name}:{line}")?
            }
            _ => {}
        }
        if let Some(hint) = &self.hint {
            writeln!(out, "hint: {}", terminal::printable(hint, true))?;
        }
        if let Some(id) = &self.request_id {
            writeln!(out, "{dim}request {id}{plain}")?;
        }
        Ok(())
    }
}

impl Excerpt {
    /// The source line with a caret under the column.
    fn render(&self, at: Position, out: &mut dyn Write) -> io::Result<()> {
        let line = self.line + at.line.saturating_sub(1);
        let column = if at.line <= 1 { self.column + at.column.saturating_sub(1) } else { at.column };
        let text = self.source.lines().nth(usize::try_from(line - 1).unwrap_or(usize::MAX)).unwrap_or_default();
        let caret = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX).min(text.chars().count());
        // A long line is shown around the caret only.
        let first = if caret > EXCERPT_COLUMNS * 2 / 3 { caret - EXCERPT_COLUMNS / 2 } else { 0 };
        let shown: String = text.chars().skip(first).take(EXCERPT_COLUMNS).map(plain_char).collect();
        let before: String = text.chars().skip(first).take(caret - first).map(plain_char).collect();
        let (lead, pad) = if first > 0 { ("…", 1) } else { ("", 0) };
        let tail = if text.chars().count() > first + EXCERPT_COLUMNS { "…" } else { "" };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let name = self.name.as_deref().unwrap_or("line");
        writeln!(out, "{gutter}--> {name}:{line}:{column}")?;
        writeln!(out, "{number} | {lead}{shown}{tail}")?;
        writeln!(out, "{gutter} | {}^", " ".repeat(before.width() + pad))
    }
}

/// A tab or a control character as one blank, so that the caret stays under its column.
fn plain_char(c: char) -> char {
    if c.width().is_none() { ' ' } else { c }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        from_ref(&error)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self {
            message: error.message,
            code: Some(error.code).filter(|code| !code.is_empty()),
            position: error.position,
            hint: error.hint,
            ..Self::default()
        }
    }
}

/// Prints the error, if it is one, to standard error and gives the exit code.
pub fn exit_code(done: anyhow::Result<u8>) -> u8 {
    let error = match done {
        Ok(code) => return code,
        Err(error) => error,
    };
    let failure = as_failure(&error);
    let exit = failure.exit.unwrap_or(if failure.is_cancelled() { EXIT_INTERRUPTED } else { EXIT_FAILED });
    if exit != EXIT_DONE {
        // When standard error is gone too there is nobody left to tell.
        let _ = failure.render(&mut io::stderr().lock(), terminal::color_stderr());
    }
    exit
}

/// The [`Failure`] in an error's chain, with the words that were put in front of it.
pub fn as_failure(error: &anyhow::Error) -> Failure {
    let mut words = String::new();
    for cause in error.chain() {
        let found = cause.downcast_ref::<Failure>().cloned().or_else(|| cause.downcast_ref::<Error>().map(from_ref));
        if let Some(failure) = found {
            return Failure { message: words + &failure.message, ..failure };
        }
        words.push_str(&format!("{cause}: "));
    }
    Failure::new(words.trim_end_matches(": "))
}

fn from_ref(error: &Error) -> Failure {
    Failure {
        message: error.described(),
        code: Some(error.code().to_owned()),
        position: error.position(),
        hint: error.hint().map(str::to_owned),
        ..Failure::default()
    }
}

#[cfg(test)]
mod tests;
