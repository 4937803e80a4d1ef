//! What a person wants to know of a column before using it, from one pass over batches and in bounded memory.

mod axis;
mod bins;
mod calendar;
mod cardinality;
mod counter;
mod hash;
mod kind;
mod moments;
mod numbers;
mod show;
mod unpack;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use polder_types::{Error, Result};

use counter::{Counter, Shown};
use kind::Kind;
use numbers::{BigNumbers, Floats, WholeNumbers};

/// Most frequent values that are told.
const TOP: usize = 20;

/// What is known of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnProfile {
    /// Rows seen, missing ones included.
    pub rows: u64,
    /// Rows without a value (null).
    pub missing: u64,
    /// Different values; null is none, NaN is one.
    pub distinct: u64,
    /// True up to 10,000 different values. Beyond, `distinct` is an estimate with a standard error of 0.8 %.
    pub distinct_is_exact: bool,
    /// The least value as text, cut after 200 letters. NaN does not count, infinities do. None for booleans and nested
    /// types.
    pub min: Option<String>,
    /// The greatest value, as `min`.
    pub max: Option<String>,
    /// Of the finite values; durations in seconds. None for dates and times, and where the sum of the column is more
    /// than a float holds.
    pub mean: Option<f64>,
    /// Standard deviation of a sample (n - 1), as `mean`. None of fewer than two values.
    pub stddev: Option<f64>,
    /// NaN among floats. Neither `mean` nor `histogram` know of them.
    pub nan: u64,
    /// Infinities among floats, of either sign. Neither `mean` nor `histogram` know of them.
    pub infinite: u64,
    /// Exact counts in at most 30 bins with round edges, for numbers, dates and times. No value lies outside, and
    /// bins without a value are there with a count of zero. None if there was no finite value.
    pub histogram: Option<Vec<HistogramBin>>,
    /// At most 20 of the most frequent values, most frequent first. None for nested types and for columns of type null.
    pub top: Option<Vec<TopValue>>,
}

/// The values from `low`, inclusive, to `high`, exclusive. In a column with one value both are that value.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramBin {
    pub low: BinEdge,
    pub high: BinEdge,
    pub count: u64,
}

/// Where a bin begins or ends.
#[derive(Clone, Debug, PartialEq)]
pub enum BinEdge {
    /// Of numbers; of durations in seconds. Always finite.
    Number(f64),
    /// Of dates, times and timestamps: ISO 8601, those with a zone in UTC (`2013-01-31`, `05:30:00`,
    /// `2013-01-31T05:30:00`, `2013-01-31T05:30:00Z`).
    Text(String),
}

/// A value that occurred at least `count` and at most `count + error` times.
#[derive(Clone, Debug, PartialEq)]
pub struct TopValue {
    /// As text, cut after 200 letters; values that differ later are still told apart.
    pub value: String,
    pub count: u64,
    /// Zero up to 10,000 different values: `count` is exact. Beyond, only values that are surely more frequent than
    /// those not told are told at all, so there may be none.
    pub error: u64,
}

/// Takes a column batch by batch. Parts can be profiled apart and merged, with the same result but for rounding in
/// `mean` and `stddev`, and, beyond 10,000 different values, the bounds in `top`.
///
/// It holds about a megabyte for a column with many different values, and up to 10 MB if all of those are long texts.
pub struct ColumnProfiler {
    /// Without dictionaries and runs.
    data_type: DataType,
    kind: Kind,
    rows: u64,
    missing: u64,
    counter: Counter,
    numbers: Numbers,
}

enum Numbers {
    None,
    Whole(WholeNumbers<i64>),
    Wide(WholeNumbers<i128>),
    Float(Floats),
    Big(BigNumbers),
    Bytes(Option<(Vec<u8>, Vec<u8>)>),
}

impl ColumnProfiler {
    #[must_use]
    pub fn new(data_type: &DataType) -> Self {
        let data_type = unpack::value_type(data_type).clone();
        let kind = Kind::of(&data_type);
        let numbers = match kind {
            Kind::Null | Kind::Boolean | Kind::Nested => Numbers::None,
            Kind::Whole(meaning) => Numbers::Whole(WholeNumbers::new(meaning)),
            Kind::Wide(meaning) => Numbers::Wide(WholeNumbers::new(meaning)),
            Kind::Float { single } => Numbers::Float(Floats::new(single)),
            Kind::Big { scale } => Numbers::Big(BigNumbers::new(scale)),
            Kind::Text | Kind::Binary | Kind::Uuid => Numbers::Bytes(None),
        };
        Self { data_type, kind, rows: 0, missing: 0, counter: Counter::default(), numbers }
    }

