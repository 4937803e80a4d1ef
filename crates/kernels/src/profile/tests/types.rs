//! One column of every type.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;

use super::{check, profile};

#[test]
fn integers() {
    check(
        Arc::new(Int32Array::from(vec![Some(3), None, Some(1), Some(3)])),
        "rows 4, missing 1, distinct 2, 1 to 3, mean 2.3333333333333335, ± 1.1547",
        "1 (1) 2 (0) 3 (2) 4",
        "3 2, 1 1",
    );
    check(
        Arc::new(Int8Array::from(vec![-128, 127])),
        "rows 2, distinct 2, -128 to 127, mean -0.5, ± 180.3122",
        "-130 (1) -120 (24 × 0) 120 (1) 130",
        "-128 1, 127 1",
    );
    check(
        Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX])),
        "rows 2, distinct 1, 18446744073709551615 to 18446744073709551615, mean 18446744073709552000, ± 0.0000",
        "18446744073709552000 (2) 18446744073709552000",
        "18446744073709551615 2",
    );
    check(Arc::new(Int16Array::from(Vec::<i16>::new())), "rows 0, distinct 0", "", "");
    check(Arc::new(UInt8Array::from(vec![None, None])), "rows 2, missing 2, distinct 0", "", "");
    for array in [
        Arc::new(UInt16Array::from(vec![7])) as ArrayRef,
        Arc::new(UInt32Array::from(vec![7])),
        Arc::new(Int64Array::from(vec![7])),
    ] {
        check(array, "rows 1, distinct 1, 7 to 7, mean 7", "7 (1) 7", "7 1");
    }
}

#[test]
fn extreme_integers_keep_their_digits() {
    let huge = 9_000_000_000_000_000_000;
    let array = Int64Array::from(vec![huge + 1, huge + 2, huge + 3, huge + 6]);
    let profile = profile(&[Arc::new(array)]);
    assert!((profile.stddev.unwrap() - (14.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    let array = Int64Array::from(vec![i64::MIN, i64::MAX]);
    check(
        Arc::new(array),
        "rows 2, distinct 2, -9223372036854775808 to 9223372036854775807, mean 0, ± 13043817825332783104.0000",
        "-9223372036854776000 (1) -9000000000000000000 (18 × 0) 9000000000000000000 (1) 9223372036854776000",
        "-9223372036854775808 1, 9223372036854775807 1",
    );
}

#[test]
fn floats() {
    check(
        Arc::new(Float64Array::from(vec![
            Some(0.5),
            Some(f64::NAN),
            Some(-f64::NAN),
            None,
            Some(f64::INFINITY),
            Some(0.5),
        ])),
        "rows 6, missing 1, distinct 3, 0.5 to inf, mean 0.5, ± 0.0000, nan 2, infinite 1",
        "0.5 (2) 0.5",
        "0.5 2, NaN 2, inf 1",
    );
    check(
        Arc::new(Float64Array::from(vec![0.0, -0.0])),
        "rows 2, distinct 1, 0.0 to 0.0, mean 0, ± 0.0000",
        "0 (2) 0",
        "0.0 2",
    );
    check(Arc::new(Float64Array::from(vec![f64::NAN])), "rows 1, distinct 1, nan 1", "", "NaN 1");
    check(
        Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])),
        "rows 1, distinct 1, -inf to -inf, infinite 1",
        "",
        "-inf 1",
    );
    // Whole numbers among floats are not cut into tenths.
    check(
        Arc::new(Float64Array::from(vec![4.0, 1.0, 2.0, 2.0])),
        "rows 4, distinct 3, 1.0 to 4.0, mean 2.25, ± 1.2583",
        "1 (1) 2 (2) 3 (0) 4 (1) 5",
        "2.0 2, 1.0 1, 4.0 1",
    );
    check(
        Arc::new(Float32Array::from(vec![0.1, 0.7])),
        "rows 2, distinct 2, 0.1 to 0.7, mean 0.3999999947845936, ± 0.4243",
        "0.1 (1) 0.15 (11 × 0) 0.7 (1) 0.75",
        "0.1 1, 0.7 1",
    );
    check(
        Arc::new(Float32Array::from(vec![-f32::MAX])),
        "rows 1, distinct 1, -3.4028235e38 to -3.4028235e38, mean -340282346638528860000000000000000000000",
        "-340282350000000000000000000000000000000 (1) -340282350000000000000000000000000000000",
        "-3.4028235e38 1",
    );
    let half = |value| <Float16Type as ArrowPrimitiveType>::Native::from_f64(value);
    check(
        Arc::new(Float16Array::from(vec![half(1.5), half(3.0)])),
        "rows 2, distinct 2, 1.5 to 3, mean 2.25, ± 1.0607",
        "1.5 (1) 1.6 (14 × 0) 3 (1) 3.1",
        "1.5 1, 3 1",
    );
}

