//! Versions that are no longer kept, and the files that only they named.
//!
//! Two steps, as DuckLake has them. *Expiry* removes versions from the catalog and puts the files that no kept version
//! names on a list. *Clean-up* deletes the files on that list, after a time of grace for readers elsewhere, and never
//! one that a statement of this server may still read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use polder_metastore::{CommitOutcome, Row, Value, Write};
use polder_types::{Error, Result, SnapshotId};

use crate::error::from_store;
use crate::expiry::{dead_rows, forget_file, forget_table};
use crate::lake::Lake;
use crate::orphans::base_name;
use crate::places::Places;

/// Files and rows nobody names are left alone for at least this long: whose they are is less certain.
const ORPHAN_GRACE_MIN: TimeDelta = TimeDelta::hours(1);

/// How often expiry is tried again because somebody committed in between.
const STALE_TRIES: usize = 50;

/// Which versions stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// Those of this time back, and the one before, so that each moment of it can be read.
    Time(TimeDelta),
    /// The newest so many, at least one.
    Snapshots(u32),
}

/// What a VACUUM did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vacuumed {
    pub snapshots_expired: usize,
    /// Files that no version names any more.
    pub files_scheduled: usize,
    /// Full names.
    pub files_deleted: Vec<String>,
    /// Files on the list that must wait.
    pub files_waiting: usize,
    /// Files that no row ever named, swept away: see [`Lake::sweep_orphans`].
    pub orphans_deleted: usize,
    pub bytes_deleted: u64,
}

impl Lake {
    /// Expires versions, deletes files whose time of grace is over, and sweeps orphans.
    ///
    /// Versions that an open transaction or a running statement reads are kept, whatever their age, and the newest one
    /// always.
    ///
    /// # Errors
    /// When the metastore or the store fails. What was done until then stays done, and the next run goes on.
    pub fn vacuum(&self, retain: Retain, grace: TimeDelta) -> BoxFuture<'_, Result<Vacuumed>> {
        Box::pin(self.vacuum_all(retain, grace))
    }

    async fn vacuum_all(&self, retain: Retain, grace: TimeDelta) -> Result<Vacuumed> {
        let _alone = self.maintenance.lock().await;
        self.forget_old();
        let mut done = Vacuumed::default();
        self.expire(retain, &mut done).await?;
        self.clean_up(grace, &mut done).await?;
        if !self.shared_place {
            let sweep = self.sweep_orphans(grace.max(ORPHAN_GRACE_MIN)).await?;
            done.orphans_deleted = sweep.files.len();
            done.bytes_deleted += sweep.bytes;
        }
        Ok(done)
    }

    async fn expire(&self, retain: Retain, done: &mut Vacuumed) -> Result<()> {
        for _ in 0..STALE_TRIES {
            let newest = self.newest().await?;
            let all = self.all_snapshots().await?;
            let expired = self.expired(retain, &all, newest.id);
            let kept: Vec<SnapshotId> = all.iter().map(|(id, _)| *id).filter(|id| !expired.contains(id)).collect();
            let (writes, scheduled) = self.expiry_writes(&expired, &kept).await?;
            if writes.is_empty() {
                return Ok(());
            }
            match self.metastore().commit(newest.id, &writes).await? {
                CommitOutcome::Committed => {
                    done.snapshots_expired = expired.len();
                    done.files_scheduled = scheduled;
                    self.forget_old();
                    return Ok(());
                }
                CommitOutcome::Stale { .. } => {}
            }
        }
        Err(Error::conflict("others keep committing to the lake").with_hint("run VACUUM again"))
    }

    async fn all_snapshots(&self) -> Result<Vec<(SnapshotId, DateTime<Utc>)>> {
        let sql = "SELECT snapshot_id, snapshot_time FROM ducklake_snapshot ORDER BY snapshot_id";
        let rows = self.metastore().query(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.time(1)?))).collect()
    }

    /// The versions to be removed.
    fn expired(&self, retain: Retain, all: &[(SnapshotId, DateTime<Utc>)], newest: SnapshotId) -> BTreeSet<SnapshotId> {
        let wanted = match retain {
            Retain::Time(age) => {
                let cutoff = self.clock.now() - age;
                all.iter().rev().find(|(_, time)| *time <= cutoff).map(|(id, _)| *id)
            }
            Retain::Snapshots(count) => {
                let count = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
                all.len().checked_sub(count).and_then(|at| all.get(at)).map(|(id, _)| *id)
            }
        };
        let Some(mut keep_from) = wanted else { return BTreeSet::new() };
        // A transaction is checked against every version since its own when it commits.
        keep_from = keep_from.min(newest).min(self.oldest_base().unwrap_or(newest));
        let held: HashSet<SnapshotId> = self.leases.held().iter().map(|held| held.snapshot).collect();
        all.iter().map(|(id, _)| *id).filter(|id| *id < keep_from && !held.contains(id)).collect()
    }

    /// What removes the expired versions and everything that only they named, and how many files that are.
    async fn expiry_writes(&self, expired: &BTreeSet<SnapshotId>, kept: &[SnapshotId]) -> Result<(Vec<Write>, usize)> {
        let mut writes = Vec::new();
        for (first, last) in ranges(expired, kept) {
            for table in ["ducklake_snapshot", "ducklake_snapshot_changes"] {
                let sql = format!("DELETE FROM {table} WHERE snapshot_id >= $1 AND snapshot_id <= $2");
                writes.push(Write::new(sql, vec![Value::Int(first), Value::Int(last)]));
            }
        }
        let dead = dead_rows(self.metastore(), kept).await?;
        let now = self.clock.now();
        let places = Places::read(self.metastore()).await?;
        for file in dead.data_files.iter().chain(&dead.delete_files) {
            let (path, relative) = places.below_root(file.table, &file.path, file.path_is_relative)?;
            writes.push(Write::new(
                "INSERT INTO ducklake_files_scheduled_for_deletion (data_file_id, path, path_is_relative, schedule_start) VALUES ($1, $2, $3, $4)",
                vec![file.id.into(), path.into(), relative.into(), Value::Time(now)],
            ));
            writes.extend(forget_file(file.id));
        }
        writes.extend(dead.inlined_deletes(&dead.data_files));
        writes.extend(dead.catalog_writes());
        writes.extend(dead.tables.iter().flat_map(|table| forget_table(table)));
        Ok((writes, dead.data_files.len() + dead.delete_files.len()))
    }

    /// Deletes the files on the list whose time of grace is over.
    async fn clean_up(&self, grace: TimeDelta, done: &mut Vacuumed) -> Result<()> {
        let newest = self.newest().await?.id;
        // Whoever is just reading an old version is known to hold it after this.
        drop(self.reading.write().await);
        let sql =
            "SELECT data_file_id, path, path_is_relative, schedule_start FROM ducklake_files_scheduled_for_deletion";
        let listed = self.metastore().query(sql, &[]).await?;
        let listed = listed.iter().map(scheduled).collect::<Result<Vec<_>>>()?;
        if listed.is_empty() {
            return Ok(());
        }
        let before = self.safe_before(newest, grace);
        let named = self.named_files().await?;
        for (path, ids) in due(&listed, before, &named, done) {
            let located = self.store().locate_below_root(&path.0, path.1)?;
            let size = match self.store().store.head(&located.object).await {
                Ok(meta) => meta.size,
                Err(object_store::Error::NotFound { .. }) => 0,
                Err(error) => return Err(from_store(&format!("remove {}", located.shown), error)),
            };
            match self.store().store.delete(&located.object).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(from_store(&format!("remove {}", located.shown), error)),
            }
            // The file first: if we die in between, the next run finds the row, and no file.
            let forget = ids.iter().map(|id| {
                let sql = "DELETE FROM ducklake_files_scheduled_for_deletion WHERE data_file_id = $1 AND path = $2";
                Write::new(sql, vec![Value::Int(*id), path.0.as_str().into()])
            });
            self.metastore().write(&forget.collect::<Vec<_>>()).await?;
            done.bytes_deleted += size;
            done.files_deleted.push(located.shown);
        }
        Ok(())
    }

    /// Files put on the list before this moment are read by nobody here.
    fn safe_before(&self, newest: SnapshotId, grace: TimeDelta) -> DateTime<Utc> {
        let mut before = self.clock.now() - grace;
        if let Some(began) = self.oldest_open() {
            before = before.min(began);
        }
        // The newest version names no file that is on the list.
        let held = self.leases.held();
        let since = held.iter().filter(|held| held.snapshot != newest).map(|held| held.since).min();
        since.map_or(before, |since| before.min(since))
    }

    /// The last parts of the paths of all files that a row of the catalog names.
    async fn named_files(&self) -> Result<HashSet<String>> {
        let sql = "SELECT path FROM ducklake_data_file UNION ALL SELECT path FROM ducklake_delete_file";
        let rows = self.metastore().query(sql, &[]).await?;
        rows.iter().map(|row| row.text(0).map(|path| base_name(path).to_owned())).collect()
    }
}

