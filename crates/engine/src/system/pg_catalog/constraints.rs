//! `pg_constraint`: primary keys, unique keys, checks and foreign keys.

use arrow::array::ArrayRef;
use polder_lake::{Reference, ReferenceAction};
use polder_types::Result;

use super::columns;
use super::directory;
use super::row::{Cell, Rows};
use super::texts::{self, Constraint};
use super::{World, oids};

pub(super) fn rows(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_CONSTRAINT);
    for table in world.snapshot().tables.values() {
        for (oid, name, constraint) in texts::constraints(world.snapshot(), table) {
            let mut foreign = Sides { table: 0, keys: Cell::Null, update: " ", delete: " ", full: " " };
            let (kind, index, keys, condition) = match constraint {
                Constraint::Key(key) => {
                    let kind = if key.primary { "p" } else { "u" };
                    let keys = directory::numbers(table, key.columns);
                    (kind, oids::of_index(table.known_id(), key.place), Cell::Ints(keys), Cell::Null)
                }
                Constraint::Check(check) => {
                    ("c", 0, Cell::Ints(texts::checked(table, check)), check.sql.as_str().into())
                }
                Constraint::Foreign(reference) => {
                    foreign = Sides::of(&reference);
                    let keys = directory::numbers(table, &reference.key.columns);
                    ("f", texts::referenced_index(&reference), Cell::Ints(keys), Cell::Null)
                }
            };
            rows.push([
                ("oid", oid.into()),
                ("conname", name.into()),
                ("connamespace", oids::of(table.schema_id, 0).into()),
                ("contype", kind.into()),
                ("convalidated", true.into()),
                ("conrelid", oids::of(table.known_id(), 0).into()),
                ("conindid", index.into()),
                ("confrelid", foreign.table.into()),
                ("confupdtype", foreign.update.into()),
                ("confdeltype", foreign.delete.into()),
                ("confmatchtype", foreign.full.into()),
                ("conislocal", true.into()),
                ("connoinherit", true.into()),
                ("conkey", keys),
                ("confkey", foreign.keys),
                ("conbin", condition),
            ]);
        }
    }
    rows.finish()
}

/// What a row says of the table on the other side.
struct Sides {
    table: i64,
    keys: Cell,
    update: &'static str,
    delete: &'static str,
    full: &'static str,
}

impl Sides {
    fn of(reference: &Reference) -> Self {
        Self {
            table: oids::of(reference.parent.known_id(), 0),
            keys: Cell::Ints(directory::numbers(&reference.parent, &reference.key.referenced)),
            update: letter(reference.key.on_update),
            delete: letter(reference.key.on_delete),
            full: if reference.key.full { "f" } else { "s" },
        }
    }
}

fn letter(action: ReferenceAction) -> &'static str {
    match action {
        ReferenceAction::NoAction => "a",
        ReferenceAction::Restrict => "r",
        ReferenceAction::Cascade => "c",
        ReferenceAction::SetNull => "n",
        ReferenceAction::SetDefault => "d",
    }
}
