//! The text of a schema as types.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{AvroSchema, Field, Meaning, Name, Names, Type, TypeId, defaults};

/// Reads schemas that refer to each other: first those that others refer to.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    types: Vec<Type>,
    names: Names,
}

type Parsed<T> = Result<T, String>;

impl Parser {
    /// Reads a schema whose types others may name.
    pub fn add(&mut self, json: &Value) -> Parsed<TypeId> {
        self.read(json, "", "schema")
    }

    /// The schema whose values begin at `root`.
    pub fn finish(self, root: TypeId) -> AvroSchema {
        AvroSchema { types: self.types, root }
    }

    fn push(&mut self, of: Type) -> TypeId {
        self.types.push(of);
        self.types.len() - 1
    }

    /// `at`: where in the schema, for people.
    fn read(&mut self, json: &Value, namespace: &str, at: &str) -> Parsed<TypeId> {
        match json {
            Value::String(name) => self.named(name, namespace, at),
            Value::Array(branches) => self.union(branches, namespace, at),
            Value::Object(object) => self.object(object, namespace, at),
            _ => Err(format!("{at}: a type is a name, a list or an object, not {json}")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str, at: &str) -> Parsed<TypeId> {
        if let Some(primitive) = primitive(name, Meaning::Plain) {
            return Ok(self.push(primitive));
        }
        let full = full_name(name, namespace);
        let known = self.names.get(&full).or_else(|| self.names.get(name));
        known.copied().ok_or_else(|| format!("{at}: there is no type \"{full}\""))
    }

    fn union(&mut self, branches: &[Value], namespace: &str, at: &str) -> Parsed<TypeId> {
        let mut read = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for (number, branch) in branches.iter().enumerate() {
            let at = format!("{at}[{number}]");
            let id = self.read(branch, namespace, &at)?;
            let key = match self.types.get(id) {
                Some(Type::Union(_)) => return Err(format!("{at}: a union cannot contain a union")),
                Some(Type::Record { name, .. } | Type::Enum { name, .. } | Type::Fixed { name, .. }) => {
                    name.full.clone()
                }
                Some(Type::Unfinished) => format!("#{id}"),
                Some(other) => format!("{:?}", std::mem::discriminant(other)),
                None => return Err(format!("{at}: there is no such type")),
            };
            if !seen.insert(key) {
                return Err(format!("{at}: the union has this type twice"));
            }
            read.push(id);
        }
        Ok(self.push(Type::Union(read)))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, at: &str) -> Parsed<TypeId> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // A type in a type: nothing else of it counts.
            Some(nested @ (Value::Object(_) | Value::Array(_))) => return self.read(nested, namespace, at),
            _ => return Err(format!("{at}: the object has no \"type\"")),
        };
        match kind {
            "record" | "error" => self.record(object, namespace, at),
            "enum" => self.enumeration(object, namespace, at),
            "fixed" => self.fixed(object, namespace, at),
            "array" => {
                let items = object.get("items").ok_or_else(|| format!("{at}: the array has no \"items\""))?;
                let items = self.read(items, namespace, &format!("{at}.items"))?;
                Ok(self.push(Type::Array(items)))
            }
            "map" => {
                let values = object.get("values").ok_or_else(|| format!("{at}: the map has no \"values\""))?;
                let values = self.read(values, namespace, &format!("{at}.values"))?;
                Ok(self.push(Type::Map(values)))
            }
            name => match primitive(name, meaning(object, None)) {
                Some(primitive) => Ok(self.push(primitive)),
                None => self.named(name, namespace, at),
            },
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str, at: &str) -> Parsed<TypeId> {
        let (name, namespace) = read_name(object, namespace, at)?;
        let id = self.declare(&name, at)?;
        let Some(Value::Array(list)) = object.get("fields") else {
            return Err(format!("{at}: the record \"{}\" has no \"fields\"", name.full));
        };
        let mut fields = Vec::with_capacity(list.len());
        let mut defaults = Vec::new();
        let mut seen = HashSet::new();
        for field in list {
            let Value::Object(field) = field else { return Err(format!("{at}: a field is an object, not {field}")) };
            let Some(Value::String(field_name)) = field.get("name") else {
                return Err(format!("{at}: a field of \"{}\" has no name", name.full));
            };
            let at = format!("{}.{field_name}", name.full);
            if !is_word(field_name) {
                return Err(format!("{at}: a field cannot have this name"));
            }
            if !seen.insert(field_name.as_str()) {
                return Err(format!("{at}: the record has this field twice"));
            }
            let of = field.get("type").ok_or_else(|| format!("{at}: the field has no \"type\""))?;
            let of = self.read(of, &namespace, &at)?;
            if let Some(default) = field.get("default") {
                defaults.push((of, default, at));
            }
            fields.push(Field {
                name: field_name.clone(),
                aliases: texts(field.get("aliases")),
                of,
                has_default: field.contains_key("default"),
            });
        }
        self.define(id, Type::Record { name, fields });
        // Now that types which contain themselves are whole.
        for (of, default, at) in defaults {
            if !defaults::fits(&self.types, of, default) {
                return Err(format!("{at}: the default {default} is no value of the field's type"));
            }
        }
        Ok(id)
    }

    fn enumeration(&mut self, object: &Map<String, Value>, namespace: &str, at: &str) -> Parsed<TypeId> {
        let (name, _) = read_name(object, namespace, at)?;
        let id = self.declare(&name, at)?;
        let Some(Value::Array(_)) = object.get("symbols") else {
            return Err(format!("{at}: the enum \"{}\" has no \"symbols\"", name.full));
        };
        let symbols = texts(object.get("symbols"));
        let mut seen = HashSet::new();
        if let Some(symbol) = symbols.iter().find(|symbol| !is_word(symbol) || !seen.insert(symbol.as_str())) {
            return Err(format!("{at}: the enum \"{}\" cannot have the symbol \"{symbol}\", or not twice", name.full));
        }
        let default = object.get("default").and_then(Value::as_str).map(str::to_owned);
        if let Some(default) = &default
            && !symbols.contains(default)
        {
            return Err(format!("{at}: the default \"{default}\" is no symbol of the enum \"{}\"", name.full));
        }
        self.define(id, Type::Enum { name, symbols, default });
        Ok(id)
    }

    fn fixed(&mut self, object: &Map<String, Value>, namespace: &str, at: &str) -> Parsed<TypeId> {
        let (name, _) = read_name(object, namespace, at)?;
        let id = self.declare(&name, at)?;
        let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| format!("{at}: the fixed \"{}\" has no \"size\"", name.full))?;
        let meaning = meaning(object, Some(size));
        self.define(id, Type::Fixed { name, size, meaning });
        Ok(id)
    }

