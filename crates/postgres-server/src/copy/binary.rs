//! A copy in binary: a head, then for each row the number of its values and each with its length before it.

use bytes::{Buf, Bytes, BytesMut};
use polder_types::{Error, Result};

use super::{SIGNATURE, TRAILER};

/// The signature, the flags and the length of the extension.
const HEAD_BYTES: usize = SIGNATURE.len() + 8;

/// A flag in this half that is not known makes the rest unreadable.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

fn wrong(what: &str) -> Error {
    Error::invalid(what).with_code("22P04")
}

/// What has been read of the head: false while it is not all there.
///
/// # Errors
/// `InvalidInput` (22P04).
pub(crate) fn head(buffer: &mut BytesMut) -> Result<bool> {
    if buffer.len() < HEAD_BYTES {
        return Ok(false);
    }
    if !buffer.starts_with(SIGNATURE) {
        return Err(wrong("COPY file signature not recognized"));
    }
    let mut rest = buffer.get(SIGNATURE.len()..HEAD_BYTES).unwrap_or_default();
    let (flags, extension) = (rest.get_u32(), rest.get_u32() as usize);
    if flags & CRITICAL_FLAGS != 0 {
        return Err(wrong("unrecognized critical flags in COPY file header"));
    }
    if buffer.len() < HEAD_BYTES + extension {
        return Ok(false);
    }
    buffer.advance(HEAD_BYTES + extension);
    Ok(true)
}

/// The next row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tuple {
    /// It is not all there.
    Partial,
    Row(Vec<Option<Bytes>>),
    End,
}

/// # Errors
/// `InvalidInput` (22P04).
pub(crate) fn tuple(buffer: &mut BytesMut, columns: usize) -> Result<Tuple> {
    let Some(mut count) = buffer.get(..2) else { return Ok(Tuple::Partial) };
    let count = count.get_i16();
    if count == TRAILER {
        buffer.advance(2);
        return Ok(Tuple::End);
    }
    if usize::try_from(count) != Ok(columns) {
        return Err(wrong("row field count does not match the columns"));
    }
    let mut at = 2;
    for _ in 0..columns {
        let Some(mut length) = buffer.get(at..at + 4) else { return Ok(Tuple::Partial) };
        at += 4;
        match length.get_i32() {
            -1 => {}
            length => at += usize::try_from(length).map_err(|_| wrong("invalid field size"))?,
        }
        if buffer.len() < at {
            return Ok(Tuple::Partial);
        }
    }
    let mut row = buffer.split_to(at).freeze();
    row.advance(2);
    let mut fields = crate::wire::frontend::Fields(row);
    Ok(Tuple::Row((0..columns).map(|_| fields.value()).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_once_they_are_whole() {
        let mut buffer = BytesMut::from(SIGNATURE);
        assert!(!head(&mut buffer).unwrap());
        buffer.extend_from_slice(&[0; 8]);
        assert!(head(&mut buffer).unwrap());
        buffer.extend_from_slice(b"\0\x02\0\0\0\x01a\xff\xff");
        assert_eq!(tuple(&mut buffer, 2).unwrap(), Tuple::Partial);
        buffer.extend_from_slice(b"\xff\xff\xff\xff");
        assert_eq!(tuple(&mut buffer, 2).unwrap(), Tuple::Row(vec![Some(Bytes::from_static(b"a")), None]));
        assert_eq!(tuple(&mut buffer, 2).unwrap(), Tuple::End);
        assert!(tuple(&mut BytesMut::from(&b"\0\x03"[..]), 2).is_err());
        assert!(head(&mut BytesMut::from(&[b'x'; 19][..])).is_err());
    }
}
