//! The one place where transactions become snapshots.
//!
//! Commits that arrive while one is being synced wait together and go as a group: a snapshot each, one transaction of
//! the metastore, one sync for all.

mod lead;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use polder_metastore::{CommitOutcome, Metastore, Write};
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result, SnapshotId};
use tokio::sync::{Notify, oneshot};

pub(crate) use self::lead::Committer;
use self::lead::Queue;
use crate::apply::{AGAIN, Applier, CommitNote, Finished, Op, Statement, into_writes, total_statements};
use crate::changes::{Change, SnapshotInfo, excludes};
use crate::error::copy;
use crate::keys::Claim;
use crate::leases::Leases;
use crate::model::Snapshot;
use crate::read::{read_history, read_snapshot};
use crate::references::Promises;

/// How often a group is tried again because DuckDB committed in between.
const STALE_TRIES: usize = 50;

/// Snapshots whose changes are kept in memory, for the check against transactions that began before them.
const CHANGES_KEPT: usize = 10_000;

/// What a transaction asks to have committed.
pub(crate) struct Request {
    /// The version that the transaction read.
    pub base: SnapshotId,
    pub ops: Vec<Op>,
    pub note: CommitNote,
    /// Polder's own rows in the same commit.
    pub rows: Vec<OwnRow>,
    /// Keys that it adds, by the table's id in the transaction's own view.
    pub claims: Vec<(i64, Claim)>,
    /// What it relies on, and takes away, of rows that foreign keys refer to; ids as in `claims`.
    pub references: Promises,
    /// Tables and views that its new views read.
    pub reads: BTreeSet<i64>,
}

/// A row of Polder's own that goes with a commit.
#[derive(Clone)]
pub(crate) enum OwnRow {
    Fixed(Write),
    /// A row about a table, whose id may be given only at commit: made from (table id, snapshot id).
    AboutTable {
        table: i64,
        make: Arc<dyn Fn(i64, SnapshotId) -> Write + Send + Sync>,
    },
}

impl std::fmt::Debug for OwnRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(write) => f.debug_tuple("Fixed").field(write).finish(),
            Self::AboutTable { table, .. } => {
                f.debug_struct("AboutTable").field("table", table).finish_non_exhaustive()
            }
        }
    }
}

struct Queued {
    request: Request,
    answer: oneshot::Sender<Result<Arc<Snapshot>>>,
}

/// What one snapshot changed.
#[derive(Debug, Default)]
struct Committed {
    changes: Vec<Change>,
    /// Keys added, by table; unknown for what somebody else has committed.
    claims: Vec<(i64, Claim)>,
    /// What it relied on, and took away; `None` for what somebody else has committed.
    references: Option<Promises>,
    /// What its new views read; unknown, too.
    reads: BTreeSet<i64>,
}

impl Committed {
    fn claim(&self, table: i64) -> Claim {
        self.claims.iter().find(|(id, _)| *id == table).map(|(_, claim)| claim.clone()).unwrap_or_default()
    }
}

/// The newest snapshot that this process knows, and what the ones before it changed.
#[derive(Debug)]
pub(crate) struct Head {
    newest: RwLock<Arc<Snapshot>>,
    changes: Mutex<BTreeMap<SnapshotId, Arc<Committed>>>,
    /// One reload at a time: readers that find the same new version wait for one read. Held through our own commits
    /// too, so that a reader who finds their number in the metastore waits for them instead of reading it all.
    reload: tokio::sync::Mutex<()>,
    /// How often somebody else's commits were read.
    reloads: AtomicU64,
    leases: Arc<Leases>,
}

impl Head {
    pub async fn open(metastore: &Metastore, leases: Arc<Leases>) -> Result<Self> {
        let newest = read_snapshot(metastore, None).await?;
        leases.register(&newest, newest.committed_at);
        Ok(Self {
            leases,
            newest: RwLock::new(Arc::new(newest)),
            changes: Mutex::default(),
            reload: tokio::sync::Mutex::default(),
            reloads: AtomicU64::new(0),
        })
    }

