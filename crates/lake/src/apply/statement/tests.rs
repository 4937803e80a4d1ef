use polder_metastore::{Value, Write};

use super::{Statement, into_writes};

fn row(into: &'static str, values: &[i64]) -> Statement {
    Statement::Row { into: into.into(), values: values.iter().map(|value| Value::Int(*value)).collect() }
}

fn other(sql: &'static str) -> Statement {
    Statement::Other(Write::new(sql, Vec::new()))
}

/// The texts, with the number of parameters of each.
fn check(statements: Vec<Statement>, expected: &[(&str, usize)]) {
    let writes = into_writes(statements);
    let found: Vec<(&str, usize)> = writes.iter().map(|write| (write.sql.as_ref(), write.params.len())).collect();
    assert_eq!(found, expected);
}

#[test]
fn rows_of_one_table_go_together() {
    check(vec![], &[]);
    check(vec![row("t (a)", &[1])], &[("INSERT INTO t (a) VALUES ($1)", 1)]);
    check(
        vec![row("t (a, b)", &[1, 2]), row("u (c)", &[3]), row("t (a, b)", &[4, 5])],
        &[("INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)", 4), ("INSERT INTO u (c) VALUES ($1)", 1)],
    );
}

#[test]
fn no_row_passes_another_statement() {
    check(
        vec![row("t (a)", &[1]), other("UPDATE t"), row("t (a)", &[2])],
        &[("INSERT INTO t (a) VALUES ($1)", 1), ("UPDATE t", 0), ("INSERT INTO t (a) VALUES ($1)", 1)],
    );
}

#[test]
fn few_texts_are_used_for_any_number_of_rows() {
    let sizes = |count: i64| -> Vec<usize> {
        into_writes((0..count).map(|value| row("t (a)", &[value])).collect())
            .iter()
            .map(|write| write.params.len())
            .collect()
    };
    assert_eq!(sizes(3), [2, 1]);
    assert_eq!(sizes(71), [32, 32, 4, 2, 1]);
    let values: Vec<i64> = (0..3_000).collect();
    let wide: Vec<usize> =
        into_writes((0..5).map(|_| row("t (…)", &values)).collect()).iter().map(|write| write.params.len()).collect();
    assert_eq!(wide, [6_000, 6_000, 3_000]);
}
