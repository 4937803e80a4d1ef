//! Conversations that outlast a request: a transaction, settings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use polder_capability::{Caller, SqlSession};
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

/// A session that nobody uses ends after this; an open transaction is rolled back with it.
const IDLE_MAX: TimeDelta = TimeDelta::minutes(10);

/// Sessions of one user: many tabs and programs. Beyond it the one that is idle for longest ends, as if its ten minutes
/// were over, so that tabs which were left open stop nobody.
const PER_USER_MAX: usize = 64;

/// How long a statement waits for the one before it in its session. Covers the moment between the last byte of an answer
/// and the end of its statement; a longer wait is a mistake of the client, and it learns so.
const TURN_WAIT_MAX: Duration = Duration::from_secs(2);

/// The open sessions of all users, by user and by the id that the client chose.
pub(crate) struct Sessions {
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<(String, Uuid), Entry>>,
}

#[derive(Clone)]
struct Entry {
    session: Arc<dyn SqlSession>,
    turn: Arc<tokio::sync::Mutex<()>>,
    last_used: Arc<Mutex<DateTime<Utc>>>,
}

impl Entry {
    fn expired(&self, now: DateTime<Utc>) -> bool {
        now - *self.last_used.lock() >= IDLE_MAX && self.turn.try_lock().is_ok()
    }

    /// No statement runs in it, and no transaction is open.
    fn idle(&self) -> bool {
        self.turn.try_lock().is_ok() && !self.session.in_transaction()
    }
}

/// The right to run one statement in a session. Dropping it lets the next one in.
pub(crate) struct Turn {
    pub session: Arc<dyn SqlSession>,
    _kept: Option<Kept>,
}

struct Kept {
    _guard: OwnedMutexGuard<()>,
    clock: Arc<dyn Clock>,
    last_used: Arc<Mutex<DateTime<Utc>>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        *self.last_used.lock() = self.clock.now();
    }
}

impl Turn {
    /// A session for one statement.
    pub(crate) fn once(session: Arc<dyn SqlSession>) -> Self {
        Self { session, _kept: None }
    }
}

impl Sessions {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, open: Mutex::default() }
    }

    /// The session `id` of the caller, opened if need be, once it is free.
    ///
    /// # Errors
    /// `Exhausted` when the user has too many, `Conflict` when a statement runs in it.
    pub(crate) async fn turn(
        &self,
        caller: &Caller,
        id: Uuid,
        open: impl FnOnce() -> Arc<dyn SqlSession>,
    ) -> Result<Turn> {
        let Entry { session, turn, last_used } = self.find_or_open(caller, id, open)?;
        let guard = tokio::time::timeout(TURN_WAIT_MAX, turn.lock_owned()).await.map_err(|_| {
            Error::conflict(format!("session {id} is running another statement"))
                .with_code("55006")
                .with_hint("wait for it, cancel it, or use another session")
        })?;
        *last_used.lock() = self.clock.now();
        let kept = Kept { _guard: guard, clock: Arc::clone(&self.clock), last_used };
        Ok(Turn { session, _kept: Some(kept) })
    }

    fn find_or_open(&self, caller: &Caller, id: Uuid, open: impl FnOnce() -> Arc<dyn SqlSession>) -> Result<Entry> {
        let now = self.clock.now();
        let mut sessions = self.open.lock();
        sessions.retain(|_, entry| !entry.expired(now));
        let key = (caller.user.clone(), id);
        if !sessions.contains_key(&key)
            && sessions.keys().filter(|(user, _)| *user == caller.user).count() >= PER_USER_MAX
        {
            let idle = sessions.iter().filter(|((user, _), entry)| *user == caller.user && entry.idle());
            let longest = idle.min_by_key(|(_, entry)| *entry.last_used.lock()).map(|(key, _)| key.clone());
            let Some(longest) = longest else {
                let message =
                    format!("{} has {PER_USER_MAX} open sessions, all in the middle of something", caller.user);
                return Err(Error::new(ErrorKind::Exhausted, message).with_hint(format!(
                    "end one, or wait until one has been idle for {} minutes",
                    IDLE_MAX.num_minutes()
                )));
            };
            sessions.remove(&longest);
        }
        let entry = sessions.entry(key).or_insert_with(|| Entry {
            session: open(),
            turn: Arc::default(),
            last_used: Arc::new(Mutex::new(now)),
        });
        // Under the same lock as the sweep, so that a session about to be used is not swept.
        *entry.last_used.lock() = now;
        Ok(entry.clone())
    }

    /// Ends a session. True if there was one; a statement that runs in it ends first.
    pub(crate) fn end(&self, user: &str, id: Uuid) -> bool {
        self.open.lock().remove(&(user.to_owned(), id)).is_some()
    }

    /// Ends the sessions that nobody has used for a while.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        self.open.lock().retain(|_, entry| !entry.expired(now));
    }

    pub(crate) fn count(&self) -> usize {
        self.open.lock().len()
    }

    /// Ends all of them.
    pub(crate) fn clear(&self) {
        self.open.lock().clear();
    }
}