    /// A place for a type that its own parts may name.
    fn declare(&mut self, name: &Name, at: &str) -> Parsed<TypeId> {
        let id = self.push(Type::Unfinished);
        if self.names.insert(name.full.clone(), id).is_some() {
            return Err(format!("{at}: there is a type \"{}\" already", name.full));
        }
        Ok(id)
    }

    fn define(&mut self, id: TypeId, of: Type) {
        if let Some(place) = self.types.get_mut(id) {
            *place = of;
        }
    }
}

fn primitive(name: &str, meaning: Meaning) -> Option<Type> {
    use Meaning::{Date, Decimal, LocalTimestamp, Plain, Time, Timestamp};
    // A meaning that does not go with the type is none.
    let only = |allowed: fn(Meaning) -> bool| if allowed(meaning) { meaning } else { Plain };
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int(only(|meaning| matches!(meaning, Date | Time(1_000)))),
        "long" => Type::Long(only(|meaning| matches!(meaning, Time(1_000_000) | Timestamp(_) | LocalTimestamp(_)))),
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes(only(|meaning| matches!(meaning, Decimal { .. }))),
        // What a text means changes nothing: a uuid's is its own.
        "string" => Type::String,
        _ => return None,
    })
}

/// The meaning that a type declares. `size`: of a fixed type. Unknown ones, and those that cannot be, are none: so the
/// specification says.
fn meaning(object: &Map<String, Value>, size: Option<usize>) -> Meaning {
    let number = |key: &str| object.get(key).and_then(Value::as_u64);
    match object.get("logicalType").and_then(Value::as_str) {
        Some("decimal") => {
            let (precision, scale) = (number("precision").unwrap_or(0), number("scale").unwrap_or(0));
            match u32::try_from(scale) {
                Ok(scale) if precision > 0 && u64::from(scale) <= precision && precision <= 1000 => {
                    Meaning::Decimal { scale }
                }
                _ => Meaning::Plain,
            }
        }
        Some("date") => Meaning::Date,
        Some("time-millis") => Meaning::Time(1_000),
        Some("time-micros") => Meaning::Time(1_000_000),
        Some("timestamp-millis") => Meaning::Timestamp(1_000),
        Some("timestamp-micros") => Meaning::Timestamp(1_000_000),
        Some("timestamp-nanos") => Meaning::Timestamp(1_000_000_000),
        Some("local-timestamp-millis") => Meaning::LocalTimestamp(1_000),
        Some("local-timestamp-micros") => Meaning::LocalTimestamp(1_000_000),
        Some("local-timestamp-nanos") => Meaning::LocalTimestamp(1_000_000_000),
        Some("uuid") if size.is_none() || size == Some(16) => Meaning::Uuid,
        Some("duration") if size == Some(12) => Meaning::Duration,
        _ => Meaning::Plain,
    }
}

/// The name that an object declares, and the namespace of what is in it.
fn read_name(object: &Map<String, Value>, namespace: &str, at: &str) -> Parsed<(Name, String)> {
    let Some(Value::String(name)) = object.get("name") else { return Err(format!("{at}: the type has no \"name\"")) };
    let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let full = full_name(name, namespace);
    if !full.split('.').all(is_word) || primitive(&full, Meaning::Plain).is_some() {
        return Err(format!("{at}: a type cannot have the name \"{full}\""));
    }
    let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    let aliases = texts(object.get("aliases")).iter().map(|alias| full_name(alias, &inner)).collect();
    Ok((Name { full, aliases }, inner))
}

/// A name with the namespace that it stands in. One with a dot has its own.
pub(super) fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.strip_prefix('.').unwrap_or(name).to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
