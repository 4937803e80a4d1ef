//! `pg_depend`, `pg_shdepend`, `pg_description` and `pg_rewrite`: what hangs on what and on whom, comments, and the queries of views.
//!
//! The rule of a view hangs on whole tables, where PostgreSQL has a row for each column.

use std::collections::BTreeSet;

use arrow::array::ArrayRef;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use polder_lake::{EVERYBODY, Grant};
use polder_metastore::OWNER_OID;
use polder_types::Result;

use super::attributes::with_default;
use super::columns;
use super::directory::{self, Of, Relation};
use super::row::{Cell, Rows};
use super::texts::{self, Constraint};
use super::{World, builtin, oids, policies, programs, roles};
use crate::parse::parse_kept;

/// The object ids of the tables that hold what depends.
const PG_CLASS: i64 = 1_259;
const PG_TYPE: i64 = 1_247;
const PG_ATTRDEF: i64 = 2_604;
const PG_CONSTRAINT: i64 = 2_606;
const PG_NAMESPACE: i64 = 2_615;
const PG_REWRITE: i64 = 2_618;
pub(crate) const PG_PROC: i64 = 1_255;
const PG_POLICY: i64 = 3_256;
const PG_DEFAULT_ACL: i64 = 826;
const PG_AUTHID: i64 = 1_260;

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
        if matches!(relation.of, Of::Table(_) | Of::View(_) | Of::Sequence(..)) {
            push(&mut rows, object(PG_CLASS, relation.oid), object(PG_NAMESPACE, relation.schema), "n");
        }
        of_relation(&mut rows, world, relation);
    }
    for program in programs::made_here(world) {
        push(&mut rows, object(PG_PROC, program.oid), object(PG_NAMESPACE, program.schema), "n");
    }
    for known in roles::defaults_of(world).into_iter().filter(|known| known.schema != 0) {
        push(&mut rows, object(PG_DEFAULT_ACL, known.oid), object(PG_NAMESPACE, known.schema), "a");
    }
    for (table, policy) in policies::each(world) {
        let own = object(PG_POLICY, oids::of_policy(table.known_id(), policy.number));
        let at = |column: i64| Object { class: PG_CLASS, oid: oids::of(table.known_id(), 0), column };
        push(&mut rows, own, at(0), "a");
        for column in texts::named_in(table, policy.using.iter().chain(&policy.check)) {
            push(&mut rows, own, at(column), "n");
        }
    }
    for table in world.snapshot().tables.values() {
        let at = |column: i64| Object { class: PG_CLASS, oid: oids::of(table.known_id(), 0), column };
        for (column, _) in with_default(table) {
            let default = object(PG_ATTRDEF, oids::of_default(table.known_id(), column.id));
            push(&mut rows, default, at(directory::number(column)), "a");
        }
        for (oid, _, constraint) in texts::constraints(world.snapshot(), table) {
            let own = object(PG_CONSTRAINT, oid);
            match constraint {
                Constraint::Key(key) => {
                    for number in directory::numbers(table, key.columns) {
                        push(&mut rows, own, at(number), "a");
                    }
                    push(&mut rows, object(PG_CLASS, oids::of_index(table.known_id(), key.place)), own, "i");
                }
                Constraint::Check(check) => {
                    // Its columns, as a part of which it goes along, and as what it reads.
                    let columns = texts::checked(table, check);
                    for number in &columns {
                        push(&mut rows, own, at(*number), "a");
                        push(&mut rows, own, at(*number), "n");
                    }
                    if columns.is_empty() {
                        push(&mut rows, own, at(0), "a");
                    }
                }
                Constraint::Foreign(reference) => {
                    for number in directory::numbers(table, &reference.key.columns) {
                        push(&mut rows, own, at(number), "a");
                    }
                    let parent = oids::of(reference.parent.known_id(), 0);
                    for column in directory::numbers(&reference.parent, &reference.key.referenced) {
                        push(&mut rows, own, Object { class: PG_CLASS, oid: parent, column }, "n");
                    }
                    push(&mut rows, own, object(PG_CLASS, texts::referenced_index(&reference)), "n");
                }
            }
        }
        for index in directory::indexes(table).filter(|index| !index.of_constraint) {
            for number in directory::numbers(table, index.columns) {
                push(&mut rows, object(PG_CLASS, oids::of_index(table.known_id(), index.place)), at(number), "a");
            }
        }
        for (place, _, column) in directory::identities(table) {
            let sequence = object(PG_CLASS, oids::of(table.known_id(), oids::SEQUENCE + place as i64));
            push(&mut rows, sequence, at(directory::number(column)), "i");
        }
    }
    rows.finish()
}

