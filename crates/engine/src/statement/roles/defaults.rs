//! ALTER DEFAULT PRIVILEGES: what roles grant on things that they make.

use polder_lake::{DefaultGrants, Grant};
use polder_metastore::Roles;
use polder_types::{Error, Result};

use super::grants::{merge, wanted};
use super::members::INVALID_GRANT;
use super::statements::Defaults;
use super::things::schema;
use super::{Done, Work, done, forbidden};
use crate::authz::rights::Kind;

impl Work<'_> {
    pub(super) fn defaults(&mut self, defaults: &Defaults) -> Result<Done> {
        let (kind, granted) = (defaults.kind, &defaults.granted);
        self.check_grantor(granted.granted_by.as_ref())?;
        let grantees = self.grantees(&granted.roles)?;
        let (rights, columns) = wanted(&granted.wanted, kind)?;
        if !columns.is_empty() {
            return Err(Error::invalid("default privileges cannot be set for columns").with_code(INVALID_GRANT));
        }
        if kind == Kind::Schema && !defaults.schemas.is_empty() {
            let message = "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS";
            return Err(Error::invalid(message).with_code(INVALID_GRANT));
        }
        let owners =
            if defaults.of_roles.is_empty() { vec![self.who.role] } else { self.resolve_all(&defaults.of_roles)? };
        for owner in &owners {
            if !self.is_member_of(*owner) {
                return Err(forbidden(format!("must be member of role \"{}\"", self.role_name(*owner))));
            }
            let change = |grants: &mut Vec<Grant>| merge(grants, granted, &grantees, *owner, *owner, rights);
            if defaults.schemas.is_empty() {
                self.change_overall(*owner, kind, change)?;
            }
            for name in &defaults.schemas {
                let place = schema(self.transaction.view(), name)?;
                if let Some(id) = place.id {
                    self.change_in_schema(id, *owner, kind, change)?;
                }
            }
        }
        let names: Vec<&str> = owners.iter().map(|owner| self.role_name(*owner)).collect();
        let to: Vec<&str> = grantees.iter().map(|role| self.grantee_name(*role)).collect();
        let verb = if granted.is_grant { "granted to" } else { "revoked from" };
        let message = Some(format!("on {}s of {}, {verb} {}", kind.word(), names.join(", "), to.join(", ")));
        let object = defaults.schemas.join(", ");
        Ok(Done { message, ..done("ALTER DEFAULT PRIVILEGES", "alter default privileges", object) })
    }

    /// Those that hold in whatever schema; what comes to the usual is not kept.
    fn change_overall(&mut self, owner: i64, kind: Kind, change: impl Fn(&mut Vec<Grant>) -> Result<()>) -> Result<()> {
        let usual = kind.usual(owner);
        let is_it = |known: &&(i64, String, String)| known.0 == owner && known.1 == kind.word();
        let mut grants = match self.rows.defaults.iter().find(is_it) {
            Some((_, _, items)) => serde_json::from_str(items).map_err(|error| Error::internal(error.to_string()))?,
            None => usual.clone(),
        };
        change(&mut grants)?;
        let items = match is_same(&grants, &usual) {
            true => None,
            false => Some(serde_json::to_string(&grants).map_err(|error| Error::internal(error.to_string()))?),
        };
        self.put_default(owner, kind.word(), items);
        Ok(())
    }

    pub(super) fn put_default(&mut self, owner: i64, kind: &str, items: Option<String>) {
        self.transaction.attach(Roles::default_write(owner, kind, items.as_deref()));
        self.rows.defaults.retain(|(role, known, _)| (*role, known.as_str()) != (owner, kind));
        self.rows.defaults.extend(items.map(|items| (owner, kind.to_owned(), items)));
        self.is_changed = true;
    }

    /// Those of one schema, which come on top of the others.
    fn change_in_schema(
        &mut self,
        schema: i64,
        owner: i64,
        kind: Kind,
        change: impl Fn(&mut Vec<Grant>) -> Result<()>,
    ) -> Result<()> {
        let known = self.transaction.view().access(schema).map(|access| access.defaults.clone()).unwrap_or_default();
        let is_it = |known: &DefaultGrants| known.role == owner && known.kind == kind.word();
        let mut grants = known.iter().find(|known| is_it(known)).map(|known| known.grants.clone()).unwrap_or_default();
        change(&mut grants)?;
        let mut all: Vec<DefaultGrants> = known.into_iter().filter(|known| !is_it(known)).collect();
        if !grants.is_empty() {
            all.push(DefaultGrants { role: owner, kind: kind.word().to_owned(), grants });
        }
        self.change_access(schema, |access| access.defaults = all)
    }
}

/// Whether two lists grant the same, in whatever order.
fn is_same(one: &[Grant], other: &[Grant]) -> bool {
    one.len() == other.len() && one.iter().all(|grant| other.contains(grant))
}
