//! How transactions end: as asked, because their time is up, or because a newer instance begins.

use polder_capability::topics::{Producer, TopicError};
use polder_topic_log::Entry;

use super::{Around, Ending, Phase, Transaction, Transactions};
use crate::effects::{Effects, Ticket};
use crate::groups::Committed;
use crate::spaces::{self, OFFSETS, PENDING_OFFSETS, TRANSACTIONS};

impl Transactions {
    /// A producer ends its transaction; it is answered by `effects.ended`.
    pub fn end(
        &mut self,
        around: &mut Around<'_>,
        ticket: Ticket,
        id: &str,
        producer: Producer,
        commit: bool,
    ) -> Effects {
        let mut effects = Effects::of_transaction(id);
        let phase = match self.check(id, producer) {
            Ok(transaction) => transaction.phase,
            Err(error) => {
                effects.ended.push((ticket, Err(error.into())));
                return effects;
            }
        };
        match (phase, commit) {
            (Phase::Open, _) => {
                let ending = Ending { commit, ticket: Some(ticket), init: None };
                self.begin_end(around, id, ending, &mut effects);
            }
            // The answer was lost on its way.
            (Phase::Committed, true) | (Phase::Aborted, false) => effects.ended.push((ticket, Ok(producer))),
            _ => effects.ended.push((ticket, Err(TopicError::InvalidTransactionState.into()))),
        }
        effects
    }

    /// Lets nothing more into a transaction, and ends it as soon as nothing is on its way.
    pub(super) fn begin_end(&mut self, around: &mut Around<'_>, id: &str, ending: Ending, effects: &mut Effects) {
        let Some(transaction) = self.transactions.get_mut(id) else { return };
        transaction.ending = Some(ending);
        if self.gate.close(transaction.producer.id) {
            self.finish(around, id, effects);
        }
    }

    /// A producer has nothing on its way any more.
    pub fn idle(&mut self, around: &mut Around<'_>, producer_id: i64) -> Effects {
        let Some(id) = self.producers.get(&producer_id).cloned() else { return Effects::default() };
        let mut effects = Effects::of_transaction(&id);
        let waits = self.transactions.get(&id).is_some_and(|transaction| transaction.ending.is_some());
        if waits && self.gate.close(producer_id) {
            self.finish(around, &id, &mut effects);
        }
        effects
    }

    /// The end itself: one append.
    fn finish(&mut self, around: &mut Around<'_>, id: &str, effects: &mut Effects) {
        let Some(mut transaction) = self.transactions.get(id).cloned() else { return };
        let Some(ending) = transaction.ending.take() else { return };
        let asked_by_owner = ending.ticket.is_some() && ending.init.is_none();
        if !asked_by_owner {
            // Markers of a newer epoch keep the old instance from writing again.
            transaction.producer.epoch = transaction.producer.epoch.saturating_add(1);
            transaction.last = None;
        }
        for (topic, partition) in &transaction.places {
            effects.entries.push(Entry::Marker {
                topic: *topic,
                partition: u32::try_from(*partition).unwrap_or(u32::MAX),
                producer_id: transaction.producer.id,
                producer_epoch: transaction.producer.epoch,
                coordinator_epoch: 0,
                commit: ending.commit,
            });
        }
        for ((group, place), committed) in std::mem::take(&mut transaction.offsets) {
            let committed = Committed { at_ms: around.now_ms, ..committed };
            effects.merge(Effects::of_group(&group));
            effects.entries.push(spaces::forget(PENDING_OFFSETS, spaces::pending_key(id, &group, place)));
            if ending.commit {
                effects.entries.push(spaces::set(OFFSETS, spaces::offset_key(&group, place), committed.encode()));
            }
            around.groups.settle(around.now_ms, id, &group, place, ending.commit.then_some(committed));
        }
        transaction.phase = if ending.commit { Phase::Committed } else { Phase::Aborted };
        transaction.places.clear();
        transaction.groups.clear();
        transaction.updated_ms = around.now_ms;
        let producer = transaction.producer;
        effects.entries.push(spaces::set(TRANSACTIONS, spaces::name_key(id), transaction.encode()));
        self.put(id, transaction);
        if let Some(ticket) = ending.ticket {
            let producer = match ending.init {
                Some(timeout_ms) => self.renew(around, id, timeout_ms, effects),
                None => producer,
            };
            effects.ended.push((ticket, Ok(producer)));
        }
    }

    /// When something happens by time alone, at the earliest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.transactions.values().filter_map(Transaction::deadline).min()
    }

    /// Aborts transactions whose time is up.
    pub fn tick(&mut self, around: &mut Around<'_>) -> Vec<Effects> {
        let is_due = |transaction: &Transaction| transaction.deadline().is_some_and(|at| at <= around.now_ms);
        let due: Vec<String> = self.transactions.iter().filter(|(_, t)| is_due(t)).map(|(id, _)| id.clone()).collect();
        let mut all = Vec::new();
        for id in due {
            let mut effects = Effects::of_transaction(&id);
            let ending = Ending { commit: false, ticket: None, init: None };
            self.begin_end(around, &id, ending, &mut effects);
            all.push(effects);
        }
        all
    }

    /// Forgets identities that have not been used for long; at most so many at once.
    pub fn expire(&mut self, now_ms: i64, number_max: usize) -> Vec<Effects> {
        let retention_ms = self.limits.retention_ms;
        let old = |transaction: &Transaction| {
            transaction.phase != Phase::Open && now_ms - transaction.updated_ms >= retention_ms
        };
        let ids: Vec<String> =
            self.transactions.iter().filter(|(_, t)| old(t)).map(|(id, _)| id.clone()).take(number_max).collect();
        let forget = |id: String| {
            let mut effects = Effects::of_transaction(&id);
            if let Some(transaction) = self.transactions.remove(&id) {
                self.producers.remove(&transaction.producer.id);
                self.gate.forget(transaction.producer.id);
            }
            effects.entries.push(spaces::forget(TRANSACTIONS, spaces::name_key(&id)));
            effects
        };
        ids.into_iter().map(forget).collect()
    }
}

impl Transaction {
    /// Until when it has to end by itself.
    fn deadline(&self) -> Option<i64> {
        (self.phase == Phase::Open && self.ending.is_none()).then(|| self.began_ms + self.timeout_ms)
    }
}
