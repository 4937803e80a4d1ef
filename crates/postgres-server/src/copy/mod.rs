//! The formats of COPY through the connection: text, CSV and binary. (PostgreSQL's documentation, "COPY", "File
//! Formats".)

pub(crate) mod binary;
pub(crate) mod encoding;
pub(crate) mod lines;
pub(crate) mod read;
pub(crate) mod write;

/// What a binary copy begins with, then its flags and the length of an extension, of which there are none.
pub(crate) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The count of values that ends a binary copy.
pub(crate) const TRAILER: i16 = -1;
