//! `pg_class`, `pg_index` and `pg_sequence`: relations, and what they are beside their columns.

use std::collections::HashSet;

use arrow::array::ArrayRef;
use polder_lake::TableState;
use polder_types::Result;
use uuid::Uuid;

use super::attributes;
use super::columns;
use super::directory::{self, Of, Relation};
use super::row::{Cell, Rows};
use super::types;
use super::{World, oids, roles};
use crate::statement::temporary;
use crate::system::Views;
use crate::topics;

/// Rows that PostgreSQL has not counted.
const UNKNOWN: i64 = -1;

/// `planned`: how many columns a view has is asked for, which takes planning it.
pub(super) async fn classes(world: &World, views: &dyn Views, planned: bool) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_CLASS);
    let referred = referred_to(world);
    let directory = world.directory();
    for relation in directory.relations() {
        let mut columns = None;
        if planned && matches!(relation.of, Of::View(_)) {
            let schema = directory.schema(relation.schema).unwrap_or_default();
            // One that cannot be planned any more has no columns.
            columns = views.columns(schema, &relation.name).await.map(|columns| columns.fields().len() as i64);
        }
        class(&mut rows, world, relation, columns, &referred);
    }
    rows.finish()
}

/// The tables that foreign keys refer to.
fn referred_to(world: &World) -> HashSet<Uuid> {
    let keys = world.snapshot().tables.values().flat_map(|table| table.rules.foreign_keys.iter());
    keys.map(|key| key.table).collect()
}

/// What differs from one kind of relation to another.
struct Facts {
    row_type: i64,
    access_method: i64,
    columns: i64,
    checks: i64,
    has_index: bool,
    tuples: i64,
    populated: bool,
}

fn facts(world: &World, relation: &Relation) -> Facts {
    let table = world.table(relation);
    let plain = Facts {
        row_type: 0,
        access_method: 0,
        columns: 0,
        checks: 0,
        has_index: false,
        tuples: UNKNOWN,
        populated: true,
    };
    match (relation.of, table) {
        (Of::Table(_), Some(table)) => Facts {
            row_type: relation.oid + oids::ROW_TYPE,
            access_method: oids::HEAP,
            columns: table.shown_columns() as i64,
            checks: table.rules.checks.len() as i64,
            has_index: directory::indexes(table).next().is_some(),
            tuples: table.file_rows(),
            populated: table.rules.materialized.as_ref().is_none_or(|materialized| materialized.snapshot.is_some()),
        },
        (Of::Index(_, place), Some(table)) => {
            let index = directory::indexes(table).find(|index| index.place == place);
            let columns = index.map_or(0, |index| index.columns.len() as i64);
            Facts { access_method: oids::BTREE, columns, tuples: table.file_rows(), ..plain }
        }
        // The last value, the log count, and whether it was called.
        (Of::Sequence(..), _) => Facts { columns: 3, tuples: 1, ..plain },
        (Of::View(_), _) => Facts { row_type: relation.oid + oids::ROW_TYPE, ..plain },
        (Of::Topic(_), _) => Facts { columns: topics::shown().fields().len() as i64, ..plain },
        _ => Facts {
            access_method: if relation.kind == "r" { oids::HEAP } else { 0 },
            columns: attributes::of_system(relation).map_or(0, |schema| schema.fields().len() as i64),
            ..plain
        },
    }
}

/// Bytes of the data files of a table.
pub(crate) fn bytes(table: &TableState) -> i64 {
    table.files.iter().map(|file| file.file_size_bytes).sum()
}

