//! The rows of the catalog that no kept version sees, as DuckDB's `ducklake_expire_snapshots` finds them.
//!
//! The history of a table's columns stays for as long as the table is in any version: rows in the metastore have the
//! columns of the time when they were inserted.

use std::collections::{BTreeSet, HashSet};

use polder_metastore::{DataFiles, LoadedContents, Metastore, Row, Value, Write};
use polder_types::{Result, SnapshotId};

mod begins;

/// A data file or delete file that no kept version names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadFile {
    pub id: i64,
    pub table: i64,
    pub path: String,
    pub path_is_relative: bool,
}

/// A table that is in no kept version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadTable {
    pub id: i64,
    /// Tables of the metastore that hold its rows, or deleted positions.
    pub holders: Vec<String>,
}

/// Everything that no kept version sees.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    pub data_files: Vec<DeadFile>,
    pub delete_files: Vec<DeadFile>,
    pub tables: Vec<DeadTable>,
    /// Holders of tables that stay, which may have ended rows.
    live_holders: Vec<String>,
    /// Names of the tables that hold deleted positions.
    delete_holders: Vec<String>,
    /// (table of the catalog, the column of its key, the key, begin, end) of rows that have ended.
    rows: Vec<(&'static str, &'static str, i64, i64, i64)>,
    /// Rows that stay, and take the place of some that go.
    late: Vec<begins::Late>,
    kept: Vec<SnapshotId>,
    /// There are checksums of files that another program has taken out of the catalog.
    stray_checksums: bool,
}

/// A checksum of a file that the catalog does not name.
const NOBODYS: &str = "data_file_id NOT IN (SELECT data_file_id FROM ducklake_data_file) \
                       AND data_file_id NOT IN (SELECT delete_file_id FROM ducklake_delete_file)";

/// Tables of the catalog whose rows end by themselves, and their keys.
const KINDS: [(&str, &str); 7] = [
    ("ducklake_schema", "schema_id"),
    ("ducklake_table", "table_id"),
    ("ducklake_view", "view_id"),
    ("ducklake_tag", "object_id"),
    ("ducklake_partition_info", "partition_id"),
    ("ducklake_sort_info", "sort_id"),
    ("ducklake_macro", "macro_id"),
];

/// None of the kept versions, ascending, sees a row of this begin and end.
fn is_unseen(kept: &[SnapshotId], begin: i64, end: Option<i64>) -> bool {
    end.is_some_and(|end| {
        let at = kept.partition_point(|id| *id < begin);
        kept.get(at).is_none_or(|id| *id >= end)
    })
}

/// Finds what the kept versions, ascending, do not see.
pub(crate) async fn dead_rows(metastore: &Metastore, kept: &[SnapshotId]) -> Result<Dead> {
    let unseen = |begin: i64, end: Option<i64>| is_unseen(kept, begin, end);
    let mut dead = Dead { kept: kept.to_vec(), ..Dead::default() };
    let sql = "SELECT data_file_id, table_id, path, path_is_relative, begin_snapshot, end_snapshot FROM ducklake_data_file WHERE end_snapshot IS NOT NULL";
    for row in metastore.query(sql, &[]).await? {
        if unseen(row.int(4)?, row.opt_int(5)?) {
            dead.data_files.push(file(&row)?);
        }
    }
    let gone: HashSet<i64> = dead.data_files.iter().map(|file| file.id).collect();
    let sql = "SELECT delete_file_id, table_id, path, path_is_relative, begin_snapshot, end_snapshot, data_file_id FROM ducklake_delete_file";
    for row in metastore.query(sql, &[]).await? {
        if unseen(row.int(4)?, row.opt_int(5)?) || gone.contains(&row.int(6)?) {
            dead.delete_files.push(file(&row)?);
        }
    }
    let (mut live, mut ended) = (HashSet::new(), BTreeSet::new());
    for (table, key) in KINDS {
        let sql = format!("SELECT {key}, begin_snapshot, end_snapshot FROM {table}");
        for row in metastore.query(&sql, &[]).await? {
            let (id, begin, end) = (row.int(0)?, row.int(1)?, row.opt_int(2)?);
            let unseen = unseen(begin, end);
            if let (true, Some(end)) = (unseen, end) {
                dead.rows.push((table, key, id, begin, end));
            }
            if table == "ducklake_table" {
                if unseen {
                    ended.insert(id)
                } else {
                    live.insert(id)
                };
            }
        }
    }
    ended.retain(|id| !live.contains(id));
    find_holders(metastore, &ended, &mut dead).await?;
    dead.late = begins::late_rows(metastore, kept).await?;
    let stray =
        metastore.query(&format!("SELECT count(*) FROM polder_data_file_checksum WHERE {NOBODYS}"), &[]).await?;
    dead.stray_checksums = stray.first().map_or(Ok(0), |row| row.int(0))? > 0;
    Ok(dead)
}

