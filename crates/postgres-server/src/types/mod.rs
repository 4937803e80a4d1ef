//! PostgreSQL's types: which one a column of Arrow's is, and their values in text and in binary.

pub(crate) mod encode;
pub(crate) mod numeric;
pub(crate) mod parameters;
pub(crate) mod text;

use arrow::datatypes::{DataType, Field, Schema};
use polder_capability::{CATALOG_TYPE, ORIGIN};
use polder_types::{Error, Result};

use crate::wire::frontend::broken;

/// Where Arrow keeps the name of a type that is more than its layout, and that of JSON.
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.json");

/// Where a column of a table keeps its type as declared, such as `varchar(10)`.
const DECLARED: &str = "polder:declared";

/// What the length of a text, and precision and scale of a number, are moved by in a type's modifier.
const MODIFIER_OFFSET: i32 = 4;

/// A type that is no array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Bool,
    Bytea,
    Int8,
    Int2,
    Int4,
    Text,
    Json,
    Float4,
    Float8,
    Bpchar,
    Varchar,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Numeric,
    Uuid,
    Jsonb,
    Oid,
    /// A name of the catalog.
    Name,
    /// A single letter.
    Char,
    /// Numbers with blanks between them, counted from 0.
    Int2vector,
    Oidvector,
}

/// Of each type: it, its OID, that of its array, its bytes (-1: as many as it takes), and its name in SQL.
const BASES: &[(Base, u32, u32, i16, &str)] = &[
    (Base::Bool, 16, 1000, 1, "boolean"),
    (Base::Bytea, 17, 1001, -1, "bytea"),
    (Base::Int8, 20, 1016, 8, "bigint"),
    (Base::Int2, 21, 1005, 2, "smallint"),
    (Base::Int4, 23, 1007, 4, "integer"),
    (Base::Text, 25, 1009, -1, "text"),
    (Base::Json, 114, 199, -1, "json"),
    (Base::Float4, 700, 1021, 4, "real"),
    (Base::Float8, 701, 1022, 8, "double precision"),
    (Base::Bpchar, 1042, 1014, -1, "text"),
    (Base::Varchar, 1043, 1015, -1, "text"),
    (Base::Date, 1082, 1182, 4, "date"),
    (Base::Time, 1083, 1183, 8, "time"),
    (Base::Timestamp, 1114, 1115, 8, "timestamp"),
    (Base::Timestamptz, 1184, 1185, 8, "timestamptz"),
    (Base::Interval, 1186, 1187, 16, "interval"),
    (Base::Numeric, 1700, 1231, -1, "numeric"),
    (Base::Uuid, 2950, 2951, 16, "uuid"),
    (Base::Jsonb, 3802, 3807, -1, "jsonb"),
    (Base::Oid, 26, 1028, 4, "bigint"),
    (Base::Name, 19, 1003, 64, "text"),
    (Base::Char, 18, 1002, 1, "text"),
    (Base::Int2vector, 22, 1006, -1, "smallint[]"),
    (Base::Oidvector, 30, 1013, -1, "bigint[]"),
];

/// Types of parameters that are the same as another one here: references to things of the catalog, by their names.
const SAME_AS: &[(u32, Base)] = &[
    (24, Base::Text),
    (2202, Base::Text),
    (2205, Base::Text),
    (2206, Base::Text),
    (4089, Base::Text),
    (4096, Base::Text),
];

/// What a function gives that gives nothing: drivers send one for the value that a call answers.
pub(crate) const VOID: u32 = 2278;

/// Of no type yet.
pub(crate) const UNKNOWN: &[u32] = &[0, 705];

/// A type: a base, or an array of it in any number of dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub base: Base,
    pub array: bool,
}

impl Kind {
    const fn one(base: Base) -> Self {
        Self { base, array: false }
    }

    pub(crate) fn text() -> Self {
        Self::one(Base::Text)
    }

    pub(crate) fn element(self) -> Self {
        Self::one(self.base)
    }

    fn row(self) -> (u32, u32, i16, &'static str) {
        let found = BASES.iter().find(|(base, ..)| *base == self.base);
        // The list has all of them.
        found.map_or((25, 1009, -1, "text"), |(_, oid, array, size, name)| (*oid, *array, *size, *name))
    }

    pub(crate) fn oid(self) -> u32 {
        let (oid, array, ..) = self.row();
        if self.array { array } else { oid }
    }

    /// Bytes of each value; -1 if they differ.
    pub(crate) fn size(self) -> i16 {
        if self.array { -1 } else { self.row().2 }
    }

    /// Its name in SQL.
    pub(crate) fn name(self) -> String {
        let name = self.row().3;
        if self.array { format!("{name}[]") } else { name.to_owned() }
    }

    /// # Errors
    /// `Unsupported` for a type that is not known.
    pub(crate) fn of_oid(oid: u32) -> Result<Self> {
        let alone = BASES.iter().find(|(_, own, ..)| *own == oid).map(|(base, ..)| Self::one(*base));
        let array = || {
            let found = BASES.iter().find(|(_, _, array, ..)| *array == oid);
            found.map(|(base, ..)| Self { base: *base, array: true })
        };
        let same = || SAME_AS.iter().find(|(own, _)| *own == oid).map(|(_, base)| Self::one(*base));
        alone.or_else(array).or_else(same).ok_or_else(|| {
            Error::unsupported(format!("parameters of the type with OID {oid} are not supported"))
                .with_hint("send it as text, and cast it in the statement")
        })
    }

