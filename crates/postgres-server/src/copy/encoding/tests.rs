use super::*;

fn decoded(name: &str, pieces: &[&[u8]]) -> Result<String> {
    let mut reader = CopyEncoding::named(name)?.reader();
    let mut out = BytesMut::new();
    for piece in pieces {
        reader.read(piece, false, &mut out)?;
    }
    reader.read(&[], true, &mut out)?;
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

fn encoded(name: &str, text: &str) -> Result<Vec<u8>> {
    let mut out = BytesMut::from(&b"kept"[..]);
    out.extend_from_slice(text.as_bytes());
    CopyEncoding::named(name)?.encode_from(&mut out, 4)?;
    assert_eq!(&out[..4], b"kept");
    Ok(out[4..].to_vec())
}

#[test]
fn letters_are_read_and_written() {
    for (name, bytes, text) in [
        ("LATIN1", &b"caf\xe9\x85"[..], "café\u{85}"),
        ("iso-8859-1", b"\xff", "ÿ"),
        ("UTF8", "é€".as_bytes(), "é€"),
        ("SQL_ASCII", b"a", "a"),
        ("WIN1252", b"\x80", "€"),
        ("Latin-9", b"\xa4", "€"),
        ("KOI8-R", b"\xc1", "а"),
        ("SJIS", b"\x83\x5c", "ソ"),
        ("UHC", b"\xb0\xa1", "가"),
        ("EUC_JP", b"\xa5\xbd", "ソ"),
    ] {
        assert_eq!(decoded(name, &[bytes]).unwrap(), text, "{name}");
        assert_eq!(encoded(name, text).unwrap(), bytes, "{name}");
    }
    // A letter in two pieces.
    assert_eq!(decoded("SJIS", &[b"a\x83", b"\x5cb"]).unwrap(), "aソb");
}

#[test]
fn what_is_no_letter_is_refused() {
    let read = |name: &str, bytes: &[u8]| decoded(name, &[bytes]).unwrap_err();
    assert_eq!(read("WIN1252", b"\x81").code(), "22P05");
    let cut = read("EUC_JP", b"\xa5");
    assert_eq!(cut.code(), "22021");
    let error = encoded("LATIN1", "a€").unwrap_err();
    assert_eq!((error.code(), error.message().contains("0xe2 0x82 0xac")), ("22P05", true));
    assert_eq!(encoded("WIN1252", "\u{81}").unwrap_err().code(), "22P05");
    assert_eq!(encoded("KOI8R", "é").unwrap_err().code(), "22P05");
}

#[test]
fn names_are_those_of_postgresql() {
    assert_eq!(CopyEncoding::named("unicode").unwrap(), CopyEncoding::Utf8);
    assert_eq!(CopyEncoding::named("LATIN5").unwrap_err().code(), "0A000");
    assert_eq!(CopyEncoding::named("none").unwrap_err().code(), "22023");
}
