//! The loads of this process: those that run, those that wait, and how the last ones ended.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use polder_capability::{
    Caller, LoadOptions, LoadReport, LoadRequest, LoadSource, LoadState, LoadStatus, Loader, Preview, QueryError,
};
use polder_lake::Lake;
use polder_runtime::{Clock, OwnFiles};
use polder_types::{Error, ErrorKind, LoadId, Result};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::load;
use crate::preview;
use crate::progress::{Job, Phase, Progress};
use crate::sink::LakeStore;
use crate::source::spool::TEMP_PREFIX;
use crate::store::Store;

/// Loads at the same time. Each uses all processors by itself; a second one fills the gaps.
const RUNNING_MAX: usize = 2;

/// Loads that may wait.
const QUEUED_MAX: usize = 100;

/// Previews at the same time. They are short; a few more than that only wait.
const PREVIEWS_MAX: usize = 4;

/// How long the steps of a cancelled load have to end in good order.
const CANCEL_PATIENCE: Duration = Duration::from_millis(600);

/// Ended loads whose status is kept.
const ENDED_MAX: usize = 200;

/// Temporary files of a process that died are older than any load that runs.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Files into lake tables.
pub struct FileLoader(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    temp_dir: PathBuf,
    own_files: OwnFiles,
    slots: Semaphore,
    previews: Semaphore,
    loads: Mutex<Loads>,
}

#[derive(Default)]
struct Loads {
    running: HashMap<LoadId, Running>,
    ended: HashMap<LoadId, LoadStatus>,
    /// The keys of `ended`, oldest first.
    order: VecDeque<LoadId>,
}

struct Running {
    user: String,
    cancel: CancellationToken,
    progress: Arc<Progress>,
    done: watch::Receiver<bool>,
}

impl Running {
    fn status(&self, load_id: LoadId) -> LoadStatus {
        LoadStatus {
            load_id,
            user: self.user.clone(),
            state: LoadState::Running,
            progress: self.progress.snapshot(),
            report: None,
            error: None,
        }
    }
}

/// What a loader stands on.
#[derive(Debug)]
pub struct LoaderOptions {
    pub lake: Arc<Lake>,
    pub clock: Arc<dyn Clock>,
    /// Where remote and unpacked files wait. It must exist, and should be on a disk with room.
    pub temp_dir: PathBuf,
    /// What is not to be loaded: keys, the metastore, tables' files.
    pub own_files: OwnFiles,
}

impl FileLoader {
    /// A loader into this lake. Temporary files that a process left behind a day ago or earlier are removed.
    #[must_use]
    pub fn new(options: LoaderOptions) -> Arc<Self> {
        let LoaderOptions { lake, clock, temp_dir, own_files } = options;
        let store = LakeStore { lake, clock: Arc::clone(&clock) };
        Self::with_store(Arc::new(store), clock, temp_dir, own_files)
    }

    pub(crate) fn with_store(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        temp_dir: PathBuf,
        own_files: OwnFiles,
    ) -> Arc<Self> {
        sweep(&temp_dir, clock.as_ref());
        Arc::new(Self(Arc::new(Inner {
            store,
            clock,
            temp_dir,
            own_files,
            slots: Semaphore::new(RUNNING_MAX),
            previews: Semaphore::new(PREVIEWS_MAX),
            loads: Mutex::default(),
        })))
    }
}

/// Removes what a process that died has left behind. A file that cannot be removed does no harm.
fn sweep(temp_dir: &std::path::Path, clock: &dyn Clock) {
    let Ok(entries) = std::fs::read_dir(temp_dir) else { return };
    for entry in entries.flatten() {
        let forgotten = entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX)
            && entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|modified| {
                let age = clock.now().signed_duration_since(chrono::DateTime::<chrono::Utc>::from(modified));
                age.to_std().is_ok_and(|age| age > FORGOTTEN_AFTER)
            });
        if forgotten && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "a forgotten temporary file stays");
        }
    }
}

impl Inner {
    fn job(&self, cancel: CancellationToken, progress: Arc<Progress>) -> Job {
        let mut job = Job::new(cancel, progress, self.temp_dir.clone());
        job.own_files = self.own_files.clone();
        job
    }

    async fn run(
        &self,
        request: &LoadRequest,
        cancel: CancellationToken,
        progress: Arc<Progress>,
    ) -> Result<LoadReport> {
        let slot = tokio::select! {
            slot = self.slots.acquire() => slot,
            () = cancel.cancelled() => return Err(Error::cancelled()),
        };
        let _slot = slot.map_err(|_| Error::internal("the queue of loads is closed"))?;
        let job = Arc::new(self.job(cancel.clone(), progress.clone()));
        let load = AssertUnwindSafe(load::run(self.store.as_ref(), request, job)).catch_unwind();
        tokio::select! {
            biased;
            outcome = load => outcome
                .unwrap_or_else(|_| Err(Error::internal("the load broke off; the file may be damaged in a new way"))),
            () = patience_ends(&cancel, &progress) => Err(Error::cancelled()),
        }
    }

