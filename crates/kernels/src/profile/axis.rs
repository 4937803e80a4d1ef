//! The scales that histograms stand on: round steps over whole numbers, time and floats.
//!
//! A step cuts the whole axis into numbered, half-open pieces. The levels of an axis nest: every edge of a coarse
//! level is an edge of the finer ones, so counts move up a level exactly. The shown steps lie between levels, and are
//! what a person would choose: 1, 2, 5, 10, …; 1 s, 30 s, 1 min, …; a day, a week, a month, a quarter.

use super::calendar;

pub(super) trait Axis {
    type Key: Copy + PartialOrd;
    type Step: Copy;

    /// The levels, finest first; `low` and `high` may help to leave out those that are surely too fine.
    fn levels(&self, low: Self::Key, high: Self::Key) -> impl Iterator<Item = Self::Step>;

    /// Steps worth showing, finest first, each made of whole steps of `level`.
    fn shown(&self, level: Self::Step) -> impl Iterator<Item = Self::Step>;

    /// The number of the piece that holds `key`. None if this step is too fine for such a key.
    fn index(&self, step: Self::Step, key: Self::Key) -> Option<i128>;

    /// Where piece `index` begins, or the nearest key there is.
    fn edge(&self, step: Self::Step, index: i128) -> Self::Key;

    /// Pieces per unit of key, about.
    fn density(&self, first: Self::Key, last: Self::Key, pieces: usize) -> f64;

    /// How many pieces `key` lies beyond `first`, about.
    fn position(first: Self::Key, density: f64, key: Self::Key) -> f64;
}

/// Whole numbers: integers, decimals without their point, dates and times in their unit.
pub(super) trait Whole: Copy + Ord {
    fn wide(self) -> i128;
    /// The nearest one there is.
    fn narrow(wide: i128) -> Self;
    /// `self - first`, which is never negative.
    fn beyond(self, first: Self) -> f64;
}

impl Whole for i64 {
    fn wide(self) -> i128 {
        i128::from(self)
    }

    fn narrow(wide: i128) -> Self {
        wide.clamp(i128::from(Self::MIN), i128::from(Self::MAX)) as Self
    }

    fn beyond(self, first: Self) -> f64 {
        self.wrapping_sub(first) as u64 as f64
    }
}

impl Whole for i128 {
    fn wide(self) -> i128 {
        self
    }

    fn narrow(wide: i128) -> Self {
        wide
    }

    fn beyond(self, first: Self) -> f64 {
        self.wrapping_sub(first) as u128 as f64
    }
}

/// A step over whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Edges at `shift` and every `ticks` before and after.
    Even { ticks: i128, shift: i128 },
    /// Edges at the first of every `months`-th month; `day`: ticks a day.
    Months { months: i128, day: i128 },
}

impl Step {
    const fn every(ticks: i128) -> Self {
        Self::Even { ticks, shift: 0 }
    }

    fn index(self, key: i128) -> i128 {
        match self {
            Self::Even { ticks, shift } => key.saturating_sub(shift).div_euclid(ticks),
            Self::Months { months, day } => calendar::month_of(key.div_euclid(day)).0.div_euclid(months),
        }
    }

    fn edge(self, index: i128) -> i128 {
        match self {
            Self::Even { ticks, shift } => index.saturating_mul(ticks).saturating_add(shift),
            Self::Months { months, day } => calendar::month_start(index.saturating_mul(months)).saturating_mul(day),
        }
    }

    /// True if each step is made of whole steps of `finer`.
    fn holds(self, finer: Self) -> bool {
        match (self, finer) {
            (Self::Even { ticks, shift }, Self::Even { ticks: fine, shift: from }) => {
                ticks % fine == 0 && (shift - from) % fine == 0
            }
            (Self::Months { day, .. }, Self::Even { ticks, shift }) => day % ticks == 0 && shift % ticks == 0,
            (Self::Months { months, .. }, Self::Months { months: fine, .. }) => months % fine == 0,
            (Self::Even { .. }, Self::Months { .. }) => false,
        }
    }

    /// True if it is no finer than `ticks`.
    pub(super) fn at_least(self, least: i128) -> bool {
        match self {
            Self::Even { ticks, .. } => ticks >= least,
            Self::Months { .. } => true,
        }
    }
}

pub(super) struct WholeAxis<K> {
    levels: Vec<Step>,
    shown: Vec<Step>,
    key: std::marker::PhantomData<K>,
}

impl<K: Whole> WholeAxis<K> {
    fn new(levels: Vec<Step>, shown: Vec<Step>) -> Self {
        Self { levels, shown, key: std::marker::PhantomData }
    }

    pub(super) fn numbers() -> Self {
        let levels = powers_of_ten(38).map(Step::every).collect();
        let shown = round_numbers(38).map(Step::every).collect();
        Self::new(levels, shown)
    }

    /// `per_second`: ticks a second, a power of ten.
    pub(super) fn time_of_day(per_second: i128) -> Self {
        let (mut levels, mut shown) = seconds_and_hours(per_second);
        // Beyond a day lies no valid time, but arrays may hold it.
        let day = 86_400 * per_second;
        levels.extend(powers_of_ten(16).map(|n| Step::every(n * day)));
        shown.extend(round_numbers(16).map(|n| Step::every(n * day)));
        Self::new(levels, shown)
    }

    pub(super) fn timestamps(per_second: i128) -> Self {
        let (mut levels, mut shown) = seconds_and_hours(per_second);
        let dates = Self::dates(86_400 * per_second);
        levels.extend(dates.levels);
        shown.extend(dates.shown);
        Self::new(levels, shown)
    }

