use std::collections::HashSet;

use datafusion::logical_expr::{col, lit};

use super::*;

#[test]
fn every_table_has_an_object_id_and_columns_of_its_own() {
    let (mut names, mut object_ids) = (HashSet::new(), HashSet::new());
    for table in TABLES {
        assert!(names.insert(table.name), "{} is there twice", table.name);
        assert!(object_ids.insert(table.oid) && table.oid < oids::FIRST, "{} has {}", table.name, table.oid);
        let written = table.columns.split(", ").count();
        let schema = row::schema(table.columns);
        assert_eq!(schema.fields().len(), written, "{}", table.name);
        let columns: HashSet<&String> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(columns.len(), written, "{}", table.name);
        assert!(Rows::new(table.columns).finish().is_ok(), "{}", table.name);
    }
}

#[test]
fn types_are_found_by_all_their_names() {
    for (name, oid) in [
        ("int4", 23),
        ("integer", 23),
        ("pg_catalog.int4", 23),
        ("_int4", 1_007),
        ("int4[]", 1_007),
        ("character varying(10)", 1_043),
        ("timestamp with time zone", 1_184),
        ("\"char\"", 18),
        ("char", 1_042),
    ] {
        assert_eq!(types::by_name(name), Some(oid), "{name}");
    }
    assert_eq!(types::by_name("nosuch"), None);
}

#[test]
fn rows_name_their_columns() {
    let mut rows = Rows::new(columns::PG_ENUM);
    rows.push([("oid", 1_i64.into()), ("enumlabel", "a".into())]);
    let arrays = rows.finish().unwrap();
    assert_eq!(arrays.iter().map(|array| array.len()).collect::<Vec<_>>(), [1; 4]);
    let mut rows = Rows::new(columns::PG_ENUM);
    rows.push([("nosuch", 1_i64.into())]);
    assert!(rows.finish().is_err());
    let mut rows = Rows::new(columns::PG_ENUM);
    rows.push([("oid", "a".into())]);
    assert!(rows.finish().is_err());
}

#[test]
fn a_condition_on_one_relation_is_seen() {
    assert_eq!(wanted(&col("attrelid").eq(lit(5_i64)), "attrelid"), Some(5));
    assert_eq!(wanted(&lit("7").eq(col("attrelid")), "attrelid"), Some(7));
    assert_eq!(wanted(&col("attnum").eq(lit(5_i64)), "attrelid"), None);
    assert_eq!(wanted(&col("attrelid").gt(lit(5_i64)), "attrelid"), None);
}

#[test]
fn what_postgresql_has_is_read_from_its_lists() {
    let mut object_ids = HashSet::new();
    for known in builtin::FUNCTIONS.iter() {
        assert!(known.oid > 0 && object_ids.insert(known.oid), "{known:?}");
        assert!(["f", "a", "w"].contains(&known.kind) && ["i", "s", "v"].contains(&known.volatile), "{known:?}");
        assert!(known.result > 0 && !known.gives.is_empty(), "{known:?}");
        assert_eq!(known.aggregate.is_empty(), known.kind != "a", "{known:?}");
    }
    let rows =
        [builtin::operator_rows(), builtin::cast_rows(), builtin::family_operators(), builtin::family_functions()];
    assert!(rows.into_iter().all(|rows| rows.is_ok_and(|columns| columns[0].len() > 30)));
    let equal = builtin::operators().iter().find(|operator| operator.oid == 96).unwrap();
    assert_eq!((equal.name, equal.signature().as_str()), ("=", "integer,integer"));
    assert_eq!(builtin::description(2_617, 96), Some("equal"));
}
