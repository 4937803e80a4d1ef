//! Cursors that go back. The rows that have come are kept, up to a bound for the connection: nothing is computed again.

use std::collections::HashSet;

use arrow::array::{Array, ArrayData, RecordBatch};
use futures::StreamExt;
use polder_types::{Error, ErrorKind, Result};

use super::portal::{Source, State};
use super::{Client, Flow};
use crate::sql::cursor::Way;
use crate::types::encode::Rows;
use crate::types::{Column, Format};

/// Bytes that all cursors of a connection keep.
const BYTES_MAX: usize = 32 << 20;

/// The rows of a cursor, and where it is among them.
#[derive(Default)]
pub(crate) struct Store {
    rows: Vec<Rows>,
    /// How many rows there are up to the end of each part.
    ends: Vec<u64>,
    bytes: usize,
    /// Where the buffers begin that are counted.
    held: HashSet<usize>,
    /// The number of the row that the cursor is at; 0 is before the first one, and one more than there are is behind the last.
    at: u64,
}

impl Store {
    pub(super) fn set_formats(&mut self, formats: &[Format]) {
        self.rows.iter_mut().for_each(|rows| rows.set_formats(formats));
    }

    fn count(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn add(&mut self, batch: &RecordBatch, columns: &[Column], formats: &[Format]) -> Result<()> {
        for column in batch.columns() {
            self.bytes += newly_held(&column.to_data(), &mut self.held);
        }
        self.ends.push(self.count() + batch.num_rows() as u64);
        self.rows.push(Rows::new(batch, columns, formats)?);
        Ok(())
    }

    /// Where the row with a number is, from 1.
    fn find(&self, number: u64) -> Option<(&Rows, usize)> {
        let row = number.checked_sub(1)?;
        let part = self.ends.partition_point(|end| *end <= row);
        let before = part.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        Some((self.rows.get(part)?, usize::try_from(row - before).ok()?))
    }
}

/// Bytes of the buffers that are held for the first time: many batches are parts of one, and share its buffers.
fn newly_held(data: &ArrayData, held: &mut HashSet<usize>) -> usize {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    let own = data.buffers().iter().chain(nulls).filter(|buffer| held.insert(buffer.data_ptr().addr().get()));
    let own: usize = own.map(|buffer| buffer.capacity()).sum();
    own + data.child_data().iter().map(|child| newly_held(child, held)).sum::<usize>()
}

/// The rows that a way gives, by their numbers, and where the cursor is then.
#[derive(Debug, PartialEq, Eq)]
struct Path {
    /// From this one to that one, which may be before it; `None`: none.
    rows: Option<(u64, u64)>,
    at: u64,
}

impl Path {
    /// One row, if there is one of that number among so many.
    fn to(row: i128, count: u64) -> Self {
        match u64::try_from(row) {
            Ok(row) if row > count => Self { rows: None, at: count + 1 },
            Ok(row) if row > 0 => Self { rows: Some((row, row)), at: row },
            _ => Self { rows: None, at: 0 },
        }
    }

    /// `count`: of all rows that the way needs.
    fn of(way: Way, at: u64, count: u64) -> Self {
        let forward = |last: u64| {
            let (first, end) = (at + 1, last.min(count));
            Self { rows: (first <= end).then_some((first, end)), at: if last > count { count + 1 } else { last } }
        };
        let backward = |at: u64, last: u64| {
            let (first, end) = (at.saturating_sub(1), last.max(1));
            Self { rows: (first >= end).then_some((first, end)), at: last }
        };
        match way {
            Way::Forward(0) => Self { at, ..Self::to(i128::from(at), count) },
            Way::Forward(rows) => forward(at.saturating_add(rows)),
            Way::All => forward(u64::MAX),
            Way::Backward(rows) => backward(at, at.saturating_sub(rows)),
            Way::BackwardAll => backward(at, 0),
            Way::Absolute(row) if row < 0 => Self::to(i128::from(count) + 1 + i128::from(row), count),
            Way::Absolute(row) => Self::to(i128::from(row), count),
            Way::Relative(0) => Self { at, ..Self::to(i128::from(at), count) },
            Way::Relative(rows) => Self::to(i128::from(at) + i128::from(rows), count),
        }
    }

