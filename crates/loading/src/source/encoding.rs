//! Text of any encoding to UTF-8.

use std::io::{Read, Write};

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use polder_types::{Error, Result};

use super::spool::{Body, Spool};
use crate::error;
use crate::progress::Job;

const CHUNK_BYTES: usize = 1 << 20;

/// Stands where a letter could not be decoded. It is no UTF-8, so the row with it is refused, not loaded wrong.
const UNDECODABLE: u8 = 0xff;

/// Text in UTF-8 and what was found out about it.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub body: Body,
    pub encoding: &'static Encoding,
    pub remark: Option<String>,
}

/// Finds the encoding (byte-order mark, pattern of zero bytes, validity over the whole text) and decodes if need be.
///
/// # Errors
/// `InvalidInput` for an unknown label, `Cancelled`, or when the body cannot be read.
pub(crate) fn decode(label: &str, body: &Body, choice: Option<&str>, job: &Job) -> Result<Text> {
    let chosen = choice.map(by_label).transpose()?;
    let head = body.head(64 << 10)?;
    let (encoding, mark_bytes) = match (chosen, Encoding::for_bom(&head)) {
        (Some(chosen), Some((marked, bytes))) if chosen == marked => (chosen, bytes),
        (Some(chosen), _) => (chosen, 0),
        (None, Some(marked)) => marked,
        (None, None) => match sixteen_bits(&head) {
            Some(encoding) => (encoding, 0),
            None => (eight_bits(label, body, job)?, 0),
        },
    };
    let body = body.skip(mark_bytes as u64);
    let remark = (encoding != UTF_8 && chosen.is_none() && mark_bytes == 0)
        .then(|| format!("read as {}, because it is no valid UTF-8", encoding.name().to_ascii_lowercase()));
    let body = if encoding == UTF_8 { body } else { transcode(label, &body, encoding, job)? };
    Ok(Text { body, encoding, remark })
}

fn by_label(label: &str) -> Result<&'static Encoding> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        Error::invalid(format!("unknown encoding {:?}", label.chars().take(64).collect::<String>()))
            .with_hint("use a WHATWG label such as utf-8, utf-16le, windows-1252, shift_jis or gb18030")
    })
}

/// Western text in two bytes a letter has a zero in nearly every second byte.
fn sixteen_bits(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    if pairs < 2 {
        return None;
    }
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if odd * 10 > pairs * 4 && even * 20 < pairs {
        Some(UTF_16LE)
    } else if even * 10 > pairs * 4 && odd * 20 < pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// UTF-8, unless the invalid bytes are more than the valid letters beyond ASCII: then Windows' Western encoding, which
/// contains Latin-1's letters.
fn eight_bits(label: &str, body: &Body, job: &Job) -> Result<&'static Encoding> {
    let mut reader = body.reader()?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut valid, mut invalid, mut kept) = (0_u64, 0_u64, 0);
    loop {
        job.check()?;
        let count =
            reader.read(&mut buffer[kept..]).map_err(|error| error::io(format!("cannot read {label}"), error))?;
        let chunk = &buffer[..kept + count];
        let (good, bad, rest) = count_letters(chunk, count == 0);
        valid += good;
        invalid += bad;
        let rest_from = chunk.len() - rest;
        kept = rest;
        buffer.copy_within(rest_from..rest_from + rest, 0);
        if count == 0 || (invalid > 1000 && invalid > 10 * valid) {
            return Ok(if invalid > valid { WINDOWS_1252 } else { UTF_8 });
        }
    }
}

/// Letters beyond ASCII, invalid sequences, and how many bytes at the end may be the beginning of a letter.
fn count_letters(mut chunk: &[u8], last: bool) -> (u64, u64, usize) {
    let (mut valid, mut invalid) = (0, 0);
    loop {
        let (good, error) = match std::str::from_utf8(chunk) {
            Ok(text) => (text, None),
            Err(error) => (std::str::from_utf8(&chunk[..error.valid_up_to()]).unwrap_or_default(), Some(error)),
        };
        if !good.is_ascii() {
            valid += good.bytes().filter(|byte| *byte >= 0xc2).count() as u64;
        }
        let Some(error) = error else { return (valid, invalid, 0) };
        match error.error_len() {
            Some(len) => {
                invalid += 1;
                chunk = &chunk[error.valid_up_to() + len..];
            }
            None if last => return (valid, invalid + 1, 0),
            None => return (valid, invalid, chunk.len() - error.valid_up_to()),
        }
    }
}

fn transcode(label: &str, body: &Body, encoding: &'static Encoding, job: &Job) -> Result<Body> {
    let doing = || format!("cannot read {label}");
    let mut reader = body.reader()?;
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut input = vec![0; CHUNK_BYTES];
    let mut output = vec![0; CHUNK_BYTES * 3 + 16];
    let mut spool = Spool::new(job);
    loop {
        job.check()?;
        let count = reader.read(&mut input).map_err(|error| error::io(doing(), error))?;
        let mut chunk = &input[..count];
        loop {
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(chunk, &mut output, count == 0);
            spool.write_all(&output[..written]).map_err(|error| error::io(doing(), error))?;
            chunk = &chunk[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(_, _) => {
                    spool.write_all(&[UNDECODABLE]).map_err(|error| error::io(doing(), error))?;
                }
            }
        }
        if count == 0 {
            return Ok(spool.finish()?.0);
        }
    }
}
