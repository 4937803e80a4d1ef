use super::*;
use crate::sql::scan::statements;

fn command(sql: &str) -> Command {
    of(&statements(sql)[0], sql).unwrap()
}

#[test]
fn transactions_are_recognised() {
    for (sql, expected) in [
        ("BEGIN ISOLATION LEVEL READ COMMITTED", Command::Begin),
        ("start transaction", Command::Begin),
        ("END", Command::Commit),
        ("abort", Command::Rollback),
        ("ROLLBACK", Command::Rollback),
        ("ROLLBACK TO SAVEPOINT a", Command::Plain { reads: false }),
        ("SELECT 1", Command::Plain { reads: true }),
        ("SELECT set_config('a.b', 'x', false), 1", Command::Plain { reads: false }),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Command::Plain { reads: true }),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Command::Plain { reads: false }),
        ("INSERT INTO t VALUES (1)", Command::Plain { reads: false }),
    ] {
        assert_eq!(command(sql), expected, "{sql}");
    }
}

#[test]
fn settings_are_recognised() {
    let set = |name: &str, values: &[&str]| Command::Set {
        name: name.into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        local: false,
    };
    assert_eq!(command("SET client_encoding TO 'UTF8'"), set("client_encoding", &["UTF8"]));
    assert_eq!(command("SET SESSION extra_float_digits = 3"), set("extra_float_digits", &["3"]));
    assert_eq!(command("set search_path = a, \"B\""), set("search_path", &["a", "B"]));
    assert_eq!(command("SET NAMES 'utf8'"), set("client_encoding", &["utf8"]));
    let local = Command::Set { name: "statement_timeout".into(), values: vec!["5s".into()], local: true };
    assert_eq!(command("SET LOCAL statement_timeout = '5s'"), local);
    assert_eq!(command("SET TIME ZONE 'UTC'"), Command::Plain { reads: false });
    assert_eq!(command("SHOW TRANSACTION ISOLATION LEVEL"), Command::Show("transaction_isolation".into()));
    assert_eq!(command("DEALLOCATE ALL"), Command::Deallocate(None));
    assert_eq!(command("DEALLOCATE \"_pg3_0\""), Command::Deallocate(Some("_pg3_0".into())));
    assert_eq!(command("DISCARD ALL"), Command::DiscardAll);
    let characteristics = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
    assert!(
        matches!(command(characteristics), Command::SetCharacteristics { lasting: true, words } if words.len() == 4)
    );
}

#[test]
fn statements_by_name_are_recognised() {
    for (sql, name, statement) in [
        ("PREPARE p AS SELECT $1", "p", "SELECT $1"),
        (
            "prepare \"P\" (int, numeric(10, 2)) as select $2, '$1', $1, $3",
            "P",
            "select CAST($2 AS numeric(10, 2)), '$1', CAST($1 AS int), $3",
        ),
        ("PREPARE p AS (VALUES (1))", "p", "(VALUES (1))"),
    ] {
        let Command::Prepare(prepare) = command(sql) else { panic!("{sql}") };
        assert_eq!((prepare.name.as_str(), prepare.statement.as_str()), (name, statement), "{sql}");
    }
    for (sql, values) in [
        ("EXECUTE p", Vec::new()),
        ("execute p (1, f(2, 'a,b'), ARRAY[3, 4])", vec!["1", "f(2, 'a,b')", "ARRAY[3, 4]"]),
    ] {
        let Command::Execute(execute) = command(sql) else { panic!("{sql}") };
        assert_eq!(execute.values, values, "{sql}");
    }
    for sql in [
        "PREPARE p",
        "PREPARE p AS",
        "PREPARE p AS BEGIN",
        "PREPARE p (int AS SELECT 1",
        "EXECUTE",
        "EXECUTE p (1,)",
        "EXECUTE p (1) 2",
    ] {
        assert!(of(&statements(sql)[0], sql).is_err(), "{sql}");
    }
}

#[test]
fn copy_through_the_connection_is_recognised() {
    let Command::CopyOut { query, .. } = command("COPY (SELECT ')' FROM t) TO STDOUT") else { panic!() };
    assert_eq!(query, "SELECT ')' FROM t");
    let Command::CopyOut { query, .. } = command("COPY s.\"T\" (a, \"b\") TO stdout (FORMAT csv)") else { panic!() };
    assert_eq!(query, "SELECT a, \"b\" FROM s.\"T\"");
    let Command::CopyIn(CopyIn { table, columns, .. }) = command("copy t (a) from stdin") else { panic!() };
    assert_eq!((table.as_str(), columns.len()), ("t", 1));
    let filtered = command("COPY t FROM STDIN (FORMAT csv) WHERE a > ')' AND b");
    let Command::CopyIn(CopyIn { filter: Some(filter), .. }) = filtered else { panic!() };
    assert_eq!(filter, "a > ')' AND b");
    for wrong in ["COPY t FROM STDIN WHERE", "COPY t TO STDOUT WHERE a"] {
        assert!(of(&statements(wrong)[0], wrong).is_err(), "{wrong}");
    }
    assert_eq!(command("COPY t FROM 'file.csv'"), Command::Plain { reads: false });
    assert_eq!(command("COPY (SELECT 1) TO 'x.parquet' (FORMAT parquet)"), Command::Plain { reads: false });
}
