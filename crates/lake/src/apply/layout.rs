//! How a table's rows lie in its files: partitions, and their order.

use std::sync::Arc;

use polder_types::Result;

use super::Applier;
use crate::changes::Change;
use crate::model::{PartitionState, SortState};

impl Applier {
    /// New files hold one partition each; those that are there stay as they are. No column: they may hold any rows.
    pub(super) fn set_partition(&mut self, id: i64, table: i64, columns: &[(i64, String)]) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        let at = self.snapshot.id;
        if table.partition.is_some() {
            self.emit(
                "UPDATE ducklake_partition_info SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
                vec![at.into(), table.id.into()],
            );
        }
        table.partition = None;
        if !columns.is_empty() {
            let id = self.catalog_id(id);
            self.emit_row(
                "ducklake_partition_info (partition_id, table_id, begin_snapshot)",
                vec![id.into(), table.id.into(), at.into()],
            );
            for (index, (column, transform)) in (0_i64..).zip(columns) {
                self.emit_row(
                    "ducklake_partition_column (partition_id, table_id, partition_key_index, column_id, transform)",
                    vec![id.into(), table.id.into(), index.into(), (*column).into(), transform.as_str().into()],
                );
            }
            let columns =
                (0_i64..).zip(columns).map(|(index, (column, transform))| (index, *column, transform.clone()));
            table.partition = Some(Arc::new(PartitionState { id, columns: columns.collect() }));
        }
        self.reshaped_layout(table);
        Ok(())
    }

    /// `keys`: (expression, direction, order of missing values).
    pub(super) fn set_sort(&mut self, id: i64, table: i64, keys: &[(String, String, String)]) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        let at = self.snapshot.id;
        if table.sort.is_some() {
            self.emit(
                "UPDATE ducklake_sort_info SET end_snapshot = $1 WHERE table_id = $2 AND end_snapshot IS NULL",
                vec![at.into(), table.id.into()],
            );
        }
        table.sort = None;
        if !keys.is_empty() {
            let id = self.catalog_id(id);
            self.emit_row(
                "ducklake_sort_info (sort_id, table_id, begin_snapshot)",
                vec![id.into(), table.id.into(), at.into()],
            );
            let mut kept = Vec::new();
            for (index, (expression, direction, nulls)) in (0_i64..).zip(keys) {
                self.emit_row(
                    "ducklake_sort_expression (sort_id, table_id, sort_key_index, expression, dialect, sort_direction, null_order)",
                    vec![
                        id.into(),
                        table.id.into(),
                        index.into(),
                        expression.as_str().into(),
                        "duckdb".into(),
                        direction.as_str().into(),
                        nulls.as_str().into(),
                    ],
                );
                kept.push((index, expression.clone(), "duckdb".to_owned(), direction.clone(), nulls.clone()));
            }
            table.sort = Some(Arc::new(SortState { id, keys: kept }));
        }
        self.reshaped_layout(table);
        Ok(())
    }

    fn reshaped_layout(&mut self, mut table: crate::model::TableState) {
        table.schema_version = self.snapshot.schema_version + 1;
        let id = table.id;
        self.put_table(table);
        self.schema_changed = true;
        self.reshaped.entry(id).or_default();
        self.changed(Change::AlteredTable(id));
    }
}
