use proptest::prelude::*;

use super::{Axis, Decimal, FloatAxis, Step, WholeAxis, decimal};

/// Each level is made of whole steps of the one before, and each shown step of some level.
fn check_nesting(axis: &WholeAxis<i64>) {
    for pair in axis.levels.windows(2) {
        assert!(pair[1].holds(pair[0]), "{pair:?}");
        for index in [-1_000_003, -7, -1, 0, 1, 5, 999] {
            let edge = pair[1].edge(index);
            assert_eq!(pair[1].index(edge), index);
            assert_eq!(pair[0].edge(pair[0].index(edge)), edge);
        }
    }
    for step in &axis.shown {
        assert!(axis.levels.iter().any(|level| step.holds(*level)), "{step:?}");
        for index in [-1_000_003, -1, 0, 1, 999] {
            assert_eq!(step.index(step.edge(index)), index, "{step:?}");
            assert_eq!(step.index(step.edge(index) - 1), index - 1, "{step:?}");
        }
    }
}

#[test]
fn levels_nest() {
    for per_second in [1, 1_000, 1_000_000, 1_000_000_000] {
        check_nesting(&WholeAxis::timestamps(per_second));
        check_nesting(&WholeAxis::time_of_day(per_second));
    }
    check_nesting(&WholeAxis::dates(1));
    check_nesting(&WholeAxis::dates(86_400_000));
}

#[test]
fn weeks_begin_on_mondays() {
    let week = WholeAxis::<i64>::dates(1).shown[2];
    // 2013-01-07 was a Monday.
    assert_eq!(week.edge(week.index(15_713)), 15_712);
    assert!(week.at_least(1));
    assert_eq!(week, Step::Even { ticks: 7, shift: -3 });
}

#[test]
fn decimals_are_the_nearest_floats() {
    let check = |digits, power, expected: f64| assert_eq!(decimal(digits, power), expected);
    check(3, -1, 0.3);
    check(-7, -2, -0.07);
    check(123, 22, 123e22);
    check(1, 300, 1e300);
    check(9_007_199_254_740_993, -3, 9_007_199_254_740.993);
    check(180, 306, f64::INFINITY);
}

proptest! {
    #[test]
    fn a_float_lies_in_its_piece(value in proptest::num::f64::NORMAL, digits in 0..3) {
        let axis = FloatAxis { single: false };
        for power in -290..=306 {
            let step = Decimal { round: [1, 2, 5][digits as usize], power };
            if let Some(index) = axis.index(step, value) {
                prop_assert!(axis.edge(step, index) <= value && value < axis.edge(step, index + 1));
            }
        }
    }

    #[test]
    fn a_short_float_begins_its_piece(digits in -100_000_i128..100_000, power in -5..5) {
        let double = FloatAxis { single: false };
        let single = FloatAxis { single: true };
        let step = Decimal { round: 1, power };
        let value = decimal(digits, power);
        prop_assert_eq!(double.index(step, value), Some(digits));
        let short: f32 = format!("{digits}e{power}").parse().unwrap();
        prop_assert_eq!(single.index(step, f64::from(short)), Some(digits));
    }
}
