//! Topics: the log in the data directory, and what stands on it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use parking_lot::Mutex;
use polder_capability::topics::TopicRights;
use polder_capability::{BackupPart, PartChecked, PartProblem};
use polder_runtime::{Clock, Shutdown, SystemClock};
use polder_streaming::{Streaming, StreamingOptions};
use polder_topic_log::{self as topic_log, Log, LogOptions};
use polder_types::{Error, ErrorKind};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::cli::TopicsSync;

/// The log's folder in the data directory.
const FOLDER: &str = "log";

/// The log in a backup: that of the running server, or else the one that lies in the data directory.
pub struct LogBackup {
    data: PathBuf,
    clock: Arc<dyn Clock>,
    running: OnceLock<Running>,
}

/// The log of this process.
struct Running {
    log: Log,
    /// What its opening has cut off, until a server stands on it: there it was told, and writing goes on.
    cut: Arc<Mutex<Option<PartProblem>>>,
}

impl LogBackup {
    #[must_use]
    pub fn new(data: &Path, clock: &Arc<dyn Clock>) -> Self {
        Self { data: data.to_owned(), clock: Arc::clone(clock), running: OnceLock::new() }
    }
}

#[async_trait::async_trait]
impl BackupPart for LogBackup {
    fn folder(&self) -> &'static str {
        FOLDER
    }

    async fn copy_to(&self, directory: &Path) -> polder_types::Result<()> {
        if let Some(Running { log, .. }) = self.running.get() {
            log.copy_to(directory).await?;
            return Ok(());
        }
        let folder = self.data.join(FOLDER);
        if !folder.exists() {
            return Ok(());
        }
        let (log, _) = Log::open(&folder, LogOptions::default(), Arc::clone(&self.clock)).await?;
        log.copy_to(directory).await?;
        log.close().await
    }

    async fn check(&self) -> polder_types::Result<PartChecked> {
        // Whoever checks has opened the data directory, and the log in it.
        let Some(Running { log, cut }) = self.running.get() else { return Ok(PartChecked::default()) };
        let checked = log.check().await?;
        let problems = checked.damaged.into_iter();
        let problems = problems.map(|damaged| PartProblem { file: damaged.path, problem: damaged.problem });
        // Who only looks has changed something nevertheless, and nobody else tells of it.
        let problems = problems.chain(cut.lock().clone());
        Ok(PartChecked { bytes: checked.bytes, problems: problems.collect() })
    }
}

