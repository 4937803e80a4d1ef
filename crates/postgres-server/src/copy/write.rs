//! Rows going out: each is a message of its own, as clients that read row by row expect.

use bytes::{BufMut, BytesMut};
use polder_types::Result;

use super::{SIGNATURE, TRAILER};
use crate::sql::copy_options::{CopyFormat, CopyOptions, Header};
use crate::types::Column;
use crate::types::encode::Rows;
use crate::wire::backend::framed;

pub(crate) struct CopyWriter {
    options: CopyOptions,
    names: Vec<String>,
    /// Sent with whatever comes first.
    head: Option<BytesMut>,
    text: BytesMut,
}

impl CopyWriter {
    pub(crate) fn new(options: CopyOptions, columns: &[Column]) -> Self {
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let mut writer = Self { options, names, head: None, text: BytesMut::new() };
        if writer.options.format == CopyFormat::Binary {
            let mut head = BytesMut::from(SIGNATURE);
            head.put_u64(0);
            writer.head = Some(head);
        }
        writer
    }

    /// The line of names, if there is one.
    pub(crate) fn header(&self, out: &mut BytesMut) -> Result<()> {
        if self.options.header == Header::None {
            return Ok(());
        }
        framed(out, b'd', |out| {
            let start = out.len();
            for (at, name) in self.names.iter().enumerate() {
                if at > 0 {
                    out.put_u8(self.options.delimiter);
                }
                match self.options.format {
                    CopyFormat::Csv => self.csv(out, name.as_bytes(), false),
                    _ => self.escaped(out, name.as_bytes()),
                }
            }
            out.put_u8(b'\n');
            self.options.encoding.encode_from(out, start)
        })
    }

    pub(crate) fn row(&mut self, out: &mut BytesMut, rows: &Rows, row: usize) -> Result<()> {
        let head = self.head.take();
        let mut text = std::mem::take(&mut self.text);
        let written = framed(out, b'd', |out| {
            if self.options.format == CopyFormat::Binary {
                out.extend_from_slice(head.as_deref().unwrap_or_default());
                return rows.tuple(out, row);
            }
            let start = out.len();
            for (at, name) in self.names.iter().enumerate() {
                if at > 0 {
                    out.put_u8(self.options.delimiter);
                }
                text.clear();
                if !rows.text(&mut text, row, at)? {
                    out.put_slice(self.options.null.as_bytes());
                } else if self.options.format == CopyFormat::Csv {
                    self.csv(out, &text, self.options.force_quote.has(name));
                } else {
                    self.escaped(out, &text);
                }
            }
            out.put_u8(b'\n');
            self.options.encoding.encode_from(out, start)
        });
        self.text = text;
        written
    }

    /// What ends the copy.
    pub(crate) fn end(&mut self, out: &mut BytesMut) -> Result<()> {
        if self.options.format != CopyFormat::Binary {
            return Ok(());
        }
        if let Some(head) = self.head.take() {
            framed(out, b'd', |out| -> Result<()> {
                out.extend_from_slice(&head);
                out.put_i16(TRAILER);
                Ok(())
            })
        } else {
            framed(out, b'd', |out| -> Result<()> {
                out.put_i16(TRAILER);
                Ok(())
            })
        }
    }

    fn escaped(&self, out: &mut BytesMut, text: &[u8]) {
        for byte in text {
            let letter = match byte {
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x08 => b'b',
                0x0b => b'v',
                0x0c => b'f',
                other if *other == self.options.delimiter => *other,
                other => {
                    out.put_u8(*other);
                    continue;
                }
            };
            out.put_slice(&[b'\\', letter]);
        }
    }

    fn csv(&self, out: &mut BytesMut, text: &[u8], force: bool) {
        let (delimiter, quote, escape) = (self.options.delimiter, self.options.quote, self.options.escape);
        let special = |byte: &u8| *byte == delimiter || *byte == quote || matches!(byte, b'\n' | b'\r');
        // Alone on its line it would end the copy.
        let ends = self.names.len() == 1 && text == b"\\.";
        if !force && !ends && text != self.options.null.as_bytes() && !text.iter().any(special) {
            return out.put_slice(text);
        }
        out.put_u8(quote);
        for byte in text {
            if *byte == quote || *byte == escape {
                out.put_u8(escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(quote);
    }
}
