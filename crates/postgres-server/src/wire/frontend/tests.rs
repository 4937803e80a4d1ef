use super::*;

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
