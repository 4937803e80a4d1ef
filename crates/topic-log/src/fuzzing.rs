//! What the fuzz target in `fuzz/` feeds: record batches, as anybody who may write to a topic may send them.

use crate::batch::{self, HEADER_BYTES, UNCOUNTED_BYTES};
use crate::codec::BYTES_MAX;
use crate::format::{self, Batch, BatchBuilder, Codec, Header, NewRecord, Record, Unpacked};

/// Reads bytes as batches: as they are, and as one batch that is as long as it says and has the checksum it should have.
///
/// # Panics
/// Where a reader panics, where what was checked is not read as it was checked, where more is unpacked than may be, and where
/// what was read is not what comes back when it is written again.
pub fn read(data: &[u8]) {
    batches(data);
    if data.len() >= HEADER_BYTES
        && let Ok(length) = i32::try_from(data.len() - UNCOUNTED_BYTES)
    {
        let mut sealed = data.to_vec();
        batch::put(&mut sealed, 8, length.to_be_bytes());
        batch::put(&mut sealed, 16, [2]);
        batch::seal(&mut sealed);
        batches(&sealed);
    }
}

fn batches(data: &[u8]) {
    let checked = batch::check(data);
    let found: Vec<Batch<'_>> = format::batches(data).collect();
    if let Ok(checked) = &checked {
        assert!(checked.iter().eq(found.iter().map(Batch::header)), "other batches are read than were checked");
    }
    for batch in &found {
        // Whatever they are, as the log's own batches are found by them.
        let _ = batch::EndOfTransaction::commits(batch.bytes());
        records(batch, checked.is_ok());
    }
}

/// Reads the records, and writes those again that could be read.
fn records(batch: &Batch<'_>, is_checked: bool) {
    let Ok(unpacked) = batch.unpack() else { return };
    assert!(unpacked.bytes() <= BYTES_MAX.max(batch.bytes().len()), "{} bytes were unpacked", unpacked.bytes());
    let read: Vec<_> = unpacked.iter().collect();
    let header = batch.header();
    assert!(read.len() <= usize::try_from(header.count.max(0)).unwrap_or_default());
    let mut places = Vec::new();
    let mut again = BatchBuilder::new();
    for record in &read {
        let Ok(record) = record else {
            assert!(
                !is_checked || header.compression() != 0 || places.len() + 1 == read.len(),
                "it goes on behind an error"
            );
            return;
        };
        places.push(record.offset);
        let Ok(headers) = record.headers.to_vec() else { return };
        let headers: Vec<(&str, Option<&[u8]>)> = headers.iter().map(|one| (one.name, one.value)).collect();
        let new = NewRecord { timestamp: record.timestamp, key: record.key, value: record.value, headers: &headers };
        if again.push(&new).is_err() {
            return;
        }
    }
    let last = header.last_offset();
    assert!(places.is_sorted() && places.iter().all(|offset| *offset <= last), "{places:?} up to {last}");
    if places.is_empty() {
        return;
    }
    let Ok(bytes) = again.finish(Codec::None) else { return };
    assert!(batch::check(&bytes).is_ok(), "what is written here would be refused");
    let unpacked = format::batches(&bytes).next().and_then(|batch| batch.unpack().ok());
    assert!(unpacked.is_some(), "what is written here cannot be unpacked");
    let written: Vec<_> = unpacked.iter().flat_map(Unpacked::iter).collect();
    assert_eq!(written.iter().map(said).collect::<Vec<_>>(), read.iter().map(said).collect::<Vec<_>>());
}

/// A key and a value, where there are any.
type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// What a record says, but for its place.
fn said<'a>(record: &'a polder_types::Result<Record<'a>>) -> Option<(Pair<'a>, i64, Option<Vec<Header<'a>>>)> {
    let record = record.as_ref().ok()?;
    Some(((record.key, record.value), record.timestamp, record.headers.to_vec().ok()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    fn seed(codec: Codec) -> Vec<u8> {
        let mut batch = BatchBuilder::new();
        for number in 0..3_u8 {
            let (key, value) = ([number; 2], [number; 40]);
            let headers = [("a", Some(&key[..])), ("b", None)];
            let value = (number > 0).then_some(&value[..]);
            batch
                .push(&NewRecord { timestamp: 7 * i64::from(number), key: Some(&key), value, headers: &headers })
                .unwrap();
        }
        batch.finish(codec).unwrap().to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        for codec in CODECS {
            let bytes = seed(codec);
            assert_eq!(format::batches(&bytes).next().unwrap().unpack().unwrap().iter().count(), 3);
            read(&bytes);
        }
    }

    proptest! {
        /// A batch with a few bytes changed, and cut; with its checksum set right again.
        #[test]
        fn what_is_damaged_is_refused_or_read(
            codec in 0..CODECS.len(),
            changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            length in any::<proptest::sample::Index>(),
        ) {
            let mut data = seed(CODECS[codec]);
            for (at, byte) in changes {
                let at = at.index(data.len());
                data[at] = byte;
            }
            data.truncate(length.index(data.len() + 1));
            read(&data);
        }
    }
}
