//! Protobuf: files, what they are to each other, and values as JSON.

mod compatibility;
mod decode;
mod file;

pub(crate) use compatibility::differences;
pub(crate) use decode::Decoder;
pub(crate) use file::ProtobufFile;

#[cfg(test)]
mod tests;
