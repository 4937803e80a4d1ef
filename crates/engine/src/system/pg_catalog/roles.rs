//! Roles, what they are members of, their settings, and what they grant on things that they make.

use arrow::array::ArrayRef;
use polder_lake::DefaultGrants;
use polder_metastore::Role;
use polder_types::Result;
use uuid::Uuid;

use super::columns;
use super::row::{Cell, Rows};
use super::{World, oids};
use crate::authz::rights::{Kind, in_letters};

/// What stands where a password would.
const HIDDEN: &str = "********";

/// The first object id of what roles grant on things that they make; they are numbered as they stand.
const FIRST_DEFAULT: i64 = 14_000;

fn until(role: &Role) -> Cell {
    role.valid_until.map_or(Cell::Null, |until| Cell::Time(until.timestamp_micros()))
}

/// The settings of a role, as `name=value`.
fn settings(world: &World, role: i64) -> Cell {
    let all = world.who().book.settings(role);
    // As PostgreSQL spells it.
    let spelt = |name: String| if name == "timezone" { "TimeZone".to_owned() } else { name };
    let texts: Vec<String> = all.into_iter().map(|(name, value)| format!("{}={value}", spelt(name))).collect();
    if texts.is_empty() { Cell::Null } else { Cell::Texts(texts) }
}

/// What `pg_authid` and `pg_roles` both say of a role.
fn known(role: &Role) -> Vec<(&'static str, Cell)> {
    vec![
        ("oid", role.oid.into()),
        ("rolname", role.name.as_str().into()),
        ("rolsuper", role.is_superuser.into()),
        ("rolinherit", role.inherits.into()),
        ("rolcreaterole", role.creates_roles.into()),
        ("rolcreatedb", role.creates_databases.into()),
        ("rolcanlogin", role.logs_in.into()),
        ("rolbypassrls", role.bypasses_policies.into()),
        ("rolconnlimit", role.connection_limit.into()),
        ("rolvaliduntil", until(role)),
    ]
}

/// `pg_authid`, which says of no password what it is.
pub(super) fn stored(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AUTHID);
    for role in world.who().book.roles() {
        rows.push_cells(&known(role));
    }
    rows.finish()
}

pub(super) fn shown(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_ROLES);
    for role in world.who().book.roles() {
        let mut cells = known(role);
        cells.extend([("rolpassword", HIDDEN.into()), ("rolconfig", settings(world, role.oid))]);
        rows.push_cells(&cells);
    }
    rows.finish()
}

/// `pg_user` and `pg_shadow`, whose columns have the same names.
pub(super) fn users(world: &World, columns: &'static str) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns);
    for role in world.who().book.roles().iter().filter(|role| role.logs_in) {
        rows.push([
            ("usename", role.name.as_str().into()),
            ("usesysid", role.oid.into()),
            ("usecreatedb", role.creates_databases.into()),
            ("usesuper", role.is_superuser.into()),
            ("usebypassrls", role.bypasses_policies.into()),
            ("passwd", HIDDEN.into()),
            ("valuntil", until(role)),
            ("useconfig", settings(world, role.oid)),
        ]);
    }
    rows.finish()
}

/// `pg_group`: roles that nobody logs in as, with their members.
pub(super) fn groups(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_GROUP);
    let book = &world.who().book;
    for role in book.roles().iter().filter(|role| !role.logs_in) {
        let members = book.members().iter().filter(|member| member.role == role.oid);
        let members: Vec<i64> = members.map(|member| member.member).collect();
        rows.push([("groname", role.name.as_str().into()), ("grosysid", role.oid.into()), ("grolist", members.into())]);
    }
    rows.finish()
}

pub(super) fn members(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AUTH_MEMBERS);
    for member in world.who().book.members() {
        rows.push([
            ("roleid", member.role.into()),
            ("member", member.member.into()),
            ("grantor", member.grantor.into()),
            ("admin_option", member.has_admin.into()),
        ]);
    }
    rows.finish()
}

/// `pg_db_role_setting`: they hold in every database, as there is one.
pub(super) fn role_settings(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_DB_ROLE_SETTING);
    for role in world.who().book.roles() {
        let config = settings(world, role.oid);
        if !matches!(config, Cell::Null) {
            rows.push([("setrole", role.oid.into()), ("setconfig", config)]);
        }
    }
    rows.finish()
}

/// What a role grants on things that it will make.
pub(super) struct DefaultsOf<'a> {
    pub oid: i64,
    /// The object id of the schema that it holds in; 0 for all of them.
    pub schema: i64,
    pub grants: &'a DefaultGrants,
}

pub(super) fn defaults_of(world: &World) -> Vec<DefaultsOf<'_>> {
    let overall = world.who().book.defaults.iter().map(|known| (0, known));
    let here = world.snapshot().schemas.keys().flat_map(|id| {
        let access = world.rights().access(*id).into_iter();
        access.flat_map(|access| access.defaults.iter()).map(|known| (oids::of(*id, 0), known))
    });
    let all = overall.chain(here).zip(FIRST_DEFAULT..);
    all.map(|((schema, grants), oid)| DefaultsOf { oid, schema, grants }).collect()
}

/// `pg_default_acl`: what is granted on things that will be made, in whatever schema and in one.
pub(super) fn defaults(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_DEFAULT_ACL);
    for DefaultsOf { oid, schema, grants } in defaults_of(world) {
        rows.push([
            ("oid", oid.into()),
            ("defaclrole", grants.role.into()),
            ("defaclnamespace", schema.into()),
            ("defaclobjtype", Kind::of_word(&grants.kind).map_or("", Kind::letter).into()),
            ("defaclacl", Cell::Texts(in_letters(&grants.grants, &world.who().book))),
        ]);
    }
    rows.finish()
}

/// The list of rights on a thing; missing as long as nobody has granted or revoked any.
pub(super) fn list(world: &World, id: i64) -> Cell {
    let grants = world.rights().access(id).and_then(|access| access.grants.as_deref());
    grants.map_or(Cell::Null, |grants| Cell::Texts(in_letters(grants, &world.who().book)))
}

/// The list of rights on a topic: its usual ones are told too, since they are not those of a table.
pub(super) fn list_of_topic(world: &World, id: Uuid) -> Cell {
    let book = &world.who().book;
    Cell::Texts(in_letters(&book.topic_grants(id), book))
}

/// The list of rights on one column.
pub(super) fn list_of_column(world: &World, id: i64, column: i64) -> Cell {
    let grants = world.rights().access(id).and_then(|access| access.columns.get(&column));
    let grants = grants.filter(|grants| !grants.is_empty());
    grants.map_or(Cell::Null, |grants| Cell::Texts(in_letters(grants, &world.who().book)))
}
