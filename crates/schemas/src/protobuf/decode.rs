//! Values in Protobuf's binary form as JSON.

use std::io;

use prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor, SerializeOptions};

use super::ProtobufFile;
use crate::decoded::{DecodeError, zigzag};
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
        let options = SerializeOptions::new()
            .stringify_64_bit_integers(false)
            .use_proto_field_name(true)
            .skip_default_fields(false);
        let mut bounded = Bounded(Vec::new());
        let mut serializer = serde_json::Serializer::new(&mut bounded);
        match message.serialize_with_options(&mut serializer, &options) {
            Ok(()) => String::from_utf8(bounded.0).map_err(|error| DecodeError::wrong(error.to_string())),
            Err(error) if error.is_io() => Err(DecodeError::too_large()),
            Err(error) => Err(DecodeError::wrong(format!("the message has no form in JSON: {error}"))),
        }
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
