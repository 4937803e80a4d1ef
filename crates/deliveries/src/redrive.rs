//! Rejected records, delivered once more.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use polder_capability::deliveries::{Redriven, RejectedRecord};
use polder_capability::schemas::{ValueDecoder, framed_schema_id};
use polder_capability::topics::topic_schema;
use polder_kernels::json::Json;
use polder_kernels::json::bytes::{of_bytes, spelled_of_bytes, text};
use polder_kernels::json::normal::normal;
use polder_types::{Error, Result};

use crate::JobDeliveries;
use crate::outlet::Outlet;
use crate::stored::Stored;

/// Records of one lot, and bytes of their keys and values.
const RECORDS_MAX: u32 = 5_000;
const BYTES_MAX: u64 = 16 << 20;

/// Readers of values by the ids of their schemas.
type Decoders = HashMap<i32, Option<Arc<dyn ValueDecoder>>>;

impl JobDeliveries {
    pub(crate) async fn redrive_all(&self, stored: &Stored) -> Result<Redriven> {
        let stored = self.with_secrets(stored.clone()).await?;
        let outlet = Outlet::open(self, stored.clone())?;
        // What is rejected again is told by a later time, and so is not taken up again.
        let before = self.now();
        let (mut redriven, mut decoders) = (Redriven::default(), Decoders::new());
        loop {
            let records = self.tables()?.rejected(&stored.definition, before, None, RECORDS_MAX, BYTES_MAX).await?;
            if records.is_empty() {
                return Ok(redriven);
            }
            self.find_decoders(&records, &mut decoders).await?;
            let keys = records.iter().map(RejectedRecord::row_key).collect();
            let rows = as_rows(&records, &decoders, stored.definition.wants_spelled())?;
            let delivered = outlet.deliver(self, vec![rows], Vec::new(), keys, Vec::new()).await?;
            let count = records.len() as u64;
            redriven.read += count;
            redriven.rejected += delivered.rejected;
            redriven.delivered += count - delivered.rejected.min(count);
        }
    }

    /// Looks up the schemas that records say they were written by.
    async fn find_decoders(&self, records: &[RejectedRecord], decoders: &mut Decoders) -> Result<()> {
        decoders.clear();
        let bytes = records.iter().flat_map(|record| record.key.iter().chain(&record.value));
        let mut ids: Vec<i32> = bytes.filter_map(|bytes| framed_schema_id(bytes)).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            decoders.insert(id, self.schemas.decoder(id).await?);
        }
        Ok(())
    }
}

/// What a registered schema makes of bytes. Those that are none of the schema's begin like that by chance.
fn decoded(bytes: &[u8], decoders: &Decoders) -> Option<String> {
    let decoder = decoders.get(&framed_schema_id(bytes)?)?.as_ref()?;
    decoder.decode(bytes).ok()
}

/// A key as a topic's table shows it.
fn key_of(bytes: &[u8], decoders: &Decoders) -> Option<String> {
    match decoded(bytes, decoders) {
        Some(json) => Some(match Json::parse(&json) {
            Ok(Json::Text(text)) => text,
            _ => json,
        }),
        None => text(bytes).map(str::to_owned),
    }
}

/// A value as a topic's table shows it, or as it is spelled.
fn value_of(bytes: &[u8], decoders: &Decoders, spelled: bool) -> Option<String> {
    match decoded(bytes, decoders) {
        Some(json) if spelled => Some(json),
        Some(json) => Some(normal(&json).map_or_else(|| json.clone(), Cow::into_owned)),
        None if spelled => spelled_of_bytes(bytes).map(Cow::into_owned),
        None => of_bytes(bytes).map(Cow::into_owned),
    }
}

/// Rejected records as rows of their topic's table.
fn as_rows(records: &[RejectedRecord], decoders: &Decoders, spelled: bool) -> Result<RecordBatch> {
    let key = |record: &RejectedRecord| record.key.as_deref().and_then(|key| key_of(key, decoders));
    let value = |value: &[u8]| value_of(value, decoders, spelled);
    let headers = |record: &RejectedRecord| Some(record.headers.clone().unwrap_or_else(|| "{}".to_owned()));
    let times = records.iter().map(|record| record.timestamp.saturating_mul(1_000)).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(records.iter().map(|record| record.partition).collect::<Int32Array>()),
        Arc::new(records.iter().map(|record| record.offset).collect::<Int64Array>()),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(records.iter().map(key).collect::<StringViewArray>()),
        Arc::new(records.iter().map(headers).collect::<StringViewArray>()),
        Arc::new(records.iter().map(|record| record.value.as_deref().and_then(value)).collect::<StringViewArray>()),
        Arc::new(records.iter().map(|record| record.key.as_deref()).collect::<BinaryViewArray>()),
        Arc::new(records.iter().map(|record| record.value.as_deref()).collect::<BinaryViewArray>()),
    ];
    RecordBatch::try_new(topic_schema(), columns).map_err(|error| Error::internal(error.to_string()))
}