/// `columns`: how many a view has, where that is known. `referred`: the tables that foreign keys refer to.
fn class(rows: &mut Rows, world: &World, relation: &Relation, columns: Option<i64>, referred: &HashSet<Uuid>) {
    let facts = facts(world, relation);
    // PostgreSQL checks foreign keys by triggers, and clients ask for foreign keys only where there are some.
    let table = world.table(relation).filter(|_| matches!(relation.of, Of::Table(_)));
    let has_triggers =
        table.is_some_and(|table| !table.rules.foreign_keys.is_empty() || referred.contains(&table.uuid));
    let is_view = relation.kind == "v";
    let is_temporary = world.directory().schema(relation.schema).is_some_and(temporary::is_temporary);
    let is_unlogged = world.table(relation).is_some_and(|table| table.rules.unlogged);
    let stored = matches!(relation.kind, "r" | "m" | "i" | "S");
    // How much is in a table is for those who may read it all.
    let is_told = world.table(relation).is_none_or(|table| world.rights().counts(table.id));
    let list = match relation.of {
        Of::Table(id) | Of::View(id) => roles::list(world, id),
        Of::Topic(id) => roles::list_of_topic(world, id),
        _ => Cell::Null,
    };
    let options = match relation.of {
        Of::View(id) if world.snapshot().access(id).is_some_and(|access| access.invoker) => {
            Cell::Texts(vec!["security_invoker=true".to_owned()])
        }
        _ => Cell::Null,
    };
    let policies = match relation.of {
        Of::Table(id) => world.rights().access(id).map(|access| &access.policies),
        _ => None,
    };
    rows.push([
        ("oid", relation.oid.into()),
        ("relname", relation.name.as_str().into()),
        ("relnamespace", relation.schema.into()),
        ("reltype", facts.row_type.into()),
        ("relowner", world.owner_of(relation).into()),
        ("relam", facts.access_method.into()),
        ("relfilenode", if stored { relation.oid } else { 0 }.into()),
        // Nothing is read by its page: DuckDB would, where there are any.
        ("relpages", 0_i64.into()),
        ("reltuples", if is_told { facts.tuples } else { UNKNOWN }.into()),
        ("relhasindex", facts.has_index.into()),
        ("relpersistence", persistence(is_temporary, is_unlogged).into()),
        ("relkind", relation.kind.into()),
        ("relnatts", columns.unwrap_or(facts.columns).into()),
        ("relchecks", facts.checks.into()),
        ("relhasrules", is_view.into()),
        ("relhastriggers", has_triggers.into()),
        ("relrowsecurity", policies.is_some_and(|policies| policies.enabled).into()),
        ("relforcerowsecurity", policies.is_some_and(|policies| policies.forced).into()),
        ("relispopulated", facts.populated.into()),
        // Rows are named by the primary key where there is one; nothing else reads a log of changes here.
        ("relacl", list),
        ("reloptions", options),
        ("relreplident", if matches!(relation.of, Of::Table(_)) { "d" } else { "n" }.into()),
    ]);
}

fn persistence(temporary: bool, unlogged: bool) -> &'static str {
    match (temporary, unlogged) {
        (true, _) => "t",
        (false, true) => "u",
        (false, false) => "p",
    }
}

pub(super) fn indexes(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_INDEX);
    for table in world.snapshot().tables.values() {
        let schema = table.schema();
        for index in directory::indexes(table) {
            let numbers = directory::numbers(table, index.columns);
            let count = numbers.len();
            let field_type = |id: &i64| {
                let column = table.top_columns().find(|column| column.id == *id)?;
                schema.field_with_name(&column.name).ok().map(|field| types::of_field(field).0)
            };
            let kinds: Vec<i64> = index.columns.iter().filter_map(field_type).collect();
            let collations: Vec<i64> = kinds.iter().map(|oid| types::layout(*oid).collation).collect();
            let classes: Vec<i64> = kinds.iter().map(|oid| super::schemas::operator_class(*oid)).collect();
            rows.push([
                ("indexrelid", oids::of_index(table.known_id(), index.place).into()),
                ("indrelid", oids::of(table.known_id(), 0).into()),
                ("indnatts", (count as i64).into()),
                ("indnkeyatts", (count as i64).into()),
                ("indisunique", index.unique.into()),
                ("indisprimary", index.primary.into()),
                ("indimmediate", true.into()),
                ("indisvalid", true.into()),
                ("indisready", true.into()),
                ("indislive", true.into()),
                ("indkey", numbers.into()),
                ("indcollation", collations.into()),
                ("indclass", classes.into()),
                ("indoption", vec![0_i64; count].into()),
            ]);
        }
    }
    rows.finish()
}

pub(super) fn sequences(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_SEQUENCE);
    for table in world.snapshot().tables.values() {
        let schema = table.schema();
        for (place, identity, column) in directory::identities(table) {
            let field = schema.field_with_name(&column.name).ok();
            let data_type = field.map_or(types::INT8, |field| types::of_field(field).0);
            let (least, greatest) = range(data_type, identity.step);
            rows.push([
                ("seqrelid", oids::of(table.known_id(), oids::SEQUENCE + place as i64).into()),
                ("seqtypid", data_type.into()),
                ("seqstart", identity.start.into()),
                ("seqincrement", identity.step.into()),
                ("seqmax", greatest.into()),
                ("seqmin", least.into()),
                ("seqcache", 1_i64.into()),
            ]);
        }
    }
    rows.finish()
}

/// The least and the greatest number of a sequence that counts up or down in a column of a type.
pub(crate) fn range(data_type: i64, step: i64) -> (i64, i64) {
    let (low, high) = match data_type {
        21 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        23 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    if step < 0 { (low, -1) } else { (1, high) }
}
