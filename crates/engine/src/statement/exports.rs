//! COPY … TO files: what is said to be written is on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use polder_types::{Error, ErrorKind, Result};

use crate::error::from_datafusion;

/// Where a COPY writes: a file, or a directory of them.
pub(super) struct Exported {
    path: PathBuf,
    /// Directories that it will make: those that are not there.
    new: Vec<PathBuf>,
    began_at: SystemTime,
}

impl Exported {
    /// `None` for an object store, which keeps what it has taken.
    pub(super) fn to(output_url: &str) -> Result<Option<Self>> {
        let url = ListingTableUrl::parse(output_url).map_err(from_datafusion)?;
        if url.scheme() != "file" {
            return Ok(None);
        }
        let path = Path::new("/").join(url.prefix().as_ref());
        let new = path.ancestors().skip(1).take_while(|above| !above.is_dir()).map(Path::to_path_buf).collect();
        Ok(Some(Self { path, new, began_at: SystemTime::now() }))
    }

    /// The rows that tell of the COPY, held back until all is synced.
    pub(super) fn synced(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let exported = Arc::new(self);
        let told = rows.then(move |batch| {
            let exported = Arc::clone(&exported);
            async move {
                let batch = batch?;
                let synced = tokio::task::spawn_blocking(move || exported.sync()).await;
                synced
                    .map_err(|error| Error::internal(error.to_string()))
                    .and_then(|synced| synced)
                    .map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;
                Ok(batch)
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, told))
    }

    fn sync(&self) -> Result<()> {
        // No rows in parts are no file.
        if !self.path.exists() {
            return Ok(());
        }
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Unavailable, format!("cannot sync {}: {error}", self.path.display()))
        };
        self.sync_below(&self.path).map_err(failed)?;
        // The names: of the file, and of what was made above it.
        let above = self.path.parent().into_iter().chain(self.new.iter().filter_map(|new| new.parent()));
        above.into_iter().try_for_each(sync_one).map_err(failed)
    }

    /// What is new in it: others may keep much in the same directory.
    fn sync_below(&self, path: &Path) -> io::Result<()> {
        let found = fs::symlink_metadata(path)?;
        if found.is_dir() {
            for entry in fs::read_dir(path)? {
                self.sync_below(&entry?.path())?;
            }
            return sync_one(path);
        }
        // Clocks of file systems are a tick behind.
        let slack = std::time::Duration::from_secs(2);
        let is_new = found.modified().map_or(true, |at| at + slack >= self.began_at);
        if found.is_file() && is_new { sync_one(path) } else { Ok(()) }
    }
}

fn sync_one(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(opened) => opened.sync_all(),
        // One may write into a directory that one may not read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
