//! Topics: the log in the data directory, what stands on it, and the server for Kafka's clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use polder_capability::{Accounts, ProvenLogins, TopicRights};
use polder_kafka_server::{KafkaContracts, KafkaServer, KafkaServerOptions};
use polder_runtime::{Clock, Shutdown};
use polder_streaming::{Streaming, StreamingOptions};
use polder_topic_log::{Log, LogOptions};
use uuid::Uuid;

/// The log's folder in the data directory.
const FOLDER: &str = "log";

/// What topics need of the rest of the house.
pub struct Around {
    pub rights: Arc<dyn TopicRights>,
    pub accounts: Arc<dyn Accounts>,
    pub logins: Arc<dyn ProvenLogins>,
    pub clock: Arc<dyn Clock>,
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
