use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use datafusion_ducklake::{MetadataProvider, PostgresMetadataProvider, SqliteMetadataProvider};
use parking_lot::Mutex;
use polder_metastore::{Backend, Metastore, Value};
use polder_runtime::Clock;
use polder_types::{Error, Result, SnapshotId};
use uuid::Uuid;

use crate::changes::SnapshotInfo;
use crate::committer::{Committer, Head, Request};
use crate::error::from_ducklake;
use crate::inlined::{StoredCache, StoredRows};
use crate::leases::Leases;
use crate::model::{Snapshot, TableState};
use crate::provider::SnapshotProvider;
use crate::read::{read_history, read_snapshot};
use crate::rules::{IdentityPlace, RowRule, RuleKeeper};
use crate::scrub::ScrubState;
use crate::store::{TableStore, TablesLocation};
use crate::transaction::Transaction;

/// Old versions kept in memory for time travel.
const OLD_VERSIONS_KEPT: usize = 16;

/// A version of the lake, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Newest,
    Snapshot(SnapshotId),
    /// The newest version committed at or before this time.
    At(DateTime<Utc>),
}

#[derive(Debug)]
pub struct LakeOptions {
    pub metastore: Arc<Metastore>,
    pub tables: TablesLocation,
    pub clock: Arc<dyn Clock>,
}

/// All tables: their newest version in memory, and the way to change them.
#[derive(Debug)]
pub struct Lake {
    metastore: Arc<Metastore>,
    store: TableStore,
    head: Arc<Head>,
    committer: Committer,
    stored: Arc<dyn MetadataProvider>,
    data_path: String,
    old: Mutex<OldVersions>,
    rows: StoredCache,
    pub(crate) clock: Arc<dyn Clock>,
    /// Another lake keeps its files in the same place.
    pub(crate) shared_place: bool,
    open: Mutex<OpenTransactions>,
    keeper: OnceLock<Arc<dyn RuleKeeper>>,
    identities: Mutex<HashMap<(Uuid, i64), i64>>,
    pub(crate) leases: Arc<Leases>,
    /// Held while an old version is read and not yet known to be held by anybody.
    pub(crate) reading: tokio::sync::RwLock<()>,
    /// One clean-up or backup at a time.
    pub(crate) maintenance: tokio::sync::Mutex<()>,
    pub(crate) scrubbed: Mutex<ScrubState>,
}

/// When the open transactions began and what they read, by a number that each has.
#[derive(Debug, Default)]
struct OpenTransactions {
    next: u64,
    began: BTreeMap<u64, (DateTime<Utc>, SnapshotId)>,
}

/// Holds all files that are there when it begins: none of them is removed before it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    lake: Arc<Lake>,
    number: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.lake.ended(self.number);
    }
}

/// Old versions read lately, newest first. Other programs may move the rows of old versions too, so none of them is
/// used once one has committed.
#[derive(Debug, Default)]
struct OldVersions {
    reloads: u64,
    snapshots: VecDeque<Arc<Snapshot>>,
}

impl Lake {
    /// # Errors
    /// When the catalog cannot be read, or the place of the tables not be reached.
    pub async fn open(options: LakeOptions) -> Result<Arc<Self>> {
        let LakeOptions { metastore, tables, clock } = options;
        let store = TableStore::open(&tables).await?;
        let stored = open_stored(&metastore).await?;
        let leases = Arc::new(Leases::default());
        let head = Arc::new(Head::open(&metastore, Arc::clone(&leases)).await?);
        let shared_place = !claim(&store, &head.known()).await;
        let committer = Committer::new(Arc::clone(&metastore), Arc::clone(&head), Arc::clone(&clock));
        let data_path = match &tables {
            TablesLocation::Directory(_) => store.base.clone(),
            TablesLocation::Url(_) => tables.data_path(),
        };
        Ok(Arc::new(Self {
            metastore,
            store,
            head,
            committer,
            stored,
            data_path,
            old: Mutex::default(),
            rows: StoredCache::default(),
            clock,
            shared_place,
            open: Mutex::default(),
            keeper: OnceLock::new(),
            identities: Mutex::default(),
            leases,
            reading: tokio::sync::RwLock::default(),
            maintenance: tokio::sync::Mutex::default(),
            scrubbed: Mutex::default(),
        }))
    }

    #[must_use]
    pub fn metastore(&self) -> &Arc<Metastore> {
        &self.metastore
    }

    /// Where the files are; register `store` for `url` in DataFusion's runtime.
    #[must_use]
    pub fn store(&self) -> &TableStore {
        &self.store
    }

