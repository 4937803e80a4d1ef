//! The bytes in which state is kept in the log. Each value begins with the version of its form, so that a later server can
//! read what an earlier one wrote.

use bytes::{BufMut, Bytes, BytesMut};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

/// Writes a value.
#[derive(Debug)]
pub struct Writer(BytesMut);

impl Writer {
    /// `version`: of the form.
    #[must_use]
    pub fn new(version: u8) -> Self {
        let mut bytes = BytesMut::with_capacity(64);
        bytes.put_u8(version);
        Self(bytes)
    }

    /// For keys, which have no version: their form cannot change.
    #[must_use]
    pub fn key() -> Self {
        Self(BytesMut::with_capacity(64))
    }

    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.put_u8(value);
        self
    }

    #[must_use]
    pub fn i16(mut self, value: i16) -> Self {
        self.0.put_i16(value);
        self
    }

    #[must_use]
    pub fn i32(mut self, value: i32) -> Self {
        self.0.put_i32(value);
        self
    }

    #[must_use]
    pub fn i64(mut self, value: i64) -> Self {
        self.0.put_i64(value);
        self
    }

    #[must_use]
    pub fn uuid(mut self, value: Uuid) -> Self {
        self.0.put_slice(value.as_bytes());
        self
    }

    /// Everything here is bounded far below 4 GiB.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.0.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.put_slice(value);
        self
    }

    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    #[must_use]
    pub fn maybe_text(self, value: Option<&str>) -> Self {
        match value {
            Some(text) => self.u8(1).text(text),
            None => self.u8(0),
        }
    }

    /// A list: its length, and each item as `write` does.
    #[must_use]
    pub fn list<T>(self, items: impl ExactSizeIterator<Item = T>, write: impl FnMut(Self, T) -> Self) -> Self {
        let start = self.i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
        items.fold(start, write)
    }

    #[must_use]
    pub fn done(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads what [`Writer`] wrote. Bytes that end too early are an error and no panic: a disk may have changed them.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// # Errors
    /// `Corrupt`; `Unsupported` for a form that is newer than `newest`.
    pub fn new(bytes: &'a [u8], newest: u8) -> Result<Self> {
        let mut reader = Self(bytes);
        let version = reader.u8()?;
        if version > newest {
            return Err(Error::unsupported(format!("state in form {version}, of which this server knows {newest}"))
                .with_hint("it was written by a newer server"));
        }
        Ok(reader)
    }

    #[must_use]
    pub fn key(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(cut)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.take()?))
    }

    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    pub fn uuid(&mut self) -> Result<Uuid> {
        Ok(Uuid::from_bytes(self.take()?))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Error::new(ErrorKind::Corrupt, "kept state is no text"))
    }

    pub fn maybe_text(&mut self) -> Result<Option<String>> {
        if self.u8()? == 0 { Ok(None) } else { self.text().map(Some) }
    }

    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let length = self.i32()?;
        (0..length).map(|_| read(self)).collect()
    }
}

fn cut() -> Error {
    Error::new(ErrorKind::Corrupt, "kept state ends too early")
}
