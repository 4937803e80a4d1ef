//! `pg_depend`, `pg_description` and `pg_rewrite`: what hangs on what, comments, and the queries of views.

use std::collections::BTreeSet;

use arrow::array::ArrayRef;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use polder_types::Result;

use super::attributes::with_default;
use super::columns;
use super::directory::{self, Of, Relation};
use super::row::{Cell, Rows};
use super::texts::{self, Constraint};
use super::{World, oids};
use crate::parse::parse_kept;

/// The object ids of the tables that hold what depends.
const PG_CLASS: i64 = 1_259;
const PG_TYPE: i64 = 1_247;
const PG_ATTRDEF: i64 = 2_604;
const PG_CONSTRAINT: i64 = 2_606;
const PG_NAMESPACE: i64 = 2_615;
const PG_REWRITE: i64 = 2_618;

/// One thing, and perhaps a column of it.
#[derive(Debug, Clone, Copy)]
struct Object {
    class: i64,
    oid: i64,
    column: i64,
}

fn object(class: i64, oid: i64) -> Object {
    Object { class, oid, column: 0 }
}

/// `kind`: `n` for what must go before, `a` for what goes along, `i` for what is a part.
fn push(rows: &mut Rows, from: Object, to: Object, kind: &'static str) {
    rows.push([
        ("classid", from.class.into()),
        ("objid", from.oid.into()),
        ("objsubid", from.column.into()),
        ("refclassid", to.class.into()),
        ("refobjid", to.oid.into()),
        ("refobjsubid", to.column.into()),
        ("deptype", kind.into()),
    ]);
}

pub(super) fn rows(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_DEPEND);
    for relation in world.directory().relations() {
        if matches!(relation.of, Of::Table(_) | Of::View(_)) {
            push(&mut rows, object(PG_CLASS, relation.oid), object(PG_NAMESPACE, relation.schema), "n");
        }
        of_relation(&mut rows, world, relation);
    }
    for table in world.snapshot().tables.values() {
        let at = |column: i64| Object { class: PG_CLASS, oid: oids::of(table.id, 0), column };
        for (column, _) in with_default(table) {
            let default = object(PG_ATTRDEF, oids::of_default(table.id, column.id));
            push(&mut rows, default, at(directory::number(column)), "a");
        }
        for (oid, _, constraint) in texts::constraints(world.snapshot(), table) {
            let own = object(PG_CONSTRAINT, oid);
            match constraint {
                Constraint::Key(key) => {
                    for number in directory::numbers(table, key.columns) {
                        push(&mut rows, own, at(number), "a");
                    }
                    push(&mut rows, object(PG_CLASS, oids::of_index(table.id, key.place)), own, "i");
                }
                Constraint::Check(_) => push(&mut rows, own, at(0), "a"),
                Constraint::Foreign(reference) => {
                    for number in directory::numbers(table, &reference.key.columns) {
                        push(&mut rows, own, at(number), "a");
                    }
                    let parent = oids::of(reference.parent.id, 0);
                    for column in directory::numbers(&reference.parent, &reference.key.referenced) {
                        push(&mut rows, own, Object { class: PG_CLASS, oid: parent, column }, "n");
                    }
                    push(&mut rows, own, object(PG_CLASS, texts::referenced_index(&reference)), "n");
                }
            }
        }
        for index in directory::indexes(table).filter(|index| !index.of_constraint) {
            for number in directory::numbers(table, index.columns) {
                push(&mut rows, object(PG_CLASS, oids::of_index(table.id, index.place)), at(number), "a");
            }
        }
        for (place, _, column) in directory::identities(table) {
            let sequence = object(PG_CLASS, oids::of(table.id, oids::SEQUENCE + place as i64));
            push(&mut rows, sequence, at(directory::number(column)), "i");
        }
    }
    rows.finish()
}

/// A row type is a part of its relation; the rule of a view is a part of it too, and reads others.
fn of_relation(rows: &mut Rows, world: &World, relation: &Relation) {
    let own = object(PG_CLASS, relation.oid);
    if let Of::Table(id) | Of::View(id) = relation.of {
        push(rows, object(PG_TYPE, oids::of(id, oids::ROW_TYPE)), own, "i");
    }
    let Some((id, sql)) = query_of(world, relation) else { return };
    let rule = object(PG_REWRITE, oids::of(id, oids::RULE));
    push(rows, rule, own, "i");
    for read in read_by(world, relation, &sql) {
        push(rows, rule, object(PG_CLASS, read), "n");
    }
}

/// The id and the query of a view, or of a materialized one.
fn query_of(world: &World, relation: &Relation) -> Option<(i64, String)> {
    match relation.of {
        Of::View(id) => Some((id, world.view(relation)?.sql.clone())),
        Of::Table(id) => Some((id, world.table(relation)?.rules.materialized.as_ref()?.sql.clone())),
        _ => None,
    }
}

/// The relations that a query reads. One that cannot be read any more reads none.
fn read_by(world: &World, relation: &Relation, sql: &str) -> BTreeSet<i64> {
    let directory = world.directory();
    let Ok(statement @ Parsed::Statement(_)) = parse_kept(sql) else { return BTreeSet::new() };
    let Ok((tables, _)) = resolve_table_references(&statement, true) else { return BTreeSet::new() };
    let own = directory.schema(relation.schema);
    let found = tables.iter().filter_map(|table| directory.named(table.schema().or(own), table.table()));
    found.map(|found| found.oid).collect()
}

pub(super) fn rules(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_REWRITE);
    for relation in world.directory().relations() {
        let Some((id, sql)) = query_of(world, relation) else { continue };
        rows.push([
            ("oid", oids::of(id, oids::RULE).into()),
            ("rulename", "_RETURN".into()),
            ("ev_class", relation.oid.into()),
            ("ev_type", "1".into()),
            ("ev_enabled", "O".into()),
            ("is_instead", true.into()),
            ("ev_action", Cell::Text(sql)),
        ]);
    }
    rows.finish()
}

pub(super) fn descriptions(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_DESCRIPTION);
    let mut push = |class: i64, oid: i64, column: i64, text: Option<&str>| {
        if let Some(text) = text {
            rows.push([
                ("objoid", oid.into()),
                ("classoid", class.into()),
                ("objsubid", column.into()),
                ("description", text.into()),
            ]);
        }
    };
    for schema in world.snapshot().schemas.values() {
        push(PG_NAMESPACE, oids::of(schema.id, 0), 0, schema.comment.as_deref());
    }
    for table in world.snapshot().tables.values() {
        let oid = oids::of(table.id, 0);
        push(PG_CLASS, oid, 0, table.comment.as_deref());
        for column in table.top_columns() {
            push(PG_CLASS, oid, directory::number(column), column.comment.as_deref());
        }
    }
    for view in world.snapshot().views.values() {
        let oid = oids::of(view.id, 0);
        push(PG_CLASS, oid, 0, view.comment.as_deref());
        for (place, words) in &view.column_comments {
            push(PG_CLASS, oid, *place, Some(words.as_str()));
        }
    }
    rows.finish()
}
