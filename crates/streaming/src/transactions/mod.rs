//! Producers' identities and their transactions. A machine without input and output.
//!
//! The end of a transaction is one append: the markers of all partitions, the offsets of all groups, and the transaction's
//! own state. So there is no state between "being ended" and "ended" that a crash could leave behind.

mod calls;
mod end;
mod gate;
mod kept;
mod load;

use std::collections::{BTreeMap, BTreeSet};

use polder_capability::topics::{InitProducer, Producer, TopicError, TopicFailure, TopicResult};

pub use self::gate::{Gate, Pass};
use crate::effects::{Effects, Ticket};
use crate::groups::{Commit, Committed, Groups, millis};
use crate::spaces::{self, PENDING_OFFSETS, Place, TRANSACTIONS};

/// Bounds and times of transactions.
#[derive(Debug, Clone, Copy)]
pub struct TransactionLimits {
    /// The longest that a transaction may ask to stay open, in milliseconds.
    pub timeout_ms_max: i64,
    /// How long an identity without a transaction is kept, in milliseconds.
    pub retention_ms: i64,
    pub transactions_max: usize,
    pub id_bytes_max: usize,
    /// Partitions, and offsets, in one transaction.
    pub places_max: usize,
}

impl Default for TransactionLimits {
    fn default() -> Self {
        Self {
            timeout_ms_max: 900_000,
            retention_ms: 7 * 24 * 60 * 60 * 1_000,
            transactions_max: 100_000,
            id_bytes_max: 1_024,
            places_max: 10_000,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has happened under this identity yet.
    Empty,
    Open,
    Committed,
    Aborted,
}

/// An end that waits for writes that are on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending {
    commit: bool,
    /// Who asked; nobody if the time was up.
    ticket: Option<Ticket>,
    /// A new instance of the producer, with its timeout: the old one is fenced, and this one gets an identity.
    init: Option<i64>,
}

#[derive(Debug, Clone)]
struct Transaction {
    producer: Producer,
    /// The identity before, so that a request whose answer was lost can be told from one of an old instance.
    last: Option<Producer>,
    timeout_ms: i64,
    phase: Phase,
    began_ms: i64,
    updated_ms: i64,
    places: BTreeSet<Place>,
    groups: BTreeSet<String>,
    offsets: BTreeMap<(String, Place), Committed>,
    ending: Option<Ending>,
}

/// Gives producer ids, none of them twice.
pub trait ProducerIds {
    /// The next id. What has to be written before it is used goes into the effects.
    fn next(&mut self, effects: &mut Effects) -> i64;
}

/// What transactions touch beside themselves.
pub struct Around<'a> {
    pub now_ms: i64,
    pub ids: &'a mut dyn ProducerIds,
    pub groups: &'a mut Groups,
}

/// All transactions.
#[derive(Debug)]
pub struct Transactions {
    limits: TransactionLimits,
    /// What all keep is as much as may be: nothing is taken that makes it more.
    pub is_full: bool,
    gate: Gate,
    transactions: BTreeMap<String, Transaction>,
    /// The transactional id of each producer that has one.
    producers: BTreeMap<i64, String>,
}

impl Transactions {
    #[must_use]
    pub fn new(limits: TransactionLimits, gate: Gate) -> Self {
        Self { limits, is_full: false, gate, transactions: BTreeMap::new(), producers: BTreeMap::new() }
    }

    /// An instance of a producer begins: it gets its identity by `effects.ended`, now or when the transaction that an older
    /// one left open has been aborted.
    pub fn init(&mut self, around: &mut Around<'_>, ticket: Ticket, init: &InitProducer) -> Effects {
        let Some(id) = &init.transactional_id else {
            let mut effects = Effects::default();
            let producer = Producer { id: around.ids.next(&mut effects), epoch: 0 };
            effects.ended.push((ticket, Ok(producer)));
            return effects;
        };
        let mut effects = Effects::of_transaction(id);
        match self.check_init(id, init) {
            Err(failure) => effects.ended.push((ticket, Err(failure))),
            Ok(Some(same)) => effects.ended.push((ticket, Ok(same))),
            Ok(None) => {
                let timeout_ms = millis(init.timeout);
                if self.transactions.get(id).is_some_and(|transaction| transaction.phase == Phase::Open) {
                    let ending = Ending { commit: false, ticket: Some(ticket), init: Some(timeout_ms) };
                    self.begin_end(around, id, ending, &mut effects);
                } else {
                    let producer = self.renew(around, id, timeout_ms, &mut effects);
                    effects.ended.push((ticket, Ok(producer)));
                }
            }
        }
        effects
    }

