//! Starting, serving, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use polder_capability::deliveries::Deliveries;
use polder_capability::topics::Shards;
use polder_capability::{Accounts, SigningKeys};
use polder_door::{Auth, Listener, Tls, TlsFiles};
use polder_runtime::{Clock, Shutdown};
use polder_types::Result;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::request;

/// Connections at once. Further ones are hung up on.
const CONNECTIONS_MAX: usize = 1_000;

/// Bytes of bodies that are being read and worked on, of all connections together.
const BODIES_BYTES_MAX: usize = 256 << 20;

/// Bytes of records that are read and answered, of all connections together.
pub const ANSWERS_BYTES_MAX: usize = 256 << 20;

/// Subscriptions at once. Each may hold an event or two that its client does not take.
const SUBSCRIPTIONS_MAX: usize = 200;

/// Requests at once on a connection of HTTP/2.
const STREAMS_MAX: u32 = 100;

/// How long the head of a request may take, and a connection may wait for the next one.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// How often a client of HTTP/2 is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(60);

/// With this a TLS handshake begins.
const TLS_HANDSHAKE: u8 = 0x16;

/// With this HTTP/2 begins, and no request of HTTP/1.
const HTTP2_PREFACE: &[u8] = b"PRI";

/// How often it is looked whether the first bytes of a connection have come.
const PEEK_EVERY: Duration = Duration::from_millis(5);

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct AwsServerOptions {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    pub auth: Auth,
    /// Clients may speak TLS on the same port.
    pub tls: TlsFiles,
    /// How long a request's body may take.
    pub message_time: Duration,
}

/// Who is asked.
#[derive(Clone)]
pub struct AwsContracts {
    pub shards: Arc<dyn Shards>,
    pub keys: Arc<dyn SigningKeys>,
    /// `None`: this server delivers nothing.
    pub deliveries: Option<DeliveryContracts>,
    pub clock: Arc<dyn Clock>,
}

/// Who is asked about deliveries.
#[derive(Clone)]
pub struct DeliveryContracts {
    pub deliveries: Arc<dyn Deliveries>,
    /// Knows whose delivery is whose.
    pub accounts: Arc<dyn Accounts>,
}

/// The server of AWS' APIs: bound, and ready to serve.
pub struct AwsServer {
    listener: Listener,
    tls: Tls,
    house: Arc<House>,
    shutdown: Shutdown,
}

/// What all requests share.
pub struct House {
    pub contracts: AwsContracts,
    pub auth: Auth,
    pub bodies: Arc<Semaphore>,
    pub answers: Arc<Semaphore>,
    pub subscriptions: Arc<Semaphore>,
    /// Deliveries are changed one after the other, since what there is says whether they may be.
    pub changes: Arc<Semaphore>,
    pub message_time: Duration,
    pub shutdown: Shutdown,
}

impl House {
    pub fn new(contracts: AwsContracts, auth: Auth, message_time: Duration, shutdown: Shutdown) -> Self {
        let [bodies, answers, subscriptions, changes] =
            [BODIES_BYTES_MAX, ANSWERS_BYTES_MAX, SUBSCRIPTIONS_MAX, 1].map(|most| Arc::new(Semaphore::new(most)));
        Self { contracts, auth, bodies, answers, subscriptions, changes, message_time, shutdown }
    }
}

impl AwsServer {
    /// Takes the address, and reads or makes the certificate. Nothing is answered before [`AwsServer::serve`].
    ///
    /// # Errors
    /// `InvalidInput` for trust mode on an address that others can reach; `Unavailable` when the address is taken or the
    /// certificate cannot be used.
    pub fn bind(options: AwsServerOptions, contracts: AwsContracts, shutdown: Shutdown) -> Result<Self> {
        let AwsServerOptions { address, auth, tls, message_time } = options;
        let listener = Listener::bind(address, &auth, "--aws")?;
        let tls = Tls::load(&tls, &[b"h2", b"http/1.1"])?;
        let house = Arc::new(House::new(contracts, auth, message_time, shutdown.clone()));
        Ok(Self { listener, tls, house, shutdown })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers until the shutdown starts; then takes no more, gives the running requests 3 seconds, and drops what still
    /// runs.
    pub async fn serve(self) {
        let Self { listener, tls, house, shutdown } = self;
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let begin = |connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr| {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(%peer, "too many connections of AWS' clients");
                return;
            };
            let (house, tls) = (Arc::clone(&house), tls.clone());
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = connected(house, &tls, stream, peer).await {
                    tracing::debug!(%peer, %error, "a client went away");
                }
            });
        };
        listener.serve(&shutdown, "AWS", begin).await;
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn connected(
    house: Arc<House>,
    tls: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
) -> std::result::Result<(), Failure> {
    let mut first = [0_u8; HTTP2_PREFACE.len()];
    let begins_with = async {
        loop {
            let there = stream.peek(&mut first).await?;
            if there == 0 || there == first.len() || first[0] == TLS_HANDSHAKE {
                return std::io::Result::Ok(there);
            }
            tokio::time::sleep(PEEK_EVERY).await;
        }
    };
    if tokio::time::timeout(HEAD_TIME, begins_with).await?? == 0 {
        return Ok(());
    }
    if first[0] != TLS_HANDSHAKE {
        return speak(house, stream, peer, first == HTTP2_PREFACE).await;
    }
    let stream = tokio::time::timeout(HEAD_TIME, tls.acceptor.accept(stream)).await??;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(house, stream, peer, is_http2).await
}

/// Serves a connection to its end.
async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    house: Arc<House>,
    stream: S,
    peer: SocketAddr,
    is_http2: bool,
) -> std::result::Result<(), Failure> {
    let shutdown = house.shutdown.clone();
    let service = TowerToHyperService::new(tower::service_fn(move |request: Request<Incoming>| {
        let house = Arc::clone(&house);
        async move { Ok::<_, std::convert::Infallible>(request::answer(house, request.map(Body::new), peer.ip()).await) }
    }));
    let stream = TokioIo::new(stream);
    if is_http2 {
        let mut connection = std::pin::pin!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .keep_alive_interval(PING_EVERY)
                .serve_connection(stream, service)
        );
        tokio::select! {
            ended = &mut connection => return Ok(ended?),
            () = shutdown.wait() => connection.as_mut().graceful_shutdown(),
        }
        return Ok(connection.await?);
    }
    let mut connection = std::pin::pin!(
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).serve_connection(stream, service)
    );
    tokio::select! {
        ended = &mut connection => return Ok(ended?),
        () = shutdown.wait() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}
