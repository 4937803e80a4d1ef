//! Topics: the log in the data directory, what stands on it, and the server for Kafka's clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use polder_capability::topics::TopicRights;
use polder_capability::{Accounts, BackupPart, ProvenLogins};
use polder_kafka_server::{KafkaContracts, KafkaServer, KafkaServerOptions};
use polder_runtime::{Clock, Shutdown, SystemClock};
use polder_streaming::{Streaming, StreamingOptions};
use polder_topic_log::{Log, LogOptions};
use polder_types::{Error, ErrorKind};
use uuid::Uuid;

/// The log's folder in the data directory.
const FOLDER: &str = "log";

/// The log in a backup: that of the running server, or else the one that lies in the data directory.
pub struct LogBackup {
    data: PathBuf,
    clock: Arc<dyn Clock>,
    running: OnceLock<Log>,
}

impl LogBackup {
    #[must_use]
    pub fn new(data: &Path, clock: &Arc<dyn Clock>) -> Self {
        Self { data: data.to_owned(), clock: Arc::clone(clock), running: OnceLock::new() }
    }
}

#[async_trait::async_trait]
impl BackupPart for LogBackup {
    fn folder(&self) -> &'static str {
        FOLDER
    }

    async fn copy_to(&self, directory: &Path) -> polder_types::Result<()> {
        if let Some(log) = self.running.get() {
            log.copy_to(directory).await?;
            return Ok(());
        }
        let folder = self.data.join(FOLDER);
        if !folder.exists() {
            return Ok(());
        }
        let (log, _) = Log::open(&folder, LogOptions::default(), Arc::clone(&self.clock)).await?;
        log.copy_to(directory).await?;
        log.close().await
    }
}

/// Brings a backup's log into a data directory, and reads every byte of it.
///
/// # Errors
/// When it is damaged, or cannot be written.
pub async fn restore(backup: &Path, data: &Path) -> polder_types::Result<()> {
    let (from, into) = (backup.join(FOLDER), data.join(FOLDER));
    if !from.exists() {
        return Ok(());
    }
    // A backup is not written to, and opening a log may cut its end: so it is copied first.
    copy_files(&from, &into).map_err(|error| {
        let message = format!("cannot copy {} to {}: {error}", from.display(), into.display());
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (log, _) = Log::open(&into, LogOptions::default(), clock).await?;
    log.scrub().await?;
    log.close().await
}

fn copy_files(from: &Path, into: &Path) -> std::io::Result<()> {
    std::fs::create_dir(into)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = into.join(entry.file_name());
        std::fs::copy(entry.path(), &target)?;
        std::fs::File::open(&target)?.sync_all()?;
    }
    std::fs::File::open(into)?.sync_all()?;
    match into.parent() {
        Some(data) => std::fs::File::open(data)?.sync_all(),
        None => Ok(()),
    }
}

/// What topics need of the rest of the house.
pub struct Around {
    pub rights: Arc<dyn TopicRights>,
    pub accounts: Arc<dyn Accounts>,
    pub logins: Arc<dyn ProvenLogins>,
    pub clock: Arc<dyn Clock>,
    /// Gets the log that runs.
    pub backup: Arc<LogBackup>,
}

/// Open topics, and the server in front of them: bound, and ready to serve.
pub struct KafkaHouse {
    log: Log,
    streaming: Streaming,
    server: KafkaServer,
    shutdown: Shutdown,
}

impl KafkaHouse {
    /// # Errors
    /// When the log is damaged or in use, or the address is taken.
    pub async fn open(data: &Path, options: KafkaServerOptions, around: Around, shutdown: &Shutdown) -> Result<Self> {
        let settings = LogOptions { identity: Uuid::new_v4().as_u64_pair().0, ..LogOptions::default() };
        let (log, found) = Log::open(&data.join(FOLDER), settings, Arc::clone(&around.clock)).await?;
        if found.replayed_bytes > 0 || found.torn_bytes > 0 {
            tracing::info!(
                topics = found.topics,
                replayed_bytes = found.replayed_bytes,
                torn_bytes = found.torn_bytes,
                "the log of topics was not closed; its end has been read again"
            );
        }
        // There is one server for Kafka's clients, so it is the first.
        let _ = around.backup.running.set(log.clone());
        let streaming = Streaming::open(log.clone(), StreamingOptions::default(), around.rights, around.clock).await?;
        let contracts =
            KafkaContracts { topics: Arc::new(streaming.clone()), accounts: around.accounts, logins: around.logins };
        let server = KafkaServer::bind(options, contracts, shutdown.clone()).await?;
        Ok(Self { log, streaming, server, shutdown: shutdown.clone() })
    }

    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Answers until shutdown has started and running requests have had their time; then closes the log.
    pub async fn serve(self) -> Result<()> {
        let working = self.streaming.start(&self.shutdown);
        self.server.serve().await;
        for task in working {
            if let Err(error) = task.await {
                tracing::error!(%error, "what works on topics by itself has died");
            }
        }
        Ok(self.log.close().await?)
    }
}
