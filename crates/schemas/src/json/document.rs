//! A schema's document with those that it refers to.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// A schema, and the documents that its `$ref`s name.
#[derive(Debug, Clone)]
pub(crate) struct JsonSchema {
    pub root: Document,
    documents: HashMap<String, Document>,
}

/// A document, and what within it goes by a name of its own.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub value: Value,
    /// Where those are that have an anchor.
    anchors: HashMap<String, String>,
    /// The addresses of those that have one, the document's first.
    ids: Vec<String>,
}

impl Document {
    fn new(value: Value) -> Self {
        let (mut anchors, mut ids) = (HashMap::new(), Vec::new());
        index(&value, "", &mut anchors, &mut ids);
        Self { value, anchors, ids }
    }

    fn is_named(&self, name: &str) -> bool {
        self.value.get("$id").and_then(Value::as_str).is_some_and(|id| id == name)
    }
}

/// Finds what has a name of its own.
fn index(schema: &Value, at: &str, anchors: &mut HashMap<String, String>, ids: &mut Vec<String>) {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let id = text("$id").unwrap_or_default();
    if let Some(anchor) = text("$anchor").or_else(|| id.strip_prefix('#')) {
        anchors.insert(anchor.to_owned(), at.to_owned());
    } else if !id.is_empty() && ids.len() < IDS_MAX {
        ids.push(id.to_owned());
    }
    for (inner, place) in children(schema) {
        index(inner, &format!("{at}/{place}"), anchors, ids);
    }
}

/// Schemas within a document that have addresses of their own.
const IDS_MAX: usize = 100;

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// Keywords whose value is a schema, an object of schemas, a list of schemas.
const SCHEMA: [&str; 11] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
const SCHEMAS_BY_NAME: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
const SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose value is a count, a number, a text, a boolean.
const COUNTS: [&str; 8] =
    ["maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties", "maxContains", "minContains"];
const NUMBERS: [&str; 2] = ["maximum", "minimum"];
const TEXTS: [&str; 7] = ["$comment", "$id", "$ref", "$schema", "description", "pattern", "title"];

/// Schemas that stand for others, one after the other.
const REFS_MAX: usize = 32;

impl JsonSchema {
    /// Checks a schema's keywords. `documents`: those that it refers to, by the names by which it does.
    pub fn new(root: Value, documents: HashMap<String, Value>) -> Result<Self, String> {
        check(&root, "#")?;
        let documents = documents.into_iter().map(|(name, document)| (name, Document::new(document))).collect();
        let schema = Self { root: Document::new(root), documents };
        schema.check_refs(&schema.root.value, &schema.root)?;
        Ok(schema)
    }

    /// The schema that one stands for, and the document that it is in. `document`: the one that `schema` is in.
    pub fn follow<'a>(&'a self, schema: &'a Value, document: &'a Document) -> Option<(&'a Value, &'a Document)> {
        let (mut schema, mut document) = (schema, document);
        for _ in 0..REFS_MAX {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some((schema, document)) };
            (schema, document) = self.find(reference, document)?;
        }
        None
    }

    fn find<'a>(&'a self, reference: &str, document: &'a Document) -> Option<(&'a Value, &'a Document)> {
        let (name, place) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if name.is_empty() || document.is_named(name) {
            document
        } else if self.root.is_named(name) {
            &self.root
        } else {
            // By its name, or by the last part of an address that it was given within another.
            self.documents
                .get(name)
                .or_else(|| self.documents.values().find(|other| other.is_named(name)))
                .or_else(|| self.documents.get(name.rsplit('/').next()?))?
        };
        if place.is_empty() {
            return Some((&document.value, document));
        }
        let decoded = percent_decoded(place);
        let pointer = if place.starts_with('/') { &decoded } else { document.anchors.get(place)? };
        document.value.pointer(pointer).map(|found| (found, document))
    }

    fn check_refs(&self, schema: &Value, document: &Document) -> Result<(), String> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && self.follow(schema, document).is_none()
            && !within_embedded(document, reference)
        {
            return Err(format!("\"$ref\": \"{reference}\" is not there"));
        }
        each_schema(schema, &mut |inner, _| self.check_refs(inner, document))
    }
}

