//! Records that become the columns of one batch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, GenericByteViewBuilder, Int32Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{BinaryViewType, ByteViewType, SchemaRef, StringViewType};
use arrow::error::ArrowError;
use bytes::Bytes;
use polder_capability::schemas::{ValueDecoder, framed_schema_id};
use polder_capability::topics::columns;
use polder_kernels::json::bytes::{of_bytes, spelled_of_bytes, text};
use polder_kernels::json::normal::normal;
use polder_topic_log::format::{Headers, Record};
use polder_types::{Error, Result};

use super::text::{headers, key_of_json};

/// Rows of a batch.
const ROWS_MAX: usize = 8192;
/// Rows that are only counted, after which others have their turn.
const COUNTED_MAX: usize = 1 << 20;
/// Bytes of a batch's records.
const BYTES_MAX: usize = 4 << 20;
/// Records that make their bytes worth being kept for all of them; of fewer, the values are copied.
const SHARED_ROWS_MIN: usize = 16;
/// What a view holds itself.
const INLINE_BYTES: u32 = 12;
const NONE: u32 = u32::MAX;

/// Readers of values by the ids of their schemas; `None`: there is no such schema.
pub type Decoders = HashMap<i32, Option<Arc<dyn ValueDecoder>>>;

/// A part of a block.
#[derive(Debug, Clone, Copy)]
struct Span {
    at: u32,
    /// [`NONE`]: there is nothing.
    length: u32,
}

impl Span {
    const EMPTY: Self = Self { at: 0, length: NONE };

    fn of(block: &Bytes, part: Option<&[u8]>) -> Self {
        let Some(part) = part else { return Self::EMPTY };
        let at = part.as_ptr().addr().wrapping_sub(block.as_ptr().addr());
        match (u32::try_from(at), u32::try_from(part.len())) {
            (Ok(at), Ok(length)) => Self { at, length },
            // A batch is smaller.
            _ => Self::EMPTY,
        }
    }

    fn slice<'a>(&self, block: &'a Bytes) -> Option<&'a [u8]> {
        if self.length == NONE {
            return None;
        }
        let at = self.at as usize;
        block.get(at..at + self.length as usize)
    }
}

#[derive(Debug, Clone, Copy)]
struct Row {
    offset: i64,
    timestamp: i64,
    block: u32,
    key: Span,
    value: Span,
    headers: Span,
}

/// Bytes that rows are parts of.
#[derive(Debug)]
struct Block {
    bytes: Bytes,
    rows: usize,
}

/// What will be one batch.
#[derive(Debug, Default)]
pub struct Gathered {
    blocks: Vec<Block>,
    rows: Vec<Row>,
    bytes: usize,
    /// Rows that nothing is wanted of.
    counted: usize,
    /// Values stay as they are spelled.
    spelled: bool,
}

impl Gathered {
    /// Nothing yet. `spelled`: values will stay as they are spelled, and not get the form of `jsonb`.
    pub fn new(spelled: bool) -> Self {
        Self { spelled, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.counted == 0
    }

    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_MAX || self.bytes >= BYTES_MAX || self.counted >= COUNTED_MAX
    }

    /// Counts rows that no column is wanted of.
    pub fn count(&mut self, rows: usize) {
        self.counted += rows;
    }

    /// Begins with the records that lie in a block.
    pub fn begin(&mut self, block: &Bytes) {
        self.blocks.push(Block { bytes: block.clone(), rows: 0 });
    }

    /// Takes a record of the last block.
    pub fn push(&mut self, record: &Record<'_>) {
        let number = u32::try_from(self.blocks.len()).unwrap_or(NONE).saturating_sub(1);
        let Some(block) = self.blocks.last_mut() else { return };
        block.rows += 1;
        let headers = record.headers.bytes();
        let parts = [record.key, record.value].map(|part| part.map_or(0, <[u8]>::len));
        self.bytes += parts.iter().sum::<usize>() + headers.len();
        self.rows.push(Row {
            offset: record.offset,
            timestamp: record.timestamp,
            block: number,
            key: Span::of(&block.bytes, record.key),
            value: Span::of(&block.bytes, record.value),
            headers: Span::of(&block.bytes, Some(headers)),
        });
    }

    /// Takes records of which only this is wanted. Gives the first offset that there was no room for.
    pub fn push_bare(&mut self, offsets: std::ops::Range<i64>, timestamp: i64) -> i64 {
        let room = i64::try_from(ROWS_MAX - self.rows.len().min(ROWS_MAX)).unwrap_or(0);
        let end = offsets.end.min(offsets.start.saturating_add(room));
        let bare =
            |offset| Row { offset, timestamp, block: NONE, key: Span::EMPTY, value: Span::EMPTY, headers: Span::EMPTY };
        self.rows.extend((offsets.start..end).map(bare));
        end
    }

    /// The schemas that keys and values say they were written by, as far as somebody wants to see them.
    pub fn schema_ids<'a>(&'a self, wanted: &'a [usize]) -> impl Iterator<Item = i32> + 'a {
        let (keys, values) = (wanted.contains(&columns::KEY), wanted.contains(&columns::VALUE));
        let rows = self.rows.iter().filter(move |_| keys || values);
        rows.flat_map(move |row| {
            let key = keys.then(|| self.slice(row, row.key)).flatten();
            let value = values.then(|| self.slice(row, row.value)).flatten();
            key.into_iter().chain(value).filter_map(framed_schema_id)
        })
    }

    /// The batch.
    ///
    /// # Errors
    /// `Corrupt`: headers that cannot be read. `Internal`: what does not fit into Arrow.
    pub fn into_batch(
        self,
        partition: i32,
        wanted: &[usize],
        schema: &SchemaRef,
        decoders: &Decoders,
    ) -> Result<RecordBatch> {
        let rows = self.rows.len() + self.counted;
        // Of what is only counted, no column is wanted.
        let columns = wanted.iter().map(|column| self.column(partition, *column, decoders));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(internal)
    }

