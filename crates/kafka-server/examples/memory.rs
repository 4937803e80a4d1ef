//! The Kafka server with topics in memory, to try clients on: `memory ADDRESS trust|password DIRECTORY [PORT]`, where
//! PORT is one that clients are told to come to.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polder_kafka_server::{Auth, KafkaContracts, KafkaServer, KafkaServerOptions, TlsFiles};
use polder_runtime::Shutdown;

#[path = "../src/tests/logins.rs"]
mod logins;
#[path = "../src/tests/memory.rs"]
mod memory;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("an address is missing")?.parse()?;
    let auth = match arguments.next().as_deref() {
        Some("password") => Auth::Password,
        _ => Auth::Trust { user: "polder".into() },
    };
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| ".".into()));
    let told = arguments.next().map(|port| port.parse()).transpose()?;
    let advertised = told.map(|port| ("127.0.0.1".to_owned(), port));
    let options = KafkaServerOptions {
        address,
        advertised,
        auth,
        tls: TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key"), make: true },
        message_time: Duration::from_secs(60),
    };
    let contracts = KafkaContracts {
        topics: Arc::new(memory::MemoryTopics::default()),
        grants: None,
        accounts: Arc::new(logins::OneUser),
        logins: Arc::new(logins::OneUser),
    };
    let server = KafkaServer::bind(options, contracts, Shutdown::new()).await?;
    println!("{}", server.local_addr());
    server.serve().await;
    Ok(())
}
