use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::sync::Semaphore;

use super::{EARLY_BYTES_MAX, FRAME_BYTES_MAX, Frame, Input, LARGE_PIECE_BYTES, PLAIN_BYTES_MAX, Refused, parse};

fn input(trusted: bool, bytes: &[u8]) -> Input {
    let mut input = Input::new(Arc::new(Semaphore::new(1 << 20)));
    if trusted {
        input.trust();
    }
    input.receive(bytes);
    input
}

/// The beginning of a frame.
fn begun(length: i32, key: ApiKey) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_i32(length);
    bytes.put_i16(key as i16);
    bytes.to_vec()
}

fn refused(trusted: bool, bytes: &[u8]) -> bool {
    input(trusted, bytes).next().is_err()
}

#[test]
fn frames_come_whole_or_not_yet() {
    let mut input = input(true, &[0, 0, 0, 2, 1, 2, 0, 0, 0, 1]);
    assert_eq!(input.next().unwrap().unwrap().0, Bytes::from_static(&[1, 2]));
    assert!(input.next().unwrap().is_none() && input.has_begun() && !input.is_complete());
    input.receive(&[7]);
    assert!(input.is_complete());
    assert_eq!(input.next().unwrap().unwrap().0, Bytes::from_static(&[7]));
    assert!(!input.has_begun());
}

#[test]
fn large_frames_are_refused_before_they_come() {
    let size = |bytes: usize| i32::try_from(bytes).unwrap();
    for length in [-1, i32::MIN, i32::MAX, size(FRAME_BYTES_MAX + 1)] {
        assert!(refused(true, &begun(length, ApiKey::Produce)), "{length}");
    }
    assert!(!refused(true, &begun(size(FRAME_BYTES_MAX), ApiKey::Produce)));
    // Only records are large.
    assert!(refused(true, &begun(size(PLAIN_BYTES_MAX + 1), ApiKey::Metadata)));
    assert!(!refused(true, &begun(size(PLAIN_BYTES_MAX), ApiKey::Metadata)));
    // Whoever has not logged in sends little.
    assert!(refused(false, &begun(size(EARLY_BYTES_MAX + 1), ApiKey::Produce)));
    // What speaks another protocol.
    assert!(refused(false, b"GET / HTTP/1.1\r\n"));
}

fn frame(key: i16, version: i16, rest: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(key);
    bytes.put_i16(version);
    bytes.put_i32(7);
    bytes.put_slice(rest);
    bytes.freeze()
}

#[test]
fn headers_say_what_is_asked() {
    let Ok(Frame::Request(request)) = parse(frame(18, 0, &[0, 2, b'm', b'e'])) else { panic!() };
    assert_eq!((request.correlation_id, request.client_id.as_deref()), (7, Some("me")));
    let Ok(Frame::Request(request)) = parse(frame(18, 0, &[0xff, 0xff])) else { panic!() };
    assert_eq!(request.client_id, None);
    // A version of ApiVersions that is too new is answered whatever it says.
    assert!(matches!(parse(frame(18, 99, &[1, 2, 3])), Ok(Frame::TooNew { correlation_id: 7 })));
    for (key, version) in [(0, 0), (0, 2), (0, 11), (3, -1), (3, 99), (4, 0), (999, 0), (-1, 0)] {
        assert!(matches!(parse(frame(key, version, &[0xff, 0xff])), Err(Refused::Unknown { .. })), "{key} {version}");
    }
    for rest in [&[][..], &[0], &[0, 9, b'x'], &[0x80, 0], &[0, 1, 0xff]] {
        assert!(matches!(parse(frame(18, 0, rest)), Err(Refused::Broken { .. })), "{rest:?}");
    }
    assert!(parse(Bytes::from_static(&[0, 18, 0])).is_err());
}

/// Fills until a whole frame is there, or nothing more comes; how often it read.
async fn filled(input: &mut Input, mut stream: &[u8]) -> usize {
    let mut count = 0;
    while !input.is_complete() && input.fill(&mut stream).await.unwrap() > 0 {
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_batch_as_clients_make_it_comes_in_two_reads() {
    let mut input = input(true, &[]);
    let mut bytes = begun(900_000, ApiKey::Produce);
    bytes.resize(900_004, 7);
    assert_eq!(filled(&mut input, &bytes).await, 2);
    assert_eq!(input.next().unwrap().unwrap().0.len(), 900_000);
}

#[tokio::test]
async fn what_a_frame_says_takes_no_memory() {
    let mut input = Input::new(Arc::new(Semaphore::new(FRAME_BYTES_MAX)));
    input.trust();
    let mut bytes = begun(90 << 20, ApiKey::Produce);
    bytes.resize(20 << 10, 7);
    filled(&mut input, &bytes).await;
    assert!(input.has_begun(), "it is not whole");
    // Two pieces at most, as the buffer doubles, of the 90 MiB that it says.
    assert!(input.buffer.capacity() < 3 * LARGE_PIECE_BYTES, "{}", input.buffer.capacity());
}
