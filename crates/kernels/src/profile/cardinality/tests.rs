use super::super::hash;
use super::HyperLogLog;

fn sketch(seed: u64, n: u64) -> HyperLogLog {
    let mut sketch = HyperLogLog::new();
    (0..n).for_each(|i| sketch.add(hash::mix(seed.wrapping_mul(1 << 40) + i)));
    sketch
}

fn error(seed: u64, n: u64) -> f64 {
    sketch(seed, n).estimate() as f64 / n as f64 - 1.0
}

#[test]
fn stays_within_two_percent() {
    for n in [10_001, 20_000, 40_000, 82_000, 123_456, 500_000, 3_000_000] {
        assert!(error(1, n).abs() < 0.02, "{n}: {}", error(1, n));
    }
}

#[test]
fn is_exact_enough_when_small() {
    assert_eq!(sketch(0, 0).estimate(), 0);
    assert_eq!(sketch(0, 1).estimate(), 1);
    for n in [10, 100, 1000] {
        assert!(error(2, n).abs() < 0.02, "{n}");
    }
}

#[test]
fn errs_as_the_paper_says() {
    for n in [15_000, 50_000, 200_000] {
        let errors: Vec<f64> = (0..60).map(|seed| error(seed, n)).collect();
        let spread = (errors.iter().map(|error| error * error).sum::<f64>() / 60.0).sqrt();
        let bias = errors.iter().sum::<f64>() / 60.0;
        assert!(spread < 0.0105, "{n}: {spread}");
        assert!(bias.abs() < 0.004, "{n}: {bias}");
    }
}

#[test]
fn texts_hash_as_well() {
    for n in [30_000_u64, 300_000] {
        let mut sketch = HyperLogLog::new();
        (0..n).for_each(|i| sketch.add(hash::bytes(format!("N{i}").as_bytes())));
        assert!((sketch.estimate() as f64 / n as f64 - 1.0).abs() < 0.02, "{n}");
    }
}

#[test]
fn parts_merge_to_the_whole() {
    let mut left = sketch(0, 30_000);
    let mut right = HyperLogLog::new();
    (20_000..70_000).for_each(|i| right.add(hash::mix(i)));
    left.merge(&right);
    assert_eq!(left.registers, sketch(0, 70_000).registers);
}

#[test]
fn a_full_sketch_has_an_answer() {
    let mut sketch = HyperLogLog::new();
    sketch.registers.fill(51);
    assert!(sketch.estimate() > 1 << 60);
}