/// Brings a backup's log into a data directory, and reads every byte of it.
///
/// # Errors
/// When it is damaged, or cannot be written.
pub async fn restore(backup: &Path, data: &Path) -> polder_types::Result<()> {
    let (from, into) = (backup.join(FOLDER), data.join(FOLDER));
    if !from.exists() {
        return Ok(());
    }
    // A backup is not written to, and opening a log may cut its end: so it is copied first.
    copy_files(&from, &into).map_err(|error| {
        let message = format!("cannot copy {} to {}: {error}", from.display(), into.display());
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (log, _) = Log::open(&into, LogOptions::default(), clock).await?;
    log.scrub().await?;
    log.close().await
}

fn copy_files(from: &Path, into: &Path) -> std::io::Result<()> {
    std::fs::create_dir(into)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = into.join(entry.file_name());
        std::fs::copy(entry.path(), &target)?;
        std::fs::File::open(&target)?.sync_all()?;
    }
    std::fs::File::open(into)?.sync_all()?;
    match into.parent() {
        Some(data) => std::fs::File::open(data)?.sync_all(),
        None => Ok(()),
    }
}

/// Tells of a log whose last file somebody has cut short, if it is so.
fn tell_short(found: &topic_log::Recovered) -> Option<PartProblem> {
    let (file, bytes) = found.cut_short_at.clone()?;
    tracing::warn!(
        file,
        bytes,
        torn_bytes = found.torn_bytes,
        "the last file of the log of topics is shorter than a kill or a crash leaves it, unless there was no room on the disk: somebody \
         has cut it short, and records that were acknowledged behind its end are lost; all that is known to have been on the disk \
         before is there"
    );
    let problem = format!(
        "the file ended at byte {bytes}, which is shorter than a kill or a crash leaves it, unless there was no room on the disk: \
         somebody has cut it short, and records that were acknowledged behind that are lost"
    );
    Some(PartProblem { file, problem })
}

/// Tells what a start has cut off the log, if anything. Gives it where somebody is to look into it.
fn tell_cut(found: &topic_log::Recovered) -> Option<PartProblem> {
    if let Some(problem) = tell_short(found) {
        return Some(problem);
    }
    let (segment, position) = found.torn_at.clone()?;
    let topic_log::Recovered { topics, replayed_bytes, torn_bytes, .. } = *found;
    if found.torn_is_unfinished {
        tracing::info!(
            topics,
            replayed_bytes,
            torn_bytes,
            segment,
            position,
            "the log of topics was killed in the midst of a write: what was written of it is cut off; none of it was acknowledged as \
             being on the disk"
        );
        return None;
    }
    tracing::warn!(
        topics,
        replayed_bytes,
        torn_bytes,
        segment,
        position,
        "the end of the log of topics is not whole, and is cut off: that is what a crash in the midst of writing leaves, and all that is \
         known to have been on the disk is there; but damage to the last records before a crash looks the same"
    );
    let problem = format!(
        "{torn_bytes} bytes from byte {position} on were not whole, and are cut off: a crash in the midst of writing leaves that, or \
         damage to the last records before it"
    );
    Some(PartProblem { file: segment, problem })
}

/// Topics, and the log that they are in: open, and shared by all that stands on them.
pub struct Streams {
    log: Log,
    pub topics: Streaming,
    /// What works on topics by itself, once it has begun.
    working: Mutex<Vec<JoinHandle<()>>>,
    /// See [`Running`].
    cut: Arc<Mutex<Option<PartProblem>>>,
}

impl Streams {
    /// # Errors
    /// When the log is damaged or in use.
    pub async fn open(
        data: &Path,
        topics_sync: TopicsSync,
        rights: Arc<dyn TopicRights>,
        clock: Arc<dyn Clock>,
        backup: &LogBackup,
    ) -> Result<Self> {
        let sync = match topics_sync {
            TopicsSync::Disk => topic_log::Sync::OnAck,
            TopicsSync::PageCache => topic_log::Sync::PageCache,
        };
        let settings = LogOptions { sync, identity: Uuid::new_v4().as_u64_pair().0, ..LogOptions::default() };
        let (log, found) = Log::open(&data.join(FOLDER), settings, Arc::clone(&clock)).await?;
        let (topics, replayed_bytes, torn_bytes) = (found.topics, found.replayed_bytes, found.torn_bytes);
        let cut = tell_cut(&found);
        let cut = Arc::new(Mutex::new(cut));
        if torn_bytes == 0 && replayed_bytes > 0 {
            // After a stop as well: what came since the last point from which it is read.
            tracing::info!(topics, replayed_bytes, "the end of the log of topics has been read");
        }
        // There is one log, so it is the first.
        let _ = backup.running.set(Running { log: log.clone(), cut: Arc::clone(&cut) });
        let topics = Streaming::open(log.clone(), StreamingOptions::default(), rights, clock).await?;
        Ok(Self { log, topics, working: Mutex::default(), cut })
    }

    /// Begins what works on topics by itself: groups, transactions, retention.
    pub fn start(&self, shutdown: &Shutdown) {
        *self.cut.lock() = None;
        self.working.lock().extend(self.topics.start(shutdown));
    }

    /// Waits for what works by itself, which shutdown has told to end, and closes the log.
    ///
    /// # Errors
    /// When what the log still holds cannot be written.
    pub async fn close(&self) -> polder_types::Result<()> {
        let working = std::mem::take(&mut *self.working.lock());
        for task in working {
            if let Err(error) = task.await {
                tracing::error!(%error, "what works on topics by itself has died");
            }
        }
        self.log.close().await
    }
}
