//! From a file as it lies there to the contents in it: gzip, Zstandard, bzip2 and zip, known by their first bytes.
//!
//! Nothing is ever written to a path that an archive names; its names are only shown, and made into table names.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use polder_types::limits::{DECOMPRESSED_BYTES_FREE, DECOMPRESSION_RATIO_MAX};
use polder_types::{Error, Result};
use xxhash_rust::xxh3::Xxh3;

use super::spool::{Body, BodyReader, MEMORY_BODY_BYTES_MAX, Spool, hash_name};
use crate::error;
use crate::progress::{Job, Progress};

/// Packed within packed within packed is somebody's joke.
const DEPTH_MAX: usize = 3;

/// Files in one zip.
const MEMBERS_MAX: usize = 10_000;

const COPY_BYTES: usize = 256 << 10;

/// One content, out of its packing.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// As shown: `data/all.zip/flights.csv`.
    pub label: String,
    /// The file's own name, to make a table name of.
    pub name: String,
    pub body: Body,
    /// Of the whole content. Empty for a part that was cut.
    pub hash: String,
    /// Only the first bytes are here.
    pub cut: bool,
    /// One of several in a zip.
    pub listed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    Bzip2,
    Zip,
}

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some(Packing::Bzip2),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Packing::Zip),
        _ => None,
    }
}

/// Takes everything out. `head`: only the first so many bytes of each content, for a preview.
pub(crate) fn unpack(label: &str, name: &str, body: &Body, head: Option<u64>, job: &Job) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let unpacking = Unpacking { head, job };
    unpacking.open(label, name, body, None, 0, &mut parts)?;
    Ok(parts)
}

#[derive(Clone, Copy)]
struct Unpacking<'a> {
    head: Option<u64>,
    job: &'a Job,
}

