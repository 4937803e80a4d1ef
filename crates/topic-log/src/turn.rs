//! Whose turn it is on the disk: those who wait for their records come before what is done beside them.
//!
//! A disk does one sync behind the other, and so does a file system's journal. What is written in the background while the writer
//! syncs is done along with that, and makes all wait who wait for it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

#[derive(Debug, Default)]
pub(crate) struct Turn {
    now: Mutex<Now>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Now {
    syncing: bool,
    /// Syncs that have ended.
    ended: u64,
}

/// The writer's turn, until it is dropped.
pub(crate) struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut now = self.0.now.lock();
        (now.syncing, now.ended) = (false, now.ended + 1);
        drop(now);
        self.0.ended.notify_all();
    }
}

impl Turn {
    /// The writer, which waits for nobody, begins to sync.
    pub(crate) fn take(&self) -> Taken<'_> {
        self.now.lock().syncing = true;
        Taken(self)
    }

    /// Waits until the sync that is under way has ended, and for those that begin right behind it, up to `patience` in all: what is
    /// done beside has to go on though there is always one.
    pub(crate) fn wait(&self, patience: Duration) {
        let mut now = self.now.lock();
        let (first, until) = (now.ended, Instant::now() + patience);
        while now.syncing {
            if now.ended == first {
                self.ended.wait(&mut now);
            } else if self.ended.wait_until(&mut now, until).timed_out() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn who_waits_goes_on_though_there_is_always_a_sync() {
        let turn = Arc::new(Turn::default());
        turn.wait(Duration::ZERO);
        let first = turn.take();
        let (told, hears) = channel();
        for patience in [Duration::ZERO, Duration::from_millis(1)] {
            let (turn, told) = (Arc::clone(&turn), told.clone());
            thread::spawn(move || {
                told.send(()).unwrap();
                turn.wait(patience);
                told.send(()).unwrap();
            });
            hears.recv().unwrap();
        }
        assert!(hears.recv_timeout(Duration::from_millis(30)).is_err());
        drop(first);
        let (mut next, mut came) = (turn.take(), 0);
        // A thread may come to its waiting late, and then waits for a sync that is under way by then.
        for _ in 0..6_000 {
            came += usize::from(hears.recv_timeout(Duration::from_millis(10)).is_ok());
            if came == 2 {
                return;
            }
            drop(next);
            next = turn.take();
        }
        panic!("one still waits");
    }
}
