//! Who commits, and what waits meanwhile.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use parking_lot::Mutex;
use polder_metastore::Metastore;
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};

use super::{Head, Queued, Request, Task, refuse};
use crate::model::Snapshot;

/// Commits of one group. More would make the first wait for long.
const GROUP_MAX: usize = 64;

/// Commits that wait at once.
const WAITING_MAX: usize = 1024;

/// The share of a commit's time that the next group waits for those who were just answered: they are likely to come back,
/// and to find that the next sync has begun without them.
const GATHERING: u32 = 4;

/// What timers can tell apart.
const GATHERING_MIN: Duration = Duration::from_millis(1);

/// Whoever has something else to do meanwhile may not be back for long: one commit that hung must not hold up the next.
const GATHERING_MAX: Duration = Duration::from_millis(50);

/// Brings transactions into groups, one group at a time.
#[derive(Debug)]
pub(crate) struct Committer {
    task: Arc<Task>,
    room: Semaphore,
}

impl Committer {
    pub fn new(metastore: Arc<Metastore>, head: Arc<Head>, clock: Arc<dyn Clock>) -> Self {
        let task = Task { metastore, head, clock, queue: Mutex::default(), gathered: Notify::new() };
        Self { task: Arc::new(task), room: Semaphore::new(WAITING_MAX) }
    }

    /// Returns once the commit is durable, with the snapshot that it made.
    pub async fn commit(&self, request: Request) -> Result<Arc<Snapshot>> {
        let _room = self.room.acquire().await.map_err(|_| stopping())?;
        let (answer, answered) = oneshot::channel();
        if let Some(lead) = Task::queue(&self.task, Queued { request, answer }) {
            lead.commit_first().await;
        }
        let lost = "the commit failed in a way that it should not, and its outcome is unknown";
        answered.await.map_err(|_| Error::internal(lost))?
    }
}

fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "the server is stopping")
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
    /// Somebody commits, and looks at what is waiting before it ends.
    is_led: bool,
    /// The leader waits for so many.
    wanted: Option<usize>,
}

impl Queue {
    fn next_group(&mut self) -> Option<VecDeque<Queued>> {
        let count = self.waiting.len().min(GROUP_MAX);
        (count > 0).then(|| self.waiting.drain(..count).collect())
    }
}

/// The one who commits. A transaction that finds nobody at it commits by itself, without a step to another task and back;
/// those that came meanwhile are then committed in a task of their own.
struct Lead {
    task: Arc<Task>,
    /// Runs in a task of its own, behind which there is none.
    is_last: bool,
    /// Somebody else may lead by now.
    has_ended: bool,
}

impl Lead {
    async fn commit_first(self) {
        if let Some(group) = self.task.next_group() {
            self.task.commit_safely(group).await;
        }
    }

    async fn commit_others(mut self) {
        while let Some(group) = self.task.next_group_or_end() {
            let (answered, begun) = (group.len(), Instant::now());
            self.task.commit_safely(group).await;
            self.task.gather(answered, (begun.elapsed() / GATHERING).min(GATHERING_MAX)).await;
        }
        self.has_ended = true;
    }
}

impl Drop for Lead {
    /// Hands over, also after a panic.
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let waiting = {
            let mut queue = self.task.queue.lock();
            if queue.waiting.is_empty() {
                queue.is_led = false;
                return;
            }
            match Handle::try_current() {
                Ok(runtime) if !self.is_last => {
                    drop(queue);
                    let next = Self { task: Arc::clone(&self.task), is_last: true, has_ended: false };
                    runtime.spawn(next.commit_others());
                    return;
                }
                // Nothing runs any more.
                _ => {
                    queue.is_led = false;
                    std::mem::take(&mut queue.waiting)
                }
            }
        };
        refuse(waiting, &stopping());
    }
}

impl Task {
    /// Gives the lead to whoever comes while nobody commits.
    fn queue(task: &Arc<Self>, request: Queued) -> Option<Lead> {
        let mut queue = task.queue.lock();
        queue.waiting.push_back(request);
        if queue.wanted.is_some_and(|wanted| queue.waiting.len() >= wanted) {
            task.gathered.notify_one();
        }
        let is_led = std::mem::replace(&mut queue.is_led, true);
        (!is_led).then(|| Lead { task: Arc::clone(task), is_last: false, has_ended: false })
    }

    fn next_group(&self) -> Option<VecDeque<Queued>> {
        self.queue.lock().next_group()
    }

    /// When nothing is waiting, whoever comes next leads.
    fn next_group_or_end(&self) -> Option<VecDeque<Queued>> {
        let mut queue = self.queue.lock();
        let group = queue.next_group();
        queue.is_led = group.is_some();
        group
    }

    /// Waits, but not for long, until those who were just answered are back beside those who wait already. One who is alone
    /// has nobody to be committed with.
    async fn gather(&self, answered: usize, patience: Duration) {
        if patience < GATHERING_MIN {
            return;
        }
        {
            let mut queue = self.queue.lock();
            let wanted = (queue.waiting.len() + answered).min(GROUP_MAX);
            if wanted <= 1 || queue.waiting.len() >= wanted {
                return;
            }
            queue.wanted = Some(wanted);
        }
        let _enough_or_late = tokio::time::timeout(patience, self.gathered.notified()).await;
        self.queue.lock().wanted = None;
        // A second word of it must not cut the next wait short.
        let _ = self.gathered.notified().now_or_never();
    }

    /// A bug in one commit must not stop all that come after.
    async fn commit_safely(&self, group: VecDeque<Queued>) {
        if AssertUnwindSafe(self.commit_group(group)).catch_unwind().await.is_err() {
            tracing::error!("a commit failed in a way that it should not");
        }
    }
}
