//! The compression of record batches. Nothing on the way in or out needs it: only compaction, the search by time, and those
//! who read or write single records do.

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

/// The records of a packed batch, by the number of its compression; `None` if they are more than `bytes_max`. Its callers see
/// that there is memory for them, see [`crate::room`].
pub(crate) fn decompress(compression: i16, bytes: &[u8], bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    match compression {
        1 => read(flate2::read::MultiGzDecoder::new(bytes), bytes_max),
        2 => unsnap(bytes, bytes_max),
        3 => read(lz4_flex::frame::FrameDecoder::new(bytes), bytes_max),
        4 => read(zstd::stream::read::Decoder::new(bytes)?, bytes_max),
        other => Err(io::Error::other(format!("compression {other} is not known"))),
    }
}

/// Memory that [`decompress`] takes at most, for what it gives and beside that.
pub(crate) fn memory_bytes(compression: i16, bytes: &[u8], bytes_max: usize) -> usize {
    match compression {
        // Two blocks and what the next one may refer to. How large blocks are stands in the sixth byte.
        3 => bytes_max + (64 << 10) + (2 << (8 + 2 * (bytes.get(5).map_or(7, |byte| (byte >> 4) & 7)))),
        // The window, which may be as large as all.
        4 => 2 * bytes_max,
        _ => bytes_max,
    }
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

pub(crate) fn too_much() -> io::Error {
    io::Error::other(format!("a batch is larger than {BYTES_MAX} bytes when it is unpacked"))
}

/// Reads all; `None` if it is more than `bytes_max`.
fn read(from: impl Read, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    // At once, so that it never lies there twice: the system gives what is written to, not what is asked for.
    let mut bytes = Vec::with_capacity(bytes_max + 1);
    from.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Ok(None);
    }
    Ok(Some(bytes))
}

fn unsnap(bytes: &[u8], bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let blocks = snappy_blocks(bytes)?;
    let mut sizes = Vec::with_capacity(blocks.len());
    for block in &blocks {
        sizes.push(snap::raw::decompress_len(block).map_err(io::Error::other)?);
    }
    let size = sizes.iter().fold(0_usize, |all, size| all.saturating_add(*size));
    if size > bytes_max {
        return Ok(None);
    }
    let mut all = vec![0; size];
    let mut rest = all.as_mut_slice();
    for (block, size) in blocks.into_iter().zip(sizes) {
        let (to, behind) = rest.split_at_mut_checked(size).ok_or_else(cut_short)?;
        snap::raw::Decoder::new().decompress(block, to).map_err(io::Error::other)?;
        rest = behind;
    }
    Ok(Some(all))
}

/// The blocks of Java's form, or all as the one that it is.
fn snappy_blocks(bytes: &[u8]) -> io::Result<Vec<&[u8]>> {
    if !bytes.starts_with(JAVA_SNAPPY) {
        return Ok(vec![bytes]);
    }
    let mut rest = bytes.get(JAVA_SNAPPY_HEADER..).ok_or_else(cut_short)?;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or_else(cut_short)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(cut_short)?;
        blocks.push(block);
        rest = behind;
    }
    Ok(blocks)
}

fn cut_short() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}
