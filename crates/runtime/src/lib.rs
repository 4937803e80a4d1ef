//! What the outside world hands in: time, randomness, threads, shutdown, and faults.
//!
//! Nothing above this floor reads the system clock by itself, so a test can run a day in a second.

mod brief;
mod clock;
pub mod fault;
mod own_files;
mod shutdown;
mod threads;
mod to_the_end;
mod unreadable;

pub use brief::{briefly, may_wait_briefly};
pub use clock::{Clock, ManualClock, Sleep, SystemClock};
pub use own_files::OwnFiles;
pub use shutdown::Shutdown;
pub use threads::{ConnectionThreads, Seat};
pub use to_the_end::{Died, to_the_end};
pub use unreadable::is_unreadable;
