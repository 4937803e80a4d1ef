//! What the binary consists of: the stores, the capabilities on them, the servers in front. The one visible list.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use polder_aws_server::{AwsContracts, AwsServer, AwsServerOptions, DeliveryContracts};
use polder_capability::deliveries::DeliveryTables;
use polder_capability::schemas::{SchemaRegistry, ValueSchemas};
use polder_capability::topics::{TopicKeeper, TopicRows};
use polder_capability::{
    Accounts, BackupPart, DriverSql, JobKind, Jobs, Loader, ProvenLogins, SavedQueries, SigningKeys, SqlRunner,
};
use polder_deliveries::{DeliveriesOptions, DeliveryKind, JobDeliveries};
use polder_engine::{CleanupKind, CompactionKind, Engine, EngineOptions, ScrubKind, StoredAccounts, StoredQueries};
pub use polder_http_server::Auth;
use polder_http_server::{HttpServer, HttpServerOptions, Services, StreamServices};
use polder_jobs::{JobRunner, JobRunnerOptions, MaintenanceKind, StandingJob, StatementKind};
use polder_kafka_server::{KafkaContracts, KafkaServer, KafkaServerOptions};
use polder_lake::{Lake, LakeOptions, TablesLocation};
use polder_loading::{FileLoader, LoaderOptions};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_postgres_server::{PostgresServer, PostgresServerOptions, TlsFiles};
use polder_runtime::{Clock, OwnFiles, Shutdown, SystemClock};
use polder_schemas::StoredSchemas;
use polder_streaming::LogRows;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::cli::TopicsSync;
use crate::settings::Directory;
use crate::topics::{LogBackup, Streams};
use crate::workers::{WorkersDriver, WorkersLoader, WorkersRunner};

/// An open data directory.
pub struct House {
    pub metastore: Arc<Metastore>,
    pub engine: Arc<Engine>,
    pub loader: Arc<dyn Loader>,
    pub accounts: Arc<dyn Accounts>,
    logins: Arc<dyn ProvenLogins>,
    signing_keys: Arc<dyn SigningKeys>,
    pub saved: Arc<dyn SavedQueries>,
    pub jobs: Arc<JobRunner>,
    streams: Streams,
    rows: Arc<dyn TopicRows>,
    deliveries: Arc<JobDeliveries>,
    schemas: Arc<StoredSchemas>,
    clock: Arc<dyn Clock>,
    temp_dir: PathBuf,
}

impl House {
    /// Opens the stores and what works on them. Takes the directory's lock.
    pub async fn open(directory: &Directory) -> Result<Self> {
        Self::open_with(directory, TopicsSync::default()).await
    }

