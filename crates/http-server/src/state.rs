//! What every handler can reach.

use std::sync::Arc;

use bytes::Bytes;
use polder_capability::schemas::SchemaRegistry;
use polder_capability::{Accounts, Jobs, Loader, SavedQueries, SqlRunner};
use polder_runtime::{Clock, Shutdown};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::auth::Auth;
use crate::metrics::Metrics;
use crate::routes::console::Console;
use crate::routes::messages::Tails;
use crate::sessions::Sessions;
use crate::spool::Spool;
use crate::streams::StreamServices;

pub(crate) type App = Arc<AppState>;

pub(crate) struct AppState {
    pub sql: Arc<dyn SqlRunner>,
    pub loader: Arc<dyn Loader>,
    pub accounts: Arc<dyn Accounts>,
    pub saved: Arc<dyn SavedQueries>,
    pub jobs: Arc<dyn Jobs>,
    /// `None`: there is no registry of schemas.
    pub schemas: Option<Arc<dyn SchemaRegistry>>,
    pub streams: Option<StreamServices>,
    pub tails: Tails,
    pub clock: Arc<dyn Clock>,
    pub auth: Auth,
    pub version: &'static str,
    pub instance: Uuid,
    pub sessions: Arc<Sessions>,
    pub spool: Arc<Spool>,
    pub metrics: Arc<Metrics>,
    pub console: Console,
    /// The OpenAPI document, as served.
    pub openapi: Bytes,
    /// Requests that may run at once.
    pub slots: Arc<Semaphore>,
    /// Started when running requests have had their time: whatever still streams must end.
    pub stop: Shutdown,
}
