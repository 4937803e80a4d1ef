//! What all connections together hold of messages whose ends have not come: bounded, as each message is by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Beyond what each connection may hold anyhow: two of the largest messages, or many of usual size.
const UNREAD_BYTES_MAX: usize = 512 << 20;

/// A connection's part of it, given back with it.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    all: Arc<AtomicUsize>,
    own: usize,
}

impl Unread {
    /// The part of another connection, with nothing in it yet.
    pub(crate) fn of(all: &Arc<AtomicUsize>) -> Self {
        Self { all: Arc::clone(all), own: 0 }
    }

    /// Holds so many bytes from now on. False if all connections hold too much then; nothing has changed.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        if bytes > self.own {
            let more = bytes - self.own;
            let taken = self.all.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            if taken > UNREAD_BYTES_MAX {
                self.all.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            self.all.fetch_sub(self.own - bytes, Ordering::Relaxed);
        }
        self.own = bytes;
        true
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_hold_so_much() {
        let all = Arc::<AtomicUsize>::default();
        let (mut one, mut other) = (Unread::of(&all), Unread::of(&all));
        assert!(one.hold(UNREAD_BYTES_MAX - 1) && other.hold(1));
        assert!(!other.hold(2) && other.hold(0));
        assert!(one.hold(10) && other.hold(UNREAD_BYTES_MAX - 10));
        drop(one);
        assert!(other.hold(UNREAD_BYTES_MAX));
        drop(other);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
