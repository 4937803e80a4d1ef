//! `pg_type`: PostgreSQL's types under their own object ids, and a row type for each table and view.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use polder_lake::TextLength;
use polder_types::Result;

use super::columns;
use super::directory::Directory;
use super::oids;
use super::row::Rows;
use crate::functions::types as marks;

/// A type, and its array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base {
    pub oid: i64,
    /// 0: there are no arrays of it.
    pub array: i64,
    pub name: &'static str,
    /// As SQL writes it.
    pub title: &'static str,
    /// Bytes; -1 and -2: as many as it takes.
    length: i64,
    /// Category, kind, alignment and storage, a letter each.
    letters: &'static str,
    /// The functions that read and write it, in text and in binary.
    functions: [i64; 4],
}

const fn base(
    oid: i64,
    array: i64,
    name: &'static str,
    title: &'static str,
    length: i64,
    letters: &'static str,
    functions: [i64; 4],
) -> Base {
    Base { oid, array, name, title, length, letters, functions }
}

/// All types that a column or a catalog's table has here, and the pseudo-types of functions. (PostgreSQL's source,
/// `src/include/catalog/pg_type.dat`.)
pub(crate) const TYPES: &[Base] = &[
    base(16, 1000, "bool", "boolean", 1, "Bbcp", [1242, 1243, 2436, 2437]),
    base(17, 1001, "bytea", "bytea", -1, "Ubix", [1244, 31, 2412, 2413]),
    base(18, 1002, "char", "\"char\"", 1, "Zbcp", [1245, 33, 2434, 2435]),
    base(19, 1003, "name", "name", 64, "Sbcp", [34, 35, 2422, 2423]),
    base(20, 1016, "int8", "bigint", 8, "Nbdp", [460, 461, 2408, 2409]),
    base(21, 1005, "int2", "smallint", 2, "Nbsp", [38, 39, 2404, 2405]),
    base(22, 1006, "int2vector", "int2vector", -1, "Abip", [40, 41, 2410, 2411]),
    base(23, 1007, "int4", "integer", 4, "Nbip", [42, 43, 2406, 2407]),
    base(24, 1008, "regproc", "regproc", 4, "Nbip", [44, 45, 2444, 2445]),
    base(25, 1009, "text", "text", -1, "Sbix", [46, 47, 2414, 2415]),
    base(26, 1028, "oid", "oid", 4, "Nbip", [1798, 1799, 2418, 2419]),
    base(28, 1011, "xid", "xid", 4, "Ubip", [50, 51, 2440, 2441]),
    base(29, 1012, "cid", "cid", 4, "Ubip", [52, 53, 2442, 2443]),
    base(30, 1013, "oidvector", "oidvector", -1, "Abip", [54, 55, 2420, 2421]),
    base(114, 199, "json", "json", -1, "Ubix", [321, 322, 323, 324]),
    base(194, 0, "pg_node_tree", "pg_node_tree", -1, "Zbix", [195, 196, 197, 198]),
    base(700, 1021, "float4", "real", 4, "Nbip", [200, 201, 2424, 2425]),
    base(701, 1022, "float8", "double precision", 8, "Nbdp", [214, 215, 2426, 2427]),
    base(269, 0, "table_am_handler", "table_am_handler", 4, "Ppip", [267, 268, 0, 0]),
    base(325, 0, "index_am_handler", "index_am_handler", 4, "Ppip", [326, 327, 0, 0]),
    base(705, 0, "unknown", "unknown", -2, "Xpcp", [109, 110, 2416, 2417]),
    base(1033, 1034, "aclitem", "aclitem", 12, "Ubip", [1031, 1032, 0, 0]),
    base(1042, 1014, "bpchar", "character", -1, "Sbix", [1044, 1045, 2430, 2431]),
    base(1043, 1015, "varchar", "character varying", -1, "Sbix", [1046, 1047, 2432, 2433]),
    base(1082, 1182, "date", "date", 4, "Dbip", [1084, 1085, 2468, 2469]),
    base(1083, 1183, "time", "time without time zone", 8, "Dbdp", [1143, 1144, 2470, 2471]),
    base(1114, 1115, "timestamp", "timestamp without time zone", 8, "Dbdp", [1312, 1313, 2474, 2475]),
    base(1184, 1185, "timestamptz", "timestamp with time zone", 8, "Dbdp", [1150, 1151, 2476, 2477]),
    base(1186, 1187, "interval", "interval", 16, "Tbdp", [1160, 1161, 2478, 2479]),
    base(1700, 1231, "numeric", "numeric", -1, "Nbim", [1701, 1702, 2460, 2461]),
    base(2202, 2207, "regprocedure", "regprocedure", 4, "Nbip", [2212, 2213, 2446, 2447]),
    base(2205, 2210, "regclass", "regclass", 4, "Nbip", [2218, 2219, 2452, 2453]),
    base(2206, 2211, "regtype", "regtype", 4, "Nbip", [2220, 2221, 2454, 2455]),
    base(2950, 2951, "uuid", "uuid", 16, "Ubcp", [2952, 2953, 2961, 2962]),
    base(3802, 3807, "jsonb", "jsonb", -1, "Ubix", [3806, 3804, 3805, 3803]),
    base(4089, 4090, "regnamespace", "regnamespace", 4, "Nbip", [4084, 4085, 4087, 4088]),
    base(4096, 4097, "regrole", "regrole", 4, "Nbip", [4098, 4092, 4094, 4095]),
    base(2249, 2287, "record", "record", -1, "Ppdx", [2290, 2291, 2402, 2403]),
    base(2275, 1263, "cstring", "cstring", -2, "Ppcp", [2292, 2293, 2500, 2501]),
    base(2276, 0, "any", "\"any\"", 4, "Ppip", [2294, 2295, 0, 0]),
    base(2277, 0, "anyarray", "anyarray", -1, "Ppdx", [2296, 2297, 2502, 2503]),
    base(2278, 0, "void", "void", 4, "Ppip", [2298, 2299, 3120, 3121]),
    base(2279, 0, "trigger", "trigger", 4, "Ppip", [2300, 2301, 0, 0]),
    base(2283, 0, "anyelement", "anyelement", 4, "Ppip", [2312, 2313, 0, 0]),
    base(2776, 0, "anynonarray", "anynonarray", 4, "Ppip", [2777, 2778, 0, 0]),
    base(5077, 0, "anycompatible", "anycompatible", 4, "Ppip", [5086, 5087, 0, 0]),
    base(5078, 0, "anycompatiblearray", "anycompatiblearray", -1, "Ppdx", [5088, 5089, 5090, 5091]),
    base(5079, 0, "anycompatiblenonarray", "anycompatiblenonarray", 4, "Ppip", [5092, 5093, 0, 0]),
    base(2281, 0, "internal", "internal", 8, "Ppdp", [2304, 2305, 0, 0]),
];

