//! Rows coming in: bytes in any pieces become batches of texts.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, StringBuilder, UInt64Array};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use bytes::{Buf, BytesMut};
use polder_capability::{copy_lines_field, place_of_line};
use polder_types::{Error, ErrorKind, Result, limits};

use super::binary::{self, Tuple};
use super::encoding::EncodingReader;
use super::lines::{Field, LineEnds, csv_fields, text_fields};
use crate::sql::copy_options::{CopyFormat, CopyOptions, Header};
use crate::types::{Column, parameters};
use crate::wire::frontend::utf8;

/// A batch is handed on when it has so many rows, or so many bytes.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;

/// A row that has begun and does not end: nearly always a quote that was never closed.
const ROW_BYTES_MAX: usize = 4 * limits::FIELD_BYTES_MAX;

pub(crate) struct CopyReader {
    options: CopyOptions,
    columns: Vec<Column>,
    schema: SchemaRef,
    buffer: BytesMut,
    encoding: EncodingReader,
    ends: LineEnds,
    builders: Vec<StringBuilder>,
    /// Of the rows that have been read and not handed on.
    lines: Vec<u64>,
    bytes: usize,
    /// Lines of the file, or rows of a binary one, that have been read.
    line: u64,
    begun: bool,
    ended: bool,
    /// The values of a row that ends too early.
    cut_off: Option<RecordBatch>,
}

fn wrong(message: impl Into<String>) -> Error {
    Error::invalid(message).with_code("22P04")
}

/// # Errors
/// `InvalidInput` (22021).
fn without_zeros(text: &str) -> Result<&str> {
    match text.contains('\0') {
        true => Err(Error::invalid("invalid byte sequence for encoding \"UTF8\": 0x00").with_code("22021")),
        false => Ok(text),
    }
}

