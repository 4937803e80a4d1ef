//! Deliveries as statements and servers see them.

use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::deliveries::{
    AlterDelivery, DELIVERY_KIND, Deliveries, DeliveryDefinition, DeliveryStart, DeliveryState, DeliveryStatus,
    DeliveryWrite, HistoryHold, OfferedRecord, OffsetStep, Redriven, Secrets, TopicHistory,
};
use polder_capability::topics::TopicScan;
use polder_capability::{Caller, IfExists, JobStatus, QueryError, RunState};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::JobDeliveries;
use crate::run::VIA;
use crate::stored::{Stored, check};
use crate::{offer, sinks};

fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no delivery {name:?}"))
        .with_code("42704")
        .with_hint("SELECT delivery_name FROM polder.deliveries")
}

/// What a sink says of its place, as runs that failed say it.
fn unreached(message: String) -> QueryError {
    let code = ErrorKind::Unavailable.default_code().to_owned();
    QueryError { code, message, position: None, hint: None }
}

fn taken(name: &str, job: &JobStatus) -> Error {
    let what = if job.definition.kind == DELIVERY_KIND { "delivery" } else { "job" };
    Error::new(ErrorKind::AlreadyExists, format!("there is a {what} {name:?} already")).with_code("42710")
}

impl JobDeliveries {
    /// A delivery and its job.
    async fn existing(&self, name: &str) -> Result<(JobStatus, Stored)> {
        let job = self.jobs()?.find(name).await?.ok_or_else(|| unknown(name))?;
        let stored = Stored::of(&job).ok_or_else(|| unknown(name))??;
        Ok((job, stored))
    }

    fn status(&self, job: &JobStatus, stored: Stored) -> DeliveryStatus {
        let now = self.clock.now();
        let seen = self.live(&stored.definition.name).seen(now);
        let last = job.last_run.as_ref();
        let failed = last.filter(|run| run.state == RunState::Failed);
        let state = match last.map(|run| run.state) {
            _ if !job.enabled => DeliveryState::Paused,
            Some(RunState::Running) if seen.trouble.is_some() => DeliveryState::Failing,
            Some(RunState::Running) => DeliveryState::Running,
            Some(RunState::Failed) => DeliveryState::Failing,
            _ => DeliveryState::Starting,
        };
        let (mut last_error, mut last_error_at) = (failed.and_then(|run| run.error.clone()), None);
        let mut next_attempt_at = None;
        if let Some(run) = failed {
            (last_error_at, next_attempt_at) = (run.ended_at, job.next_at);
        } else if let Some(trouble) = seen.trouble {
            (last_error, last_error_at) = (Some(unreached(trouble.why)), Some(trouble.at));
            next_attempt_at = trouble.next_at.filter(|at| job.enabled && *at > now);
        }
        let lag_ms = |oldest: i64| u64::try_from(now.timestamp_millis() - oldest).unwrap_or(0);
        let Stored { id, mut definition } = stored;
        definition.secrets = Default::default();
        let held_bytes = definition.target.history().map(|_| {
            let topic = self.rows.find(&Caller::new(&definition.owner, VIA), &definition.topic);
            topic.map_or(0, |topic| topic.held_bytes)
        });
        DeliveryStatus {
            id,
            definition,
            state,
            created_at: job.created_at,
            counts: seen.counts,
            lag_records: seen.lag.records,
            lag_ms: seen.lag.records.map(|_| seen.lag.oldest_ms.map_or(0, lag_ms)),
            buffered_bytes: seen.lag.buffered_bytes,
            held_bytes,
            last_delivery_at: seen.last_delivery_at,
            last_error,
            last_error_at,
            next_attempt_at,
            run: last.map(|run| run.run_id),
        }
    }

    async fn found(&self, name: &str) -> Result<DeliveryStatus> {
        let (job, stored) = self.existing(name).await?;
        Ok(self.status(&job, stored))
    }

    /// Refuses what could never be delivered, but for what is partitioned or named by columns as it was `before`.
    async fn check_all(&self, definition: &DeliveryDefinition, before: Option<&DeliveryDefinition>) -> Result<()> {
        check(definition)?;
        if definition.owns_topic {
            // Firehose's name roles and buckets as they are at AWS: without a key they wait until the server is given one.
            self.sinks.open(&definition.target, &definition.secrets, Arc::new(|_| {}))?;
        } else {
            self.sinks.check(&definition.target, &definition.secrets)?;
        }
        if let Some(backup) = &definition.backup {
            self.sinks.open_backup(backup, &definition.secrets)?;
        }
        self.check_history(definition).await?;
        let columns = self.tables()?.check(definition, before).await?;
        let same = |old: &DeliveryDefinition| {
            old.target == definition.target && old.backup == definition.backup && old.transform == definition.transform
        };
        if before.is_some_and(same) { Ok(()) } else { sinks::check_columns(definition, &columns) }
    }