/// The functions of every array, and of every row type.
const OF_ARRAYS: [i64; 4] = [750, 751, 2400, 2401];
const OF_ROWS: [i64; 4] = [2290, 2291, 2402, 2403];

/// What the length of a text, and precision and scale of a number, are moved by in a type's modifier.
const MODIFIER_OFFSET: i64 = 4;

const TEXT: i64 = 25;
const CHAR: i64 = 18;
const NAME: i64 = 19;
pub(super) const INT8: i64 = 20;
pub(crate) const NUMERIC: i64 = 1_700;
const BPCHAR: i64 = 1_042;
const VARCHAR: i64 = 1_043;

/// The type with an object id, and whether it is the array of that type.
pub(crate) fn find(oid: i64) -> Option<(&'static Base, bool)> {
    let found = TYPES.iter().find(|base| base.oid == oid || (base.array == oid && oid != 0))?;
    Some((found, found.oid != oid))
}

fn named(name: &str) -> i64 {
    TYPES.iter().find(|base| base.name == name).map_or(TEXT, |base| base.oid)
}

fn array_of(oid: i64) -> i64 {
    match find(oid) {
        // Arrays of arrays are of the same type.
        Some((_, true)) => oid,
        Some((base, false)) if base.array != 0 => base.array,
        _ => named("text"),
    }
}

