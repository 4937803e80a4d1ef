//! Streams alone, without the engine: for suites of clients that try the API. Everybody is let in.
//!
//! `cargo run -p polder-aws-server --example aws -- 127.0.0.1:7466 DIRECTORY`

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polder_aws_server::{Auth, AwsContracts, AwsServer, AwsServerOptions, TlsFiles};
use polder_capability::{Origin, SigningKeys, SigningRefusal};
use polder_runtime::{Clock, Shutdown, SystemClock};
use polder_streaming::{Streaming, StreamingOptions, Unrestricted};
use polder_topic_log::{Log, LogOptions};

/// Nobody is asked for a key.
struct NoKeys;

#[async_trait::async_trait]
impl SigningKeys for NoKeys {
    async fn signing_key(&self, _id: &str) -> polder_types::Result<Option<(String, String)>> {
        Ok(None)
    }

    fn signed(&self, _id: &str, _outcome: std::result::Result<&str, SigningRefusal>, _origin: Origin<'_>) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("an address and a directory are needed".into());
    };
    let directory = PathBuf::from(directory);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (log, _) = Log::open(&directory, LogOptions::default(), Arc::clone(&clock)).await?;
    let topics =
        Streaming::open(log.clone(), StreamingOptions::default(), Arc::new(Unrestricted), Arc::clone(&clock)).await?;
    let shutdown = Shutdown::new();
    let working = topics.start(&shutdown);
    let options = AwsServerOptions {
        address: address.parse()?,
        auth: Auth::Trust { user: "polder".to_owned() },
        tls: TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key"), make: true },
        message_time: Duration::from_secs(120),
    };
    let contracts = AwsContracts { shards: Arc::new(topics), keys: Arc::new(NoKeys), deliveries: None, clock };
    let server = AwsServer::bind(options, contracts, shutdown.clone())?;
    println!("{}", server.local_addr());
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        // Without a signal to wait for it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.start();
        }
    });
    server.serve().await;
    for task in working {
        task.await?;
    }
    log.close().await?;
    Ok(())
}