    /// `day`: ticks a day.
    pub(super) fn dates(day: i128) -> Self {
        let months = |months: i128| Step::Months { months, day };
        let mut levels = vec![Step::every(day), months(1)];
        levels.extend(powers_of_ten(11).map(|years| months(12 * years)));
        // Weeks begin on Mondays; 1970-01-01 was a Thursday.
        let week = Step::Even { ticks: 7 * day, shift: -3 * day };
        let mut shown = vec![Step::every(day), Step::every(2 * day), week, months(1), months(3), months(6)];
        shown.extend(round_numbers(11).map(|years| months(12 * years)));
        Self::new(levels, shown)
    }
}

fn powers_of_ten(last: u32) -> impl Iterator<Item = i128> {
    (0..=last).map(|power| 10_i128.pow(power))
}

/// 1, 2, 5, 10, … up to ten to `last`.
fn round_numbers(last: u32) -> impl Iterator<Item = i128> {
    powers_of_ten(last - 1).flat_map(|power| [power, 2 * power, 5 * power]).chain([10_i128.pow(last)])
}

/// Levels and shown steps from one tick to below a day.
fn seconds_and_hours(per_second: i128) -> (Vec<Step>, Vec<Step>) {
    let mut levels: Vec<Step> = powers_of_ten(38).take_while(|ticks| *ticks < per_second).map(Step::every).collect();
    let mut shown: Vec<Step> = round_numbers(38).take_while(|ticks| *ticks < per_second).map(Step::every).collect();
    levels.extend([1, 10, 60, 600, 3600].map(|seconds| Step::every(seconds * per_second)));
    let seconds = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600];
    shown.extend(seconds.map(|seconds| Step::every(seconds * per_second)));
    (levels, shown)
}

impl<K: Whole> Axis for WholeAxis<K> {
    type Key = K;
    type Step = Step;

    fn levels(&self, _low: K, _high: K) -> impl Iterator<Item = Step> {
        self.levels.iter().copied()
    }

    fn shown(&self, level: Step) -> impl Iterator<Item = Step> {
        self.shown.iter().copied().filter(move |step| step.holds(level))
    }

    fn index(&self, step: Step, key: K) -> Option<i128> {
        Some(step.index(key.wide()))
    }

    fn edge(&self, step: Step, index: i128) -> K {
        K::narrow(step.edge(index))
    }

    fn density(&self, first: K, last: K, pieces: usize) -> f64 {
        pieces as f64 / last.beyond(first).max(1.0)
    }

    fn position(first: K, density: f64, key: K) -> f64 {
        key.beyond(first) * density
    }
}

/// Floats, cut at short decimal fractions. An edge is the float nearest to its decimal, so that 0.3 begins the piece
/// that is shown as beginning at 0.3.
pub(super) struct FloatAxis {
    /// True for columns of 32 and 16 bits: edges are rounded as the values were.
    pub(super) single: bool,
}

/// `round * 10^power`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decimal {
    round: i128,
    pub(super) power: i32,
}

/// Steps finer than these would run into subnormal floats.
const FINEST: i32 = -290;
const FINEST_SINGLE: i32 = -36;
/// The largest floats lie in a few hundred pieces of ten to this.
const COARSEST: i32 = 306;

impl FloatAxis {
    fn finest(&self) -> i32 {
        if self.single { FINEST_SINGLE } else { FINEST }
    }
}

impl Axis for FloatAxis {
    type Key = f64;
    type Step = Decimal;

    fn levels(&self, low: f64, high: f64) -> impl Iterator<Item = Decimal> {
        // The range takes at least a tenth of a thousand pieces on the level that fits.
        let from = (high / 1e5 - low / 1e5).log10().floor() as i32;
        (from.max(self.finest())..=COARSEST).map(|power| Decimal { round: 1, power })
    }

    fn shown(&self, level: Decimal) -> impl Iterator<Item = Decimal> {
        (level.power..=COARSEST + 2).flat_map(|power| [1, 2, 5].map(|round| Decimal { round, power }))
    }

    fn index(&self, step: Decimal, key: f64) -> Option<i128> {
        let guess = (key / ten_to(step.power) / step.round as f64).floor();
        // Pieces narrower than a few roundings of the key would be empty or wrong.
        let most = if self.single { f64::from(1 << 20) } else { (1_u64 << 50) as f64 };
        if guess.abs() > most {
            return None;
        }
        let mut index = guess as i128;
        while self.edge(step, index) > key {
            index -= 1;
        }
        while self.edge(step, index + 1) <= key {
            index += 1;
        }
        Some(index)
    }

    fn edge(&self, step: Decimal, index: i128) -> f64 {
        let edge = decimal(index * step.round, step.power);
        if self.single { f64::from(edge as f32) } else { edge }
    }

    fn density(&self, first: f64, last: f64, pieces: usize) -> f64 {
        // Halves, since the whole range may be more than a float holds.
        pieces as f64 / 2.0 / (last / 2.0 - first / 2.0)
    }

    fn position(first: f64, density: f64, key: f64) -> f64 {
        key * density - first * density
    }
}

fn ten_to(power: i32) -> f64 {
    decimal(1, power)
}

/// Powers of ten that a float holds exactly.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The float nearest to `digits * 10^power`.
pub(super) fn decimal(digits: i128, power: i32) -> f64 {
    if digits.unsigned_abs() <= 1 << 53
        && let Some(exact) = EXACT.get(power.unsigned_abs() as usize)
    {
        // Both operands are exact, so the one rounding is the right one.
        return if power < 0 { digits as f64 / exact } else { digits as f64 * exact };
    }
    format!("{digits}e{power}").parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