/// The object id and the modifier of a column's type; -1: none.
pub(crate) fn of_field(field: &Field) -> (i64, i64) {
    if let Some(mark) = marks::catalog_type(field) {
        let oid = mark.strip_suffix("[]").map_or_else(|| named(mark), |item| array_of(named(item)));
        return (oid, -1);
    }
    match TextLength::of_field(field) {
        Some(length) => {
            let max = i64::try_from(length.max).unwrap_or(i64::MAX - MODIFIER_OFFSET);
            return (if length.blank_padded { BPCHAR } else { VARCHAR }, max + MODIFIER_OFFSET);
        }
        None => match field.metadata().get(polder_lake::DECLARED).map(String::as_str) {
            Some("varchar") => return (VARCHAR, -1),
            Some(declared) if TYPES.iter().any(|base| base.name == declared) => return (named(declared), -1),
            _ => {}
        },
    }
    if marks::is_json(field) {
        return (named("jsonb"), -1);
    }
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            // What is said of the items is said of the array.
            let (item, modifier) = of_field(item);
            (array_of(item), modifier)
        }
        // 38 digits are what a number without any has.
        DataType::Decimal128(precision, scale) if *precision < 38 => {
            (NUMERIC, ((i64::from(*precision) << 16) | (i64::from(*scale) & 0x7ff)) + MODIFIER_OFFSET)
        }
        DataType::Dictionary(_, value) => of_field(&Field::new("", value.as_ref().clone(), true)),
        other => (named(plain(other)), -1),
    }
}

/// The name that a column's type has in the catalog: `int4`, `_text`.
pub(crate) fn name_of_field(field: &Field) -> String {
    match find(of_field(field).0) {
        Some((base, true)) => format!("_{}", base.name),
        Some((base, false)) => base.name.to_owned(),
        None => "text".into(),
    }
}

fn plain(data_type: &DataType) -> &'static str {
    use DataType as D;
    match data_type {
        D::Boolean => "bool",
        D::Int8 | D::Int16 | D::UInt8 => "int2",
        D::Int32 | D::UInt16 => "int4",
        D::Int64 | D::UInt32 => "int8",
        D::Float16 | D::Float32 => "float4",
        D::Float64 => "float8",
        D::UInt64 | D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => "numeric",
        D::FixedSizeBinary(16) => "uuid",
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => "bytea",
        D::Date32 | D::Date64 => "date",
        D::Time32(_) | D::Time64(_) => "time",
        D::Timestamp(_, None) => "timestamp",
        D::Timestamp(_, Some(_)) => "timestamptz",
        D::Interval(_) | D::Duration(_) => "interval",
        // Texts; and rows and maps, which are sent as texts.
        _ => "text",
    }
}

/// A type as SQL writes it: `numeric(10,2)`, `character varying(20)[]`. `???`: there is none.
pub(crate) fn title(directory: &Directory, oid: i64, modifier: Option<i64>) -> String {
    let Some((base, array)) = find(oid) else {
        return match directory.row_type(oid) {
            Some((relation, array)) => format!("{}{}", relation.shown(directory), if array { "[]" } else { "" }),
            None if oid == 0 => "-".into(),
            None => "???".into(),
        };
    };
    let brackets = if array { "[]" } else { "" };
    let length = modifier.filter(|modifier| *modifier >= MODIFIER_OFFSET).map(|modifier| modifier - MODIFIER_OFFSET);
    match (base.oid, length) {
        (VARCHAR | BPCHAR, Some(length)) => format!("{}({length}){brackets}", base.title),
        // Without a length it would be read as one of a single letter.
        (BPCHAR, None) if modifier.is_some() => format!("bpchar{brackets}"),
        (NUMERIC, Some(digits)) => format!("numeric({},{}){brackets}", digits >> 16, digits & 0x7ff),
        _ => format!("{}{brackets}", base.title),
    }
}

/// The object id of a type by any of its names, such as `int4`, `integer`, `pg_catalog.int4[]` or `_int4`.
pub(crate) fn by_name(name: &str) -> Option<i64> {
    let bare = name.trim();
    let bare = bare.strip_prefix("pg_catalog.").unwrap_or(bare);
    if let Some(element) = bare.strip_suffix("[]") {
        return by_name(element).map(array_of);
    }
    // What is in quotes is a name of the catalog, and no word of SQL: `"char"`.
    if let Some(quoted) = bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return TYPES.iter().find(|base| base.name == quoted).map(|base| base.oid);
    }
    let bare = bare.split('(').next().unwrap_or_default().trim().to_lowercase();
    let alias = match bare.as_str() {
        "int" => "int4",
        "decimal" | "dec" => "numeric",
        "char" => "bpchar",
        "float" => "float8",
        other => other,
    };
    let known = TYPES.iter().find(|base| base.name == alias || base.title == alias).map(|base| base.oid);
    known.or_else(|| {
        let element = alias.strip_prefix('_')?;
        TYPES.iter().find(|base| base.name == element && base.array != 0).map(|base| base.array)
    })
}

/// Bytes, alignment, storage and collation of a type, as columns of it have them.
pub(super) struct Layout {
    pub length: i64,
    pub by_value: bool,
    pub align: String,
    pub storage: String,
    pub collation: i64,
}

