use std::fmt::Debug;

use proptest::prelude::*;

use super::super::axis::{Axis, Decimal, FloatAxis, WholeAxis};
use super::{Bin, Bins};

fn bins<A: Axis>(axis: A, parts: &[&[A::Key]]) -> Bins<A> {
    let mut bins = Bins::new(axis);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let (low, high) = part.iter().fold((part[0], part[0]), |(low, high), value| {
            (if *value < low { *value } else { low }, if *value > high { *value } else { high })
        });
        bins.add(part, None, low, high);
    }
    bins
}

/// First and last edge, the number of bins, and the counts that are not zero with their lower edges.
fn check<A: Axis>(axis: A, values: &[A::Key], ends: (A::Key, A::Key, usize), counts: &[(A::Key, u64)])
where
    A::Key: Debug,
{
    let bins = bins(axis, &[values]).finish(|_| true).unwrap();
    assert_eq!((bins[0].low, bins[bins.len() - 1].high, bins.len()), ends, "{bins:?}");
    let held: Vec<_> = bins.iter().filter(|bin| bin.count > 0).map(|bin| (bin.low, bin.count)).collect();
    assert_eq!(held, counts);
}

const DOUBLE: FloatAxis = FloatAxis { single: false };

#[test]
fn whole_numbers() {
    let numbers = WholeAxis::<i64>::numbers;
    assert_eq!(bins(numbers(), &[]).finish(|_| true), None);
    check(numbers(), &[7], (7, 7, 1), &[(7, 1)]);
    check(numbers(), &[7, 7], (7, 7, 1), &[(7, 2)]);
    check(numbers(), &[1, 2, 2, 12], (1, 13, 12), &[(1, 1), (2, 2), (12, 1)]);
    check(numbers(), &[-1, 0, 99], (-5, 100, 21), &[(-5, 1), (0, 1), (95, 1)]);
    check(numbers(), &[0, 1023, 1024, 5000], (0, 5200, 26), &[(0, 1), (1000, 2), (5000, 1)]);
    let top = i64::MAX / 10_i64.pow(18) * 10_i64.pow(18);
    check(numbers(), &[i64::MIN, 0, i64::MAX], (i64::MIN, i64::MAX, 20), &[(i64::MIN, 1), (0, 1), (top, 1)]);
    check(numbers(), &[i64::MAX - 1, i64::MAX], (i64::MAX - 1, i64::MAX, 2), &[(i64::MAX - 1, 1), (i64::MAX, 1)]);
}

#[test]
fn numbers_of_128_bits() {
    let numbers = WholeAxis::<i128>::numbers;
    let most = 10_i128.pow(38) - 1;
    check(numbers(), &[-most, most], (-most - 1, most + 1, 20), &[(-most - 1, 1), (9 * 10_i128.pow(37), 1)]);
    assert!(bins(numbers(), &[&[i128::MIN, 0, i128::MAX]]).finish(|_| true).unwrap().len() <= 30);
}

