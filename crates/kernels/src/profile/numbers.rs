//! Extremes, moments and histogram of the values that have an order and a distance.

use arrow::datatypes::i256;

use super::axis::{FloatAxis, Step, Whole, WholeAxis, decimal};
use super::bins::{Bin, Bins};
use super::kind::Meaning;
use super::moments::Moments;
use super::show;
use super::{BinEdge, HistogramBin};

/// Seconds of a day, an hour, a minute and one: if all timestamps are whole ones of these, no finer bin is shown.
const GRAINS: [i64; 4] = [86_400, 3_600, 60, 1];

pub(super) struct WholeNumbers<K: Whole> {
    meaning: Meaning,
    pub(super) range: Option<(K, K)>,
    /// What the moments are counted from: zero, or the first value seen if that is so large that a float would lose
    /// digits of it.
    origin: i128,
    moments: Moments,
    /// An index into [`GRAINS`], or its length.
    grain: usize,
    bins: Bins<WholeAxis<K>>,
}

impl<K: Whole> WholeNumbers<K> {
    pub(super) fn new(meaning: Meaning) -> Self {
        let axis = match meaning {
            Meaning::Number { .. } => WholeAxis::numbers(),
            Meaning::Date { day } => WholeAxis::dates(day),
            Meaning::Timestamp { per_second, .. } => WholeAxis::timestamps(per_second),
            Meaning::Time { per_second } => WholeAxis::time_of_day(per_second),
        };
        Self { meaning, range: None, origin: 0, moments: Moments::default(), grain: 0, bins: Bins::new(axis) }
    }

    pub(super) fn add(&mut self, values: &[K], weights: Option<&[u64]>) {
        let Some(first) = values.first() else { return };
        let (low, high) =
            values.iter().fold((*first, *first), |(low, high), value| (low.min(*value), high.max(*value)));
        match self.meaning {
            Meaning::Number { .. } => {
                if self.range.is_none() && first.wide().unsigned_abs() > 1 << 50 {
                    self.origin = first.wide();
                }
                let offsets = offsets(values, self.origin, low, high);
                self.moments.merge(Moments::of(&offsets, weights), 0.0);
            }
            Meaning::Timestamp { per_second, .. } | Meaning::Time { per_second } => self.see_grain(values, per_second),
            Meaning::Date { .. } => {}
        }
        self.widen(low, high);
        self.bins.add(values, weights, low, high);
    }

    fn see_grain(&mut self, values: &[K], per_second: i128) {
        while let Some(seconds) = GRAINS.get(self.grain) {
            // Timestamps are 64-bit numbers, whose remainder is much faster than that of 128 bits.
            let ticks = (i128::from(*seconds) * per_second) as i64;
            if values.iter().all(|value| value.wide() as i64 % ticks == 0) {
                return;
            }
            self.grain += 1;
        }
    }

    fn widen(&mut self, low: K, high: K) {
        self.range = Some(self.range.map_or((low, high), |range| (range.0.min(low), range.1.max(high))));
    }

    pub(super) fn merge(&mut self, other: Self) {
        let Some((low, high)) = other.range else { return };
        if self.range.is_none() {
            self.origin = other.origin;
        }
        self.moments.merge(other.moments, distance(self.origin, other.origin));
        self.widen(low, high);
        self.grain = self.grain.max(other.grain);
        self.bins.merge(other.bins);
    }

    /// None for dates and times: a number says little of them.
    pub(super) fn mean(&self) -> Option<f64> {
        Some(self.scaled(self.origin as f64 + self.moments.mean()?))
    }

    pub(super) fn deviation(&self) -> Option<f64> {
        Some(self.scaled(self.moments.deviation()?))
    }

    fn scaled(&self, number: f64) -> f64 {
        match self.meaning {
            Meaning::Number { scale } if scale >= 0 => number / decimal(1, scale),
            Meaning::Number { scale } => number * decimal(1, -scale),
            _ => number,
        }
    }

    pub(super) fn histogram(&self) -> Option<Vec<HistogramBin>> {
        let least = match (self.meaning, GRAINS.get(self.grain)) {
            (Meaning::Timestamp { per_second, .. } | Meaning::Time { per_second }, Some(seconds)) => {
                i128::from(*seconds) * per_second
            }
            _ => 1,
        };
        let bins = self.bins.finish(|step: &Step| step.at_least(least))?;
        Some(shown(bins, |key| match self.meaning {
            Meaning::Number { scale } => BinEdge::Number(decimal(key.wide(), -scale)),
            meaning => BinEdge::Text(show::edge(key.wide(), meaning)),
        }))
    }
}

fn shown<K: Copy>(bins: Vec<Bin<K>>, edge: impl Fn(K) -> BinEdge) -> Vec<HistogramBin> {
    bins.into_iter().map(|bin| HistogramBin { low: edge(bin.low), high: edge(bin.high), count: bin.count }).collect()
}

fn distance(from: i128, to: i128) -> f64 {
    to.checked_sub(from).map_or(to as f64 - from as f64, |distance| distance as f64)
}

