//! The catalog as `datafusion-ducklake` asks for it, answered from memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion_ducklake::inlined_filter::{InlinedDataScan, InlinedFilter};
use datafusion_ducklake::metadata_provider::{
    ColumnWithTable, DataFileChange, DeleteFileChange, DuckLakeFileColumnStatistics, DuckLakeFileMetadata,
    DuckLakeInlinedData, DuckLakeInlinedDelete, DuckLakeNameMapping, DuckLakeStatistics, DuckLakeTableColumn,
    DuckLakeTableColumnStatistics, DuckLakeTableField, DuckLakeTableStatistics, FileWithTable, SchemaMetadata,
    SnapshotMetadata, TableMetadata, TableWithSchema, reconstruct_columns,
};
use datafusion_ducklake::{
    ColumnStat, DuckLakeError, DuckLakeFileData, DuckLakeTableFile, MetadataProvider, PartitionSpec,
};

use crate::model::{DataFile, Snapshot, TableState};

type Result<T> = datafusion_ducklake::Result<T>;

/// A snapshot (with a transaction's changes on top, perhaps) as a catalog of files.
///
/// Rows that are kept in the metastore are not in it: [`crate::LakeTable`] adds them, since the library would look for
/// a renamed column under its new name.
#[derive(Debug)]
pub(crate) struct SnapshotProvider {
    pub snapshot: Arc<Snapshot>,
    pub data_path: String,
    /// The library's own reader, for what is asked seldom.
    pub stored: Arc<dyn MetadataProvider>,
}

impl SnapshotProvider {
    fn state(&self, table_id: i64) -> Result<&Arc<TableState>> {
        self.snapshot.tables.get(&table_id).ok_or_else(|| DuckLakeError::TableNotFound(format!("table {table_id}")))
    }

    fn file(&self, file: &DataFile) -> DuckLakeTableFile {
        let mut data = DuckLakeFileData::new(file.path.clone(), file.path_is_relative, file.file_size_bytes);
        data.footer_size = file.footer_size;
        data.encryption_key.clone_from(&file.encryption_key);
        data.mapping_id = file.mapping_id;
        let mut table_file = DuckLakeTableFile::new(data);
        table_file.data_file_id = file.id;
        table_file.row_id_start = file.row_id_start;
        table_file.snapshot_id = Some(self.snapshot.id);
        table_file.begin_snapshot = Some(file.begin_snapshot);
        table_file.partial_max = file.partial_max;
        table_file.max_row_count = Some(file.record_count);
        table_file.partition_id = file.partition_id;
        table_file.partition_values.clone_from(&file.partition_values);
        if let Some(delete) = &file.delete {
            let mut gone = DuckLakeFileData::new(delete.path.clone(), delete.path_is_relative, delete.file_size_bytes);
            gone.footer_size = delete.footer_size;
            gone.encryption_key.clone_from(&delete.encryption_key);
            table_file.delete_file_id = Some(delete.id);
            table_file.delete_file = Some(gone);
            table_file.delete_count = Some(delete.delete_count);
        }
        table_file
    }
}

fn column_row(table: &TableState) -> Vec<(DuckLakeTableColumn, Option<i64>)> {
    let were_null = were_null(table);
    table
        .columns
        .iter()
        .map(|column| {
            let mut row = DuckLakeTableColumn::new(
                column.id,
                column.name.clone(),
                column.ducklake_type.clone(),
                // DuckDB marks a field that was added inside a struct as NOT NULL, though older rows lack it.
                column.nullable || column.parent.is_some() || were_null.contains(&column.id),
            );
            row.initial_default.clone_from(&column.initial_default);
            // The catalog spells "none" as the text NULL.
            row.default_value = column.default_value.clone().filter(|value| value != "NULL");
            row.default_value_type.clone_from(&column.default_value_type);
            row.default_value_dialect.clone_from(&column.default_value_dialect);
            (row, column.parent)
        })
        .collect()
}

/// Columns that must have a value by now, and of which rows that are gone may have had none: a scan reads these before it takes
/// them out.
fn were_null(table: &TableState) -> HashSet<i64> {
    let mut unknown: HashSet<i64> =
        table.columns.iter().filter(|column| !column.nullable).map(|column| column.id).collect();
    let (mut found, nested) = (HashSet::new(), nested(table));
    let has_gone = |file: &DataFile| {
        file.delete.is_some() || file.partial_max.is_some() || !table.inlined_deletes_of(file.id).is_empty()
    };
    for file in table.files.iter().filter(|file| has_gone(file)) {
        if unknown.is_empty() {
            break;
        }
        let known = file.column_stats.iter().filter(|stat| !nested.contains(&stat.column_id));
        let whole = known.filter(|stat| stat.null_count == Some(0));
        let whole: HashSet<i64> = whole.map(|stat| stat.column_id).collect();
        found.extend(unknown.extract_if(|column| !whole.contains(column)));
    }
    found
}

