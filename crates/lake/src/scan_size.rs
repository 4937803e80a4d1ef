//! What a plan's scans will read, as far as the catalog knows before they run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use crate::model::TableState;
use crate::names::TableName;
use crate::scan::TableScanExec;
use crate::sealed::SealedExec;

/// Where a field says by which id files know its column.
const FIELD_ID: &str = "PARQUET:field_id";

/// What one scan will read at most: files are left out that no row of the answer can be in, groups of rows inside of a
/// file are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSize {
    /// `None`: files that are no table's, such as those of a change feed.
    pub table: Option<TableName>,
    pub files: u64,
    /// `None`: nobody knows.
    pub rows: Option<u64>,
    /// Of the columns that are read.
    pub bytes: u64,
}

/// The scans of files in a plan. Rows that are in memory or in the metastore cost nothing here.
#[must_use]
pub fn scan_sizes(plan: &Arc<dyn ExecutionPlan>) -> Vec<ScanSize> {
    let mut found = Vec::new();
    walk(plan, None, &mut found);
    found
}

fn walk(plan: &Arc<dyn ExecutionPlan>, within: Option<&TableScanExec>, found: &mut Vec<ScanSize>) {
    if let Some(sealed) = plan.downcast_ref::<SealedExec>() {
        found.push(sealed.cost().clone());
    }
    let within = plan.downcast_ref::<TableScanExec>().or(within);
    if let Some(source) = plan.downcast_ref::<DataSourceExec>()
        && let Some(config) = source.data_source().downcast_ref::<FileScanConfig>()
    {
        found.push(size(plan, config, within));
    }
    for child in plan.children() {
        walk(child, within, found);
    }
}

fn size(plan: &Arc<dyn ExecutionPlan>, config: &FileScanConfig, within: Option<&TableScanExec>) -> ScanSize {
    let files = || config.file_groups.iter().flat_map(|group| group.files());
    let paths: HashSet<&str> = files().map(|file| file.object_meta.location.as_ref()).collect();
    // A large file is cut into ranges, which several read.
    let bytes: u64 = files()
        .map(|file| match &file.range {
            Some(range) => range.end.abs_diff(range.start).min(file.object_meta.size),
            None => file.object_meta.size,
        })
        .sum();
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok();
    let rows = statistics.and_then(|statistics| statistics.num_rows.get_value().map(|rows| *rows as u64));
    let bytes = match within {
        Some(scan) => share(bytes, scan.table(), config),
        None => bytes,
    };
    let table = within.map(|scan| scan.table_name().clone());
    ScanSize { table, files: paths.len() as u64, rows, bytes }
}

/// The part of so many bytes of a table that the scan's columns have: as large as it is in all of the table's files.
fn share(bytes: u64, table: &TableState, config: &FileScanConfig) -> u64 {
    let source = config.file_source();
    let Some(projection) = source.projection() else { return bytes };
    let schema = source.table_schema().table_schema();
    let indices = projection.column_indices();
    let fields = indices.iter().filter_map(|at| schema.fields().get(*at));
    let read: HashSet<i64> = fields.filter_map(|field| column_id(table, field)).collect();
    let tops = tops(table);
    let (mut of_read, mut of_all) = (0_u128, 0_u128);
    for stat in table.files.iter().flat_map(|file| &file.column_stats) {
        let size = u128::from(stat.column_size_bytes.unwrap_or(0).unsigned_abs());
        of_all += size;
        if tops.get(&stat.column_id).is_some_and(|top| read.contains(top)) {
            of_read += size;
        }
    }
    if of_all == 0 {
        // The files came from elsewhere, with no word of their columns.
        return bytes;
    }
    u64::try_from(u128::from(bytes) * of_read / of_all).unwrap_or(u64::MAX)
}

/// By the id that it has in files: it may have another name there.
fn column_id(table: &TableState, field: &Field) -> Option<i64> {
    let in_files = field.metadata().get(FIELD_ID).and_then(|id| id.parse().ok());
    in_files.or_else(|| table.top_columns().find(|column| column.name == *field.name()).map(|column| column.id))
}

/// The top-level column that each one is part of.
fn tops(table: &TableState) -> HashMap<i64, i64> {
    let mut tops: HashMap<i64, i64> = HashMap::new();
    // Parents come before their children.
    for column in &table.columns {
        let top = column.parent.and_then(|parent| tops.get(&parent).copied()).unwrap_or(column.id);
        tops.insert(column.id, top);
    }
    tops
}