    /// The same, where topics are acknowledged as it is said.
    pub async fn open_with(directory: &Directory, topics_sync: TopicsSync) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metastore = Metastore::open(MetastoreOptions {
            data_dir: directory.data.clone(),
            url: directory.metastore.clone(),
            tables_path: directory.tables.clone(),
            clock: Arc::clone(&clock),
        })
        .await?;
        let temp_dir = fresh_temp_dir(directory)?;
        let tables = TablesLocation::parse(metastore.tables_path())?;
        let own_files = own_files(directory, &tables);
        let lake =
            Lake::open(LakeOptions { metastore: Arc::clone(&metastore), tables, clock: Arc::clone(&clock) }).await?;
        directory.remember()?;
        let engine = Engine::open(EngineOptions {
            metastore: Arc::clone(&metastore),
            lake: Arc::clone(&lake),
            clock: Arc::clone(&clock),
            temp_dir: temp_dir.clone(),
            own_files: own_files.clone(),
            memory_bytes: usize::try_from(directory.memory_bytes).unwrap_or(usize::MAX),
            cores: None,
        })?;
        engine.load_roles().await?;
        // The directory is ours alone, so nobody has a session.
        if let Err(error) = engine.drop_left_temporary().await {
            tracing::warn!(%error, "temporary tables of sessions that a crash has ended stay");
        }
        let log_backup = Arc::new(LogBackup::new(metastore.data_dir(), &clock));
        engine.set_backup_part(Arc::clone(&log_backup) as Arc<dyn BackupPart>);
        let rights = engine.topic_rights();
        let streams = Streams::open(metastore.data_dir(), topics_sync, rights, Arc::clone(&clock), &log_backup).await?;
        let schemas = Arc::new(StoredSchemas::new(Arc::clone(&metastore), engine.topic_rights()));
        let rows = LogRows::new(&streams.topics, Some(Arc::clone(&schemas) as Arc<dyn ValueSchemas>));
        let rows: Arc<dyn TopicRows> = Arc::new(rows);
        engine.set_topics(Arc::new(streams.topics.clone()), Arc::clone(&rows));
        engine.forget_deleted_topics().await?;
        let deliveries = JobDeliveries::new(DeliveriesOptions {
            rows: Arc::clone(&rows),
            schemas: Arc::clone(&schemas) as Arc<dyn ValueSchemas>,
            topics: Arc::new(streams.topics.clone()),
            metastore: Arc::clone(&metastore),
            random: Arc::new(|| Uuid::new_v4().into_bytes()),
            tables: Arc::downgrade(&(Arc::clone(&engine) as Arc<dyn DeliveryTables>)),
            clock: Arc::clone(&clock),
        });
        let loader: Arc<dyn Loader> =
            FileLoader::new(LoaderOptions { lake, clock: Arc::clone(&clock), temp_dir: temp_dir.clone(), own_files });
        engine.set_loader(Arc::clone(&loader));
        let loader = engine.recorded(loader);
        let jobs = JobRunner::open(JobRunnerOptions {
            metastore: Arc::clone(&metastore),
            clock: Arc::clone(&clock),
            kinds: job_kinds(&engine, &deliveries),
            standing: standing_jobs(),
            runs_at_once: RUNS_AT_ONCE,
        })
        .await?;
        engine.set_jobs(Arc::clone(&jobs) as Arc<dyn Jobs>);
        deliveries.set_jobs(Arc::clone(&jobs) as Arc<dyn Jobs>);
        streams.topics.set_keeper(&(Arc::clone(&deliveries) as Arc<dyn TopicKeeper>));
        engine.set_deliveries(Arc::clone(&deliveries) as _);
        let accounts = Arc::new(StoredAccounts::new(Arc::clone(&metastore), &engine));
        Ok(Self {
            engine,
            loader,
            logins: Arc::clone(&accounts) as Arc<dyn ProvenLogins>,
            signing_keys: Arc::clone(&accounts) as Arc<dyn SigningKeys>,
            accounts,
            saved: Arc::new(StoredQueries::new(Arc::clone(&metastore))),
            jobs,
            metastore,
            streams,
            rows,
            deliveries,
            schemas,
            clock,
            temp_dir,
        })
    }

    /// Begins to run jobs, on the runtime that statements run on.
    pub fn start_jobs(&self, workers: &Handle) {
        self.jobs.start(workers);
    }

    /// Begins what topics do by themselves. It ends with `shutdown`.
    pub fn start_topics(&self, shutdown: &Shutdown) {
        self.streams.start(shutdown);
    }

    /// Opens every server. They listen when this returns, and answer once [`Servers::serve`] runs.
    ///
    /// `workers`: the runtime that statements and loads run on.
    pub async fn listen(&self, wanted: &Listening, workers: &Handle, shutdown: &Shutdown) -> Result<Servers> {
        let engine: Arc<dyn SqlRunner> = Arc::clone(&self.engine) as _;
        // The console tells where Kafka's clients find the server, so that stands first.
        let kafka = match wanted.kafka {
            Some(address) => Some(self.listen_kafka(address, wanted, shutdown).await?),
            None => None,
        };
        let streams = StreamServices {
            topics: Arc::new(self.streams.topics.clone()),
            rows: Arc::clone(&self.rows),
            store: Arc::new(self.streams.topics.clone()),
            deliveries: Some(Arc::clone(&self.deliveries) as _),
            kafka: kafka.as_ref().map(KafkaServer::local_addr),
        };
        let services = Services {
            sql: Arc::new(WorkersRunner::new(engine, workers.clone())),
            loader: Arc::new(WorkersLoader::new(Arc::clone(&self.loader), workers.clone())),
            accounts: Arc::clone(&self.accounts),
            saved: Arc::clone(&self.saved),
            jobs: Arc::clone(&self.jobs) as Arc<dyn Jobs>,
            schemas: Some(Arc::clone(&self.schemas) as Arc<dyn SchemaRegistry>),
            streams: Some(streams),
            clock: Arc::clone(&self.clock),
        };
        let options = HttpServerOptions {
            address: wanted.http,
            auth: wanted.auth.clone(),
            upload_dir: self.metastore.data_dir().join("uploads"),
            version: env!("CARGO_PKG_VERSION"),
            console: wanted.console.clone(),
        };
        let http = HttpServer::bind(options, services, shutdown.clone()).await?;
        let postgres = match wanted.postgres {
            Some(address) => Some(self.listen_postgres(address, wanted, workers, shutdown).await?),
            None => None,
        };
        let aws = wanted.aws.map(|address| self.listen_aws(address, wanted, shutdown)).transpose()?;
        Ok(Servers { http, postgres, kafka, aws })
    }

    async fn listen_kafka(&self, address: SocketAddr, wanted: &Listening, shutdown: &Shutdown) -> Result<KafkaServer> {
        let options = KafkaServerOptions {
            address,
            advertised: None,
            auth: door_auth(&wanted.auth),
            tls: self.tls(wanted),
            message_time: wanted.message_timeout,
        };
        let contracts = KafkaContracts {
            topics: Arc::new(self.streams.topics.clone()),
            grants: Some(Arc::clone(&self.engine) as _),
            accounts: Arc::clone(&self.accounts),
            logins: Arc::clone(&self.logins),
        };
        Ok(KafkaServer::bind(options, contracts, shutdown.clone()).await?)
    }

    fn listen_aws(&self, address: SocketAddr, wanted: &Listening, shutdown: &Shutdown) -> Result<AwsServer> {
        let options = AwsServerOptions {
            address,
            auth: door_auth(&wanted.auth),
            tls: self.tls(wanted),
            message_time: wanted.message_timeout,
        };
        let contracts = AwsContracts {
            shards: Arc::new(self.streams.topics.clone()),
            keys: Arc::clone(&self.signing_keys),
            deliveries: Some(DeliveryContracts {
                deliveries: Arc::clone(&self.deliveries) as _,
                accounts: Arc::clone(&self.accounts),
            }),
            clock: Arc::clone(&self.clock),
        };
        Ok(AwsServer::bind(options, contracts, shutdown.clone())?)
    }

    /// The certificate that clients of PostgreSQL's and Kafka's protocols and AWS' SDKs see.
    fn tls(&self, wanted: &Listening) -> TlsFiles {
        let directory = self.metastore.data_dir();
        match &wanted.tls {
            Some((certificate, key)) => TlsFiles { certificate: certificate.clone(), key: key.clone(), make: false },
            None => TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key"), make: true },
        }
    }

    async fn listen_postgres(
        &self,
        address: SocketAddr,
        wanted: &Listening,
        workers: &Handle,
        shutdown: &Shutdown,
    ) -> Result<PostgresServer> {
        let options = PostgresServerOptions {
            address,
            auth: door_auth(&wanted.auth),
            tls: self.tls(wanted),
            message_time: wanted.message_timeout,
            database: DATABASE,
            version: env!("CARGO_PKG_VERSION"),
        };
        let engine: Arc<dyn DriverSql> = Arc::clone(&self.engine) as _;
        let sql = Arc::new(WorkersDriver::new(engine, workers.clone()));
        Ok(PostgresServer::bind(options, sql, Arc::clone(&self.logins), shutdown.clone()).await?)
    }

    /// For spills and spools; emptied at each start.
    #[must_use]
    pub fn temp_dir(&self) -> &Path {
        &self.temp_dir
    }

    /// Stops what runs, waits for what is being written, and closes the stores.
    pub async fn close(&self) {
        self.close_within(JOBS_STOP_MAX).await;
    }

    /// The same; `jobs`: what running ones get to stop.
    pub async fn close_within(&self, jobs: Duration) {
        if tokio::time::timeout(jobs, self.jobs.close()).await.is_err() {
            tracing::warn!("a job did not stop in time; the next start marks its run as interrupted");
        }
        for load in self.loader.running() {
            self.loader.cancel(load.load_id);
            self.loader.wait(load.load_id).await;
        }
        if let Err(error) = self.streams.close().await {
            tracing::error!(%error, "the log of topics was not closed; the next start reads its end again");
        }
        self.engine.close().await;
        self.metastore.close().await;
    }
}