fn offsets<K: Whole>(values: &[K], origin: i128, low: K, high: K) -> Vec<f64> {
    let near = |value: K| value.wide().checked_sub(origin).is_some_and(|offset| i64::try_from(offset).is_ok());
    if near(low) && near(high) {
        values.iter().map(|value| value.wide().wrapping_sub(origin) as i64 as f64).collect()
    } else {
        values.iter().map(|value| distance(origin, value.wide())).collect()
    }
}

pub(super) struct Floats {
    single: bool,
    /// Of all but NaN; infinities are values.
    pub(super) range: Option<(f64, f64)>,
    pub(super) nan: u64,
    pub(super) infinite: u64,
    /// Of finite values only, as the histogram.
    moments: Moments,
    /// True while every finite value is a whole number: no finer bin is shown.
    whole: bool,
    bins: Bins<FloatAxis>,
}

impl Floats {
    pub(super) fn new(single: bool) -> Self {
        Self {
            single,
            range: None,
            nan: 0,
            infinite: 0,
            moments: Moments::default(),
            whole: true,
            bins: Bins::new(FloatAxis { single }),
        }
    }

    pub(super) fn add(&mut self, values: &[f64], weights: Option<&[u64]>) {
        if values.iter().all(|value| value.is_finite()) {
            return self.add_finite(values, weights);
        }
        let (mut finite, mut finite_weights) = (Vec::with_capacity(values.len()), Vec::new());
        for (row, value) in values.iter().enumerate() {
            let weight = weights.map_or(1, |weights| weights[row]);
            if value.is_nan() {
                self.nan += weight;
            } else if value.is_infinite() {
                self.infinite += weight;
                self.widen(*value, *value);
            } else {
                finite.push(*value);
                finite_weights.push(weight);
            }
        }
        self.add_finite(&finite, weights.map(|_| finite_weights.as_slice()));
    }

    fn add_finite(&mut self, values: &[f64], weights: Option<&[u64]>) {
        let Some(first) = values.first() else { return };
        let (low, high) =
            values.iter().fold((*first, *first), |(low, high), value| (low.min(*value), high.max(*value)));
        self.widen(low, high);
        self.moments.merge(Moments::of(values, weights), 0.0);
        self.whole = self.whole && values.iter().all(|value| value.trunc() == *value);
        self.bins.add(values, weights, low, high);
    }

    fn widen(&mut self, low: f64, high: f64) {
        self.range = Some(self.range.map_or((low, high), |range| (range.0.min(low), range.1.max(high))));
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let Some((low, high)) = other.range {
            self.widen(low, high);
        }
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.moments.merge(other.moments, 0.0);
        self.whole &= other.whole;
        self.bins.merge(other.bins);
    }

    pub(super) fn mean(&self) -> Option<f64> {
        self.moments.mean()
    }

    pub(super) fn deviation(&self) -> Option<f64> {
        self.moments.deviation()
    }

    pub(super) fn histogram(&self) -> Option<Vec<HistogramBin>> {
        let bins = self.bins.finish(|step| !self.whole || step.power >= 0)?;
        Some(shown(bins, |key| BinEdge::Number(self.shown_edge(key))))
    }

    /// The decimal that the edge stands for, where the column's floats are shorter than ours; JSON knows no infinity.
    fn shown_edge(&self, key: f64) -> f64 {
        let key = key.clamp(f64::MIN, f64::MAX);
        if self.single { (key as f32).to_string().parse().unwrap_or(key) } else { key }
    }
}

pub(super) struct BigNumbers {
    scale: i32,
    pub(super) range: Option<(i256, i256)>,
    pub(super) near: Floats,
}

/// Decimals of 256 bits: exact extremes; moments and bins of the floats nearest to them.
impl BigNumbers {
    pub(super) fn new(scale: i32) -> Self {
        Self { scale, range: None, near: Floats::new(false) }
    }

    pub(super) fn add(&mut self, values: &[i256], weights: Option<&[u64]>) {
        let Some(first) = values.first() else { return };
        let (low, high) =
            values.iter().fold((*first, *first), |(low, high), value| (low.min(*value), high.max(*value)));
        self.widen(low, high);
        let near: Vec<f64> = values.iter().map(|value| nearest(*value, self.scale)).collect();
        self.near.add(&near, weights);
    }

    fn widen(&mut self, low: i256, high: i256) {
        self.range = Some(self.range.map_or((low, high), |range| (range.0.min(low), range.1.max(high))));
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let Some((low, high)) = other.range {
            self.widen(low, high);
        }
        self.near.merge(other.near);
    }
}

fn nearest(value: i256, scale: i32) -> f64 {
    if let Some(short) = value.to_i128() {
        return if scale >= 0 { short as f64 / decimal(1, scale) } else { short as f64 * decimal(1, -scale) };
    }
    let (low, high) = value.wrapping_abs().to_parts();
    let size = (high as u128 as f64).mul_add(2_f64.powi(128), low as f64) / decimal(1, scale);
    if value < i256::ZERO { -size } else { size }
}
