//! What PostgreSQL measures of its work, as far as Polder knows it. What is never counted is NULL rather than 0, which would say
//! that an index is of no use.

use std::collections::HashMap;

use arrow::array::ArrayRef;
use chrono::{Offset, TimeZone, Utc};
use chrono_tz::{OffsetComponents, OffsetName, TZ_VARIANTS};
use polder_lake::TableState;
use polder_types::Result;

use super::row::{Cell, Rows};
use super::schemas::DATABASE;
use super::{World, columns, directory, oids};
use crate::policies::Bound;

/// `pg_stat_user_indexes` and `pg_stat_all_indexes`: the indexes of tables.
pub(super) fn indexes(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_USER_INDEXES);
    for table in world.snapshot().tables.values() {
        let schema = world.directory().schema(oids::of(table.schema_id, 0)).unwrap_or_default();
        for index in directory::indexes(table) {
            rows.push([
                ("relid", oids::of(table.known_id(), 0).into()),
                ("indexrelid", oids::of_index(table.known_id(), index.place).into()),
                ("schemaname", schema.into()),
                ("relname", table.name.as_str().into()),
                ("indexrelname", index.name.into()),
                ("idx_scan", Cell::Null),
                ("idx_tup_read", Cell::Null),
                ("idx_tup_fetch", Cell::Null),
            ]);
        }
    }
    rows.finish()
}

/// `pg_stat_database`: the one there is, with the number of its sessions.
pub(super) fn database(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_DATABASE);
    let sessions = i64::try_from(world.engine().backends.all().len()).unwrap_or(i64::MAX);
    let counted = ["datid", "datname", "numbackends"];
    let mut cells: Vec<(&'static str, Cell)> = super::row::listed(columns::PG_STAT_DATABASE)
        .filter(|(name, _)| !counted.contains(name))
        .map(|(name, _)| (name, Cell::Null))
        .collect();
    cells.push(("datid", Cell::Int(oids::DATABASE)));
    cells.push(("datname", Cell::from(DATABASE)));
    cells.push(("numbackends", Cell::Int(sessions)));
    rows.push_cells(&cells);
    rows.finish()
}

/// `pg_stat_database_conflicts`: of the one database. Nothing here ends a statement for the sake of a copy that follows.
pub(super) fn conflicts() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_DATABASE_CONFLICTS);
    rows.push([("datid", Cell::Int(oids::DATABASE)), ("datname", Cell::from(DATABASE))]);
    rows.finish()
}

/// `pg_stat_bgwriter` and its like, which have one row whatever happens: nothing was written in the background, archived or
/// read ahead.
pub(super) fn uncounted(columns: &'static str) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns);
    rows.push([]);
    rows.finish()
}

/// `pg_timezone_names`: the zones that `SET timezone` takes by name, as their clocks are set now.
pub(super) fn zones() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_TIMEZONE_NAMES);
    let now = Utc::now().naive_utc();
    for zone in TZ_VARIANTS.iter() {
        let offset = zone.offset_from_utc_datetime(&now);
        rows.push([
            ("name", zone.name().into()),
            ("abbrev", offset.abbreviation().into()),
            ("utc_offset", Cell::Span(i64::from(offset.fix().local_minus_utc()))),
            ("is_dst", (offset.dst_offset().num_seconds() != 0).into()),
        ]);
    }
    rows.finish()
}

/// `pg_stats`: how many of a column's values are NULL in the files, deleted rows among them, and whether all others differ. It is of
/// those tables alone of which whoever asks is shown each value as it is.
pub(super) fn values(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STATS);
    let rights = world.rights();
    for table in world.snapshot().tables.values() {
        if !rights.reads(table.id) || Bound::of(rights, table.id).is_some() {
            continue;
        }
        let schema = world.directory().schema(oids::of(table.schema_id, 0)).unwrap_or_default();
        let counted = nulls(table);
        for column in table.top_columns().take(table.shown_columns()) {
            let Some((nulls, all)) = counted.get(&column.id).filter(|(_, all)| *all > 0) else { continue };
            let missing = *nulls as f32 / *all as f32;
            let unique = directory::indexes(table).any(|index| index.unique && *index.columns == [column.id]);
            rows.push([
                ("schemaname", schema.into()),
                ("tablename", table.name.as_str().into()),
                ("attname", column.name.as_str().into()),
                ("null_frac", Cell::Float(missing)),
                ("avg_width", Cell::Null),
                // As PostgreSQL has it: a share of the rows if it is negative; 0 if nobody knows.
                ("n_distinct", Cell::Float(if unique { missing - 1.0 } else { 0.0 })),
                ("correlation", Cell::Null),
            ]);
        }
    }
    rows.finish()
}

/// By column: how many NULLs there are in the files that say so, and how many rows those have.
fn nulls(table: &TableState) -> HashMap<i64, (i64, i64)> {
    let mut counted: HashMap<i64, (i64, i64)> = HashMap::new();
    for file in table.files.iter() {
        for stat in &file.column_stats {
            let Some(nulls) = stat.null_count else { continue };
            let (sum, rows) = counted.entry(stat.column_id).or_default();
            *sum = sum.saturating_add(nulls);
            *rows = rows.saturating_add(file.record_count);
        }
    }
    counted
}