    /// Refuses what could never be delivered, from a topic that its owner may not read too.
    async fn check_readable(&self, definition: &DeliveryDefinition) -> Result<()> {
        let caller = Caller::new(&definition.owner, VIA);
        if self.rows.find(&caller, &definition.topic).is_none() {
            return Err(no_topic(definition));
        }
        self.check_all(definition, None).await
    }

    /// Ends the run that goes on, so that the next one begins with what has changed. Looked for behind the change: one that has
    /// begun meanwhile may not know of it.
    async fn stop(&self, name: &str) -> Result<()> {
        let Some(job) = self.jobs()?.find(name).await? else { return Ok(()) };
        if let Some(run) = job.last_run.as_ref().filter(|run| !run.state.has_ended()) {
            self.jobs()?.cancel(run.run_id).await?;
        }
        Ok(())
    }

    /// Remembers where the topic ends now, for a delivery that begins with what comes.
    async fn begin_at_end(&self, id: Uuid, definition: &DeliveryDefinition) -> Result<()> {
        let caller = Caller::new(&definition.owner, VIA);
        let topic = self.rows.find(&caller, &definition.topic).ok_or_else(|| no_topic(definition))?;
        let parts = self.rows.scan(&caller, &definition.topic, TopicScan::default()).await?;
        let ends = (0..topic.partitions).map(|partition| {
            let end = parts.iter().find(|part| part.partition == partition).and_then(|part| part.to);
            OffsetStep { topic: topic.id, partition, before: None, after: end.unwrap_or(0) }
        });
        self.begin_at(id, definition, ends.collect()).await
    }

    /// Writes down where a delivery begins.
    pub(crate) async fn begin_at(
        &self,
        id: Uuid,
        definition: &DeliveryDefinition,
        offsets: Vec<OffsetStep>,
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let write = DeliveryWrite {
            delivery: id,
            name: definition.name.clone(),
            owner: definition.owner.clone(),
            topic: definition.topic.clone(),
            records: Vec::new(),
            transform: None,
            target: None,
            history: None,
            partition_by: Vec::new(),
            rejected: Vec::new(),
            errors_into: definition.errors_table(),
            redriven: Vec::new(),
            now: self.clock.now(),
            offsets,
        };
        self.tables()?.deliver(write).await.map(|_| ())
    }
}

fn no_topic(definition: &DeliveryDefinition) -> Error {
    Error::not_found(format!("there is no topic {:?}, or {:?} may not read it", definition.topic, definition.owner))
        .with_code("42704")
}

#[async_trait]
impl Deliveries for JobDeliveries {
    async fn create(&self, definition: DeliveryDefinition, if_exists: IfExists) -> Result<(DeliveryStatus, bool)> {
        check(&definition)?;
        let _alone = self.changing.lock().await;
        let name = definition.name.clone();
        let existing = self.jobs()?.find(&name).await?;
        let before = match (&existing, if_exists) {
            (None, _) => None,
            (Some(job), IfExists::Keep) if job.definition.kind == DELIVERY_KIND => {
                return Ok((self.found(&name).await?, false));
            }
            (Some(job), IfExists::Replace) if job.definition.kind == DELIVERY_KIND => Stored::of(job).transpose()?,
            (Some(job), _) => return Err(taken(&name, job)),
        };
        let owned = before
            .as_ref()
            .is_some_and(|before| before.definition.owns_topic && before.definition.topic == definition.topic);
        let makes = definition.owns_topic && !owned;
        if makes {
            offer::make_topic(self, &definition).await?;
        }
        if let Err(error) = self.check_readable(&definition).await {
            if makes {
                offer::delete_topic(self, &definition).await?;
            }
            return Err(error);
        }
        // A history has all that its place says it has.
        let history = |of: &DeliveryDefinition| of.target.history().cloned();
        let goes_on = before.as_ref().map(|before| &before.definition);
        let goes_on = goes_on.filter(|old| old.topic == definition.topic && history(old) == history(&definition));
        let goes_on = before.as_ref().filter(|_| goes_on.is_some());
        let id = goes_on.map_or_else(Uuid::now_v7, |before| before.id);
        self.keep_secrets(id, &definition.secrets).await?;
        if goes_on.is_none() && definition.start == DeliveryStart::Latest {
            self.begin_at_end(id, &definition).await?;
        }
        if goes_on.is_none() && definition.target.history().is_some() {
            self.begin_behind_kept(id, &definition).await?;
        }
        let stored = Stored { id, definition };
        match &existing {
            Some(job) => drop(self.jobs()?.replace(&job.definition, stored.job()?).await?),
            None => drop(self.jobs()?.create(stored.job()?, IfExists::Refuse).await?),
        }
        self.histories_changed();
        if existing.is_some() {
            self.stop(&name).await?;
        }
        if let Some(gone) = before.filter(|before| before.id != id) {
            self.tables()?.forget(gone.id, None).await?;
            self.keep_secrets(gone.id, &Secrets::default()).await?;
        }
        Ok((self.found(&name).await?, true))
    }

