//! Topics, groups and transactions with Kafka's semantics, on the one log.
//!
//! What has to be done one thing after the other (groups, transactions) is the [coordinator](coordinator)'s: machines without
//! input and output, in one task that writes before it answers. Records go straight to the log.

mod codec;
mod coordinator;
mod effects;
mod failure;
mod groups;
mod housekeeping;
mod options;
mod quotas;
mod records;
mod rows;
mod shards;
mod spaces;
mod topics;
mod transactions;

use std::sync::{Arc, OnceLock, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use polder_capability::Caller;
use polder_capability::topics::{
    StoreCounts, TopicClient, TopicKeeper, TopicRight, TopicRights, TopicStore, TopicThing,
};
use polder_runtime::{Clock, Shutdown};
use polder_topic_log::{Log, LogMetrics};
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub use crate::groups::GroupLimits;
pub use crate::groups::classic::ClassicLimits;
pub use crate::groups::consumer::ConsumerLimits;
pub use crate::options::{Random, StreamingOptions};
pub use crate::rows::LogRows;
pub use crate::transactions::TransactionLimits;

use crate::coordinator::{Coordination, Coordinator, Task};
use crate::quotas::Quotas;
use crate::records::fetch_permits;
use crate::shards::StreamWork;
use crate::spaces::SERVER;
use crate::transactions::Gate;

const CLUSTER_ID: &str = "cluster id";

/// Nothing is refused to anybody: for a server that nobody else reaches, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unrestricted;

impl TopicRights for Unrestricted {
    fn may(&self, _caller: &Caller, _right: TopicRight, _thing: TopicThing<'_>) -> bool {
        true
    }

    /// Nobody is.
    fn refused(&self, _client: &TopicClient, _right: TopicRight, _thing: TopicThing<'_>) {}
}

/// All topics of a server, and those who write and read them. All clones are one.
#[derive(Clone)]
pub struct Streaming {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    clock: Arc<dyn Clock>,
    rights: Arc<dyn TopicRights>,
    options: StreamingOptions,
    cluster_id: String,
    coordination: Coordination,
    gate: Gate,
    quotas: Quotas,
    /// Memory of the answers to fetches, in permits of 1 KiB.
    fetching: Arc<Semaphore>,
    streams: StreamWork,
    /// Who keeps records elsewhere.
    keeper: OnceLock<Weak<dyn TopicKeeper>>,
    /// The coordinator's work, until it is started.
    task: Mutex<Option<Task>>,
}

impl TopicStore for Streaming {
    fn counts(&self) -> StoreCounts {
        let LogMetrics { bytes, syncs, appends, cache_bytes, disk_bytes, damaged_segments, .. } =
            self.inner.log.metrics();
        StoreCounts {
            written_bytes: bytes,
            appends,
            syncs,
            cache_read_bytes: cache_bytes,
            disk_read_bytes: disk_bytes,
            damaged_segments,
            held_bytes: self.inner.log.held_bytes_of_all().values().sum(),
        }
    }
}

impl Streaming {
    /// Topics, groups and transactions as the log has them. Nothing is answered before [`Streaming::start`].
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`: what the log keeps cannot be read. `Exhausted`, `Unavailable`: a new log cannot be written.
    pub async fn open(
        log: Log,
        options: StreamingOptions,
        rights: Arc<dyn TopicRights>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let cluster_id = cluster_id(&log, &options).await?;
        let quotas = Quotas::open(&log)?;
        let now_ms = clock.now().timestamp_millis();
        let (gate, idle) = Gate::new();
        let mut coordinator = Coordinator::open(&log, &options, gate.clone(), now_ms)?;
        // The server may have stopped between the end of a topic and that of what was kept about it.
        let forgotten = coordinator.forget_topics(now_ms, |topic| log.topic_by_id(topic).is_none());
        if !forgotten.entries.is_empty() {
            log.append(forgotten.entries).await.map_err(unwritten)?;
        }
        let gone = shards::of_deleted_topics(&log)?;
        if !gone.is_empty() {
            log.append(gone).await.map_err(unwritten)?;
        }
        let most = options.kept_bytes_max;
        let (coordination, task) = Coordination::new(coordinator, log.clone(), Arc::clone(&clock), idle, most);
        let fetching = Arc::new(Semaphore::new(fetch_permits(options.all_fetch_bytes_max)));
        let task = Mutex::new(Some(task));
        let (streams, keeper) = (StreamWork::default(), OnceLock::new());
        let inner = Inner {
            log,
            clock,
            rights,
            options,
            cluster_id,
            coordination,
            gate,
            quotas,
            fetching,
            streams,
            keeper,
            task,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Starts what works by itself: the coordinator and housekeeping. They end when the server stops. A second call starts
    /// nothing.
    #[must_use]
    pub fn start(&self, shutdown: &Shutdown) -> Vec<JoinHandle<()>> {
        let Some(task) = self.inner.task.lock().take() else { return Vec::new() };
        let housekeeping = self.clone().keep_house(shutdown.clone());
        vec![tokio::spawn(task.run(shutdown.clone())), tokio::spawn(housekeeping)]
    }

    fn now_ms(&self) -> i64 {
        self.inner.clock.now().timestamp_millis()
    }
}

fn unwritten(error: polder_topic_log::AppendError) -> Error {
    match error {
        polder_topic_log::AppendError::Failed(error) => error,
        refused @ polder_topic_log::AppendError::Refused { .. } => Error::new(ErrorKind::Internal, refused.to_string()),
    }
}

/// The name of this installation, made when it is first started.
async fn cluster_id(log: &Log, options: &StreamingOptions) -> Result<String> {
    let key = spaces::name_key(CLUSTER_ID);
    if let Some(kept) = log.state_of(SERVER, &key) {
        return String::from_utf8(kept.to_vec())
            .map_err(|_| Error::new(ErrorKind::Corrupt, "the name of this installation is no text"));
    }
    let name = URL_SAFE_NO_PAD.encode((options.random)());
    log.append(vec![spaces::set(SERVER, key, name.clone().into())]).await.map_err(unwritten)?;
    Ok(name)
}

#[cfg(test)]
mod tests;