/// Lists, structs and maps. Parquet counts what is in them, not themselves: what stands in the catalog about their values and
/// NULLs, by whomever, says nothing.
fn nested(table: &TableState) -> HashSet<i64> {
    table.columns.iter().filter_map(|column| column.parent).collect()
}

fn file_statistics(file: &DataFile, nested: &HashSet<i64>) -> Vec<DuckLakeFileColumnStatistics> {
    let counted = |stat: &ColumnStat, count: Option<i64>| count.filter(|_| !nested.contains(&stat.column_id));
    file.column_stats
        .iter()
        .map(|stat| DuckLakeFileColumnStatistics {
            data_file_id: file.id,
            column_id: stat.column_id,
            column_size_bytes: stat.column_size_bytes,
            value_count: counted(stat, stat.value_count),
            null_count: counted(stat, stat.null_count),
            min_value: stat.min_value.clone().filter(|_| !only_zeros(stat)),
            max_value: stat.max_value.clone(),
            contains_nan: stat.contains_nan,
        })
        .collect()
}

/// Bounds of fractions do not tell zero from minus zero: a column of both is between the same bounds as one value in all rows,
/// and would be read as such.
fn only_zeros(stat: &ColumnStat) -> bool {
    let zero = |bound: &Option<String>| bound.as_deref().is_some_and(|bound| matches!(bound, "0.0" | "-0.0"));
    zero(&stat.min_value) && zero(&stat.max_value)
}

impl MetadataProvider for SnapshotProvider {
    fn get_current_snapshot(&self) -> Result<i64> {
        Ok(self.snapshot.id)
    }

    fn get_data_path(&self) -> Result<String> {
        Ok(self.data_path.clone())
    }

    fn list_snapshots(&self) -> Result<Vec<SnapshotMetadata>> {
        self.stored.list_snapshots()
    }

    fn list_schemas(&self, _snapshot_id: i64) -> Result<Vec<SchemaMetadata>> {
        Ok(self
            .snapshot
            .schemas
            .values()
            .map(|schema| SchemaMetadata {
                schema_id: schema.id,
                schema_name: schema.name.clone(),
                path: schema.path.clone(),
                path_is_relative: schema.path_is_relative,
            })
            .collect())
    }

    fn list_tables(&self, schema_id: i64, _snapshot_id: i64) -> Result<Vec<TableMetadata>> {
        Ok(self
            .snapshot
            .tables
            .values()
            .filter(|table| table.schema_id == schema_id)
            .map(|table| TableMetadata {
                table_id: table.id,
                table_name: table.name.clone(),
                path: table.path.clone(),
                path_is_relative: table.path_is_relative,
            })
            .collect())
    }

    fn get_table_structure(&self, table_id: i64, _snapshot_id: i64) -> Result<Vec<DuckLakeTableColumn>> {
        reconstruct_columns(column_row(self.state(table_id)?))
    }

    fn get_table_fields(&self, table_id: i64, _snapshot_id: i64) -> Result<Vec<DuckLakeTableField>> {
        let table = self.state(table_id)?;
        let were_null = were_null(table);
        Ok(table
            .columns
            .iter()
            .map(|column| DuckLakeTableField {
                column_id: column.id,
                column_name: column.name.clone(),
                column_type: column.ducklake_type.clone(),
                is_nullable: column.nullable || column.parent.is_some() || were_null.contains(&column.id),
                parent_column: column.parent,
            })
            .collect())
    }

    fn get_name_mapping(&self, mapping_id: i64) -> Result<DuckLakeNameMapping> {
        self.stored.get_name_mapping(mapping_id)
    }

    fn get_table_files_for_select(&self, table_id: i64, _snapshot_id: i64) -> Result<Vec<DuckLakeTableFile>> {
        Ok(self.state(table_id)?.files.iter().map(|file| self.file(file)).collect())
    }

    fn get_partition_spec(&self, table_id: i64, _snapshot_id: i64) -> Result<Option<PartitionSpec>> {
        let Some(partition) = &self.state(table_id)?.partition else { return Ok(None) };
        // What is stored knows nothing yet of what a transaction has set itself.
        if partition.id >= crate::model::PROVISIONAL {
            return Ok(None);
        }
        self.stored.get_partition_spec(table_id, self.snapshot.id).map(|spec| {
            spec.map(|mut spec| {
                // The stored spec knows whether the table was ever partitioned otherwise; ours only what it is now.
                spec.partition_id = partition.id;
                spec
            })
        })
    }

    fn get_table_statistics(&self, table_id: i64, snapshot_id: i64) -> Result<DuckLakeStatistics> {
        let mut statistics = self.get_table_summary_statistics(table_id, snapshot_id)?;
        let table = self.state(table_id)?;
        let nested = nested(table);
        statistics.files = table.files.iter().flat_map(|file| file_statistics(file, &nested)).collect();
        Ok(statistics)
    }

