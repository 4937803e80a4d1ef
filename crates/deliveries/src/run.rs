//! The run of a delivery: reads, gathers, hands on, until it must stop.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use polder_capability::deliveries::{DELIVERY_KIND, DeliveryDefinition, DeliveryTarget, RejectedRecord};
use polder_capability::topics::{TopicPart, TopicScan, topic_schema};
use polder_capability::{Caller, JobKind, JobRun};
use polder_types::{Error, ErrorKind, Result};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::JobDeliveries;
use crate::gather::Lot;
use crate::live::{Lag, Live};
use crate::outlet::Outlet;
use crate::stored::{Stored, check};

/// How deliveries are told to those who decide about rights.
pub(crate) const VIA: &str = "delivery";

/// How often a topic is looked at: a fifth of the time that records may wait, within these bounds.
const LOOK_MIN: TimeDelta = TimeDelta::milliseconds(100);
const LOOK_MAX: TimeDelta = TimeDelta::milliseconds(1_000);

/// Even without records the place moves on now and then, past what was aborted.
const EMPTY_AFTER: TimeDelta = TimeDelta::seconds(60);

/// The jobs that deliveries are.
pub struct DeliveryKind(Arc<JobDeliveries>);

impl DeliveryKind {
    #[must_use]
    pub fn new(deliveries: &Arc<JobDeliveries>) -> Self {
        Self(Arc::clone(deliveries))
    }
}

#[async_trait]
impl JobKind for DeliveryKind {
    fn name(&self) -> &'static str {
        DELIVERY_KIND
    }

    fn is_always(&self) -> bool {
        true
    }

    fn check(&self, payload: &Value) -> Result<()> {
        check(&Stored::read(payload)?.definition)
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        let stored = self.0.with_secrets(Stored::read(&run.payload)?).await?;
        check(&stored.definition)?;
        let outlet = Outlet::open(&self.0, stored.clone())?;
        let Stored { id, definition } = stored;
        let (live, caller) = (self.0.live(&definition.name), Caller::new(&definition.owner, VIA));
        // The place may be another one now, or be mended.
        live.tried(None);
        Running { house: &self.0, id, definition: &definition, outlet, run, live, caller }.go().await
    }
}

struct Running<'a> {
    house: &'a JobDeliveries,
    id: Uuid,
    definition: &'a DeliveryDefinition,
    outlet: Outlet,
    run: &'a JobRun,
    live: Arc<Live>,
    caller: Caller,
}

fn stopped() -> Error {
    Error::cancelled()
}

