//! What a server sends, gathered in a buffer. The messages are those of `pgwire`; rows are written by
//! [`crate::types::encode`], straight from Arrow's columns.

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus,
};
use pgwire::messages::startup::{BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use polder_capability::{Notice, TransactionState};
use polder_types::{Error, ErrorKind, Subject};

use crate::types::{Column, Format};

/// Version 3.0.
const PROTOCOL: i32 = 3 << 16;

/// Characters of a message or a hint that are sent; an error can quote a whole document.
const TEXT_CHARS_MAX: usize = 8_000;

/// Writes a message. One that cannot be written is a mistake of this server, and told in its log.
fn put(output: &mut BytesMut, message: &impl Message) {
    let before = output.len();
    if let Err(error) = message.encode(output) {
        output.truncate(before);
        tracing::error!(%error, "a message could not be written");
    }
}

/// A text as a message can hold it: without zeros, and not too long.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| *letter != '\0').take(TEXT_CHARS_MAX).collect()
}

pub(crate) fn ready(output: &mut BytesMut, state: TransactionState) {
    let status = match state {
        TransactionState::None => TransactionStatus::Idle,
        TransactionState::Open => TransactionStatus::Transaction,
        TransactionState::Failed => TransactionStatus::Error,
    };
    put(output, &ReadyForQuery::new(status));
}

pub(crate) fn complete(output: &mut BytesMut, tag: &str) {
    put(output, &CommandComplete::new(plain(tag)));
}

pub(crate) fn empty_query(output: &mut BytesMut) {
    put(output, &EmptyQueryResponse::new());
}

pub(crate) fn parse_complete(output: &mut BytesMut) {
    put(output, &ParseComplete::new());
}

pub(crate) fn bind_complete(output: &mut BytesMut) {
    put(output, &BindComplete::new());
}

pub(crate) fn close_complete(output: &mut BytesMut) {
    put(output, &CloseComplete::new());
}

pub(crate) fn suspended(output: &mut BytesMut) {
    put(output, &PortalSuspended::new());
}

pub(crate) fn no_data(output: &mut BytesMut) {
    put(output, &NoData::new());
}

pub(crate) fn parameters(output: &mut BytesMut, types: Vec<u32>) {
    put(output, &ParameterDescription::new(types));
}

pub(crate) fn parameter_status(output: &mut BytesMut, name: &str, value: &str) {
    put(output, &ParameterStatus::new(name.to_owned(), plain(value)));
}

pub(crate) fn key_data(output: &mut BytesMut, process: i32, secret: i32) {
    put(output, &BackendKeyData::new(process, SecretKey::I32(secret)));
}

/// Tells a client of a newer protocol which one is spoken, and which of its options are not known.
pub(crate) fn negotiate(output: &mut BytesMut, options: Vec<String>) {
    put(output, &NegotiateProtocolVersion::new(PROTOCOL, options));
}

/// The columns of rows to come.
pub(crate) fn row_description(output: &mut BytesMut, columns: &[Column], formats: &[Format]) {
    let fields = columns.iter().zip(formats).map(|(column, format)| {
        let name = plain(&column.name);
        let (oid, size, modifier) = (column.kind.oid(), column.kind.size(), column.modifier);
        // Numbers beyond a sign are sent as the bytes that they have.
        let (table, number) = (column.origin.0.cast_signed(), column.origin.1);
        FieldDescription::new(name, table, number, oid, size, modifier, format.code())
    });
    put(output, &RowDescription::new(fields.collect()));
}

pub(crate) fn copy_in(output: &mut BytesMut, binary: bool, columns: usize) {
    let (format, columns) = copy_format(binary, columns);
    put(output, &CopyInResponse::new(format, i16::try_from(columns.len()).unwrap_or(i16::MAX), columns));
}

pub(crate) fn copy_out(output: &mut BytesMut, binary: bool, columns: usize) {
    let (format, columns) = copy_format(binary, columns);
    put(output, &CopyOutResponse::new(format, i16::try_from(columns.len()).unwrap_or(i16::MAX), columns));
}

