//! The planner's sinks, as COPY … TO wants them. In JSON what is missing is a `null`, so that it comes back as missing and
//! not as a default, and what is not is none: NaN and infinities are strings. In CSV two columns may have one name.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::common::file_options::json_writer::JsonWriterOptions;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::file_format::csv::CsvSink;
use datafusion::datasource::file_format::json::JsonSink;
use datafusion::datasource::file_format::write::BatchSerializer;
use datafusion::datasource::file_format::write::demux::DemuxedStreamReceiver;
use datafusion::datasource::file_format::write::orchestration::spawn_writer_tasks_and_join;
use datafusion::datasource::physical_plan::{FileSink, FileSinkConfig};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use object_store::ObjectStore;
use polder_capability::json::FloatsInFull;

use super::names_out::restore;

/// The plan of a COPY … TO with its own sink, if it writes JSON or CSV; any other as it is.
pub(super) fn with_own_sink(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let Some(exec) = plan.downcast_ref::<DataSinkExec>() else { return plan };
    let sink: Arc<dyn DataSink> = if let Some(json) = exec.sink().downcast_ref::<JsonSink>() {
        Arc::new(NullsSink { config: json.config().clone(), options: json.writer_options().clone() })
    } else if let Some(csv) = exec.sink().downcast_ref::<CsvSink>() {
        Arc::new(NamesSink(CsvSink::new(csv.config().clone(), csv.writer_options().clone())))
    } else {
        return plan;
    };
    Arc::new(DataSinkExec::new(Arc::clone(exec.input()), sink, exec.sort_order().clone()))
}

/// The planner's sink of CSV, given the names of columns as they shall be written.
#[derive(Debug)]
struct NamesSink(CsvSink);

impl DisplayAs for NamesSink {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(format, f)
    }
}

#[async_trait]
impl DataSink for NamesSink {
    fn schema(&self) -> &SchemaRef {
        DataSink::schema(&self.0)
    }

    async fn write_all(&self, data: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        DataSink::write_all(&self.0, restore(data), context).await
    }
}

/// The planner's sink of JSON, but for how a batch becomes text.
#[derive(Debug)]
struct NullsSink {
    config: FileSinkConfig,
    options: JsonWriterOptions,
}

struct Lines;

impl BatchSerializer for Lines {
    fn serialize(&self, batch: RecordBatch, _initial: bool) -> Result<Bytes> {
        let mut buffer = Vec::with_capacity(4096);
        let builder = WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(FloatsInFull));
        let mut writer = builder.build::<_, LineDelimited>(&mut buffer);
        writer.write(&batch)?;
        writer.finish()?;
        Ok(Bytes::from(buffer))
    }
}

impl DisplayAs for NullsSink {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonSink(file={})", self.config.original_url)
    }
}

#[async_trait]
impl FileSink for NullsSink {
    fn config(&self) -> &FileSinkConfig {
        &self.config
    }

    async fn spawn_writer_tasks_and_join(
        &self,
        context: &Arc<TaskContext>,
        demux_task: SpawnedTask<Result<()>>,
        file_stream_rx: DemuxedStreamReceiver,
        object_store: Arc<dyn ObjectStore>,
    ) -> Result<u64> {
        spawn_writer_tasks_and_join(
            context,
            Arc::new(Lines),
            self.options.compression.into(),
            self.options.compression_level,
            object_store,
            demux_task,
            file_stream_rx,
        )
        .await
    }
}

#[async_trait]
impl DataSink for NullsSink {
    fn schema(&self) -> &SchemaRef {
        self.config.output_schema()
    }

    async fn write_all(&self, data: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        FileSink::write_all(self, data, context).await
    }
}
