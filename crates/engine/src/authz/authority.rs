//! The roles that hold now, and in whose name a session's statements run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, RwLock};
use polder_capability::Caller;
use polder_capability::topics::TopicNames;
use polder_lake::{Snapshot, Version};
use polder_metastore::{Metastore, OWNER_OID, Write};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::acl::rights_in;
use super::book::RoleBook;
use super::rights::{CONNECT, Kind};
use crate::engine::Engine;
use crate::limits::LimitSettings;
use crate::session::{Inner, Settings};
use crate::statement::roles::{begin_with, taken_on};

/// All roles, read when they are first asked for, and again when they have changed. Nobody else changes them: the metastore
/// is this process's alone.
#[derive(Debug)]
pub(crate) struct Authority {
    metastore: Arc<Metastore>,
    book: RwLock<Option<Arc<RoleBook>>>,
    /// Connections of each user by PostgreSQL's protocol, for whose number a role has a limit.
    connections: Mutex<HashMap<String, i64>>,
    /// Held while roles are read, so that an older reading does not take the place of a newer one.
    reading: tokio::sync::Mutex<()>,
    /// Held by a statement that changes roles or rights as a transaction by itself: they go one after the other.
    changing: tokio::sync::Mutex<()>,
    /// The number of the next role, as far as transactions that are still open have taken some.
    next_oid: AtomicI64,
    /// The topics that there are, if there are any: whoever has them asks here for rights, and lives by itself.
    topics: OnceLock<Weak<dyn TopicNames>>,
}

/// The way in by which sessions are connections.
const CONNECTED: &str = "postgres";

impl Authority {
    pub fn new(metastore: Arc<Metastore>) -> Self {
        Self {
            metastore,
            book: RwLock::default(),
            connections: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            next_oid: AtomicI64::new(0),
            topics: OnceLock::new(),
        }
    }

    /// Waits until no other statement by itself changes roles or rights.
    pub async fn one_at_a_time(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// A number for a role that is made, which no other one gets, whatever becomes of it; `least` at least.
    pub fn take_oid(&self, least: i64) -> i64 {
        self.next_oid.fetch_max(least, Ordering::Relaxed);
        self.next_oid.fetch_add(1, Ordering::Relaxed)
    }

    /// Where topics are found by their names; once.
    pub fn set_topics(&self, topics: Weak<dyn TopicNames>) {
        let _ = self.topics.set(topics);
    }

    fn topic_names(&self) -> Option<Arc<dyn TopicNames>> {
        self.topics.get().and_then(Weak::upgrade)
    }

    /// The topic of a name.
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.topic_names()?.id_of(name)
    }

    /// All topics, by their names; `None`: it is not known which there are.
    pub fn topics(&self) -> Option<Vec<(String, Uuid)>> {
        self.topic_names().map(|topics| topics.all())
    }

    /// Writes down what holds about topics, outside of statements.
    pub async fn write_topics(&self, writes: &[Write]) -> Result<()> {
        self.metastore.write(writes).await?;
        self.changed().await;
        Ok(())
    }

    /// Lets somebody in who has shown who they are.
    ///
    /// # Errors
    /// `Unauthenticated` (28000) for a role that may not log in, `Forbidden` (42501) without CONNECT on the database,
    /// `Exhausted` (53300) for one connection too many.
    pub async fn admit(&self, user: &str, via: &str, now: DateTime<Utc>) -> Result<()> {
        let mut book = self.book().await?;
        if book.check_login(user, now).is_err() {
            // Users are made beside SQL too: at the first start, say.
            book = self.reload().await?;
            book.check_login(user, now)?;
        }
        let role = book.named(user)?;
        if role.is_superuser {
            return Ok(());
        }
        let who = book.who(role.oid, role.oid);
        let usual = Kind::Database.usual(OWNER_OID);
        if rights_in(book.database.as_ref().unwrap_or(&usual), &who) & CONNECT == 0 {
            let error = Error::new(ErrorKind::Forbidden, "permission denied for database \"polder\"");
            return Err(error.with_hint(format!("GRANT CONNECT ON DATABASE polder TO {user}")));
        }
        let connections = self.connections.lock().get(user).copied().unwrap_or(0);
        if via == CONNECTED && role.connection_limit >= 0 && connections >= role.connection_limit {
            let message = format!("too many connections for role \"{user}\"");
            let error = Error::new(ErrorKind::Exhausted, message).with_code("53300");
            return Err(error.with_hint(format!("close one, or ALTER ROLE {user} CONNECTION LIMIT n")));
        }
        Ok(())
    }

    /// A session begins, or ends.
    pub fn count(&self, caller: &Caller, change: i64) {
        if caller.via != CONNECTED {
            return;
        }
        let mut connections = self.connections.lock();
        let count = connections.entry(caller.user.clone()).or_default();
        *count += change;
        if *count <= 0 {
            connections.remove(&caller.user);
        }
    }

    /// Roles have changed, and that is committed.
    pub async fn changed(&self) {
        if self.reload().await.is_err() {
            // The next statement reads them.
            *self.book.write() = None;
        }
    }

    /// What is known without waiting: before the roles have been read, that there is the owner of everything.
    pub fn known(&self) -> Arc<RoleBook> {
        self.book.read().clone().unwrap_or_default()
    }

    pub async fn book(&self) -> Result<Arc<RoleBook>> {
        let known = self.book.read().clone();
        match known {
            Some(book) => Ok(book),
            None => self.reload().await,
        }
    }

