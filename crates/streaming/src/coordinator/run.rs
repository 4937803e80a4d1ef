//! The task that the coordinator's work is done in.
//!
//! Calls are taken as they come, as many as there are, and each changes the coordinator at once. What they have to write is
//! appended together, one append a call, and only when all is durable are they answered. So nobody is told what a crash could
//! undo, and a thousand commits take one sync.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use polder_capability::topics::{Joined, Producer, SyncedGroup, TopicError, TopicFailure, TopicResult};
use polder_runtime::{Clock, Shutdown};
use polder_topic_log::{Entry, Log};
use tokio::sync::{mpsc, oneshot};

use super::{Coordinator, Now, Waiters, unwritten};
use crate::effects::{Effects, Subject, Ticket};

/// Calls that wait for the coordinator. Whoever comes when it is full waits.
const CALLS_MAX: usize = 8_192;

/// Calls that are written together.
const CALLS_AT_ONCE: usize = 1_024;

/// How exactly time is kept: looking for what is due next costs a walk over all groups.
const TICK_MS: i64 = 100;

/// How late what time does may be while calls keep coming.
const LATE_MS: i64 = 1_000;

/// How long time does nothing after a failure to write.
const RETRY_MS: i64 = 1_000;

type Answer = Box<dyn FnOnce(Option<&TopicFailure>) + Send>;
type Call = Box<dyn FnOnce(&mut Coordinator, i64) -> (Effects, Answer) + Send>;

/// The way to the coordinator. All clones are one.
#[derive(Clone)]
pub struct Coordination {
    calls: mpsc::Sender<Call>,
}

impl fmt::Debug for Coordination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Coordination")
    }
}

impl Coordination {
    /// The way, and the task that it leads to. `kept_bytes_max`: of what the log keeps for those above it.
    pub fn new(
        coordinator: Coordinator,
        log: Log,
        clock: Arc<dyn Clock>,
        idle: mpsc::UnboundedReceiver<i64>,
        kept_bytes_max: usize,
    ) -> (Self, Task) {
        let (sender, calls) = mpsc::channel(CALLS_MAX);
        let task = Task {
            coordinator,
            log,
            clock,
            calls,
            idle,
            kept_bytes_max,
            now: Now::default(),
            looked_ms: 0,
            due_ms: Some(0),
            stale: true,
            retry_ms: 0,
            left: Vec::new(),
        };
        (Self { calls: sender }, task)
    }

    async fn send(&self, call: Call) -> TopicResult<()> {
        self.calls.send(call).await.map_err(|_| TopicFailure::new(TopicError::Unavailable, "the server is stopping"))
    }

    /// Calls the coordinator, and waits until what it came to is durable.
    ///
    /// # Errors
    /// The call's own; `Unavailable` if it could not be written, or the server is stopping.
    pub async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Coordinator, i64) -> TopicResult<(T, Effects)> + Send + 'static,
    ) -> TopicResult<T> {
        let (sender, receiver) = oneshot::channel();
        self.send(Box::new(move |coordinator, now_ms| match call(coordinator, now_ms) {
            Ok((answer, effects)) => {
                let told: Answer = Box::new(move |failed| {
                    let _ = sender.send(super::settled(Ok(answer), failed));
                });
                (effects, told)
            }
            Err(failure) => {
                let told: Answer = Box::new(move |_| {
                    let _ = sender.send(Err(failure));
                });
                (Effects::default(), told)
            }
        }))
        .await?;
        receiver.await.unwrap_or_else(|_| Err(unwritten()))
    }

    async fn wait<T: Send + 'static>(
        &self,
        seat: impl FnOnce(&mut Waiters, oneshot::Sender<TopicResult<T>>) -> Ticket + Send + 'static,
        call: impl FnOnce(&mut Coordinator, i64, Ticket) -> Effects + Send + 'static,
    ) -> TopicResult<T> {
        let (sender, receiver) = oneshot::channel();
        self.send(Box::new(move |coordinator, now_ms| {
            let ticket = seat(&mut coordinator.waiters, sender);
            let told: Answer = Box::new(|_| {});
            (call(coordinator, now_ms, ticket), told)
        }))
        .await?;
        receiver.await.unwrap_or_else(|_| Err(unwritten()))
    }

    /// Calls for something that is answered when a generation begins.
    pub async fn join(
        &self,
        call: impl FnOnce(&mut Coordinator, i64, Ticket) -> Effects + Send + 'static,
    ) -> TopicResult<Joined> {
        self.wait(Waiters::join, call).await
    }

    /// Calls for something that is answered when the leader has divided.
    pub async fn sync(
        &self,
        call: impl FnOnce(&mut Coordinator, i64, Ticket) -> Effects + Send + 'static,
    ) -> TopicResult<SyncedGroup> {
        self.wait(Waiters::sync, call).await
    }

    /// Calls for something that is answered when a transaction has ended.
    pub async fn end(
        &self,
        call: impl FnOnce(&mut Coordinator, i64, Ticket) -> Effects + Send + 'static,
    ) -> TopicResult<Producer> {
        self.wait(Waiters::end, call).await
    }
}

/// The coordinator at work.
#[derive(Debug)]
pub struct Task {
    coordinator: Coordinator,
    log: Log,
    clock: Arc<dyn Clock>,
    calls: mpsc::Receiver<Call>,
    idle: mpsc::UnboundedReceiver<i64>,
    kept_bytes_max: usize,
    now: Now,
    /// When it was last looked for what is due next, and what that was.
    looked_ms: i64,
    due_ms: Option<i64>,
    /// Calls have come since: something may be due sooner.
    stale: bool,
    /// When what could not be written is tried again, at the earliest.
    retry_ms: i64,
    /// What came of a failure to write, to be written with the next.
    left: Vec<Effects>,
}

