//! Who owns what, and who may do what with it, as a tag of each thing.

use std::sync::Arc;

use polder_types::{Error, Result};

use super::{AGAIN, Applier};
use crate::access::{Access, TAG};

impl Applier {
    /// It is no change of what a thing is or holds, so it is in nobody's way who changes that; but whoever else has granted
    /// something meanwhile must not be overwritten.
    pub(super) fn set_access(&mut self, id: i64, expected: Option<&Arc<Access>>, access: &Arc<Access>) -> Result<()> {
        let id = self.real(id);
        if !self.snapshot.has_thing(id) {
            return Err(Error::conflict("what is granted on was dropped by another transaction").with_hint(AGAIN));
        }
        if self.snapshot.access(id) != expected {
            return Err(Error::conflict("who may use it was changed by another transaction meanwhile").with_hint(AGAIN));
        }
        self.put_access(id, Arc::clone(access))
    }

    /// The tag in the place of the one that is there.
    pub(super) fn put_access(&mut self, id: i64, access: Arc<Access>) -> Result<()> {
        let at = self.snapshot.id;
        self.emit(
            format!("UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND key = '{TAG}' AND end_snapshot IS NULL"),
            vec![at.into(), id.into()],
        );
        if let Some(tag) = access.to_tag()? {
            self.emit_row(
                "ducklake_tag (object_id, begin_snapshot, value, key)",
                vec![id.into(), at.into(), tag.into(), TAG.into()],
            );
        }
        Arc::make_mut(&mut self.snapshot.access).insert(id, access);
        Ok(())
    }

    /// A thing has gone; its tags have ended with it.
    pub(super) fn forget_access(&mut self, id: i64) {
        if self.snapshot.access.contains_key(&id) {
            Arc::make_mut(&mut self.snapshot.access).remove(&id);
        }
    }

    /// What was granted on a thing holds for the one that has taken its place.
    pub(super) fn move_access(&mut self, access: Option<Arc<Access>>, to: i64) -> Result<()> {
        match access {
            Some(access) => self.put_access(to, access),
            None => Ok(()),
        }
    }

    /// A column of a table has gone; `new` has taken its place, if there is one.
    pub(super) fn move_column_access(&mut self, table: i64, column: i64, new: Option<i64>) -> Result<()> {
        let known =
            |access: &&Arc<Access>| access.columns.contains_key(&column) || access.policies.masks.contains_key(&column);
        let Some(access) = self.snapshot.access(table).filter(known) else { return Ok(()) };
        let mut changed = access.as_ref().clone();
        let grants = changed.columns.remove(&column);
        // The mask of a column that has gone is still there for those who read an older version.
        let mask = changed.policies.masks.get(&column).cloned();
        if let (Some(grants), Some(new)) = (grants, new) {
            changed.columns.insert(new, grants);
        }
        if let (Some(mask), Some(new)) = (mask, new) {
            changed.policies.masks.insert(new, mask);
        }
        self.put_access(table, Arc::new(changed))
    }
}
