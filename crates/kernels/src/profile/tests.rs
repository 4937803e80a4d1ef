mod nested;
mod parts;
mod types;

use arrow::array::ArrayRef;

use super::{BinEdge, ColumnProfile, ColumnProfiler, HistogramBin};

fn profile(arrays: &[ArrayRef]) -> ColumnProfile {
    let mut profiler = ColumnProfiler::new(arrays[0].data_type());
    arrays.iter().for_each(|array| profiler.update(array).unwrap());
    profiler.finish()
}

/// A profile in one line: what it says, without what it does not.
fn line(profile: &ColumnProfile) -> String {
    let mut parts = vec![format!("rows {}", profile.rows)];
    if profile.missing > 0 {
        parts.push(format!("missing {}", profile.missing));
    }
    parts.push(format!("distinct {}{}", if profile.distinct_is_exact { "" } else { "~" }, profile.distinct));
    if let (Some(min), Some(max)) = (&profile.min, &profile.max) {
        parts.push(format!("{min} to {max}"));
    }
    if let Some(mean) = profile.mean {
        parts.push(format!("mean {mean}"));
    }
    if let Some(stddev) = profile.stddev {
        parts.push(format!("± {stddev:.4}"));
    }
    for (count, name) in [(profile.nan, "nan"), (profile.infinite, "infinite")] {
        if count > 0 {
            parts.push(format!("{name} {count}"));
        }
    }
    parts.join(", ")
}

fn edge(edge: &BinEdge) -> String {
    match edge {
        BinEdge::Number(number) => number.to_string(),
        BinEdge::Text(text) => text.clone(),
    }
}

/// `edge (count) edge (count) … last edge`; of neighbours with the same count the first, and how many they are.
fn bins(histogram: &[HistogramBin]) -> String {
    assert!(histogram.windows(2).all(|pair| pair[0].high == pair[1].low));
    let alike = histogram.chunk_by(|left, right| left.count == right.count).map(|bins| match bins {
        [bin] => format!("{} ({}) ", edge(&bin.low), bin.count),
        bins => format!("{} ({} × {}) ", edge(&bins[0].low), bins.len(), bins[0].count),
    });
    alike.collect::<String>() + &histogram.last().map_or(String::new(), |bin| edge(&bin.high))
}

fn top(profile: &ColumnProfile) -> String {
    let values = profile.top.iter().flatten().inspect(|top| assert_eq!(top.error, 0));
    values.map(|top| format!("{} {}", top.value, top.count)).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn check(array: ArrayRef, expected: &str, expected_bins: &str, expected_top: &str) {
    let profile = profile(&[array]);
    assert_eq!(line(&profile), expected);
    assert_eq!(profile.histogram.as_deref().map_or(String::new(), bins), expected_bins);
    assert_eq!(top(&profile), expected_top);
}
