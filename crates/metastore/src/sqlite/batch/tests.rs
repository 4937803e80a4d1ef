use super::*;

fn check(sql: &str, expected: &str) {
    let mut text = String::new();
    push_renumbered(&mut text, sql, 10);
    assert_eq!(text, expected);
}

#[test]
fn parameters_are_numbered_on() {
    check("INSERT INTO t VALUES ($1, $2, $12)", "INSERT INTO t VALUES ($11, $12, $22)");
    check("SELECT $1", "SELECT $11");
    check("SELECT 1", "SELECT 1");
    check("", "");
}

#[test]
fn quoted_text_and_comments_stay() {
    check("SELECT '$1', \"$2\", $3", "SELECT '$1', \"$2\", $13");
    check("SELECT 'it''s $1', $1", "SELECT 'it''s $1', $11");
    check("SELECT $1 -- not $1\n, $2", "SELECT $11 -- not $1\n, $12");
    check("SELECT /* $1 ' */ $1 - $2 / $3", "SELECT /* $1 ' */ $11 - $12 / $13");
    check("SELECT 'open $1", "SELECT 'open $1");
    check("SELECT $x, $", "SELECT $x, $");
    check("SELECT 'naïve', $1", "SELECT 'naïve', $11");
    check("SELECT 1 --", "SELECT 1 --");
}

#[test]
fn writes_are_joined() {
    let writes =
        [Write::new("A $1 $2", vec![1.into(), 2.into()]), Write::new("B", vec![]), Write::new("C $1", vec![3.into()])];
    assert_eq!(joined(&writes), "A $1 $2\n;\nB\n;\nC $3\n;\n");
}