    pub(crate) fn of(field: &Field) -> Self {
        let meta = |key: &str| field.metadata().get(key).map(String::as_str);
        let is_json = meta(EXTENSION.0) == Some(EXTENSION.1);
        let is_text = matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
        // A cast keeps what is said of its source, so the layout must be that of the type.
        let fits = |base: &Base| match base {
            Base::Name | Base::Char => is_text,
            Base::Int2vector | Base::Oidvector => field.data_type().is_nested(),
            _ => field.data_type().is_integer(),
        };
        if let Some(base) = meta(CATALOG_TYPE).and_then(Self::of_catalog).filter(fits) {
            return Self::one(base);
        }
        // A list says itself what its items are of.
        let item =
            meta(CATALOG_TYPE).and_then(|name| name.strip_suffix("[]")).filter(|_| field.data_type().is_nested());
        if let Some(base) = item.and_then(Self::of_array) {
            return Self { base, array: true };
        }
        match meta(DECLARED) {
            _ if !is_text => Self::of_type(field.data_type()),
            Some("json") => Self::one(Base::Json),
            Some("jsonb") => Self::one(Base::Jsonb),
            _ if is_json => Self::one(Base::Jsonb),
            Some(text) if text.starts_with("varchar(") => Self::one(Base::Varchar),
            Some(text) if text.starts_with("char(") => Self::one(Base::Bpchar),
            _ => Self::of_type(field.data_type()),
        }
    }

    /// A type of PostgreSQL's catalog by its name.
    fn of_catalog(name: &str) -> Option<Base> {
        Some(match name {
            "oid" => Base::Oid,
            "name" => Base::Name,
            "char" => Base::Char,
            "int2vector" => Base::Int2vector,
            "oidvector" => Base::Oidvector,
            _ => return None,
        })
    }

    /// What an array is of, by the name of its items' type.
    fn of_array(item: &str) -> Option<Base> {
        match item {
            "json" => Some(Base::Json),
            "jsonb" => Some(Base::Jsonb),
            other => Self::of_catalog(other),
        }
    }

    fn of_type(data_type: &DataType) -> Self {
        use DataType as D;
        Self::one(match data_type {
            D::Boolean => Base::Bool,
            D::Int8 | D::Int16 | D::UInt8 => Base::Int2,
            D::Int32 | D::UInt16 => Base::Int4,
            D::Int64 | D::UInt32 => Base::Int8,
            D::Float16 | D::Float32 => Base::Float4,
            D::Float64 => Base::Float8,
            D::UInt64 | D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => Base::Numeric,
            D::FixedSizeBinary(16) => Base::Uuid,
            D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => Base::Bytea,
            D::Date32 | D::Date64 => Base::Date,
            D::Time32(_) | D::Time64(_) => Base::Time,
            D::Timestamp(_, None) => Base::Timestamp,
            D::Timestamp(_, Some(_)) => Base::Timestamptz,
            D::Interval(_) | D::Duration(_) => Base::Interval,
            D::Dictionary(_, value) => return Self::of_type(value),
            D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => {
                return Self { base: Self::of(item).base, array: true };
            }
            // Texts, rows, and what has no value.
            _ => Base::Text,
        })
    }
}

/// How values are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    Binary,
}

impl Format {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    fn of(code: i16) -> Result<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            other => Err(broken(format!("{other} is no format of values"))),
        }
    }

    /// The formats of some things: of none text, of one it for all, otherwise one for each.
    ///
    /// # Errors
    /// `InvalidInput` (08P01) when there are too few or too many.
    pub(crate) fn of_each(codes: &[i16], count: usize) -> Result<Vec<Self>> {
        match codes {
            [] => Ok(vec![Self::Text; count]),
            [code] => Ok(vec![Self::of(*code)?; count]),
            codes if codes.len() == count => codes.iter().map(|code| Self::of(*code)).collect(),
            codes => Err(broken(format!("{} formats are given for {count} values", codes.len()))),
        }
    }
}

/// A column of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub kind: Kind,
    /// The length of a text, or precision and scale of a number; -1 if there is none.
    pub modifier: i32,
    /// The object id of the table and the number of the column there that this one is, as it is; zeros if it is none.
    pub origin: (u32, i16),
}

impl Column {
    pub(crate) fn all(schema: &Schema) -> Vec<Self> {
        schema.fields().iter().map(|field| Self::of(field)).collect()
    }

    /// Characters that its values have at least.
    pub(crate) fn width(&self) -> usize {
        match (self.kind.base, self.kind.array) {
            (Base::Bpchar, false) => usize::try_from(self.modifier - MODIFIER_OFFSET).unwrap_or(0),
            _ => 0,
        }
    }

    fn of(field: &Field) -> Self {
        let kind = Kind::of(field);
        let length = field
            .metadata()
            .get(DECLARED)
            .and_then(|declared| declared.split_once('(')?.1.strip_suffix(')')?.parse::<i32>().ok());
        let modifier = match (kind.base, kind.array, field.data_type()) {
            (Base::Varchar | Base::Bpchar, false, _) => length.map_or(-1, |length| length + MODIFIER_OFFSET),
            (Base::Numeric, false, number) => digits(number),
            (Base::Numeric, true, DataType::List(item)) => digits(item.data_type()),
            _ => -1,
        };
        let origin = field.metadata().get(ORIGIN).and_then(|origin| {
            let (table, number) = origin.split_once('.')?;
            Some((table.parse().ok()?, number.parse().ok()?))
        });
        Self { name: field.name().clone(), kind, modifier, origin: origin.unwrap_or_default() }
    }
}

/// Precision and scale of a number as a modifier; 38 digits are what a number without any has.
fn digits(number: &DataType) -> i32 {
    match number {
        DataType::Decimal128(precision, scale) if *precision < 38 => {
            ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + MODIFIER_OFFSET
        }
        _ => -1,
    }
}

#[cfg(test)]
mod tests;
