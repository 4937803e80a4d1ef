use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::Wire;

fn read(kind: u8, body: &[u8]) -> Result<Message> {
    Message::read(kind, Bytes::copy_from_slice(body))
}

#[test]
fn messages_are_read_from_their_bytes() {
    assert_eq!(read(b'Q', b"SELECT 1\0").unwrap(), Message::Query("SELECT 1".into()));
    assert_eq!(
        read(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17").unwrap(),
        Message::Parse { name: "s".into(), sql: "SELECT $1".into(), types: vec![23] }
    );
    let bind = Bind {
        portal: String::new(),
        statement: "s".into(),
        formats: vec![1],
        values: vec![Some(Bytes::from_static(b"\0\0\0\x05")), None],
        result_formats: vec![0, 1],
    };
    let bytes = b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x05\xff\xff\xff\xff\0\x02\0\0\0\x01";
    assert_eq!(read(b'B', bytes).unwrap(), Message::Bind(bind));
    assert_eq!(read(b'E', b"\0\0\0\0\x0a").unwrap(), Message::Execute { portal: String::new(), rows_max: 10 });
    assert_eq!(read(b'S', b"").unwrap(), Message::Sync);
}

#[test]
fn what_is_cut_or_too_long_is_refused() {
    let cases: [(u8, &[u8]); 7] = [
        (b'Q', b"SELECT 1"),
        (b'Q', b"SELECT 1\0x"),
        (b'P', b"s\0x\0\xff\xff\0\0\0\x17"),
        (b'B', b"\0s\0\0\x01"),
        (b'B', b"\0s\0\0\0\0\x01\0\0\0\x09abc"),
        (b'D', b"Zname\0"),
        (b'?', b""),
    ];
    for (kind, body) in cases {
        assert_eq!(read(kind, body).unwrap_err().code(), "08P01", "{kind} {body:?}");
    }
    assert_eq!(read(b'Q', b"\xff\0").unwrap_err().code(), "22021");
}

/// Messages that are right, for others to be made of.
fn right() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        Just((b'Q', b"SELECT 1\0".to_vec())),
        Just((b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17".to_vec())),
        Just((b'B', b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x05\xff\xff\xff\xff\0\x02\0\0\0\x01".to_vec())),
        Just((b'D', b"Sname\0".to_vec())),
        Just((b'E', b"\0\0\0\0\x0a".to_vec())),
        Just((b'C', b"P\0".to_vec())),
        Just((b'd', b"1\ta\n".to_vec())),
        Just((b'f', b"no more\0".to_vec())),
        Just((b'S', Vec::new())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_a_message_or_an_error(kind in any::<u8>(), body in vec(any::<u8>(), 0..200)) {
        if let Err(error) = read(kind, &body) {
            prop_assert!(matches!(error.code(), "08P01" | "22021"), "{}", error.code());
        }
    }

    #[test]
    fn a_message_that_is_cut_or_changed_is_one_or_an_error(
        (kind, mut body) in right(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        kept in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        for (at, byte) in changes {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        if cut {
            body.truncate(kept.index(body.len() + 1));
        }
        if let Err(error) = read(kind, &body) {
            prop_assert!(matches!(error.code(), "08P01" | "22021"), "{}", error.code());
        }
    }

    #[test]
    fn any_stream_ends_in_messages_an_error_or_its_end(bytes in vec(any::<u8>(), 0..400)) {
        let length = bytes.len();
        let stream = tokio::io::join(std::io::Cursor::new(bytes), tokio::io::sink());
        let mut wire = Wire::new(Box::new(stream));
        let mut messages = 0;
        // What is left of a message that has begun is waited for by the clock.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        // Each message takes five bytes at least, so this comes to an end; if not, the decoder reads what is not there.
        while let Ok(Ok(_)) = runtime.block_on(wire.message(None)) {
            messages += 1;
            prop_assert!(messages * 5 <= length);
        }
    }
}