impl Running<'_> {
    fn now(&self) -> DateTime<Utc> {
        self.house.now()
    }

    async fn go(&self) -> Result<()> {
        let topic = self.house.rows.find(&self.caller, &self.definition.topic).ok_or_else(|| self.no_topic())?;
        let stored = self.house.tables()?.offsets(self.id).await?;
        if stored.iter().any(|offset| offset.topic != topic.id) {
            self.run.log.line("the topic was made anew; it is read from its beginning");
        }
        let mut lot = Lot::new(topic.id, &stored);
        let mut last = self.now();
        loop {
            let behind = self.gather(topic.id, &mut lot).await?;
            let now = self.now();
            let waited = lot.since.is_some_and(|since| now - since >= self.wait());
            // Most that is not read into rows is nothing that could be lost: only the place would move.
            let idle = lot.records.is_empty() && now - last >= EMPTY_AFTER && !lot.steps().is_empty();
            if waited || idle {
                self.deliver(&mut lot).await?;
                last = now;
            }
            self.tell_lag(&lot, behind);
            let look = (self.wait() / 5).clamp(LOOK_MIN, LOOK_MAX);
            // Not past the moment at which the lot is to go.
            let left = lot.since.map_or(look, |since| self.wait() - (self.now() - since));
            self.sleep(look.min(left).max(TimeDelta::zero()), &self.run.stop).await?;
        }
    }

    fn no_topic(&self) -> Error {
        Error::not_found(format!("there is no topic {:?}, or its owner may not read it", self.definition.topic))
    }

    fn wait(&self) -> TimeDelta {
        TimeDelta::seconds(i64::try_from(self.definition.buffer.seconds).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, time: TimeDelta, stop: &CancellationToken) -> Result<()> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(stopped()),
            () = self.house.clock.sleep_until(self.house.clock.now() + time) => Ok(()),
        }
    }

    /// Reads what has come, and delivers each time that there is enough. Gives how many records are still to be read.
    async fn gather(&self, topic: Uuid, lot: &mut Lot) -> Result<u64> {
        lot.looks(self.now());
        let parts = self.house.rows.scan(&self.caller, &self.definition.topic, TopicScan::default()).await?;
        let mut behind = 0;
        for mut part in parts {
            if part.id != topic {
                return Err(Error::conflict("the topic was made anew"));
            }
            let Some(to) = part.to else { continue };
            self.note_lost(lot, &part);
            part.from = part.from.max(lot.next(part.partition).unwrap_or(0));
            part.spelled = self.definition.wants_spelled();
            if part.from >= to {
                lot.read_to(part.partition, to);
                continue;
            }
            behind += self.read(part, to, lot).await?;
        }
        Ok(behind)
    }

    /// Reads one partition to where it ends now. What cannot be read is rejected, each batch as a whole.
    async fn read(&self, mut part: TopicPart, to: i64, lot: &mut Lot) -> Result<u64> {
        while part.from < to {
            let error = match self.read_sound(part.clone(), to, lot).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => error,
                done => return done,
            };
            part.from = lot.next(part.partition).unwrap_or(part.from).max(part.from);
            let Some(damaged) = self.house.rows.damaged(&part).await? else { return Err(error) };
            let first = damaged.first_offset.max(part.from);
            if part.from < first {
                self.read_sound(TopicPart { to: Some(first), ..part.clone() }, first, lot).await?;
            }
            self.run.log.line(format!("partition {}: {}", part.partition, damaged.reason));
            let now = self.now();
            let rejected = RejectedRecord {
                topic: self.definition.topic.clone(),
                partition: part.partition,
                offset: first,
                timestamp: damaged.timestamp,
                key: None,
                value: Some(damaged.batch),
                headers: None,
                reason: format!("{}; the value is the batch that they are", damaged.reason),
                at: now,
            };
            lot.reject(rejected, damaged.last_offset, now);
            part.from = damaged.last_offset.saturating_add(1);
            if lot.is_full(self.definition.buffer.bytes) {
                self.deliver(lot).await?;
            }
        }
        lot.read_to(part.partition, to);
        Ok(0)
    }

    async fn read_sound(&self, part: TopicPart, to: i64, lot: &mut Lot) -> Result<u64> {
        let partition = part.partition;
        let mut rows = self.house.rows.read(part, (0..topic_schema().fields().len()).collect())?;
        loop {
            let batch = tokio::select! {
                biased;
                () = self.run.stop.cancelled() => return Err(stopped()),
                batch = rows.next() => batch,
            };
            let Some(batch) = batch.transpose()? else { break };
            lot.take(partition, batch, self.now());
            if lot.is_full(self.definition.buffer.bytes) {
                let left = u64::try_from(to - lot.next(partition).unwrap_or(to)).unwrap_or(0);
                self.deliver(lot).await?;
                self.tell_lag(lot, left);
            }
        }
        lot.read_to(partition, to);
        Ok(0)
    }

    /// Records that were deleted before they were delivered.
    fn note_lost(&self, lot: &Lot, part: &TopicPart) {
        let Some(next) = lot.next(part.partition) else { return };
        if let Ok(lost) = u64::try_from(part.from - next)
            && lost > 0
        {
            self.live.lost(lost);
            self.run.log.line(format!(
                "{lost} records of partition {} were deleted before they were delivered: offsets {next} to {}",
                part.partition,
                part.from - 1
            ));
        }
    }

    async fn deliver(&self, lot: &mut Lot) -> Result<()> {
        let (records, bytes, now) = (lot.count() + lot.rejected.len() as u64, lot.bytes, self.now());
        let place = self.definition.target.place();
        let (batches, unread) = (std::mem::take(&mut lot.records), std::mem::take(&mut lot.rejected));
        let work = self.outlet.deliver(self.house, batches, lot.steps(), Vec::new(), unread);
        let delivered = match &self.definition.target {
            // Not given up half way: what is committed is to be known. A stop waits for it.
            DeliveryTarget::Table(_) | DeliveryTarget::History(_) => work.await,
            // Elsewhere tries may go on for minutes, and what was sent can be sent again.
            _ => tokio::select! {
                biased;
                delivered = work => delivered,
                () = self.run.stop.cancelled() => Err(stopped()),
            },
        };
        let delivered = delivered.map_err(|error| self.explained(error))?;
        lot.arrived();
        self.live.delivered(records - delivered.rejected.min(records), bytes, delivered.rejected, now);
        if delivered.made_table {
            self.run.log.line(format!("the table {place} was made"));
        }
        if !delivered.new_columns.is_empty() {
            self.run.log.line(format!("{place} has new columns: {}", delivered.new_columns.join(", ")));
        }
        if delivered.rejected > 0 {
            let into = self.definition.errors_table();
            self.run.log.line(format!("{} of {records} records were rejected, see {into}", delivered.rejected));
        }
        if self.run.stop.is_cancelled() { Err(stopped()) } else { Ok(()) }
    }

    fn explained(&self, error: Error) -> Error {
        match error.kind() {
            // The place is read anew by the next attempt.
            ErrorKind::Conflict => error.context("the lot was not delivered and is read again"),
            _ => error,
        }
    }

    fn tell_lag(&self, lot: &Lot, unread: u64) {
        let records = Some(lot.count() + unread);
        self.live.is_behind(Lag { records, oldest_ms: lot.oldest_ms, buffered_bytes: lot.bytes });
    }
}