/// The expired versions as ranges with no kept one inside.
fn ranges(expired: &BTreeSet<SnapshotId>, kept: &[SnapshotId]) -> Vec<(SnapshotId, SnapshotId)> {
    let mut ranges: Vec<(SnapshotId, SnapshotId)> = Vec::new();
    for id in expired {
        let between =
            |from: SnapshotId| kept.partition_point(|kept| *kept < from) != kept.partition_point(|kept| kept < id);
        match ranges.last_mut() {
            Some((_, last)) if !between(*last) => *last = *id,
            _ => ranges.push((*id, *id)),
        }
    }
    ranges
}

/// A file on the list.
struct Scheduled {
    id: i64,
    path: (String, bool),
    since: DateTime<Utc>,
}

fn scheduled(row: &Row) -> Result<Scheduled> {
    let path = (row.text(1)?.to_owned(), row.opt_bool(2)?.unwrap_or(true));
    Ok(Scheduled { id: row.int(0)?, path, since: row.time(3)? })
}

/// The files to be deleted now, each with the ids under which it is listed.
fn due(
    listed: &[Scheduled],
    before: DateTime<Utc>,
    named: &HashSet<String>,
    done: &mut Vacuumed,
) -> BTreeMap<(String, bool), Vec<i64>> {
    let mut due: BTreeMap<(String, bool), Vec<i64>> = BTreeMap::new();
    for file in listed {
        if named.contains(base_name(&file.path.0)) {
            tracing::warn!(path = file.path.0, "a file that is to be deleted is named by the catalog; it stays");
            done.files_waiting += 1;
        } else if file.since > before {
            done.files_waiting += 1;
        } else {
            due.entry(file.path.clone()).or_default().push(file.id);
        }
    }
    due
}
