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
    /// Those who wait for them.
    #[cfg(test)]
    waiting: usize,
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
        #[cfg(test)]
        {
            now.waiting += 1;
        }
        while now.syncing {
            if now.ended == first {
                self.ended.wait(&mut now);
            } else if Instant::now() >= until || self.ended.wait_until(&mut now, until).timed_out() {
                break;
            }
        }
        #[cfg(test)]
        {
            now.waiting -= 1;
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.now.lock().waiting
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    impl Taken<'_> {
        /// The next sync begins as this one ends.
        fn followed(self) -> Self {
            let turn = ManuallyDrop::new(self).0;
            turn.now.lock().ended += 1;
            turn.ended.notify_all();
            Taken(turn)
        }
    }

    /// Returns once so many wait.
    fn until_waiting(turn: &Turn, number: usize) {
        while turn.waiting() != number {
            thread::yield_now();
        }
    }

    #[test]
    fn who_waits_goes_on_though_there_is_always_a_sync() {
        let turn = Arc::new(Turn::default());
        turn.wait(Duration::ZERO);
        let mut syncing = turn.take();
        let waiting = [Duration::ZERO, Duration::from_millis(1)].map(|patience| {
            let turn = Arc::clone(&turn);
            thread::spawn(move || turn.wait(patience))
        });
        // However long it takes, they wait for the sync that is under way.
        until_waiting(&turn, 2);
        thread::sleep(Duration::from_millis(5));
        assert!(waiting.iter().all(|thread| !thread.is_finished()));
        // And not for all that follow it, of which each begins before anybody else can see that the one before has ended.
        while waiting.iter().any(|thread| !thread.is_finished()) {
            syncing = syncing.followed();
            thread::yield_now();
        }
        drop(syncing);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// Takes turns without a pause while many wait, each with the patience that it has: whoever comes is let go on, and nobody during
    /// the sync that was under way when it came.
    #[test]
    fn nobody_is_forgotten_and_nobody_is_early() {
        let turn = Turn::default();
        thread::scope(|scope| {
            let turn = &turn;
            let waiting = [0, 17, 51].map(|patience_us| {
                scope.spawn(move || {
                    for round in 0..100 {
                        let (syncing, ended) = {
                            let now = turn.now.lock();
                            (now.syncing, now.ended)
                        };
                        turn.wait(Duration::from_micros(patience_us * (round % 3)));
                        let after = turn.now.lock().ended;
                        assert!(!syncing || after > ended, "{ended} {after}");
                    }
                })
            });
            while waiting.iter().any(|thread| !thread.is_finished()) {
                let taken = turn.take();
                thread::yield_now();
                drop(taken);
            }
        });
        assert_eq!(turn.waiting(), 0);
    }
}
