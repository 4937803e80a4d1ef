//! The coordinator of groups and transactions: all that has to be done one thing after the other.

mod run;

use std::collections::HashMap;

use polder_capability::topics::{Joined, Producer, SyncedGroup, TopicError, TopicFailure, TopicResult};
use polder_topic_log::Log;
use polder_types::Result;
use tokio::sync::oneshot;
use uuid::Uuid;

pub use self::run::{Coordination, Task};
use crate::codec::{Reader, Writer};
use crate::effects::{Effects, Subject, Ticket};
use crate::groups::Groups;
use crate::options::StreamingOptions;
use crate::spaces::{self, CLASSIC, CONSUMER, OFFSETS, PENDING_OFFSETS, SERVER, TRANSACTIONS};
use crate::transactions::{Around, Gate, ProducerIds, Transactions};

const PRODUCER_IDS: &str = "producer ids";

/// How many producer ids are set aside with one write.
const PRODUCER_IDS_AT_ONCE: i64 = 1_000;

const FORM: u8 = 1;

/// Producer ids, set aside a thousand at a time.
#[derive(Debug, Default)]
struct Ids {
    next: i64,
    /// The first one that is not set aside.
    end: i64,
}

impl Ids {
    fn load(&mut self, value: Option<&[u8]>) -> Result<()> {
        self.end = value.map(|bytes| Reader::new(bytes, FORM)?.i64()).transpose()?.unwrap_or(0);
        self.next = self.end;
        Ok(())
    }
}

impl ProducerIds for Ids {
    fn next(&mut self, effects: &mut Effects) -> i64 {
        if self.next >= self.end {
            self.end = self.next + PRODUCER_IDS_AT_ONCE;
            let value = Writer::new(FORM).i64(self.end).done();
            effects.entries.push(spaces::set(SERVER, spaces::name_key(PRODUCER_IDS), value));
        }
        // Ids that others get at this time count only if the same write succeeds.
        effects.about.push(Subject::ProducerIds);
        self.next += 1;
        self.next - 1
    }
}

/// Those who wait for an answer.
#[derive(Debug, Default)]
pub struct Waiters {
    last: Ticket,
    joins: HashMap<Ticket, oneshot::Sender<TopicResult<Joined>>>,
    syncs: HashMap<Ticket, oneshot::Sender<TopicResult<SyncedGroup>>>,
    ends: HashMap<Ticket, oneshot::Sender<TopicResult<Producer>>>,
}

impl Waiters {
    pub fn join(&mut self, sender: oneshot::Sender<TopicResult<Joined>>) -> Ticket {
        self.last += 1;
        self.joins.insert(self.last, sender);
        self.last
    }

    pub fn sync(&mut self, sender: oneshot::Sender<TopicResult<SyncedGroup>>) -> Ticket {
        self.last += 1;
        self.syncs.insert(self.last, sender);
        self.last
    }

    pub fn end(&mut self, sender: oneshot::Sender<TopicResult<Producer>>) -> Ticket {
        self.last += 1;
        self.ends.insert(self.last, sender);
        self.last
    }

    /// Answers those whose wait is over. `failed`: what they would be told could not be written. Whoever has gone away is
    /// passed over.
    fn answer(&mut self, effects: Effects, failed: Option<&TopicFailure>) {
        for (ticket, joined) in effects.joined {
            if let Some(sender) = self.joins.remove(&ticket) {
                let _ = sender.send(settled(joined.map_err(Into::into), failed));
            }
        }
        for (ticket, synced) in effects.synced {
            if let Some(sender) = self.syncs.remove(&ticket) {
                let _ = sender.send(settled(synced.map_err(Into::into), failed));
            }
        }
        for (ticket, ended) in effects.ended {
            if let Some(sender) = self.ends.remove(&ticket) {
                let _ = sender.send(settled(ended, failed));
            }
        }
    }
}

fn settled<T>(result: TopicResult<T>, failed: Option<&TopicFailure>) -> TopicResult<T> {
    match failed {
        Some(failure) => Err(failure.clone()),
        None => result,
    }
}

/// Groups and transactions.
#[derive(Debug)]
pub struct Coordinator {
    pub groups: Groups,
    pub transactions: Transactions,
    ids: Ids,
    pub waiters: Waiters,
}

