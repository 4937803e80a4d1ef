//! Which files are Polder's own: what a user's statement must neither read as data nor write over.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The directories that hold the metastore, keys, uploads and the tables' files.
#[derive(Debug, Clone, Default)]
pub struct OwnFiles {
    roots: Arc<[PathBuf]>,
}

impl OwnFiles {
    /// The directories as they are now, links followed.
    #[must_use]
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { roots: roots.into_iter().map(|root| resolved(&root)).collect() }
    }

    /// Whether a path, by whatever links and dots it leads there, is one of these directories or below one. It need not
    /// exist.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        if self.roots.is_empty() {
            return false;
        }
        let path = resolved(path);
        self.roots.iter().any(|root| path.starts_with(root))
    }
}

/// The path without links and dots, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut exists = path.as_path();
    let mut rest: Vec<OsString> = Vec::new();
    loop {
        if let Ok(found) = exists.canonicalize() {
            return rest.iter().rev().fold(found, |found, part| found.join(part));
        }
        match (exists.components().next_back(), exists.parent()) {
            (Some(Component::Normal(name)), Some(parent)) => {
                rest.push(name.to_owned());
                exists = parent;
            }
            // `..` of what does not exist leads nowhere.
            _ => return path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_into_a_directory_is_known() {
        let place = std::env::temp_dir().join(format!("polder-own-{}", std::process::id()));
        let data = place.join("data");
        std::fs::create_dir_all(data.join("tables")).unwrap();
        std::fs::write(data.join("keys"), "secret").unwrap();
        std::os::unix::fs::symlink(&data, place.join("link")).unwrap();
        let own = OwnFiles::new([place.join("link")]);
        for inside in
            ["data", "data/keys", "data/new/deep.csv", "link/keys", "data/../data/keys", "data/tables/../keys"]
        {
            assert!(own.holds(&place.join(inside)), "{inside}");
        }
        for outside in ["", "data.csv", "datasets/keys", "data/../keys", "new/keys"] {
            assert!(!own.holds(&place.join(outside)), "{outside}");
        }
        assert!(!OwnFiles::default().holds(&data));
        std::fs::remove_dir_all(place).unwrap();
    }
}
