//! JSON as it is made from values, within its bounds.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use polder_types::{Error, ErrorKind};

use crate::limits::{DECODED_BYTES_MAX, DECODED_DEPTH_MAX};

/// Why a value cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is no value of the schema.
    Wrong(String),
    /// Its text would go beyond all measure.
    TooLarge(String),
}

impl DecodeError {
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }

    pub fn cut_off() -> Self {
        Self::wrong("the value ends too early")
    }

    pub fn too_large() -> Self {
        Self::TooLarge(format!("the value would become more than {DECODED_BYTES_MAX} bytes of JSON"))
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Wrong(message) => Self::invalid(message),
            DecodeError::TooLarge(message) => Self::new(ErrorKind::TooLarge, message),
        }
    }
}

/// A JSON text that grows.
#[derive(Debug)]
pub(crate) struct Text(String);

impl Text {
    pub fn new() -> Self {
        Self(String::new())
    }

    pub fn finish(self) -> String {
        self.0
    }

    /// A level deeper.
    pub fn deeper(&self, depth: usize) -> Result<usize, DecodeError> {
        if depth >= DECODED_DEPTH_MAX {
            return Err(DecodeError::TooLarge(format!("the value is nested deeper than {DECODED_DEPTH_MAX}")));
        }
        Ok(depth + 1)
    }

    /// What needs no quotes.
    pub fn raw(&mut self, text: &str) -> Result<(), DecodeError> {
        self.room(text.len())?;
        self.0.push_str(text);
        Ok(())
    }

    pub fn string(&mut self, text: &str) -> Result<(), DecodeError> {
        self.room(text.len())?;
        let quoted = serde_json::to_string(text).map_err(|error| DecodeError::wrong(error.to_string()))?;
        self.raw(&quoted)
    }

    pub fn base64(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.room(bytes.len())?;
        self.0.push('"');
        BASE64_STANDARD.encode_string(bytes, &mut self.0);
        self.raw("\"")
    }

    /// JSON has no numbers for what is none: these are texts.
    pub fn float(&mut self, number: f64, write: impl FnOnce(&mut String) -> fmt::Result) -> Result<(), DecodeError> {
        if number.is_finite() {
            self.room(32)?;
            return write(&mut self.0).map_err(|error| DecodeError::wrong(error.to_string()));
        }
        self.raw(match number {
            number if number.is_nan() => "\"NaN\"",
            number if number > 0.0 => "\"Infinity\"",
            _ => "\"-Infinity\"",
        })
    }

    fn room(&self, more: usize) -> Result<(), DecodeError> {
        if self.0.len() + more > DECODED_BYTES_MAX {
            return Err(DecodeError::too_large());
        }
        Ok(())
    }
}

/// A number of up to 64 bits, the sign in its lowest, seven bits a byte.
pub(crate) fn zigzag(bytes: &mut &[u8]) -> Result<i64, DecodeError> {
    let number = varint(bytes)?;
    // The lowest bit is the sign.
    Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or_else(DecodeError::cut_off)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(DecodeError::wrong("a number is longer than 64 bits"))
}
