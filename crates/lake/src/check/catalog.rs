//! The catalog compared with itself, and the list of the files that it names.

use std::collections::HashMap;

use polder_metastore::Row;
use polder_types::Result;

use super::{Problem, ProblemKind, Target};
use crate::lake::Lake;
use crate::places::{self, Places};

/// What may never be: words, and the query that finds the rows which are so (an id each).
const RULES: &[(&str, &str)] = &[
    (
        "data file {} is of no table",
        "SELECT f.data_file_id FROM ducklake_data_file f LEFT JOIN ducklake_table t ON t.table_id = f.table_id WHERE t.table_id IS NULL",
    ),
    (
        "data file {} is live, and its table is not",
        "SELECT f.data_file_id FROM ducklake_data_file f WHERE f.end_snapshot IS NULL AND NOT EXISTS (SELECT 1 FROM ducklake_table t WHERE t.table_id = f.table_id AND t.end_snapshot IS NULL)",
    ),
    (
        "delete file {} is of no data file",
        "SELECT d.delete_file_id FROM ducklake_delete_file d LEFT JOIN ducklake_data_file f ON f.data_file_id = d.data_file_id WHERE f.data_file_id IS NULL",
    ),
    (
        "data file {} has two live delete files",
        "SELECT data_file_id FROM ducklake_delete_file WHERE end_snapshot IS NULL GROUP BY data_file_id HAVING count(*) > 1",
    ),
    (
        "delete file {} deletes more rows than its data file has",
        "SELECT d.delete_file_id FROM ducklake_delete_file d JOIN ducklake_data_file f ON f.data_file_id = d.data_file_id WHERE d.delete_count > f.record_count",
    ),
    (
        "table {} is in no schema",
        "SELECT t.table_id FROM ducklake_table t LEFT JOIN ducklake_schema s ON s.schema_id = t.schema_id WHERE s.schema_id IS NULL",
    ),
    (
        "view {} is in no schema",
        "SELECT v.view_id FROM ducklake_view v LEFT JOIN ducklake_schema s ON s.schema_id = v.schema_id WHERE s.schema_id IS NULL",
    ),
    (
        "table {} has another one beside it with the same name",
        "SELECT max(table_id) FROM ducklake_table WHERE end_snapshot IS NULL GROUP BY schema_id, table_name HAVING count(*) > 1",
    ),
    (
        "table {} has no column",
        "SELECT t.table_id FROM ducklake_table t WHERE t.end_snapshot IS NULL AND NOT EXISTS (SELECT 1 FROM ducklake_column c WHERE c.table_id = t.table_id AND c.end_snapshot IS NULL)",
    ),
    (
        "a column of table {} is inside of one that is not there",
        "SELECT c.table_id FROM ducklake_column c WHERE c.end_snapshot IS NULL AND c.parent_column IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ducklake_column p WHERE p.table_id = c.table_id AND p.column_id = c.parent_column AND p.end_snapshot IS NULL)",
    ),
    (
        "data file {} ends before it begins",
        "SELECT data_file_id FROM ducklake_data_file WHERE end_snapshot < begin_snapshot",
    ),
    (
        "data file {} begins after the newest version",
        "SELECT data_file_id FROM ducklake_data_file WHERE begin_snapshot > (SELECT max(snapshot_id) FROM ducklake_snapshot)",
    ),
    (
        "table {} begins after the newest version",
        "SELECT table_id FROM ducklake_table WHERE begin_snapshot > (SELECT max(snapshot_id) FROM ducklake_snapshot)",
    ),
    (
        "file {} has a number that is still to be given",
        "SELECT data_file_id FROM ducklake_data_file WHERE data_file_id >= (SELECT max(next_file_id) FROM ducklake_snapshot) UNION SELECT delete_file_id FROM ducklake_delete_file WHERE delete_file_id >= (SELECT max(next_file_id) FROM ducklake_snapshot)",
    ),
    (
        "table {} has a number that is still to be given",
        "SELECT table_id FROM ducklake_table WHERE table_id >= (SELECT max(next_catalog_id) FROM ducklake_snapshot)",
    ),
    (
        "rows of table {} have numbers that are still to be given",
        "SELECT f.table_id FROM ducklake_data_file f JOIN ducklake_table_stats s ON s.table_id = f.table_id WHERE f.row_id_start IS NOT NULL GROUP BY f.table_id HAVING max(f.row_id_start) > max(s.next_row_id)",
    ),
];

