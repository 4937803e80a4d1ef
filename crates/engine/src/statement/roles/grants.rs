//! GRANT and REVOKE of rights on things.

use std::collections::BTreeMap;

use polder_lake::{Access, EVERYBODY, Grant};
use polder_metastore::Roles;
use polder_types::{Error, Result};

use super::members::INVALID_GRANT;
use super::names::RoleName;
use super::statements::{Granted, On, Wanted};
use super::things::Thing;
use super::{Done, Work, done};
use crate::authz::acl::{self, Revoked};
use crate::authz::denied;
use crate::authz::rights::{self, Kind};

/// What a statement grants or revokes, once its words are understood.
struct Change<'a> {
    granted: &'a Granted,
    /// Who gets it, or loses it.
    roles: Vec<i64>,
    /// On things as a whole.
    rights: u32,
    /// All that there are: then nothing is said of those that could not be granted.
    is_all: bool,
    /// On columns of theirs.
    columns: Vec<(String, u32)>,
}

fn invalid_grant(message: impl Into<String>) -> Error {
    Error::invalid(message).with_code(INVALID_GRANT)
}

impl Work<'_> {
    pub(super) fn grant(&mut self, granted: &Granted, names: &BTreeMap<i64, Vec<String>>) -> Result<Done> {
        self.check_grantor(granted.granted_by.as_ref())?;
        let things = self.things(&granted.on)?;
        let roles = self.grantees(&granted.roles)?;
        let kind = kind_of(&granted.on);
        let (rights, columns) = wanted(&granted.wanted, kind)?;
        let is_all = matches!(granted.wanted, Wanted::All(_));
        let change = Change { granted, roles, rights, is_all, columns };
        for thing in &things {
            self.change_rights(&change, thing, names)?;
        }
        let (verb, event) = if granted.is_grant { ("GRANT", "grant") } else { ("REVOKE", "revoke") };
        let object = things.iter().map(|thing| format!("{} {}", thing.word, thing.shown())).collect::<Vec<_>>();
        Ok(Done { message: Some(self.summary(&change)), ..done(verb, event, object.join(", ")) })
    }

    /// What was granted or revoked, for the audit.
    fn summary(&self, change: &Change<'_>) -> String {
        let words: Vec<&str> = rights::names(change.rights, 0).map(|(word, _)| word).collect();
        let columns = change.columns.iter().map(|(column, rights)| {
            let words: Vec<&str> = rights::names(*rights, 0).map(|(word, _)| word).collect();
            format!("{} ({column})", words.join(", "))
        });
        let all: Vec<String> = words.into_iter().map(str::to_owned).chain(columns).collect();
        let roles: Vec<&str> = change.roles.iter().map(|role| self.grantee_name(*role)).collect();
        let to = if change.granted.is_grant { "to" } else { "from" };
        let option = if change.granted.option { ", grant option" } else { "" };
        format!("{} {to} {}{option}", all.join(", "), roles.join(", "))
    }

    pub(super) fn grantee_name(&self, role: i64) -> &str {
        if role == EVERYBODY { "PUBLIC" } else { self.role_name(role) }
    }

    /// # Errors
    /// `Unsupported` for another role than the current one.
    pub(super) fn check_grantor(&self, role: Option<&RoleName>) -> Result<()> {
        match role {
            Some(role) if self.resolve(role)? != self.who.role => {
                Err(Error::unsupported("grantor must be current user").with_hint("SET ROLE first"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn grantees(&self, roles: &[RoleName]) -> Result<Vec<i64>> {
        let one = |role: &RoleName| if *role == RoleName::Public { Ok(EVERYBODY) } else { self.resolve(role) };
        roles.iter().map(one).collect()
    }

    fn change_rights(&mut self, change: &Change<'_>, thing: &Thing, names: &BTreeMap<i64, Vec<String>>) -> Result<()> {
        let mut of_columns = self.columns_of(change, thing, names)?;
        if change.rights != 0 {
            let mut grants = self.grants_on(thing);
            let before = grants.clone();
            let (grantor, may) = self.grantor(&grants, thing, thing.kind.rights(), change.rights);
            if may == 0 && self.rights_on(thing) == 0 {
                return Err(denied(thing.word, &thing.name, self.hint(thing)));
            }
            let rights = change.rights & may;
            self.note_less(change, rights, change.rights, change.is_all, &format!("\"{}\"", thing.name));
            merge(&mut grants, change.granted, &change.roles, grantor, self.owner_of(thing), rights)?;
            if grants != before {
                self.put_grants(thing, grants)?;
            }
            if !change.granted.is_grant {
                self.add_columns_of_whole(thing, rights, &mut of_columns);
            }
        }
        for (column, (name, rights)) in of_columns {
            self.change_column(change, thing, column, &name, rights)?;
        }
        Ok(())
    }

    /// In whose name it is granted, and what may be.
    fn grantor(&self, grants: &[Grant], thing: &Thing, all: u32, wanted: u32) -> (i64, u32) {
        acl::grantor(grants, self.owner_of(thing), all, wanted, self.who)
    }

    fn hint(&self, thing: &Thing) -> String {
        format!("{} owns it, and may grant rights on it", self.role_name(self.owner_of(thing)))
    }

    /// The rights of whoever runs the statement on a thing as a whole.
    fn rights_on(&self, thing: &Thing) -> u32 {
        if let Some(topic) = thing.topic {
            return self.rights_on_topic(topic);
        }
        let view = self.transaction.view();
        match thing.id {
            Some(id) => self.rights(view).on(thing.kind, id),
            None => self.rights(view).on_database(),
        }
    }

    fn note_less(&mut self, change: &Change<'_>, given: u32, wanted: u32, is_all: bool, what: &str) {
        let (done, code) =
            if change.granted.is_grant { ("were granted", "01007") } else { ("could be revoked", "01006") };
        let how_many = match () {
            () if given == 0 => "no",
            () if given != wanted && !is_all => "not all",
            () => return,
        };
        self.warn(code, format!("{how_many} privileges {done} for {what}"));
    }

    fn put_grants(&mut self, thing: &Thing, grants: Vec<Grant>) -> Result<()> {
        match (thing.topic, thing.id) {
            (Some(topic), _) => self.put_topic_grants(topic, &thing.name, &grants),
            (_, Some(id)) => self.change_access(id, |access| access.grants = Some(grants)),
            (None, None) => self.put_database(&grants),
        }
    }

    pub(super) fn put_database(&mut self, grants: &[Grant]) -> Result<()> {
        let items = serde_json::to_string(grants).map_err(|error| Error::internal(error.to_string()))?;
        self.transaction.attach(Roles::database_write(&items));
        self.rows.database = Some(items);
        self.is_changed = true;
        Ok(())
    }

    /// Changes who owns a thing and who may do what with it.
    pub(super) fn change_access(&mut self, id: i64, change: impl FnOnce(&mut Access)) -> Result<()> {
        let mut access = self.transaction.view().access(id).map(|known| known.as_ref().clone()).unwrap_or_default();
        change(&mut access);
        self.transaction.set_access(id, access)
    }

    /// The columns that a statement names, by their keys, with the rights on them.
    fn columns_of(
        &self,
        change: &Change<'_>,
        thing: &Thing,
        names: &BTreeMap<i64, Vec<String>>,
    ) -> Result<BTreeMap<i64, (String, u32)>> {
        let mut found: BTreeMap<i64, (String, u32)> = BTreeMap::new();
        let Some(id) = thing.id else { return Ok(found) };
        let view = self.transaction.view();
        for (name, rights) in &change.columns {
            let known = match (view.tables.get(&id), names.get(&id)) {
                (Some(table), _) => table.top_columns().find(|column| column.name == *name).map(|column| column.id),
                (None, Some(names)) => names.iter().position(|known| known == name).map(|at| at as i64 + 1),
                (None, None) => None,
            };
            let missing = || {
                let message = format!("column \"{name}\" of relation \"{}\" does not exist", thing.name);
                Error::not_found(message).with_code("42703")
            };
            found.entry(known.ok_or_else(missing)?).or_insert_with(|| (name.clone(), 0)).1 |= rights;
        }
        Ok(found)
    }

    /// What is revoked on a table is revoked on its columns too.
    fn add_columns_of_whole(&self, thing: &Thing, rights: u32, columns: &mut BTreeMap<i64, (String, u32)>) {
        let rights = rights & Kind::Column.rights();
        let view = self.transaction.view();
        let Some(access) = thing.id.and_then(|id| view.access(id)) else { return };
        if rights == 0 || thing.kind != Kind::Table {
            return;
        }
        for column in access.columns.keys() {
            columns.entry(*column).or_insert_with(|| (String::new(), 0)).1 |= rights;
        }
    }

    fn change_column(
        &mut self,
        change: &Change<'_>,
        thing: &Thing,
        column: i64,
        name: &str,
        wanted: u32,
    ) -> Result<()> {
        let Some(id) = thing.id else { return Ok(()) };
        let view = self.transaction.view();
        let known = view.access(id).and_then(|access| access.columns.get(&column)).cloned();
        let mut grants = known.unwrap_or_default();
        let before = grants.clone();
        // Whoever may grant a right on the whole table may grant it on a column.
        let merged: Vec<Grant> = self.grants_on(thing).into_iter().chain(grants.iter().cloned()).collect();
        let all = Kind::Column.rights();
        let (grantor, may) = self.grantor(&merged, thing, all, wanted);
        // One that is not named comes from the whole table, of which everything has been said.
        if !name.is_empty() {
            if may == 0 && (self.rights(view).on_column(id, column) | self.rights_on(thing)) == 0 {
                let message = format!("permission denied for column \"{name}\" of relation \"{}\"", thing.name);
                return Err(super::forbidden(message).with_hint(self.hint(thing)));
            }
            let what = format!("column \"{name}\" of relation \"{}\"", thing.name);
            self.note_less(change, wanted & may, wanted, wanted == all, &what);
        }
        merge(&mut grants, change.granted, &change.roles, grantor, self.owner_of(thing), wanted & may)?;
        if grants == before {
            return Ok(());
        }
        self.change_access(id, |access| {
            if grants.is_empty() {
                access.columns.remove(&column);
            } else {
                access.columns.insert(column, grants);
            }
        })
    }
}

/// What a list of grants becomes.
///
/// # Errors
/// 0LP01 for a grant that cannot be, 2BP01 for one that others stand on.
pub(super) fn merge(
    grants: &mut Vec<Grant>,
    granted: &Granted,
    roles: &[i64],
    grantor: i64,
    owner: i64,
    rights: u32,
) -> Result<()> {
    for role in roles {
        if granted.is_grant {
            if granted.option && *role == EVERYBODY {
                return Err(invalid_grant("grant options can only be granted to roles"));
            }
            if granted.option {
                acl::check_not_circular(grants, owner, *role, grantor, rights)?;
            }
            acl::grant(grants, *role, grantor, rights, granted.option);
        } else if rights != 0 {
            let taken = Revoked { rights, option_only: granted.option, cascade: granted.cascade };
            acl::revoke(grants, owner, *role, grantor, taken)?;
        }
    }
    grants.retain(|grant| grant.rights != 0 || grant.grantable != 0);
    Ok(())
}

fn kind_of(on: &On) -> Kind {
    match on {
        On::Database(_) => Kind::Database,
        On::Schemas(_) => Kind::Schema,
        On::Relations(kind, _) | On::AllIn(kind, _) => *kind,
        On::Functions(_) => Kind::Function,
        On::Topics(_) | On::AllTopics => Kind::Topic,
    }
}

/// The rights that a statement names: on things as a whole, and on columns.
///
/// # Errors
/// `InvalidInput` (42601, 0LP01) for what is no right, or none on such a thing.
pub(super) fn wanted(wanted: &Wanted, kind: Kind) -> Result<(u32, Vec<(String, u32)>)> {
    let mut whole = 0;
    let mut columns: Vec<(String, u32)> = Vec::new();
    let no_columns = || invalid_grant("column privileges are only valid for relations");
    let rights = match wanted {
        Wanted::All(named) if named.is_empty() => return Ok((kind.rights(), columns)),
        Wanted::All(_) if kind != Kind::Table => return Err(no_columns()),
        Wanted::All(named) => {
            columns.extend(named.iter().map(|column| (column.clone(), Kind::Column.rights())));
            return Ok((0, columns));
        }
        Wanted::These(rights) => rights,
    };
    for wanted in rights {
        let unknown = || {
            Error::invalid(format!("unrecognized privilege type \"{}\"", wanted.name))
                .with_code("42601")
                .with_hint("GRANT SELECT, INSERT, UPDATE, DELETE, … ON a table; USAGE, CREATE ON a schema")
        };
        let right = rights::of_name(&wanted.name).ok_or_else(unknown)?;
        let on = if wanted.columns.is_empty() { kind } else { Kind::Column };
        if !wanted.columns.is_empty() && kind != Kind::Table {
            return Err(no_columns());
        }
        if on.rights() & right == 0 {
            let word = match on {
                // A sequence would have it.
                Kind::Table if right == rights::USAGE => "table",
                Kind::Table => "relation",
                on => on.word(),
            };
            let name = rights::names(right, 0).map(|(name, _)| name).next().unwrap_or_default();
            return Err(invalid_grant(format!("invalid privilege type {name} for {word}")));
        }
        if wanted.columns.is_empty() {
            whole |= right;
        }
        columns.extend(wanted.columns.iter().map(|column| (column.clone(), right)));
    }
    Ok((whole, columns))
}
