//! What a partition remembers of a producer: enough to take each batch once, in order.

use crate::batch::{BatchHeader, sequence_after};
use crate::coding::{Put, Take};
use crate::entry::Refusal;

/// So many batches a producer may have in flight.
const REMEMBERED: usize = 5;

/// A batch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) log_append_time: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// The last ones of this epoch, oldest first.
    pub(crate) sent: Vec<Sent>,
    /// Where its open transaction begins here.
    pub(crate) open_since: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) seen_at: i64,
}

impl Producer {
    pub(crate) fn new(epoch: i16) -> Self {
        Self { epoch, sent: Vec::new(), open_since: None, seen_at: 0 }
    }

    /// Whether a batch is the next one; the first time's place if it is one that came before.
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<Option<Sent>, Refusal> {
        if batch.producer_epoch < self.epoch {
            return Err(Refusal::InvalidProducerEpoch { current: self.epoch, found: batch.producer_epoch });
        }
        if self.open_since.is_some() && !batch.is_transactional() {
            return Err(Refusal::InvalidTransactionState);
        }
        let found = batch.base_sequence;
        if batch.producer_epoch > self.epoch {
            let fresh = if found == 0 { None } else { Some(Refusal::OutOfOrderSequence { expected: 0, found }) };
            return fresh.map_or(Ok(None), Err);
        }
        let last_sequence = batch.last_sequence();
        let same = |sent: &&Sent| sent.base_sequence == found && sent.last_sequence == last_sequence;
        if let Some(sent) = self.sent.iter().find(same) {
            return Ok(Some(*sent));
        }
        // A producer whose batches were all forgotten may go on where it is.
        let Some(last) = self.sent.last() else { return Ok(None) };
        let expected = sequence_after(last.last_sequence, 1);
        if found == expected { Ok(None) } else { Err(Refusal::OutOfOrderSequence { expected, found }) }
    }

    /// Takes a batch, its offsets set.
    pub(crate) fn take(&mut self, batch: &BatchHeader, log_append_time: i64) {
        if batch.producer_epoch != self.epoch {
            self.epoch = batch.producer_epoch;
            self.sent.clear();
        }
        if self.sent.len() == REMEMBERED {
            self.sent.remove(0);
        }
        self.sent.push(Sent {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            last_offset: batch.last_offset(),
            log_append_time,
        });
        if batch.is_transactional() && self.open_since.is_none() {
            self.open_since = Some(batch.base_offset);
        }
    }

    /// Takes the end of its transaction, and gives where that began.
    pub(crate) fn end(&mut self, epoch: i16) -> Option<i64> {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.sent.clear();
        }
        self.open_since.take()
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.put_i16(self.epoch);
        to.put_i64(self.open_since.unwrap_or(-1));
        to.put_i64(self.seen_at);
        to.put_count(self.sent.len());
        for sent in &self.sent {
            to.put_i32(sent.base_sequence);
            to.put_i32(sent.last_sequence);
            to.put_i64(sent.base_offset);
            to.put_i64(sent.last_offset);
            to.put_i64(sent.log_append_time);
        }
    }

    pub(crate) fn read(from: &mut Take<'_>) -> Option<Self> {
        let (epoch, open_since, seen_at, count) = (from.i16()?, from.i64()?, from.i64()?, from.u32()?);
        let mut sent = Vec::with_capacity(REMEMBERED);
        for _ in 0..count {
            sent.push(Sent {
                base_sequence: from.i32()?,
                last_sequence: from.i32()?,
                base_offset: from.i64()?,
                last_offset: from.i64()?,
                log_append_time: from.i64()?,
            });
        }
        Some(Self { epoch, sent, open_since: Some(open_since).filter(|offset| *offset >= 0), seen_at })
    }
}
