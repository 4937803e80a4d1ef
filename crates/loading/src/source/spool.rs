//! Bytes that are read more than once: in memory while small, else on disk.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use polder_types::{Error, ErrorKind, Result};
use tempfile::TempPath;
use xxhash_rust::xxh3::Xxh3;

use crate::error;
use crate::progress::Job;

/// Up to here content is kept in memory between the passes over it.
pub(crate) const MEMORY_BODY_BYTES_MAX: u64 = 64 << 20;

/// What all temporary files of loads are called, so that forgotten ones can be found.
pub(crate) const TEMP_PREFIX: &str = "polder-load-";

/// Content that can be read from any place, any number of times, by several threads.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    place: Place,
    start: u64,
    len: u64,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Bytes),
    File(Arc<StoredFile>),
}

#[derive(Debug)]
struct StoredFile {
    path: PathBuf,
    /// Removes the file with the last body that needs it.
    _temporary: Option<TempPath>,
}

impl Body {
    pub(crate) fn memory(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { start: 0, len: bytes.len() as u64, place: Place::Memory(bytes) }
    }

    /// A file that belongs to somebody else, or one that goes away with its last reader.
    pub(crate) fn file(path: &Path, temporary: Option<TempPath>) -> Result<Self> {
        let doing = || format!("cannot open {}", path.display());
        let metadata = std::fs::metadata(path).map_err(|error| error::io(doing(), error))?;
        if !metadata.is_file() {
            return Err(Error::invalid(format!("{} is not a regular file", path.display())));
        }
        let stored = StoredFile { path: path.to_owned(), _temporary: temporary };
        Ok(Self { start: 0, len: metadata.len(), place: Place::File(Arc::new(stored)) })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The same without its first bytes.
    pub(crate) fn skip(&self, bytes: u64) -> Self {
        let bytes = bytes.min(self.len);
        Self { place: self.place.clone(), start: self.start + bytes, len: self.len - bytes }
    }

    /// Only its first bytes.
    pub(crate) fn take(&self, bytes: u64) -> Self {
        Self { place: self.place.clone(), start: self.start, len: self.len.min(bytes) }
    }

    /// All of it, if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<Bytes> {
        match &self.place {
            Place::Memory(bytes) => {
                let start = usize::try_from(self.start).ok()?;
                let end = start.checked_add(usize::try_from(self.len).ok()?)?;
                (end <= bytes.len()).then(|| bytes.slice(start..end))
            }
            Place::File(_) => None,
        }
    }

    /// The file it is in, if it begins at the file's beginning.
    pub(crate) fn as_file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(file) if self.start == 0 => Some(&file.path),
            _ => None,
        }
    }

    pub(crate) fn head(&self, bytes: usize) -> Result<Bytes> {
        let len = usize::try_from(self.len).map_or(bytes, |len| len.min(bytes));
        self.reader()?.read_range(0, len)
    }

    /// All of it in memory.
    pub(crate) fn read_all(&self, bytes_max: u64) -> Result<Bytes> {
        match usize::try_from(self.len) {
            Ok(len) if self.len <= bytes_max => self.reader()?.read_range(0, len),
            _ => Err(Error::new(ErrorKind::TooLarge, format!("{} bytes are more than {bytes_max}", self.len))),
        }
    }

    pub(crate) fn reader(&self) -> Result<BodyReader> {
        let source = match &self.place {
            Place::Memory(bytes) => Source::Memory(bytes.clone()),
            Place::File(file) => {
                let doing = || format!("cannot open {}", file.path.display());
                let opened = File::open(&file.path).map_err(|error| error::io(doing(), error))?;
                Source::File { file: opened, at: None, _keep: Arc::clone(file) }
            }
        };
        Ok(BodyReader { source, start: self.start, len: self.len, position: 0 })
    }
}

