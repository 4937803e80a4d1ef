use super::tier;

const KIB: i64 = 1 << 10;

/// Files of these sizes, in KiB: which are merged, by their place.
fn check(sizes: &[i64], expected: &[i64]) {
    let files = (0..).zip(sizes).map(|(id, size)| (id, size * KIB)).collect();
    let mut found: Vec<i64> = tier(files, 3).into_iter().collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{sizes:?}");
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
