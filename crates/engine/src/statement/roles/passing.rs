//! Roles go, and what they own with them or to others.

use polder_metastore::{OWNER_OID, Principals, Roles};
use polder_types::{Error, Result};

use super::dependents::told;
use super::names::RoleName;
use super::{Done, Work, done, forbidden};

/// The code of something that stands in the way.
pub(super) const DEPENDENTS: &str = "2BP01";

/// The code of what is in use.
const IN_USE: &str = "55006";

/// The least number of a role that somebody has made.
const FIRST_MADE: i64 = 16_384;

/// The roles that are always there.
pub(super) fn is_always_there(oid: i64) -> bool {
    oid == OWNER_OID || oid < FIRST_MADE
}

impl Work<'_> {
    pub(super) fn drop_roles(&mut self, roles: &[RoleName], if_exists: bool) -> Result<Done> {
        if !self.makes_roles() {
            return Err(forbidden("permission denied to drop role"));
        }
        let mut dropped = Vec::new();
        for role in roles {
            let RoleName::Named(name) = role else {
                return Err(Error::invalid("cannot use special role specifier in DROP ROLE").with_code("22023"));
            };
            let known = match self.named(name) {
                Ok(known) => known.clone(),
                Err(error) if if_exists => {
                    self.note(format!("{}, skipping", error.message()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.may_drop(known.oid, name)?;
            for write in Roles::drop_writes(known.oid) {
                self.transaction.attach(write);
            }
            for write in Principals::forget_writes(name) {
                self.transaction.attach(write);
            }
            self.rows.roles.retain(|role| role.oid != known.oid);
            self.rows.members.retain(|member| member.role != known.oid && member.member != known.oid);
            self.rows.settings.retain(|(role, ..)| *role != known.oid);
            self.rows.with_passwords.retain(|known| known != name);
            self.is_changed = true;
            dropped.push(name.as_str());
        }
        Ok(done("DROP ROLE", "drop role", dropped.join(", ")))
    }

    fn may_drop(&self, oid: i64, name: &str) -> Result<()> {
        if oid == self.who.role {
            return Err(Error::invalid("current user cannot be dropped").with_code(IN_USE).with_hint("RESET ROLE"));
        }
        if oid == self.who.user {
            return Err(Error::invalid("session user cannot be dropped").with_code(IN_USE));
        }
        if self.is_superuser(oid) && !self.who.superuser {
            return Err(forbidden("must be superuser to drop superusers"));
        }
        if is_always_there(oid) {
            let message = format!("cannot drop role {name} because it is required by the database system");
            return Err(Error::invalid(message).with_code(DEPENDENTS));
        }
        let holdings = self.holdings(oid);
        if holdings.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!("role \"{name}\" cannot be dropped because some objects depend on it"))
            .with_code(DEPENDENTS)
            .with_detail(told(&holdings))
            .with_hint("REASSIGN OWNED BY … TO …, then DROP OWNED BY …"))
    }
}
