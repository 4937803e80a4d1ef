//! Values in Protobuf's binary form as JSON.

use std::fmt::Write as _;
use std::io;

use prost_reflect::{
    DynamicMessage, FileDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, SerializeOptions, Value,
};

use super::ProtobufFile;
use crate::decoded::{DecodeError, Text, zigzag};
use crate::limits::{DECODED_BYTES_MAX, DECODED_DEPTH_MAX};

/// Reads values of one file's messages.
///
/// JSON as Protobuf maps it, with two differences: fields go by the names that the file has, and integers of 64 bits are
/// numbers. Fields that are not set are left out if the file can tell that they are not, and have their zero otherwise.
#[derive(Debug)]
pub(crate) struct Decoder(FileDescriptor);

impl Decoder {
    pub fn new(file: &ProtobufFile) -> Option<Self> {
        file.descriptor().map(Self)
    }

    /// `value`: the way to the message within the file, and the message.
    pub fn decode(&self, value: &[u8]) -> Result<String, DecodeError> {
        let mut rest = value;
        let descriptor = self.find(&mut rest)?;
        let message = DynamicMessage::decode(descriptor, rest)
            .map_err(|error| DecodeError::wrong(format!("the message cannot be read: {error}")))?;
        let mut text = Text::new();
        write_message(&mut text, &message, 0)?;
        Ok(text.finish())
    }

    /// The message that a list of places names: the first among those of the file, the next ones within it. An empty list is
    /// the first message.
    fn find(&self, bytes: &mut &[u8]) -> Result<MessageDescriptor, DecodeError> {
        let count = usize::try_from(zigzag(bytes)?).ok().filter(|count| *count <= DECODED_DEPTH_MAX);
        let count = count.ok_or_else(|| DecodeError::wrong("the way to the message is too long"))?;
        let unknown = || DecodeError::wrong("the schema has no such message");
        let place = |bytes: &mut &[u8]| zigzag(bytes).map(|place| usize::try_from(place).unwrap_or(usize::MAX));
        let first = if count == 0 { 0 } else { place(bytes)? };
        let mut message = self.0.messages().nth(first).ok_or_else(unknown)?;
        for _ in 1..count {
            let place = place(bytes)?;
            let inner = message.child_messages().nth(place).ok_or_else(unknown)?;
            message = inner;
        }
        Ok(message)
    }
}

/// Types that Google has given a form of their own: times, structs, wrappers.
const WELL_KNOWN: &str = "google.protobuf.";

fn write_message(text: &mut Text, message: &DynamicMessage, depth: usize) -> Result<(), DecodeError> {
    let depth = text.deeper(depth)?;
    let descriptor = message.descriptor();
    if descriptor.full_name().starts_with(WELL_KNOWN) {
        return write_well_known(text, message);
    }
    text.raw("{")?;
    let mut is_first = true;
    let mut name = |text: &mut Text, name: &str| {
        if !std::mem::take(&mut is_first) {
            text.raw(",")?;
        }
        text.string(name)?;
        text.raw(":")
    };
    for field in descriptor.fields() {
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        name(text, field.name())?;
        write_value(text, &message.get_field(&field), &field.kind(), depth)?;
    }
    for (extension, value) in message.extensions() {
        name(text, extension.json_name())?;
        write_value(text, value, &extension.kind(), depth)?;
    }
    text.raw("}")
}

fn write_value(text: &mut Text, value: &Value, kind: &Kind, depth: usize) -> Result<(), DecodeError> {
    match value {
        Value::Bool(value) => text.raw(if *value { "true" } else { "false" }),
        Value::I32(value) => text.raw(&value.to_string()),
        Value::I64(value) => text.raw(&value.to_string()),
        Value::U32(value) => text.raw(&value.to_string()),
        Value::U64(value) => text.raw(&value.to_string()),
        Value::F32(value) => text.float(f64::from(*value), |text| write!(text, "{value:?}")),
        Value::F64(value) => text.float(*value, |text| write!(text, "{value:?}")),
        Value::String(value) => text.string(value),
        Value::Bytes(value) => text.base64(value),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(of) if of.full_name() == "google.protobuf.NullValue" => text.raw("null"),
            Kind::Enum(of) => match of.get_value(*number) {
                Some(known) => text.string(known.name()),
                None => text.raw(&number.to_string()),
            },
            _ => text.raw(&number.to_string()),
        },
        Value::Message(message) => write_message(text, message, depth),
        Value::List(values) => {
            text.raw("[")?;
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    text.raw(",")?;
                }
                write_value(text, value, kind, depth)?;
            }
            text.raw("]")
        }
        Value::Map(values) => {
            let of = match kind {
                Kind::Message(entry) if entry.is_map_entry() => entry.map_entry_value_field().kind(),
                _ => return Err(DecodeError::wrong("the schema has another type than the value")),
            };
            // In order, so that the same bytes are always the same text.
            let mut entries: Vec<_> = values.iter().map(|(key, value)| (key_text(key), value)).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            text.raw("{")?;
            for (number, (key, value)) in entries.into_iter().enumerate() {
                if number > 0 {
                    text.raw(",")?;
                }
                text.string(&key)?;
                text.raw(":")?;
                write_value(text, value, &of, depth)?;
            }
            text.raw("}")
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn write_well_known(text: &mut Text, message: &DynamicMessage) -> Result<(), DecodeError> {
    let options =
        SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true).skip_default_fields(false);
    let mut bounded = Bounded(Vec::new());
    let mut serializer = serde_json::Serializer::new(&mut bounded);
    match message.serialize_with_options(&mut serializer, &options) {
        Ok(()) => {
            let written = String::from_utf8(bounded.0).map_err(|error| DecodeError::wrong(error.to_string()))?;
            text.raw(&written)
        }
        Err(error) if error.is_io() => Err(DecodeError::too_large()),
        Err(error) => Err(DecodeError::wrong(format!("the message has no form in JSON: {error}"))),
    }
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > DECODED_BYTES_MAX {
            return Err(io::Error::other("too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
