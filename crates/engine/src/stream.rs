//! An answer's batches on their way out: counted, cut at the limit, stopped when cancelled, and recorded at the end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, Stream, StreamExt};
use polder_types::{Error, Result};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::error::from_datafusion;
use crate::record::{Recorder, Running};

/// Times with a zone, shown in the session's.
pub(crate) fn in_zone(
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
    zone: &str,
) -> (SchemaRef, SendableRecordBatchStream) {
    let zone: Arc<str> = zone.into();
    let given = rows.schema();
    if !given.fields().iter().any(|field| shown(field.data_type(), &zone).is_some()) {
        return (schema, rows);
    }
    let fields: Vec<_> = given
        .fields()
        .iter()
        .map(|field| match shown(field.data_type(), &zone) {
            Some(shown) => Arc::new(field.as_ref().clone().with_data_type(shown)),
            None => Arc::clone(field),
        })
        .collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, given.metadata().clone()));
    let own = Arc::clone(&schema);
    let batches = rows.map(move |batch| {
        let batch = batch?;
        let columns = batch.columns().iter().zip(own.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&own), columns)?)
    });
    (Arc::clone(&schema), Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

/// A type in the session's zone; none if nothing of it is a time in another one.
fn shown(data_type: &DataType, zone: &Arc<str>) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, Some(own)) if own == zone => None,
        DataType::Timestamp(_, Some(_)) => Some(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)))),
        DataType::List(item) => {
            let inner = shown(item.data_type(), zone)?;
            Some(DataType::List(Arc::new(item.as_ref().clone().with_data_type(inner))))
        }
        _ => None,
    }
}

pub(crate) struct Tracked {
    inner: Option<SendableRecordBatchStream>,
    running: Arc<Running>,
    recorder: Arc<Recorder>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    left: Option<u64>,
    /// The transaction that an error spoils.
    spoiled: Option<Arc<AtomicBool>>,
    /// Dropped before its end it has been read far enough: a cursor that is closed.
    closable: bool,
}

impl Tracked {
    pub fn new(
        inner: SendableRecordBatchStream,
        running: Arc<Running>,
        recorder: Arc<Recorder>,
        row_limit: Option<u64>,
        spoiled: Option<Arc<AtomicBool>>,
    ) -> Self {
        let cancelled = Box::pin(running.token.clone().cancelled_owned());
        Self { inner: Some(inner), running, recorder, cancelled, left: row_limit, spoiled, closable: false }
    }

    /// As a cursor, which may be closed early.
    pub fn closable(mut self) -> Self {
        self.closable = true;
        self
    }

    fn end(&mut self, error: Option<&Error>) {
        if let (Some(spoiled), Some(_)) = (&self.spoiled, error) {
            spoiled.store(true, Ordering::Relaxed);
        }
        self.recorder.end(&self.running, error);
        // Dropping the stream stops the tasks below it.
        self.inner = None;
    }
}

impl Stream for Tracked {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.inner.is_some() && this.cancelled.poll_unpin(context).is_ready() {
            let error = Error::cancelled();
            this.end(Some(&error));
            return Poll::Ready(Some(Err(error)));
        }
        if this.left == Some(0) {
            this.end(None);
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match inner.as_mut().poll_next(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                this.end(None);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(mut batch))) => {
                if let Some(left) = &mut this.left {
                    let keep = usize::try_from(*left).unwrap_or(usize::MAX).min(batch.num_rows());
                    batch = batch.slice(0, keep);
                    *left -= keep as u64;
                }
                this.running.returned(batch.num_rows());
                Poll::Ready(Some(Ok(batch)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = from_datafusion(error);
                this.end(Some(&error));
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.inner.is_some() && self.closable && !self.running.token.is_cancelled() {
            self.end(None);
        } else if self.inner.is_some() {
            // Nobody knows how much of it was done: as after an error, only ROLLBACK is taken.
            let error = Error::cancelled();
            self.end(Some(&error));
        }
    }
}