/// Pointers in addresses may have letters written as numbers.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a document has a schema within it that goes by this address.
fn within_embedded(document: &Document, reference: &str) -> bool {
    let name = reference.split('#').next().unwrap_or_default();
    let ends_so = |id: &String| id == name || id.strip_suffix(name).is_some_and(|start| start.ends_with('/'));
    !name.is_empty() && document.ids.iter().any(ends_so)
}

/// The schemas right within one, with their places.
fn children(schema: &Value) -> Vec<(&Value, String)> {
    let mut found = Vec::new();
    let Some(object) = schema.as_object() else { return found };
    for (key, value) in object {
        let name = key.as_str();
        if SCHEMA.contains(&name) || (name == "items" && !value.is_array()) {
            found.push((value, key.clone()));
        } else if SCHEMAS_BY_NAME.contains(&name) || name == "dependencies" {
            let inner = value.as_object().into_iter().flatten();
            // A dependency may be a list of names.
            found.extend(
                inner
                    .filter(|(_, value)| !value.is_array())
                    .map(|(name, value)| (value, format!("{key}/{}", name.replace('~', "~0").replace('/', "~1")))),
            );
        } else if SCHEMAS.contains(&name) || name == "items" {
            let inner = value.as_array().into_iter().flatten().enumerate();
            found.extend(inner.map(|(number, value)| (value, format!("{key}/{number}"))));
        }
    }
    found
}

fn each_schema(schema: &Value, visit: &mut dyn FnMut(&Value, &str) -> Result<(), String>) -> Result<(), String> {
    for (inner, place) in children(schema) {
        visit(inner, &place)?;
    }
    Ok(())
}

/// Whether a value is a schema: a boolean, or an object whose keywords have values of the right kind.
fn check(schema: &Value, at: &str) -> Result<(), String> {
    let object = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(object) => object,
        other => return Err(format!("{at}: a schema is an object or a boolean, not {other}")),
    };
    check_keywords(object, at)?;
    each_schema(schema, &mut |inner, place| check(inner, &format!("{at}/{place}")))
}

fn check_keywords(object: &Map<String, Value>, at: &str) -> Result<(), String> {
    for (key, value) in object {
        let key = key.as_str();
        let (is_right, wanted) = if SCHEMAS_BY_NAME.contains(&key) || key == "dependencies" {
            (value.is_object(), "an object of schemas")
        } else if SCHEMAS.contains(&key) {
            (value.as_array().is_some_and(|list| !list.is_empty()), "a list of schemas")
        } else if COUNTS.contains(&key) {
            (value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0), "a count")
        } else if NUMBERS.contains(&key) {
            (value.is_number(), "a number")
        } else if TEXTS.contains(&key) {
            (value.is_string(), "a text")
        } else {
            match key {
                // The fourth draft has a boolean, the later ones a number.
                "exclusiveMaximum" | "exclusiveMinimum" => (value.is_number() || value.is_boolean(), "a number"),
                "multipleOf" => (value.as_f64().is_some_and(|number| number > 0.0), "a number above 0"),
                "uniqueItems" => (value.is_boolean(), "a boolean"),
                "enum" => (value.is_array(), "a list"),
                // The third draft has a boolean in the property itself.
                "required" => (value.is_boolean() || is_texts(value), "a list of texts"),
                "type" => (is_type(value), "one of the seven types, or a list of them"),
                _ => continue,
            }
        };
        if !is_right {
            return Err(format!("{at}: \"{key}\" must be {wanted}"));
        }
    }
    Ok(())
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

fn is_type(value: &Value) -> bool {
    let is_one = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    is_one(value) || value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_one))
}
