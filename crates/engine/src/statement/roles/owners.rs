//! ALTER … OWNER TO, REASSIGN OWNED and DROP OWNED.

use polder_lake::{EVERYBODY, Grant, Policies, TableName};
use polder_metastore::OWNER_OID;
use polder_types::{Error, ErrorKind, Result};

use super::names::RoleName;
use super::passing::{DEPENDENTS, is_always_there};
use super::statements::{NewOwner, OwnedKind};
use super::things::{Thing, database, schema};
use super::{Done, Work, done, forbidden};
use crate::authz::acl::{self, Revoked};
use crate::authz::rights::{CREATE, Kind};
use crate::authz::{Rights, denied, not_owner};
use crate::statement::ddl;
use crate::statement::names::parts;

impl Work<'_> {
    pub(super) fn set_owner(&mut self, wanted: &NewOwner) -> Result<Done> {
        let to = self.resolve(&wanted.to)?;
        let thing = match self.owned(wanted) {
            Ok(thing) => thing,
            Err(error) if wanted.if_exists && error.kind() == ErrorKind::NotFound => {
                let name = parts(&wanted.thing.name)?.pop().unwrap_or_default();
                self.note(format!("relation \"{name}\" does not exist, skipping"));
                return Ok(done(wanted.verb, "alter owner", wanted.thing.name.to_string()));
            }
            Err(error) => return Err(error),
        };
        self.may_hand_over(&thing, to)?;
        let message = Some(format!("to {}", self.role_name(to)));
        let object = format!("{} {}", thing.word, thing.shown());
        self.hand_over(&thing, to)?;
        Ok(Done { message, ..done(wanted.verb, "alter owner", object) })
    }

    /// The thing that is to have another owner.
    fn owned(&self, wanted: &NewOwner) -> Result<Thing> {
        let view = self.transaction.view();
        let name = &wanted.thing.name;
        let plain = || Ok::<_, Error>(parts(name)?.pop().unwrap_or_default());
        match wanted.kind {
            OwnedKind::Schema => schema(view, &plain()?),
            OwnedKind::Database => database(&plain()?),
            OwnedKind::Topic => self.topic(name),
            OwnedKind::Function => self.function(view, &wanted.thing),
            OwnedKind::Sequence => self.relation(view, name, Kind::Sequence),
            kind => {
                let thing = self.relation(view, name, Kind::Table)?;
                let word = match kind {
                    OwnedKind::View => "view",
                    OwnedKind::Materialized => "materialized view",
                    // ALTER TABLE is for views too.
                    _ => thing.word,
                };
                if thing.word == word {
                    return Ok(thing);
                }
                Err(Error::invalid(format!("\"{}\" is not a {word}", thing.name))
                    .with_code("42809")
                    .with_hint(format!("it is a {}", thing.word)))
            }
        }
    }

    fn may_hand_over(&self, thing: &Thing, to: i64) -> Result<()> {
        let owner = self.owner_of(thing);
        if to == owner || self.who.superuser {
            return Ok(());
        }
        if !self.who.has(owner) {
            return Err(not_owner(thing.word, &thing.name, self.role_name(owner)));
        }
        if !self.is_member_of(to) {
            return Err(forbidden(format!("must be member of role \"{}\"", self.role_name(to))));
        }
        let view = self.transaction.view();
        if thing.kind == Kind::Schema {
            let may = self.rights(view).on_database() & CREATE != 0;
            return if may { Ok(()) } else { Err(denied("database", "polder", "GRANT CREATE ON DATABASE polder")) };
        }
        match &thing.schema {
            Some(schema) => Rights::new(&self.who.acting_as(to), view).create_in(schema),
            None => Ok(()),
        }
    }

    fn hand_over(&mut self, thing: &Thing, to: i64) -> Result<()> {
        let owner = self.owner_of(thing);
        if let Some(topic) = thing.topic {
            return self.hand_topic_over(topic, &thing.name, to);
        }
        let Some(id) = thing.id else {
            if to == OWNER_OID {
                return Ok(());
            }
            return Err(Error::unsupported("the database always belongs to the first role")
                .with_hint("GRANT CREATE ON DATABASE polder TO …; or make the role a SUPERUSER"));
        };
        if to == owner {
            return Ok(());
        }
        self.change_access(id, |access| {
            access.owner = Some(to);
            access.grants = access.grants.as_deref().map(|grants| acl::handed_over(grants, owner, to));
            for grants in access.columns.values_mut() {
                *grants = acl::handed_over(grants, owner, to);
            }
        })
    }

    /// The things that a role owns.
    fn owned_by(&self, role: i64) -> Vec<Thing> {
        let view = self.transaction.view();
        let owned = view.all_access().iter().filter(|(_, access)| access.owner == Some(role));
        owned.filter_map(|(id, _)| self.thing(*id)).collect()
    }

    pub(super) fn reassign(&mut self, from: &[RoleName], to: &RoleName) -> Result<Done> {
        let from = self.resolve_all(from)?;
        for role in &from {
            if !self.who.has(*role) {
                return Err(forbidden("permission denied to reassign objects"));
            }
        }
        let to = self.resolve(to)?;
        if !self.who.has(to) {
            return Err(forbidden("permission denied to reassign objects"));
        }
        for role in &from {
            self.check_can_lose(*role, "cannot reassign ownership of objects owned by")?;
            for thing in self.owned_by(*role) {
                self.hand_over(&thing, to)?;
            }
            for topic in self.topics_of(*role) {
                self.hand_over(&topic, to)?;
            }
        }
        let names: Vec<&str> = from.iter().map(|role| self.role_name(*role)).collect();
        let message = Some(format!("to {}", self.role_name(to)));
        Ok(Done { message, ..done("REASSIGN OWNED", "reassign owned", names.join(", ")) })
    }

    fn check_can_lose(&self, role: i64, what: &str) -> Result<()> {
        if !is_always_there(role) {
            return Ok(());
        }
        let name = self.role_name(role);
        let message = format!("{what} role {name} because they are required by the database system");
        Err(Error::invalid(message).with_code(DEPENDENTS))
    }

    pub(super) fn drop_owned(&mut self, by: &[RoleName], cascade: bool) -> Result<Done> {
        let roles = self.resolve_all(by)?;
        for role in &roles {
            if !self.who.has(*role) {
                return Err(forbidden("permission denied to drop objects"));
            }
            self.check_can_lose(*role, "cannot drop objects owned by")?;
        }
        for role in &roles {
            self.forget_grants(*role)?;
        }
        let things = roles.iter().flat_map(|role| self.owned_by(*role)).collect();
        self.drop_things(things, cascade)?;
        let names: Vec<&str> = roles.iter().map(|role| self.role_name(*role)).collect();
        Ok(done("DROP OWNED", "drop owned", names.join(", ")))
    }

    /// What one of them stands on is dropped after it, whatever the order in which they come.
    fn drop_things(&mut self, mut left: Vec<Thing>, cascade: bool) -> Result<()> {
        // What is in a schema goes before it.
        left.sort_by_key(|thing| thing.kind == Kind::Schema);
        loop {
            let before = left.len();
            let mut refusal = None;
            for thing in std::mem::take(&mut left) {
                match self.drop_thing(&thing, cascade) {
                    Ok(()) => {}
                    Err(error) if error.code() == DEPENDENTS => {
                        refusal.get_or_insert(error);
                        left.push(thing);
                    }
                    Err(error) => return Err(error),
                }
            }
            match refusal {
                None => return Ok(()),
                Some(error) if left.len() == before => return Err(error),
                Some(_) => {}
            }
        }
    }

    fn drop_thing(&mut self, thing: &Thing, cascade: bool) -> Result<()> {
        // It may have gone with another one.
        let is_there = thing.id.is_some_and(|id| self.thing(id).is_some());
        if !is_there {
            return Ok(());
        }
        let name = TableName::new(thing.schema.as_deref().unwrap_or(&thing.name), &thing.name);
        let path = self.context.settings.path.as_slice();
        let dropped = match (thing.kind, thing.word) {
            (Kind::Schema, _) => ddl::drop_schema(self.transaction, &thing.name, cascade, path)?,
            (Kind::Function, _) => ddl::drop_whole_function(self.transaction, &name, cascade)?,
            (_, "view") => ddl::drop_view(self.transaction, &name, cascade, path)?,
            (_, "materialized view") => ddl::drop_materialized(self.transaction, &name, cascade, path)?,
            _ => ddl::drop_table(self.transaction, &name, cascade, &[], path)?,
        };
        dropped.into_iter().for_each(|thing| self.note(format!("drop cascades to {thing}")));
        Ok(())
    }

    /// Takes all that was granted to a role away, and what it has granted with it; and its defaults.
    fn forget_grants(&mut self, role: i64) -> Result<()> {
        if let Some(mut grants) = self.database_grants()
            && forget(&mut grants, OWNER_OID, role)?
        {
            self.put_database(&grants)?;
        }
        let defaults = self.rows.defaults.clone();
        for (owner, kind, items) in defaults {
            let mut grants: Vec<Grant> =
                serde_json::from_str(&items).map_err(|error| Error::internal(error.to_string()))?;
            if owner == role {
                self.put_default(owner, &kind, None);
            } else if forget(&mut grants, owner, role)? {
                let items = serde_json::to_string(&grants).map_err(|error| Error::internal(error.to_string()))?;
                self.put_default(owner, &kind, Some(items));
            }
        }
        self.forget_topic_grants(role)?;
        let all = std::sync::Arc::clone(self.transaction.view().all_access());
        for (id, known) in all.iter() {
            let mut access = known.as_ref().clone();
            let owner = access.owner.unwrap_or(OWNER_OID);
            let mut is_changed = match &mut access.grants {
                Some(grants) if owner != role => forget(grants, owner, role)?,
                _ => false,
            };
            for grants in access.columns.values_mut().filter(|_| owner != role) {
                is_changed |= forget(grants, owner, role)?;
            }
            access.columns.retain(|_, grants| !grants.is_empty());
            is_changed |= owner != role && forget_in_policies(&mut access.policies, role);
            let before = access.defaults.len();
            access.defaults.retain(|known| known.role != role);
            is_changed |= access.defaults.len() != before;
            for known in &mut access.defaults {
                is_changed |= forget(&mut known.grants, known.role, role)?;
            }
            access.defaults.retain(|known| !known.grants.is_empty());
            if is_changed {
                self.transaction.set_access(*id, access)?;
            }
        }
        Ok(())
    }
}

/// Takes a role out of policies and masks; a policy that was for nobody else goes. Whether there was any.
fn forget_in_policies(policies: &mut Policies, role: i64) -> bool {
    let before = policies.clone();
    policies.rows.iter_mut().for_each(|policy| policy.roles.retain(|known| *known != role));
    policies.rows.retain(|policy| !policy.roles.is_empty());
    policies.masks.values_mut().for_each(|mask| mask.except.retain(|known| *known != role));
    *policies != before
}

/// Takes what a role has, and what it has granted, from a list. Whether there was any.
pub(super) fn forget(grants: &mut Vec<Grant>, owner: i64, role: i64) -> Result<bool> {
    let before = grants.len();
    let of_role = |grant: &&Grant| grant.role == role || grant.grantor == role;
    let gone: Vec<Grant> = grants.iter().filter(of_role).cloned().collect();
    for grant in gone {
        // Whoever has it from another one too keeps that.
        let taken = Revoked { rights: grant.rights | grant.grantable, option_only: false, cascade: true };
        acl::revoke(grants, owner, grant.role, grant.grantor, taken)?;
    }
    debug_assert!(role != EVERYBODY);
    Ok(grants.len() != before)
}
