use super::super::hash;
use super::{Counter, Shown, VALUES_MAX};

fn add(counter: &mut Counter, value: i128, weight: u64) {
    counter.add_fixed(hash::mix_wide(value), weight, value);
}

fn top(counter: &Counter, n: usize) -> Vec<(i128, u64, u64)> {
    let fixed = |shown| match shown {
        Shown::Fixed(value) => value,
        Shown::Bytes(_) => panic!("bytes among numbers"),
    };
    counter.top(n).into_iter().map(|one| (fixed(one.value), one.count, one.error)).collect()
}

#[test]
fn counts_few_values_exactly() {
    let mut counter = Counter::default();
    for value in [3, -1, 3, 7, -1, 3, i128::MIN, i128::MAX] {
        add(&mut counter, value, 1);
    }
    add(&mut counter, 7, 10);
    assert_eq!(counter.distinct(), (5, true));
    assert_eq!(top(&counter, 3), [(7, 11, 0), (3, 3, 0), (-1, 2, 0)]);
    assert_eq!(top(&counter, 9)[3..], [(i128::MIN, 1, 0), (i128::MAX, 1, 0)]);
    assert_eq!(top(&Counter::default(), 3), []);
}

#[test]
fn is_exact_up_to_the_limit() {
    let mut counter = Counter::default();
    (0..VALUES_MAX as i128).for_each(|value| add(&mut counter, value, 1));
    assert_eq!(counter.distinct(), (VALUES_MAX as u64, true));
    add(&mut counter, -1, 1);
    assert!(!counter.distinct().1);
}

#[test]
fn bounds_hold_beyond_the_limit() {
    // Value v occurs about 200,000 / (v + 1) times, amid as many that occur once.
    let mut counter = Counter::default();
    let mut counts = vec![0_u64; 300];
    let mut state = 1;
    for i in 0..600_000_i128 {
        state = hash::mix(state);
        let value = (300.0_f64.powf((state >> 11) as f64 / (1_u64 << 53) as f64) as i128) - 1;
        counts[value as usize] += 1;
        add(&mut counter, value, 1);
        add(&mut counter, 1_000_000 + i, 1);
    }
    let (distinct, exact) = counter.distinct();
    assert!(!exact && (distinct as f64 / 600_299.0 - 1.0).abs() < 0.02, "{distinct}");
    let top = top(&counter, 20);
    assert_eq!(top.len(), 20);
    for (place, (value, count, error)) in top.iter().enumerate() {
        let truth = counts[*value as usize];
        assert!(*count <= truth && truth <= count + error, "{value}: {count} + {error}, truly {truth}");
        assert!(*error < 600, "{error}");
        if place < 5 {
            assert_eq!(*value, place as i128);
        }
    }
}

#[test]
fn tells_nothing_of_values_that_are_all_alike() {
    let mut counter = Counter::default();
    (0..100_000).for_each(|value| add(&mut counter, value, 1));
    assert_eq!(top(&counter, 20), []);
}

#[test]
fn parts_merge_within_their_bounds() {
    let mut parts: Vec<Counter> = (0..8).map(|_| Counter::default()).collect();
    for i in 0..200_000_i128 {
        let part = &mut parts[(i % 8) as usize];
        add(part, 10_000_000 + i, 1);
        add(part, i % 3, 1 + (i % 3) as u64);
    }
    let mut whole = Counter::default();
    parts.into_iter().for_each(|part| whole.merge(part));
    let (distinct, exact) = whole.distinct();
    assert!(!exact && (distinct as f64 / 200_003.0 - 1.0).abs() < 0.02, "{distinct}");
    let top = top(&whole, 3);
    assert_eq!(top.iter().map(|one| one.0).collect::<Vec<_>>(), [2, 1, 0]);
    for (value, count, error) in top {
        let truth: u64 = (0..200_000).filter(|i| i % 3 == value).map(|i| 1 + (i % 3) as u64).sum();
        assert!(count <= truth && truth <= count + error, "{value}: {count} + {error}, truly {truth}");
    }
}

#[test]
fn an_exact_part_and_a_sketched_one_merge() {
    for swap in [false, true] {
        let (mut small, mut large) = (Counter::default(), Counter::default());
        (0..500).for_each(|value| add(&mut small, -value, 1));
        (0..50_000).for_each(|value| add(&mut large, value, 1));
        let merged = if swap {
            large.merge(small);
            large
        } else {
            small.merge(large);
            small
        };
        let (distinct, exact) = merged.distinct();
        assert!(!exact && (distinct as f64 / 50_499.0 - 1.0).abs() < 0.02, "{distinct}");
    }
}

#[test]
fn the_arena_is_swept() {
    let mut counter = Counter::default();
    for i in 0..200_000_u64 {
        let text = format!("{i:0>100}");
        counter.add_bytes(hash::bytes(text.as_bytes()), 1, || text.as_bytes());
        counter.add_bytes(hash::bytes(b"often"), 1, || b"often");
    }
    assert!(counter.arena.len() <= (VALUES_MAX + 1) * 100, "{}", counter.arena.len());
    let top = counter.top(20);
    assert_eq!(top.len(), 1);
    assert!(matches!(top[0].value, Shown::Bytes(b"often")));
    assert!(top[0].count <= 200_000 && top[0].count + top[0].error >= 200_000);
}
