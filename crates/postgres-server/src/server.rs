//! Starting, serving, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use polder_capability::{DriverSql, ProvenLogins};
use polder_door::{Auth, Listener, Place, Starts, Tls, TlsFiles};
use polder_runtime::{ConnectionThreads, Seat, Shutdown};
use polder_types::limits::SESSIONS_MAX;
use polder_types::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::registry::Registry;
use crate::startup::{self, TLS_PROTOCOL};

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
    listener: Listener,
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
        let listener = Listener::bind(address, &auth, "--postgres")?;
        let tls = Tls::load(&tls, &[TLS_PROTOCOL])?;
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
        Ok(Self { listener, house, threads, shutdown })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers until the shutdown starts; then takes no more, ends the idle connections, gives the running statements
    /// 3 seconds, and drops what still runs.
    pub async fn serve(self) {
        let Self { listener, house, threads, shutdown, .. } = self;
        let begin = |connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr| {
            // Taken at once: there is always a place for one more, which another one may have to leave.
            let place = house.starts.enter(peer.ip());
            let seat = threads.seat();
            let runtime = seat.runtime().clone();
            connections.spawn_on(connected(Arc::clone(&house), stream, peer, place, seat), &runtime);
        };
        listener.serve(&shutdown, "PostgreSQL", begin).await;
        // Nothing is left on them, so this takes no time.
        drop(threads);
    }
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
    if let Err(gone) = startup::serve(house, stream, peer, place).await {
        tracing::debug!(%peer, error = %gone.0, "a client went away");
    }
}
