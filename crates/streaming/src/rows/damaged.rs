//! Records that cannot be read. Such are refused today; a log may have some from before.

use bytes::Bytes;
use polder_capability::topics::{DamagedRecords, TopicPart};
use polder_topic_log::format::{self, Batch, Passed};
use polder_topic_log::{Isolation, Log};
use polder_types::Result;

use super::read::READ_BYTES;
use super::{of_read, unknown};

/// The first batch of a part that cannot be read.
pub async fn first(log: &Log, part: &TopicPart) -> Result<Option<DamagedRecords>> {
    let (mut next, Some(to)) = (part.from, part.to) else { return Ok(None) };
    let number = u32::try_from(part.partition).map_err(|_| unknown(&part.topic))?;
    while next < to {
        let read = log.read(part.id, number, next, READ_BYTES, Isolation::Committed).await;
        let records = read.map_err(|error| of_read(&part.topic, error))?;
        let (mut passed, before) = (Passed::new(&records.aborted), next);
        for batch in records.batches.iter().flat_map(|bytes| format::batches(bytes)) {
            let header = batch.header();
            next = header.last_offset().saturating_add(1).max(next);
            if passed.over(&batch) || header.last_offset() < part.from {
                continue;
            }
            if header.base_offset >= to {
                return Ok(None);
            }
            if let Err(error) = check(&batch) {
                return Ok(Some(DamagedRecords {
                    first_offset: header.base_offset,
                    last_offset: header.last_offset(),
                    timestamp: header.max_timestamp,
                    batch: Bytes::copy_from_slice(batch.bytes()),
                    reason: error.message().to_owned(),
                }));
            }
        }
        if next == before {
            return Ok(None);
        }
    }
    Ok(None)
}

fn check(batch: &Batch<'_>) -> Result<()> {
    for record in &batch.unpack()? {
        let record = record?;
        if !record.headers.is_empty() {
            record.headers.to_vec()?;
        }
    }
    Ok(())
}
