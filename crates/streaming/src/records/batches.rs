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

/// Who sent a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sender {
    producer: Producer,
    transactional: bool,
}

/// The senders of batches, as far as these are whole headers; the log says what is wrong with the rest.
fn senders(mut bytes: &[u8]) -> impl Iterator<Item = Sender> {
    std::iter::from_fn(move || {
        let sender = sender(bytes)?;
        let length = at(bytes, LENGTH_AT).and_then(|length| usize::try_from(i32::from_be_bytes(length)).ok());
        let end = length.and_then(|length| length.checked_add(BYTES_BEFORE_LENGTH_COUNTS));
        bytes = end.and_then(|end| bytes.get(end..)).unwrap_or_default();
        Some(sender)
    })
}

/// The producer of transactional batches; `Ok(None)` if there are none.
///
/// # Errors
/// Two producers, or batches of a transaction and others, have nothing to do in one write.
pub fn transactional_producer(bytes: &[u8]) -> Result<Option<Producer>, ()> {
    let mut found: Option<Option<Producer>> = None;
    for sender in senders(bytes) {
        let producer = sender.transactional.then_some(sender.producer);
        if found.is_some_and(|found| found != producer) {
            return Err(());
        }
        found = Some(producer);
    }
    Ok(found.flatten())
}

/// The ids of producers of batches that are of no transaction.
pub fn plain_producers(bytes: &[u8]) -> impl Iterator<Item = i64> {
    senders(bytes).filter(|sender| !sender.transactional && sender.producer.id >= 0).map(|sender| sender.producer.id)
}

/// `None`: the bytes are no whole header.
fn sender(bytes: &[u8]) -> Option<Sender> {
    if *bytes.get(MAGIC_AT)? != 2 {
        return None;
    }
    let attributes = i16::from_be_bytes(at(bytes, ATTRIBUTES_AT)?);
    let id = i64::from_be_bytes(at(bytes, PRODUCER_ID_AT)?);
    let epoch = i16::from_be_bytes(at(bytes, PRODUCER_EPOCH_AT)?);
    Some(Sender { producer: Producer { id, epoch }, transactional: attributes & TRANSACTIONAL != 0 })
}