    async fn alter(&self, name: &str, change: AlterDelivery) -> Result<DeliveryStatus> {
        let _alone = self.changing.lock().await;
        let (job, stored) = self.existing(name).await?;
        let mut stored = self.with_secrets(stored).await?;
        let before = DeliveryDefinition { about: None, ..stored.definition.clone() };
        let AlterDelivery {
            buffer_bytes,
            buffer_seconds,
            transform,
            partition_by,
            held_bytes_max,
            errors_into,
            target,
            backup,
            about,
            secrets,
        } = change;
        let definition = &mut stored.definition;
        definition.buffer.bytes = buffer_bytes.unwrap_or(definition.buffer.bytes);
        definition.buffer.seconds = buffer_seconds.unwrap_or(definition.buffer.seconds);
        definition.transform = transform.unwrap_or_else(|| definition.transform.take());
        definition.partition_by = partition_by.unwrap_or_else(|| std::mem::take(&mut definition.partition_by));
        definition.held_bytes_max = held_bytes_max.unwrap_or(definition.held_bytes_max);
        definition.errors_into = errors_into.unwrap_or_else(|| definition.errors_into.take());
        if let Some(target) = target {
            if target.history() != definition.target.history() {
                return Err(Error::unsupported("a delivery does not become a history of its topic, or end being one")
                    .with_hint("CREATE OR REPLACE DELIVERY"));
            }
            definition.target = target;
        }
        definition.backup = backup.unwrap_or_else(|| definition.backup.take());
        definition.about = about.or_else(|| definition.about.take());
        let new_secrets = secrets.is_some();
        definition.secrets = secrets.unwrap_or_else(|| std::mem::take(&mut definition.secrets));
        if (DeliveryDefinition { about: None, ..stored.definition.clone() }) == before {
            self.jobs()?.replace(&job.definition, stored.job()?).await?;
            return self.found(name).await;
        }
        self.check_all(&stored.definition, Some(&before)).await?;
        if new_secrets {
            self.keep_secrets(stored.id, &stored.definition.secrets).await?;
        }
        self.jobs()?.replace(&job.definition, stored.job()?).await?;
        self.stop(name).await?;
        self.found(name).await
    }

    async fn pause(&self, name: &str) -> Result<DeliveryStatus> {
        self.existing(name).await?;
        self.jobs()?.pause(name).await?;
        self.stop(name).await?;
        self.found(name).await
    }

    async fn resume(&self, name: &str) -> Result<DeliveryStatus> {
        self.existing(name).await?;
        self.jobs()?.resume(name).await?;
        self.found(name).await
    }

    async fn remove(&self, name: &str) -> Result<bool> {
        let _alone = self.changing.lock().await;
        let Some(job) = self.jobs()?.find(name).await? else { return Ok(false) };
        let Some(stored) = Stored::of(&job).transpose()? else { return Ok(false) };
        // First, so that a crash in between leaves a delivery that can be removed once more, and no topic in the way of its name.
        if stored.definition.owns_topic {
            offer::delete_topic(self, &stored.definition).await?;
        }
        // With its run.
        self.jobs()?.remove(name).await?;
        self.histories_changed();
        self.live.lock().remove(name);
        self.tables()?.forget(stored.id, None).await?;
        self.keep_secrets(stored.id, &Secrets::default()).await?;
        Ok(true)
    }

    async fn list(&self) -> Result<Vec<DeliveryStatus>> {
        let mut all = Vec::new();
        for job in self.jobs()?.list().await? {
            if let Some(stored) = Stored::of(&job) {
                all.push(self.status(&job, stored?));
            }
        }
        Ok(all)
    }

    async fn find(&self, name: &str) -> Result<Option<DeliveryStatus>> {
        match self.jobs()?.find(name).await? {
            Some(job) => Ok(Stored::of(&job).transpose()?.map(|stored| self.status(&job, stored))),
            None => Ok(None),
        }
    }

    async fn redrive(&self, name: &str) -> Result<Redriven> {
        let (_, stored) = self.existing(name).await?;
        if stored.definition.target.history().is_some() {
            return Err(Error::unsupported("a history has the records as they are: another try changes nothing")
                .with_hint("SELECT * FROM its table of rejected records"));
        }
        self.redrive_all(&stored).await
    }

    fn hold(&self, name: &str, topic: Uuid) -> Arc<HistoryHold> {
        self.held(name, topic)
    }

    async fn history(&self, topic: &str) -> Result<Option<TopicHistory>> {
        self.history_of(topic).await
    }

    async fn offer(&self, caller: &Caller, name: &str, records: Vec<OfferedRecord>) -> Result<Vec<(i32, i64)>> {
        let (_, stored) = self.existing(name).await?;
        offer::offer(self, caller, &stored.definition, records).await
    }
}
