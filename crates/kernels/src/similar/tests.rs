use proptest::prelude::*;

use super::{closest, distance_within};

fn check(name: &str, candidates: &[&str], expected: Option<&str>) {
    assert_eq!(closest(name, candidates.iter().copied()), expected, "{name:?} among {candidates:?}");
}

#[test]
fn finds_what_was_meant() {
    check("carier", &["origin", "carrier", "dest"], Some("carrier"));
    check("fligths", &["flights", "planes"], Some("flights"));
    check("FLIGHTS", &["planes", "flights"], Some("flights"));
    check("dep_dealy", &["arr_delay", "dep_delay"], Some("dep_delay"));
    check("yaer", &["year", "month"], Some("year"));
    check("größe", &["grösse", "breite"], Some("grösse"));
    check("id", &["is", "if"], Some("is"));
    check("ab", &["ba"], Some("ba"));
}

#[test]
fn stays_silent_when_nothing_is_near() {
    check("temperature", &["year", "month", "day"], None);
    check("x", &["y"], None);
    check("x", &["X"], Some("X"));
    check("", &["a"], None);
    check("abc", &[], None);
    check("abc", &[""], None);
    check("day", &["hour"], None);
    let long = "a".repeat(10_000);
    check(&long, &["a", &long], None);
}

#[test]
fn prefers_the_nearest_then_the_first() {
    check("colour", &["colours", "color", "colour_"], Some("colours"));
    check("name", &["names", "NAME"], Some("NAME"));
}

fn slow(left: &[char], right: &[char]) -> usize {
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(left[i - 1] != right[j - 1]);
                let mut cost = (table[i - 1][j] + 1).min(table[i][j - 1] + 1).min(table[i - 1][j - 1] + differs);
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    cost = cost.min(table[i - 2][j - 2] + 1);
                }
                cost
            };
        }
    }
    table[left.len()][right.len()]
}

proptest! {
    #[test]
    fn the_bound_changes_no_distance(left in "[abc]{0,8}", right in "[abc]{0,8}", allowed in 0usize..9) {
        let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
        let full = slow(&left, &right);
        prop_assert_eq!(distance_within(&left, &right, allowed), (full <= allowed).then_some(full));
    }
}
