//! Forms of a schema's text: the normal one, and the one with all that it refers to in it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::parse::full_name;

/// The normal form: full names instead of namespaces, and primitive types by their bare names.
pub(crate) fn normalize(json: &Value) -> Value {
    write(json, "", &mut Definitions::default())
}

/// The schema with the types of `others` in the place where each is named first. `others`: those that it refers to. `None`:
/// it would be nested too deeply.
pub(crate) fn resolve(json: &Value, others: &[Value]) -> Option<Value> {
    let mut definitions = Definitions::default();
    for other in others {
        collect(&normalize(other), &mut definitions.by_name);
    }
    let resolved = write(json, "", &mut definitions);
    (!definitions.are_too_deep).then_some(resolved)
}

/// Types that are written out where they are named first.
#[derive(Debug, Default)]
struct Definitions {
    by_name: HashMap<String, Value>,
    /// How many of them the place that is being written is in.
    depth: usize,
    are_too_deep: bool,
}

/// Definitions within definitions. Each of them may be nested by itself.
const DEPTH_MAX: usize = 16;

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Named types of a schema in its normal form.
fn collect(json: &Value, into: &mut HashMap<String, Value>) {
    match json {
        Value::Array(branches) => branches.iter().for_each(|branch| collect(branch, into)),
        Value::Object(object) => {
            if let (Some(Value::String(name)), Some(Value::String(kind))) = (object.get("name"), object.get("type"))
                && matches!(kind.as_str(), "record" | "error" | "enum" | "fixed")
            {
                into.insert(name.clone(), json.clone());
            }
            for key in ["type", "items", "values"] {
                if let Some(inner) = object.get(key).filter(|inner| !inner.is_string()) {
                    collect(inner, into);
                }
            }
            for field in object.get("fields").and_then(Value::as_array).into_iter().flatten() {
                if let Some(of) = field.get("type") {
                    collect(of, into);
                }
            }
        }
        _ => {}
    }
}

fn write(json: &Value, namespace: &str, definitions: &mut Definitions) -> Value {
    match json {
        Value::String(name) if PRIMITIVES.contains(&name.as_str()) => json.clone(),
        Value::String(name) => {
            let full = full_name(name, namespace);
            let Some(definition) = definitions.by_name.remove(&full) else { return Value::String(full) };
            if definitions.depth >= DEPTH_MAX {
                definitions.are_too_deep = true;
                return Value::String(full);
            }
            definitions.depth += 1;
            let written = write(&definition, "", definitions);
            definitions.depth -= 1;
            written
        }
        Value::Array(branches) => {
            Value::Array(branches.iter().map(|branch| write(branch, namespace, definitions)).collect())
        }
        Value::Object(object) => write_object(object, namespace, definitions),
        other => other.clone(),
    }
}

fn write_object(object: &Map<String, Value>, namespace: &str, definitions: &mut Definitions) -> Value {
    let named = match object.get("type").and_then(Value::as_str) {
        Some("record" | "error" | "enum" | "fixed") => object.get("name").and_then(Value::as_str),
        _ => None,
    };
    let mut written = Map::new();
    let mut inner = namespace.to_owned();
    if let Some(name) = named {
        let declared = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = full_name(name, declared);
        // What others call it by now is itself.
        definitions.by_name.remove(&full);
        inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        written.insert("name".to_owned(), Value::String(full));
    }
    for (key, value) in object {
        let value = match key.as_str() {
            "name" | "namespace" if named.is_some() => continue,
            "type" if named.is_some() || value.as_str().is_some_and(|kind| matches!(kind, "array" | "map")) => {
                value.clone()
            }
            "type" | "items" | "values" => write(value, &inner, definitions),
            "fields" if named.is_some() => match value {
                Value::Array(fields) => {
                    Value::Array(fields.iter().map(|field| write_field(field, &inner, definitions)).collect())
                }
                other => other.clone(),
            },
            "aliases" if named.is_some() => match value {
                Value::Array(aliases) => {
                    let full = |alias: &Value| alias.as_str().map(|alias| Value::String(full_name(alias, &inner)));
                    Value::Array(aliases.iter().filter_map(full).collect())
                }
                other => other.clone(),
            },
            _ => value.clone(),
        };
        written.insert(key.clone(), value);
    }
    match written.remove("type") {
        // Nothing but a type: it stands for itself.
        Some(only) if written.is_empty() => only,
        Some(of) => {
            written.insert("type".to_owned(), of);
            Value::Object(written)
        }
        None => Value::Object(written),
    }
}

fn write_field(field: &Value, namespace: &str, definitions: &mut Definitions) -> Value {
    let Value::Object(field) = field else { return field.clone() };
    let write_one = |(key, value): (&String, &Value)| {
        let value = if key == "type" { write(value, namespace, definitions) } else { value.clone() };
        (key.clone(), value)
    };
    Value::Object(field.iter().map(write_one).collect())
}
