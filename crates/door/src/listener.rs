//! Taking connections, from the address to the end of the server.

use std::net::SocketAddr;
use std::time::Duration;

use polder_runtime::Shutdown;
use polder_types::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinError, JoinSet};

/// Connections that wait for the server to take them.
const BACKLOG: u32 = 1_024;

/// Time that running work gets once the server is stopping.
const GRACE: Duration = Duration::from_secs(3);

/// Before the next try when the system gives no connection, as when there are too many open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How a server knows its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// By password.
    Password,
    /// Everyone who reaches the server is this user. Only for loopback addresses.
    Trust { user: String },
}

/// An address that is taken; nobody is answered yet.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes the address. `option` is how another one is chosen, such as `--kafka`.
    ///
    /// # Errors
    /// `InvalidInput` for trust on an address that others can reach; `Unavailable` when the address is taken.
    pub fn bind(address: SocketAddr, auth: &Auth, option: &str) -> Result<Self> {
        if matches!(auth, Auth::Trust { .. }) && !address.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "without passwords the server listens on loopback only, not on {address}"
            ))
            .with_hint("use 127.0.0.1, or start it with passwords"));
        }
        let bound = listen(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("cannot listen on {address}: {error}"))
                .with_hint(format!("another program may use this port; choose another with {option}, or {option} off"))
                .with_source(error)
        })?;
        Ok(Self { listener, address })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands each connection to `begin`, which spawns what serves it. Once the shutdown starts it takes no more, gives those that
    /// work 3 seconds, and drops what still runs. `whose` connections they are is said in the log.
    pub async fn serve(
        self,
        shutdown: &Shutdown,
        whose: &str,
        mut begin: impl FnMut(&mut JoinSet<()>, TcpStream, SocketAddr),
    ) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.wait() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "cannot send small packets at once");
                    }
                    begin(&mut connections, stream, peer);
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
        drop(self.listener);
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!("connections of {whose} clients that still work are cut off");
        }
        connections.shutdown().await;
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

fn report(ended: std::result::Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection died");
    }
}
