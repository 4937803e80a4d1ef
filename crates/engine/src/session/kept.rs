//! Cursors and prepared statements that the client of a session keeps: the server of its protocol has them, and tells of them
//! here, so that `pg_cursors` and `pg_prepared_statements` can.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_capability::{Kept, KeptStatement};

/// Those of one session, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct KeptStatements(Mutex<Numbered>);

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    all: BTreeMap<u64, (KeptStatement, DateTime<Utc>)>,
}

impl KeptStatements {
    /// Takes one in. It is there until what is given back is dropped.
    pub fn keep(self: &Arc<Self>, statement: KeptStatement, now: DateTime<Utc>) -> Box<dyn Kept> {
        let mut numbered = self.0.lock();
        numbered.last += 1;
        let number = numbered.last;
        numbered.all.insert(number, (statement, now));
        Box::new(Place { of: Arc::clone(self), number })
    }

    /// Each with the time when it was made.
    pub fn all(&self) -> Vec<(KeptStatement, DateTime<Utc>)> {
        self.0.lock().all.values().cloned().collect()
    }
}

struct Place {
    of: Arc<KeptStatements>,
    number: u64,
}

impl Kept for Place {}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.0.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use polder_capability::KeptAs;

    use super::*;

    #[test]
    fn what_is_dropped_is_gone() {
        let all = Arc::new(KeptStatements::default());
        let names = || all.all().into_iter().map(|(kept, _)| kept.name).collect::<Vec<_>>();
        let kept = |name: &str| {
            let statement = KeptStatement {
                name: name.to_owned(),
                sql: "SELECT 1".to_owned(),
                kind: KeptAs::Cursor { is_held: false, is_binary: false, is_scrollable: false },
            };
            all.keep(statement, DateTime::UNIX_EPOCH)
        };
        let (one, _two) = (kept("one"), kept("two"));
        assert_eq!(names(), ["one", "two"]);
        drop(one);
        let _again = kept("one");
        assert_eq!(names(), ["two", "one"]);
    }
}
