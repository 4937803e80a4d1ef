//! Starting, serving, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use polder_capability::topics::Topics;
use polder_capability::{Accounts, ProvenLogins};
use polder_door::{Place, Starts, Tls, TlsFiles};
use polder_runtime::Shutdown;
use polder_types::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::connection;
use crate::wire::FRAMES_BYTES_MAX;

/// Clients at once.
const CLIENTS_MAX: usize = 2_000;

/// Connections that wait for the server to take them.
const BACKLOG: u32 = 1_024;

/// Time that running requests get once the server is stopping.
const GRACE: Duration = Duration::from_secs(3);

/// Before the next try when the system gives no connection, as when there are too many open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How the server knows its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// By password: SCRAM, or PLAIN where nobody can listen.
    Password,
    /// Everyone who reaches the server is this user. Only for loopback addresses.
    Trust { user: String },
}

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
    /// For passwords that are told.
    pub accounts: Arc<dyn Accounts>,
    /// For those that are proven.
    pub logins: Arc<dyn ProvenLogins>,
}

/// The Kafka server: bound, and ready to serve.
pub struct KafkaServer {
    listener: TcpListener,
    address: SocketAddr,
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
        if matches!(auth, Auth::Trust { .. }) && !address.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "without passwords the server listens on loopback only, not on {address}"
            ))
            .with_hint("use 127.0.0.1, or start it with passwords"));
        }
        let tls = Tls::load(&tls, &[])?;
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, format!("cannot listen on {address}: {error}"))
                .with_hint("another program may use this port; choose another with --kafka, or --kafka off")
                .with_source(error)
        };
        let listener = listen(address).map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
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
        Ok(Self { listener, address, house, shutdown })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the shutdown starts; then takes no more, gives the running requests 3 seconds, and drops what still
    /// runs.
    pub async fn serve(self) {
        let Self { listener, house, shutdown, .. } = self;
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.wait() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Taken at once: there is always a place for one more, which another one may have to leave.
                    let place = house.starts.enter(peer.ip());
                    connections.spawn(connected(Arc::clone(&house), stream, peer, place));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
            while let Some(ended) = connections.try_join_next() {
                report(ended);
            }
        }
        drop(listener);
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!("connections of Kafka clients that still work are cut off");
        }
    }
}

/// Listens as `TcpListener::bind` does, and has the system look after connections that are silent: whoever is gone without
/// a word is found out some day.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn connected(house: Arc<House>, stream: TcpStream, peer: SocketAddr, place: Place) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send small packets at once");
    }
    match connection::serve(house, stream, peer, place).await {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            tracing::info!(%peer, %error, "a client is hung up on");
        }
        Err(error) => tracing::debug!(%peer, %error, "a client went away"),
    }
}

fn report(ended: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection died");
    }
}
