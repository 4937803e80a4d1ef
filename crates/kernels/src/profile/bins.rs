//! An exact histogram in one pass, without knowing the range beforehand.
//!
//! Values are counted on the finest level of their axis on which the range so far takes less than [`PIECES_MAX`]
//! pieces. When the range grows beyond, the counts move to the next level, whose pieces are whole pieces of this one.
//! The level depends on the range alone, so any order and any splitting into parts gives the same counts.

use super::axis::Axis;

const PIECES_MAX: i128 = 1024;

/// Bins that are shown at most.
const BINS_MAX: i128 = 30;

pub(super) struct Bins<A: Axis> {
    axis: A,
    counted: Option<Counted<A>>,
}

struct Counted<A: Axis> {
    low: A::Key,
    high: A::Key,
    /// None while all values are equal: they need no step, and would fit on any.
    level: Option<A::Step>,
    /// One more than there are counts.
    edges: Vec<A::Key>,
    counts: Vec<u64>,
    density: f64,
}

/// The values from `low`, inclusive, to `high`, exclusive. If all values are equal, both are that value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin<K> {
    pub low: K,
    pub high: K,
    pub count: u64,
}

impl<A: Axis> Bins<A> {
    pub(super) fn new(axis: A) -> Self {
        Self { axis, counted: None }
    }

    /// `low` and `high`: the least and the greatest of the values, of which there is one at least.
    pub(super) fn add(&mut self, values: &[A::Key], weights: Option<&[u64]>, low: A::Key, high: A::Key) {
        let counted = self.cover(low, high);
        match weights {
            None => values.iter().for_each(|value| counted.add(*value, 1)),
            Some(weights) => values.iter().zip(weights).for_each(|(value, weight)| counted.add(*value, *weight)),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let Some(other) = other.counted {
            self.cover(other.low, other.high).take(&other);
        }
    }

    fn cover(&mut self, low: A::Key, high: A::Key) -> &mut Counted<A> {
        let old = self.counted.take();
        let counted = match old {
            Some(old) if old.low <= low && old.high >= high => old,
            Some(old) => {
                let low = if low < old.low { low } else { old.low };
                let high = if high > old.high { high } else { old.high };
                let mut grown = Counted::new(&self.axis, low, high);
                grown.take(&old);
                grown
            }
            None => Counted::new(&self.axis, low, high),
        };
        self.counted.insert(counted)
    }

    /// The counts in bins of the finest shown step that takes no more than [`BINS_MAX`] and that `keep` agrees to.
    /// None if there were no values.
    pub(super) fn finish(&self, keep: impl Fn(&A::Step) -> bool) -> Option<Vec<Bin<A::Key>>> {
        let counted = self.counted.as_ref()?;
        let Some(level) = counted.level else {
            return Some(vec![Bin { low: counted.low, high: counted.high, count: counted.counts.iter().sum() }]);
        };
        let ends =
            |step: A::Step| Some((step, self.axis.index(step, counted.low)?, self.axis.index(step, counted.high)?));
        let fits = |(_, first, last): &(A::Step, i128, i128)| last.saturating_sub(*first) < BINS_MAX;
        let (step, first, last) =
            self.axis.shown(level).filter(keep).filter_map(ends).find(fits).or_else(|| ends(level))?;
        let edge = |index| self.axis.edge(step, index);
        let mut bins: Vec<Bin<A::Key>> =
            (first..=last).map(|index| Bin { low: edge(index), high: edge(index + 1), count: 0 }).collect();
        for (key, count) in counted.held() {
            let index = self.axis.index(step, key).unwrap_or(first) - first;
            if let Some(bin) = usize::try_from(index).ok().and_then(|index| bins.get_mut(index)) {
                bin.count += count;
            }
        }
        Some(bins)
    }
}

impl<A: Axis> Counted<A> {
    fn new(axis: &A, low: A::Key, high: A::Key) -> Self {
        let fitting = || {
            axis.levels(low, high).find_map(|level| {
                let (first, last) = (axis.index(level, low)?, axis.index(level, high)?);
                (last.saturating_sub(first) < PIECES_MAX).then_some((level, first, last))
            })
        };
        let level = if low < high { fitting() } else { None };
        let Some((level, first, last)) = level else {
            return Self { low, high, level: None, edges: vec![low, high], counts: vec![0], density: 0.0 };
        };
        let edges: Vec<A::Key> = (first..=last + 1).map(|index| axis.edge(level, index)).collect();
        let pieces = edges.len() - 1;
        let density = axis.density(edges[0], edges[pieces], pieces);
        Self { low, high, level: Some(level), counts: vec![0; pieces], edges, density }
    }

    /// `value` lies within the range.
    #[inline]
    fn add(&mut self, value: A::Key, weight: u64) {
        let last = self.counts.len() - 1;
        let mut at = (A::position(self.edges[0], self.density, value) as usize).min(last);
        // The guess may be a piece off: by rounding, or since months differ.
        while at > 0 && value < self.edges[at] {
            at -= 1;
        }
        while at < last && value >= self.edges[at + 1] {
            at += 1;
        }
        self.counts[at] += weight;
    }

    /// Counts that were taken on a level as fine or finer.
    fn take(&mut self, other: &Self) {
        for (key, count) in other.held() {
            self.add(key, count);
        }
    }

    /// Each count that is not zero, with a key of its piece.
    fn held(&self) -> impl Iterator<Item = (A::Key, u64)> {
        let counts = self.edges.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        // The first edge may lie before every value there is.
        counts.map(|(edge, count)| (if *edge < self.low { self.low } else { *edge }, *count))
    }
}

#[cfg(test)]
mod tests;
