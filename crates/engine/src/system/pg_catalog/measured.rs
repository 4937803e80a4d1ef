//! What PostgreSQL measures of its work, as far as Polder knows it. What is never counted is NULL rather than 0, which would say
//! that an index is of no use.

use arrow::array::ArrayRef;
use chrono::{Offset, TimeZone, Utc};
use chrono_tz::{OffsetComponents, OffsetName, TZ_VARIANTS};
use polder_types::Result;

use super::row::{Cell, Rows};
use super::schemas::DATABASE;
use super::{World, columns, directory, oids};

/// `pg_stat_user_indexes` and `pg_stat_all_indexes`: the indexes of tables.
pub(super) fn indexes(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_USER_INDEXES);
    for table in world.snapshot().tables.values() {
        let schema = world.directory().schema(oids::of(table.schema_id, 0)).unwrap_or_default();
        for index in directory::indexes(table) {
            rows.push([
                ("relid", oids::of(table.id, 0).into()),
                ("indexrelid", oids::of_index(table.id, index.place).into()),
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