/// What hangs on roles: `o` for what they own, `a` for what is granted to them, `r` for policies that are for them. Nothing is told of the
/// one to whom everything belongs, as in PostgreSQL.
pub(super) fn on_roles(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_SHDEPEND);
    let mut push = |from: Object, role: i64, kind: &'static str| {
        if role != OWNER_OID && role != EVERYBODY {
            rows.push([
                ("dbid", oids::DATABASE.into()),
                ("classid", from.class.into()),
                ("objid", from.oid.into()),
                ("objsubid", from.column.into()),
                ("refclassid", PG_AUTHID.into()),
                ("refobjid", role.into()),
                ("deptype", kind.into()),
            ]);
        }
    };
    let snapshot = world.snapshot();
    let schemas = snapshot.schemas.keys().map(|id| (PG_NAMESPACE, *id));
    let tables = snapshot.tables.keys().chain(snapshot.views.keys()).map(|id| (PG_CLASS, *id));
    let functions = snapshot.functions.keys().map(|id| (PG_PROC, *id));
    for (class, id) in schemas.chain(tables).chain(functions) {
        let known = snapshot.tables.get(&id).map_or(id, |table| table.known_id());
        let own = object(class, oids::of(known, 0));
        let owner = world.rights().owner(id);
        push(own, owner, "o");
        let Some(access) = world.rights().access(id) else { continue };
        for role in granted(access.grants.iter().flatten(), owner) {
            push(own, role, "a");
        }
        let Some(table) = snapshot.tables.get(&id) else { continue };
        for column in table.top_columns() {
            let grants = access.columns.get(&column.id);
            for role in granted(grants.into_iter().flatten(), owner) {
                push(Object { column: directory::number(column), ..own }, role, "a");
            }
        }
        for policy in &access.policies.rows {
            for role in &policy.roles {
                push(object(PG_POLICY, oids::of_policy(known, policy.number)), *role, "r");
            }
        }
    }
    for known in roles::defaults_of(world) {
        let own = object(PG_DEFAULT_ACL, known.oid);
        push(own, known.grants.role, "o");
        for role in granted(known.grants.grants.iter(), known.grants.role) {
            push(own, role, "a");
        }
    }
    rows.finish()
}

/// Who is named in grants, each once and without the owner.
fn granted<'a>(grants: impl Iterator<Item = &'a Grant>, owner: i64) -> BTreeSet<i64> {
    grants.flat_map(|grant| [grant.role, grant.grantor]).filter(|role| *role != owner).collect()
}

/// A row type is a part of its relation; the rule of a view is a part of it too, and reads others.
fn of_relation(rows: &mut Rows, world: &World, relation: &Relation) {
    let own = object(PG_CLASS, relation.oid);
    if relation.has_row_type() {
        let row_type = object(PG_TYPE, relation.oid + oids::ROW_TYPE);
        push(rows, row_type, own, "i");
        push(rows, object(PG_TYPE, relation.oid + oids::ROW_ARRAY), row_type, "i");
    }
    let Some(sql) = query_of(world, relation) else { return };
    let rule = object(PG_REWRITE, relation.oid + oids::RULE);
    push(rows, rule, own, "i");
    for read in read_by(world, relation, &sql) {
        push(rows, rule, object(PG_CLASS, read), "n");
    }
}

/// The query of a view, or of a materialized one.
fn query_of(world: &World, relation: &Relation) -> Option<String> {
    match relation.of {
        Of::View(_) => Some(world.view(relation)?.sql.clone()),
        Of::Table(_) => Some(world.table(relation)?.rules.materialized.as_ref()?.sql.clone()),
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

/// Each view with each relation that it reads, both as schema and name. Materialized views are no views here.
pub(crate) fn views_read(world: &World) -> Vec<((String, String), (String, String))> {
    let directory = world.directory();
    let named =
        |relation: &Relation| (directory.schema(relation.schema).unwrap_or_default().to_owned(), relation.name.clone());
    let mut found = Vec::new();
    for relation in directory.relations().filter(|relation| matches!(relation.of, Of::View(_))) {
        let Some(sql) = query_of(world, relation) else { continue };
        let read = read_by(world, relation, &sql).into_iter().filter_map(|oid| directory.relation(oid));
        found.extend(read.map(|read| (named(relation), named(read))));
    }
    found
}

pub(super) fn rules(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_REWRITE);
    for relation in world.directory().relations() {
        let Some(sql) = query_of(world, relation) else { continue };
        rows.push([
            ("oid", (relation.oid + oids::RULE).into()),
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
    for (class, oid, words) in builtin::descriptions() {
        push(class, oid, 0, Some(words));
    }
    for (oid, words) in programs::words(world) {
        push(PG_PROC, oid, 0, Some(&words));
    }
    for schema in world.snapshot().schemas.values() {
        push(PG_NAMESPACE, oids::of(schema.id, 0), 0, schema.comment.as_deref());
    }
    for table in world.snapshot().tables.values() {
        let oid = oids::of(table.known_id(), 0);
        push(PG_CLASS, oid, 0, table.comment.as_deref());
        for column in table.top_columns() {
            push(PG_CLASS, oid, directory::number(column), column.comment.as_deref());
        }
        for index in directory::indexes(table) {
            push(PG_CLASS, oids::of_index(table.known_id(), index.place), 0, index.comment);
        }
        for (oid, _, constraint) in texts::constraints(world.snapshot(), table) {
            push(PG_CONSTRAINT, oid, 0, constraint.comment());
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