    fn column(&self, partition: i32, column: usize, decoders: &Decoders) -> Result<ArrayRef> {
        Ok(match column {
            columns::PARTITION => Arc::new(Int32Array::from(vec![partition; self.rows.len()])),
            columns::OFFSET => Arc::new(self.rows.iter().map(|row| row.offset).collect::<Int64Array>()),
            columns::TIMESTAMP => Arc::new(self.timestamps()),
            columns::KEY => Arc::new(self.keys(decoders)?),
            columns::HEADERS => Arc::new(self.headers()?),
            columns::VALUE => Arc::new(self.values(decoders)?),
            columns::KEY_BYTES => Arc::new(self.bytes_of(|row| row.key)?),
            columns::VALUE_BYTES => Arc::new(self.bytes_of(|row| row.value)?),
            _ => return Err(Error::internal(format!("a topic's table has no column {column}"))),
        })
    }

    fn slice(&self, row: &Row, span: Span) -> Option<&[u8]> {
        span.slice(&self.blocks.get(row.block as usize)?.bytes)
    }

    fn timestamps(&self) -> TimestampMicrosecondArray {
        let time = |row: &Row| (row.timestamp >= 0).then(|| row.timestamp.saturating_mul(1_000));
        self.rows.iter().map(time).collect::<TimestampMicrosecondArray>().with_timezone("UTC")
    }

    fn bytes_of(&self, span: impl Fn(&Row) -> Span) -> Result<BinaryViewArray> {
        let mut column = Column::<BinaryViewType>::new(self);
        for row in &self.rows {
            match self.slice(row, span(row)) {
                Some(bytes) => column.share(row, span(row), bytes)?,
                None => column.builder.append_null(),
            }
        }
        Ok(column.builder.finish())
    }

    fn keys(&self, decoders: &Decoders) -> Result<StringViewArray> {
        let mut column = Column::<StringViewType>::new(self);
        for row in &self.rows {
            let Some(bytes) = self.slice(row, row.key) else {
                column.builder.append_null();
                continue;
            };
            match decoded(bytes, decoders) {
                Some(json) => column.put(key_of_json(json))?,
                None => match text(bytes) {
                    Some(text) => column.share(row, row.key, text)?,
                    None => column.builder.append_null(),
                },
            }
        }
        Ok(column.builder.finish())
    }

    fn values(&self, decoders: &Decoders) -> Result<StringViewArray> {
        let mut column = Column::<StringViewType>::new(self);
        for row in &self.rows {
            let Some(bytes) = self.slice(row, row.value) else {
                column.builder.append_null();
                continue;
            };
            if let Some(json) = decoded(bytes, decoders) {
                let normal = if self.spelled { None } else { normal(&json) };
                column.put(normal.as_deref().unwrap_or(&json))?;
                continue;
            }
            let json = if self.spelled { spelled_of_bytes(bytes) } else { of_bytes(bytes) };
            match json {
                // It is the whole value as it lies there.
                Some(Cow::Borrowed(json)) => column.share(row, row.value, json)?,
                Some(Cow::Owned(json)) => column.put(&json)?,
                None => column.builder.append_null(),
            }
        }
        Ok(column.builder.finish())
    }

    fn headers(&self) -> Result<StringViewArray> {
        let mut column = Column::<StringViewType>::new(self);
        for row in &self.rows {
            let of = Headers::of(self.slice(row, row.headers).unwrap_or_default());
            if of.is_empty() {
                column.put("{}")?;
            } else {
                let named = headers(of).map_err(|error| {
                    Error::new(error.kind(), format!("the record with the offset {}: {error}", row.offset))
                });
                column.put(&named?)?;
            }
        }
        Ok(column.builder.finish())
    }
}

/// What a registered schema makes of bytes. Those that are none of the schema's begin like that by chance.
fn decoded(bytes: &[u8], decoders: &Decoders) -> Option<String> {
    let decoder = decoders.get(&framed_schema_id(bytes)?)?.as_ref()?;
    decoder.decode(bytes).ok()
}

/// A column of parts of blocks.
struct Column<'a, T: ByteViewType + ?Sized> {
    builder: GenericByteViewBuilder<T>,
    blocks: &'a [Block],
    /// The number that the builder gave to a block.
    taken: Vec<Option<u32>>,
}

impl<'a, T: ByteViewType + ?Sized> Column<'a, T> {
    fn new(of: &'a Gathered) -> Self {
        let builder = GenericByteViewBuilder::with_capacity(of.rows.len());
        Self { builder, blocks: &of.blocks, taken: vec![None; of.blocks.len()] }
    }

    fn put(&mut self, value: impl AsRef<T::Native>) -> Result<()> {
        self.builder.try_append_value(value).map_err(internal)
    }

    /// Puts a part of a block in, without a copy where that keeps no block for a few records' sake.
    fn share(&mut self, row: &Row, span: Span, value: impl AsRef<T::Native>) -> Result<()> {
        let number = row.block as usize;
        let (Some(block), Some(taken)) = (self.blocks.get(number), self.taken.get_mut(number)) else {
            return self.put(value);
        };
        if span.length <= INLINE_BYTES || block.rows < SHARED_ROWS_MIN {
            return self.put(value);
        }
        let number = match taken {
            Some(number) => *number,
            None => *taken.insert(self.builder.append_block(Buffer::from(block.bytes.clone()))),
        };
        self.builder.try_append_view(number, span.at, span.length).map_err(internal)
    }
}

fn internal(error: ArrowError) -> Error {
    Error::internal(format!("records as a batch: {error}"))
}
