use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use chrono::{DateTime, Utc};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use polder_capability::deliveries::Deliveries;
use polder_capability::topics::{TopicNames, TopicRows, Topics};
use polder_capability::{
    BackupPart, Caller, DriverSession, DriverSql, Encryption, Jobs, Loader, PartChecked, QueryProgress, QueryRecord,
    SqlRunner, SqlSession,
};
use polder_lake::Lake;
use polder_metastore::Metastore;
use polder_runtime::{Clock, OwnFiles};
use polder_types::{Error, ErrorKind, QueryId, Result};

use crate::asof::AsOfPlanner;
use crate::audit::AuditLog;
use crate::authz::Authority;
use crate::backends::Backends;
use crate::error::from_datafusion;
use crate::functions;
use crate::identity;
use crate::keeper::Keeper;
use crate::opaque::Opaque;
use crate::planning::dependencies;
use crate::planning::float_pruning::FloatPruning;
use crate::planning::outer_joins::OuterJoins;
use crate::planning::own_values::OwnValues;
use crate::planning::part_names::PartNames;
use crate::record::Recorder;
use crate::semantics;
use crate::session::Literals;
use crate::session::Session;
use crate::setops::CountedRows;
use crate::statement::Constants;
use crate::system;
use crate::unique_names::UniqueNames;
use crate::unnest::UnnestSubqueries;
use crate::yielding::GiveWay;

/// Parquet footers and statistics in memory. DataFusion's own 50 MiB is thrown over by a few hundred wide files.
const METADATA_CACHE_BYTES: usize = 256 << 20;

/// What a sort holds of each file that it merges, about: two batches of 8,192 rows of moderate width, and room to copy them.
const MERGED_FILE_BYTES: usize = 6 << 20;

/// Files that a sort merges at once: with fewer it would come to no end, with more it gains nothing.
const MERGED_MIN: usize = 2;
const MERGED_MAX: usize = 64;

/// Sorts in each partition of a join.
const SORTS_TOGETHER: usize = 2;

/// The biggest users of memory that an error names.
const CONSUMERS_SHOWN: usize = 3;

#[derive(Debug)]
pub struct EngineOptions {
    pub metastore: Arc<Metastore>,
    pub lake: Arc<Lake>,
    pub clock: Arc<dyn Clock>,
    /// Where sorts and aggregates spill to.
    pub temp_dir: PathBuf,
    /// What COPY … TO must not write over.
    pub own_files: OwnFiles,
    /// Memory of all statements together.
    pub memory_bytes: usize,
    /// Cores that a statement uses; `None`: all.
    pub cores: Option<usize>,
}

/// The SQL engine: one for the whole server.
#[derive(Debug)]
pub struct Engine {
    pub(crate) lake: Arc<Lake>,
    pub(crate) metastore: Arc<Metastore>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) constants: Constants,
    pub(crate) literals: Literals,
    pub(crate) own_files: OwnFiles,
    pub(crate) started: DateTime<Utc>,
    /// Who is there, and who is a member of what.
    pub(crate) authority: Arc<Authority>,
    /// The sessions that have numbers.
    pub(crate) backends: Backends,
    /// Functions, optimizer and runtime, without a catalog.
    pub(crate) template: Opaque<SessionState>,
    /// Sessions hold the engine, and are opened through a plain reference to it.
    me: Weak<Self>,
    /// For COPY … FROM; given once everything is there, since loading stands beside the engine.
    loader: OnceLock<LoaderHandle>,
    /// For statements about jobs; given as the loader is.
    jobs: OnceLock<JobsHandle>,
    /// For statements about deliveries; given as the loader is.
    deliveries: OnceLock<DeliveriesHandle>,
    /// Given as the loader is.
    topics: OnceLock<TopicsHandle>,
    /// For topics as tables; given as the loader is.
    topic_rows: OnceLock<RowsHandle>,
    /// For BACKUP; given as the loader is.
    backup_part: OnceLock<BackupHandle>,
}

struct DeliveriesHandle(Arc<dyn Deliveries>);

impl std::fmt::Debug for DeliveriesHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deliveries")
    }
}

struct TopicsHandle(Arc<dyn Topics>);

impl std::fmt::Debug for TopicsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Topics")
    }
}

struct RowsHandle(Arc<dyn TopicRows>);

impl std::fmt::Debug for RowsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicRows")
    }
}

struct BackupHandle(Arc<dyn BackupPart>);

impl std::fmt::Debug for BackupHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupPart")
    }
}

struct LoaderHandle(Arc<dyn Loader>);

impl std::fmt::Debug for LoaderHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loader")
    }
}

struct JobsHandle(Arc<dyn Jobs>);

impl std::fmt::Debug for JobsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jobs")
    }
}

