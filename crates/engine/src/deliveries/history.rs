//! The history of a topic: its records in a table of the lake, as they are.
//!
//! What their bytes mean is written down with them, as it was known then: to read it costs nothing, and a schema that goes
//! takes it along no more.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::FieldRef;
use polder_capability::deliveries::TopicHistory;
use polder_capability::topics::topic_schema;
use polder_lake::TableName;
use polder_types::{Error, Result};
use uuid::Uuid;

use super::attempt::{Attempt, Into, Made, full};
use crate::statement::quoted;

/// How the columns are declared, in the order of a topic's, behind that of the topic's id.
const DECLARED: [&str; 8] = [
    "partition integer NOT NULL",
    "\"offset\" bigint NOT NULL",
    "\"timestamp\" timestamptz",
    "key text",
    "headers jsonb NOT NULL",
    "value jsonb",
    "key_bytes bytea",
    "value_bytes bytea",
];

/// The names of a history's columns.
pub(crate) fn kept_columns() -> Vec<String> {
    let of_topic = topic_schema();
    let names = of_topic.fields().iter().map(|field| field.name().clone());
    std::iter::once(TopicHistory::ID.to_owned()).chain(names).collect()
}

/// Asks how far the history of a topic goes.
pub(super) fn ends_of(table: &TableName, topic: Uuid) -> String {
    format!(
        "SELECT partition, max(\"offset\") + 1 AS next FROM {} WHERE {} = '{topic}' GROUP BY partition",
        full(table),
        TopicHistory::ID
    )
}

impl Attempt<'_> {
    /// Adds records to the history of a topic, by its id; the table is made if it is not there.
    pub async fn keep(&mut self, into: &Into<'_>, topic: Uuid, records: &RecordBatch) -> Result<Made> {
        let is_there = self.table(into.table).await?.is_some();
        if !is_there {
            self.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(&into.table.schema))).await?;
            let id = format!("{} text NOT NULL", TopicHistory::ID);
            let declared = DECLARED.iter().map(|&column| column.to_owned());
            self.create(into, &std::iter::once(id).chain(declared).collect::<Vec<_>>()).await?;
        }
        let columns = self.columns(into.table).await?;
        let rows = rows(into.table, topic, records, &columns)?;
        let count = if rows.num_rows() == 0 { 0 } else { self.insert(into.table, rows).await? };
        Ok(Made { rows: count, table: !is_there, ..Made::default() })
    }
}

/// Records as rows of their history.
fn rows(table: &TableName, topic: Uuid, records: &RecordBatch, columns: &[FieldRef]) -> Result<RecordBatch> {
    let wrong = || {
        Error::invalid(format!("table {table} is no history of a topic"))
            .with_code("42P16")
            .with_hint("rename it, so that the delivery makes its own")
    };
    let id = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(topic.to_string(), records.num_rows())));
    let given = std::iter::once(id as ArrayRef).chain(records.columns().iter().cloned());
    let mut rows = Vec::new();
    for (name, values) in kept_columns().into_iter().zip(given) {
        let field = columns.iter().find(|field| *field.name() == name).ok_or_else(wrong)?;
        let values = cast(&values, field.data_type()).map_err(|_| wrong())?;
        rows.push((name, values, true));
    }
    RecordBatch::try_from_iter_with_nullable(rows).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_the_columns_of_a_topic() {
        let declared = DECLARED.iter().map(|column| column.split_once(' ').unwrap().0.trim_matches('"').to_owned());
        let kept = kept_columns();
        assert_eq!(kept[0], "topic_id");
        assert_eq!(kept[1..], declared.collect::<Vec<_>>());
    }
}
