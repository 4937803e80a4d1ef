//! Tables of little: schemas, the one database, access methods, collations, languages.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use polder_types::Result;

use super::columns;
use super::row::{Cell, Rows};
use super::{World, oids};
use crate::authz::rights::{Kind, USAGE, in_letters};

/// The name of the one database.
pub(crate) const DATABASE: &str = "polder";

/// What PostgreSQL calls the encoding of all texts.
pub(crate) const UTF8: i64 = 6;

pub(super) fn namespaces(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_NAMESPACE);
    let rights = world.rights();
    for (oid, name) in world.directory().schemas() {
        let own = world.snapshot().schema(name).map(|schema| schema.id);
        let list = match own {
            Some(_) if name == "public" => Some(rights.grants(Kind::Schema, own.unwrap_or_default())),
            Some(id) => rights.access(id).and_then(|access| access.grants.as_deref()).map(Cow::Borrowed),
            // The schemas of the system are for everybody, and nobody's to change.
            None => Some(Cow::Owned(Kind::Schema.usual_with(oids::OWNER, USAGE))),
        };
        rows.push([
            ("oid", oid.into()),
            ("nspname", name.into()),
            ("nspowner", own.map_or(oids::OWNER, |id| rights.owner(id)).into()),
            ("nspacl", list.map_or(Cell::Null, |list| Cell::Texts(in_letters(&list, &rights.who.book)))),
        ]);
    }
    rows.finish()
}

pub(super) fn databases(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_DATABASE);
    rows.push([
        ("oid", oids::DATABASE.into()),
        ("datname", DATABASE.into()),
        ("datdba", oids::OWNER.into()),
        ("encoding", UTF8.into()),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1_i64).into()),
        ("dattablespace", oids::TABLESPACE.into()),
        // Texts are in the order of their bytes.
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
        (
            "datacl",
            world
                .who()
                .book
                .database
                .as_ref()
                .map_or(Cell::Null, |list| Cell::Texts(in_letters(list, &world.who().book))),
        ),
    ]);
    rows.finish()
}

/// The name of the one tablespace.
pub(crate) const TABLESPACE: &str = "pg_default";

pub(super) fn tablespaces() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_TABLESPACE);
    rows.push([("oid", oids::TABLESPACE.into()), ("spcname", TABLESPACE.into()), ("spcowner", oids::OWNER.into())]);
    rows.finish()
}

/// Tables are of the kind that clients call a heap, and indexes find rows by the value of a column, as a btree does.
pub(super) fn access_methods() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AM);
    for (oid, name, handler, kind) in [(oids::HEAP, "heap", 3_i64, "t"), (oids::BTREE, "btree", 330, "i")] {
        rows.push([
            ("oid", oid.into()),
            ("amname", name.into()),
            ("amhandler", handler.into()),
            ("amtype", kind.into()),
        ]);
    }
    rows.finish()
}

pub(super) fn collations() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_COLLATION);
    for (oid, name, provider, encoding, locale) in [
        (oids::COLLATION, "default", "d", -1_i64, None),
        (950, "C", "c", -1, Some("C")),
        (951, "POSIX", "c", -1, Some("POSIX")),
        (12_340, "ucs_basic", "c", 6, Some("C")),
        (12_341, "C.utf8", "c", 6, Some("C.utf8")),
    ] {
        rows.push([
            ("oid", oid.into()),
            ("collname", name.into()),
            ("collnamespace", oids::PG_CATALOG.into()),
            ("collowner", oids::OWNER.into()),
            ("collprovider", provider.into()),
            ("collisdeterministic", true.into()),
            ("collencoding", encoding.into()),
            ("collcollate", locale.into()),
            ("collctype", locale.into()),
        ]);
    }
    rows.finish()
}

/// The languages of functions: object id, name, and whether everybody may make some.
pub(crate) const LANGUAGES: &[(i64, &str, bool)] = &[(12, "internal", false), (14, "sql", true)];

pub(super) fn languages() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_LANGUAGE);
    for (oid, name, trusted) in LANGUAGES {
        rows.push([
            ("oid", (*oid).into()),
            ("lanname", (*name).into()),
            ("lanowner", oids::OWNER.into()),
            ("lanpltrusted", (*trusted).into()),
        ]);
    }
    rows.finish()
}

/// The btree classes of the types that a column can have: object id, name, family, type. (PostgreSQL's source,
/// `src/include/catalog/pg_opclass.dat`.)
const CLASSES: &[(i64, &str, i64, i64)] = &[
    (10_003, "bool_ops", 424, 16),
    (10_006, "bytea_ops", 428, 17),
    (3_124, "int8_ops", 1_976, 20),
    (1_979, "int2_ops", 1_976, 21),
    (1_978, "int4_ops", 1_976, 23),
    (3_126, "text_ops", 1_994, 25),
    (10_012, "float4_ops", 1_970, 700),
    (3_123, "float8_ops", 1_970, 701),
    (10_004, "bpchar_ops", 426, 1_042),
    (3_122, "date_ops", 434, 1_082),
    (10_038, "time_ops", 1_996, 1_083),
    (3_128, "timestamp_ops", 434, 1_114),
    (3_127, "timestamptz_ops", 434, 1_184),
    (10_022, "interval_ops", 1_982, 1_186),
    (3_125, "numeric_ops", 1_988, 1_700),
    (10_065, "uuid_ops", 2_968, 2_950),
    (10_088, "jsonb_ops", 4_033, 3_802),
    (10_000, "array_ops", 397, 2_277),
];

/// The families of those classes. (`src/include/catalog/pg_opfamily.dat`.)
const FAMILIES: &[(i64, &str)] = &[
    (397, "array_ops"),
    (424, "bool_ops"),
    (426, "bpchar_ops"),
    (428, "bytea_ops"),
    (434, "datetime_ops"),
    (1_970, "float_ops"),
    (1_976, "integer_ops"),
    (1_982, "interval_ops"),
    (1_988, "numeric_ops"),
    (1_994, "text_ops"),
    (1_996, "time_ops"),
    (2_968, "uuid_ops"),
    (4_033, "jsonb_ops"),
];

/// The class that an index on a column of a type has; texts of any length have one.
pub(super) fn operator_class(data_type: i64) -> i64 {
    const TEXTS: i64 = 3_126;
    const ARRAYS: i64 = 10_000;
    let exact = CLASSES.iter().find(|(_, _, _, known)| *known == data_type).map(|(oid, ..)| *oid);
    exact.unwrap_or(match super::types::find(data_type) {
        Some((_, true)) => ARRAYS,
        _ => TEXTS,
    })
}

pub(super) fn operator_classes() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_OPCLASS);
    for (oid, name, family, data_type) in CLASSES {
        rows.push([
            ("oid", (*oid).into()),
            ("opcmethod", oids::BTREE.into()),
            ("opcname", (*name).into()),
            ("opcnamespace", oids::PG_CATALOG.into()),
            ("opcowner", oids::OWNER.into()),
            ("opcfamily", (*family).into()),
            ("opcintype", (*data_type).into()),
            ("opcdefault", true.into()),
        ]);
    }
    rows.finish()
}

pub(super) fn operator_families() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_OPFAMILY);
    for (oid, name) in FAMILIES {
        rows.push([
            ("oid", (*oid).into()),
            ("opfmethod", oids::BTREE.into()),
            ("opfname", (*name).into()),
            ("opfnamespace", oids::PG_CATALOG.into()),
            ("opfowner", oids::OWNER.into()),
        ]);
    }
    rows.finish()
}
