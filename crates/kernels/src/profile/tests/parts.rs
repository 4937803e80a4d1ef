//! The same column in other parts gives the same profile.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::*;
use proptest::prelude::*;

use super::super::{ColumnProfile, ColumnProfiler};

fn close(left: Option<f64>, right: Option<f64>, scale: f64) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * scale.max(left.abs()),
        (left, right) => left == right,
    }
}

/// Equal but for the rounding of the moments.
fn check_same(left: ColumnProfile, right: ColumnProfile) {
    let scale = left.stddev.unwrap_or(0.0);
    assert!(close(left.mean, right.mean, scale), "{:?} {:?}", left.mean, right.mean);
    assert!(close(left.stddev, right.stddev, scale), "{:?} {:?}", left.stddev, right.stddev);
    let rest = |profile| ColumnProfile { mean: None, stddev: None, ..profile };
    assert_eq!(rest(left), rest(right));
}

fn split(array: &ArrayRef, cuts: &[usize]) -> Vec<ArrayRef> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for cut in cuts {
        let n = (*cut).min(array.len() - start);
        parts.push(array.slice(start, n));
        start += n;
    }
    parts.push(array.slice(start, array.len() - start));
    parts
}

fn check(array: &ArrayRef, cuts: &[usize]) {
    let whole = super::profile(std::slice::from_ref(array));
    let parts = split(array, cuts);
    check_same(whole.clone(), super::profile(&parts));

    let profilers = parts.iter().map(|part| {
        let mut profiler = ColumnProfiler::new(part.data_type());
        profiler.update(part).unwrap();
        profiler
    });
    let mut merged = ColumnProfiler::new(array.data_type());
    profilers.rev().for_each(|profiler| merged.merge(profiler).unwrap());
    check_same(whole.clone(), merged.finish());

    let packed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(array.data_type().clone()));
    if let Ok(packed) = cast(array, &packed) {
        check_same(whole, super::profile(&split(&packed, cuts)));
    }
}

fn some<T: Clone + std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<Option<T>>> {
    proptest::collection::vec(proptest::option::weighted(0.9, values), 0..120)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0_usize..40, 0..6)
}

proptest! {
    #[test]
    fn whole_numbers(values in some((any::<i64>(), 0..63).prop_map(|(value, shift)| value >> shift)), cuts in cuts()) {
        let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        check(&array, &cuts);
        let present = || values.iter().flatten();
        let profile = super::profile(&[array]);
        prop_assert_eq!(profile.distinct, present().collect::<std::collections::HashSet<_>>().len() as u64);
        prop_assert_eq!(profile.min, present().min().map(i64::to_string));
        prop_assert_eq!(profile.max, present().max().map(i64::to_string));
        let counted: u64 = profile.histogram.iter().flatten().map(|bin| bin.count).sum();
        prop_assert_eq!(counted + profile.missing, profile.rows);

        check(&(Arc::new(TimestampMicrosecondArray::from(values.clone())) as ArrayRef), &cuts);
        check(&(Arc::new(TimestampSecondArray::from(values.clone()).with_timezone("UTC")) as ArrayRef), &cuts);
        let decimals: Decimal128Array = values.iter().map(|value| value.map(i128::from)).collect();
        check(&(Arc::new(decimals.with_precision_and_scale(38, 4).unwrap()) as ArrayRef), &cuts);
        let unsigned: UInt64Array = values.iter().map(|value| value.map(i64::cast_unsigned)).collect();
        check(&(Arc::new(unsigned) as ArrayRef), &cuts);
        let dates: Date32Array = values.iter().map(|value| value.map(|value| value as i32)).collect();
        check(&(Arc::new(dates) as ArrayRef), &cuts);
    }

    #[test]
    fn floats(values in some(prop_oneof![
        8 => (-10_000..10_000).prop_map(|value| f64::from(value) / 100.0),
        1 => -1e12..1e12,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-0.0),
    ]), cuts in cuts()) {
        check(&(Arc::new(Float64Array::from(values.clone())) as ArrayRef), &cuts);
        let singles: Float32Array = values.iter().map(|value| value.map(|value| value as f32)).collect();
        check(&(Arc::new(singles) as ArrayRef), &cuts);
    }

    #[test]
    fn texts(values in some("[abä]{0,3}|[xé]{195,260}"), cuts in cuts()) {
        check(&(Arc::new(StringArray::from(values.clone())) as ArrayRef), &cuts);
        check(&(Arc::new(StringViewArray::from(values.clone())) as ArrayRef), &cuts);
        let bytes: BinaryArray = values.iter().map(|value| value.as_ref().map(String::as_bytes)).collect();
        check(&(Arc::new(bytes) as ArrayRef), &cuts);
    }

    #[test]
    fn others(values in some(proptest::collection::vec(proptest::option::of(0..3), 0..3)), cuts in cuts()) {
        let flags: BooleanArray = values.iter().map(|value| value.as_ref().map(Vec::is_empty)).collect();
        check(&(Arc::new(flags) as ArrayRef), &cuts);
        check(&(Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(values)) as ArrayRef), &cuts);
    }
}

/// A column too large to count exactly: all but `top` and the moments stays the same, and `top` within its bounds.
#[test]
fn a_large_column() {
    let rows = 100_000_i64;
    let value = |row: i64| if row % 4 == 0 { 42 } else { row * 7919 % 1_000_003 };
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(value)));
    let whole = super::profile(std::slice::from_ref(&array));
    assert!(!whole.distinct_is_exact);
    let exact = (0..rows).map(value).collect::<std::collections::HashSet<_>>().len() as f64;
    assert!((whole.distinct as f64 / exact - 1.0).abs() < 0.02);
    let mut merged = ColumnProfiler::new(&DataType::Int64);
    for part in split(&array, &[8192, 1, 50_000, 3, 8192]) {
        let mut profiler = ColumnProfiler::new(&DataType::Int64);
        profiler.update(&part).unwrap();
        merged.merge(profiler).unwrap();
    }
    let merged = merged.finish();
    for profile in [&whole, &merged] {
        let top = profile.top.as_ref().unwrap();
        assert_eq!((top.len(), top[0].value.as_str()), (1, "42"));
        assert!(top[0].count <= 25_001 && 25_000 <= top[0].count + top[0].error);
    }
    let rest = |profile| ColumnProfile { top: None, ..profile };
    check_same(rest(whole), rest(merged));
}