    fn count(&self) -> u64 {
        self.rows.map_or(0, |(first, last)| first.abs_diff(last) + 1)
    }
}

/// How many rows a way needs, counted from the first.
fn needed(way: Way, at: u64) -> u64 {
    match way {
        Way::Forward(rows) => at.saturating_add(rows),
        Way::All => u64::MAX,
        Way::Backward(_) | Way::BackwardAll => at,
        Way::Absolute(row) if row < 0 => u64::MAX,
        Way::Absolute(row) => row.unsigned_abs(),
        Way::Relative(rows) => at.saturating_add_signed(rows),
    }
}

impl Client {
    /// Goes a way in a cursor that keeps its rows, and gives them unless it only moves; how many they are.
    pub(super) async fn scroll(&mut self, source: &mut Source, way: Way, moves: bool) -> Flow<u64> {
        let at = source.store.as_ref().map_or(0, |store| store.at);
        self.fill(source, needed(way, at)).await?;
        let Some(store) = &mut source.store else { return Ok(0) };
        let path = Path::of(way, at, store.count());
        store.at = path.at;
        if let (false, Some((first, last))) = (moves, path.rows) {
            let mut number = first;
            loop {
                if let Some((rows, row)) = store.find(number) {
                    rows.data_row(&mut self.wire.output, row)?;
                }
                self.wire.relieve().await?;
                match number {
                    done if done == last => break,
                    before if before < last => number += 1,
                    _ => number -= 1,
                }
            }
        }
        Ok(path.count())
    }

    /// Reads on until there are so many rows, or no more.
    async fn fill(&mut self, source: &mut Source, wanted: u64) -> Flow<()> {
        let others = self.kept_bytes();
        while !source.ended && source.store.as_ref().is_some_and(|store| store.count() < wanted) {
            match self.watched(source.batches.next()).await? {
                None => source.ended = true,
                Some(batch) => {
                    let (columns, formats) = (&source.columns, &source.formats);
                    let Some(store) = &mut source.store else { break };
                    store.add(&batch?, columns, formats)?;
                    if store.bytes + others > BYTES_MAX {
                        let message = format!("the cursors of a connection that go back keep {} MiB", BYTES_MAX >> 20);
                        return Err(Error::new(ErrorKind::TooLarge, message)
                            .with_code("54000")
                            .with_hint("leave SCROLL out, or keep the rows in a temporary table")
                            .into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Bytes that the cursors of the connection keep, but for the one at hand.
    fn kept_bytes(&self) -> usize {
        let bytes = |state: &State| match state {
            State::Rows(source) => source.store.as_ref().map_or(0, |store| store.bytes),
            _ => 0,
        };
        self.portals.values().map(|portal| bytes(&portal.state)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of each way, one after the other, among five.
    fn gone(ways: &[Way]) -> Vec<Option<(u64, u64)>> {
        let mut at = 0;
        let each = ways.iter().map(|way| {
            let path = Path::of(*way, at, 5);
            at = path.at;
            path.rows
        });
        each.collect()
    }

    #[test]
    fn ways_lead_where_they_say() {
        use Way as W;
        assert_eq!(
            gone(&[W::Forward(2), W::Forward(0), W::Backward(1), W::Backward(1)]),
            [Some((1, 2)), Some((2, 2)), Some((1, 1)), None]
        );
        assert_eq!(
            gone(&[W::All, W::Forward(1), W::Backward(2), W::BackwardAll]),
            [Some((1, 5)), None, Some((5, 4)), Some((3, 1))]
        );
        assert_eq!(
            gone(&[W::Absolute(-1), W::Absolute(-5), W::Absolute(-6), W::Forward(1)]),
            [Some((5, 5)), Some((1, 1)), None, Some((1, 1))]
        );
        assert_eq!(
            gone(&[W::Absolute(3), W::Relative(-1), W::Relative(9), W::Backward(1)]),
            [Some((3, 3)), Some((2, 2)), None, Some((5, 5))]
        );
        assert_eq!(gone(&[W::Absolute(0), W::Forward(0), W::Absolute(6), W::Forward(0)]), [None, None, None, None]);
    }
}
