//! Which roles are members of which.

use polder_metastore::{RoleMember, Roles};
use polder_types::{Error, ErrorKind, Result};

use super::names::RoleName;
use super::statements::Members;
use super::{Done, Work, done, forbidden};

/// The code of a grant that cannot be.
pub(super) const INVALID_GRANT: &str = "0LP01";

impl Work<'_> {
    pub(super) fn members(&mut self, members: &Members) -> Result<Done> {
        let grantor = match &members.granted_by {
            Some(role) => self.resolve(role)?,
            None => self.who.role,
        };
        let listed = members.members.iter().map(|member| self.resolve(member)).collect::<Result<Vec<_>>>()?;
        for name in &members.roles {
            let role = self.named(name)?.oid;
            if members.is_alter_group {
                self.may_alter_group(role)?;
            } else {
                self.may_make_members(role, grantor)?;
            }
            for member in &listed {
                if members.is_grant {
                    self.add_member(role, *member, members.admin_option, grantor)?;
                } else {
                    self.remove_member(role, *member, members.admin_option);
                }
            }
        }
        let (verb, event) = match (members.is_alter_group, members.is_grant) {
            (true, true) => ("ALTER ROLE", "grant role"),
            (true, false) => ("ALTER ROLE", "revoke role"),
            (false, true) => ("GRANT ROLE", "grant role"),
            (false, false) => ("REVOKE ROLE", "revoke role"),
        };
        let names: Vec<&str> = listed.iter().map(|member| self.role_name(*member)).collect();
        let to = if members.is_grant { "to" } else { "from" };
        let admin = if members.admin_option { ", admin option" } else { "" };
        let message = Some(format!("{to} {}{admin}", names.join(", ")));
        Ok(Done { message, ..done(verb, event, members.roles.join(", ")) })
    }

    fn may_alter_group(&self, role: i64) -> Result<()> {
        if self.who.superuser {
            return Ok(());
        }
        if self.is_superuser(role) {
            return Err(forbidden("must be superuser to alter superuser roles or change superuser attribute"));
        }
        if self.makes_roles() { Ok(()) } else { Err(forbidden("permission denied")) }
    }

    /// # Errors
    /// `Forbidden` (42501) unless whoever runs the statement may say who is a member of a role, in the name of another.
    pub(super) fn may_make_members(&self, role: i64, grantor: i64) -> Result<()> {
        if self.who.superuser {
            return Ok(());
        }
        if self.is_superuser(role) {
            return Err(forbidden("must be superuser to alter superusers"));
        }
        if !self.makes_roles() && !self.is_admin_of(role) {
            let name = self.role_name(role);
            return Err(forbidden(format!("must have admin option on role \"{name}\""))
                .with_hint(format!("GRANT {name} TO {} WITH ADMIN OPTION", self.who.role_name())));
        }
        if grantor == self.who.role { Ok(()) } else { Err(forbidden("must be superuser to set grantor")) }
    }

    fn is_admin_of(&self, role: i64) -> bool {
        let own = self.memberships(self.who.role);
        self.rows.members.iter().any(|known| known.role == role && known.has_admin && own.contains(&known.member))
    }

    /// # Errors
    /// 0LP01 when the role would be a member of itself.
    pub(super) fn add_member(&mut self, role: i64, member: i64, admin: bool, grantor: i64) -> Result<()> {
        if self.memberships(role).contains(&member) {
            let message =
                format!("role \"{}\" is a member of role \"{}\"", self.role_name(role), self.role_name(member));
            return Err(Error::new(ErrorKind::InvalidInput, message).with_code(INVALID_GRANT));
        }
        let known = self.rows.members.iter().position(|known| known.role == role && known.member == member);
        if let Some(known) = known.and_then(|at| self.rows.members.get(at))
            && (known.has_admin || !admin)
        {
            self.note(format!(
                "role \"{}\" is already a member of role \"{}\"",
                self.role_name(member),
                self.role_name(role)
            ));
            return Ok(());
        }
        let added = RoleMember { role, member, grantor, has_admin: admin };
        self.transaction.attach(Roles::member_write(&added));
        match known.and_then(|at| self.rows.members.get_mut(at)) {
            Some(known) => *known = added,
            None => self.rows.members.push(added),
        }
        self.is_changed = true;
        Ok(())
    }

    fn remove_member(&mut self, role: i64, member: i64, admin_only: bool) {
        let found = self.rows.members.iter_mut().find(|known| known.role == role && known.member == member);
        let Some(known) = found else {
            let message =
                format!("role \"{}\" is not a member of role \"{}\"", self.role_name(member), self.role_name(role));
            return self.warn("01000", message);
        };
        if admin_only {
            known.has_admin = false;
            let write = Roles::member_write(known);
            self.transaction.attach(write);
        } else {
            self.transaction.attach(Roles::no_member_write(role, member));
            self.rows.members.retain(|known| (known.role, known.member) != (role, member));
        }
        self.is_changed = true;
    }

    /// The numbers of roles that a statement names.
    pub(super) fn resolve_all(&self, names: &[RoleName]) -> Result<Vec<i64>> {
        names.iter().map(|name| self.resolve(name)).collect()
    }
}
