//! Where answers go: standard output, or a file that appears once it is whole.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::Out;
use crate::failure::Failure;

/// Writers get [`Sink::out`]; what they wrote is kept by [`Sink::keep`] alone.
pub enum Sink {
    StandardOutput,
    /// A pipe or a device is written as it comes.
    Direct(PathBuf),
    File {
        path: PathBuf,
        fresh: Arc<Mutex<NamedTempFile>>,
    },
}

impl Sink {
    /// # Errors
    /// When the file cannot be made.
    pub fn open(output: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = output else { return Ok(Self::StandardOutput) };
        if path.is_dir() {
            return Err(
                Failure::usage(format!("--output {} is a directory", path.display())).with_hint("name a file in it")
            );
        }
        if path.exists() && !path.is_file() {
            return Ok(Self::Direct(path.to_owned()));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let fresh = make(directory).map_err(|error| failure(path, &error))?;
        Ok(Self::File { path: path.to_owned(), fresh: Arc::new(Mutex::new(fresh)) })
    }

    /// # Errors
    /// When a device cannot be opened.
    pub fn out(&self) -> Result<Out, Failure> {
        Ok(match self {
            Self::StandardOutput => Box::new(BufWriter::with_capacity(1 << 16, io::stdout())),
            Self::Direct(path) => {
                let file = OpenOptions::new().write(true).open(path).map_err(|error| failure(path, &error))?;
                Box::new(BufWriter::with_capacity(1 << 16, file))
            }
            Self::File { fresh, .. } => Box::new(BufWriter::with_capacity(1 << 16, Shared(Arc::clone(fresh)))),
        })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When that fails; the file is then not there.
    pub fn keep(self) -> Result<(), Failure> {
        let Self::File { path, fresh } = self else { return Ok(()) };
        let fresh = Arc::into_inner(fresh).ok_or_else(|| Failure::new("the answer is still being written"))?;
        let fresh = fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
        fresh.persist(&path).map(drop).map_err(|error| failure(&path, &error.error))
    }
}

/// A file with the rights that a new file has, not the narrow ones of temporary files.
fn make(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".polder-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

struct Shared(Arc<Mutex<NamedTempFile>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
