//! The views of `pg_catalog` that name things rather than number them.

use arrow::array::ArrayRef;
use polder_types::Result;

use super::columns;
use super::directory::{self, Relation};
use super::row::Rows;
use super::types;
use super::{World, oids, relations, texts};

/// The relations of a kind, each with the name of its schema.
fn of_kind<'a>(world: &'a World, kind: &'static str) -> impl Iterator<Item = (&'a str, &'a Relation)> {
    let directory = world.directory();
    let all = directory.relations().filter(move |relation| relation.kind == kind);
    all.map(move |relation| (directory.schema(relation.schema).unwrap_or_default(), relation))
}

/// The name of a relation's owner.
fn owner<'a>(world: &'a World, relation: &Relation) -> &'a str {
    world.who().book.name(world.owner_of(relation)).unwrap_or_default()
}

pub(super) fn tables(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_TABLES);
    for (schema, relation) in of_kind(world, "r") {
        let table = world.table(relation);
        let indexed = table.is_some_and(|table| directory::indexes(table).next().is_some());
        let access = table.and_then(|table| world.rights().access(table.id));
        rows.push([
            ("schemaname", schema.into()),
            ("tablename", relation.name.as_str().into()),
            ("tableowner", owner(world, relation).into()),
            ("tablespace", super::row::Cell::Null),
            ("hasindexes", indexed.into()),
            ("rowsecurity", access.is_some_and(|access| access.policies.enabled).into()),
        ]);
    }
    rows.finish()
}

pub(super) fn views(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_VIEWS);
    for (schema, relation) in of_kind(world, "v") {
        rows.push([
            ("schemaname", schema.into()),
            ("viewname", relation.name.as_str().into()),
            ("viewowner", owner(world, relation).into()),
            ("definition", texts::view(world, relation).into()),
        ]);
    }
    rows.finish()
}

pub(super) fn materialized(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_MATVIEWS);
    for (schema, relation) in of_kind(world, "m") {
        let Some(table) = world.table(relation) else { continue };
        let populated = table.rules.materialized.as_ref().is_some_and(|materialized| materialized.snapshot.is_some());
        rows.push([
            ("schemaname", schema.into()),
            ("matviewname", relation.name.as_str().into()),
            ("matviewowner", owner(world, relation).into()),
            ("tablespace", super::row::Cell::Null),
            ("hasindexes", directory::indexes(table).next().is_some().into()),
            ("ispopulated", populated.into()),
            ("definition", texts::view(world, relation).into()),
        ]);
    }
    rows.finish()
}

pub(super) fn indexes(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_INDEXES);
    for table in world.snapshot().tables.values() {
        let schema = world.directory().schema(oids::of(table.schema_id, 0)).unwrap_or_default();
        for index in directory::indexes(table) {
            rows.push([
                ("schemaname", schema.into()),
                ("tablename", table.name.as_str().into()),
                ("indexname", index.name.into()),
                ("tablespace", super::row::Cell::Null),
                ("indexdef", texts::index(world, table, &index).into()),
            ]);
        }
    }
    rows.finish()
}

pub(super) fn sequences(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_SEQUENCES);
    for table in world.snapshot().tables.values() {
        let schema = world.directory().schema(oids::of(table.schema_id, 0)).unwrap_or_default();
        let fields = table.schema();
        for (_, identity, column) in directory::identities(table) {
            let field = fields.field_with_name(&column.name).ok();
            let data_type = field.map_or(types::INT8, |field| types::of_field(field).0);
            let (least, greatest) = relations::range(data_type, identity.step);
            rows.push([
                ("schemaname", schema.into()),
                ("sequencename", format!("{}_{}_seq", table.name, column.name).into()),
                ("sequenceowner", world.rights().owner_name(table.id).into()),
                ("data_type", data_type.into()),
                ("start_value", identity.start.into()),
                ("min_value", least.into()),
                ("max_value", greatest.into()),
                ("increment_by", identity.step.into()),
                ("cache_size", 1_i64.into()),
                // What is next is settled by the commits; no transaction has a last value that others can rely on.
                ("last_value", super::row::Cell::Null),
            ]);
        }
    }
    rows.finish()
}

/// `pg_stat_user_tables` and `pg_stat_all_tables`: rows as the files have them. Scans and changes are counted in `polder.queries` and `history`.
pub(super) fn statistics(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_USER_TABLES);
    for kind in ["r", "m"] {
        for (schema, relation) in of_kind(world, kind) {
            let Some(table) = world.table(relation).filter(|table| world.rights().counts(table.id)) else { continue };
            rows.push([
                ("relid", relation.oid.into()),
                ("schemaname", schema.into()),
                ("relname", relation.name.as_str().into()),
                ("n_live_tup", table.file_rows().into()),
            ]);
        }
    }
    rows.finish()
}