    /// Whether an identity may be renewed; one, if it has been already and the answer was lost.
    fn check_init(&self, id: &str, init: &InitProducer) -> TopicResult<Option<Producer>> {
        if id.is_empty() || id.len() > self.limits.id_bytes_max {
            return Err(TopicFailure::new(TopicError::InvalidRequest, "no such transactional id is possible"));
        }
        let timeout_ms = millis(init.timeout);
        if timeout_ms <= 0 || timeout_ms > self.limits.timeout_ms_max {
            return Err(TopicError::InvalidTransactionTimeout.into());
        }
        let Some(transaction) = self.transactions.get(id) else {
            if self.transactions.len() >= self.limits.transactions_max {
                return Err(TopicFailure::new(TopicError::Policy, "there are as many transactional ids as can be"));
            }
            if self.is_full {
                return Err(TopicFailure::new(TopicError::Policy, crate::groups::FULL));
            }
            return Ok(None);
        };
        if transaction.ending.is_some() {
            return Err(TopicError::ConcurrentTransactions.into());
        }
        match init.current {
            Some(current) if current == transaction.producer => Ok(None),
            Some(current) if Some(current) == transaction.last && transaction.phase == Phase::Empty => {
                Ok(Some(transaction.producer))
            }
            Some(_) => Err(TopicError::ProducerFenced.into()),
            None => Ok(None),
        }
    }

    /// The next identity of a transactional id.
    fn renew(&mut self, around: &mut Around<'_>, id: &str, timeout_ms: i64, effects: &mut Effects) -> Producer {
        let last = self.transactions.get(id).map(|transaction| transaction.producer);
        let producer = match last {
            // Two more epochs are needed to fence an instance and to follow it.
            Some(last) if last.epoch < i16::MAX - 2 => Producer { id: last.id, epoch: last.epoch + 1 },
            _ => Producer { id: around.ids.next(effects), epoch: 0 },
        };
        let transaction = Transaction {
            producer,
            last,
            timeout_ms,
            phase: Phase::Empty,
            began_ms: around.now_ms,
            updated_ms: around.now_ms,
            places: BTreeSet::new(),
            groups: BTreeSet::new(),
            offsets: BTreeMap::new(),
            ending: None,
        };
        effects.entries.push(spaces::set(TRANSACTIONS, spaces::name_key(id), transaction.encode()));
        self.put(id, transaction);
        producer
    }

    /// The state of a transaction is this one from now on.
    fn put(&mut self, id: &str, transaction: Transaction) {
        if let Some(before) = self.transactions.get(id)
            && before.producer.id != transaction.producer.id
        {
            self.producers.remove(&before.producer.id);
            self.gate.forget(before.producer.id);
        }
        self.producers.insert(transaction.producer.id, id.to_owned());
        self.gate.open(id, transaction.producer, &transaction.places);
        self.transactions.insert(id.to_owned(), transaction);
    }

    /// Whether somebody speaks as the present instance, and nothing is being ended.
    fn check(&self, id: &str, producer: Producer) -> Result<&Transaction, TopicError> {
        let transaction = self.transactions.get(id).ok_or(TopicError::InvalidProducerMapping)?;
        if transaction.producer.id != producer.id {
            return Err(TopicError::InvalidProducerMapping);
        }
        if transaction.producer.epoch != producer.epoch {
            return Err(TopicError::ProducerFenced);
        }
        if transaction.ending.is_some() {
            return Err(TopicError::ConcurrentTransactions);
        }
        Ok(transaction)
    }