pub(super) fn layout(oid: i64) -> Layout {
    let (base, array) = find(oid).or_else(|| find(TEXT)).unwrap_or((&TYPES[0], false));
    let letter = |at: usize| base.letters.get(at..=at).unwrap_or_default().to_owned();
    let collation = match base.oid {
        TEXT | VARCHAR | BPCHAR | 194 => oids::COLLATION,
        NAME => 950,
        _ => 0,
    };
    if array {
        let align = if base.letters.as_bytes().get(2) == Some(&b'd') { "d" } else { "i" };
        return Layout { length: -1, by_value: false, align: align.into(), storage: "x".into(), collation };
    }
    let by_value = matches!(base.length, 1 | 2 | 4 | 8);
    Layout { length: base.length, by_value, align: letter(2), storage: letter(3), collation }
}

/// What stands in a row of `pg_type` beside the layout.
struct Said<'a> {
    oid: i64,
    name: &'a str,
    namespace: i64,
    category: &'a str,
    kind: &'a str,
    preferred: bool,
    relation: i64,
    element: i64,
    array: i64,
    functions: [i64; 4],
}

fn push(rows: &mut Rows, said: &Said<'_>, layout: Layout) {
    let [input, output, receive, send] = said.functions;
    rows.push([
        ("oid", said.oid.into()),
        ("typname", said.name.into()),
        ("typnamespace", said.namespace.into()),
        ("typowner", oids::OWNER.into()),
        ("typlen", layout.length.into()),
        ("typbyval", layout.by_value.into()),
        ("typtype", said.kind.into()),
        ("typcategory", said.category.into()),
        ("typispreferred", said.preferred.into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typrelid", said.relation.into()),
        ("typelem", said.element.into()),
        ("typarray", said.array.into()),
        ("typinput", input.into()),
        ("typoutput", output.into()),
        ("typreceive", receive.into()),
        ("typsend", send.into()),
        ("typalign", layout.align.into()),
        ("typstorage", layout.storage.into()),
        ("typtypmod", (-1_i64).into()),
        ("typcollation", layout.collation.into()),
    ]);
}

/// Types that others are turned into first.
const PREFERRED: &[&str] = &["bool", "text", "oid", "float8", "timestamptz", "interval"];

/// The type of what is in a vector, or of the letters of a name.
fn element(base: &Base) -> i64 {
    match base.name {
        "int2vector" => named("int2"),
        "oidvector" => named("oid"),
        "name" => CHAR,
        _ => 0,
    }
}

pub(super) fn rows(directory: &Directory) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_TYPE);
    for base in TYPES {
        let letter = |at: usize| base.letters.get(at..=at).unwrap_or_default();
        let own = Said {
            oid: base.oid,
            name: base.name,
            namespace: oids::PG_CATALOG,
            category: letter(0),
            kind: letter(1),
            preferred: PREFERRED.contains(&base.name),
            relation: 0,
            element: element(base),
            array: base.array,
            functions: base.functions,
        };
        push(&mut rows, &own, layout(base.oid));
        if base.array != 0 {
            let name = format!("_{}", base.name);
            let (kind, category) = if base.name == "record" { ("p", "P") } else { ("b", "A") };
            let functions = OF_ARRAYS;
            let (oid, element) = (base.array, base.oid);
            let array =
                Said { oid, name: &name, kind, category, preferred: false, element, array: 0, functions, ..own };
            push(&mut rows, &array, layout(base.array));
        }
    }
    for relation in directory.relations().filter(|relation| relation.has_row_type()) {
        let (oid, array) = (relation.oid + oids::ROW_TYPE, relation.oid + oids::ROW_ARRAY);
        let own = Said {
            oid,
            name: &relation.name,
            namespace: relation.schema,
            category: "C",
            kind: "c",
            preferred: false,
            relation: relation.oid,
            element: 0,
            array,
            functions: OF_ROWS,
        };
        let layout = || Layout { length: -1, by_value: false, align: "d".into(), storage: "x".into(), collation: 0 };
        push(&mut rows, &own, layout());
        let name = format!("_{}", relation.name);
        let of_arrays = Said {
            oid: array,
            name: &name,
            category: "A",
            kind: "b",
            relation: 0,
            element: oid,
            array: 0,
            functions: OF_ARRAYS,
            ..own
        };
        push(&mut rows, &of_arrays, layout());
    }
    rows.finish()
}
