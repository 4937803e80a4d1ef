use super::*;

/// As a server of PostgreSQL 15 sends them.
const KNOWN: &[(&str, &[u16])] = &[
    ("0", &[0, 0, 0, 0]),
    ("0.00", &[0, 0, 0, 2]),
    ("1", &[1, 0, 0, 0, 1]),
    ("-1", &[1, 0, 0x4000, 0, 1]),
    ("10000", &[1, 1, 0, 0, 1]),
    ("12345.67", &[3, 1, 0, 2, 1, 2345, 6700]),
    ("0.0001", &[1, 0xffff, 0, 4, 1]),
    ("0.00001", &[1, 0xfffe, 0, 5, 1000]),
    ("-12.50", &[2, 0, 0x4000, 2, 12, 5000]),
    ("100000000", &[1, 2, 0, 0, 1]),
];

#[test]
fn numbers_are_written_and_read_as_postgresql_does() {
    for (text, words) in KNOWN {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut out = BytesMut::new();
        write(&mut out, text);
        assert_eq!(&out[..], &bytes[..], "{text}");
        assert_eq!(read(Bytes::from(bytes)).unwrap(), *text);
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for words in [&[1u16, 0, 0, 0][..], &[1, 0, 0, 0, 10_000], &[0, 0, 0x1234, 0], &[0xffff, 0, 0, 0]] {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert!(read(Bytes::from(bytes)).is_err(), "{words:?}");
    }
    assert_eq!(read(Bytes::from_static(b"\0\0\0\0\xc0\0\0\0")).unwrap(), "NaN");
}