fn file(row: &Row) -> Result<DeadFile> {
    Ok(DeadFile {
        id: row.int(0)?,
        table: row.int(1)?,
        path: row.text(2)?.to_owned(),
        path_is_relative: row.opt_bool(3)?.unwrap_or(true),
    })
}

async fn find_holders(metastore: &Metastore, ended: &BTreeSet<i64>, dead: &mut Dead) -> Result<()> {
    let rows = metastore.query("SELECT table_id, table_name FROM ducklake_inlined_data_tables", &[]).await?;
    let mut of_ended: Vec<(i64, String)> = Vec::new();
    for row in &rows {
        let (table, holder) = (row.int(0)?, row.text(1)?.to_owned());
        crate::inlined::check_holder(&holder)?;
        if ended.contains(&table) {
            of_ended.push((table, holder));
        } else {
            dead.live_holders.push(holder);
        }
    }
    for (table, holder) in crate::read::delete_holders(metastore).await? {
        if ended.contains(&table) {
            of_ended.push((table, holder));
        } else {
            dead.delete_holders.push(holder);
        }
    }
    dead.tables = ended
        .iter()
        .map(|id| DeadTable {
            id: *id,
            holders: of_ended.iter().filter(|(table, _)| table == id).map(|(_, holder)| holder.clone()).collect(),
        })
        .collect();
    // Only those with something to remove, so that an idle run writes nothing.
    let mut with_ended = Vec::new();
    for holder in std::mem::take(&mut dead.live_holders) {
        let sql = format!("SELECT count(*) FROM {holder} WHERE {}", dead.unseen_sql());
        let count = metastore.query(&sql, &[]).await?.first().map_or(Ok(0), |row| row.int(0))?;
        if count > 0 {
            with_ended.push(holder);
        }
    }
    dead.live_holders = with_ended;
    Ok(())
}

impl Dead {
    /// A condition on begin and end snapshot, for rows that are too many to be named one by one.
    fn unseen_sql(&self) -> String {
        // The kept versions are mostly one unbroken row up to the newest; what stands before it are the held ones.
        let newest_row = self.kept.iter().rev().zip(self.kept.iter().rev().skip(1)).take_while(|(b, a)| **b == **a + 1);
        let unbroken = newest_row.count() + usize::from(!self.kept.is_empty());
        let (single, row) = self.kept.split_at(self.kept.len() - unbroken);
        let from = row.first().copied().unwrap_or(i64::MAX);
        let mut sql = format!("end_snapshot IS NOT NULL AND end_snapshot <= {from}");
        for id in single {
            sql.push_str(&format!(" AND NOT (begin_snapshot <= {id} AND end_snapshot > {id})"));
        }
        sql
    }