    pub fn known(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.read())
    }

    /// The newest snapshot; asks the metastore for its number, since DuckDB may have committed meanwhile.
    pub async fn refresh(&self, metastore: &Metastore) -> Result<Arc<Snapshot>> {
        let id = metastore.head().await?;
        if self.known().id >= id {
            return Ok(self.known());
        }
        let _one_at_a_time = self.reload.lock().await;
        if self.known().id >= id {
            return Ok(self.known());
        }
        let fresh = Arc::new(read_snapshot(metastore, None).await?);
        self.advance(&fresh, None);
        self.reloads.fetch_add(1, Ordering::Relaxed);
        Ok(self.known())
    }

    /// Grows whenever somebody else has committed, who may have moved rows of old versions too.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    fn advance(&self, snapshot: &Arc<Snapshot>, changes: Option<Arc<Committed>>) {
        if let Some(changes) = changes {
            let mut kept = self.changes.lock();
            kept.insert(snapshot.id, changes);
            while kept.len() > CHANGES_KEPT {
                kept.pop_first();
            }
        }
        self.leases.register(snapshot, snapshot.committed_at);
        let mut newest = self.newest.write();
        if newest.id < snapshot.id {
            *newest = Arc::clone(snapshot);
        }
    }

    /// What was committed after `base`, up to `head`.
    async fn changes_since(
        &self,
        metastore: &Metastore,
        base: SnapshotId,
        head: SnapshotId,
    ) -> Result<Vec<Arc<Committed>>> {
        if base >= head {
            return Ok(Vec::new());
        }
        let wanted = usize::try_from(head - base).unwrap_or(usize::MAX);
        {
            let kept = self.changes.lock();
            let known: Vec<_> = kept.range(base + 1..=head).map(|(_, changes)| Arc::clone(changes)).collect();
            if known.len() == wanted {
                return Ok(known);
            }
        }
        // Somebody else's commits, or very old ones: the metastore has them in words.
        let limit = u32::try_from(wanted).unwrap_or(u32::MAX).saturating_add(1);
        let history = read_history(metastore, base, limit, false).await?;
        let committed = |info: SnapshotInfo| Arc::new(Committed { changes: info.changes, ..Committed::default() });
        Ok(history.into_iter().filter(|info| info.id <= head).map(committed).collect())
    }
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queued").field("base", &self.request.base).finish_non_exhaustive()
    }
}

struct Task {
    metastore: Arc<Metastore>,
    head: Arc<Head>,
    clock: Arc<dyn Clock>,
    queue: Mutex<Queue>,
    /// As many wait as the leader wants.
    gathered: Notify,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// A request that has been applied, and waits for the metastore.
struct Applied {
    queued: Queued,
    snapshot: Arc<Snapshot>,
    committed: Arc<Committed>,
    statements: Vec<Statement>,
    counted: BTreeSet<i64>,
}

impl Task {
    async fn commit_group(&self, mut group: VecDeque<Queued>) {
        // The metastore itself compares the newest snapshot, so the first try need not ask for it.
        let mut head = self.head.known();
        let mut asked = false;
        for _ in 0..STALE_TRIES {
            let (mut applied, refused) = self.apply_group(&head, group).await;
            if !refused.is_empty() && !asked {
                // Refused for what may be an old view of things: once more, on the newest.
                group =
                    applied.into_iter().map(|one| one.queued).chain(refused.into_iter().map(|(one, _)| one)).collect();
                asked = true;
                match self.head.refresh(&self.metastore).await {
                    Ok(newest) => head = newest,
                    Err(error) => return refuse(group, &error),
                }
                continue;
            }
            for (queued, error) in refused {
                let _ = queued.answer.send(Err(error));
            }
            if applied.is_empty() {
                return;
            }
            let writes = writes(&head, &mut applied);
            let in_flight = self.head.reload.lock().await;
            match self.metastore.commit(head.id, &writes).await {
                Ok(CommitOutcome::Committed) => {
                    for one in applied {
                        self.head.advance(&one.snapshot, Some(one.committed));
                        let _ = one.queued.answer.send(Ok(one.snapshot));
                    }
                    return;
                }
                Ok(CommitOutcome::Stale { .. }) => {
                    drop(in_flight);
                    group = applied.into_iter().map(|one| one.queued).collect();
                    asked = true;
                    match self.head.refresh(&self.metastore).await {
                        Ok(newest) => head = newest,
                        Err(error) => return refuse(group, &error),
                    }
                }
                Err(error) if applied.len() == 1 || !of_one(&error) => {
                    let error = about_tables(error, &applied, &head);
                    return refuse(applied.into_iter().map(|one| one.queued), &error);
                }
                // One of them is at fault, and the others must not pay for it.
                Err(_) => {
                    drop(in_flight);
                    for one in applied {
                        Box::pin(self.commit_group(VecDeque::from([one.queued]))).await;
                    }
                    return;
                }
            }
        }
        let busy = Error::conflict("other programs keep committing to the lake").with_hint(AGAIN);
        refuse(group, &busy);
    }

