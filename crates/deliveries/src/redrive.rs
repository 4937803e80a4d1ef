//! Rejected records, delivered once more.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use polder_capability::deliveries::{Redriven, RejectedRecord};
use polder_capability::topics::topic_schema;
use polder_kernels::json::bytes::{of_bytes, text};
use polder_types::{Error, Result};

use crate::JobDeliveries;
use crate::outlet::Outlet;
use crate::stored::Stored;

/// Records of one lot, and bytes of their keys and values.
const RECORDS_MAX: u32 = 5_000;
const BYTES_MAX: u64 = 16 << 20;

impl JobDeliveries {
    pub(crate) async fn redrive_all(&self, stored: &Stored) -> Result<Redriven> {
        let stored = self.with_secrets(stored.clone()).await?;
        let outlet = Outlet::open(self, stored.clone())?;
        // What is rejected again is told by a later time, and so is not taken up again.
        let before = self.now();
        let mut redriven = Redriven::default();
        loop {
            let records = self.tables()?.rejected(&stored.definition, before, None, RECORDS_MAX, BYTES_MAX).await?;
            if records.is_empty() {
                return Ok(redriven);
            }
            let keys = records.iter().map(RejectedRecord::row_key).collect();
            let delivered = outlet.deliver(self, vec![as_rows(&records)?], Vec::new(), keys, Vec::new()).await?;
            let count = records.len() as u64;
            redriven.read += count;
            redriven.rejected += delivered.rejected;
            redriven.delivered += count - delivered.rejected.min(count);
        }
    }
}

/// Rejected records as rows of their topic's table.
fn as_rows(records: &[RejectedRecord]) -> Result<RecordBatch> {
    let key = |record: &RejectedRecord| record.key.as_deref().and_then(text).map(str::to_owned);
    let times = records.iter().map(|record| record.timestamp.saturating_mul(1_000)).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(records.iter().map(|record| record.partition).collect::<Int32Array>()),
        Arc::new(records.iter().map(|record| record.offset).collect::<Int64Array>()),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(records.iter().map(key).collect::<StringViewArray>()),
        Arc::new(records.iter().map(|_| Some("{}")).collect::<StringViewArray>()),
        Arc::new(records.iter().map(|record| record.value.as_deref().and_then(of_bytes)).collect::<StringViewArray>()),
        Arc::new(records.iter().map(|record| record.key.as_deref()).collect::<BinaryViewArray>()),
        Arc::new(records.iter().map(|record| record.value.as_deref()).collect::<BinaryViewArray>()),
    ];
    RecordBatch::try_new(topic_schema(), columns).map_err(|error| Error::internal(error.to_string()))
}
