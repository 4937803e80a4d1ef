//! What is done between groups.

use super::Writer;
use crate::request::Order;

impl Writer {
    pub(super) fn follow(&mut self, order: Order) {
        if let Order::Position(done) = order {
            // Whoever asked may be gone.
            let _ = done.send(((self.active.segment, self.active.position), self.next_sequence - 1));
            return;
        }
        // A checkpoint, and what is removed, stand on what is durable.
        let synced = self.sync_late();
        let (rewritten, done) = match order {
            Order::Adopt(rewritten, done) => (Some(rewritten), done),
            Order::Checkpoint(done) => (None, done),
            Order::Sync(done) => {
                drop(done.send(synced));
                return;
            }
            Order::Position(_) => return,
        };
        if let Err(error) = synced {
            // Whoever asked may be gone.
            drop(done.send(Err(error)));
            return;
        }
        if let Some(rewritten) = rewritten {
            rewritten.show();
        }
        self.checkpoint(Some(done));
    }
}
