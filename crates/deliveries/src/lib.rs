//! Deliveries: what comes into topics is brought on, in small lots.
//!
//! A delivery is a job that is always due. Its run reads the topic from where the last lot ended, gathers records until there
//! are enough of them or the first has waited long enough, and hands them on with the places up to which they were read. Into
//! a table both are one transaction, so that each record arrives once whatever happens in between; a run that is cut off
//! begins again where the last lot ended.

mod calls;
mod gather;
mod live;
mod redrive;
mod run;
pub mod sinks;
mod stored;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use polder_capability::Jobs;
use polder_capability::deliveries::DeliveryTables;
use polder_capability::topics::TopicRows;
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result};

use crate::live::Live;

pub use run::DeliveryKind;

/// What deliveries stand on.
pub struct DeliveriesOptions {
    pub rows: Arc<dyn TopicRows>,
    /// Weak, since the tables' side knows deliveries for its statements.
    pub tables: Weak<dyn DeliveryTables>,
    pub clock: Arc<dyn Clock>,
}

/// All deliveries. Implements [`Deliveries`](polder_capability::deliveries::Deliveries).
pub struct JobDeliveries {
    rows: Arc<dyn TopicRows>,
    tables: Weak<dyn DeliveryTables>,
    clock: Arc<dyn Clock>,
    /// Given once the runner is there, which has the kind of jobs that deliveries are.
    jobs: OnceLock<Arc<dyn Jobs>>,
    /// What is known of deliveries only while the server runs, by name.
    live: Mutex<HashMap<String, Arc<Live>>>,
}

impl JobDeliveries {
    #[must_use]
    pub fn new(options: DeliveriesOptions) -> Arc<Self> {
        let DeliveriesOptions { rows, tables, clock } = options;
        Arc::new(Self { rows, tables, clock, jobs: OnceLock::new(), live: Mutex::default() })
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

    fn live(&self, name: &str) -> Arc<Live> {
        Arc::clone(self.live.lock().entry(name.to_owned()).or_default())
    }
}
