//! Avro: schemas, what they are to each other, and values as JSON.

mod compatibility;
mod decode;
mod defaults;
mod normal;
mod parse;

use std::collections::HashMap;

pub(crate) use compatibility::differences;
pub(crate) use decode::Decoder;
pub(crate) use normal::{normalize, resolve};
pub(crate) use parse::Parser;

/// The place of a type in its schema. Types that contain themselves are places that are named again.
pub(crate) type TypeId = usize;

/// A schema: its types, and the one that values are of.
#[derive(Debug, Clone)]
pub(crate) struct AvroSchema {
    pub types: Vec<Type>,
    pub root: TypeId,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    /// Named, and not yet read to its end.
    Unfinished,
    Null,
    Boolean,
    Int(Meaning),
    Long(Meaning),
    Float,
    Double,
    Bytes(Meaning),
    String,
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record {
        name: Name,
        fields: Vec<Field>,
    },
    Enum {
        name: Name,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        name: Name,
        size: usize,
        meaning: Meaning,
    },
}

/// What a value means beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Plain,
    Decimal {
        scale: u32,
    },
    Date,
    /// Parts of a second: 1,000, 1,000,000, ….
    Time(i64),
    Timestamp(i64),
    /// Of no time zone.
    LocalTimestamp(i64),
    Uuid,
    Duration,
}

/// The name of a type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Name {
    /// With its namespace.
    pub full: String,
    /// Full as well.
    pub aliases: Vec<String>,
}

impl Name {
    /// Without the namespace.
    pub fn short(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub name: String,
    pub aliases: Vec<String>,
    pub of: TypeId,
    pub has_default: bool,
}

impl AvroSchema {
    pub fn get(&self, id: TypeId) -> &Type {
        // Places come from the parser, which has filled each of them.
        self.types.get(id).unwrap_or(&Type::Unfinished)
    }

    /// As people know it.
    pub fn kind(&self, id: TypeId) -> &'static str {
        match self.get(id) {
            Type::Unfinished => "nothing",
            Type::Null => "null",
            Type::Boolean => "boolean",
            Type::Int(_) => "int",
            Type::Long(_) => "long",
            Type::Float => "float",
            Type::Double => "double",
            Type::Bytes(_) => "bytes",
            Type::String => "string",
            Type::Array(_) => "array",
            Type::Map(_) => "map",
            Type::Union(_) => "union",
            Type::Record { .. } => "record",
            Type::Enum { .. } => "enum",
            Type::Fixed { .. } => "fixed",
        }
    }
}

/// Types by their full names.
pub(crate) type Names = HashMap<String, TypeId>;

#[cfg(test)]
mod tests;
