//! A body cut into units of about a megabyte, each of whole records, so that threads can work on it side by side while
//! memory stays bounded.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use polder_types::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::split::RECORD_BYTES_MAX;
use crate::progress::Job;
use crate::source::spool::{Body, BodyReader};

/// What one thread works on at a time.
pub(crate) const UNIT_BYTES: usize = 1 << 20;

/// What is read from a file at a time.
const WINDOW_BYTES: usize = 8 << 20;

/// Kept of a line that is too long to be read.
pub(crate) const RAW_BYTES_MAX: usize = 64 << 10;

/// A run of whole records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub offset: u64,
    pub len: u64,
    /// The line it begins with, counted from 1.
    pub line: u64,
    /// One line too long to be read.
    pub oversized: bool,
}

impl Unit {
    /// Its bytes; of an oversized one, the beginning.
    pub(crate) fn read(&self, reader: &mut BodyReader) -> Result<Bytes> {
        let len = if self.oversized { self.len.min(RAW_BYTES_MAX as u64) } else { self.len };
        let len = usize::try_from(len).map_err(|_| Error::internal("a unit does not fit memory"))?;
        reader.read_range(self.offset, len)
    }
}

/// How units may be cut.
pub(crate) trait Cut: Sync {
    /// The first end of a record at or behind `least`, when the buffer begins with a record.
    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize>;

    fn lines(&self, bytes: &[u8]) -> u64;
}

/// Cuts a body from front to back.
pub(crate) struct Cutter<'a> {
    cut: &'a dyn Cut,
    reader: BodyReader,
    window: Bytes,
    /// Of the window's first byte.
    offset: u64,
    /// Of the first byte that is not in the window yet.
    read_to: u64,
    len: u64,
    line: u64,
    /// The window is the whole body.
    in_memory: bool,
}

impl<'a> Cutter<'a> {
    /// Begins at `offset`, which is in line `line`.
    pub(crate) fn new(body: &Body, cut: &'a dyn Cut, offset: u64, line: u64) -> Result<Self> {
        let reader = body.reader()?;
        let len = body.len();
        let (window, read_to, in_memory) = match (body.in_memory(), usize::try_from(offset)) {
            (Some(bytes), Ok(start)) if start <= bytes.len() => (bytes.slice(start..), len, true),
            _ => (Bytes::new(), offset, false),
        };
        Ok(Self { cut, reader, window, offset, read_to, len, line, in_memory })
    }

    /// The next unit with its bytes. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Unit, Bytes)>> {
        loop {
            let last = self.read_to >= self.len;
            if self.window.is_empty() && last {
                return Ok(None);
            }
            let least = UNIT_BYTES.min(self.window.len().max(1));
            match self.cut.cut(&self.window, least, last) {
                Some(end) if end > 0 && end <= self.window.len() => return Ok(Some(self.emit(end))),
                _ if last => return Ok(Some(self.emit(self.window.len()))),
                _ if self.window.len() >= RECORD_BYTES_MAX => {
                    return match self.records_before_long_one() {
                        0 => self.oversized().map(Some),
                        end => Ok(Some(self.emit(end))),
                    };
                }
                _ => self.fill()?,
            }
        }
    }

    fn emit(&mut self, end: usize) -> (Unit, Bytes) {
        let bytes = self.window.split_to(end);
        let unit = Unit { offset: self.offset, len: end as u64, line: self.line, oversized: false };
        self.offset += end as u64;
        self.line += self.cut.lines(&bytes);
        (unit, bytes)
    }

    fn fill(&mut self) -> Result<()> {
        let want = WINDOW_BYTES.min(usize::try_from(self.len - self.read_to).unwrap_or(WINDOW_BYTES));
        let fresh = self.reader.read_range(self.read_to, want)?;
        self.read_to += want as u64;
        if self.window.is_empty() {
            self.window = fresh;
            return Ok(());
        }
        let mut joined = BytesMut::with_capacity(self.window.len() + fresh.len());
        joined.extend_from_slice(&self.window);
        joined.extend_from_slice(&fresh);
        self.window = joined.freeze();
        Ok(())
    }

    /// Where the records end that stand before the one that does not end.
    fn records_before_long_one(&self) -> usize {
        let mut end = 0;
        while let Some(len) = self.cut.cut(&self.window[end..], 1, false).filter(|len| *len > 0) {
            end += len;
        }
        end
    }

    /// Skips to the next line end, however far it is, and keeps only the line's beginning.
    fn oversized(&mut self) -> Result<(Unit, Bytes)> {
        let start = self.offset;
        let beginning = self.window.slice(..RAW_BYTES_MAX.min(self.window.len()));
        let mut len = 0_u64;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.window) {
                len += end as u64 + 1;
                self.window = self.window.split_off(end + 1);
                break;
            }
            len += self.window.len() as u64;
            self.window = Bytes::new();
            if self.read_to >= self.len {
                break;
            }
            self.fill()?;
        }
        let unit = Unit { offset: start, len, line: self.line, oversized: true };
        self.offset += len;
        self.line += 1;
        Ok((unit, beginning))
    }

    fn is_small(&self) -> bool {
        self.in_memory && self.window.len() < 2 * UNIT_BYTES
    }
}

