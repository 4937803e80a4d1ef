//! Starting, serving, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use polder_capability::{DriverSql, ProvenLogins};
use polder_door::{Place, Starts, Tls, TlsFiles};
use polder_runtime::{ConnectionThreads, Seat, Shutdown};
use polder_types::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::registry::Registry;
use crate::startup::{self, TLS_PROTOCOL};

/// Sessions at once: each may hold a transaction and a few batches of rows.
const SESSIONS_MAX: usize = 500;

/// Connections that wait for the server to take them.
const BACKLOG: u32 = 1_024;

/// Time that running statements get once the server is stopping.
const GRACE: Duration = Duration::from_secs(3);

/// Before the next try when the system gives no connection, as when there are too many open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How the server knows its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// By password, proven with SCRAM-SHA-256.
    Password,
    /// Everyone who reaches the server is this user. Only for loopback addresses.
    Trust { user: String },
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct PostgresServerOptions {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    pub auth: Auth,
    pub tls: TlsFiles,
    /// How long the next part of a message that has begun may take.
    pub message_time: Duration,
    /// The name of the one database.
    pub database: &'static str,
    /// Told with the version of PostgreSQL.
    pub version: &'static str,
}

/// The PostgreSQL server: bound, and ready to serve.
pub struct PostgresServer {
    listener: TcpListener,
    address: SocketAddr,
    house: Arc<House>,
    threads: ConnectionThreads,
    shutdown: Shutdown,
}

/// What all connections share.
pub(crate) struct House {
    pub sql: Arc<dyn DriverSql>,
    pub logins: Arc<dyn ProvenLogins>,
    pub auth: Auth,
    pub tls: Tls,
    pub registry: Arc<Registry>,
    pub starts: Arc<Starts>,
    pub sessions: Arc<Semaphore>,
    /// What all connections hold of messages whose ends have not come.
    pub unread: Arc<AtomicUsize>,
    pub message_time: Duration,
    /// A thread that waits for a client may keep its processor: there is another one for the client.
    pub stays_awake: bool,
    pub database: &'static str,
    pub version: &'static str,
    pub shutdown: Shutdown,
}

impl PostgresServer {
    /// Takes the address, and reads or makes the certificate. Nothing is answered before [`PostgresServer::serve`].
    ///
    /// # Errors
    /// `InvalidInput` for trust mode on an address that others can reach; `Unavailable` when the address is taken or the
    /// certificate cannot be used.
    pub async fn bind(
        options: PostgresServerOptions,
        sql: Arc<dyn DriverSql>,
        logins: Arc<dyn ProvenLogins>,
        shutdown: Shutdown,
    ) -> Result<Self> {
        let PostgresServerOptions { address, auth, tls, message_time, database, version } = options;
        if matches!(auth, Auth::Trust { .. }) && !address.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "without passwords the server listens on loopback only, not on {address}"
            ))
            .with_hint("use 127.0.0.1, or start it with passwords"));
        }
        let tls = Tls::load(&tls, &[TLS_PROTOCOL])?;
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, format!("cannot listen on {address}: {error}"))
                .with_hint("another program may use this port; choose another with --postgres, or --postgres off")
                .with_source(error)
        };
        let listener = listen(address).map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        let threads = ConnectionThreads::start("postgres").map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("cannot start threads for connections: {error}"))
                .with_source(error)
        })?;
        let house = Arc::new(House {
            sql,
            logins,
            auth,
            tls,
            registry: Arc::default(),
            starts: Arc::default(),
            unread: Arc::default(),
            message_time,
            stays_awake: threads.count() > 1,
            sessions: Arc::new(Semaphore::new(SESSIONS_MAX)),
            database,
            version,
            shutdown: shutdown.clone(),
        });
        Ok(Self { listener, address, house, threads, shutdown })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the shutdown starts; then takes no more, ends the idle connections, gives the running statements
    /// 3 seconds, and drops what still runs.
    pub async fn serve(self) {
        let Self { listener, house, threads, shutdown, .. } = self;
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
                    let seat = threads.seat();
                    let runtime = seat.runtime().clone();
                    connections.spawn_on(connected(Arc::clone(&house), stream, peer, place, seat), &runtime);
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
            tracing::warn!("connections of PostgreSQL clients that still work are cut off");
        }
        connections.shutdown().await;
        // Nothing is left on them, so this takes no time.
        drop(threads);
    }
}

/// Listens as `TcpListener::bind` does, and has the system look after connections that are silent: whoever is gone without
/// a word is found out some day.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // What is accepted has it from here.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves a connection on the thread where it has its seat.
async fn connected(house: Arc<House>, stream: TcpStream, peer: SocketAddr, place: Place, _seat: Seat) {
    // From here on this thread's runtime looks after it.
    let stream = match stream.into_std().and_then(TcpStream::from_std) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%peer, %error, "a connection could not be taken over");
            return;
        }
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send small packets at once");
    }
    if let Err(gone) = startup::serve(house, stream, peer, place).await {
        tracing::debug!(%peer, error = %gone.0, "a client went away");
    }
}

fn report(ended: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection died");
    }
}