fn copy_format(binary: bool, columns: usize) -> (i8, Vec<i16>) {
    (i8::from(binary), vec![i16::from(binary); columns])
}

pub(crate) fn copy_done(output: &mut BytesMut) {
    put(output, &CopyDone::new());
}

/// A message whose body is written in place.
pub(crate) fn framed<E>(
    output: &mut BytesMut,
    kind: u8,
    body: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), E> {
    let before = output.len();
    output.put_u8(kind);
    output.put_u32(0);
    if let Err(error) = body(output) {
        output.truncate(before);
        return Err(error);
    }
    let length = u32::try_from(output.len() - before - 1).unwrap_or(u32::MAX);
    if let Some(place) = output.get_mut(before + 1..before + 5) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// How bad an error is for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    /// The connection ends.
    Fatal,
}

/// What PostgreSQL says when a prepared statement has other columns than it was told to have.
pub(crate) const PLAN_CHANGED: &str = "cached plan must not change result type";

/// The function in which PostgreSQL finds that out. Drivers know by it that preparing anew helps.
const PLAN_CHANGED_IN: &str = "RevalidateCachedQuery";

/// An error. `sql`: the text that its line and column are in.
pub(crate) fn error(output: &mut BytesMut, error: &Error, severity: Severity, sql: Option<&str>) {
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Corrupt) {
        tracing::error!(?error, "a statement failed");
    }
    let severity = match severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.code().to_owned()),
        (b'M', plain(error.message())),
    ];
    for (field, text) in [(b'D', error.detail()), (b'H', error.hint()), (b'W', error.place())] {
        fields.extend(text.map(|text| (field, plain(text))));
    }
    if let Some(Subject { schema, table, column, constraint }) = error.subject() {
        for (field, name) in [(b's', schema), (b't', table), (b'c', column), (b'n', constraint)] {
            fields.extend(name.as_ref().map(|name| (field, plain(name))));
        }
    }
    if let (Some(place), Some(sql)) = (error.position(), sql)
        && let Some(at) = character(sql, place.line, place.column)
    {
        fields.push((b'P', at.to_string()));
    }
    if error.message() == PLAN_CHANGED {
        fields.push((b'R', PLAN_CHANGED_IN.to_owned()));
    }
    put(output, &ErrorResponse::new(fields));
}

/// The character, counted from 1, at a line and column.
fn character(sql: &str, line: u64, column: u64) -> Option<usize> {
    let line = usize::try_from(line.checked_sub(1)?).ok()?;
    let column = usize::try_from(column).ok()?;
    let mut before = 0;
    for (at, text) in sql.split('\n').enumerate() {
        let letters = text.chars().count();
        if at == line {
            return (1..=letters + 1).contains(&column).then_some(before + column);
        }
        before += letters + 1;
    }
    None
}

pub(crate) fn notice(output: &mut BytesMut, notice: &Notice) {
    let severity = if notice.warns { "WARNING" } else { "NOTICE" };
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', notice.code.clone().into_owned()),
        (b'M', plain(&notice.message)),
    ];
    for (field, text) in [(b'D', &notice.detail), (b'H', &notice.hint)] {
        fields.extend(text.as_deref().map(|text| (field, plain(text))));
    }
    put(output, &NoticeResponse::new(fields));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_of_the_whole_text() {
        for (sql, line, column, wanted) in
            [("SELECT x", 1, 8, Some(8)), ("é\nab", 2, 2, Some(4)), ("a", 3, 1, None), ("a", 1, 9, None)]
        {
            assert_eq!(character(sql, line, column), wanted, "{sql} {line}:{column}");
        }
    }

    #[test]
    fn a_body_has_its_length_before_it() {
        let mut output = BytesMut::new();
        framed::<()>(&mut output, b'D', |out| {
            out.put_slice(b"abc");
            Ok(())
        })
        .unwrap();
        assert_eq!(&output[..], b"D\0\0\0\x07abc");
        assert!(framed(&mut output, b'D', |_| Err(())).is_err());
        assert_eq!(output.len(), 8);
    }
}