impl Engine {
    /// # Errors
    /// When the directory for spilling cannot be used.
    pub fn open(options: EngineOptions) -> Result<Arc<Self>> {
        let EngineOptions { metastore, lake, clock, temp_dir, own_files, memory_bytes, cores } = options;
        let consumers = std::num::NonZeroUsize::new(CONSUMERS_SHOWN).unwrap_or(std::num::NonZeroUsize::MIN);
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), consumers);
        let config = config(cores);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_temp_file_path(temp_dir)
            .with_max_spill_merge_fan_in(merged_at_once(memory_bytes, config.target_partitions()))
            .with_metadata_cache_limit(METADATA_CACHE_BYTES)
            .build_arc()
            .map_err(from_datafusion)?;
        let store = lake.store();
        runtime.register_object_store(store.url.as_ref().as_ref(), Arc::clone(&store.store));
        let builder = SessionStateBuilder::new()
            .with_default_features()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_optimizer_rules(dependencies::rules())
            .with_query_planner(Arc::new(OuterJoins))
            .with_physical_optimizer_rules(UniqueNames::around(PhysicalOptimizer::new().rules))
            .with_physical_optimizer_rule(Arc::new(FloatPruning))
            .with_physical_optimizer_rule(Arc::new(GiveWay))
            .with_relation_planners(vec![Arc::new(PartNames), Arc::new(AsOfPlanner), Arc::new(OwnValues)])
            .with_analyzer_rules(semantics::analyzers())
            .with_analyzer_rule(Arc::new(CountedRows))
            .with_analyzer_rule(Arc::new(UnnestSubqueries));
        let mut state = semantics::rules(builder).build();
        datafusion_functions_json::register_all(&mut state).map_err(from_datafusion)?;
        functions::register(&mut state).map_err(from_datafusion)?;
        semantics::register(&mut state).map_err(from_datafusion)?;
        let started = clock.now();
        let audit = AuditLog::start(Arc::clone(&metastore), Arc::clone(&clock));
        let recorder = Recorder::start(Arc::clone(&metastore), clock, Arc::clone(&audit));
        let mut registered = Ok(());
        let engine = Arc::new_cyclic(|weak| {
            system::register_functions(&mut state, weak);
            registered = identity::register(&mut state, &lake);
            let (me, loader, jobs) = (Weak::clone(weak), OnceLock::new(), OnceLock::new());
            let (deliveries, topics) = (OnceLock::new(), OnceLock::new());
            let (topic_rows, backup_part) = (OnceLock::new(), OnceLock::new());
            let (constants, authority) = (Constants::default(), Arc::new(Authority::new(Arc::clone(&metastore))));
            Self {
                lake,
                metastore,
                recorder,
                audit,
                constants,
                literals: Literals::default(),
                own_files,
                started,
                authority,
                backends: Backends::default(),
                template: Opaque::new(state),
                me,
                loader,
                jobs,
                deliveries,
                topics,
                topic_rows,
                backup_part,
            }
        });
        registered.map_err(from_datafusion)?;
        engine.lake.set_rule_keeper(Arc::new(Keeper { engine: Weak::clone(&engine.me) }));
        Ok(engine)
    }

    /// The engine, for what outlives a call.
    ///
    /// # Errors
    /// `Unavailable` once the server stops.
    pub(crate) fn shared(&self) -> Result<Arc<Self>> {
        self.me.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server is stopping"))
    }

    /// Makes COPY … FROM work. Called once, by the wiring.
    pub fn set_loader(&self, loader: Arc<dyn Loader>) {
        // A second loader would be a mistake in the wiring; the first one stays.
        let _ = self.loader.set(LoaderHandle(loader));
    }

    pub(crate) fn loader(&self) -> Result<Arc<dyn Loader>> {
        self.loader
            .get()
            .map(|handle| Arc::clone(&handle.0))
            .ok_or_else(|| Error::unsupported("COPY … FROM needs the loader, which is not part of this program"))
    }

    /// Adds something to every backup, check and scrub. Called once, by the wiring.
    pub fn set_backup_part(&self, part: Arc<dyn BackupPart>) {
        let _ = self.backup_part.set(BackupHandle(part));
    }

    pub(crate) async fn back_up_beside(&self, directory: &Path) -> Result<()> {
        match self.backup_part.get() {
            Some(BackupHandle(part)) => part.copy_to(&directory.join(part.folder())).await,
            None => Ok(()),
        }
    }

    /// Reads again what stands beside the lake.
    pub(crate) async fn check_beside(&self) -> Result<PartChecked> {
        match self.backup_part.get() {
            Some(BackupHandle(part)) => part.check().await,
            None => Ok(PartChecked::default()),
        }
    }

    /// Makes CREATE JOB and its like work. Called once, by the wiring.
    pub fn set_jobs(&self, jobs: Arc<dyn Jobs>) {
        // As with the loader: the first one stays.
        let _ = self.jobs.set(JobsHandle(jobs));
    }

    pub(crate) fn jobs(&self) -> Result<Arc<dyn Jobs>> {
        self.jobs
            .get()
            .map(|handle| Arc::clone(&handle.0))
            .ok_or_else(|| Error::unsupported("jobs need the job runner, which is not part of this program"))
    }

    /// Makes CREATE DELIVERY and its like work. Called once, by the wiring.
    pub fn set_deliveries(&self, deliveries: Arc<dyn Deliveries>) {
        // As with the loader: the first one stays.
        let _ = self.deliveries.set(DeliveriesHandle(deliveries));
    }

    pub(crate) fn deliveries(&self) -> Result<Arc<dyn Deliveries>> {
        self.deliveries
            .get()
            .map(|handle| Arc::clone(&handle.0))
            .ok_or_else(|| Error::unsupported("deliveries are not part of this program"))
    }

    /// Makes topics known, and readable as tables. Called once, by the wiring.
    pub fn set_topics<T: Topics + TopicNames + 'static>(&self, topics: Arc<T>, rows: Arc<dyn TopicRows>) {
        let names: Weak<T> = Arc::downgrade(&topics);
        self.authority.set_topics(names);
        let _ = self.topics.set(TopicsHandle(topics));
        let _ = self.topic_rows.set(RowsHandle(rows));
    }

    /// Topics, if there are any.
    pub(crate) fn topics(&self) -> Option<Arc<dyn Topics>> {
        self.topics.get().map(|handle| Arc::clone(&handle.0))
    }

    /// Topics as tables, if there are any topics.
    pub(crate) fn topic_rows(&self) -> Option<Arc<dyn TopicRows>> {
        self.topic_rows.get().map(|handle| Arc::clone(&handle.0))
    }

    /// Writes what is still unwritten of the record of queries and of the audit.
    pub async fn close(&self) {
        self.recorder.flush().await;
        self.audit.flush().await;
    }
}

