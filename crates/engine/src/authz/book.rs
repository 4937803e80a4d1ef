//! All roles, in memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use polder_lake::{DefaultGrants, EVERYBODY, Grant};
use polder_metastore::{OWNER_OID, Role, RoleMember, RoleRows};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::rights::Kind;
use super::who::Who;

/// Reads every table and view.
pub(crate) const READ_ALL_DATA: i64 = 6_181;
/// Changes the rows of every table.
pub(crate) const WRITE_ALL_DATA: i64 = 6_182;
/// Reads files on the server's disk.
pub(crate) const READ_SERVER_FILES: i64 = 4_569;
/// Writes files on the server's disk.
pub(crate) const WRITE_SERVER_FILES: i64 = 4_570;
/// Sees the statements of others.
pub(crate) const READ_ALL_STATS: i64 = 3_375;
const MONITOR: i64 = 3_373;
/// Ends the statements of others.
pub(crate) const SIGNAL_BACKEND: i64 = 4_200;

/// The roles that are always there, with PostgreSQL's names and numbers.
const PREDEFINED: &[(i64, &str)] = &[
    (MONITOR, "pg_monitor"),
    (READ_ALL_STATS, "pg_read_all_stats"),
    (SIGNAL_BACKEND, "pg_signal_backend"),
    (READ_SERVER_FILES, "pg_read_server_files"),
    (WRITE_SERVER_FILES, "pg_write_server_files"),
    (READ_ALL_DATA, "pg_read_all_data"),
    (WRITE_ALL_DATA, "pg_write_all_data"),
];

/// Bytes of the name of a role after which something else is named: what is longer is looked at no further.
const NAMED_AFTER_BYTES_MAX: usize = 256;

/// All roles as they were at one moment.
#[derive(Debug, Clone)]
pub(crate) struct RoleBook {
    pub rows: RoleRows,
    /// Where in `rows.roles` a role is.
    by_oid: BTreeMap<i64, usize>,
    by_name: HashMap<String, i64>,
    /// Of each role those that it is a member of, and whether as one who may make members.
    above: BTreeMap<i64, Vec<(i64, bool)>>,
    /// What is granted on the database; `None`: what is usual.
    pub database: Option<Vec<Grant>>,
    /// What roles grant on things that they make, whatever the schema.
    pub defaults: Vec<DefaultGrants>,
    /// Who owns a topic and what is granted on it, by its id; of one that is not here nobody has said anything.
    topics: HashMap<Uuid, TopicAccess>,
}

/// Who owns a topic, and what is granted on it.
#[derive(Debug, Clone)]
struct TopicAccess {
    owner: i64,
    /// `None`: what is usual.
    grants: Option<Vec<Grant>>,
}

impl Default for RoleBook {
    fn default() -> Self {
        Self::of(RoleRows {
            roles: vec![Role::superuser(OWNER_OID, "polder")],
            next_oid: 16_384,
            ..RoleRows::default()
        })
    }
}

impl RoleBook {
    /// The book of what the metastore holds, with the roles that are always there.
    pub fn of(mut rows: RoleRows) -> Self {
        for (oid, name) in PREDEFINED {
            if !rows.roles.iter().any(|role| role.oid == *oid) {
                rows.roles.push(Role::new(*oid, *name));
            }
        }
        let monitor = RoleMember { role: READ_ALL_STATS, member: MONITOR, grantor: OWNER_OID, has_admin: false };
        if !rows.members.contains(&monitor) {
            rows.members.push(monitor);
        }
        rows.roles.sort_by_key(|role| role.oid);
        let mut above: BTreeMap<i64, Vec<(i64, bool)>> = BTreeMap::new();
        for member in &rows.members {
            above.entry(member.member).or_default().push((member.role, member.has_admin));
        }
        // What cannot be read any more is not granted.
        let read = |text: &str| serde_json::from_str::<Vec<Grant>>(text).unwrap_or_default();
        let defaults = rows.defaults.iter().map(|(role, kind, items)| DefaultGrants {
            role: *role,
            kind: kind.clone(),
            grants: read(items),
        });
        let topics = rows.topics.iter().filter_map(|row| {
            let access = TopicAccess { owner: row.owner, grants: row.items.as_deref().map(read) };
            Some((Uuid::parse_str(&row.topic_id).ok()?, access))
        });
        Self {
            topics: topics.collect(),
            by_oid: rows.roles.iter().enumerate().map(|(at, role)| (role.oid, at)).collect(),
            by_name: rows.roles.iter().map(|role| (role.name.clone(), role.oid)).collect(),
            above,
            database: rows.database.as_deref().map(read),
            defaults: defaults.collect(),
            rows,
        }
    }