#[test]
fn the_widest_range_has_finite_edges() {
    let histogram = profile(&[Arc::new(Float64Array::from(vec![f64::MIN, 0.0, f64::MAX]))]).histogram.unwrap();
    assert_eq!(histogram[0].low, super::BinEdge::Number(f64::MIN));
    assert_eq!(histogram[histogram.len() - 1].high, super::BinEdge::Number(f64::MAX));
    assert_eq!(histogram.iter().map(|bin| bin.count).sum::<u64>(), 3);
}

#[test]
fn decimals() {
    let decimal = Decimal128Array::from(vec![150, 175, 300]).with_precision_and_scale(10, 2).unwrap();
    check(
        Arc::new(decimal),
        "rows 3, distinct 3, 1.50 to 3.00, mean 2.0833333333333335, ± 0.8036",
        "1.5 (1) 1.6 (0) 1.7 (1) 1.8 (12 × 0) 3 (1) 3.1",
        "1.50 1, 1.75 1, 3.00 1",
    );
    let thousands = Decimal128Array::from(vec![1, 3]).with_precision_and_scale(10, -3).unwrap();
    check(
        Arc::new(thousands),
        "rows 2, distinct 2, 1000 to 3000, mean 2000, ± 1414.2136",
        "1000 (1) 2000 (0) 3000 (1) 4000",
        "1000 1, 3000 1",
    );
    check(
        Arc::new(Decimal32Array::from(vec![5]).with_precision_and_scale(5, 1).unwrap()),
        "rows 1, distinct 1, 0.5 to 0.5, mean 0.5",
        "0.5 (1) 0.5",
        "0.5 1",
    );
    check(
        Arc::new(Decimal64Array::from(vec![5]).with_precision_and_scale(5, 1).unwrap()),
        "rows 1, distinct 1, 0.5 to 0.5, mean 0.5",
        "0.5 (1) 0.5",
        "0.5 1",
    );
    let most = i256::from_parts(0, 1 << 80);
    let big = Decimal256Array::from(vec![
        Some(most.wrapping_neg()),
        None,
        Some(i256::from_i128(200)),
        Some(i256::from_i128(200)),
    ]);
    let big = profile(&[Arc::new(big.with_precision_and_scale(70, 2).unwrap())]);
    assert_eq!((big.rows, big.missing, big.distinct, big.max.as_deref()), (4, 1, 2, Some("2.00")));
    let least = "-4113761393303015105387422956393376262456839664083949658371522.56";
    assert_eq!(big.min.as_deref(), Some(least));
    assert_eq!(super::top(&big).split(", ").next(), Some("2.00 2"));
    assert!((big.mean.unwrap() / -(2.0_f64.powi(208) / 300.0) - 1.0).abs() < 1e-12);
    assert_eq!(big.histogram.unwrap().iter().map(|bin| bin.count).sum::<u64>(), 3);
}