impl CopyReader {
    pub(crate) fn new(options: CopyOptions, columns: Vec<Column>) -> Self {
        let field = |column: &Column| ArrowField::new(&column.name, DataType::Utf8, true);
        let lines = copy_lines_field(options.format == CopyFormat::Binary);
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(field).chain([lines]).collect::<Vec<_>>())),
            builders: columns.iter().map(|_| StringBuilder::new()).collect(),
            encoding: options.encoding.reader(),
            options,
            columns,
            buffer: BytesMut::new(),
            ends: LineEnds::default(),
            lines: Vec::new(),
            bytes: 0,
            line: 0,
            begun: false,
            ended: false,
            cut_off: None,
        }
    }

    /// What stood before an error: rows, and the values of one that ends too early. An error in those comes first, as it
    /// does where each value is looked at in its turn.
    ///
    /// # Errors
    /// `Internal`.
    pub(crate) fn before_error(&mut self) -> Result<Vec<RecordBatch>> {
        let whole = if self.lines.is_empty() { None } else { self.batch()? };
        Ok(whole.into_iter().chain(self.cut_off.take()).collect())
    }

    /// Takes bytes in; gives a batch once there is enough for one.
    ///
    /// # Errors
    /// `InvalidInput` (22P04, 22021) with its place.
    pub(crate) fn feed(&mut self, data: &[u8]) -> Result<Option<RecordBatch>> {
        if self.ended {
            // PostgreSQL too passes over what follows the end.
            return Ok(None);
        }
        match self.options.format {
            CopyFormat::Binary => {
                self.buffer.extend_from_slice(data);
                self.tuples()?;
            }
            _ => {
                let decoded = self.encoding.read(data, false, &mut self.buffer);
                self.lines()?;
                decoded.map_err(|error| self.unfinished(error))?;
            }
        }
        if self.buffer.len() > ROW_BYTES_MAX {
            let message = format!("a row is longer than {} MiB", ROW_BYTES_MAX >> 20);
            let error = Error::new(ErrorKind::TooLarge, message).with_hint("is a quote never closed?");
            return Err(self.unfinished(error));
        }
        if self.lines.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.batch() } else { Ok(None) }
    }

    /// The last batch.
    ///
    /// # Errors
    /// As [`CopyReader::feed`], and for what is cut off.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        // The mark at the end may be left out, as with PostgreSQL; but a row is never.
        let whole = self.begun && self.buffer.is_empty();
        if !self.ended && !whole && self.options.format == CopyFormat::Binary {
            return Err(self.unfinished(wrong("unexpected EOF in COPY data")));
        }
        if !self.ended && self.options.format != CopyFormat::Binary {
            let decoded = self.encoding.read(&[], true, &mut self.buffer);
            decoded.map_err(|error| self.unfinished(error))?;
        }
        if !self.ended && !self.buffer.is_empty() {
            self.last_lines()?;
        }
        if self.lines.is_empty() { Ok(None) } else { self.batch() }
    }

    /// An error while a line or row is read that has not come to its end.
    pub(crate) fn unfinished(&self, error: Error) -> Error {
        error.in_place(place_of_line(self.line + 1, None))
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let lines = std::mem::take(&mut self.lines);
        let rows = lines.len();
        self.bytes = 0;
        // Of a row that an error ended, some columns have a value already.
        let column = |builder: &mut StringBuilder| Arc::new(builder.finish().slice(0, rows)) as ArrayRef;
        let lines: ArrayRef = Arc::new(UInt64Array::from(lines));
        let columns = self.builders.iter_mut().map(column).chain([lines]).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        batch.map(Some).map_err(|error| Error::internal(error.to_string()))
    }

    fn lines(&mut self) -> Result<()> {
        while !self.ended {
            let Some((length, end)) = self.next_end(false)? else { return Ok(()) };
            let line = self.buffer.split_to(length);
            self.buffer.advance(end);
            self.line_of(&line)?;
        }
        Ok(())
    }

    /// Where the next line ends. A wrong end is one of the line that it would be.
    fn next_end(&mut self, is_last: bool) -> Result<Option<(usize, usize)>> {
        self.ends.next(&self.buffer, &self.options, is_last).map_err(|error| self.unfinished(error))
    }

    /// What is left when nothing follows: a line whose end was kept back, and one that has none.
    fn last_lines(&mut self) -> Result<()> {
        while !self.ended
            && let Some((length, end)) = self.next_end(true)?
        {
            let line = self.buffer.split_to(length);
            self.buffer.advance(end);
            self.line_of(&line)?;
        }
        let last = std::mem::take(&mut self.buffer);
        if self.ends.is_open() {
            let line = self.line + 1 + self.ends.inside(&last, self.line == 0);
            return Err(wrong("unterminated CSV quoted field").in_place(place_of_line(line, Some(last.as_ref()))));
        }
        match (last.as_ref(), self.options.format) {
            _ if self.ended => Ok(()),
            (b"", _) => Ok(()),
            (b"\\.", CopyFormat::Text) => Err(self.unfinished(wrong("end-of-copy marker corrupt"))),
            (last, _) => self.values_of(last),
        }
    }

    fn line_of(&mut self, line: &[u8]) -> Result<()> {
        if line == b"\\." {
            self.line += 1;
            self.ended = true;
            return Ok(());
        }
        self.values_of(line)
    }

    fn values_of(&mut self, line: &[u8]) -> Result<()> {
        if self.options.format == CopyFormat::Csv {
            self.line += self.ends.inside(line, self.line == 0);
        }
        self.line += 1;
        self.row_of(line).map_err(|error| {
            let is_text = utf8(line).is_ok_and(|text| !text.contains('\0'));
            error.in_place(place_of_line(self.line, is_text.then_some(line)))
        })
    }

    fn row_of(&mut self, line: &[u8]) -> Result<()> {
        let is_header = !std::mem::replace(&mut self.begun, true) && self.options.header != Header::None;
        let fields = match self.options.format {
            CopyFormat::Csv => {
                let (null, options, columns) = (self.options.null.as_bytes(), &self.options, &self.columns);
                csv_fields(line, options, |at, text, quoted| {
                    let name = columns.get(at).map(|column| column.name.as_str()).unwrap_or_default();
                    let counts = if quoted { options.force_null.has(name) } else { !options.force_not_null.has(name) };
                    !is_header && counts && text == null
                })?
            }
            _ => text_fields(line, &self.options),
        };
        if is_header {
            return self.check_header(&fields);
        }
        if fields.len() > self.columns.len() {
            return Err(wrong("extra data after last expected column"));
        }
        if let Some(column) = self.columns.get(fields.len()) {
            let missing = wrong(format!("missing data for column \"{}\"", column.name));
            self.cut_off = Some(self.part_of_row(&fields)?);
            return Err(missing);
        }
        for (builder, field) in self.builders.iter_mut().zip(&fields) {
            match field {
                Field::Null => builder.append_null(),
                Field::Text(text) => builder.append_value(without_zeros(utf8(text)?)?),
            }
        }
        self.lines.push(self.line);
        self.bytes += line.len();
        Ok(())
    }

    /// The first values of a row.
    fn part_of_row(&self, fields: &[Field]) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for field in fields {
            let text = match field {
                Field::Null => None,
                Field::Text(text) => Some(without_zeros(utf8(text)?)?),
            };
            columns.push(Arc::new(StringArray::from(vec![text])));
        }
        columns.push(Arc::new(UInt64Array::from(vec![self.line])));
        let fields = self.schema.fields().iter().take(fields.len()).chain(self.schema.fields().last());
        let schema = Schema::new(fields.cloned().collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), columns).map_err(|error| Error::internal(error.to_string()))
    }

    fn check_header(&self, fields: &[Field]) -> Result<()> {
        if self.options.header != Header::Match {
            return Ok(());
        }
        let same = fields.len() == self.columns.len()
            && fields.iter().zip(&self.columns).all(|(field, column)| match field {
                Field::Text(text) => text == column.name.as_bytes(),
                Field::Null => false,
            });
        if same { Ok(()) } else { Err(wrong("the names in the header line are not those of the columns")) }
    }

    fn tuples(&mut self) -> Result<()> {
        if !self.begun {
            self.begun = binary::head(&mut self.buffer)?;
        }
        while self.begun && !self.ended {
            let before = self.buffer.len();
            let tuple = binary::tuple(&mut self.buffer, self.columns.len());
            let row = match tuple.map_err(|error| self.unfinished(error))? {
                Tuple::Partial => return Ok(()),
                Tuple::End => {
                    self.ended = true;
                    return Ok(());
                }
                Tuple::Row(row) => row,
            };
            self.line += 1;
            for ((builder, column), value) in self.builders.iter_mut().zip(&self.columns).zip(row) {
                match value {
                    None => builder.append_null(),
                    Some(value) => {
                        let mut text = BytesMut::new();
                        let read = parameters::binary(column.kind, value, &mut text);
                        let read = read.and_then(|()| without_zeros(utf8(&text)?));
                        let placed = |error: Error| {
                            let line = place_of_line(self.line, None);
                            error.in_place(format!("{line}, column {}", column.name))
                        };
                        builder.append_value(read.map_err(placed)?);
                    }
                }
            }
            self.lines.push(self.line);
            self.bytes += before - self.buffer.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