#[test]
fn floats() {
    check(DOUBLE, &[0.5], (0.5, 0.5, 1), &[(0.5, 1)]);
    check(DOUBLE, &[0.0, 0.1, 0.2, 0.3], (0.0, 0.32, 16), &[(0.0, 1), (0.1, 1), (0.2, 1), (0.3, 1)]);
    check(
        DOUBLE,
        &[-f64::MAX, f64::MAX],
        (f64::NEG_INFINITY, f64::INFINITY, 18),
        &[(f64::NEG_INFINITY, 1), (1.6e308, 1)],
    );
    check(DOUBLE, &[0.0, f64::MIN_POSITIVE], (0.0, 1e-290, 1), &[(0.0, 2)]);
    let next = 1.0 + f64::EPSILON;
    assert_eq!(bins(DOUBLE, &[&[1.0, next]]).finish(|_| true).unwrap().iter().map(|bin| bin.count).sum::<u64>(), 2);
    let whole = bins(DOUBLE, &[&[1.0, 2.0, 4.0]]).finish(|step| step.power >= 0).unwrap();
    assert_eq!(whole.iter().map(|bin| bin.low).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn time() {
    let day = 86_400;
    let seconds = || WholeAxis::<i64>::timestamps(1);
    check(seconds(), &[0, 59], (0, 60, 30), &[(0, 1), (58, 1)]);
    check(seconds(), &[0, 3599], (0, 3600, 30), &[(0, 1), (3480, 1)]);
    check(seconds(), &[0, day - 1], (0, day, 24), &[(0, 1), (82_800, 1)]);
    // A year is shown by months, a century by years.
    check(WholeAxis::<i64>::dates(1), &[15_706, 15_706 + 364], (15_706, 15_706 + 365, 12), &[(15_706, 1), (16_040, 1)]);
    check(WholeAxis::<i64>::dates(1), &[0, 36_523], (0, 36_525, 20), &[(0, 1), (34_699, 1)]);
    let ends = [i64::MIN, 0, i64::MAX];
    assert!((7..=30).contains(&bins(seconds(), &[&ends]).finish(|_| true).unwrap().len()));
}

/// The counts are those of a slow second pass, whatever the order and the parts.
fn check_parts<A: Axis>(axis: impl Fn() -> A, values: &[A::Key], cuts: &[usize]) -> Vec<Bin<A::Key>>
where
    A::Key: Debug,
{
    let whole = bins(axis(), &[values]).finish(|_| true).unwrap();
    for bin in &whole {
        let inside = |value: &&A::Key| {
            (**value >= bin.low || bin.low == whole[0].low)
                && (**value < bin.high || bin.high == whole[whole.len() - 1].high)
        };
        assert_eq!(bin.count, values.iter().filter(inside).count() as u64, "{bin:?}");
    }
    let mut parts = Vec::new();
    let mut rest = values;
    for cut in cuts {
        let (part, after) = rest.split_at((*cut).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    assert_eq!(bins(axis(), &parts).finish(|_| true).unwrap(), whole);
    let mut merged = Bins::new(axis());
    parts.iter().rev().for_each(|part| merged.merge(bins(axis(), &[part])));
    assert_eq!(merged.finish(|_| true).unwrap(), whole);
    whole
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0_usize..40, 0..6)
}

proptest! {
    #[test]
    fn parts_of_whole_numbers(
        values in proptest::collection::vec((any::<i64>(), 0..63), 1..150).prop_map(|values| {
            values.into_iter().map(|(value, shift)| value >> shift).collect::<Vec<_>>()
        }),
        cuts in cuts(),
    ) {
        check_parts(WholeAxis::<i64>::numbers, &values, &cuts);
        check_parts(|| WholeAxis::<i64>::timestamps(1_000_000), &values, &cuts);
        check_parts(|| WholeAxis::<i64>::timestamps(1), &values, &cuts);
        check_parts(|| WholeAxis::<i64>::dates(1), &values, &cuts);
        check_parts(|| WholeAxis::<i64>::time_of_day(1_000), &values, &cuts);
    }

    #[test]
    fn near_ranges_have_enough_bins(low in -1_000_000_i64..1_000_000, range in 40_i64..1_000_000) {
        let count = check_parts(WholeAxis::<i64>::numbers, &[low, low + range], &[]).len();
        prop_assert!((10..=30).contains(&count), "{}", count);
        let count = check_parts(|| WholeAxis::<i64>::timestamps(1), &[low * 1000, (low + range) * 1000], &[]).len();
        prop_assert!((5..=30).contains(&count), "{}", count);
    }

    #[test]
    fn parts_of_floats(
        values in proptest::collection::vec(proptest::num::f64::NORMAL | proptest::num::f64::ZERO, 1..60),
        cuts in cuts(),
    ) {
        check_parts(|| DOUBLE, &values, &cuts);
    }

    #[test]
    fn parts_of_prices(values in proptest::collection::vec(-5_000_i32..50_000, 2..150), cuts in cuts()) {
        let doubles: Vec<f64> = values.iter().map(|value| f64::from(*value) / 100.0).collect();
        check_parts(|| DOUBLE, &doubles, &cuts);
        let singles: Vec<f64> = values.iter().map(|value| f64::from(*value as f32 / 100.0)).collect();
        check_parts(|| FloatAxis { single: true }, &singles, &cuts);
    }
}

#[test]
fn a_step_can_be_asked_for() {
    let wide = |step: &Decimal| step.power >= 1;
    assert_eq!(bins(DOUBLE, &[&[1.0, 25.0]]).finish(wide).unwrap().len(), 3);
}
