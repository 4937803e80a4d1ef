//! Messages of `application/vnd.amazon.eventstream`: a length, headers, a payload, checksums.

use bytes::{BufMut as _, Bytes, BytesMut};

/// A header's value is a text of at most 64 KiB.
const TEXT: u8 = 7;

/// Prelude and checksums.
const FIXED_BYTES: usize = 16;

/// One message: an event, or an exception.
pub fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = BytesMut::new();
    for (name, value) in headers {
        head.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.put_slice(name.as_bytes());
        head.put_u8(TEXT);
        head.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        head.put_slice(value.as_bytes());
    }
    let total = FIXED_BYTES + head.len() + payload.len();
    let mut bytes = BytesMut::with_capacity(total);
    bytes.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    bytes.put_u32(u32::try_from(head.len()).unwrap_or(u32::MAX));
    bytes.put_u32(crc32fast::hash(&bytes));
    bytes.put_slice(&head);
    bytes.put_slice(payload);
    bytes.put_u32(crc32fast::hash(&bytes));
    bytes.freeze()
}

/// An event of this type. `content`: the form of its payload.
pub fn event(kind: &str, content: &str, payload: &[u8]) -> Bytes {
    message(&[(":message-type", "event"), (":event-type", kind), (":content-type", content)], payload)
}

/// The last message of a stream that has failed.
pub fn exception(code: &str, content: &str, payload: &[u8]) -> Bytes {
    message(&[(":message-type", "exception"), (":exception-type", code), (":content-type", content)], payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_lengths_and_checksums() {
        // A message without headers and payload, as the format's own examples have it.
        assert_eq!(message(&[], b"")[..], [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255]);
        let bytes = event("E", "c", b"{}");
        assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
        let (front, crc) = bytes.split_at(bytes.len() - 4);
        assert_eq!(crc32fast::hash(front).to_be_bytes(), crc);
    }
}
