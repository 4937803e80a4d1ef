//! What the fuzz target in `fuzz/` feeds: frames, as anybody may send them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::requests;
use crate::wire::{self, FRAMES_BYTES_MAX, Frame, Input};

/// Reads bytes as frames; the first one says in pieces of which size they come.
///
/// # Panics
/// Where a reader panics, where it reads something else of the same bytes in other pieces, and where the codec makes room
/// for more than a walk over the bytes has allowed.
pub fn read(data: &[u8]) {
    let Some((piece, data)) = data.split_first() else { return };
    let whole = frames(data, data.len().max(1));
    let pieces = frames(data, usize::from(*piece) + 1);
    assert_eq!(whole, pieces, "pieces of {piece} bytes are read in another way");
    for frame in whole.into_iter().flatten() {
        if let Ok(Frame::Request(request)) = wire::parse(frame) {
            // Whether the codec takes it is no matter: what is no text is found there.
            let _ = requests::readable(request.api, request.version, request.body);
        }
    }
}

/// The frames, to the first that is none.
fn frames(data: &[u8], piece: usize) -> Vec<Result<Bytes, String>> {
    let mut input = Input::new(Arc::new(Semaphore::new(FRAMES_BYTES_MAX)));
    input.trust();
    let mut read = Vec::new();
    for part in data.chunks(piece) {
        input.receive(part);
        loop {
            match input.next() {
                Ok(Some((frame, _))) => read.push(Ok(frame)),
                Ok(None) => break,
                Err(refused) => {
                    read.push(Err(refused.to_string()));
                    return read;
                }
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::read;

    /// What clients send, each with the byte that says how it comes.
    const SEEDS: &[&[u8]] = &[
        include_bytes!("../../../fuzz/kafka_seeds/kcat"),
        include_bytes!("../../../fuzz/kafka_seeds/confluent"),
        include_bytes!("../../../fuzz/kafka_seeds/python"),
        include_bytes!("../../../fuzz/kafka_seeds/aiokafka"),
        include_bytes!("../../../fuzz/kafka_seeds/kafkajs"),
    ];

    #[test]
    fn what_clients_send_is_read() {
        SEEDS.iter().for_each(|seed| read(seed));
    }

    proptest! {
        /// A seed with a few bytes changed, and cut.
        #[test]
        fn what_is_damaged_is_refused(
            seed in 0..SEEDS.len(),
            changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            length in any::<proptest::sample::Index>(),
        ) {
            let mut data = SEEDS[seed].to_vec();
            for (at, byte) in changes {
                let at = at.index(data.len());
                data[at] = byte;
            }
            data.truncate(length.index(data.len() + 1));
            read(&data);
        }
    }
}
