//! Schemas of what is in topics: registered under subjects, in versions, by which values are written and read.
//!
//! The rules are those of Confluent's registry, in neither its REST nor its numbers of errors. A *subject* is what versions
//! belong to, usually a topic's key or value: `page-views-value`. An *id* names a schema's text for ever and wherever it is
//! registered; it stands before each value that was written by it.

mod decode;
mod error;

pub use decode::{FRAME_BYTES, ValueDecoder, ValueSchemas, framed_schema_id};
pub use error::{SchemaError, SchemaFailure, SchemaResult};

use std::fmt;

use async_trait::async_trait;

use crate::Caller;

/// The language of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaKind {
    Avro,
    Json,
    Protobuf,
}

impl SchemaKind {
    pub const ALL: [Self; 3] = [Self::Json, Self::Protobuf, Self::Avro];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Another schema that one is made with, under the name by which it is spoken of there: the full name of a type in Avro, a
/// `$ref` in JSON, an import in Protobuf.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaReference {
    pub name: String,
    pub subject: String,
    pub version: i32,
}

/// A schema as it is brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub kind: SchemaKind,
    /// The schema's text; of Protobuf also a file's descriptor in base64.
    pub text: String,
    pub references: Vec<SchemaReference>,
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    pub subject: String,
    /// From 1.
    pub version: i32,
    /// From 1.
    pub id: i32,
    pub schema: Schema,
    pub is_deleted: bool,
}

/// Which version is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionChoice {
    Latest,
    Number(i32),
}

/// What versions of a subject are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compatibility {
    None,
    /// The new one reads what the last one wrote.
    Backward,
    /// The new one reads what any wrote.
    BackwardTransitive,
    /// The last one reads what the new one writes.
    Forward,
    ForwardTransitive,
    /// Both.
    Full,
    FullTransitive,
}

impl Compatibility {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// In capitals or not.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

/// What may be done with a subject's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegistryMode {
    ReadWrite,
    ReadOnly,
    /// Read only, whatever the subjects' own modes say.
    ReadOnlyOverride,
    /// Versions come with the ids and numbers that they have elsewhere, and are not compared.
    Import,
}

impl RegistryMode {
    const ALL: [Self; 4] = [Self::ReadWrite, Self::ReadOnly, Self::ReadOnlyOverride, Self::Import];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
        }
    }

    /// In capitals or not.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RegistryMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is set for a subject, or for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubjectConfig {
    pub compatibility: Option<Compatibility>,
    /// Whether schemas are put into a normal form before they are compared.
    pub normalizes: Option<bool>,
}

/// Deleted things are kept until they are deleted for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleted {
    #[default]
    Without,
    With,
    Only,
}

/// A schema to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchema {
    pub schema: Schema,
    /// The id that it has elsewhere, in the mode [`RegistryMode::Import`] only.
    pub id: Option<i32>,
    /// The number that it has elsewhere. In other modes it must be the next one.
    pub version: Option<i32>,
    pub normalizes: bool,
}

/// In which form a schema's text is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaForm {
    /// As it was brought.
    #[default]
    AsIs,
    /// With all that it refers to in it (Avro), or as a descriptor in base64 (Protobuf).
    Resolved,
    Serialized,
}

/// Schemas under subjects. Each change is durable when the call returns.
///
/// A subject that is named `<topic>-key` or `<topic>-value`, or as a topic, is reached by whoever may read that topic, and
/// changed by whoever may write to it. What somebody may not know of is not there for them.
#[async_trait]
pub trait SchemaRegistry: Send + Sync {
    /// Names, in order, of those that begin so.
    async fn subjects(&self, caller: &Caller, prefix: &str, deleted: Deleted) -> SchemaResult<Vec<String>>;

    /// Numbers, in order.
    async fn versions(&self, caller: &Caller, subject: &str, deleted: Deleted) -> SchemaResult<Vec<i32>>;

    async fn version(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        deleted: Deleted,
        form: SchemaForm,
    ) -> SchemaResult<SchemaVersion>;

    /// Ids of the schemas that refer to a version.
    async fn referenced_by(&self, caller: &Caller, subject: &str, version: VersionChoice) -> SchemaResult<Vec<i32>>;

    /// The version under which a subject has a schema.
    async fn look_up(
        &self,
        caller: &Caller,
        subject: &str,
        schema: Schema,
        normalizes: bool,
        deleted: Deleted,
    ) -> SchemaResult<SchemaVersion>;

    /// Gives a schema a version and an id, or the ones that it has.
    async fn register(&self, caller: &Caller, subject: &str, schema: NewSchema) -> SchemaResult<SchemaVersion>;

    /// Gives the number.
    async fn delete_version(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        permanent: bool,
    ) -> SchemaResult<i32>;

    /// Gives the numbers of what was deleted.
    async fn delete_subject(&self, caller: &Caller, subject: &str, permanent: bool) -> SchemaResult<Vec<i32>>;

    /// A schema by its id, as long as a version of a subject that the caller may read has it.
    async fn schema(&self, caller: &Caller, id: i32, form: SchemaForm) -> SchemaResult<Schema>;

    /// Subjects and versions of an id.
    async fn uses(&self, caller: &Caller, id: i32, deleted: Deleted) -> SchemaResult<Vec<(String, i32)>>;

    /// Versions of all subjects that begin so, by subject and number: `limit` of them after the first `offset`.
    async fn list(
        &self,
        caller: &Caller,
        prefix: &str,
        deleted: Deleted,
        latest_only: bool,
        page: Page,
    ) -> SchemaResult<Vec<SchemaVersion>>;

    /// What speaks against a schema as the next version: nothing, if the list is empty. `version`: compared with that one
    /// alone; `None`: with those that the subject's level asks for.
    async fn check(
        &self,
        caller: &Caller,
        subject: &str,
        version: Option<VersionChoice>,
        schema: Schema,
        normalizes: bool,
    ) -> SchemaResult<Vec<String>>;

    /// `subject`, here and below: `None` is all of them. `falls_back`: what holds for the subject, if it has nothing of its own.
    async fn config(&self, caller: &Caller, subject: Option<&str>, falls_back: bool) -> SchemaResult<SubjectConfig>;

    /// What is `None` stays. Gives what is set now.
    async fn set_config(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        config: SubjectConfig,
    ) -> SchemaResult<SubjectConfig>;

    /// Gives what was set.
    async fn delete_config(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<SubjectConfig>;

    async fn mode(&self, caller: &Caller, subject: Option<&str>, falls_back: bool) -> SchemaResult<RegistryMode>;

    /// `force`: change to [`RegistryMode::Import`] though there are schemas.
    async fn set_mode(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        mode: RegistryMode,
        force: bool,
    ) -> SchemaResult<RegistryMode>;

    /// Gives what was set.
    async fn delete_mode(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<RegistryMode>;
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub offset: usize,
    /// `None`: as many as the server gives at once.
    pub limit: Option<usize>,
}
