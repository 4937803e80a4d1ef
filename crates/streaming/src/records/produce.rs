//! Records on their way into the log.

use std::task::Poll;
use std::time::Duration;

use polder_capability::topics::{
    Produce, ProduceAnswer, ProduceBatch, Produced, TopicClient, TopicError, TopicFailure, TopicResult, TopicRight,
    TopicThing,
};
use polder_topic_log::{AppendError, Appended, Entry};
use tokio::sync::OwnedSemaphorePermit;

use super::batches::{plain_producers, transactional_producer};
use crate::Streaming;
use crate::failure::of_append;
use crate::quotas::Way;
use crate::transactions::Pass;

/// How long a write may take that does not say.
const WAIT: Duration = Duration::from_secs(30);

impl Streaming {
    /// `part`: what holds off that a stream is divided, until the records are written.
    ///
    /// # Errors
    /// `TransactionForbidden`; what each batch came to is in the answer.
    pub(crate) async fn write(
        &self,
        client: &TopicClient,
        produce: Produce,
        part: OwnedSemaphorePermit,
    ) -> TopicResult<ProduceAnswer> {
        let Produce { transactional_id, timeout, batches, .. } = produce;
        let id = transactional_id.as_deref();
        let forbidden = id.is_some_and(|id| !self.must(client, TopicRight::Write, TopicThing::Transaction(id)));
        if forbidden {
            return Err(TopicError::TransactionForbidden.into());
        }
        let bytes = batches.iter().map(|batch| batch.bytes.len()).sum();
        let (mut results, mut places) = (Vec::with_capacity(batches.len()), Vec::new());
        let (mut entries, mut passes) = (Vec::new(), Vec::new());
        for batch in batches {
            match self.let_in(client, id, batch) {
                Ok((entry, pass)) => {
                    places.push(results.len());
                    entries.push(entry);
                    passes.extend(pass);
                    // Holds the place until it is known what became of it.
                    results.push(Err(TopicError::TimedOut.into()));
                }
                Err(failure) => results.push(Err(failure)),
            }
        }
        if !entries.is_empty()
            && let Some(outcomes) = self.append_within(entries, (passes, part), timeout).await
        {
            for (place, outcome) in places.into_iter().zip(outcomes) {
                if let Some(result) = results.get_mut(place) {
                    *result = outcome.map_err(of_append).and_then(produced);
                }
            }
        }
        let throttle = self.inner.quotas.take(Way::In, client, bytes, self.now_ms());
        Ok(ProduceAnswer { throttle, results })
    }

    /// Checks a batch, as far as the log does not.
    fn let_in(
        &self,
        client: &TopicClient,
        transactional_id: Option<&str>,
        batch: ProduceBatch,
    ) -> TopicResult<(Entry, Option<Pass>)> {
        let (topic, partition) = self.place(client, TopicRight::Write, &batch.to)?;
        self.check_open(&topic, partition)?;
        let producer = transactional_producer(&batch.bytes)
            .map_err(|()| TopicFailure::new(TopicError::InvalidRecord, "batches of two producers in one write"))?;
        let pass = match (producer, transactional_id) {
            (None, _) => {
                // An epoch that somebody makes up would keep the end of the id's transaction out for ever.
                if plain_producers(&batch.bytes).any(|id| self.inner.gate.knows(id)) {
                    let message = "the producer id belongs to a transactional id, and the batch is of no transaction";
                    return Err(TopicFailure::new(TopicError::InvalidTransactionState, message));
                }
                None
            }
            (Some(_), None) => return Err(TopicError::TransactionForbidden.into()),
            (Some(producer), Some(id)) => Some(self.inner.gate.enter(id, producer, (topic.id, batch.to.partition))?),
        };
        Ok((Entry::Batch { topic: topic.id, partition, bytes: batch.bytes }, pass))
    }

    /// Appends; `None` if it takes longer than somebody waits. It goes on then, as it does if nobody waits any more: what is
    /// on its way cannot be called back, and a transaction ends only behind it.
    async fn append_within(
        &self,
        entries: Vec<Entry>,
        passes: (Vec<Pass>, OwnedSemaphorePermit),
        timeout: Duration,
    ) -> Option<Vec<Result<Appended, AppendError>>> {
        let log = self.inner.log.clone();
        let mut work = Box::pin(async move {
            let outcomes = log.append_each(entries).await;
            drop(passes);
            outcomes
        });
        // The first poll takes the place in the order of the partitions; a task of its own would come when it comes. It is not
        // held to the task's budget: where that is spent, the log's queue would put it off, and later writes go past it.
        let work = match futures::poll!(tokio::task::unconstrained(work.as_mut())) {
            Poll::Ready(outcomes) => return Some(outcomes),
            Poll::Pending => tokio::spawn(work),
        };
        let wait = if timeout.is_zero() { WAIT } else { timeout };
        let wait = chrono::TimeDelta::from_std(wait).unwrap_or(chrono::TimeDelta::MAX);
        let until = self.inner.clock.now().checked_add_signed(wait).unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        tokio::select! {
            biased;
            outcomes = work => outcomes.ok(),
            () = self.inner.clock.sleep_until(until) => None,
        }
    }
}

fn produced(appended: Appended) -> TopicResult<Produced> {
    match appended {
        Appended::Batch(batch) => Ok(Produced {
            base_offset: batch.base_offset,
            log_append_time: (batch.log_append_time >= 0).then_some(batch.log_append_time),
            log_start_offset: batch.log_start_offset,
        }),
        _ => Err(TopicError::Internal.into()),
    }
}
