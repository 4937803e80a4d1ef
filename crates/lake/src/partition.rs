//! Tables whose files hold one partition each: rows are split as they are written.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{DatePart, date_part, take};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion_ducklake::stats_encode::encode_scalar;
use polder_types::{Error, Result};

use crate::model::TableState;

/// Partitions that one statement may write: each is a file, and more of them are a mistake.
const PARTITIONS_MAX: usize = 10_000;

/// Part of a partition's key: a column, or what is taken of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    Identity,
    Year,
    Month,
    Day,
    Hour,
}

impl Transform {
    /// `None` for one that Polder reads and does not write.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "identity" => Self::Identity,
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            _ => return None,
        })
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// Refuses a column that cannot be partitioned by so.
    pub(crate) fn check(self, column: &str, data_type: &DataType) -> Result<()> {
        let date = matches!(data_type, DataType::Date32);
        let time = matches!(data_type, DataType::Timestamp(_, None));
        let fits = match self {
            Self::Identity => !data_type.is_nested() && !data_type.is_floating(),
            Self::Year | Self::Month | Self::Day => date || time,
            Self::Hour => time,
        };
        if fits {
            return Ok(());
        }
        let error = Error::unsupported(format!("column {column:?} cannot be partitioned by its {}", self.name()));
        Err(match data_type {
            // DuckDB takes the year of the session's zone, and would look in other files than ours.
            DataType::Timestamp(_, Some(_)) => error.with_hint(
                "a time with a zone has no year of its own; partition by a column of type DATE or TIMESTAMP",
            ),
            _ => error,
        })
    }

    fn apply(self, array: &ArrayRef) -> Result<ArrayRef> {
        let part = match self {
            Self::Identity => return Ok(Arc::clone(array)),
            Self::Year => DatePart::Year,
            Self::Month => DatePart::Month,
            Self::Day => DatePart::Day,
            Self::Hour => DatePart::Hour,
        };
        date_part(array, part).map_err(|error| Error::internal(error.to_string()))
    }
}

/// The values of a partition's key, in the key's order; `None` for a missing one.
pub(crate) type PartitionKey = Vec<Option<String>>;

/// How the rows of a table are split.
#[derive(Debug, Clone)]
pub(crate) struct Partitioning {
    /// Of the catalog; provisional in the transaction that made it.
    pub id: i64,
    /// (the column's place, the transform)
    keys: Vec<(usize, Transform)>,
}

impl Partitioning {
    /// `None` for a table that is not partitioned.
    ///
    /// # Errors
    /// `Unsupported` for a transform that is read only.
    pub fn of(table: &TableState) -> Result<Option<Self>> {
        let Some(partition) = &table.partition else { return Ok(None) };
        let keys = partition.columns.iter().map(|(_, column, transform)| {
            let transform = Transform::parse(transform).ok_or_else(|| {
                Error::unsupported(format!(
                    "table {} is partitioned by {transform}, which Polder only reads",
                    table.name
                ))
                .with_hint("insert with DuckDB, or ALTER TABLE … RESET PARTITIONED BY")
            })?;
            let name = table.top_columns().find(|known| known.id == *column).map(|known| known.name.as_str());
            let at = name.and_then(|name| table.arrow_schema.index_of(name).ok());
            let at = at.ok_or_else(|| Error::internal(format!("table {} is partitioned by no column", table.name)))?;
            Ok((at, transform))
        });
        Ok(Some(Self { id: partition.id, keys: keys.collect::<Result<_>>()? }))
    }

    /// The rows of each partition, in their order.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<(PartitionKey, RecordBatch)>> {
        let internal = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
        let columns = self.keys.iter().map(|(at, transform)| transform.apply(batch.column(*at)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut places: HashMap<PartitionKey, usize> = HashMap::new();
        let mut groups: Vec<(PartitionKey, Vec<u32>)> = Vec::new();
        for row in 0..batch.num_rows() {
            let key = columns.iter().map(|column| value(column, row)).collect::<Result<PartitionKey>>()?;
            let at = *places.entry(key.clone()).or_insert_with(|| {
                groups.push((key, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(u32::try_from(row).map_err(|error| internal(&error))?);
        }
        if groups.len() == 1 {
            return Ok(groups.into_iter().map(|(key, _)| (key, batch.clone())).collect());
        }
        let part = |rows: Vec<u32>| {
            let rows = UInt32Array::from(rows);
            let columns = batch.columns().iter().map(|column| take(column, &rows, None));
            let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
            columns.and_then(|columns| RecordBatch::try_new(batch.schema(), columns)).map_err(|error| internal(&error))
        };
        groups.into_iter().map(|(key, rows)| Ok((key, part(rows)?))).collect()
    }
}

fn value(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    let scalar = ScalarValue::try_from_array(column, row).map_err(|error| Error::internal(error.to_string()))?;
    if scalar.is_null() {
        return Ok(None);
    }
    let text = encode_scalar(&scalar);
    text.map(Some)
        .ok_or_else(|| Error::unsupported(format!("values of type {} cannot be partitioned by", column.data_type())))
}

/// Files that are being written, one a partition.
#[derive(Debug)]
pub(crate) struct OpenParts<F> {
    open: HashMap<PartitionKey, (F, u64)>,
    seen: std::collections::HashSet<PartitionKey>,
    clock: u64,
}

/// Files open at once. More partitions are written one after the other, into more files.
const OPEN_MAX: usize = 32;

impl<F> Default for OpenParts<F> {
    fn default() -> Self {
        Self { open: HashMap::new(), seen: std::collections::HashSet::new(), clock: 0 }
    }
}

impl<F> OpenParts<F> {
    /// The file of a partition, if it is open.
    pub fn take(&mut self, key: &PartitionKey) -> Option<F> {
        self.open.remove(key).map(|(file, _)| file)
    }

    /// Keeps a file open; gives one that must be closed for it.
    ///
    /// # Errors
    /// `InvalidInput` for too many partitions.
    pub fn put(&mut self, key: PartitionKey, file: F) -> Result<Option<(PartitionKey, F)>> {
        if self.seen.insert(key.clone()) && self.seen.len() > PARTITIONS_MAX {
            return Err(Error::new(
                polder_types::ErrorKind::TooLarge,
                format!("the rows fall into more than {PARTITIONS_MAX} partitions"),
            )
            .with_code("54000")
            .with_hint("partition by fewer values, for instance by month(…)"));
        }
        self.clock += 1;
        self.open.insert(key, (file, self.clock));
        if self.open.len() <= OPEN_MAX {
            return Ok(None);
        }
        let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
        Ok(oldest.and_then(|key| self.open.remove(&key).map(|(file, _)| (key, file))))
    }

    pub fn into_files(self) -> impl Iterator<Item = (PartitionKey, F)> {
        let mut files: Vec<_> = self.open.into_iter().collect();
        files.sort_by_key(|(_, (_, used))| *used);
        files.into_iter().map(|(key, (file, _))| (key, file))
    }
}