    /// Positions that DuckDB had deleted by rows of the catalog, in files that go.
    pub fn inlined_deletes(&self, files: &[DeadFile]) -> Vec<Write> {
        self.delete_holders
            .iter()
            .flat_map(|holder| {
                let (_, table) = holder.rsplit_once('_').unwrap_or_default();
                let table: i64 = table.parse().unwrap_or(-1);
                files.iter().filter(move |file| file.table == table).map(move |file| {
                    Write::new(format!("DELETE FROM {holder} WHERE file_id = $1"), vec![Value::Int(file.id)])
                })
            })
            .collect()
    }

    pub fn catalog_writes(&self) -> Vec<Write> {
        let mut writes = self.row_writes();
        if self.stray_checksums {
            writes.push(Write::new(format!("DELETE FROM polder_data_file_checksum WHERE {NOBODYS}"), Vec::new()));
        }
        writes
    }

    fn row_writes(&self) -> Vec<Write> {
        let mut writes: Vec<Write> = self
            .live_holders
            .iter()
            .map(|holder| Write::new(format!("DELETE FROM {holder} WHERE {}", self.unseen_sql()), Vec::new()))
            .collect();
        for (table, key, id, begin, end) in &self.rows {
            let sql = format!("DELETE FROM {table} WHERE {key} = $1 AND begin_snapshot = $2 AND end_snapshot = $3");
            writes.push(Write::new(sql, vec![Value::Int(*id), Value::Int(*begin), Value::Int(*end)]));
            let parts: &[&str] = match *table {
                "ducklake_partition_info" => &["ducklake_partition_column"],
                "ducklake_sort_info" => &["ducklake_sort_expression"],
                "ducklake_macro" => &["ducklake_macro_impl", "ducklake_macro_parameters"],
                _ => &[],
            };
            for part in parts {
                // What was altered has several rows for one key.
                let sql = format!(
                    "DELETE FROM {part} WHERE {key} = $1 AND NOT EXISTS (SELECT 1 FROM {table} WHERE {key} = $1)"
                );
                writes.push(Write::new(sql, vec![Value::Int(*id)]));
            }
        }
        writes.extend(self.late.iter().map(begins::Late::write));
        writes
    }
}

/// What the catalog, and we, know of one file.
pub(crate) fn forget_file(id: i64) -> Vec<Write> {
    let by_data_file = [
        "ducklake_data_file",
        "ducklake_file_column_stats",
        "ducklake_file_variant_stats",
        "ducklake_file_partition_value",
    ];
    let mut writes: Vec<Write> = by_data_file
        .iter()
        .map(|table| Write::new(format!("DELETE FROM {table} WHERE data_file_id = $1"), vec![Value::Int(id)]))
        .collect();
    writes.push(Write::new("DELETE FROM ducklake_delete_file WHERE delete_file_id = $1", vec![Value::Int(id)]));
    writes.push(DataFiles::forget_write(id));
    writes
}

/// What the catalog, and we, know of a table that is in no version.
pub(crate) fn forget_table(table: &DeadTable) -> Vec<Write> {
    let by_table = [
        "ducklake_table_stats",
        "ducklake_table_column_stats",
        "ducklake_column",
        "ducklake_column_tag",
        "ducklake_schema_versions",
        "ducklake_inlined_data_tables",
    ];
    let mut writes: Vec<Write> = by_table
        .iter()
        .map(|name| Write::new(format!("DELETE FROM {name} WHERE table_id = $1"), vec![Value::Int(table.id)]))
        .collect();
    writes.push(Write::new(
        "DELETE FROM ducklake_name_mapping WHERE mapping_id IN (SELECT mapping_id FROM ducklake_column_mapping WHERE table_id = $1)",
        vec![Value::Int(table.id)],
    ));
    writes.push(Write::new("DELETE FROM ducklake_column_mapping WHERE table_id = $1", vec![Value::Int(table.id)]));
    writes.push(LoadedContents::forget_write(table.id));
    writes.extend(table.holders.iter().map(|holder| Write::new(format!("DROP TABLE IF EXISTS {holder}"), Vec::new())));
    writes
}
