//! Directories that are still there after the power has failed.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use polder_types::Result;

use crate::error::from_io;

/// Directories whose names this process has synced. That one is there does not say that its name is on disk: another
/// writer may have made it just now, or a process that died before it synced.
static NAMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

pub(crate) fn make_directory(path: &Path) -> Result<()> {
    if NAMED.lock().contains(path) && path.is_dir() {
        return Ok(());
    }
    let shown = path.to_string_lossy().into_owned();
    std::fs::create_dir_all(path).map_err(|error| from_io("make the directory", &shown, error))?;
    // A new directory is only there for good when each of its parents is synced, up to the tables' root.
    for parent in path.ancestors().skip(1).take(2) {
        sync_directory(parent)?;
    }
    NAMED.lock().insert(path.to_path_buf());
    Ok(())
}

/// Makes a directory of any depth. It is there for good only when the parent of each one that is new is synced.
pub(crate) fn make_directories(path: &Path) -> Result<()> {
    let made: Vec<&Path> =
        path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.is_dir()).collect();
    let shown = path.to_string_lossy().into_owned();
    std::fs::create_dir_all(path).map_err(|error| from_io("make the directory", &shown, error))?;
    let above = made.into_iter().filter_map(Path::parent);
    above.map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above }).try_for_each(sync_directory)
}

pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let shown = path.to_string_lossy().into_owned();
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| from_io("sync", &shown, error))
}
