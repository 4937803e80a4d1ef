use super::*;

/// Rows as (table, schema, begin, end), the first shapes of tables, where schemas begin, and the kept versions; what begins
/// earlier: (id, begin, earlier), tables first.
fn check(
    rows: &[(i64, i64, i64, Option<i64>)],
    shapes: &[(i64, i64)],
    schemas: &[(i64, i64)],
    kept: &[i64],
    expected: &[(i64, i64, i64)],
) {
    let tables: Vec<TableRow> =
        rows.iter().map(|&(table, schema, begin, end)| TableRow { table, schema, begin, end }).collect();
    let schemas: Vec<SchemaRow> =
        schemas.iter().map(|&(schema, begin)| SchemaRow { schema, begin, end: None }).collect();
    check_schemas(&tables, shapes, &schemas, kept, expected);
}

fn check_schemas(
    tables: &[TableRow],
    shapes: &[(i64, i64)],
    schemas: &[SchemaRow],
    kept: &[i64],
    expected: &[(i64, i64, i64)],
) {
    let found = late(tables, &shapes.iter().copied().collect(), schemas, kept);
    let found: Vec<_> = found.iter().map(|late| (late.id, late.begin, late.earlier)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_row_takes_the_place_of_the_one_before() {
    // Never renamed; renamed in version 6; swapped in version 4.
    check(&[(2, 1, 3, None)], &[(2, 3)], &[(1, 1)], &[9], &[]);
    check(&[(2, 1, 6, None)], &[(2, 3)], &[(1, 1)], &[9], &[(2, 6, 3)]);
    check(&[(2, 1, 4, None), (3, 1, 4, None)], &[(2, 2), (3, 3)], &[(1, 1)], &[4], &[(2, 4, 2), (3, 4, 3)]);
    // A held version sees a row in the middle: those that are gone before it and behind it are replaced.
    check(&[(2, 1, 5, Some(7)), (2, 1, 10, None)], &[(2, 3)], &[(1, 1)], &[6, 12], &[(2, 5, 3), (2, 10, 7)]);
}

#[test]
fn a_schema_begins_with_its_first_table() {
    check(&[(6, 7, 9, None), (8, 7, 11, None)], &[(6, 5), (8, 11)], &[(1, 1), (7, 9)], &[11], &[(6, 9, 5), (7, 9, 5)]);
    check(&[], &[], &[(1, 1), (7, 9)], &[11], &[]);
}

#[test]
fn a_schema_takes_the_place_of_its_row_before() {
    let row = |begin, end| SchemaRow { schema: 7, begin, end };
    let table = TableRow { table: 2, schema: 7, begin: 3, end: None };
    let schemas = [row(3, Some(6)), row(10, None)];
    // Renamed in versions 6 and 10: version 4 is held and sees the first name, and nothing sees the second.
    check_schemas(&[table], &[(2, 3)], &schemas, &[4, 12], &[(7, 10, 6)]);
    // One is held that the second name belonged to: a catalog that says that it was not there is believed.
    check_schemas(&[table], &[(2, 3)], &schemas, &[4, 7, 12], &[]);
    // Without a gap nothing is to be done.
    check_schemas(&[table], &[(2, 3)], &[row(3, Some(6)), row(6, None)], &[4, 12], &[]);
}

#[test]
fn what_a_kept_version_sees_stays() {
    check(&[(2, 1, 3, Some(6)), (2, 1, 6, None)], &[(2, 3)], &[(1, 1)], &[4, 9], &[]);
    // A catalog that says of a kept version that the table is not there yet is believed.
    check(&[(2, 1, 6, None)], &[(2, 3)], &[(1, 1)], &[4, 9], &[]);
}
