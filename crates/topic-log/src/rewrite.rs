//! Sealed segments, brought together by partition once they have left the hot window.

use std::sync::Arc;

use crate::index::Extent;
use crate::view::PartitionView;

/// New stretches in place of old ones.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) partitions: Vec<Replacement>,
}

/// One partition's part.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) partition: Arc<PartitionView>,
    /// Segments whose stretches go.
    pub(crate) old: Vec<u64>,
    /// In the order of their offsets, indexes in their files.
    pub(crate) new: Vec<Extent>,
}

impl Rewritten {
    /// Shows the new stretches. Those of records that were deleted meanwhile are left out.
    pub(crate) fn show(self) {
        for Replacement { partition, old, new } in self.partitions {
            let mut view = partition.view.write();
            let start = view.bounds.log_start_offset;
            view.extents.retain(|extent| !old.contains(&extent.segment));
            view.extents.extend(new.into_iter().filter(|extent| extent.next > start));
            view.extents.sort_by_key(|extent| extent.base);
        }
    }
}
