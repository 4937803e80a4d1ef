//! Fetch sessions (KIP-227): a client says once what it reads, and then only what has changed.
//!
//! A session belongs to its connection, as a client has one for each server: so it costs nothing once that is gone, and
//! nobody's session can be driven out by others. A client that comes by another connection is told that there is no such
//! session, and begins a new one.

use std::collections::HashMap;

use kafka_protocol::error::ResponseError;
use polder_capability::topics::{FetchPartition, Fetched, TopicPartition, TopicResult};

use crate::codes;

/// Partitions of one session.
const PARTITIONS_MAX: usize = 50_000;

/// The epochs with a meaning of their own: without a session (which ends one), and the first of a new one.
const LAST: i32 = -1;
const FIRST: i32 = 0;

/// What is read, and what the client was told of it last.
#[derive(Debug, Clone)]
struct Entry {
    wanted: FetchPartition,
    /// The high watermark and the first offset; `None`: nothing yet.
    told: Option<(i64, i64)>,
}

#[derive(Debug)]
pub(crate) struct Session {
    id: i32,
    /// Of the next request.
    epoch: i32,
    /// In the order in which they are read: those that have just given records are last.
    entries: Vec<Entry>,
}

/// What a request says about sessions.
#[derive(Debug)]
pub(super) struct Said {
    pub id: i32,
    pub epoch: i32,
    pub wanted: Vec<FetchPartition>,
    pub forgotten: Vec<TopicPartition>,
}

/// How a request is to be carried out.
#[derive(Debug)]
pub(super) enum Plan {
    /// All that it says, and no more.
    Alone(Vec<FetchPartition>),
    /// All that its session has. `whole`: and all of it is answered.
    Session { session: Session, whole: bool },
}

/// Decides how a request is carried out. `next_id` gives the id of a new session.
///
/// # Errors
/// The session is none that there is, or not as far as the client says.
pub(super) fn plan(current: Option<Session>, said: Said, next_id: impl FnOnce() -> i32) -> Result<Plan, ResponseError> {
    match said.epoch {
        LAST => Ok(Plan::Alone(said.wanted)),
        FIRST if said.wanted.is_empty() || said.wanted.len() > PARTITIONS_MAX => Ok(Plan::Alone(said.wanted)),
        FIRST => {
            let entries = said.wanted.into_iter().map(|wanted| Entry { wanted, told: None }).collect();
            Ok(Plan::Session { session: Session { id: next_id(), epoch: FIRST, entries }, whole: true })
        }
        epoch => {
            let mut session =
                current.filter(|session| session.id == said.id).ok_or(ResponseError::FetchSessionIdNotFound)?;
            if session.epoch != epoch {
                return Err(ResponseError::InvalidFetchSessionEpoch);
            }
            session.change(said.wanted, &said.forgotten)?;
            Ok(Plan::Session { session, whole: false })
        }
    }
}

impl Session {
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    fn change(&mut self, wanted: Vec<FetchPartition>, forgotten: &[TopicPartition]) -> Result<(), ResponseError> {
        if wanted.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        let forgotten: std::collections::HashSet<&TopicPartition> = forgotten.iter().collect();
        self.entries.retain(|entry| !forgotten.contains(&entry.wanted.from));
        let places: HashMap<TopicPartition, usize> =
            self.entries.iter().enumerate().map(|(place, entry)| (entry.wanted.from.clone(), place)).collect();
        for wanted in wanted {
            match places.get(&wanted.from).and_then(|place| self.entries.get_mut(*place)) {
                Some(entry) => entry.wanted = wanted,
                None => self.entries.push(Entry { wanted, told: None }),
            }
        }
        // The client begins anew, without a session.
        if self.entries.len() > PARTITIONS_MAX { Err(ResponseError::FetchSessionIdNotFound) } else { Ok(()) }
    }

    /// What is to be read.
    pub(super) fn wanted(&self) -> Vec<FetchPartition> {
        self.entries.iter().map(|entry| entry.wanted.clone()).collect()
    }

    /// Which of the results, in the order of what was to be read, are worth telling; and gets ready for the next request.
    pub(super) fn settle(&mut self, results: &[TopicResult<Fetched>], whole: bool) -> Vec<bool> {
        let mut worth = Vec::with_capacity(results.len());
        for (entry, result) in self.entries.iter_mut().zip(results) {
            let (told, news) = match result {
                Ok(fetched) => {
                    let told = (fetched.high_watermark, fetched.log_start_offset);
                    (Some(told), !fetched.batches.is_empty() || entry.told != Some(told))
                }
                // An error is told again and again.
                Err(_) => (None, true),
            };
            if news || whole {
                entry.told = told;
            }
            worth.push(news || whole);
        }
        let mut gave = results.iter().map(|result| result.as_ref().is_ok_and(|fetched| !fetched.batches.is_empty()));
        let (last, mut first): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(|_| gave.next().unwrap_or_default());
        first.extend(last);
        self.entries = first;
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        worth
    }
}

/// The code of a failure of one partition, for the answer.
pub(super) fn code(result: &TopicResult<Fetched>) -> i16 {
    codes::of_partition(result)
}
