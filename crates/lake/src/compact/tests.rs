use super::tier;

const KIB: i64 = 1 << 10;

/// Files of these sizes, in KiB: which are merged, by their place.
fn check(sizes: &[i64], expected: &[i64]) {
    let bytes: Vec<i64> = sizes.iter().map(|size| size * KIB).collect();
    assert_eq!(merged(&bytes), expected, "{sizes:?}");
}

/// Files of these sizes, in bytes: which are merged, by their place.
fn merged(sizes: &[i64]) -> Vec<i64> {
    let files = (0..).zip(sizes.iter().copied()).collect();
    let mut found: Vec<i64> = tier(files, 3).into_iter().collect();
    found.sort_unstable();
    found
}

#[test]
fn files_of_about_one_size_are_merged() {
    check(&[], &[]);
    check(&[100, 100, 100, 100], &[0, 1, 2, 3]);
    // However small they are, tiny files go together.
    check(&[1, 60, 1, 2], &[0, 1, 2, 3]);
    // A large one is not rewritten for a few small ones,
    check(&[100, 5000, 100, 100], &[0, 2, 3]);
    // until these have become as much.
    check(&[100, 200, 100, 300, 700], &[0, 1, 2, 3, 4]);
    // A small one does not keep large ones from each other.
    check(&[5000, 70, 5000, 5000], &[0, 2, 3]);
    check(&[1, 2, 5000, 5000, 5000], &[2, 3, 4]);
}

#[test]
fn files_of_nearly_one_size_are_merged() {
    let all: Vec<i64> = (0..10).collect();
    let growing: Vec<i64> = (0..10).map(|place| 100 * KIB + place).collect();
    let shrinking: Vec<i64> = growing.iter().rev().copied().collect();
    assert_eq!(merged(&growing), all);
    assert_eq!(merged(&shrinking), all);
    for seed in 1..=20_u64 {
        let mut state = seed;
        // Knuth's MMIX: sizes up to a tenth apart.
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            100 * KIB + i64::try_from((state >> 33) % 10_240).unwrap_or(0)
        };
        let sizes: Vec<i64> = (0..10).map(|_| next()).collect();
        assert_eq!(merged(&sizes), all, "seed {seed}: {sizes:?}");
    }
    // More than an eighth apart, they are of different sizes.
    check(&[1000, 1130, 1140, 1150], &[1, 2, 3]);
    check(&[1000, 1120, 1140, 1150], &[0, 1, 2, 3]);
}
