//! Transactions as the log has them: at the start, and after something could not be written.

use polder_capability::topics::TopicError;
use polder_types::Result;
use uuid::Uuid;

use super::{Transaction, Transactions};
use crate::effects::Effects;
use crate::groups::{Committed, Groups};
use crate::spaces::{self, PENDING_OFFSETS, Place};

impl Transactions {
    /// Topics are no more: there is nothing to mark in them, and no offset to commit.
    pub fn forget_topics(&mut self, now_ms: i64, groups: &mut Groups, is_gone: impl Fn(Uuid) -> bool) -> Effects {
        let mut effects = Effects::default();
        for (id, transaction) in &mut self.transactions {
            if transaction.places.iter().any(|(topic, _)| is_gone(*topic)) {
                transaction.places.retain(|(topic, _)| !is_gone(*topic));
                if transaction.ending.is_none() {
                    self.gate.open(id, transaction.producer, &transaction.places);
                }
            }
            let gone: Vec<(String, Place)> =
                transaction.offsets.keys().filter(|(_, (topic, _))| is_gone(*topic)).cloned().collect();
            for (group, place) in gone {
                effects.entries.push(spaces::forget(PENDING_OFFSETS, spaces::pending_key(id, &group, place)));
                groups.settle(now_ms, id, &group, place, None);
                transaction.offsets.remove(&(group, place));
            }
        }
        effects
    }

    /// A transaction is what the log says it is. Whoever waits for its end is told to try again.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn load(&mut self, now_ms: i64, key: &[u8], value: Option<&[u8]>) -> Result<Effects> {
        let id = spaces::read_name_key(key)?;
        let mut effects = Effects::of_transaction(&id);
        let before = self.transactions.remove(&id);
        if let Some(before) = &before {
            self.producers.remove(&before.producer.id);
            self.gate.forget(before.producer.id);
            if let Some(ticket) = before.ending.as_ref().and_then(|ending| ending.ticket) {
                effects.ended.push((ticket, Err(TopicError::Unavailable.into())));
            }
        }
        if let Some(bytes) = value {
            let mut transaction = Transaction::decode(bytes)?;
            // The clock may have been set back since: what began in the future would be aborted too late.
            transaction.began_ms = transaction.began_ms.min(now_ms);
            transaction.updated_ms = transaction.updated_ms.min(now_ms);
            transaction.offsets = before.map(|before| before.offsets).unwrap_or_default();
            self.put(&id, transaction);
        }
        Ok(effects)
    }

    /// An offset waits for its transaction, or does not, as the log says. The transaction comes first.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn load_offset(&mut self, now_ms: i64, key: &[u8], value: Option<&[u8]>, groups: &mut Groups) -> Result<()> {
        let (id, group, place) = spaces::read_pending_key(key)?;
        let Some(transaction) = self.transactions.get_mut(&id) else { return Ok(()) };
        match value.map(Committed::decode).transpose()? {
            Some(committed) => {
                if let Err(failure) = groups.pend(now_ms, &id, &group, place, &committed) {
                    tracing::warn!(group, transactional_id = id, %failure, "an offset within a transaction is not counted");
                }
                transaction.offsets.insert((group, place), committed);
            }
            None => {
                groups.settle(now_ms, &id, &group, place, None);
                transaction.offsets.remove(&(group, place));
            }
        }
        Ok(())
    }
}
