//! What a client sends, read from whole messages.
//!
//! This is ours although `pgwire` has it too: its decoder reads on into the next message when a count is wrong, and
//! panics when a message is too short, which anybody may send.

use bytes::{Buf, Bytes};
use polder_types::{Error, Result};

/// A message after the start-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe {
        target: Target,
        name: String,
    },
    Execute {
        portal: String,
        rows_max: u32,
    },
    Close {
        target: Target,
        name: String,
    },
    Flush,
    Sync,
    Terminate,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    /// Any of the answers to a request for a password; what it holds depends on the request.
    Password(Bytes),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub portal: String,
    pub statement: String,
    /// None, one for all, or one for each.
    pub formats: Vec<i16>,
    pub values: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Statement,
    Portal,
}

impl Message {
    /// # Errors
    /// `InvalidInput` (08P01) for what is no message, (22021) for a text that is not UTF-8.
    pub(crate) fn read(kind: u8, body: Bytes) -> Result<Self> {
        let mut fields = Fields(body);
        let message = match kind {
            b'Q' => Self::Query(fields.text()?),
            b'P' => {
                let (name, sql) = (fields.text()?, fields.text()?);
                let count = fields.count()?;
                Self::Parse { name, sql, types: (0..count).map(|_| fields.u32()).collect::<Result<_>>()? }
            }
            b'B' => Self::Bind(fields.bind()?),
            b'D' => Self::Describe { target: fields.target()?, name: fields.text()? },
            b'E' => Self::Execute { portal: fields.text()?, rows_max: fields.u32()? },
            b'C' => Self::Close { target: fields.target()?, name: fields.text()? },
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'd' => return Ok(Self::CopyData(fields.0)),
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail(fields.text()?),
            b'p' => return Ok(Self::Password(fields.0)),
            other => return Err(broken(format!("unknown message type {:?}", char::from(other)))),
        };
        if fields.0.has_remaining() {
            return Err(broken(format!("message {:?} is longer than what it holds", char::from(kind))));
        }
        Ok(message)
    }

    /// Whether nothing is done for it, but perhaps for those around it.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Flush | Self::CopyData(_) | Self::CopyDone | Self::CopyFail(_))
    }
}

/// An error of the protocol.
pub(crate) fn broken(what: impl Into<String>) -> Error {
    Error::invalid(what).with_code("08P01")
}

/// The parts of a message, taken one after the other.
pub(crate) struct Fields(pub Bytes);

impl Fields {
    fn short() -> Error {
        broken("a message is shorter than what it says it holds")
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.0.try_get_u8().map_err(|_| Self::short())
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        self.0.try_get_i16().map_err(|_| Self::short())
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.0.try_get_i32().map_err(|_| Self::short())
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.0.try_get_u32().map_err(|_| Self::short())
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.0.try_get_i64().map_err(|_| Self::short())
    }

    /// A number of things, of which each takes at least one byte: it is not believed beyond that.
    fn count(&mut self) -> Result<u16> {
        self.0.try_get_u16().map_err(|_| Self::short())
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<Bytes> {
        if bytes > self.0.remaining() {
            return Err(Self::short());
        }
        Ok(self.0.split_to(bytes))
    }

    /// A value with its length before it; -1 is NULL.
    pub(crate) fn value(&mut self) -> Result<Option<Bytes>> {
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length).map_err(|_| Self::short()).and_then(|length| self.take(length)).map(Some),
        }
    }

    /// A text that ends in a zero.
    pub(crate) fn text(&mut self) -> Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(Self::short)?;
        let text = self.take(end)?;
        self.0.advance(1);
        utf8(&text).map(str::to_owned)
    }

    fn target(&mut self) -> Result<Target> {
        match self.u8()? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(broken(format!("{:?} is neither a statement nor a portal", char::from(other)))),
        }
    }

    fn formats(&mut self) -> Result<Vec<i16>> {
        let count = self.count()?;
        (0..count).map(|_| self.i16()).collect()
    }

    fn bind(&mut self) -> Result<Bind> {
        let (portal, statement) = (self.text()?, self.text()?);
        let formats = self.formats()?;
        let count = self.count()?;
        let values = (0..count).map(|_| self.value()).collect::<Result<_>>()?;
        Ok(Bind { portal, statement, formats, values, result_formats: self.formats()? })
    }
}

/// # Errors
/// `InvalidInput` (22021).
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        Error::invalid(format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}")).with_code("22021")
    })
}

#[cfg(test)]
mod tests;
