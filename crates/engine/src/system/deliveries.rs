//! `polder.deliveries`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, Schema};
use polder_capability::deliveries::DeliveryStatus;
use polder_types::Result;

use super::jobs::{ints, texts, times};
use super::{int, text, time};
use crate::authz::Who;
use crate::engine::Engine;

pub(super) fn schema() -> Schema {
    Schema::new(vec![
        text("delivery_name", false),
        text("owner", false),
        text("topic", false),
        text("target_kind", false),
        text("target", false),
        text("transform", true),
        int("buffer_bytes", false),
        int("buffer_seconds", false),
        text("partition_by", true),
        text("errors_into", false),
        text("state", false),
        int("lag_records", true),
        Field::new("lag_seconds", DataType::Float64, true),
        int("records", false),
        int("bytes", false),
        int("rejected", false),
        int("lost", false),
        Field::new("records_per_second", DataType::Float64, false),
        int("buffered_bytes", false),
        int("held_bytes", true),
        int("held_bytes_max", true),
        time("created_at", false),
        time("last_delivery_at", true),
        text("last_error", true),
        time("last_error_at", true),
        time("next_attempt_at", true),
        text("run_id", true),
    ])
}

fn floats(all: &[DeliveryStatus], of: impl Fn(&DeliveryStatus) -> Option<f64>) -> ArrayRef {
    Arc::new(all.iter().map(of).collect::<Float64Array>())
}

/// Those whose owner's rights somebody has.
pub(super) async fn rows(engine: &Engine, who: &Who) -> Result<Vec<ArrayRef>> {
    let mut all = match engine.deliveries() {
        Ok(deliveries) => deliveries.list().await?,
        // A program without any.
        Err(_) => Vec::new(),
    };
    all.retain(|delivery| who.has_named(&delivery.definition.owner));
    let all = all.as_slice();
    Ok(vec![
        texts(all, |delivery| Some(delivery.definition.name.clone())),
        texts(all, |delivery| Some(delivery.definition.owner.clone())),
        texts(all, |delivery| Some(delivery.definition.topic.clone())),
        texts(all, |delivery| Some(delivery.definition.target.kind())),
        texts(all, |delivery| Some(delivery.definition.target.place())),
        texts(all, |delivery| delivery.definition.transform.clone()),
        ints(all, |delivery| Some(delivery.definition.buffer.bytes)),
        ints(all, |delivery| Some(delivery.definition.buffer.seconds)),
        texts(all, |delivery| {
            let parts = &delivery.definition.partition_by;
            (!parts.is_empty()).then(|| parts.join(", "))
        }),
        texts(all, |delivery| Some(delivery.definition.errors_table().to_string())),
        texts(all, |delivery| Some(delivery.state.name())),
        ints(all, |delivery| delivery.lag_records),
        #[expect(clippy::cast_precision_loss, reason = "a lag in seconds")]
        floats(all, |delivery| delivery.lag_ms.map(|lag| lag as f64 / 1_000.0)),
        ints(all, |delivery| Some(delivery.counts.records)),
        ints(all, |delivery| Some(delivery.counts.bytes)),
        ints(all, |delivery| Some(delivery.counts.rejected)),
        ints(all, |delivery| Some(delivery.counts.lost)),
        floats(all, |delivery| Some(delivery.counts.records_per_second)),
        ints(all, |delivery| Some(delivery.buffered_bytes)),
        ints(all, |delivery| delivery.held_bytes),
        ints(all, |delivery| delivery.definition.held_bytes_max),
        times(all, |delivery| Some(delivery.created_at)),
        times(all, |delivery| delivery.last_delivery_at),
        texts(all, |delivery| delivery.last_error.as_ref().map(|error| error.message.clone())),
        times(all, |delivery| delivery.last_error_at),
        times(all, |delivery| delivery.next_attempt_at),
        texts(all, |delivery| delivery.run.map(|run| run.to_string())),
    ])
}