impl Coordinator {
    /// As the log has it.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`: what is kept cannot be read.
    pub fn open(log: &Log, options: &StreamingOptions, gate: Gate, now_ms: i64) -> Result<Self> {
        let mut coordinator = Self {
            groups: Groups::new(options.groups),
            transactions: Transactions::new(options.transactions, gate),
            ids: Ids::default(),
            waiters: Waiters::default(),
        };
        // The order matters: a transaction comes before its offsets.
        for space in [SERVER, CLASSIC, CONSUMER, OFFSETS, TRANSACTIONS, PENDING_OFFSETS] {
            for (key, value) in log.state(space) {
                coordinator.load(now_ms, space, &key, Some(&value))?;
            }
        }
        coordinator.groups.loaded();
        Ok(coordinator)
    }

    /// Something is what the log says it is.
    fn load(&mut self, now_ms: i64, space: u8, key: &[u8], value: Option<&[u8]>) -> Result<Effects> {
        match space {
            SERVER if key == spaces::name_key(PRODUCER_IDS) => self.ids.load(value)?,
            CLASSIC => return self.groups.load_classic(now_ms, key, value),
            CONSUMER => self.groups.load_consumer(now_ms, key, value)?,
            OFFSETS => self.groups.load_offset(now_ms, key, value)?,
            TRANSACTIONS => return self.transactions.load(now_ms, key, value),
            PENDING_OFFSETS => self.transactions.load_offset(now_ms, key, value, &mut self.groups)?,
            _ => {}
        }
        Ok(Effects::default())
    }

    /// The transactions, and what they touch beside themselves.
    pub fn with_around(&mut self, now_ms: i64) -> (&mut Transactions, Around<'_>, &mut Waiters) {
        let Self { groups, transactions, ids, waiters } = self;
        (transactions, Around { now_ms, ids, groups }, waiters)
    }

    /// When something happens by time alone, at the earliest.
    fn next_deadline(&self) -> Option<i64> {
        self.groups.next_deadline().into_iter().chain(self.transactions.next_deadline()).min()
    }

    fn tick(&mut self, now_ms: i64) -> Vec<Effects> {
        let mut all = self.groups.tick(now_ms);
        let (transactions, mut around, _) = self.with_around(now_ms);
        all.extend(transactions.tick(&mut around));
        all
    }

    fn idle(&mut self, now_ms: i64, producer_id: i64) -> Effects {
        let (transactions, mut around, _) = self.with_around(now_ms);
        transactions.idle(&mut around, producer_id)
    }

    /// Topics are no more: neither is what was kept about them.
    pub fn forget_topics(&mut self, now_ms: i64, is_gone: impl Fn(Uuid) -> bool) -> Effects {
        let mut effects = self.transactions.forget_topics(now_ms, &mut self.groups, &is_gone);
        effects.merge(self.groups.forget_topics(&is_gone));
        effects
    }
}

/// A failure to write, as it is told to those who waited for it.
fn unwritten() -> TopicFailure {
    TopicError::Unavailable.into()
}

/// The coordinator's own time, in milliseconds: that of the clock, but where somebody sets the clock back it goes on from where
/// it was, so that whoever waits goes on waiting as long as they would have.
#[derive(Debug, Default)]
struct Now {
    last_ms: i64,
    ahead_ms: i64,
}

impl Now {
    fn at(&mut self, clock_ms: i64) -> i64 {
        self.ahead_ms += (self.last_ms - clock_ms).max(0);
        self.last_ms = clock_ms;
        clock_ms + self.ahead_ms
    }

    /// What the clock will show at a time of the coordinator's own.
    fn on_clock(&self, own_ms: i64) -> i64 {
        own_ms.saturating_sub(self.ahead_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Now;

    #[test]
    fn a_clock_that_is_set_back_stops_no_time() {
        let mut now = Now::default();
        assert_eq!(now.at(1_000), 1_000);
        assert_eq!(now.at(400), 1_000);
        assert_eq!(now.at(500), 1_100);
        assert_eq!(now.on_clock(1_200), 600);
        assert_eq!(now.at(9_000), 9_600);
    }
}