    /// In the order of their numbers.
    pub fn roles(&self) -> &[Role] {
        &self.rows.roles
    }

    pub fn members(&self) -> &[RoleMember] {
        &self.rows.members
    }

    pub fn role(&self, oid: i64) -> Option<&Role> {
        self.by_oid.get(&oid).and_then(|at| self.rows.roles.get(*at))
    }

    pub fn name(&self, oid: i64) -> Option<&str> {
        self.role(oid).map(|role| role.name.as_str())
    }

    pub fn find(&self, name: &str) -> Option<&Role> {
        self.by_name.get(name).and_then(|oid| self.role(*oid))
    }

    /// # Errors
    /// `NotFound` (42704).
    pub fn named(&self, name: &str) -> Result<&Role> {
        self.find(name).ok_or_else(|| {
            let error = Error::not_found(format!("role \"{name}\" does not exist")).with_code("42704");
            let known = self.rows.roles.iter().map(|role| role.name.as_str());
            match polder_kernels::similar::closest(name, known) {
                Some(close) => error.with_hint(format!("did you mean {close:?}?")),
                None => error,
            }
        })
    }

    /// All roles that one is a member of, itself included; only those whose rights it inherits, or all.
    pub fn memberships(&self, oid: i64, inherited_only: bool) -> BTreeSet<i64> {
        let mut found = BTreeSet::from([oid]);
        let mut waiting = vec![oid];
        while let Some(next) = waiting.pop() {
            if inherited_only && !self.role(next).is_some_and(|role| role.inherits) {
                continue;
            }
            for (role, _) in self.above.get(&next).into_iter().flatten() {
                if found.insert(*role) {
                    waiting.push(*role);
                }
            }
        }
        found
    }

    /// Whether a role is a member of another one, or is it.
    pub fn is_member(&self, member: i64, role: i64) -> bool {
        self.memberships(member, false).contains(&role)
    }

    /// Whether a role may make others members of another one, by what it was granted.
    pub fn is_admin(&self, member: i64, role: i64) -> bool {
        let all = self.memberships(member, false);
        all.iter().any(|own| self.above.get(own).into_iter().flatten().any(|(above, admin)| *above == role && *admin))
    }

    /// A session of a user with the rights of a role. One that is not there has none.
    pub fn who(self: &Arc<Self>, user: i64, role: i64) -> Who {
        let Some(known) = self.role(role) else { return Who { user, book: Arc::clone(self), ..Who::nobody() } };
        Who {
            user,
            role,
            superuser: known.is_superuser,
            bypasses_policies: known.is_superuser || known.bypasses_policies,
            memberships: Arc::new(self.memberships(role, true)),
            is_system: false,
            lent: false,
            defines: false,
            book: Arc::clone(self),
            newest: None,
            travels: false,
        }
    }

    /// # Errors
    /// `Unauthenticated` (28000) for somebody who is not let in.
    pub fn check_login(&self, name: &str, now: DateTime<Utc>) -> Result<()> {
        let refused = |message: String| Err(Error::new(ErrorKind::Unauthenticated, message).with_code("28000"));
        match self.find(name) {
            None => refused(format!("role \"{name}\" does not exist")),
            Some(role) if !role.logs_in => refused(format!("role \"{name}\" is not permitted to log in")),
            Some(role) if role.valid_until.is_some_and(|until| until < now) => {
                refused(format!("the password of \"{name}\" has expired"))
            }
            Some(_) => Ok(()),
        }
    }

    /// The settings that sessions of a role begin with.
    pub fn settings(&self, oid: i64) -> BTreeMap<String, String> {
        let own = self.rows.settings.iter().filter(|(role, ..)| *role == oid);
        own.map(|(_, name, value)| (name.clone(), value.clone())).collect()
    }

    /// The role that a group or a transactional id is named after: it is its name, or what comes before a dot or a dash of
    /// it. The longest one counts.
    pub fn named_after(&self, name: &str) -> Option<&Role> {
        let cuts = name.match_indices(['.', '-']).map(|(at, _)| at).take_while(|at| *at <= NAMED_AFTER_BYTES_MAX);
        let whole = (name.len() <= NAMED_AFTER_BYTES_MAX).then_some(name.len());
        let ends: Vec<usize> = cuts.chain(whole).collect();
        ends.into_iter().rev().find_map(|end| self.find(name.get(..end)?))
    }

    /// Who owns a topic.
    pub fn topic_owner(&self, id: Uuid) -> i64 {
        self.topics.get(&id).map_or(OWNER_OID, |access| access.owner)
    }