    /// Takes a batch. Dictionaries, runs and the several layouts of texts and bytes may change from batch to batch.
    ///
    /// # Errors
    /// `Internal` if the batch's values are not of the column's type.
    pub fn update(&mut self, array: &ArrayRef) -> Result<()> {
        self.same_type(array.data_type())?;
        let unpacked = unpack::unpack(array)?;
        let values = &unpacked.values;
        let weights = match (unpacked.weights, values.logical_nulls().filter(|nulls| nulls.null_count() > 0)) {
            (Some(weights), Some(nulls)) => Some(nulls.valid_indices().map(|row| weights[row]).collect()),
            (weights, _) => weights,
        };
        let present = match &weights {
            Some(weights) => weights.iter().sum(),
            None => (values.len() - values.logical_null_count()) as u64,
        };
        self.count(values, weights.as_deref())?;
        self.rows += array.len() as u64;
        self.missing += array.len() as u64 - present;
        Ok(())
    }

    fn same_type(&self, other: &DataType) -> Result<()> {
        let other = unpack::value_type(other);
        let same = match self.kind {
            Kind::Text | Kind::Binary => Kind::of(other) == self.kind,
            _ => other.equals_datatype(&self.data_type),
        };
        if same {
            return Ok(());
        }
        Err(Error::internal(format!(
            "a column of type {} cannot be profiled with values of type {other}",
            self.data_type
        )))
    }

    /// `weights`: one for each value that is not null.
    fn count(&mut self, values: &ArrayRef, weights: Option<&[u64]>) -> Result<()> {
        let counter = &mut self.counter;
        match &mut self.numbers {
            Numbers::None => match self.kind {
                Kind::Null => {}
                Kind::Boolean => count_booleans(counter, values, weights),
                _ => count_rows(counter, values, weights)?,
            },
            Numbers::Whole(numbers) => {
                let values = kind::whole(values);
                count_fixed(counter, &values, weights, |value| hash::mix(value as u64), i128::from);
                numbers.add(&values, weights);
            }
            Numbers::Wide(numbers) => {
                let values = kind::wide(values);
                count_fixed(counter, &values, weights, hash::mix_wide, |value| value);
                numbers.add(&values, weights);
            }
            Numbers::Float(numbers) => {
                let values = kind::floats(values);
                let bits: Vec<i64> = values.iter().map(|value| ordered(value.to_bits().cast_signed())).collect();
                count_fixed(counter, &bits, weights, |bits| hash::mix(bits as u64), i128::from);
                numbers.add(&values, weights);
            }
            Numbers::Big(numbers) => {
                let values = kind::bigs(values);
                for (row, value) in values.iter().enumerate() {
                    let bytes = value.to_le_bytes();
                    counter.add_bytes(hash::bytes(&bytes), weights.map_or(1, |weights| weights[row]), || &bytes);
                }
                numbers.add(&values, weights);
            }
            Numbers::Bytes(range) => {
                let mut row = 0;
                kind::for_each_bytes(values, |value| {
                    let weight = weights.map_or(1, |weights| weights[row]);
                    counter.add_bytes(hash::bytes(value), weight, || show::cut(value, self.kind));
                    widen(range, value, self.kind);
                    row += 1;
                });
            }
        }
        Ok(())
    }