impl Unpacking<'_> {
    /// `hash` is known when the body has just come out of a packing.
    fn open(
        &self,
        label: &str,
        name: &str,
        body: &Body,
        hash: Option<(String, bool)>,
        depth: usize,
        parts: &mut Vec<Part>,
    ) -> Result<()> {
        let Some(packing) = packing(&body.head(16)?) else {
            return self.keep(label, name, body, hash, parts);
        };
        if packing == Packing::Zip && is_workbook(body) {
            return self.keep(label, name, body, hash, parts);
        }
        if depth == DEPTH_MAX {
            return Err(Error::unsupported(format!("{label} is packed more than {DEPTH_MAX} times over"))
                .with_hint("unpack it first"));
        }
        if packing == Packing::Zip {
            return self.open_zip(label, body, depth, parts);
        }
        let packed = BufReader::with_capacity(COPY_BYTES, self.packed(body, depth)?);
        let unpacked: Box<dyn Read> = match packing {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
            Packing::Zstd | Packing::Zip => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                Box::new(decoder.map_err(|error| error::io(format!("cannot unpack {label}"), error))?)
            }
        };
        let (inner, hash) = self.copy(label, unpacked, body.len())?;
        self.open(label, without_ending(name), &inner, Some(hash), depth + 1, parts)
    }

    /// A packed body, read with progress.
    fn packed(&self, body: &Body, depth: usize) -> Result<Counted<'_>> {
        Ok(Counted { inner: body.reader()?, progress: (depth == 0).then_some(&*self.job.progress) })
    }

    fn open_zip(&self, label: &str, body: &Body, depth: usize, parts: &mut Vec<Part>) -> Result<()> {
        let mut archive = archive(label, self.packed(body, depth)?)?;
        if archive.len() > MEMBERS_MAX {
            return Err(error::too_large(
                format!("{label} holds {} files, more than {MEMBERS_MAX}", archive.len()),
                "load it in parts",
            ));
        }
        let before = parts.len();
        for place in 0..archive.len() {
            self.job.check()?;
            let member = archive.by_index(place).map_err(|error| error::broken(label, "zip", error))?;
            let member_name = printable(member.name());
            if member.is_dir() || is_hidden(&member_name) {
                continue;
            }
            if !member.is_file() {
                return Err(Error::unsupported(format!("{label}/{member_name} is no plain file")));
            }
            let member_label = format!("{label}/{member_name}");
            // What the archive says about sizes is only a claim.
            let packed_len = member.compressed_size().min(body.len());
            let (inner, hash) = self.copy(&member_label, member, packed_len)?;
            let file_name = member_name.rsplit(['/', '\\']).next().unwrap_or_default();
            self.open(&member_label, file_name, &inner, Some(hash), depth + 1, parts)?;
        }
        let several = parts.len() - before > 1;
        for part in &mut parts[before..] {
            part.listed |= several;
        }
        if parts.len() == before {
            return Err(Error::invalid(format!("{label} holds no file")));
        }
        Ok(())
    }

    /// Gives the content, its hash, and whether it was cut at `head`.
    fn copy(&self, label: &str, mut from: impl Read, packed_len: u64) -> Result<(Body, (String, bool))> {
        let bound = DECOMPRESSED_BYTES_FREE.max(packed_len.saturating_mul(DECOMPRESSION_RATIO_MAX));
        let mut spool = Spool::new(self.job);
        let mut buffer = vec![0; COPY_BYTES];
        let mut cut = false;
        let doing = || format!("cannot unpack {label}");
        loop {
            self.job.check()?;
            let count = from.read(&mut buffer).map_err(|error| error::io(doing(), error))?;
            if count == 0 {
                break;
            }
            if spool.len() + count as u64 > bound {
                return Err(error::too_large(
                    format!(
                        "{label} unpacks to more than {bound} bytes, {DECOMPRESSION_RATIO_MAX} times its size or more"
                    ),
                    "if it is no trap, unpack it first and load the result",
                ));
            }
            spool.write_all(&buffer[..count]).map_err(|error| error::io(doing(), error))?;
            if self.head.is_some_and(|head| spool.len() >= head) {
                cut = true;
                break;
            }
        }
        let (body, hash) = spool.finish()?;
        Ok((body, (if cut { String::new() } else { hash }, cut)))
    }

    fn keep(
        &self,
        label: &str,
        name: &str,
        body: &Body,
        hash: Option<(String, bool)>,
        parts: &mut Vec<Part>,
    ) -> Result<()> {
        let (body, (hash, cut)) = match hash {
            Some(known) => (body.clone(), known),
            None if self.head.is_some() => (body.clone(), (String::new(), false)),
            None => self.take_in(label, body)?,
        };
        parts.push(Part { label: label.into(), name: name.into(), body, hash, cut, listed: false });
        Ok(())
    }

    /// Hashes a plain file, and keeps it in memory if it is small.
    fn take_in(&self, label: &str, body: &Body) -> Result<(Body, (String, bool))> {
        let reader = body.reader()?;
        if body.len() <= MEMORY_BODY_BYTES_MAX && self.job.take_memory(body.len()) {
            let bytes = body.read_all(MEMORY_BODY_BYTES_MAX)?;
            self.job.progress.add_bytes(bytes.len() as u64);
            let mut hash = Xxh3::new();
            hash.update(&bytes);
            return Ok((Body::memory(bytes), (hash_name(&hash), false)));
        }
        Ok((body.clone(), (self.hash(label, reader)?, false)))
    }

    fn hash(&self, label: &str, mut reader: BodyReader) -> Result<String> {
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            self.job.check()?;
            let count = reader.read(&mut buffer).map_err(|error| error::io(format!("cannot read {label}"), error))?;
            if count == 0 {
                return Ok(hash_name(&hash));
            }
            self.job.progress.add_bytes(count as u64);
            hash.update(&buffer[..count]);
        }
    }
}

fn archive<R: Read + Seek>(label: &str, reader: R) -> Result<zip::ZipArchive<BufReader<R>>> {
    zip::ZipArchive::new(BufReader::new(reader)).map_err(|error| error::broken(label, "zip", error))
}

/// Tells the progress what is read of a packed file, in the file's own bytes.
struct Counted<'a> {
    inner: BodyReader,
    /// `None` for what is packed within: its bytes are not those of the file.
    progress: Option<&'a Progress>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(progress) = self.progress {
            progress.add_bytes(count as u64);
        }
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Excel and OpenDocument files are zips of their own making.
pub(crate) fn is_workbook(body: &Body) -> bool {
    let Ok(archive) = body.reader().and_then(|reader| archive("", reader)) else { return false };
    let has = |name: &str| archive.index_for_name(name).is_some();
    has("xl/workbook.xml") || has("xl/workbook.bin") || (has("content.xml") && has("mimetype"))
}

/// Macs put these beside every file.
fn is_hidden(name: &str) -> bool {
    name.split(['/', '\\']).any(|part| (part.starts_with('.') && part != "." && part != "..") || part == "__MACOSX")
}

/// Names from outside are shown, so nothing in them may move a cursor.
pub(crate) fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(1024).collect()
}

fn without_ending(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((front, ending))
            if !front.is_empty() && ["gz", "gzip", "zst", "zstd", "bz2"].contains(&&*ending.to_ascii_lowercase()) =>
        {
            front
        }
        _ => name,
    }
}
