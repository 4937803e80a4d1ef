//! A topic's messages as they come.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, SelectAll, StreamExt};
use parking_lot::Mutex;
use polder_capability::BatchStream;
use polder_capability::topics::{TopicPart, TopicRows};
use polder_runtime::Shutdown;
use polder_types::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep_until};

use super::TailPart;
use super::payload::{COLUMNS, Filter, Rows, Sizes};
use crate::middleware::InFlight;
use crate::model::streams::Message;

/// Tails at once, of one user and of all. Each takes one of the server's requests.
const OF_A_USER_MAX: usize = 8;
const ALL_MAX: usize = 64;

/// How often a line is sent, while something comes.
const LINE_EVERY: Duration = Duration::from_millis(250);
/// How often an empty one is, while nothing does: so it is noticed that a client has gone.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(15);
/// Messages of a line. Nobody reads more in a quarter of a second.
const LINE_MESSAGES_MAX: usize = 100;
/// A tail that is forgotten ends by itself, and rights that were taken away meanwhile end with it.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// The tails that go on, by user.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    of_users: Arc<Mutex<HashMap<String, usize>>>,
}

/// The right to a tail, until it is dropped.
pub(crate) struct Ticket {
    of_users: Arc<Mutex<HashMap<String, usize>>>,
    user: String,
}

impl Tails {
    /// # Errors
    /// `Exhausted` when there are too many.
    pub fn take(&self, user: &str) -> Result<Ticket> {
        let mut of_users = self.of_users.lock();
        let mine = of_users.get(user).copied().unwrap_or_default();
        if mine >= OF_A_USER_MAX || of_users.values().sum::<usize>() >= ALL_MAX {
            return Err(Error::new(ErrorKind::Exhausted, "too many topics are being followed at once")
                .with_hint("close another page that follows one, then try again in 5 s"));
        }
        of_users.insert(user.to_owned(), mine + 1);
        Ok(Ticket { of_users: Arc::clone(&self.of_users), user: user.to_owned() })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut of_users = self.of_users.lock();
        if let Some(count) = of_users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                of_users.remove(&self.user);
            }
        }
    }
}

struct Tail {
    batches: SelectAll<BatchStream>,
    filter: Filter,
    until: Instant,
    stop: Shutdown,
    /// It has told its last line.
    has_ended: bool,
    _held: (Ticket, Option<InFlight>),
}

/// Lines of JSON.
pub(super) fn body(
    rows: &Arc<dyn TopicRows>,
    parts: Vec<TopicPart>,
    filter: Filter,
    stop: Shutdown,
    held: (Ticket, Option<InFlight>),
) -> Result<impl stream::Stream<Item = io::Result<Bytes>> + use<>> {
    let mut batches = SelectAll::new();
    for part in parts {
        batches.push(rows.read(part, COLUMNS.to_vec())?);
    }
    let until = Instant::now() + TIME_MAX;
    let tail = Tail { batches, filter, until, stop, has_ended: false, _held: held };
    // The first line comes at once: whoever asks then knows from where on nothing is missed.
    let first = stream::once(async { Ok(Bytes::from_static(b"\n")) });
    Ok(first.chain(stream::unfold(tail, |mut tail| async {
        let line = tail.line().await?;
        Some((line, tail))
    })))
}

impl Tail {
    async fn line(&mut self) -> Option<io::Result<Bytes>> {
        if self.has_ended {
            return None;
        }
        let (mut messages, mut skipped) = (VecDeque::new(), 0_u64);
        let mut due = Instant::now() + SIGN_OF_LIFE_EVERY;
        loop {
            let next = tokio::select! {
                biased;
                () = self.stop.wait() => { self.has_ended = true; break }
                () = sleep_until(due.min(self.until)) => break,
                next = self.batches.next() => next,
            };
            match next {
                Some(Ok(batch)) => {
                    let had_some = !messages.is_empty();
                    if let Err(error) = self.take(&batch, &mut messages, &mut skipped) {
                        return self.broken(&error);
                    }
                    if !had_some && !messages.is_empty() {
                        due = Instant::now() + LINE_EVERY;
                    }
                }
                Some(Err(error)) => return self.broken(&error),
                None => {
                    self.has_ended = true;
                    break;
                }
            }
        }
        self.has_ended |= Instant::now() >= self.until;
        if messages.is_empty() {
            return Some(Ok(Bytes::from_static(b"\n")));
        }
        let mut line = match serde_json::to_vec(&TailPart { messages: messages.into(), skipped }) {
            Ok(line) => line,
            Err(error) => return Some(Err(io::Error::other(error))),
        };
        line.push(b'\n');
        Some(Ok(line.into()))
    }

    fn take(
        &self,
        batch: &arrow::array::RecordBatch,
        messages: &mut VecDeque<Message>,
        skipped: &mut u64,
    ) -> Result<()> {
        let rows = Rows::new(batch)?;
        let wanted: Vec<usize> = (0..rows.len()).filter(|row| rows.matches(*row, &self.filter)).collect();
        let over = wanted.len().saturating_sub(LINE_MESSAGES_MAX);
        *skipped += over as u64;
        for row in wanted.into_iter().skip(over) {
            if messages.len() >= LINE_MESSAGES_MAX {
                messages.pop_front();
                *skipped += 1;
            }
            messages.push_back(rows.message(row, Sizes::LISTED));
        }
        Ok(())
    }

    fn broken(&mut self, error: &Error) -> Option<io::Result<Bytes>> {
        self.has_ended = true;
        // A topic that was deleted has come to its end.
        if error.kind() == ErrorKind::NotFound {
            return None;
        }
        tracing::info!(%error, "following a topic ended");
        Some(Err(io::Error::other(error.to_string())))
    }
}