/// Rows named for one rule.
const SHOWN_MAX: usize = 10;

/// What is wrong with the metastore.
pub(super) async fn problems(lake: &Lake) -> Result<Vec<Problem>> {
    let metastore = lake.metastore();
    let file = metastore.shown();
    let problem = |kind| Problem { table: None, file: file.clone(), kind };
    let mut problems: Vec<Problem> =
        metastore.integrity().await?.into_iter().map(|text| problem(ProblemKind::Metastore(text))).collect();
    for (words, sql) in RULES {
        let rows = metastore.query(sql, &[]).await?;
        for row in rows.iter().take(SHOWN_MAX) {
            problems.push(problem(ProblemKind::Catalog(words.replace("{}", &row.int(0)?.to_string()))));
        }
    }
    Ok(problems)
}

/// Every data file and delete file of every version.
pub(crate) const FILES: &str = "SELECT data_file_id, table_id, path, path_is_relative, file_size_bytes, footer_size, record_count FROM ducklake_data_file \
                     UNION ALL SELECT delete_file_id, table_id, path, path_is_relative, file_size_bytes, footer_size, delete_count FROM ducklake_delete_file";

/// What was recorded of each file when it was written.
pub(crate) const CHECKSUMS: &str = "SELECT data_file_id, checksum FROM polder_data_file_checksum";

/// Every file that a row of the catalog names, in whatever version, by id. A file whose place cannot be found is a
/// problem.
pub(crate) async fn targets(lake: &Lake, problems: &mut Vec<Problem>) -> Result<Vec<Target>> {
    let metastore = lake.metastore();
    let mut answers = metastore.read_together(&[(FILES, &[]), (places::SQL, &[]), (CHECKSUMS, &[])]).await?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let (files, places, checksums) = (next(), next(), next());
    targets_of_rows(lake, &files, &Places::of_rows(&places)?, &checksums, problems)
}

pub(crate) fn targets_of_rows(
    lake: &Lake,
    files: &[Row],
    places: &Places,
    checksums: &[Row],
    problems: &mut Vec<Problem>,
) -> Result<Vec<Target>> {
    let known: HashMap<i64, &str> =
        checksums.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect::<Result<_>>()?;
    let mut targets = Vec::with_capacity(files.len());
    for row in files {
        match target(lake, places, row) {
            Ok(mut target) => {
                target.checksum = known.get(&target.id).map(|text| (*text).to_owned());
                targets.push(target);
            }
            Err(error) => problems.push(Problem {
                table: None,
                file: row.text(2)?.to_owned(),
                kind: ProblemKind::Catalog(error.message().to_owned()),
            }),
        }
    }
    targets.sort_by_key(|target| target.id);
    Ok(targets)
}

fn target(lake: &Lake, places: &Places, row: &Row) -> Result<Target> {
    let table = row.int(1)?;
    let (path, relative) = places.below_root(table, row.text(2)?, row.opt_bool(3)?.unwrap_or(true))?;
    Ok(Target {
        id: row.int(0)?,
        table: places.of(table)?.name.clone(),
        located: lake.store().locate_below_root(&path, relative)?,
        size_bytes: row.opt_int(4)?.unwrap_or(0).unsigned_abs(),
        footer_bytes: row.opt_int(5)?.map(i64::unsigned_abs),
        rows: row.opt_int(6)?,
        checksum: None,
    })
}
