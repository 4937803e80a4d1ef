//! Files and rows of the metastore that take the place of others: compaction, and a table brought back to an older
//! version.

use std::sync::Arc;

use polder_types::Result;

use super::rows::merge_ranges;
use super::{Applier, EndedFile};
use crate::changes::Change;
use crate::parquet_writer::StagedFile;

/// What goes, and what comes in its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewrite {
    pub ended: Vec<EndedFile>,
    /// (holder, row id) of rows of the metastore.
    pub inlined: Vec<(String, i64)>,
    pub files: Vec<RewrittenFile>,
    /// The table's sequence of row ids stands at least here afterwards.
    pub next_row_id: i64,
    /// The same rows in other files: no change to whoever reads them.
    pub moved_only: bool,
    /// Rows are those of an older version again: some may be back that were deleted.
    pub restored: bool,
}

/// A file whose rows have ids already: in it, or from `row_id_start` on.
#[derive(Debug, Clone)]
pub(crate) struct RewrittenFile {
    pub id: i64,
    pub file: Arc<StagedFile>,
    pub row_id_start: Option<i64>,
    /// Rows of it that are gone.
    pub delete: Option<(i64, Arc<StagedFile>)>,
}

impl Applier {
    pub(super) fn rewrite(&mut self, table: i64, rewrite: &Rewrite) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        let ended = self.end_files_of(&mut table, &rewrite.ended)?;
        if !rewrite.inlined.is_empty() {
            self.end_inlined_of(&mut table, &rewrite.inlined)?;
        }
        if rewrite.moved_only {
            // The totals count what was ever added; what is added once more below was not.
            let rows = ended.iter().map(|file| file.record_count).sum::<i64>();
            table.record_count -= rows + i64::try_from(rewrite.inlined.len()).unwrap_or(0);
            table.file_size_bytes -= ended.iter().map(|file| file.file_size_bytes).sum::<i64>();
        }
        let mut files = table.files.as_ref().clone();
        for new in &rewrite.files {
            let id = self.file_id(new.id);
            let mut file = self.data_file(id, &new.file, new.row_id_start);
            self.emit_data_file(table.id, &file, &new.file);
            if let Some((delete, staged)) = &new.delete {
                let delete = self.file_id(*delete);
                file.delete = Some(self.delete_file(delete, table.id, id, staged));
            }
            table.record_count += file.record_count;
            table.file_size_bytes += file.file_size_bytes;
            table.has_totals = true;
            if !rewrite.moved_only {
                merge_ranges(&mut table, &new.file);
            }
            files.push(Arc::new(file));
        }
        table.files = Arc::new(files);
        table.next_row_id = table.next_row_id.max(rewrite.next_row_id);
        self.counted.insert(table.id);
        if rewrite.moved_only {
            self.changed(Change::Compacted(table.id));
            self.changed(Change::Moved(table.id));
        } else {
            if rewrite.restored || !(rewrite.ended.is_empty() && rewrite.inlined.is_empty()) {
                self.deleted_from(table.id);
            }
            self.changed(Change::InsertedInto(table.id));
        }
        self.put_table(table);
        Ok(())
    }
}