/// The one database that PostgreSQL's clients connect to.
pub const DATABASE: &str = "polder";

/// Runs of jobs that may go on at once: enough that a long one does not hold up all others, few enough to leave room for
/// people's own statements.
const RUNS_AT_ONCE: usize = 4;

/// What running jobs get to stop where nobody says it.
const JOBS_STOP_MAX: Duration = Duration::from_millis(500);

/// All that jobs can do.
fn job_kinds(engine: &Arc<Engine>, deliveries: &Arc<JobDeliveries>) -> Vec<Arc<dyn JobKind>> {
    let sql = || Arc::clone(engine) as Arc<dyn SqlRunner>;
    vec![
        Arc::new(StatementKind::new(sql())),
        Arc::new(CompactionKind::new(Arc::clone(engine))),
        Arc::new(CleanupKind::new(Arc::clone(engine))),
        Arc::new(ScrubKind::new(Arc::clone(engine))),
        Arc::new(MaintenanceKind::vacuum(sql())),
        Arc::new(MaintenanceKind::refresh(sql())),
        Arc::new(DeliveryKind::new(deliveries)),
    ]
}

/// How clients of PostgreSQL's and Kafka's protocols are known.
fn door_auth(wanted: &Auth) -> polder_postgres_server::Auth {
    match wanted {
        Auth::Password => polder_postgres_server::Auth::Password,
        Auth::Trust { user } => polder_postgres_server::Auth::Trust { user: user.clone() },
    }
}

