//! Secrets that have been looked up lately. A console or program sends its own with every request, and asking the
//! database each time takes longer than many an answer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::Write;

/// Beyond, all are looked up anew.
const KNOWN_MAX: usize = 1024;

/// Where secrets are, and whose. Every write of these goes through this process.
const TABLES: [&str; 2] = ["polder_session", "polder_api_token"];

#[derive(Debug, Default)]
pub(crate) struct KnownSecrets(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Grows with each write, so that what was read before it is not kept after it.
    writes: u64,
    /// By the hash of the secret: the user, and until when nothing about it is to be checked or written.
    users: HashMap<String, (String, DateTime<Utc>)>,
}

impl KnownSecrets {
    /// Whether these writes may change whose a secret is.
    pub(crate) fn concerns(writes: &[Write]) -> bool {
        writes.iter().any(|write| TABLES.iter().any(|table| write.sql.contains(table)))
    }

    /// To be called before and after a write that concerns secrets.
    pub(crate) fn forget(&self) {
        let mut known = self.0.lock();
        known.writes += 1;
        known.users.clear();
    }

    pub(crate) fn user(&self, hash: &str, now: DateTime<Utc>) -> Option<String> {
        let known = self.0.lock();
        known.users.get(hash).filter(|(_, until)| now < *until).map(|(user, _)| user.clone())
    }

    /// To be asked for before a secret is looked up, and given to [`KnownSecrets::keep`].
    pub(crate) fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    pub(crate) fn keep(&self, hash: String, user: &str, until: DateTime<Utc>, writes: u64) {
        let mut known = self.0.lock();
        if known.writes != writes {
            return;
        }
        if known.users.len() >= KNOWN_MAX {
            known.users.clear();
        }
        known.users.insert(hash, (user.to_owned(), until));
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    #[test]
    fn what_was_read_before_a_write_is_not_kept() {
        let (known, now) = (KnownSecrets::default(), Utc::now());
        let until = now + Duration::seconds(60);
        let before = known.writes();
        known.forget();
        known.keep("a".into(), "ann", until, before);
        assert_eq!(known.user("a", now), None);
        known.keep("a".into(), "ann", until, known.writes());
        assert_eq!(known.user("a", now).as_deref(), Some("ann"));
        assert_eq!(known.user("a", until), None);
        known.forget();
        assert_eq!(known.user("a", now), None);
    }

    #[test]
    fn writes_of_either_table_concern_it() {
        let concerns = |sql: &'static str| KnownSecrets::concerns(&[Write::new(sql, Vec::new())]);
        assert!(concerns("DELETE FROM polder_session WHERE user_name = $1"));
        assert!(concerns("UPDATE polder_api_token SET user_name = $1"));
        assert!(!concerns("DELETE FROM polder_query"));
    }
}
