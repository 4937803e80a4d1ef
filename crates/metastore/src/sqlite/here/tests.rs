use rusqlite::Connection;

use super::*;

fn writes(id: i64, more: &'static str) -> Vec<Write> {
    let text = "it's";
    let values = vec![text.into(), id.into(), true.into(), Value::Null, 0.5.into(), vec![0_u8, 1].into()];
    vec![
        Write::new("INSERT INTO ducklake_snapshot VALUES ($1)", vec![id.into()]),
        Write::new("INSERT INTO t VALUES ($2, $1, $3, $4, $5, $6, $2)", values),
        Write::new(more, vec![]),
    ]
}

#[test]
fn all_of_it_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("here.sqlite");
    let other = Connection::open(&path).unwrap();
    let tables = "PRAGMA journal_mode = WAL; CREATE TABLE ducklake_snapshot (snapshot_id BIGINT PRIMARY KEY); \
        INSERT INTO ducklake_snapshot VALUES (1); CREATE TABLE t (a, b, c, d, e, f, g)";
    other.execute_batch(tables).unwrap();
    let count = || other.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
    let nothing = "UPDATE t SET a = a WHERE false";

    let here = Here::open(&path).unwrap();
    assert_eq!(here.commit(1, &writes(2, nothing)).unwrap(), HereOutcome::Committed);
    assert_eq!(here.commit(2, &writes(3, nothing)).unwrap(), HereOutcome::Committed);
    let shown = "SELECT group_concat(a || b || c || (d IS NULL) || e || hex(f) || g, ' ') FROM t";
    let shown: String = other.query_row(shown, [], |row| row.get(0)).unwrap();
    assert_eq!(shown, "2it's110.500012 3it's110.500013");

    // Somebody else was quicker, and it goes on from there.
    assert_eq!(here.commit(2, &writes(3, nothing)).unwrap(), HereOutcome::Stale);
    other.execute_batch("INSERT INTO ducklake_snapshot VALUES (4)").unwrap();
    assert_eq!(here.commit(3, &writes(4, nothing)).unwrap(), HereOutcome::Stale);
    assert_eq!(here.commit(4, &writes(5, nothing)).unwrap(), HereOutcome::Committed);
    assert_eq!(count(), 3);

    // It waits for nobody.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(here.commit(5, &writes(6, nothing)).unwrap(), HereOutcome::Locked);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(Here::open(&path).unwrap().commit(5, &writes(6, "INSERT INTO no_such_table VALUES (1)")).is_err());
    assert_eq!(count(), 3);
    assert_eq!(here.commit(5, &writes(6, nothing)).unwrap(), HereOutcome::Committed);
    assert_eq!(count(), 4);
}