impl Task {
    /// Works until the server stops or nobody can call any more.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut calls = Vec::new();
        loop {
            let wake = self.wake_at();
            let mut idle = None;
            tokio::select! {
                biased;
                () = shutdown.wait() => return,
                number = self.calls.recv_many(&mut calls, CALLS_AT_ONCE) => if number == 0 { return },
                Some(producer_id) = self.idle.recv() => idle = Some(producer_id),
                () = self.clock.sleep_until(wake) => {}
            }
            let now_ms = self.now_ms();
            let is_full = self.log.kept_bytes() >= self.kept_bytes_max;
            (self.coordinator.groups.is_full, self.coordinator.transactions.is_full) = (is_full, is_full);
            let mut done: Vec<(Effects, Option<Answer>)> =
                std::mem::take(&mut self.left).into_iter().map(|effects| (effects, None)).collect();
            for call in calls.drain(..) {
                let (effects, answer) = call(&mut self.coordinator, now_ms);
                done.push((effects, Some(answer)));
            }
            while let Some(producer_id) = idle.take().or_else(|| self.idle.try_recv().ok()) {
                done.push((self.coordinator.idle(now_ms, producer_id), None));
            }
            self.stale |= !done.is_empty();
            // Calls come before what time does: nobody is taken for gone whose sign of life is here.
            let due = self.due_ms.filter(|due| *due <= now_ms);
            if due.is_some_and(|due| self.calls.is_empty() || now_ms - due >= LATE_MS) {
                done.extend(self.coordinator.tick(now_ms).into_iter().map(|effects| (effects, None)));
                self.look(now_ms);
            } else if self.stale && now_ms - self.looked_ms >= TICK_MS {
                self.look(now_ms);
            }
            self.settle(now_ms, done).await;
        }
    }

    fn now_ms(&mut self) -> i64 {
        self.now.at(self.clock.now().timestamp_millis())
    }

    fn look(&mut self, now_ms: i64) {
        self.looked_ms = now_ms;
        self.stale = false;
        self.due_ms = self.coordinator.next_deadline().map(|due| due.max(self.retry_ms));
    }

    fn wake_at(&self) -> DateTime<chrono::Utc> {
        let look_again = self.stale.then_some(self.looked_ms + TICK_MS);
        let try_again = (!self.left.is_empty()).then_some(self.retry_ms);
        let wake_ms = self.due_ms.into_iter().chain(look_again).chain(try_again).min().unwrap_or(i64::MAX);
        DateTime::from_timestamp_millis(self.now.on_clock(wake_ms)).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
    }

    /// Writes, and then answers.
    async fn settle(&mut self, now_ms: i64, mut done: Vec<(Effects, Option<Answer>)>) {
        let mut appends: Vec<(Vec<Entry>, Vec<Subject>)> = Vec::new();
        for (effects, _) in &mut done {
            if !effects.entries.is_empty() {
                appends.push((std::mem::take(&mut effects.entries), effects.about.clone()));
            }
        }
        // In one call, which puts them into the log in this order: of two values of one key the later has to win.
        let outcomes = self.log.append_all(appends.iter().map(|(entries, _)| entries.clone()).collect()).await;
        let mut failed: HashSet<Subject> = HashSet::new();
        let mut unwritten_keys = Vec::new();
        for ((entries, about), outcome) in appends.iter().zip(outcomes) {
            if let Err(error) = outcome {
                let names: Vec<String> = about.iter().map(ToString::to_string).collect();
                tracing::warn!(about = names.join(", "), %error, "what groups or transactions came to was not written");
                failed.extend(about.iter().cloned());
                for entry in entries {
                    if let Entry::State { space, key, .. } = entry {
                        unwritten_keys.push((*space, key.clone()));
                    }
                }
            }
        }
        if !failed.is_empty() {
            self.take_back(now_ms, unwritten_keys);
        }
        let failure = unwritten();
        for (effects, answer) in done {
            let refused = effects.about.iter().any(|subject| failed.contains(subject)).then_some(&failure);
            if let Some(answer) = answer {
                answer(refused);
            }
            self.coordinator.waiters.answer(effects, refused);
        }
    }

    /// Something was not written: the coordinator goes back to what the log says, and time does nothing for a while, so that
    /// a disk that is full is not asked again and again.
    fn take_back(&mut self, now_ms: i64, keys: Vec<(u8, Bytes)>) {
        let mut all = Vec::with_capacity(keys.len() + 1);
        for (space, key) in keys {
            let value = self.log.state_of(space, &key);
            match self.coordinator.load(now_ms, space, &key, value.as_deref()) {
                Ok(effects) => all.push(effects),
                Err(error) => tracing::error!(%error, space, "what the log keeps cannot be read"),
            }
        }
        // An end may have been refused because a topic of it is no more.
        all.push(self.coordinator.forget_topics(now_ms, |topic| self.log.topic_by_id(topic).is_none()));
        for effects in all {
            if effects.entries.is_empty() {
                self.coordinator.waiters.answer(effects, None);
            } else {
                self.left.push(effects);
            }
        }
        self.stale = true;
        self.retry_ms = now_ms + RETRY_MS;
        self.due_ms = self.due_ms.map(|due| due.max(self.retry_ms));
    }
}