/// Cuts a body and looks at every unit, on several threads; each fills a gathering of its own.
pub(crate) fn survey<G: Send>(
    cutter: Cutter<'_>,
    job: &Job,
    new: impl Fn() -> G + Sync,
    look: impl Fn(&Unit, &Bytes, &mut G) -> Result<()> + Sync,
) -> Result<(Vec<Unit>, Vec<G>)> {
    let threads = if cutter.is_small() { 1 } else { job.threads };
    let shared = Mutex::new((cutter, Vec::new()));
    let gathered = each_thread(threads, |_| {
        let mut gathering = new();
        loop {
            job.check()?;
            let (unit, bytes) = {
                let (cutter, units) = &mut *shared.lock();
                let Some((unit, bytes)) = cutter.next()? else { break };
                units.push(unit);
                (unit, bytes)
            };
            look(&unit, &bytes, &mut gathering)?;
            job.progress.add_bytes(unit.len);
        }
        Ok(gathering)
    })?;
    Ok((shared.into_inner().1, gathered))
}

/// Reads every unit again, on `lanes` threads; each has neighbouring units, in order.
///
/// When several lanes fail, the failure of the first lane is given, so that a strict load names the first bad row.
pub(crate) fn each_lane(
    body: &Body,
    units: &[Unit],
    lanes: usize,
    job: &Job,
    read: impl Fn(usize, &Unit, &Bytes) -> Result<()> + Sync,
) -> Result<()> {
    let shares = shares(units, lanes);
    let failed = AtomicUsize::new(usize::MAX);
    each_thread(shares.len(), |lane| {
        let mut reader = body.reader()?;
        let work = || {
            for unit in shares[lane] {
                job.check()?;
                if failed.load(Ordering::Relaxed) < lane {
                    return Ok(());
                }
                let bytes = unit.read(&mut reader)?;
                read(lane, unit, &bytes)?;
                job.progress.add_bytes(unit.len);
            }
            Ok(())
        };
        let mut work = work;
        work().inspect_err(|_| {
            failed.fetch_min(lane, Ordering::Relaxed);
        })
    })?;
    Ok(())
}

/// Neighbouring units of about the same number of bytes.
fn shares(units: &[Unit], lanes: usize) -> Vec<&[Unit]> {
    let total: u64 = units.iter().map(|unit| unit.len).sum();
    let small = total < 2 * UNIT_BYTES as u64;
    let lanes = if small { 1 } else { lanes.clamp(1, units.len().max(1)) };
    let mut shares = Vec::with_capacity(lanes);
    let (mut rest, mut left) = (units, total);
    for lane in 0..lanes {
        let want = left / (lanes - lane) as u64;
        let mut bytes = 0;
        let count = rest
            .iter()
            .take_while(|unit| {
                let more = bytes < want;
                bytes += if more { unit.len } else { 0 };
                more
            })
            .count();
        let count = if lane + 1 == lanes { rest.len() } else { count };
        let (share, others) = rest.split_at(count);
        shares.push(share);
        left -= share.iter().map(|unit| unit.len).sum::<u64>();
        rest = others;
    }
    shares
}

/// Runs `work` on so many threads. The first failure by number is given.
pub(crate) fn each_thread<T: Send>(threads: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    if threads <= 1 {
        return Ok(vec![work(0)?]);
    }
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        let results: Vec<Result<T>> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err(Error::internal("a reading thread died"))))
            .collect();
        results.into_iter().collect()
    })
}
