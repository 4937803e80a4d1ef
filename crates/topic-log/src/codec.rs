//! The compression of record batches. Nothing on the way in or out needs it: only compaction, the search by time, and those
//! who read or write single records do.

use std::borrow::Cow;
use std::io::{self, Read, Write};

/// What a batch may grow to. A larger one is left as it is, and not read. Tests make such ones sooner.
pub(crate) const BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// How Java frames Snappy: this, two versions, then blocks behind their lengths.
const JAVA_SNAPPY: &[u8] = b"\x82SNAPPY\0";
const JAVA_SNAPPY_HEADER: usize = 16;

/// How the records of a batch are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// Its number in the format.
    pub(crate) const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// The records of a batch, by the number of its compression. What is not packed has no bound here: it is in memory already.
pub(crate) fn decompress(compression: i16, bytes: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    let unpacked = match compression {
        0 => return Ok(Cow::Borrowed(bytes)),
        1 => read(flate2::read::MultiGzDecoder::new(bytes)),
        2 => unsnap(bytes),
        3 => read(lz4_flex::frame::FrameDecoder::new(bytes)),
        4 => read(zstd::stream::read::Decoder::new(bytes)?),
        other => Err(io::Error::other(format!("compression {other} is not known"))),
    };
    unpacked.map(Cow::Owned)
}

/// The counterpart of [`decompress`].
pub(crate) fn compress(compression: i16, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        0 => Ok(bytes.to_vec()),
        1 => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(bytes)?;
            to.finish()
        }
        2 => snap::raw::Encoder::new().compress_vec(bytes).map_err(io::Error::other),
        3 => {
            let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
            to.write_all(bytes)?;
            to.finish().map_err(io::Error::other)
        }
        4 => zstd::stream::encode_all(bytes, 0),
        other => Err(io::Error::other(format!("compression {other} is not known"))),
    }
}

fn too_much() -> io::Error {
    io::Error::other(format!("a batch is larger than {BYTES_MAX} bytes when it is unpacked"))
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > BYTES_MAX { Err(too_much()) } else { Ok(bytes) }
}

fn unsnap(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let cut_short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    if !bytes.starts_with(JAVA_SNAPPY) {
        return unsnap_block(bytes, BYTES_MAX);
    }
    let mut rest = bytes.get(JAVA_SNAPPY_HEADER..).ok_or_else(cut_short)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or_else(cut_short)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(cut_short)?;
        all.extend(unsnap_block(block, BYTES_MAX - all.len())?);
        rest = behind;
    }
    Ok(all)
}

fn unsnap_block(block: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    if snap::raw::decompress_len(block).map_err(io::Error::other)? > bytes_max {
        return Err(too_much());
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(io::Error::other)
}
