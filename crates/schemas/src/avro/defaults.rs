//! Whether a default is a value of its type.

use serde_json::Value;

use super::{Type, TypeId};

/// Bytes are written as text whose letters are the bytes. A default of a union is of any of its branches.
pub(super) fn fits(types: &[Type], id: TypeId, value: &Value) -> bool {
    let Some(of) = types.get(id) else { return false };
    match of {
        // It is being read itself, so it cannot be said.
        Type::Unfinished => true,
        Type::Null => value.is_null(),
        Type::Boolean => value.is_boolean(),
        Type::Int(_) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Type::Long(_) => value.as_i64().is_some(),
        Type::Float | Type::Double => {
            value.is_number() || matches!(value.as_str(), Some("NaN" | "Infinity" | "-Infinity"))
        }
        Type::Bytes(_) => value.as_str().is_some_and(is_bytes),
        Type::String => value.is_string(),
        Type::Array(items) => value.as_array().is_some_and(|list| list.iter().all(|item| fits(types, *items, item))),
        Type::Map(values) => value.as_object().is_some_and(|map| map.values().all(|value| fits(types, *values, value))),
        Type::Union(branches) => branches.iter().any(|branch| fits(types, *branch, value)),
        Type::Record { fields, .. } => value.as_object().is_some_and(|object| {
            fields.iter().all(|field| match object.get(&field.name) {
                Some(value) => fits(types, field.of, value),
                None => field.has_default,
            })
        }),
        Type::Enum { symbols, .. } => value.as_str().is_some_and(|text| symbols.iter().any(|symbol| symbol == text)),
        Type::Fixed { size, .. } => value.as_str().is_some_and(|text| is_bytes(text) && text.chars().count() == *size),
    }
}

fn is_bytes(text: &str) -> bool {
    text.chars().all(|letter| u32::from(letter) < 256)
}
