use super::{Wrong, read};

#[test]
fn texts_are_read_as_postgresql_reads_them() {
    let check = |text: &str, expected: Result<&[u8], Wrong>| {
        let mut bytes = Vec::new();
        let read = read(text.as_bytes(), &mut bytes).map(|()| bytes.as_slice());
        assert_eq!(read, expected, "{text:?}");
    };
    check("", Ok(b""));
    check("\\x", Ok(b""));
    check("\\x00fF", Ok(b"\x00\xff"));
    check("\\x00 ff", Ok(b"\x00\xff"));
    check("\\x0", Err(Wrong::Hex));
    check("\\xzz", Err(Wrong::Hex));
    check(" a b ", Ok(b" a b "));
    check("a\\\\b\\000\\377", Ok(b"a\\b\x00\xff"));
    check("\\400", Err(Wrong::Escape));
    check("\\18", Err(Wrong::Escape));
    check("a\\", Err(Wrong::Escape));
}
