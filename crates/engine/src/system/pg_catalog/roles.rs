//! `pg_authid`, `pg_roles` and `pg_user`: the users of the metastore. All of them may do everything.

use arrow::array::ArrayRef;
use chrono::{DateTime, Utc};
use polder_types::Result;

use super::columns;
use super::row::Rows;
use super::{World, oids};

/// The owner of everything.
pub(crate) const OWNER: &str = "polder";

/// What stands where a password would.
const HIDDEN: &str = "********";

/// 2025-01-01, from which the seconds of users are counted.
const EPOCH_SECONDS: i64 = 1_735_689_600;

#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub oid: i64,
    pub name: String,
    login: bool,
}

/// Users have no numbers, and one's name may be given to another once they are gone. So a user's object id is the second
/// in which they were made, or the next one that is free.
fn numbered(mut users: Vec<(DateTime<Utc>, String)>) -> Vec<Role> {
    users.sort();
    let mut roles = vec![Role { oid: oids::OWNER, name: OWNER.into(), login: false }];
    let mut free = oids::FIRST;
    for (made, name) in users {
        if name == OWNER {
            roles[0].login = true;
            continue;
        }
        let oid = (oids::FIRST + (made.timestamp() - EPOCH_SECONDS).max(0)).max(free);
        free = oid + 1;
        roles.push(Role { oid, name, login: true });
    }
    roles
}

async fn load(world: &World) -> Result<Vec<Role>> {
    let engine = world.engine();
    let users = engine.metastore.principals().list_users().await?;
    let roles = numbered(users.into_iter().map(|user| (user.created_at, user.name)).collect());
    // For the functions that give names of roles, which cannot wait for the metastore.
    *engine.roles.lock() = roles.clone();
    Ok(roles)
}

/// The roles that were there when the tables of roles were last read; always the owner of everything.
pub(crate) fn known(world: &World) -> Vec<Role> {
    let known = world.engine().roles.lock().clone();
    if known.is_empty() { numbered(Vec::new()) } else { known }
}

/// `pg_authid`, which says of no password what it is.
pub(super) async fn stored(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AUTHID);
    for role in load(world).await? {
        rows.push([
            ("oid", role.oid.into()),
            ("rolname", role.name.into()),
            ("rolsuper", true.into()),
            ("rolinherit", true.into()),
            ("rolcreaterole", true.into()),
            ("rolcreatedb", true.into()),
            ("rolcanlogin", role.login.into()),
            ("rolbypassrls", true.into()),
            ("rolconnlimit", (-1_i64).into()),
        ]);
    }
    rows.finish()
}

pub(super) async fn shown(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_ROLES);
    for role in load(world).await? {
        rows.push([
            ("oid", role.oid.into()),
            ("rolname", role.name.into()),
            ("rolsuper", true.into()),
            ("rolinherit", true.into()),
            ("rolcreaterole", true.into()),
            ("rolcreatedb", true.into()),
            ("rolcanlogin", role.login.into()),
            ("rolbypassrls", true.into()),
            ("rolconnlimit", (-1_i64).into()),
            ("rolpassword", HIDDEN.into()),
        ]);
    }
    rows.finish()
}

/// `pg_user` and `pg_shadow`, whose columns have the same names.
pub(super) async fn users(world: &World, columns: &'static str) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns);
    for role in load(world).await?.into_iter().filter(|role| role.login) {
        rows.push([
            ("usename", role.name.into()),
            ("usesysid", role.oid.into()),
            ("usecreatedb", true.into()),
            ("usesuper", true.into()),
            ("usebypassrls", true.into()),
            ("passwd", HIDDEN.into()),
        ]);
    }
    rows.finish()
}