    /// Takes what another profiler saw of the same column.
    ///
    /// # Errors
    /// `Internal` if it was made for another type.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.same_type(&other.data_type)?;
        self.rows += other.rows;
        self.missing += other.missing;
        self.counter.merge(other.counter);
        match (&mut self.numbers, other.numbers) {
            (Numbers::Whole(numbers), Numbers::Whole(other)) => numbers.merge(other),
            (Numbers::Wide(numbers), Numbers::Wide(other)) => numbers.merge(other),
            (Numbers::Float(numbers), Numbers::Float(other)) => numbers.merge(other),
            (Numbers::Big(numbers), Numbers::Big(other)) => numbers.merge(other),
            (Numbers::Bytes(range), Numbers::Bytes(Some((low, high)))) => {
                widen(range, &low, self.kind);
                widen(range, &high, self.kind);
            }
            _ => {}
        }
        Ok(())
    }

    #[must_use]
    pub fn finish(self) -> ColumnProfile {
        let (distinct, distinct_is_exact) = self.counter.distinct();
        let distinct = distinct.min(self.rows - self.missing);
        let (min, max) = self.extremes().unzip();
        let (mean, stddev, histogram) = match &self.numbers {
            Numbers::Whole(numbers) => (numbers.mean(), numbers.deviation(), numbers.histogram()),
            Numbers::Wide(numbers) => (numbers.mean(), numbers.deviation(), numbers.histogram()),
            Numbers::Float(floats) | Numbers::Big(BigNumbers { near: floats, .. }) => {
                (floats.mean(), floats.deviation(), floats.histogram())
            }
            Numbers::None | Numbers::Bytes(_) => (None, None, None),
        };
        let (nan, infinite) = match &self.numbers {
            Numbers::Float(floats) => (floats.nan, floats.infinite),
            _ => (0, 0),
        };
        let (rows, missing, top) = (self.rows, self.missing, self.top());
        ColumnProfile {
            rows,
            missing,
            distinct,
            distinct_is_exact,
            min,
            max,
            mean,
            stddev,
            nan,
            infinite,
            histogram,
            top,
        }
    }

    fn extremes(&self) -> Option<(String, String)> {
        let fixed = |low: i128, high: i128| {
            let mut texts = show::fixed(&[low, high], &self.data_type, self.kind).into_iter();
            Some((texts.next()?, texts.next()?))
        };
        match &self.numbers {
            Numbers::None => None,
            Numbers::Whole(numbers) => numbers.range.and_then(|(low, high)| fixed(low.into(), high.into())),
            Numbers::Wide(numbers) => numbers.range.and_then(|(low, high)| fixed(low, high)),
            Numbers::Float(numbers) => {
                numbers.range.and_then(|(low, high)| fixed(low.to_bits().into(), high.to_bits().into()))
            }
            Numbers::Big(numbers) => numbers.range.map(|(low, high)| {
                (show::big(&low.to_le_bytes(), &self.data_type), show::big(&high.to_le_bytes(), &self.data_type))
            }),
            Numbers::Bytes(range) => {
                range.as_ref().map(|(low, high)| (show::bytes(low, self.kind), show::bytes(high, self.kind)))
            }
        }
    }

    fn top(&self) -> Option<Vec<TopValue>> {
        if matches!(self.kind, Kind::Null | Kind::Nested) {
            return None;
        }
        let shown = |value: Shown<'_>| match (value, self.kind) {
            (Shown::Bytes(value), Kind::Big { .. }) => show::big(value, &self.data_type),
            (Shown::Bytes(value), _) => show::bytes(value, self.kind),
            (Shown::Fixed(value), Kind::Float { .. }) => {
                let bits = ordered(value as i64).cast_unsigned();
                show::fixed(&[bits.into()], &self.data_type, self.kind).concat()
            }
            (Shown::Fixed(value), _) => show::fixed(&[value], &self.data_type, self.kind).concat(),
        };
        let frequent = self.counter.top(TOP).into_iter();
        Some(frequent.map(|one| TopValue { value: shown(one.value), count: one.count, error: one.error }).collect())
    }
}

/// Bits of a float as a number with the float's order, and back again.
fn ordered(bits: i64) -> i64 {
    bits ^ (((bits >> 63).cast_unsigned() >> 1).cast_signed())
}

fn count_fixed<V: Copy + PartialEq>(
    counter: &mut Counter,
    values: &[V],
    weights: Option<&[u64]>,
    hash: impl Fn(V) -> u64,
    wide: impl Fn(V) -> i128,
) {
    let Some(first) = values.first() else { return };
    // Neighbours are often equal, and adding is cheaper than looking up.
    let (mut run, mut length) = (*first, 0);
    for (row, value) in values.iter().enumerate() {
        if *value != run {
            counter.add_fixed(hash(run), length, wide(run));
            (run, length) = (*value, 0);
        }
        length += weights.map_or(1, |weights| weights[row]);
    }
    counter.add_fixed(hash(run), length, wide(run));
}

fn count_booleans(counter: &mut Counter, values: &ArrayRef, weights: Option<&[u64]>) {
    let values = values.as_boolean();
    let counts = match weights {
        None => [values.false_count() as u64, values.true_count() as u64],
        Some(weights) => values.iter().flatten().zip(weights).fold([0, 0], |mut counts, (value, weight)| {
            counts[usize::from(value)] += weight;
            counts
        }),
    };
    for (value, count) in (0..).zip(counts) {
        if count > 0 {
            counter.add_fixed(hash::mix(value), count, value.into());
        }
    }
}

fn count_rows(counter: &mut Counter, values: &ArrayRef, weights: Option<&[u64]>) -> Result<()> {
    let hashes = hash::rows(values)?;
    let nulls = values.logical_nulls();
    let present =
        hashes.into_iter().enumerate().filter(|(row, _)| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)));
    for (at, (_, hash)) in present.enumerate() {
        counter.add_fixed(hash, weights.map_or(1, |weights| weights[at]), 0);
    }
    Ok(())
}

/// The range keeps no more of a value than is shown; since cutting keeps the order, the shown extremes are right.
fn widen(range: &mut Option<(Vec<u8>, Vec<u8>)>, value: &[u8], kind: Kind) {
    let Some((low, high)) = range else {
        *range = Some((show::cut(value, kind).to_vec(), show::cut(value, kind).to_vec()));
        return;
    };
    let replaced = if value < low.as_slice() {
        low
    } else if value > high.as_slice() {
        high
    } else {
        return;
    };
    replaced.clear();
    replaced.extend_from_slice(show::cut(value, kind));
}

#[cfg(test)]
mod tests;