    fn end(&self, load_id: LoadId, outcome: Result<LoadReport>, progress: &Progress) {
        let elapsed_ms = progress.elapsed_ms();
        let (state, report, error) = match outcome {
            Ok(report) => (LoadState::Done, Some(LoadReport { elapsed_ms, ..report }), None),
            Err(error) if error.kind() == ErrorKind::Cancelled => (LoadState::Cancelled, None, Some(error)),
            Err(error) => {
                tracing::debug!(%load_id, ?error, "a load failed");
                (LoadState::Failed, None, Some(error))
            }
        };
        let error = error.map(|error| QueryError {
            code: error.code().to_owned(),
            message: error.described(),
            position: error.position(),
            hint: error.hint().map(str::to_owned),
        });
        let mut loads = self.loads.lock();
        let user = loads.running.remove(&load_id).map(|running| running.user).unwrap_or_default();
        let status = LoadStatus { load_id, user, state, progress: progress.snapshot(), report, error };
        loads.ended.insert(load_id, status);
        loads.order.push_back(load_id);
        while loads.order.len() > ENDED_MAX {
            if let Some(oldest) = loads.order.pop_front() {
                loads.ended.remove(&oldest);
            }
        }
    }
}

/// Returns a while after a load was cancelled, unless it is being committed: most steps look for it in time, but a
/// workbook is read by others in one piece. Its thread then ends by itself, and nothing of it is kept.
async fn patience_ends(cancel: &CancellationToken, progress: &Progress) {
    cancel.cancelled().await;
    loop {
        tokio::time::sleep(CANCEL_PATIENCE).await;
        if !progress.is_in(Phase::Committing) {
            return;
        }
    }
}

#[async_trait::async_trait]
impl Loader for FileLoader {
    async fn preview(&self, _caller: &Caller, source: &LoadSource, options: &LoadOptions) -> Result<Preview> {
        let slot = self.0.previews.acquire().await;
        let _slot = slot.map_err(|_| Error::internal("the queue of previews is closed"))?;
        let cancel = CancellationToken::new();
        // A caller who goes away drops this future; the thread that reads for it must end too.
        let _guard = cancel.clone().drop_guard();
        let progress = Arc::new(Progress::new(self.0.clock.clone()));
        preview::preview(source, options, Arc::new(self.0.job(cancel, progress))).await
    }

    fn start(&self, request: LoadRequest) -> Result<LoadId> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| Error::internal("a load must begin within the runtime").with_source(error))?;
        let load_id = request.load_id;
        let cancel = CancellationToken::new();
        let progress = Arc::new(Progress::new(self.0.clock.clone()));
        progress.enter(Phase::Queued, None);
        let (tell, done) = watch::channel(false);
        {
            let mut loads = self.0.loads.lock();
            if loads.running.contains_key(&load_id) || loads.ended.contains_key(&load_id) {
                return Err(Error::new(ErrorKind::AlreadyExists, format!("load {load_id} was begun before")));
            }
            if loads.running.len() >= RUNNING_MAX + QUEUED_MAX {
                return Err(Error::new(
                    ErrorKind::Exhausted,
                    format!("{} loads run or wait already", loads.running.len()),
                )
                .with_hint("wait for some to end"));
            }
            let user = request.caller.user.clone();
            loads.running.insert(load_id, Running { user, cancel: cancel.clone(), progress: progress.clone(), done });
        }
        let inner = self.0.clone();
        runtime.spawn(async move {
            let outcome = inner.run(&request, cancel, progress.clone()).await;
            inner.end(load_id, outcome, &progress);
            // Nobody may be waiting.
            tell.send_replace(true);
        });
        Ok(load_id)
    }

    fn status(&self, id: LoadId) -> Option<LoadStatus> {
        let loads = self.0.loads.lock();
        let running = loads.running.get(&id).map(|running| running.status(id));
        running.or_else(|| loads.ended.get(&id).cloned())
    }

    async fn wait(&self, id: LoadId) -> Option<LoadStatus> {
        let done = self.0.loads.lock().running.get(&id).map(|running| running.done.clone());
        if let Some(mut done) = done {
            // An error says that the task is gone, and then its status is there as well.
            let _ = done.wait_for(|done| *done).await;
        }
        self.status(id)
    }

    fn running(&self) -> Vec<LoadStatus> {
        self.0.loads.lock().running.iter().map(|(id, running)| running.status(*id)).collect()
    }

    fn cancel(&self, id: LoadId) -> bool {
        let loads = self.0.loads.lock();
        let running = loads.running.get(&id);
        if let Some(running) = running {
            running.cancel.cancel();
        }
        running.is_some()
    }
}
