//! What clients hand back as they were given it: iterators of shards and tokens of lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use uuid::Uuid;

use crate::error::{ApiError, ApiResult};

/// How long they hold, in milliseconds: five minutes.
pub const LIFETIME_MS: i64 = 5 * 60 * 1_000;

const ITERATOR: &[u8] = b"polder-iterator-1";

/// A place in a shard. It gives no rights: they are asked for with each reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iterator {
    pub stream: Uuid,
    pub shard: u32,
    pub sequence: i64,
    pub made_ms: i64,
}

impl Iterator {
    pub fn write(&self) -> String {
        let mut bytes = ITERATOR.to_vec();
        bytes.extend(self.stream.as_bytes());
        bytes.extend(self.shard.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.made_ms.to_be_bytes());
        URL_SAFE.encode(bytes)
    }

    /// # Errors
    /// `InvalidArgumentException`, `ExpiredIteratorException`.
    pub fn read(text: &str, now_ms: i64) -> ApiResult<Self> {
        let iterator = Self::parse(text).ok_or_else(|| ApiError::argument("Invalid ShardIterator."))?;
        if iterator.made_ms.saturating_add(LIFETIME_MS) < now_ms {
            let message = "the iterator is older than 300000 milliseconds, which is as long as one holds";
            return Err(ApiError::new("ExpiredIteratorException", message));
        }
        Ok(iterator)
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text).ok()?;
        let rest = bytes.strip_prefix(ITERATOR)?;
        let (stream, rest) = rest.split_first_chunk::<16>()?;
        let (shard, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let made: [u8; 8] = rest.try_into().ok()?;
        Some(Self {
            stream: Uuid::from_bytes(*stream),
            shard: u32::from_be_bytes(*shard),
            sequence: i64::from_be_bytes(*sequence),
            made_ms: i64::from_be_bytes(made),
        })
    }
}

/// A list that goes on: behind this name, of this stream.
pub fn write_page(stream: &str, after: &str) -> String {
    URL_SAFE.encode(format!("{stream}\n{after}"))
}

pub fn invalid() -> ApiError {
    ApiError::argument("NextToken is invalid.")
}

/// The stream and the name that a list goes on behind.
///
/// # Errors
/// `InvalidArgumentException`.
pub fn read_page(text: &str) -> ApiResult<(String, String)> {
    let parsed = URL_SAFE.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = parsed.as_deref().and_then(|text| text.split_once('\n'));
    let (stream, after) = parts.ok_or_else(invalid)?;
    Ok((stream.to_owned(), after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_given() {
        let iterator = Iterator { stream: Uuid::from_u128(7), shard: 3, sequence: 9, made_ms: 1_000 };
        let text = iterator.write();
        assert_eq!(Iterator::read(&text, 1_000 + LIFETIME_MS), Ok(iterator));
        assert_eq!(Iterator::read(&text, 1_001 + LIFETIME_MS).unwrap_err().code, "ExpiredIteratorException");
        for end in 0..text.len() {
            assert_eq!(Iterator::read(&text[..end], 0).unwrap_err().code, "InvalidArgumentException");
        }
        assert_eq!(read_page(&write_page("s", "x")), Ok(("s".to_owned(), "x".to_owned())));
        assert!(read_page("?").is_err() && read_page("").is_err());
    }
}
