//! Memory for records that are being unpacked: little that is sent may become much, and many may send it at once.
//!
//! All who unpack share one bound, and wait for each other; none of them fails for it. Whoever holds some of it waits for nothing
//! else, so that it always comes back: it is not held over an `await`, and nobody takes a second part beside the first.

use std::borrow::Cow;
use std::io;
use std::ops::Deref;

use parking_lot::{Condvar, Mutex};

use crate::codec::{self, BYTES_MAX};

/// What a batch may grow to at first, by its size and at least. Few grow to more, and those are unpacked once more, with room for the
/// largest.
const GROWTH: usize = 16;
const FIRST_BYTES_MIN: usize = if cfg!(test) { 16 << 10 } else { 256 << 10 };

/// All records of this process that are being unpacked. Two of the largest batches fit in.
static ROOM: Room = Room::new(2 * BYTES_MAX);

/// Bytes that are handed out, in the order in which they were asked for.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug)]
struct Line {
    free: usize,
    /// The number that the next one who comes gets.
    last: u64,
    /// The number whose turn it is.
    first: u64,
}

impl Room {
    pub(crate) const fn new(bytes: usize) -> Self {
        Self { bytes, line: Mutex::new(Line { free: bytes, last: 0, first: 0 }), moved: Condvar::new() }
    }

    /// Waits until there is so much. More than all is all.
    fn take(&'static self, bytes: usize) -> Held {
        let bytes = bytes.min(self.bytes);
        let mut line = self.line.lock();
        let turn = line.last;
        line.last += 1;
        while line.first != turn || line.free < bytes {
            self.moved.wait(&mut line);
        }
        line.first += 1;
        line.free -= bytes;
        drop(line);
        self.moved.notify_all();
        Held { room: self, bytes }
    }
}

/// A part of the room.
#[derive(Debug)]
struct Held {
    room: &'static Room,
    bytes: usize,
}

impl Held {
    /// Gives back what is more than that.
    fn shrink(&mut self, bytes: usize) {
        let more = self.bytes.saturating_sub(bytes);
        self.bytes -= more;
        self.room.line.lock().free += more;
        self.room.moved.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// The records of a batch, unpacked. Those that were not packed are where they were.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    bytes: Cow<'a, [u8]>,
    _held: Option<Held>,
}

impl<'a> Opened<'a> {
    /// The bytes, which from here on nobody counts.
    pub(crate) fn into_bytes(self) -> Cow<'a, [u8]> {
        match self.bytes {
            Cow::Owned(mut bytes) => {
                bytes.shrink_to_fit();
                Cow::Owned(bytes)
            }
            borrowed => borrowed,
        }
    }
}

impl Deref for Opened<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Unpacks the records of a batch, by the number of its compression, once there is room for them. Blocks until then.
///
/// # Errors
/// They cannot be unpacked, or are more than [`BYTES_MAX`].
pub(crate) fn open(compression: i16, bytes: &[u8]) -> io::Result<Opened<'_>> {
    open_in(&ROOM, compression, bytes)
}

fn open_in<'a>(room: &'static Room, compression: i16, bytes: &'a [u8]) -> io::Result<Opened<'a>> {
    if compression == 0 {
        return Ok(Opened { bytes: Cow::Borrowed(bytes), _held: None });
    }
    let mut bytes_max = bytes.len().saturating_mul(GROWTH).clamp(FIRST_BYTES_MIN, BYTES_MAX);
    loop {
        let mut held = room.take(codec::memory_bytes(compression, bytes, bytes_max));
        if let Some(unpacked) = codec::decompress(compression, bytes, bytes_max)? {
            held.shrink(unpacked.len());
            return Ok(Opened { bytes: Cow::Owned(unpacked), _held: Some(held) });
        }
        if bytes_max == BYTES_MAX {
            return Err(codec::too_much());
        }
        // All of it is given back before more is asked for: two who hold some and wait for more would wait for ever.
        drop(held);
        bytes_max = BYTES_MAX;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_at_once_stay_within_the_room() {
        let room: &'static Room = Box::leak(Box::new(Room::new(2 * BYTES_MAX)));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..24_usize {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    let compression = 1 + (number % 4) as i16;
                    // Beyond what may be, just within it, and small.
                    let size = [3 * BYTES_MAX, BYTES_MAX - 100, 1000][number % 3];
                    let packed = codec::compress(compression, &vec![7; size]).unwrap();
                    for _ in 0..4 {
                        let opened = open_in(room, compression, &packed);
                        assert_eq!(opened.is_ok(), size <= BYTES_MAX, "{number}: {opened:?}");
                        let Ok(opened) = opened else { continue };
                        assert!(opened.len() == size && opened.iter().all(|byte| *byte == 7));
                        most.fetch_max(now.fetch_add(size, Ordering::SeqCst) + size, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        now.fetch_sub(size, Ordering::SeqCst);
                        let Cow::Owned(bytes) = opened.into_bytes() else { panic!("{number}: it was packed") };
                        // Nothing is kept of what it may have grown to.
                        assert!(bytes.capacity() < size + 100, "{} for {size}", bytes.capacity());
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!(most <= 2 * BYTES_MAX && most > BYTES_MAX / 2, "{most}");
        // All of it has come back, also from those that failed.
        let line = room.line.lock();
        assert_eq!((line.free, line.first), (2 * BYTES_MAX, line.last));
    }

    #[test]
    fn whoever_asks_for_more_than_there_is_gets_all_of_it_in_turn() {
        let room: &'static Room = Box::leak(Box::new(Room::new(100)));
        let held = room.take(60);
        std::thread::scope(|scope| {
            let large = scope.spawn(|| room.take(1000).bytes);
            while room.line.lock().last < 2 {
                std::thread::yield_now();
            }
            // It would fit in, but comes later.
            let small = scope.spawn(|| room.take(10).bytes);
            while room.line.lock().last < 3 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            assert!(!large.is_finished() && !small.is_finished());
            drop(held);
            assert_eq!((large.join().unwrap(), small.join().unwrap()), (100, 10));
        });
    }
}
