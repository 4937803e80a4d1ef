use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use polder_types::ErrorKind;

use super::{arrow_schema, column_rows, readable_schema, storable, with_children};
use crate::model::ColumnState;

fn rows_of(schema: &Schema) -> Vec<ColumnState> {
    let mut next_id = 1;
    let rows = schema.fields().iter().map(|field| {
        let order = next_id;
        column_rows(field, order, &mut next_id, 7).unwrap()
    });
    rows.flatten().collect()
}

fn shown(rows: &[ColumnState]) -> Vec<String> {
    let parent = |row: &ColumnState| row.parent.map_or_else(String::new, |parent| format!(" in {parent}"));
    rows.iter().map(|row| format!("{} {} {}{}", row.id, row.name, row.ducklake_type, parent(row))).collect()
}

fn nested() -> Schema {
    let inner = Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Utf8View, true)]);
    let pair = vec![Field::new("keys", DataType::Utf8View, false), Field::new("values", DataType::Date32, true)];
    let entries = Field::new("entries", DataType::Struct(pair.into()), false);
    Schema::new(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("s", DataType::Struct(inner.clone()), true),
        Field::new("l", DataType::List(Field::new("item", DataType::Struct(inner), true).into()), true),
        Field::new("m", DataType::Map(Arc::new(entries), false), true),
    ])
}

#[test]
fn rows_stand_parents_first_with_ids_in_order() {
    assert_eq!(
        shown(&rows_of(&nested())),
        [
            "1 a int64",
            "2 s struct",
            "3 x int32 in 2",
            "4 y varchar in 2",
            "5 l list",
            "6 element struct in 5",
            "7 x int32 in 6",
            "8 y varchar in 6",
            "9 m map",
            "10 key varchar in 9",
            "11 value date in 9",
        ]
    );
}

#[test]
fn fields_carry_their_ids_at_every_depth() {
    let rows = rows_of(&nested());
    let schema = arrow_schema(&rows).unwrap();
    assert_eq!(rows_of(&schema), rows, "there and back");
    let id = |field: &Field| field.metadata()["PARQUET:field_id"].clone();
    assert_eq!(schema.fields().iter().map(|field| id(field)).collect::<Vec<_>>(), ["1", "2", "5", "9"]);
    let DataType::List(item) = schema.field(2).data_type() else { panic!("no list") };
    assert_eq!(id(item), "6");
    assert!(!schema.field(0).is_nullable());
}

/// DuckDB orders the columns of a table by a number, which its children have too.
#[test]
fn order_is_by_number_not_by_row() {
    let mut rows = rows_of(&nested());
    rows.reverse();
    let names: Vec<String> = arrow_schema(&rows).unwrap().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["a", "s", "l", "m"]);
}

#[test]
fn children_go_with_their_column() {
    let rows = rows_of(&nested());
    assert_eq!(with_children(&rows, 5), [5, 6, 7, 8]);
    assert_eq!(with_children(&rows, 1), [1]);
}

#[test]
fn an_unknown_type_hides_its_column_only() {
    let mut rows = rows_of(&nested());
    rows[6].ducklake_type = "hugeint".into();
    assert_eq!(arrow_schema(&rows).unwrap_err().kind(), ErrorKind::Unsupported);
    let (schema, reason) = readable_schema(&rows).unwrap();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["a", "s", "m"]);
    assert!(reason.unwrap().contains("column x"));
    assert!(readable_schema(&rows_of(&nested())).unwrap().1.is_none());
}

#[test]
fn types_that_ducklake_lacks_become_the_nearest() {
    let check = |given: DataType, expected: DataType| assert_eq!(storable(&given), expected, "{given}");
    check(DataType::Null, DataType::Utf8View);
    check(DataType::Float16, DataType::Float32);
    check(DataType::Date64, DataType::Date32);
    check(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8)), DataType::Utf8View);
    check(DataType::Time32(TimeUnit::Second), DataType::Time64(TimeUnit::Microsecond));
    check(
        DataType::Timestamp(TimeUnit::Second, Some("+02:00".into())),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    );
}
