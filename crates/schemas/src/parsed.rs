//! A schema that has been read, whatever its language.

use std::collections::HashMap;

use polder_capability::schemas::{SchemaKind, SchemaReference};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::avro::{self, AvroSchema, Parser};
use crate::decoded::DecodeError;
use crate::json::{self, JsonSchema};
use crate::protobuf::{self, ProtobufFile};

/// A schema's text and what it needs to be read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub kind: SchemaKind,
    pub text: String,
    pub references: Vec<SchemaReference>,
    /// What it refers to, those that refer to nothing first: the name by which it is referred to, and the text.
    pub resolved: Vec<(String, String)>,
}

/// A schema that has been read.
#[derive(Debug, Clone)]
pub(crate) enum Parsed {
    Avro(AvroSchema),
    Json(JsonSchema),
    Protobuf(Box<ProtobufFile>),
}

impl Source {
    /// Reads it. It may take a while for large ones.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(&self) -> Result<Parsed, String> {
        match self.kind {
            SchemaKind::Avro => {
                let mut parser = Parser::default();
                for (name, text) in &self.resolved {
                    parser.add(&json(text)?).map_err(|error| format!("the reference \"{name}\": {error}"))?;
                }
                let root = parser.add(&avro_json(&self.text)?)?;
                Ok(Parsed::Avro(parser.finish(root)))
            }
            SchemaKind::Json => {
                let mut documents = HashMap::new();
                for (name, text) in &self.resolved {
                    documents.insert(name.clone(), json(text)?);
                }
                JsonSchema::new(json(&self.text)?, documents).map(Parsed::Json)
            }
            SchemaKind::Protobuf => {
                let file = ProtobufFile::new(&self.text, self.resolved.iter().cloned().collect())?;
                Ok(Parsed::Protobuf(Box::new(file)))
            }
        }
    }

    /// Brings the text into its normal form.
    pub fn normalize(&mut self) -> Result<(), String> {
        self.references.sort_by(|a, b| (&a.name, &a.subject, a.version).cmp(&(&b.name, &b.subject, b.version)));
        self.references.dedup();
        let normal = match self.kind {
            SchemaKind::Avro => avro::normalize(&avro_json(&self.text)?),
            SchemaKind::Json => json(&self.text)?,
            // What is compared of it is the same however it was written.
            SchemaKind::Protobuf => return Ok(()),
        };
        self.text = sorted(&normal).to_string();
        Ok(())
    }

    /// The same for schemas that say the same: neither blanks nor the order of keys count.
    pub fn fingerprint(&self, parsed: &Parsed) -> Result<String, String> {
        let mut hash = Sha256::new();
        hash.update(self.kind.name());
        match parsed {
            Parsed::Protobuf(file) => hash.update(file.identity()),
            Parsed::Avro(_) => hash.update(sorted(&avro_json(&self.text)?).to_string()),
            Parsed::Json(_) => hash.update(sorted(&json(&self.text)?).to_string()),
        }
        for SchemaReference { name, subject, version } in &self.references {
            hash.update(format!("\0{name}\0{subject}\0{version}"));
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// An Avro schema with all that it refers to in it. `None`: it would be nested too deeply.
    pub fn resolved_avro(&self) -> Result<Option<String>, String> {
        let others = self.resolved.iter().map(|(_, text)| json(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(avro::resolve(&avro_json(&self.text)?, &others).map(|resolved| resolved.to_string()))
    }
}

impl Parsed {
    /// What keeps this one from reading what `old` wrote; nothing, if it can. An error if it would take too long to say.
    pub fn differences(&self, old: &Self) -> Result<Vec<String>, String> {
        match (self, old) {
            (Self::Avro(new), Self::Avro(old)) => avro::differences(new, old),
            (Self::Json(new), Self::Json(old)) => json::differences(new, old),
            (Self::Protobuf(new), Self::Protobuf(old)) => protobuf::differences(new, old),
            _ => Ok(vec!["TYPE_CHANGED: the versions before are of another language".to_owned()]),
        }
    }

    /// Reads what this one has written.
    pub fn decoder(self) -> Option<SchemaValues> {
        match self {
            Self::Avro(schema) => Some(SchemaValues::Avro(avro::Decoder::new(schema))),
            Self::Json(_) => Some(SchemaValues::Json),
            Self::Protobuf(file) => protobuf::Decoder::new(&file).map(SchemaValues::Protobuf),
        }
    }
}

/// Values of one schema.
#[derive(Debug)]
pub(crate) enum SchemaValues {
    Avro(avro::Decoder),
    Json,
    Protobuf(protobuf::Decoder),
}

impl SchemaValues {
    /// `value`: what follows the id.
    pub fn decode(&self, value: &[u8]) -> Result<String, DecodeError> {
        match self {
            Self::Avro(decoder) => decoder.decode(value),
            Self::Protobuf(decoder) => decoder.decode(value),
            Self::Json => {
                let wrong = |error: String| DecodeError::wrong(format!("the value is no JSON: {error}"));
                let text = std::str::from_utf8(value).map_err(|error| wrong(error.to_string()))?;
                serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| wrong(error.to_string()))?;
                Ok(text.to_owned())
            }
        }
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("the schema is no JSON: {error}"))
}

/// A type may be named without quotes.
fn avro_json(text: &str) -> Result<Value, String> {
    let word = text.trim();
    let is_name = word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if is_name { Ok(Value::String(word.to_owned())) } else { json(text) }
}

/// The same with the keys of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
