//! Values that were written by a registered schema, as JSON.

use std::sync::Arc;

use async_trait::async_trait;
use polder_types::Result;

/// Bytes before a value that was written by a registered schema: a zero and the schema's id, most significant byte first.
/// In Protobuf the way to the message within its file follows.
pub const FRAME_BYTES: usize = 5;

/// The id of the schema by which a value says that it was written. `None`: it does not say. Looks at five bytes.
#[must_use]
#[inline]
pub fn framed_schema_id(value: &[u8]) -> Option<i32> {
    let [0, a, b, c, d, ..] = value else { return None };
    let id = i32::from_be_bytes([*a, *b, *c, *d]);
    (id > 0).then_some(id)
}

/// Reads values of one schema. It looks at nothing but memory.
pub trait ValueDecoder: Send + Sync {
    /// A whole value, with its first five bytes, as one JSON text.
    ///
    /// # Errors
    /// `InvalidInput` for a value that is none of this schema's, `TooLarge` for one whose text would go beyond all measure.
    fn decode(&self, value: &[u8]) -> Result<String>;
}

/// Who knows how to read values. Ask for each id once for many values: [`framed_schema_id`] tells which there are.
#[async_trait]
pub trait ValueSchemas: Send + Sync {
    /// The reader of a schema's values. Those that were asked for last are kept in memory. `None`: no schema has this id, so
    /// that the bytes are something else and begin like that by chance.
    ///
    /// # Errors
    /// Those of the store.
    async fn decoder(&self, id: i32) -> Result<Option<Arc<dyn ValueDecoder>>>;
}
