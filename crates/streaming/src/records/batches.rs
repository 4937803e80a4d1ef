//! As much of a record batch's header as has to be known before it is written. The log checks the rest.

use polder_capability::topics::Producer;

const LENGTH_AT: usize = 8;
const BYTES_BEFORE_LENGTH_COUNTS: usize = 12;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;

const TRANSACTIONAL: i16 = 0x10;

fn at<const N: usize>(bytes: &[u8], place: usize) -> Option<[u8; N]> {
    bytes.get(place..)?.first_chunk::<N>().copied()
}

/// The producer of transactional batches; `Ok(None)` if there are none.
///
/// # Errors
/// Two producers, or batches of a transaction and others, have nothing to do in one write.
pub fn transactional_producer(mut bytes: &[u8]) -> Result<Option<Producer>, ()> {
    let mut found: Option<Option<Producer>> = None;
    while !bytes.is_empty() {
        let Some(producer) = producer(bytes) else { break };
        if found.is_some_and(|found| found != producer) {
            return Err(());
        }
        found = Some(producer);
        let Some(length) = at(bytes, LENGTH_AT).and_then(|length| usize::try_from(i32::from_be_bytes(length)).ok())
        else {
            break;
        };
        bytes = bytes.get(BYTES_BEFORE_LENGTH_COUNTS.saturating_add(length)..).unwrap_or_default();
    }
    Ok(found.flatten())
}

/// `None`: the bytes are no whole header, which the log will say.
fn producer(bytes: &[u8]) -> Option<Option<Producer>> {
    if *bytes.get(MAGIC_AT)? != 2 {
        return None;
    }
    let attributes = i16::from_be_bytes(at(bytes, ATTRIBUTES_AT)?);
    let id = i64::from_be_bytes(at(bytes, PRODUCER_ID_AT)?);
    let epoch = i16::from_be_bytes(at(bytes, PRODUCER_EPOCH_AT)?);
    Some((attributes & TRANSACTIONAL != 0).then_some(Producer { id, epoch }))
}
