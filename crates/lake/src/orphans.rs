//! Files that nobody names: left by a crash, or by a transaction that could not clean up.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use polder_types::{Error, Result};

use crate::error::from_store;
use crate::lake::Lake;
use crate::parquet_writer::FILE_PREFIX;

/// What a sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Full names.
    pub files: Vec<String>,
    pub bytes: u64,
}

/// How far the clock of a store may be behind ours.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::minutes(10);

/// Every file that a row of the catalog names, in whatever version.
const NAMED: &str = "SELECT path FROM ducklake_data_file UNION ALL SELECT path FROM ducklake_delete_file \
                     UNION ALL SELECT path FROM ducklake_files_scheduled_for_deletion";

impl Lake {
    /// Removes files of ours (`polder-*.parquet`) below the tables' root that no row of the catalog names, and that are
    /// older than `grace` and than every open transaction.
    ///
    /// # Errors
    /// `InvalidInput` if another lake keeps its files in the same place; when the store cannot be listed.
    pub async fn sweep_orphans(&self, grace: TimeDelta) -> Result<Sweep> {
        if self.shared_place {
            return Err(Error::invalid(format!("another lake keeps its files in {}", self.store().display("")))
                .with_hint("give each lake a place of its own"));
        }
        let now = self.clock.now();
        let before = self.oldest_open().map_or(now - grace, |began| (now - grace).min(began - CLOCKS_APART_MAX));
        // What is listed first and named afterwards is named; the other way round, a commit could slip between.
        let old = self.old_files(before).await?;
        if old.is_empty() {
            return Ok(Sweep::default());
        }
        let named = self.metastore().query(NAMED, &[]).await?;
        let named: HashSet<&str> = named.iter().map(|row| row.text(0).map(base_name)).collect::<Result<_>>()?;
        let mut sweep = Sweep::default();
        for file in old.iter().filter(|file| !named.contains(base_name(file.location.as_ref()))) {
            let shown = self.store().shown(&file.location);
            match self.store().store.delete(&file.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(from_store(&format!("remove {shown}"), error)),
            }
            sweep.bytes += file.size;
            sweep.files.push(shown);
        }
        Ok(sweep)
    }

    async fn old_files(&self, before: DateTime<Utc>) -> Result<Vec<ObjectMeta>> {
        let root = self.store().object_path("");
        let ours = |file: &ObjectMeta| {
            let name = base_name(file.location.as_ref());
            name.starts_with(FILE_PREFIX) && name.ends_with(".parquet") && file.last_modified < before
        };
        let listed = self.store().store.list(Some(&root));
        let old = listed.try_filter(|file| std::future::ready(ours(file))).try_collect().await;
        old.map_err(|error| from_store(&format!("list {}", self.store().display("")), error))
    }
}

/// Names are never used twice, so the last part of a path tells files apart.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
