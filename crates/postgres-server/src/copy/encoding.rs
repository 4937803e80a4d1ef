//! The encodings of COPY: what comes in becomes UTF-8 before it is read, and what goes out is UTF-8 until it is sent.
//!
//! Names are PostgreSQL's. The tables are those of `encoding_rs`, which are the Web's: they take a few bytes more than PostgreSQL's
//! do, as controls, and those are refused here.

use bytes::BytesMut;
use encoding_rs::{Decoder, DecoderResult, Encoder, EncoderResult, Encoding};
use polder_types::{Error, Result};

/// Bytes that one letter may have in any of the encodings.
const LETTER_BYTES_MAX: usize = 4;

/// What is decoded or encoded at once.
const PIECE_BYTES: usize = 8 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CopyEncoding {
    /// As it is. `SQL_ASCII` too, which means no encoding: what comes must be UTF-8 all the same, as the database is.
    #[default]
    Utf8,
    /// The first 256 letters of Unicode, which the Web takes for another encoding.
    Latin1,
    /// One of the Web's, with PostgreSQL's name for it.
    Web(&'static Encoding, &'static str),
}

/// PostgreSQL's names, without what is between letters and digits, and what they are.
static ENCODINGS: &[(&[&str], &str, &Encoding)] = &[
    (&["latin2", "iso88592"], "LATIN2", &encoding_rs::ISO_8859_2_INIT),
    (&["latin3", "iso88593"], "LATIN3", &encoding_rs::ISO_8859_3_INIT),
    (&["latin4", "iso88594"], "LATIN4", &encoding_rs::ISO_8859_4_INIT),
    (&["latin6", "iso885910"], "LATIN6", &encoding_rs::ISO_8859_10_INIT),
    (&["latin7", "iso885913"], "LATIN7", &encoding_rs::ISO_8859_13_INIT),
    (&["latin8", "iso885914"], "LATIN8", &encoding_rs::ISO_8859_14_INIT),
    (&["latin9", "iso885915"], "LATIN9", &encoding_rs::ISO_8859_15_INIT),
    (&["latin10", "iso885916"], "LATIN10", &encoding_rs::ISO_8859_16_INIT),
    (&["iso88595"], "ISO_8859_5", &encoding_rs::ISO_8859_5_INIT),
    (&["iso88596"], "ISO_8859_6", &encoding_rs::ISO_8859_6_INIT),
    (&["iso88597"], "ISO_8859_7", &encoding_rs::ISO_8859_7_INIT),
    (&["iso88598"], "ISO_8859_8", &encoding_rs::ISO_8859_8_INIT),
    (&["win1250", "windows1250"], "WIN1250", &encoding_rs::WINDOWS_1250_INIT),
    (&["win1251", "windows1251", "win"], "WIN1251", &encoding_rs::WINDOWS_1251_INIT),
    (&["win1252", "windows1252"], "WIN1252", &encoding_rs::WINDOWS_1252_INIT),
    (&["win1253", "windows1253"], "WIN1253", &encoding_rs::WINDOWS_1253_INIT),
    (&["win1254", "windows1254"], "WIN1254", &encoding_rs::WINDOWS_1254_INIT),
    (&["win1255", "windows1255"], "WIN1255", &encoding_rs::WINDOWS_1255_INIT),
    (&["win1256", "windows1256"], "WIN1256", &encoding_rs::WINDOWS_1256_INIT),
    (&["win1257", "windows1257"], "WIN1257", &encoding_rs::WINDOWS_1257_INIT),
    (&["win1258", "windows1258", "abc", "tcvn", "tcvn5712", "vscii"], "WIN1258", &encoding_rs::WINDOWS_1258_INIT),
    (&["win866", "windows866", "alt"], "WIN866", &encoding_rs::IBM866_INIT),
    (&["win874", "windows874"], "WIN874", &encoding_rs::WINDOWS_874_INIT),
    (&["koi8", "koi8r"], "KOI8R", &encoding_rs::KOI8_R_INIT),
    (&["koi8u"], "KOI8U", &encoding_rs::KOI8_U_INIT),
    (&["sjis", "shiftjis", "win932", "windows932", "mskanji"], "SJIS", &encoding_rs::SHIFT_JIS_INIT),
    (&["eucjp"], "EUC_JP", &encoding_rs::EUC_JP_INIT),
    (&["uhc", "win949", "windows949"], "UHC", &encoding_rs::EUC_KR_INIT),
    (&["gbk", "win936", "windows936"], "GBK", &encoding_rs::GBK_INIT),
    (&["gb18030"], "GB18030", &encoding_rs::GB18030_INIT),
];

/// Those of PostgreSQL's that the Web has not, or has with more letters or other bytes.
const UNREADABLE: &[&str] = &[
    "latin5",
    "iso88599",
    "euccn",
    "euckr",
    "euctw",
    "eucjis2004",
    "shiftjis2004",
    "johab",
    "big5",
    "win950",
    "windows950",
    "mule",
    "muleinternal",
];