#[test]
fn dates() {
    check(
        Arc::new(Date32Array::from(vec![Some(15_706), Some(15_708), None])),
        "rows 3, missing 1, distinct 2, 2013-01-01 to 2013-01-03",
        "2013-01-01 (1) 2013-01-02 (0) 2013-01-03 (1) 2013-01-04",
        "2013-01-01 1, 2013-01-03 1",
    );
    let year: Vec<i32> = (15_706..15_706 + 365).collect();
    let profile = profile(&[Arc::new(Date32Array::from(year))]);
    assert_eq!(
        super::bins(&profile.histogram.unwrap()),
        "2013-01-01 (31) 2013-02-01 (28) 2013-03-01 (31) 2013-04-01 (30) 2013-05-01 (31) 2013-06-01 (30) \
         2013-07-01 (2 × 31) 2013-09-01 (30) 2013-10-01 (31) 2013-11-01 (30) 2013-12-01 (31) 2014-01-01"
    );
    let day = 86_400_000;
    let far = super::profile(&[Arc::new(Date64Array::from(vec![0, day, i64::MAX]))]);
    assert_eq!(far.min.as_deref(), Some("1970-01-01T00:00:00"));
    assert_eq!(far.max.as_deref(), Some("+292278994-08-17"));
    assert_eq!(super::profile(&[Arc::new(Date32Array::from(vec![i32::MIN, i32::MAX]))]).histogram.unwrap().len(), 24);
}

#[test]
fn timestamps() {
    let hour = 3_600;
    let start = 1_357_016_400;
    check(
        Arc::new(TimestampSecondArray::from(vec![start, start + hour, start + hour])),
        "rows 3, distinct 2, 2013-01-01T05:00:00 to 2013-01-01T06:00:00",
        "2013-01-01T05:00:00 (1) 2013-01-01T06:00:00 (2) 2013-01-01T07:00:00",
        "2013-01-01T06:00:00 2, 2013-01-01T05:00:00 1",
    );
    check(
        Arc::new(TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC")),
        "rows 2, distinct 2, 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.000001Z",
        "1970-01-01T00:00:00Z (2 × 1) 1970-01-01T00:00:00.000002Z",
        "1970-01-01T00:00:00Z 1, 1970-01-01T00:00:00.000001Z 1",
    );
    check(
        Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("Europe/Amsterdam")),
        "rows 1, distinct 1, 1970-01-01T01:00:00+01:00 to 1970-01-01T01:00:00+01:00",
        "1970-01-01T00:00:00Z (1) 1970-01-01T00:00:00Z",
        "1970-01-01T01:00:00+01:00 1",
    );
    check(
        Arc::new(TimestampNanosecondArray::from(vec![0]).with_timezone("Nowhere/At_All")),
        "rows 1, distinct 1, 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z (1) 1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z 1",
    );
    // Days written as timestamps are shown by days, not by quarters of days.
    check(
        Arc::new(TimestampSecondArray::from(vec![0, 2 * 86_400])),
        "rows 2, distinct 2, 1970-01-01T00:00:00 to 1970-01-03T00:00:00",
        "1970-01-01T00:00:00 (1) 1970-01-02T00:00:00 (0) 1970-01-03T00:00:00 (1) 1970-01-04T00:00:00",
        "1970-01-01T00:00:00 1, 1970-01-03T00:00:00 1",
    );
    let far = profile(&[Arc::new(TimestampSecondArray::from(vec![i64::MIN, i64::MAX]))]);
    assert_eq!(far.max.as_deref(), Some("+292277026596-12-04T15:30:07"));
    assert!(far.histogram.unwrap().len() <= 30);
}