    fn get_table_summary_statistics(&self, table_id: i64, _snapshot_id: i64) -> Result<DuckLakeStatistics> {
        let table = self.state(table_id)?;
        let mut sizes: HashMap<i64, i64> = HashMap::new();
        for stat in table.files.iter().flat_map(|file| &file.column_stats) {
            *sizes.entry(stat.column_id).or_default() += stat.column_size_bytes.unwrap_or(0);
        }
        let nested = nested(table);
        let columns = table
            .column_stats
            .iter()
            .map(|(id, range)| DuckLakeTableColumnStatistics {
                column_id: *id,
                contains_null: range.contains_null.filter(|_| !nested.contains(id)),
                min_value: range.min.clone(),
                max_value: range.max.clone(),
                contains_nan: range.contains_nan,
                column_size_bytes: sizes.get(id).copied(),
                // They never become narrower, so they cannot answer a query. Those of the files can.
                bounds_are_exact: false,
            })
            .collect();
        Ok(DuckLakeStatistics {
            table: Some(DuckLakeTableStatistics {
                // The files know better than the running total, which counts deleted rows too.
                record_count: Some(table.file_rows()),
                file_size_bytes: Some(table.files.iter().map(|file| file.file_size_bytes).sum()),
            }),
            columns,
            files: Vec::new(),
        })
    }

    fn get_table_file_metadata_page(
        &self,
        table_id: i64,
        _snapshot_id: i64,
        after_data_file_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DuckLakeFileMetadata>> {
        let table = self.state(table_id)?;
        let (after, nested) = (after_data_file_id.unwrap_or(i64::MIN), nested(table));
        let start = table.files.partition_point(|file| file.id <= after);
        Ok(table.files[start..]
            .iter()
            .take(limit)
            .map(|file| DuckLakeFileMetadata {
                file: self.file(file),
                column_statistics: file_statistics(file, &nested),
            })
            .collect())
    }

    fn get_inlined_data(
        &self,
        _table: i64,
        _snapshot: i64,
        _columns: &[DuckLakeTableColumn],
    ) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }

    fn scan_inlined_data(
        &self,
        _table_id: i64,
        _snapshot_id: i64,
        _columns: &[DuckLakeTableColumn],
        _filter: Option<&InlinedFilter>,
    ) -> Result<InlinedDataScan> {
        Ok(InlinedDataScan::default())
    }

    fn get_inlined_data_with_row_ids(
        &self,
        _table_id: i64,
        _snapshot_id: i64,
        _columns: &[DuckLakeTableColumn],
    ) -> Result<Vec<DuckLakeInlinedData>> {
        Ok(Vec::new())
    }

    fn get_inlined_deletes(&self, table_id: i64, _snapshot_id: i64) -> Result<Vec<DuckLakeInlinedDelete>> {
        let of_file = |(file, positions): (&i64, &Vec<i64>)| {
            let file = *file;
            positions
                .iter()
                .map(move |row| DuckLakeInlinedDelete { data_file_id: file, row_id: *row })
                .collect::<Vec<_>>()
        };
        Ok(self.state(table_id)?.inlined_deletes.iter().flat_map(of_file).collect())
    }

    fn get_schema_by_name(&self, name: &str, _snapshot_id: i64) -> Result<Option<SchemaMetadata>> {
        Ok(self.list_schemas(self.snapshot.id)?.into_iter().find(|schema| schema.schema_name == name))
    }

    fn get_table_by_name(&self, schema_id: i64, name: &str, snapshot_id: i64) -> Result<Option<TableMetadata>> {
        Ok(self.list_tables(schema_id, snapshot_id)?.into_iter().find(|table| table.table_name == name))
    }

    fn table_exists(&self, schema_id: i64, name: &str, snapshot_id: i64) -> Result<bool> {
        Ok(self.get_table_by_name(schema_id, name, snapshot_id)?.is_some())
    }

    fn list_all_tables(&self, snapshot_id: i64) -> Result<Vec<TableWithSchema>> {
        self.stored.list_all_tables(snapshot_id)
    }

    fn list_all_columns(&self, snapshot_id: i64) -> Result<Vec<ColumnWithTable>> {
        self.stored.list_all_columns(snapshot_id)
    }

    fn list_all_files(&self, snapshot_id: i64) -> Result<Vec<FileWithTable>> {
        self.stored.list_all_files(snapshot_id)
    }

    fn get_data_files_added_between_snapshots(
        &self,
        table_id: i64,
        start_snapshot: i64,
        end_snapshot: i64,
    ) -> Result<Vec<DataFileChange>> {
        self.stored.get_data_files_added_between_snapshots(table_id, start_snapshot, end_snapshot)
    }

    fn get_delete_files_added_between_snapshots(
        &self,
        table_id: i64,
        start_snapshot: i64,
        end_snapshot: i64,
    ) -> Result<Vec<DeleteFileChange>> {
        self.stored.get_delete_files_added_between_snapshots(table_id, start_snapshot, end_snapshot)
    }
}
