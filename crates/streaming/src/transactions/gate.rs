//! Who may write records of a transaction just now.
//!
//! Records and the end of their transaction go to the log by different ways. A record that came behind the end would open a
//! transaction that nobody ends; so each write passes through here, and the end waits for those that are on their way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use polder_capability::topics::{Producer, TopicError};
use tokio::sync::mpsc;

use crate::spaces::Place;

#[derive(Debug, Default)]
struct Live {
    transactional_id: String,
    epoch: i16,
    places: BTreeSet<Place>,
    closed: bool,
    writing: usize,
}

/// The gate of all transactions. All clones are one.
#[derive(Debug, Clone)]
pub struct Gate {
    live: Arc<Mutex<HashMap<i64, Live>>>,
    /// Told when the last write of a transaction that is being ended is done.
    idle: mpsc::UnboundedSender<i64>,
}

/// A write on its way. Dropped when it is done.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    producer_id: i64,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let idle = {
            let mut live = self.gate.live.lock();
            live.get_mut(&self.producer_id).is_some_and(|live| {
                live.writing = live.writing.saturating_sub(1);
                live.writing == 0 && live.closed
            })
        };
        if idle {
            // Nobody listens any more only when the server stops.
            let _ = self.gate.idle.send(self.producer_id);
        }
    }
}

impl Gate {
    /// The gate, and where it tells of producers that have nothing on its way any more.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<i64>) {
        let (idle, told) = mpsc::unbounded_channel();
        (Self { live: Arc::default(), idle }, told)
    }

    /// Lets a write through.
    ///
    /// # Errors
    /// `InvalidProducerMapping` for a producer that has another transactional id, or none, `InvalidProducerEpoch` for one that is fenced,
    /// `InvalidTransactionState` for a partition that is in no open transaction of it.
    pub fn enter(&self, transactional_id: &str, producer: Producer, place: Place) -> Result<Pass, TopicError> {
        let mut all = self.live.lock();
        let live = all.get_mut(&producer.id).ok_or(TopicError::InvalidProducerMapping)?;
        if live.transactional_id != transactional_id {
            return Err(TopicError::InvalidProducerMapping);
        }
        if producer.epoch != live.epoch {
            return Err(TopicError::InvalidProducerEpoch);
        }
        if live.closed || !live.places.contains(&place) {
            return Err(TopicError::InvalidTransactionState);
        }
        live.writing += 1;
        Ok(Pass { gate: self.clone(), producer_id: producer.id })
    }

    /// Whether a producer id belongs to a transactional id.
    #[must_use]
    pub fn knows(&self, producer_id: i64) -> bool {
        self.live.lock().contains_key(&producer_id)
    }

    /// Sets what a producer may write to.
    pub fn open(&self, transactional_id: &str, producer: Producer, places: &BTreeSet<Place>) {
        let mut all = self.live.lock();
        let live = all.entry(producer.id).or_default();
        transactional_id.clone_into(&mut live.transactional_id);
        live.epoch = producer.epoch;
        live.places.clone_from(places);
        live.closed = false;
    }

    /// Lets nothing through any more; whether nothing is on its way either.
    #[must_use]
    pub fn close(&self, producer_id: i64) -> bool {
        let mut all = self.live.lock();
        let Some(live) = all.get_mut(&producer_id) else { return true };
        live.closed = true;
        live.writing == 0
    }

    /// A producer is gone.
    pub fn forget(&self, producer_id: i64) {
        let mut all = self.live.lock();
        // Writes that are still on their way go out by the entry that they came in by.
        if all.get(&producer_id).is_some_and(|live| live.writing == 0) {
            all.remove(&producer_id);
        } else if let Some(live) = all.get_mut(&producer_id) {
            live.closed = true;
        }
    }
}