    /// What is granted on a topic.
    pub fn topic_grants(&self, id: Uuid) -> Cow<'_, [Grant]> {
        match self.topics.get(&id).and_then(|access| access.grants.as_deref()) {
            Some(grants) => Cow::Borrowed(grants),
            None => Cow::Owned(Kind::Topic.usual(self.topic_owner(id))),
        }
    }

    /// The topics of which something has been said.
    pub fn said_topics(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.topics.keys().copied()
    }

    /// The name of a role in a list of rights: nothing for everybody.
    pub fn grantee(&self, oid: i64) -> String {
        match self.name(oid) {
            _ if oid == EVERYBODY => String::new(),
            Some(name) => quoted(name),
            None => oid.to_string(),
        }
    }
}

/// A name as PostgreSQL writes it in a list of rights.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    if plain && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(members: &[(i64, i64)]) -> Arc<RoleBook> {
        let mut roles = vec![Role::superuser(OWNER_OID, "polder")];
        roles.extend([(1, "ada"), (2, "readers"), (3, "writers"), (4, "all")].map(|(oid, name)| Role::new(oid, name)));
        roles[1].logs_in = true;
        let members = members.iter().map(|(role, member)| RoleMember {
            role: *role,
            member: *member,
            grantor: OWNER_OID,
            has_admin: *role == 3,
        });
        Arc::new(RoleBook::of(RoleRows { roles, members: members.collect(), ..RoleRows::default() }))
    }

    #[test]
    fn members_have_rights_through_those_who_inherit() {
        let book = book(&[(2, 1), (4, 2), (3, 1)]);
        assert_eq!(*book.who(1, 1).memberships, BTreeSet::from([1, 2, 3, 4]));
        assert!(book.is_member(1, 4) && !book.is_member(4, 1));
        assert!(book.is_admin(1, 3) && !book.is_admin(1, 2));
        let mut rows = book.rows.clone();
        rows.roles.iter_mut().filter(|role| role.oid == 2).for_each(|role| role.inherits = false);
        let book = Arc::new(RoleBook::of(rows));
        assert_eq!(*book.who(1, 1).memberships, BTreeSet::from([1, 2, 3]));
        assert!(book.is_member(1, 4));
    }

    #[test]
    fn a_topic_of_which_nothing_is_said_is_the_first_roles() {
        let (said, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut rows = book(&[]).rows.clone();
        let items = r#"[{"role":2,"grantor":1,"rights":2,"grantable":0}]"#;
        let row = |id: Uuid, items: Option<&str>| polder_metastore::TopicAccess {
            topic_id: id.to_string(),
            topic: "t".into(),
            owner: 1,
            items: items.map(str::to_owned),
        };
        rows.topics = vec![row(said, Some(items))];
        let read = RoleBook::of(rows.clone());
        assert_eq!((read.topic_owner(said), read.topic_owner(other)), (1, OWNER_OID));
        assert_eq!(read.topic_grants(said).iter().map(|grant| grant.role).collect::<Vec<_>>(), [2]);
        assert_eq!(read.topic_grants(other).iter().map(|grant| grant.role).collect::<Vec<_>>(), [OWNER_OID]);
        // What cannot be read gives nobody anything.
        rows.topics = vec![row(said, Some("?"))];
        assert!(RoleBook::of(rows).topic_grants(said).is_empty());
    }

    #[test]
    fn groups_are_named_after_roles() {
        let book = book(&[]);
        let mut rows = book.rows.clone();
        rows.roles.push(Role::new(5, "ada.lab"));
        let book = RoleBook::of(rows);
        let after = |name: &str| book.named_after(name).map(|role| role.oid);
        assert_eq!([after("ada"), after("ada.x"), after("ada-x.y")], [Some(1); 3]);
        assert_eq!([after("ada.lab"), after("ada.lab.x"), after("ada.lab-x")], [Some(5); 3]);
        assert_eq!(after("ada.labs"), Some(1));
        assert_eq!([after(""), after("adam"), after("x.ada"), after(".ada"), after("ada_x")], [None; 5]);
        assert_eq!(after(&format!("ada.{}", "x.".repeat(100_000))), Some(1));
    }

    #[test]
    fn who_is_let_in() {
        let book = book(&[]);
        let now = DateTime::UNIX_EPOCH;
        assert!(book.check_login("ada", now).is_ok());
        let message = |name: &str| book.check_login(name, now).map_err(|error| error.message().to_owned());
        assert_eq!(message("all").unwrap_err(), "role \"all\" is not permitted to log in");
        assert_eq!(message("eve").unwrap_err(), "role \"eve\" does not exist");
        assert!(!book.who(99, 99).superuser && book.who(10, 10).superuser);
        assert!(Who::nobody().memberships.is_empty());
    }
}
