use proptest::prelude::*;

use super::Moments;

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-12 * right.abs().max(1e-300)
}

fn check(values: &[f64], mean: Option<f64>, deviation: Option<f64>) {
    let moments = Moments::of(values, None);
    assert_eq!(moments.mean(), mean, "mean of {values:?}");
    assert_eq!(moments.deviation(), deviation, "deviation of {values:?}");
}

#[test]
fn small_cases() {
    check(&[], None, None);
    check(&[5.0], Some(5.0), None);
    check(&[5.0, 5.0], Some(5.0), Some(0.0));
    check(&[1.0, 3.0], Some(2.0), Some(2.0_f64.sqrt()));
    check(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], Some(5.0), Some((32.0_f64 / 7.0).sqrt()));
    check(&[f64::MAX, f64::MAX], None, None);
    check(&[1e200, -1e200], Some(0.0), None);
}

#[test]
fn large_values_close_together() {
    // 1e9 + {4, 7, 13, 16}: the classic that breaks the sum of squares.
    let values: Vec<f64> = (0..100_000).map(|i| 1e9 + [4.0, 7.0, 13.0, 16.0][i % 4]).collect();
    let mut moments = Moments::default();
    values.chunks(997).for_each(|chunk| moments.merge(Moments::of(chunk, None), 0.0));
    assert!((moments.mean().unwrap() - (1e9 + 10.0)).abs() < 1e-6);
    let exact = (22.5 * 100_000.0 / 99_999.0_f64).sqrt();
    assert!((moments.deviation().unwrap() / exact - 1.0).abs() < 1e-9, "{:?}", moments.deviation());
}

proptest! {
    /// Values are whole numbers of 1/1024, so that sums of 128 bits tell the exact answer.
    #[test]
    fn as_exact_sums(
        values in proptest::collection::vec((-1_000_000_000_i64..1_000_000_000, 1_u64..50), 2..200),
        size in 1_usize..50,
    ) {
        let mut weighted = Moments::default();
        let mut repeated = Moments::default();
        for chunk in values.chunks(size) {
            let floats: Vec<f64> = chunk.iter().map(|(value, _)| *value as f64 / 1024.0).collect();
            let weights: Vec<u64> = chunk.iter().map(|(_, weight)| *weight).collect();
            weighted.merge(Moments::of(&floats, Some(&weights)), 0.0);
            let expand = |(value, weight): (&f64, &u64)| std::iter::repeat_n(*value, *weight as usize);
            let expanded: Vec<f64> = floats.iter().zip(&weights).flat_map(expand).collect();
            repeated.merge(Moments::of(&expanded, None), 0.0);
        }
        let n: i128 = values.iter().map(|(_, weight)| i128::from(*weight)).sum();
        let sum: i128 = values.iter().map(|(value, weight)| i128::from(*value) * i128::from(*weight)).sum();
        let squares: i128 =
            values.iter().map(|(value, weight)| i128::from(*value) * i128::from(*value) * i128::from(*weight)).sum();
        let mean = sum as f64 / n as f64 / 1024.0;
        let variance = (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64;
        let deviation = variance.sqrt() / 1024.0;
        let scale = deviation.max(1e-3);
        for moments in [weighted, repeated] {
            prop_assert!((moments.mean().unwrap() - mean).abs() < 1e-11 * scale.max(mean.abs()));
            prop_assert!((moments.deviation().unwrap() - deviation).abs() < 1e-11 * scale, "{:?} {}", moments, deviation);
        }
    }
}

#[test]
fn an_origin_can_be_moved() {
    let mut left = Moments::of(&[1.0, 2.0], None);
    left.merge(Moments::of(&[0.0, 1.0], None), 3.0);
    assert!(near(left.mean().unwrap(), 2.5) && near(left.deviation().unwrap(), (5.0_f64 / 3.0).sqrt()));
    let mut empty = Moments::default();
    empty.merge(Moments::of(&[1.0, 2.0], None), 3.0);
    assert!(near(empty.mean().unwrap(), 4.5));
}
