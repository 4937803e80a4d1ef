//! Starting, serving, stopping.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use polder_capability::schemas::SchemaRegistry;
use polder_capability::{Accounts, Jobs, Loader, SavedQueries, SqlRunner};
use polder_runtime::{Clock, Shutdown};
use polder_types::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::auth::Auth;
use crate::connection::{GuardedListener, Peer};
use crate::metrics::Metrics;
use crate::middleware::REQUESTS_MAX;
use crate::openapi::openapi;
use crate::routes;
use crate::routes::console::Console;
use crate::routes::messages::Tails;
use crate::sessions::Sessions;
use crate::spool::Spool;
use crate::state::{App, AppState};
use crate::streams::StreamServices;

/// Time that running requests get once the server is stopping.
const GRACE: Duration = Duration::from_secs(5);

/// Time in which connections that were told to end do so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often idle sessions and old uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct HttpServerOptions {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    pub auth: Auth,
    /// Keeps uploads until they are loaded. Made if need be; belongs to the server alone.
    pub upload_dir: PathBuf,
    /// Told by `GET /me`.
    pub version: &'static str,
    /// Read the console from this folder instead of the embedded files, while it is developed.
    pub console: Option<PathBuf>,
}

/// What the server translates to.
#[derive(Clone)]
pub struct Services {
    pub sql: Arc<dyn SqlRunner>,
    pub loader: Arc<dyn Loader>,
    pub accounts: Arc<dyn Accounts>,
    pub saved: Arc<dyn SavedQueries>,
    pub jobs: Arc<dyn Jobs>,
    /// The registry of schemas, below `/schema-registry`. `None`: there is none.
    pub schemas: Option<Arc<dyn SchemaRegistry>>,
    /// `None`: a server without topics.
    pub streams: Option<StreamServices>,
    pub clock: Arc<dyn Clock>,
}

/// The HTTP server: bound, and ready to serve.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    shutdown: Shutdown,
}

impl HttpServer {
    /// Takes the address and clears the upload folder of what an earlier run left unfinished. Nothing is answered before
    /// [`HttpServer::serve`].
    ///
    /// # Errors
    /// `InvalidInput` for trust mode on an address that others can reach; `Unavailable` when the address is taken or the
    /// upload folder cannot be used.
    pub async fn bind(options: HttpServerOptions, services: Services, shutdown: Shutdown) -> Result<Self> {
        let HttpServerOptions { address, auth, upload_dir, version, console } = options;
        if auth.is_trust() && !address.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "without passwords the server listens on loopback only, not on {address}"
            ))
            .with_hint("use 127.0.0.1, or start it with passwords"));
        }
        let openapi = openapi()
            .to_json()
            .map_err(|error| Error::internal("the OpenAPI document cannot be written as JSON").with_source(error))?;
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, format!("cannot listen on {address}: {error}"))
                .with_hint("another program may use this port; choose another with --http")
                .with_source(error)
        };
        let listener = TcpListener::bind(address).await.map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        let spool = Spool::open(upload_dir, Arc::clone(&services.clock))?;
        let app = Arc::new(AppState {
            sql: services.sql,
            loader: services.loader,
            accounts: services.accounts,
            saved: services.saved,
            jobs: services.jobs,
            schemas: services.schemas,
            streams: services.streams,
            tails: Tails::default(),
            sessions: Arc::new(Sessions::new(Arc::clone(&services.clock))),
            clock: services.clock,
            auth,
            version,
            instance: Uuid::new_v4(),
            spool: Arc::new(spool),
            metrics: Arc::new(Metrics::default()),
            console: console.map_or(Console::Embedded, Console::Folder),
            openapi: openapi.into(),
            slots: Arc::new(Semaphore::new(REQUESTS_MAX)),
            stop: Shutdown::new(),
        });
        Ok(Self { listener, address, app, shutdown })
    }

    /// The address taken, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What `GET /healthz` names this server by: another one each time, so that who knows it cannot take a later server at the
    /// same address for this one.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.app.instance
    }

    /// Answers requests until the shutdown starts; then takes no more, gives the running ones 5 seconds, and cancels what
    /// still runs.
    ///
    /// # Errors
    /// `Unavailable` when the system ends the listening.
    pub async fn serve(self) -> Result<()> {
        let Self { listener, app, shutdown, .. } = self;
        let sweeper = tokio::spawn(sweep(Arc::clone(&app), shutdown.clone()));
        let listener = GuardedListener::new(listener, Arc::clone(&app.metrics));
        let service = routes::router(Arc::clone(&app)).into_make_service_with_connect_info::<Peer>();
        let stopping = shutdown.clone();
        let server = axum::serve(listener, service).with_graceful_shutdown(async move { stopping.wait().await });
        let mut server = pin!(std::future::IntoFuture::into_future(server));
        let served = tokio::select! {
            served = &mut server => served,
            () = grace_over(&shutdown) => {
                app.stop.start();
                // Connections that stay open all the same end with the process.
                tokio::time::timeout(LAST_WORDS, &mut server).await.unwrap_or(Ok(()))
            }
        };
        app.sessions.clear();
        sweeper.abort();
        served.map_err(|error| Error::new(ErrorKind::Unavailable, "listening ended").with_source(error))
    }
}

async fn grace_over(shutdown: &Shutdown) {
    shutdown.wait().await;
    tokio::time::sleep(GRACE).await;
}

async fn sweep(app: App, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        app.sessions.sweep();
        let spool = Arc::clone(&app.spool);
        if let Err(error) = tokio::task::spawn_blocking(move || spool.sweep()).await {
            tracing::error!(%error, "looking for old uploads failed");
        }
    }
}