    /// A transaction that is open, begun if there is none.
    fn opened(&self, now_ms: i64, id: &str, producer: Producer) -> Result<Transaction, TopicError> {
        let mut transaction = self.check(id, producer)?.clone();
        if transaction.phase != Phase::Open {
            transaction.phase = Phase::Open;
            transaction.began_ms = now_ms;
            transaction.places.clear();
            transaction.groups.clear();
            transaction.offsets.clear();
        }
        transaction.updated_ms = now_ms;
        Ok(transaction)
    }

    /// Partitions take part from now on.
    ///
    /// # Errors
    /// `InvalidProducerMapping`, `ProducerFenced`, `ConcurrentTransactions`, `Policy`.
    pub fn add_places(
        &mut self,
        now_ms: i64,
        id: &str,
        producer: Producer,
        places: impl IntoIterator<Item = Place>,
    ) -> TopicResult<Effects> {
        let mut transaction = self.opened(now_ms, id, producer)?;
        transaction.places.extend(places);
        if transaction.places.len() > self.limits.places_max {
            return Err(TopicFailure::new(TopicError::Policy, "too many partitions in one transaction"));
        }
        Ok(self.keep_opened(id, transaction))
    }

    /// A group's offsets take part from now on.
    ///
    /// # Errors
    /// As [`Transactions::add_places`].
    pub fn add_group(&mut self, now_ms: i64, id: &str, producer: Producer, group: &str) -> TopicResult<Effects> {
        let mut transaction = self.opened(now_ms, id, producer)?;
        transaction.groups.insert(group.to_owned());
        if transaction.groups.len() > self.limits.places_max {
            return Err(TopicFailure::new(TopicError::Policy, "too many groups in one transaction"));
        }
        Ok(self.keep_opened(id, transaction))
    }

    fn keep_opened(&mut self, id: &str, transaction: Transaction) -> Effects {
        let mut effects = Effects::of_transaction(id);
        let same = self.transactions.get(id).is_some_and(|before| {
            before.phase == Phase::Open && before.places == transaction.places && before.groups == transaction.groups
        });
        if !same {
            effects.entries.push(spaces::set(TRANSACTIONS, spaces::name_key(id), transaction.encode()));
            self.put(id, transaction);
        }
        effects
    }

    /// Offsets that are committed when the transaction is.
    ///
    /// # Errors
    /// As [`Transactions::add_places`] and [`Groups::commit`]; `InvalidTransactionState` for a group that takes no part.
    pub fn commit_offsets(
        &mut self,
        now_ms: i64,
        id: &str,
        producer: Producer,
        commit: Commit,
        groups: &mut Groups,
    ) -> TopicResult<(Vec<TopicResult<()>>, Effects)> {
        let transaction = self.check(id, producer)?;
        if transaction.phase != Phase::Open || !transaction.groups.contains(&commit.group) {
            return Err(TopicError::InvalidTransactionState.into());
        }
        groups.check_commit(now_ms, &commit, true)?;
        let mut effects = Effects::of_transaction(id);
        effects.merge(Effects::of_group(&commit.group));
        let places_max = self.limits.places_max;
        let Some(transaction) = self.transactions.get_mut(id) else { return Err(TopicError::Internal.into()) };
        let mut outcomes = Vec::with_capacity(commit.offsets.len());
        for (place, committed) in commit.offsets {
            let committed = Committed { at_ms: now_ms, ..committed };
            if transaction.offsets.len() >= places_max {
                outcomes.push(Err(TopicFailure::new(TopicError::Policy, "too many offsets in one transaction")));
                continue;
            }
            let outcome = groups.pend(now_ms, id, &commit.group, place, &committed);
            if outcome.is_ok() {
                let key = spaces::pending_key(id, &commit.group, place);
                effects.entries.push(spaces::set(PENDING_OFFSETS, key, committed.encode()));
                transaction.offsets.insert((commit.group.clone(), place), committed);
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, effects))
    }
}