/// Reads a [`Body`]; every thread has its own.
#[derive(Debug)]
pub(crate) struct BodyReader {
    source: Source,
    start: u64,
    len: u64,
    position: u64,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File { file: File, at: Option<u64>, _keep: Arc<StoredFile> },
}

impl BodyReader {
    /// Bytes from `offset`, without a copy when they are in memory.
    pub(crate) fn read_range(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        if let Source::Memory(bytes) = &self.source {
            let range =
                usize::try_from(self.start + offset).ok().and_then(|start| Some(start..start.checked_add(len)?));
            return match range {
                Some(range) if range.end <= bytes.len() => Ok(bytes.slice(range)),
                _ => Err(Error::internal(format!("no {len} bytes at {offset}"))),
            };
        }
        let mut buffer = vec![0; len];
        self.position = offset;
        self.read_exact(&mut buffer).map_err(|error| error::io("the file became shorter while it was read", error))?;
        Ok(buffer.into())
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        if want == 0 {
            return Ok(0);
        }
        let absolute = self.start + self.position;
        let count = match &mut self.source {
            Source::Memory(bytes) => {
                let start = usize::try_from(absolute).map_err(io::Error::other)?;
                buffer[..want].copy_from_slice(&bytes[start..start + want]);
                want
            }
            Source::File { file, at, .. } => {
                if *at != Some(absolute) {
                    file.seek(SeekFrom::Start(absolute))?;
                }
                let count = file.read(&mut buffer[..want])?;
                *at = Some(absolute + count as u64);
                count
            }
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BodyReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// A new temporary file of this load.
pub(crate) fn temporary(job: &Job) -> Result<(File, TempPath)> {
    tempfile::Builder::new()
        .prefix(TEMP_PREFIX)
        .tempfile_in(&job.temp_dir)
        .map(tempfile::NamedTempFile::into_parts)
        .map_err(|error| error::io(format!("cannot make a temporary file in {}", job.temp_dir.display()), error))
}

/// Takes bytes of unknown number: into memory first, into a temporary file once they are too many.
pub(crate) struct Spool<'a> {
    job: &'a Job,
    memory: Vec<u8>,
    file: Option<(BufWriter<File>, TempPath)>,
    hash: Xxh3,
    len: u64,
}

impl<'a> Spool<'a> {
    pub(crate) fn new(job: &'a Job) -> Self {
        Self { job, memory: Vec::new(), file: None, hash: Xxh3::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn spill(&mut self) -> Result<()> {
        let (file, path) = temporary(self.job)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&self.memory).map_err(|error| error::io("cannot write a temporary file", error))?;
        self.memory = Vec::new();
        self.file = Some((file, path));
        Ok(())
    }

    /// What was written, and its hash.
    pub(crate) fn finish(mut self) -> Result<(Body, String)> {
        let hash = hash_name(&self.hash);
        if self.file.is_none() && !self.job.take_memory(self.len) {
            self.spill()?;
        }
        let body = match self.file {
            None => Body::memory(self.memory),
            Some((file, path)) => {
                file.into_inner().map_err(|error| error::io("cannot write a temporary file", error.into_error()))?;
                let at = path.to_path_buf();
                Body::file(&at, Some(path))?
            }
        };
        Ok((body, hash))
    }
}

impl Write for Spool<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len() as u64;
        if !self.job.take_spool(len) {
            let hint = "load it in parts";
            return Err(io::Error::other(error::too_large(
                "the load unpacks to more than the disk may be given",
                hint,
            )));
        }
        self.hash.update(bytes);
        self.len += len;
        if self.file.is_none() && self.len > MEMORY_BODY_BYTES_MAX {
            self.spill().map_err(io::Error::other)?;
        }
        match &mut self.file {
            Some((file, _)) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// 128 bits are enough for content never to be taken for other content by accident.
pub(crate) fn hash_name(hash: &Xxh3) -> String {
    format!("xxh3:{:032x}", hash.digest128())
}
