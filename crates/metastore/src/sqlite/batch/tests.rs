use super::*;

/// The numbers of the parameters beside the text.
fn check(sql: &str, expected: &str, numbers: &[usize]) {
    let (mut text, mut found) = (String::new(), Vec::new());
    push_unnumbered(&mut text, sql, |number| found.push(number));
    assert_eq!(text, expected);
    assert_eq!(found, numbers);
}

#[test]
fn parameters_lose_their_numbers() {
    check("INSERT INTO t VALUES ($1, $2, $12)", "INSERT INTO t VALUES (?, ?, ?)", &[1, 2, 12]);
    check("SELECT $2, $1, $2", "SELECT ?, ?, ?", &[2, 1, 2]);
    check("SELECT 1", "SELECT 1", &[]);
    check("", "", &[]);
}

#[test]
fn quoted_text_and_comments_stay() {
    check("SELECT '$1', \"$2\", $3", "SELECT '$1', \"$2\", ?", &[3]);
    check("SELECT 'it''s $1', $1", "SELECT 'it''s $1', ?", &[1]);
    check("SELECT $1 -- not $1\n, $2", "SELECT ? -- not $1\n, ?", &[1, 2]);
    check("SELECT /* $1 ' */ $1 - $2 / $3", "SELECT /* $1 ' */ ? - ? / ?", &[1, 2, 3]);
    check("SELECT 'open $1", "SELECT 'open $1", &[]);
    check("SELECT $x, $", "SELECT $x, $", &[]);
    check("SELECT 'naïve', $1", "SELECT 'naïve', ?", &[1]);
    check("SELECT 1 --", "SELECT 1 --", &[]);
}

#[test]
fn writes_are_joined() {
    let writes = [
        Write::new("A $2 $1 $2", vec![1.into(), 2.into()]),
        Write::new("B", vec![]),
        Write::new("C $1 $2", vec![3.into()]),
    ];
    let (text, params) = joined(&writes);
    assert_eq!(text, "A ? ? ?\n;\nB\n;\nC ? ?\n;\n");
    let expected: [Value; 5] = [2.into(), 1.into(), 2.into(), 3.into(), Value::Null];
    assert_eq!(params, expected.iter().collect::<Vec<_>>());
}

#[test]
fn is_brisk_after_some_quick_commits() {
    let mut pace = Pace::default();
    assert!(!pace.is_brisk());
    for _ in 0..SHARE * 2 {
        pace.ended(Instant::now());
    }
    assert!(pace.is_brisk());
    // One that has waited for long does not count for long.
    pace.ended(Instant::now() - Duration::from_secs(10));
    for _ in 0..SHARE * 2 {
        pace.ended(Instant::now());
    }
    assert!(pace.is_brisk());
}