    /// Makes keys and checks work. Called once, by whoever understands SQL; a second keeper would be a mistake, and the
    /// first one stays.
    pub fn set_rule_keeper(&self, keeper: Arc<dyn RuleKeeper>) {
        let _ = self.keeper.set(keeper);
    }

    pub(crate) fn rule_keeper(&self) -> Result<Arc<dyn RuleKeeper>> {
        self.keeper.get().cloned().ok_or_else(|| {
            Error::unsupported("the table has keys or checks, which this program cannot keep")
                .with_hint("write with SQL")
        })
    }

    /// What is done to rows of a table before they are written: generated columns and checks.
    ///
    /// # Errors
    /// When an expression cannot be planned on the table's columns any more.
    pub fn row_rules(&self, table: &TableState) -> Result<Arc<Vec<RowRule>>> {
        if table.rules.checks.is_empty() && table.rules.generated.is_empty() {
            return Ok(Arc::default());
        }
        self.rule_keeper()?.row_rules(table).map(Arc::new)
    }

    /// The next `count` values of an identity, the first one of them. No value is given twice while the server runs, and
    /// none again that a row of the table has or had; those of a transaction that was rolled back are gaps.
    ///
    /// # Errors
    /// `InvalidInput` when the numbers are used up.
    pub fn next_identity(&self, identity: &IdentityPlace, count: usize) -> Result<i64> {
        let used_up = || Error::invalid("the numbers of an identity column are used up").with_code("2200H");
        let step = identity.step;
        let mut identities = self.identities.lock();
        let next = identities.entry((identity.table, identity.column)).or_insert(identity.from);
        *next = if step > 0 { (*next).max(identity.from) } else { (*next).min(identity.from) };
        let first = *next;
        let taken = i64::try_from(count).ok().and_then(|count| step.checked_mul(count));
        *next = taken.and_then(|taken| first.checked_add(taken)).ok_or_else(used_up)?;
        Ok(first)
    }

    pub(crate) fn backend(&self) -> Backend {
        self.metastore.backend()
    }

    /// The newest snapshot.
    ///
    /// # Errors
    /// When the metastore cannot be read.
    pub async fn newest(&self) -> Result<Arc<Snapshot>> {
        self.head.refresh(&self.metastore).await
    }

    /// The newest snapshot that this process knows, without asking.
    #[must_use]
    pub fn known(&self) -> Arc<Snapshot> {
        self.head.known()
    }

    /// # Errors
    /// `NotFound` when there is no such version, or none so old.
    pub async fn snapshot(&self, version: Version) -> Result<Arc<Snapshot>> {
        let id = match version {
            Version::Newest => return self.newest().await,
            Version::Snapshot(id) => id,
            Version::At(time) => self.version_at(time).await?,
        };
        let newest = self.newest().await?;
        if newest.id == id {
            return Ok(newest);
        }
        let reloads = self.head.reloads();
        if let Some(old) = self.old.lock().find(id, reloads) {
            return Ok(old);
        }
        let _reading = self.reading.read().await;
        let since = self.clock.now();
        let old = Arc::new(read_snapshot(&self.metastore, Some(id)).await?);
        self.leases.register(&old, since);
        self.old.lock().keep(&old, reloads);
        Ok(old)
    }

    async fn version_at(&self, time: DateTime<Utc>) -> Result<SnapshotId> {
        let rows = self
            .metastore
            .query("SELECT max(snapshot_id) FROM ducklake_snapshot WHERE snapshot_time <= $1", &[Value::Time(time)])
            .await?;
        let found = rows.first().map(|row| row.opt_int(0)).transpose()?.flatten();
        found.ok_or_else(|| {
            Error::not_found(format!("the lake has no version as old as {time}"))
                .with_code("42704")
                .with_hint("SELECT * FROM polder.snapshots lists the versions that are kept")
        })
    }

    /// The newest `limit` snapshots, newest first.
    ///
    /// # Errors
    /// When the metastore cannot be read.
    pub async fn history(&self, limit: u32) -> Result<Vec<SnapshotInfo>> {
        read_history(&self.metastore, -1, limit, true).await
    }

    /// Begins a transaction on the newest snapshot.
    ///
    /// # Errors
    /// When the metastore cannot be read.
    pub async fn begin(self: &Arc<Self>) -> Result<Transaction> {
        let base = self.newest().await?;
        let number = self.opened(base.id);
        Ok(Transaction::new(Arc::clone(self), base, number))
    }

