//! Starting, serving, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use polder_capability::topics::{TopicGrants, Topics};
use polder_capability::{Accounts, ProvenLogins};
use polder_door::{Auth, Listener, Place, Starts, Tls, TlsFiles};
use polder_runtime::Shutdown;
use polder_types::Result;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::connection;
use crate::wire::FRAMES_BYTES_MAX;

/// Clients at once.
const CLIENTS_MAX: usize = 2_000;

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct KafkaServerOptions {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    /// The name and port that clients are told to come to. `None`: wherever they have come to already.
    pub advertised: Option<(String, u16)>,
    pub auth: Auth,
    pub tls: TlsFiles,
    /// How long the next part of a request that has begun may take, and a client to take the next part of an answer.
    pub message_time: Duration,
}

/// Who is asked.
#[derive(Clone)]
pub struct KafkaContracts {
    pub topics: Arc<dyn Topics>,
    /// For access control lists. `None`: there are none.
    pub grants: Option<Arc<dyn TopicGrants>>,
    /// For passwords that are told.
    pub accounts: Arc<dyn Accounts>,
    /// For those that are proven.
    pub logins: Arc<dyn ProvenLogins>,
}

/// The Kafka server: bound, and ready to serve.
pub struct KafkaServer {
    listener: Listener,
    house: Arc<House>,
    shutdown: Shutdown,
}

/// What all connections share.
pub(crate) struct House {
    pub contracts: KafkaContracts,
    pub advertised: Option<(String, u16)>,
    pub auth: Auth,
    pub tls: Tls,
    pub starts: Arc<Starts>,
    pub clients: Arc<Semaphore>,
    /// Bytes of frames whose answers are not sent.
    pub frames: Arc<Semaphore>,
    /// The last fetch session's.
    pub sessions: AtomicI32,
    pub message_time: Duration,
    pub shutdown: Shutdown,
}

impl KafkaServer {
    /// Takes the address, and reads or makes the certificate. Nothing is answered before [`KafkaServer::serve`].
    ///
    /// # Errors
    /// `InvalidInput` for trust mode on an address that others can reach; `Unavailable` when the address is taken or the
    /// certificate cannot be used.
    pub async fn bind(options: KafkaServerOptions, contracts: KafkaContracts, shutdown: Shutdown) -> Result<Self> {
        let KafkaServerOptions { address, advertised, auth, tls, message_time } = options;
        let listener = Listener::bind(address, &auth, "--kafka")?;
        let tls = Tls::load(&tls, &[])?;
        let house = Arc::new(House {
            contracts,
            advertised,
            auth,
            tls,
            starts: Arc::default(),
            clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
            frames: Arc::new(Semaphore::new(FRAMES_BYTES_MAX)),
            sessions: AtomicI32::default(),
            message_time,
            shutdown: shutdown.clone(),
        });
        Ok(Self { listener, house, shutdown })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers until the shutdown starts; then takes no more, gives the running requests 3 seconds, and drops what still
    /// runs.
    pub async fn serve(self) {
        let Self { listener, house, shutdown, .. } = self;
        let begin = |connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr| {
            // Taken at once: there is always a place for one more, which another one may have to leave.
            let place = house.starts.enter(peer.ip());
            connections.spawn(connected(Arc::clone(&house), stream, peer, place));
        };
        listener.serve(&shutdown, "Kafka", begin).await;
    }
}

async fn connected(house: Arc<House>, stream: TcpStream, peer: SocketAddr, place: Place) {
    match connection::serve(house, stream, peer, place).await {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            tracing::info!(%peer, %error, "a client is hung up on");
        }
        Err(error) => tracing::debug!(%peer, %error, "a client went away"),
    }
}
