//! Who still reads which version: files that a version names stay for as long as somebody holds it.

use std::sync::{Arc, Weak};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_types::SnapshotId;

use crate::model::Snapshot;

/// Leases that have ended are forgotten whenever the list has grown by as many as this.
const FORGET_EVERY: usize = 1024;

/// A version that somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub snapshot: SnapshotId,
    /// When it was read from the metastore, or made.
    pub since: DateTime<Utc>,
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    list: Mutex<Vec<(Held, Weak<()>)>>,
}

impl Leases {
    /// Every snapshot that is given out is told here first.
    pub fn register(&self, snapshot: &Snapshot, since: DateTime<Utc>) {
        let mut list = self.list.lock();
        if list.len() % FORGET_EVERY == FORGET_EVERY - 1 {
            list.retain(|(_, lease)| lease.strong_count() > 0);
        }
        list.push((Held { snapshot: snapshot.id, since }, Arc::downgrade(&snapshot.lease)));
    }

    /// The versions that are held now, in no order; one may be in it several times.
    pub fn held(&self) -> Vec<Held> {
        let mut list = self.list.lock();
        list.retain(|(_, lease)| lease.strong_count() > 0);
        list.iter().map(|(held, _)| *held).collect()
    }
}
