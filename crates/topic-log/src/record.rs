//! Single records of a batch, unpacked.

use crate::batch::BatchHeader;
use crate::entry::Refusal;
use crate::varint::Varints;

/// A record as it lies there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// With its length in front.
    pub(crate) bytes: &'a [u8],
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    /// `None`, a tombstone: the key is to be forgotten.
    pub(crate) value: Option<&'a [u8]>,
    /// Their number, and then each.
    pub(crate) headers: &'a [u8],
}

impl Record<'_> {
    /// Its time, in milliseconds since 1970.
    pub(crate) fn time(&self, header: &BatchHeader) -> i64 {
        if header.is_log_append_time() {
            header.max_timestamp
        } else {
            header.base_timestamp.saturating_add(self.timestamp_delta)
        }
    }
}

/// Takes the first record; `None` if there is no whole one.
pub(crate) fn take<'a>(from: &mut &'a [u8]) -> Option<Record<'a>> {
    let all = *from;
    let mut rest = Varints(all);
    let length = usize::try_from(rest.int()?).ok()?;
    let (body, behind) = rest.0.split_at_checked(length)?;
    let bytes = all.get(..all.len() - behind.len())?;
    let mut body = Varints(body);
    body.byte()?;
    let (timestamp_delta, offset_delta) = (body.long()?, body.int()?);
    let key = body.bytes()?;
    let value = body.bytes()?;
    *from = behind;
    Some(Record { bytes, timestamp_delta, offset_delta, key, value, headers: body.0 })
}

/// Whether these are records as a producer writes them: their offsets count up from 0, their headers can be read, and the last
/// one ends with the bytes.
pub(crate) fn check(mut records: &[u8], count: i32) -> Result<(), Refusal> {
    let corrupt = || Refusal::CorruptBatch("its records are not as long as they say".to_owned());
    for expected in 0..count {
        let record = take(&mut records).ok_or_else(corrupt)?;
        if record.offset_delta != expected {
            return Err(Refusal::InvalidRecord("the offsets of its records do not count up from 0".to_owned()));
        }
        let unread = || Refusal::InvalidRecord("the headers of a record cannot be read".to_owned());
        headers(record.headers).ok_or_else(unread)?;
    }
    if records.is_empty() { Ok(()) } else { Err(corrupt()) }
}

/// Goes through the headers of a record; `None` if they cannot be read.
fn headers(bytes: &[u8]) -> Option<()> {
    let mut rest = Varints(bytes);
    let count = rest.int().filter(|count| *count >= 0)?;
    for _ in 0..count {
        std::str::from_utf8(rest.bytes()??).ok()?;
        rest.bytes()?;
    }
    rest.0.is_empty().then_some(())
}

/// All records; `None` if they do not end where the bytes do. They are looked at twice rather than kept: small ones would take
/// many times their bytes.
pub(crate) fn all(records: &[u8], count: i32) -> Option<impl Iterator<Item = Record<'_>>> {
    let mut rest = records;
    for _ in 0..count {
        take(&mut rest)?;
    }
    let mut left = records;
    rest.is_empty().then(|| (0..count).map_while(move |_| take(&mut left)))
}