impl CopyEncoding {
    /// # Errors
    /// `InvalidInput` (22023) for what is no name of an encoding, `Unsupported` for one that cannot be read.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let plain: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.as_str() {
            "utf8" | "unicode" | "sqlascii" => return Ok(Self::Utf8),
            "latin1" | "iso88591" => return Ok(Self::Latin1),
            known if UNREADABLE.contains(&known) => {
                return Err(Error::unsupported(format!("COPY cannot read or write {name}"))
                    .with_hint("convert it first, as iconv does: COPY takes UTF8, LATIN1, WIN1252, SJIS, …"));
            }
            _ => {}
        }
        let found = ENCODINGS.iter().find(|(names, ..)| names.contains(&plain.as_str()));
        found.map(|(_, name, encoding)| Self::Web(*encoding, *name)).ok_or_else(|| {
            Error::invalid("argument to option \"encoding\" must be a valid encoding name").with_code("22023")
        })
    }

    pub(crate) fn reader(self) -> EncodingReader {
        let decoder = match self {
            Self::Web(encoding, _) => Some(encoding.new_decoder_without_bom_handling()),
            Self::Utf8 | Self::Latin1 => None,
        };
        EncodingReader { encoding: self, decoder }
    }

    /// Turns what `out` has from a place on, which is UTF-8, into the encoding.
    ///
    /// # Errors
    /// `InvalidInput` (22P05) for a letter that the encoding has not.
    pub(crate) fn encode_from(self, out: &mut BytesMut, start: usize) -> Result<()> {
        if self == Self::Utf8 || out.get(start..).is_none_or(<[u8]>::is_ascii) {
            return Ok(());
        }
        let written = out.split_off(start);
        let text = std::str::from_utf8(&written).map_err(|error| Error::internal(error.to_string()))?;
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => {
                for letter in text.chars() {
                    let byte =
                        u8::try_from(letter).map_err(|_| untranslatable("UTF8", letter_bytes(letter), "LATIN1"))?;
                    out.extend_from_slice(&[byte]);
                }
            }
            Self::Web(encoding, name) => encode(&mut encoding.new_encoder(), name, text, out)?,
        }
        Ok(())
    }
}

fn encode(encoder: &mut Encoder, name: &str, mut text: &str, out: &mut BytesMut) -> Result<()> {
    // A control that the Web's tables make of bytes which have no letter.
    if let Some(control) = text.chars().find(|letter| is_filler(name, *letter)) {
        return Err(untranslatable("UTF8", letter_bytes(control), name));
    }
    let mut piece = [0; PIECE_BYTES];
    loop {
        let (result, read, written) = encoder.encode_from_utf8_without_replacement(text, &mut piece, true);
        out.extend_from_slice(piece.get(..written).unwrap_or_default());
        text = text.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return Ok(()),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(letter) => return Err(untranslatable("UTF8", letter_bytes(letter), name)),
        }
    }
}

/// Whether the Web has a control where PostgreSQL has nothing.
fn is_filler(name: &str, letter: char) -> bool {
    name.starts_with("WIN") && matches!(letter, '\u{80}'..='\u{9f}')
}

fn letter_bytes(letter: char) -> Vec<u8> {
    letter.to_string().into_bytes()
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn untranslatable(from: &str, bytes: Vec<u8>, to: &str) -> Error {
    let message = format!(
        "character with byte sequence {} in encoding \"{from}\" has no equivalent in encoding \"{to}\"",
        shown(&bytes)
    );
    Error::invalid(message).with_code("22P05")
}

/// Makes UTF-8 of pieces that come one after the other; a letter may be in two of them.
pub(crate) struct EncodingReader {
    encoding: CopyEncoding,
    decoder: Option<Decoder>,
}

impl EncodingReader {
    /// Adds a piece to what has been read. `is_last`: nothing follows.
    ///
    /// # Errors
    /// `InvalidInput` (22021) for bytes that are no letter, (22P05) for those of none that there is.
    pub(crate) fn read(&mut self, mut data: &[u8], is_last: bool, into: &mut BytesMut) -> Result<()> {
        let (decoder, name) = match (self.encoding, &mut self.decoder) {
            (CopyEncoding::Web(_, name), Some(decoder)) => (decoder, name),
            (CopyEncoding::Latin1, _) => {
                let text: String = data.iter().copied().map(char::from).collect();
                into.extend_from_slice(text.as_bytes());
                return Ok(());
            }
            _ => {
                into.extend_from_slice(data);
                return Ok(());
            }
        };
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(data, &mut piece, is_last);
            let text = piece.get(..written).unwrap_or_default();
            let filler = std::str::from_utf8(text).ok().and_then(|text| text.chars().find(|c| is_filler(name, *c)));
            if let Some(filler) = filler {
                return Err(untranslatable(name, vec![u32::from(filler) as u8], "UTF8"));
            }
            into.extend_from_slice(text);
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, behind) => {
                    let end = read.saturating_sub(usize::from(behind));
                    let wrong = data.get(end.saturating_sub(usize::from(length).min(LETTER_BYTES_MAX))..end);
                    let bytes = shown(wrong.unwrap_or_default());
                    return Err(Error::invalid(format!("invalid byte sequence for encoding \"{name}\": {bytes}"))
                        .with_code("22021"));
                }
            }
            data = data.get(read..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
