//! The directory of a log, behind a trait: tests hand in one that forgets what was not synced.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

mod real;
#[cfg(test)]
pub(crate) mod simulated;

pub(crate) use real::Directory;

/// Files of one directory, by name.
pub(crate) trait Disk: Send + Sync + Debug {
    /// A new, empty file; one that is there is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    fn list(&self) -> io::Result<Vec<String>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Names are durable from here on.
    fn sync_names(&self) -> io::Result<()>;
    /// What the directory is called in messages.
    fn path_of(&self, name: &str) -> String;
    /// Frees the directory for others.
    fn unlock(&self);
}

/// A file that is read and written by position.
pub(crate) trait DiskFile: Send + Sync + Debug {
    /// Fills `to`; an error if the file ends before.
    fn read_exact_at(&self, to: &mut [u8], position: u64) -> io::Result<()>;
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// What was written is durable from here on.
    fn sync(&self) -> io::Result<()>;
    /// Forgets everything behind `bytes`.
    fn cut(&self, bytes: u64) -> io::Result<()>;
    /// Sees that there is room up to `bytes`, zeros where nothing was written.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    fn bytes(&self) -> io::Result<u64>;
}
