//! `pg_constraint`: primary keys, unique keys and checks.

use arrow::array::ArrayRef;
use polder_types::Result;

use super::columns;
use super::directory;
use super::row::{Cell, Rows};
use super::texts::{self, Constraint};
use super::{World, oids};

pub(super) fn rows(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_CONSTRAINT);
    for table in world.snapshot().tables.values() {
        for (oid, name, constraint) in texts::constraints(table) {
            let (kind, index, keys, condition) = match constraint {
                Constraint::Key(key) => {
                    let kind = if key.primary { "p" } else { "u" };
                    let keys = directory::numbers(table, key.columns);
                    (kind, oids::of_index(table.id, key.place), Cell::Ints(keys), Cell::Null)
                }
                Constraint::Check(check) => {
                    ("c", 0, Cell::Ints(texts::checked(table, check)), check.sql.as_str().into())
                }
            };
            rows.push([
                ("oid", oid.into()),
                ("conname", name.into()),
                ("connamespace", oids::of(table.schema_id, 0).into()),
                ("contype", kind.into()),
                ("convalidated", true.into()),
                ("conrelid", oids::of(table.id, 0).into()),
                ("conindid", index.into()),
                ("confupdtype", " ".into()),
                ("confdeltype", " ".into()),
                ("confmatchtype", " ".into()),
                ("conislocal", true.into()),
                ("connoinherit", true.into()),
                ("conkey", keys),
                ("conbin", condition),
            ]);
        }
    }
    rows.finish()
}
