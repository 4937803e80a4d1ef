//! The registry of schemas: Avro, JSON Schema, Protobuf.
//!
//! `avro`, `json` and `protobuf` know their languages and nothing else: whether a text is a schema, whether one reads what
//! another wrote, and how a value becomes JSON. `registry` keeps subjects and versions in the metastore by the rules of
//! Confluent's registry. There is no lock: a change names the revision that it was decided on, and is decided anew if
//! another was faster.
//!
//! Avro and JSON Schema are read by our own hands: the crates that do it switch on features of others that DataFusion stands
//! on, and ours write JSON without values in between, within a bound.

mod avro;
mod decoded;
mod decoders;
mod json;
mod limits;
mod parsed;
mod protobuf;
mod registry;

use std::sync::Arc;

use decoders::Decoders;
use polder_capability::topics::TopicRights;
use polder_metastore::Metastore;

/// The registry, kept in the metastore. Implements [`SchemaRegistry`](polder_capability::schemas::SchemaRegistry) and
/// [`ValueSchemas`](polder_capability::schemas::ValueSchemas).
pub struct StoredSchemas {
    metastore: Arc<Metastore>,
    rights: Arc<dyn TopicRights>,
    decoders: Decoders,
}

impl StoredSchemas {
    /// `rights`: those on topics, which are those on their subjects.
    #[must_use]
    pub fn new(metastore: Arc<Metastore>, rights: Arc<dyn TopicRights>) -> Self {
        Self { metastore, rights, decoders: Decoders::default() }
    }
}