    /// Applies each request on top of the one before. Those that cannot stand are left out.
    async fn apply_group(&self, head: &Arc<Snapshot>, group: VecDeque<Queued>) -> (Vec<Applied>, Vec<(Queued, Error)>) {
        let mut applied: Vec<Applied> = Vec::new();
        let mut refused = Vec::new();
        for queued in group {
            let below = applied.last().map_or_else(|| Arc::clone(head), |one: &Applied| Arc::clone(&one.snapshot));
            let mut since = match self.head.changes_since(&self.metastore, queued.request.base, head.id).await {
                Ok(since) => since,
                Err(error) => {
                    refused.push((queued, error));
                    continue;
                }
            };
            since.extend(applied.iter().map(|one| Arc::clone(&one.committed)));
            match self.apply_one(&below, &queued.request, &since) {
                Ok((Finished { snapshot, statements, changes, counted }, claims, references)) => {
                    let reads = queued.request.reads.clone();
                    let committed = Arc::new(Committed { changes, claims, references: Some(references), reads });
                    applied.push(Applied { queued, snapshot: Arc::new(snapshot), committed, statements, counted });
                }
                Err(error) => refused.push((queued, error)),
            }
        }
        (applied, refused)
    }

    fn apply_one(
        &self,
        below: &Snapshot,
        request: &Request,
        since: &[Arc<Committed>],
    ) -> Result<(Finished, Vec<(i64, Claim)>, Promises)> {
        let mut applier = Applier::commit(below, request.base, self.metastore.backend(), self.clock.now());
        for op in &request.ops {
            applier.apply(op).map_err(|error| if since.is_empty() { error } else { as_conflict(error) })?;
        }
        for theirs in since.iter().flat_map(|committed| committed.changes.iter()) {
            if let Some(ours) = applier.change_list().iter().find(|ours| excludes(ours, theirs)) {
                let (ours, theirs) = (ours.in_words(below), theirs.in_words(below));
                return Err(Error::conflict(format!(
                    "another transaction has {theirs} meanwhile, and this one has {ours}"
                ))
                .with_hint(AGAIN));
            }
        }
        check_reads(&request.reads, applier.change_list(), since)?;
        let claims: Vec<(i64, Claim)> =
            request.claims.iter().map(|(table, claim)| (applier.real(*table), claim.clone())).collect();
        check_claims(&claims, since)?;
        let references = request.references.with_ids(|table| applier.real(table));
        check_references(&references, since, below)?;
        let id = applier.snapshot.id;
        let own: Vec<Write> = request
            .rows
            .iter()
            .map(|row| match row {
                OwnRow::Fixed(write) => write.clone(),
                OwnRow::AboutTable { table, make } => make(applier.real(*table), id),
            })
            .collect();
        let mut finished = applier.finish(&request.note);
        finished.statements.extend(own.into_iter().map(Statement::Other));
        Ok((finished, claims, references))
    }
}

/// A view or foreign key and a drop of what it stands on do not commute, whichever comes first.
fn check_reads(reads: &BTreeSet<i64>, ours: &[Change], since: &[Arc<Committed>]) -> Result<()> {
    use Change as C;
    let reshaped = |change: &Change| match change {
        C::DroppedTable(id) | C::AlteredTable(id) | C::DroppedView(id) | C::AlteredView(id) => Some(*id),
        _ => None,
    };
    let mut theirs = since.iter().flat_map(|committed| committed.changes.iter()).filter_map(reshaped);
    let mut ours = ours.iter().filter_map(reshaped);
    let is_read = |id: i64| since.iter().any(|committed| committed.reads.contains(&id));
    if theirs.any(|id| reads.contains(&id)) || ours.any(is_read) {
        return Err(Error::conflict(
            "a view or foreign key was made while another transaction dropped or altered what it stands on",
        )
        .with_hint(AGAIN));
    }
    Ok(())
}

/// Rows added to a table with a key commute only if they surely have different ones.
fn check_claims(claims: &[(i64, Claim)], since: &[Arc<Committed>]) -> Result<()> {
    for (table, claim) in claims {
        let adds =
            |change: &Change| matches!(change, Change::InsertedInto(id) | Change::InlinedInsert(id) if id == table);
        let mut others = since.iter().filter(|committed| committed.changes.iter().any(adds));
        if others.any(|committed| !claim.apart_from(&committed.claim(*table))) {
            return Err(Error::conflict(
                "another transaction has added rows to a table with a key, perhaps the same ones",
            )
            .with_hint(AGAIN));
        }
    }
    Ok(())
}

/// A row that refers to another, and the end of that other, do not commute, whichever comes first.
fn check_references(ours: &Promises, since: &[Arc<Committed>], below: &Snapshot) -> Result<()> {
    let dangles = since.iter().any(|committed| {
        let unknown = || Promises::guessed(&committed.changes, below);
        let theirs = committed.references.clone().unwrap_or_else(unknown);
        !ours.apart_from(&theirs)
    });
    if !dangles {
        return Ok(());
    }
    Err(Error::conflict("another transaction has changed rows on the other side of a foreign key").with_hint(AGAIN))
}

/// All that a group writes.
fn writes(head: &Snapshot, group: &mut [Applied]) -> Vec<Write> {
    let mut statements: Vec<Statement> = group.iter_mut().flat_map(|one| std::mem::take(&mut one.statements)).collect();
    let counted: BTreeSet<i64> = group.iter().flat_map(|one| one.counted.iter().copied()).collect();
    if let Some(last) = group.last() {
        statements.extend(total_statements(head, &last.snapshot, &counted));
    }
    into_writes(statements)
}

/// An error that one transaction of a group may have caused, with certainty that nothing was committed.
fn of_one(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Corrupt)
}

/// A conflict that the metastore found, in words about tables instead of its own statements.
fn about_tables(error: Error, group: &[Applied], head: &Snapshot) -> Error {
    let changes = group.iter().flat_map(|one| one.committed.changes.iter());
    let tables = changes.filter_map(|change| head.tables.get(&change.table()?));
    let names: BTreeSet<String> = tables.map(|table| head.name_of(table).to_string()).collect();
    if error.kind() != ErrorKind::Conflict || names.is_empty() {
        return error;
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    Error::conflict(format!("another transaction has changed {names} meanwhile")).with_hint(AGAIN).with_source(error)
}

/// A name that was free when the transaction looked, and is not any more, is a conflict.
fn as_conflict(error: Error) -> Error {
    if error.kind() == ErrorKind::AlreadyExists {
        return Error::conflict(format!("{}: made by another transaction meanwhile", error.message())).with_hint(AGAIN);
    }
    error
}

fn refuse(group: impl IntoIterator<Item = Queued>, error: &Error) {
    for queued in group {
        let _ = queued.answer.send(Err(copy(error)));
    }
}