/// How many of the files that it has spilled a sort merges at once.
///
/// It takes memory for as many as it can get, and none of that can spill. Of the sorts of a join the first ones would have it
/// all, and the last, which cannot hold batches of two files, would fail its statement.
fn merged_at_once(memory_bytes: usize, partitions: usize) -> usize {
    let share = memory_bytes / 4 * 3 / (SORTS_TOGETHER * partitions.max(1));
    (share / MERGED_FILE_BYTES).clamp(MERGED_MIN, MERGED_MAX)
}

fn config(cores: Option<usize>) -> SessionConfig {
    let mut config = SessionConfig::new()
        // `information_schema` is ours: see `system::information`.
        .with_information_schema(false)
        .with_default_catalog_and_schema("polder", "public")
        .with_create_default_catalog_and_schema(false);
    if let Some(cores) = cores {
        config = config.with_target_partitions(cores);
    }
    let options = config.options_mut();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    options.sql_parser.collect_spans = true;
    // `q IS TRUE` is never NULL, which the physical plan does not see.
    options.execution.skip_physical_aggregate_schema_check = true;
    // `0.1` is a decimal, as in PostgreSQL: a float would lose digits on its way into a numeric column.
    options.sql_parser.parse_float_as_decimal = true;
    config
}

#[async_trait::async_trait]
impl SqlRunner for Engine {
    fn open_session(&self, caller: Caller) -> Arc<dyn SqlSession> {
        Arc::new(Session::new(Weak::clone(&self.me), caller))
    }

    fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        self.recorder.progress(id)
    }

    async fn record(&self, id: QueryId) -> Result<Option<QueryRecord>> {
        self.recorder.find(id).await
    }

    fn running(&self) -> Vec<QueryRecord> {
        self.recorder.running()
    }

    fn cancel(&self, id: QueryId) -> bool {
        self.recorder.cancel(id)
    }
}

impl DriverSql for Engine {
    fn open_driver_session(&self, caller: Caller, encryption: Option<Encryption>) -> Arc<dyn DriverSession> {
        Arc::new(Session::for_driver(Weak::clone(&self.me), caller, encryption))
    }
}

#[cfg(test)]
mod tests {
    use super::merged_at_once;

    #[test]
    fn sorts_share_the_memory_that_they_merge_in() {
        assert_eq!(merged_at_once(512 << 20, 2), 16);
        assert_eq!(merged_at_once(96 << 20, 2), 3);
        assert_eq!(merged_at_once(1 << 30, 16), 4);
        assert_eq!(merged_at_once(64 << 20, 16), 2);
        assert_eq!(merged_at_once(usize::MAX, 1), 64);
    }
}
