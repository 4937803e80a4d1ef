//! Readers of values, kept by the ids of their schemas.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use polder_capability::schemas::{FRAME_BYTES, ValueDecoder, ValueSchemas};
use polder_types::{Error, ErrorKind, Result};

use crate::StoredSchemas;
use crate::parsed::SchemaValues;

/// Readers that are kept: more schemas than are in use at a time, and not so many that large ones fill the memory.
const KEPT_MAX: usize = 256;

/// The readers that were asked for last. A schema never changes, so that they are right for ever.
#[derive(Default)]
pub(crate) struct Decoders(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_id: HashMap<i32, (u64, Arc<dyn ValueDecoder>)>,
    /// Counts what is asked.
    turn: u64,
}

impl Decoders {
    fn get(&self, id: i32) -> Option<Arc<dyn ValueDecoder>> {
        let mut kept = self.0.lock();
        kept.turn += 1;
        let turn = kept.turn;
        let (last, decoder) = kept.by_id.get_mut(&id)?;
        *last = turn;
        Some(Arc::clone(decoder))
    }

    fn keep(&self, id: i32, decoder: &Arc<dyn ValueDecoder>) {
        let mut kept = self.0.lock();
        let turn = kept.turn;
        if kept.by_id.len() >= KEPT_MAX
            && let Some(oldest) = kept.by_id.iter().min_by_key(|(_, (last, _))| *last).map(|(id, _)| *id)
        {
            kept.by_id.remove(&oldest);
        }
        kept.by_id.insert(id, (turn, Arc::clone(decoder)));
    }

    /// Of schemas that are deleted for good.
    pub fn forget_all(&self) {
        self.0.lock().by_id.clear();
    }
}

/// The reader of the values of one schema.
struct Framed(SchemaValues);

impl ValueDecoder for Framed {
    fn decode(&self, value: &[u8]) -> Result<String> {
        let value = value.get(FRAME_BYTES..).ok_or_else(|| Error::invalid("the value ends before its schema's id"))?;
        Ok(self.0.decode(value)?)
    }
}

#[async_trait]
impl ValueSchemas for StoredSchemas {
    async fn decoder(&self, id: i32) -> Result<Option<Arc<dyn ValueDecoder>>> {
        if let Some(decoder) = self.decoders.get(id) {
            return Ok(Some(decoder));
        }
        let Some(row) = self.metastore.schemas().schema(i64::from(id)).await? else { return Ok(None) };
        let unreadable = |why: String| Error::new(ErrorKind::Corrupt, format!("the schema {id} cannot be read: {why}"));
        let source = self.source_of(row).await.map_err(|failure| unreadable(failure.message))?;
        let parsed = tokio::task::spawn_blocking(move || source.parse())
            .await
            .map_err(|error| Error::internal(format!("reading the schema {id} died")).with_source(error))?;
        let values = parsed.map_err(unreadable)?.decoder();
        let values = values.ok_or_else(|| unreadable("it has no values".to_owned()))?;
        let decoder: Arc<dyn ValueDecoder> = Arc::new(Framed(values));
        self.decoders.keep(id, &decoder);
        Ok(Some(decoder))
    }
}
