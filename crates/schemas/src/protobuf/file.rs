//! A file with those that it imports.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};
use prost_reflect::{DescriptorPool, FileDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};

/// The name of a schema's own file, which nobody imports.
const OWN_NAME: &str = "_schema_.proto";

/// A file, and all that it imports.
#[derive(Debug, Clone)]
pub(crate) struct ProtobufFile {
    pool: DescriptorPool,
    proto: FileDescriptorProto,
}

/// Files by the names by which they are imported.
struct Imports(HashMap<String, String>);

impl FileResolver for Imports {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let text = self.0.get(name).ok_or_else(|| Error::file_not_found(name))?;
        open(name, text)
    }
}

/// Reads a file's text, or its descriptor in base64, by which serializers bring it.
fn open(name: &str, text: &str) -> Result<File, Error> {
    let trimmed = text.trim();
    // No text of a file is base64: it has blanks and semicolons.
    match BASE64_STANDARD.decode(trimmed) {
        Ok(bytes) if !trimmed.is_empty() => {
            let mut proto = FileDescriptorProto::decode(bytes.as_slice()).map_err(Error::new)?;
            proto.name = Some(name.to_owned());
            Ok(File::from_file_descriptor_proto(proto))
        }
        _ => File::from_source(name, text),
    }
}

impl ProtobufFile {
    /// `imports`: files by their names. Google's well-known ones are there by themselves.
    pub fn new(text: &str, imports: HashMap<String, String>) -> Result<Self, String> {
        let mut files = imports;
        files.insert(OWN_NAME.to_owned(), text.to_owned());
        let mut resolver = ChainFileResolver::new();
        resolver.add(Imports(files));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file(OWN_NAME).map_err(|error| said(&error))?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(OWN_NAME).ok_or("the file is not among those that were read")?;
        let proto = file.file_descriptor_proto().clone();
        Ok(Self { pool, proto })
    }

    /// What was written, in a form that comments, blanks and ways of writing do not change.
    pub fn identity(&self) -> Vec<u8> {
        let mut proto = self.proto.clone();
        proto.name = None;
        proto.source_code_info = None;
        // The second version needs not be named.
        if proto.syntax.as_deref() == Some("proto2") {
            proto.syntax = None;
        }
        proto.message_type.iter_mut().for_each(forget_json_names);
        proto.encode_to_vec()
    }

    /// The descriptor in base64.
    pub fn serialized(&self) -> String {
        let mut proto = self.proto.clone();
        proto.name = Some("schema.proto".to_owned());
        proto.source_code_info = None;
        BASE64_STANDARD.encode(proto.encode_to_vec())
    }

    pub fn descriptor(&self) -> Option<FileDescriptor> {
        self.pool.get_file_by_name(OWN_NAME)
    }
}

/// Names of fields in JSON are told by some compilers, and made by others.
fn forget_json_names(message: &mut DescriptorProto) {
    for field in message.field.iter_mut().chain(&mut message.extension) {
        let usual = json_name(field.name());
        if field.json_name.as_deref() == Some(usual.as_str()) {
            field.json_name = None;
        }
    }
    message.nested_type.iter_mut().for_each(forget_json_names);
}

/// The name of a field in JSON, unless another is declared.
fn json_name(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    let mut rises = false;
    for letter in name.chars() {
        if letter == '_' {
            rises = true;
        } else {
            written.push(if rises { letter.to_ascii_uppercase() } else { letter });
            rises = false;
        }
    }
    written
}

/// Bytes that are told of an error: it may quote a name that is as long as the file.
const SAID_BYTES_MAX: usize = 400;

/// An error with what is behind it, on one line.
fn said(error: &Error) -> String {
    let text = format!("{error:?}");
    let line: Vec<&str> = text.split_whitespace().collect();
    let mut line = line.join(" ").replace(OWN_NAME, "the schema");
    if line.len() > SAID_BYTES_MAX {
        line.truncate(line.floor_char_boundary(SAID_BYTES_MAX));
        line.push('…');
    }
    line
}