    /// Reads the roles anew, after a change of them.
    pub async fn reload(&self) -> Result<Arc<RoleBook>> {
        let _one_at_a_time = self.reading.lock().await;
        let book = Arc::new(RoleBook::of(self.metastore.roles().load().await?));
        *self.book.write() = Some(Arc::clone(&book));
        Ok(book)
    }
}

impl Engine {
    /// Reads the roles, so that sessions begin with the settings of theirs.
    ///
    /// # Errors
    /// When the metastore cannot be read.
    pub async fn load_roles(&self) -> Result<()> {
        self.authority.reload().await.map(drop)
    }

    /// Gives a user's session the settings that it begins with: those of its role, of which limits are ceilings for all but
    /// superusers.
    pub(crate) fn start(&self, user: &str, settings: &mut Settings) {
        let book = self.authority.known();
        let Some(role) = book.find(user) else { return };
        let of_role = book.settings(role.oid);
        // They were read when they were set; what cannot be read is no limit.
        settings.limits = LimitSettings::of_role(&of_role, role.is_superuser).unwrap_or_default();
        begin_with(settings, &of_role);
        settings.login = Some(role.oid);
        settings.role = taken_on(&book, role.oid, &of_role);
        settings.of_role = Arc::new(of_role);
    }

    /// Before a session says anew who it is: roles that are gone, or are not its user's any more, are left, in whose name
    /// nothing can be run.
    pub(crate) async fn leave_gone(&self, settings: &mut Settings) -> Result<()> {
        let book = match &settings.roles {
            Some(changed) => Arc::clone(changed),
            None => self.authority.book().await?,
        };
        settings.user = settings.user.filter(|user| book.role(*user).is_some());
        let user = settings.user.or(settings.login).unwrap_or(settings.who.user);
        let is_left = |role: i64| book.role(role).is_none() || !takes_on(&book, user, role);
        settings.role = settings.role.filter(|role| !is_left(*role));
        Ok(())
    }

    /// Settles in whose name the next statement of a session runs, and with which rights.
    ///
    /// # Errors
    /// `Unauthenticated` (28000) for a user who is not there, or not any more; `Forbidden` (42501) for a role that the session
    /// has taken on and whose member its user is no more.
    pub(crate) async fn identify(&self, caller: &Caller, settings: &mut Settings) -> Result<()> {
        let mut book = match &settings.roles {
            Some(changed) => Arc::clone(changed),
            None => self.authority.book().await?,
        };
        let known = |book: &RoleBook| match settings.user.or(settings.login) {
            Some(user) => book.role(user).map(|role| role.oid),
            None => book.find(&caller.user).map(|role| role.oid),
        };
        if settings.roles.is_none() && known(&book).is_none() {
            // Made beside SQL, since the roles were read.
            book = self.authority.reload().await?;
        }
        let user = known(&book);
        let user = user.ok_or_else(|| gone(&caller.user))?;
        let role = settings.role.unwrap_or(user);
        if book.role(role).is_none() {
            return Err(gone(&role.to_string()).with_hint("RESET ROLE"));
        }
        // Gathering memberships is not for each statement.
        let is_known = Arc::ptr_eq(&settings.who.book, &book) && (settings.who.user, settings.who.role) == (user, role);
        if !is_known {
            if !takes_on(&book, user, role) {
                return Err(taken_away(book.name(role).unwrap_or_default()));
            }
            settings.who = book.who(user, role);
        }
        settings.who.travels = settings.version != Version::Newest;
        settings.who.newest = match settings.version {
            Version::Newest => None,
            _ => Some(Arc::clone(self.lake.newest().await?.all_access())),
        };
        Ok(())
    }

    /// The same for a statement that may be one of a transaction: its rows are those of when it began, and what others have
    /// granted and revoked since holds all the same. A transaction that is left open would else keep what has been taken away.
    ///
    /// # Errors
    /// As `identify`.
    pub(crate) async fn identify_in(&self, caller: &Caller, inner: &mut Inner) -> Result<()> {
        self.identify(caller, &mut inner.settings).await?;
        if inner.settings.who.superuser || inner.settings.version != Version::Newest {
            return Ok(());
        }
        let Some(open) = &inner.open else { return Ok(()) };
        let newest = self.lake.newest().await?;
        if Arc::ptr_eq(newest.all_access(), &open.granted) {
            return Ok(());
        }
        let mut granted = newest.all_access().as_ref().clone();
        if let Some(transaction) = open.cell.lock().await.as_ref() {
            for (id, access) in transaction.view().all_access().iter() {
                // What it has changed itself, and what is there for it alone.
                let is_own = open.granted.get(id) != Some(access);
                if is_own || !has_thing(&newest, *id) {
                    granted.insert(*id, Arc::clone(access));
                }
            }
        }
        inner.settings.who.newest = Some(Arc::new(granted));
        Ok(())
    }
}

/// Whether a user may run statements in the name of a role.
fn takes_on(book: &RoleBook, user: i64, role: i64) -> bool {
    user == role || book.role(user).is_some_and(|user| user.is_superuser) || book.is_member(user, role)
}

fn taken_away(role: &str) -> Error {
    let message =
        format!("permission denied to go on as role \"{role}\": the session's user is not a member of it any more");
    Error::new(ErrorKind::Forbidden, message).with_code("42501").with_hint("RESET ROLE")
}

fn has_thing(snapshot: &Snapshot, id: i64) -> bool {
    snapshot.tables.contains_key(&id)
        || snapshot.views.contains_key(&id)
        || snapshot.schemas.contains_key(&id)
        || snapshot.functions.contains_key(&id)
}

fn gone(name: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("role \"{name}\" does not exist")).with_code("28000")
}