#[test]
fn times_and_durations() {
    check(
        Arc::new(Time32SecondArray::from(vec![0, 7_200])),
        "rows 2, distinct 2, 00:00:00 to 02:00:00",
        "00:00:00 (1) 01:00:00 (0) 02:00:00 (1) 03:00:00",
        "00:00:00 1, 02:00:00 1",
    );
    let day = profile(&[Arc::new(Time64NanosecondArray::from(vec![1, 86_399_999_999_999]))]).histogram.unwrap();
    assert_eq!((day.len(), super::edge(&day[23].high)), (24, "24:00:00".to_owned()));
    check(
        Arc::new(Time32MillisecondArray::from(vec![1_500])),
        "rows 1, distinct 1, 00:00:01.500 to 00:00:01.500",
        "00:00:01.5 (1) 00:00:01.5",
        "00:00:01.500 1",
    );
    check(
        Arc::new(Time64MicrosecondArray::from(vec![0])),
        "rows 1, distinct 1, 00:00:00 to 00:00:00",
        "00:00:00 (1) 00:00:00",
        "00:00:00 1",
    );
    assert!(profile(&[Arc::new(Time32SecondArray::from(vec![i32::MIN, i32::MAX]))]).histogram.unwrap().len() <= 30);
    check(
        Arc::new(DurationMillisecondArray::from(vec![1_500, 2_500])),
        "rows 2, distinct 2, PT1.5S to PT2.5S, mean 2, ± 0.7071",
        "1.5 (1) 1.55 (19 × 0) 2.5 (1) 2.55",
        "PT1.5S 1, PT2.5S 1",
    );
}

#[test]
fn booleans_and_nulls() {
    check(
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(true), Some(false)])),
        "rows 4, missing 1, distinct 2",
        "",
        "true 2, false 1",
    );
    check(Arc::new(BooleanArray::from(vec![true])), "rows 1, distinct 1", "", "true 1");
    check(Arc::new(NullArray::new(3)), "rows 3, missing 3, distinct 0", "", "");
    assert_eq!(profile(&[Arc::new(NullArray::new(3))]).top, None);
}

#[test]
fn texts() {
    let expected = ("rows 4, missing 1, distinct 2,  to b", "b 2,  1");
    let values = vec![Some("b"), None, Some("b"), Some("")];
    check(Arc::new(StringArray::from(values.clone())), expected.0, "", expected.1);
    check(Arc::new(LargeStringArray::from(values.clone())), expected.0, "", expected.1);
    check(Arc::new(StringViewArray::from(values.clone())), expected.0, "", expected.1);
    let long = |letter: &str, end: &str| letter.repeat(250) + end;
    let (a, b) = (long("ä", "1"), long("ä", "2"));
    let profile = profile(&[Arc::new(StringArray::from(vec![a.as_str(), &b, &b]))]);
    assert_eq!((profile.distinct, profile.top.as_ref().unwrap()[0].count), (2, 2));
    let cut = "ä".repeat(200) + "…";
    assert_eq!((profile.min.as_deref(), profile.max.as_deref()), (Some(cut.as_str()), Some(cut.as_str())));
    assert_eq!(profile.top.unwrap()[0].value, cut);
    let whole = "ä".repeat(200);
    check(
        Arc::new(StringArray::from(vec![whole.as_str()])),
        &format!("rows 1, distinct 1, {whole} to {whole}"),
        "",
        &format!("{whole} 1"),
    );
}

#[test]
fn bytes() {
    let values: Vec<Option<&[u8]>> = vec![Some(&[0xff, 0x00]), None, Some(&[])];
    let expected = ("rows 3, missing 1, distinct 2,  to ff00", " 1, ff00 1");
    check(Arc::new(BinaryArray::from(values.clone())), expected.0, "", expected.1);
    check(Arc::new(LargeBinaryArray::from(values.clone())), expected.0, "", expected.1);
    check(Arc::new(BinaryViewArray::from(values)), expected.0, "", expected.1);
    let fixed = |bytes: &[u8]| FixedSizeBinaryArray::try_from_iter(std::iter::once(bytes)).unwrap();
    check(Arc::new(fixed(&[1, 2, 3])), "rows 1, distinct 1, 010203 to 010203", "", "010203 1");
    let uuid = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    check(
        Arc::new(fixed(&(0..16).collect::<Vec<u8>>())),
        &format!("rows 1, distinct 1, {uuid} to {uuid}"),
        "",
        &format!("{uuid} 1"),
    );
    let long = profile(&[Arc::new(BinaryArray::from(vec![[7_u8; 500].as_slice()]))]);
    assert_eq!(long.min, Some("07".repeat(100) + "…"));
}
