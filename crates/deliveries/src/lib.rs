//! Deliveries: what comes into topics is brought on, in small lots.
//!
//! A delivery is a job that is always due. Its run reads the topic from where the last lot ended, gathers records until there
//! are enough of them or the first has waited long enough, and hands them on with the places up to which they were read. Into
//! a table both are one transaction, so that each record arrives once whatever happens in between; a run that is cut off
//! begins again where the last lot ended.

mod calls;
mod gather;
mod history;
mod live;
mod offer;
mod outlet;
mod redrive;
mod run;
pub mod sinks;
mod stored;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_capability::Jobs;
use polder_capability::deliveries::{DeliveryTables, HistoryHold, Secrets};
use polder_capability::schemas::ValueSchemas;
use polder_capability::topics::{TopicRows, Topics};
use polder_metastore::Metastore;
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::live::Live;
use crate::sinks::{Random, Sinks, Told};
use crate::stored::Stored;

pub use run::DeliveryKind;

/// What deliveries stand on.
pub struct DeliveriesOptions {
    pub rows: Arc<dyn TopicRows>,
    /// Read what rejected records say by which schema it was written.
    pub schemas: Arc<dyn ValueSchemas>,
    /// For topics that are deliveries' own.
    pub topics: Arc<dyn Topics>,
    /// Keeps the secrets.
    pub metastore: Arc<Metastore>,
    pub random: Random,
    /// Weak, since the tables' side knows deliveries for its statements.
    pub tables: Weak<dyn DeliveryTables>,
    pub clock: Arc<dyn Clock>,
}

/// All deliveries. Implements [`Deliveries`](polder_capability::deliveries::Deliveries).
pub struct JobDeliveries {
    rows: Arc<dyn TopicRows>,
    schemas: Arc<dyn ValueSchemas>,
    topics: Arc<dyn Topics>,
    metastore: Arc<Metastore>,
    sinks: Sinks,
    tables: Weak<dyn DeliveryTables>,
    clock: Arc<dyn Clock>,
    /// Given once the runner is there, which has the kind of jobs that deliveries are.
    jobs: OnceLock<Arc<dyn Jobs>>,
    /// Held while deliveries are changed, one change behind another: each keeps what it has looked at, its secrets too.
    changing: tokio::sync::Mutex<()>,
    /// What is known of deliveries only while the server runs, by name.
    live: Mutex<HashMap<String, Arc<Live>>>,
    /// What statements read of topics that have histories.
    holds: Mutex<Vec<Weak<HistoryHold>>>,
    /// Which topics have histories.
    kept: Mutex<history::KeptTopics>,
}

impl JobDeliveries {
    #[must_use]
    pub fn new(options: DeliveriesOptions) -> Arc<Self> {
        let DeliveriesOptions { rows, schemas, topics, metastore, random, tables, clock } = options;
        let sinks = Sinks::new(Arc::clone(&clock), random);
        let (jobs, changing) = (OnceLock::new(), tokio::sync::Mutex::default());
        let (live, holds, kept) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { rows, schemas, topics, metastore, sinks, tables, clock, jobs, changing, live, holds, kept })
    }

    /// Gives the runner of jobs. Called once, by the wiring.
    pub fn set_jobs(&self, jobs: Arc<dyn Jobs>) {
        // A second one would be a mistake in the wiring; the first one stays.
        let _ = self.jobs.set(jobs);
    }

    fn jobs(&self) -> Result<&Arc<dyn Jobs>> {
        self.jobs.get().ok_or_else(|| Error::internal("deliveries have no runner of jobs"))
    }

    fn tables(&self) -> Result<Arc<dyn DeliveryTables>> {
        self.tables.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server is stopping"))
    }

    /// The time, as the metastore and tables keep it.
    fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// A delivery with its secrets.
    async fn with_secrets(&self, mut stored: Stored) -> Result<Stored> {
        stored.definition.secrets = Secrets(self.metastore.deliveries().secrets(stored.id).await?);
        Ok(stored)
    }

    async fn keep_secrets(&self, id: Uuid, secrets: &Secrets) -> Result<()> {
        let writes = self.metastore.deliveries().secrets_writes(id, &secrets.0)?;
        self.metastore.write(&writes).await
    }

    /// What a delivery's sink is told by.
    fn told(&self, name: &str) -> Told {
        let (live, name) = (self.live(name), name.to_owned());
        Arc::new(move |trouble| {
            let why = trouble.as_ref().map(|trouble| trouble.why.clone());
            match (live.tried(trouble), why) {
                (false, Some(why)) => tracing::warn!(delivery = name, why, "a delivery's place takes nothing"),
                (true, None) => tracing::info!(delivery = name, "a delivery's place takes something again"),
                _ => {}
            }
        })
    }

    fn live(&self, name: &str) -> Arc<Live> {
        Arc::clone(self.live.lock().entry(name.to_owned()).or_default())
    }
}
