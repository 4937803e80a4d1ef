use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::{TryStreamExt, stream};

use super::decode;
use crate::failure::Failure;

fn batch() -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![-1, 0, 7])) as _)]).unwrap()
}

fn encoded(batches: usize) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
    for _ in 0..batches {
        writer.write(&batch()).unwrap();
    }
    writer.into_inner().unwrap()
}

/// Batches of an answer that arrives in pieces of a size, or what it failed with.
fn read(bytes: &[u8], piece: usize, breaks: bool) -> Result<Vec<RecordBatch>, Failure> {
    let pieces: Vec<Result<Bytes, ()>> =
        bytes.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let pieces = pieces.into_iter().chain(breaks.then_some(Err(())));
    let verdict = Box::pin(async { Failure::new("verdict") });
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let (schema, batches) = decode(stream::iter(pieces), verdict).await?;
        assert_eq!(schema, batch().schema());
        batches.try_collect().await
    })
}

#[test]
fn whole_answers_are_read_however_they_arrive() {
    for count in [0, 1, 3] {
        let bytes = encoded(count);
        for piece in [1, 3, 8, 64, bytes.len()] {
            assert_eq!(read(&bytes, piece, false).unwrap(), vec![batch(); count], "{count} batches, {piece} bytes");
        }
    }
}

#[test]
fn an_answer_cut_anywhere_is_noticed() {
    let bytes = encoded(2);
    for length in 0..bytes.len() {
        let failure = read(&bytes[..length], 16, false).expect_err(&format!("cut at {length} of {}", bytes.len()));
        assert_eq!(failure.message, "verdict", "cut at {length}");
    }
}

#[test]
fn a_connection_that_breaks_is_asked_about() {
    let bytes = encoded(2);
    assert_eq!(read(&bytes[..bytes.len() / 2], 16, true).unwrap_err().message, "verdict");
}
