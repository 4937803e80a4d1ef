//! A directory of the file system, locked.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polder_types::{Error, ErrorKind, Result};
use rustix::fs::{FallocateFlags, fallocate};

use super::{Disk, DiskFile};
use crate::failure::failed;

const LOCK: &str = "lock";

#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Makes the directory if need be, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.join(LOCK);
        let opened = make(path)
            .and_then(|()| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name));
        let lock = opened.map_err(|error| failed("opening", &name.display().to_string(), error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(ErrorKind::Unavailable, format!("the log in {} is in use", path.display()))
                    .with_code("55006"))
            }
            Err(TryLockError::Error(error)) => Err(failed("locking", &name.display().to_string(), error)),
        }
    }
}

/// The directory, durable in the one above it.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

impl Disk for Directory {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(OpenOptions::new().read(true).write(true).open(self.path.join(name))?)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn path_of(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn unlock(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, path = %self.path.display(), "the lock on the log was not released");
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_exact_at(&self, to: &mut [u8], position: u64) -> io::Result<()> {
        self.0.read_exact_at(to, position)
    }

    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            // A file system without it finds out at the write that it is full.
            Err(rustix::io::Errno::OPNOTSUPP) => grow(&self.0, bytes),
            outcome => Ok(outcome?),
        }
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Makes a file as long as that. One that is longer, for an append that is larger than its segment, stays as it is.
fn grow(file: &File, bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() < bytes { file.set_len(bytes) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_and_never_taken_where_nothing_is_allocated() {
        let file = tempfile::tempfile().unwrap();
        grow(&file, 100).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 100);
        file.write_all_at(b"acknowledged", 200).unwrap();
        grow(&file, 100).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 212);
    }
}