    /// Begins a transaction on the newest snapshot that this process knows, without asking the metastore for a newer one:
    /// for changes that read nothing, since the commit finds out whether there is one.
    #[must_use]
    pub fn begin_on_known(self: &Arc<Self>) -> Transaction {
        let base = self.known();
        let number = self.opened(base.id);
        Transaction::new(Arc::clone(self), base, number)
    }

    fn opened(&self, base: SnapshotId) -> u64 {
        let mut open = self.open.lock();
        open.next += 1;
        let number = open.next;
        open.began.insert(number, (self.clock.now(), base));
        number
    }

    /// Keeps all files where they are, from before the newest version is asked for.
    pub(crate) async fn hold(self: &Arc<Self>) -> Result<Hold> {
        let number = self.opened(self.newest().await?.id);
        Ok(Hold { lake: Arc::clone(self), number })
    }

    /// Old versions kept for time travel are read anew when they are asked for.
    pub(crate) fn forget_old(&self) {
        self.old.lock().snapshots.clear();
    }

    /// The oldest version that an open transaction began on.
    pub(crate) fn oldest_base(&self) -> Option<SnapshotId> {
        self.open.lock().began.values().map(|(_, base)| *base).min()
    }

    pub(crate) fn ended(&self, transaction: u64) {
        self.open.lock().began.remove(&transaction);
    }

    /// When the oldest transaction that is still open began: files made since may be its own.
    pub(crate) fn oldest_open(&self) -> Option<DateTime<Utc>> {
        self.open.lock().began.values().map(|(began, _)| *began).min()
    }

    /// Rows that a table has in a snapshot, or in a transaction's view of it.
    ///
    /// # Errors
    /// When rows kept in the metastore cannot be read.
    pub async fn row_count(&self, snapshot: &Snapshot, table: &TableState) -> Result<u64> {
        let stored: usize = self.stored_rows(snapshot, table).await?.iter().map(|rows| rows.row_ids.len()).sum();
        Ok(u64::try_from(table.file_rows()).unwrap_or(0) + stored as u64)
    }

    /// The rows of a table that are kept in the metastore.
    pub(crate) async fn stored_rows(&self, snapshot: &Snapshot, table: &TableState) -> Result<Vec<StoredRows>> {
        self.rows.rows(&self.metastore, snapshot, table).await
    }

    /// Where small inserts into a table go, if it has such a place.
    pub(crate) async fn holder(&self, table: &TableState) -> Result<Option<String>> {
        self.rows.holder(&self.metastore, table).await
    }

    pub(crate) async fn commit(&self, request: Request) -> Result<Arc<Snapshot>> {
        self.committer.commit(request).await
    }

    /// A snapshot as the reader's catalog.
    pub(crate) fn provider(&self, snapshot: Arc<Snapshot>) -> Arc<SnapshotProvider> {
        Arc::new(SnapshotProvider { snapshot, data_path: self.data_path.clone(), stored: Arc::clone(&self.stored) })
    }
}

impl OldVersions {
    fn find(&self, id: SnapshotId, reloads: u64) -> Option<Arc<Snapshot>> {
        let found = self.snapshots.iter().find(|old| old.id == id);
        found.filter(|_| self.reloads == reloads).map(Arc::clone)
    }

    fn keep(&mut self, old: &Arc<Snapshot>, reloads: u64) {
        if self.reloads != reloads {
            self.snapshots.clear();
            self.reloads = reloads;
        }
        self.snapshots.push_front(Arc::clone(old));
        self.snapshots.truncate(OLD_VERSIONS_KEPT);
    }
}

/// Whether the tables' place is this lake's alone. The id of the first schema tells lakes apart.
async fn claim(store: &TableStore, snapshot: &Snapshot) -> bool {
    let Some(first) = snapshot.schemas.values().next() else { return true };
    match store.claim(&first.uuid.to_string()).await {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!(
                place = store.display(""),
                "another lake keeps its files in the same place; orphans are not swept"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "the tables' place could not be marked; orphans are not swept");
            false
        }
    }
}

/// The library's own reader of the catalog.
async fn open_stored(metastore: &Metastore) -> Result<Arc<dyn MetadataProvider>> {
    let url = metastore.catalog_url();
    Ok(match metastore.backend() {
        Backend::Sqlite => Arc::new(SqliteMetadataProvider::new(&url).await.map_err(from_ducklake)?),
        Backend::Postgres => Arc::new(PostgresMetadataProvider::new(&url).await.map_err(from_ducklake)?),
    })
}