/// The jobs that are there from the first start on.
fn standing_jobs() -> Vec<StandingJob> {
    vec![StandingJob::compaction(), StandingJob::cleanup(), StandingJob::scrub()]
}

/// Where the servers listen, and whom they let in.
#[derive(Debug, Clone)]
pub struct Listening {
    pub http: SocketAddr,
    /// `None`: PostgreSQL's protocol is switched off.
    pub postgres: Option<SocketAddr>,
    /// `None`: Kafka's protocol is switched off.
    pub kafka: Option<SocketAddr>,
    /// `None`: AWS' APIs are switched off.
    pub aws: Option<SocketAddr>,
    /// Certificate and key for TLS; `None`: those that the first start makes.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// How long the next part of a message of PostgreSQL's or Kafka's protocol or a request of an AWS SDK may take.
    pub message_timeout: Duration,
    pub auth: Auth,
    /// The console's files while it is developed, instead of the embedded ones.
    pub console: Option<PathBuf>,
}

/// The servers of one house.
pub struct Servers {
    http: HttpServer,
    postgres: Option<PostgresServer>,
    kafka: Option<KafkaServer>,
    aws: Option<AwsServer>,
}

impl Servers {
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// What its answers to `GET /healthz` are known by.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.http.instance()
    }

    #[must_use]
    pub fn postgres_address(&self) -> Option<SocketAddr> {
        self.postgres.as_ref().map(PostgresServer::local_addr)
    }

    #[must_use]
    pub fn kafka_address(&self) -> Option<SocketAddr> {
        self.kafka.as_ref().map(KafkaServer::local_addr)
    }

    #[must_use]
    pub fn aws_address(&self) -> Option<SocketAddr> {
        self.aws.as_ref().map(AwsServer::local_addr)
    }

    /// Answers until shutdown has started and running requests have had their time.
    pub async fn serve(self) -> Result<()> {
        let Self { http, postgres, kafka, aws } = self;
        let postgres = async {
            if let Some(postgres) = postgres {
                postgres.serve().await;
            }
            Ok(())
        };
        let http = async { Ok::<_, anyhow::Error>(http.serve().await?) };
        let kafka = async {
            if let Some(kafka) = kafka {
                kafka.serve().await;
            }
            Ok(())
        };
        let aws = async {
            if let Some(aws) = aws {
                aws.serve().await;
            }
            Ok(())
        };
        tokio::try_join!(http, postgres, kafka, aws)?;
        Ok(())
    }
}

/// The data directory, and that of the tables if it is on this disk.
fn own_files(directory: &Directory, tables: &TablesLocation) -> OwnFiles {
    let tables = match tables {
        TablesLocation::Directory(tables) => Some(tables.clone()),
        TablesLocation::Url(_) => None,
    };
    OwnFiles::new([directory.data.clone()].into_iter().chain(tables))
}

/// A directory for spills and spools. What an earlier process left there is of no use.
fn fresh_temp_dir(directory: &Directory) -> Result<PathBuf> {
    let path = directory.data.join("temp");
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", path.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// The OpenAPI document of the HTTP API.
pub fn openapi() -> Result<String> {
    Ok(polder_http_server::openapi().to_pretty_json()?)
}
