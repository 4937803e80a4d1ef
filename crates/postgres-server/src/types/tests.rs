use std::sync::Arc;

use super::*;

#[test]
fn columns_have_the_types_that_postgresql_calls_them() {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    for (data_type, oid, name) in [
        (DataType::Boolean, 16, "boolean"),
        (DataType::Int16, 21, "smallint"),
        (DataType::UInt64, 1700, "numeric"),
        (DataType::Utf8View, 25, "text"),
        (DataType::FixedSizeBinary(16), 2950, "uuid"),
        (list(DataType::Int64), 1016, "bigint[]"),
        (list(list(DataType::Utf8)), 1009, "text[]"),
    ] {
        let kind = Kind::of(&Field::new("c", data_type.clone(), true));
        assert_eq!((kind.oid(), kind.name().as_str()), (oid, name), "{data_type}");
        assert_eq!(Kind::of_oid(oid).unwrap(), kind);
    }
    assert_eq!(Kind::of_oid(600).unwrap_err().code(), "0A000");
}

#[test]
fn lengths_and_scales_are_modifiers() {
    let text = Field::new("c", DataType::Utf8, true).with_metadata([(DECLARED.into(), "varchar(10)".into())].into());
    let number = Field::new("n", DataType::Decimal128(10, 2), true);
    let columns = Column::all(&Schema::new(vec![text, number]));
    assert_eq!((columns[0].kind.oid(), columns[0].modifier), (1043, 14));
    assert_eq!((columns[1].kind.oid(), columns[1].modifier), (1700, 655_366));
}

#[test]
fn formats_are_for_none_all_or_each() {
    assert_eq!(Format::of_each(&[], 2).unwrap(), [Format::Text; 2]);
    assert_eq!(Format::of_each(&[1], 2).unwrap(), [Format::Binary; 2]);
    assert_eq!(Format::of_each(&[1, 0], 2).unwrap(), [Format::Binary, Format::Text]);
    assert!(Format::of_each(&[1, 0], 3).is_err());
    assert!(Format::of_each(&[7], 1).is_err());
}

#[test]
fn types_of_the_catalog_are_marked() {
    let marked = |data_type: DataType, name: &str| {
        Field::new("c", data_type, true).with_metadata([(CATALOG_TYPE.into(), name.into())].into())
    };
    let list = DataType::new_list(DataType::Int16, true);
    for (field, oid) in [
        (marked(DataType::Int64, "oid"), 26),
        (marked(DataType::Utf8View, "name"), 19),
        (marked(DataType::Utf8View, "char"), 18),
        (marked(list, "int2vector"), 22),
        (marked(DataType::Int64, "regclass"), 20),
    ] {
        assert_eq!(Kind::of(&field).oid(), oid, "{field}");
    }
}
