//! What a delivery says of how its table is partitioned.

use polder_capability::deliveries::DeliveryDefinition;
use polder_lake::{TableState, Transform};
use polder_types::{Error, Result};

use super::attempt::{Attempt, Into};
use crate::statement::partition_part;

/// As a statement says it.
fn spelled(column: &str, transform: &str) -> String {
    if transform == Transform::Identity.name() { column.to_owned() } else { format!("{transform}({column})") }
}

/// What a table is partitioned by, in order.
fn parts_of(table: &TableState) -> Vec<String> {
    let columns = table.partition.iter().flat_map(|partition| &partition.columns);
    let part = |(_, id, transform): &(i64, i64, String)| {
        let column = table.top_columns().find(|column| column.id == *id);
        spelled(column.map_or("", |column| column.name.as_str()), transform)
    };
    columns.map(part).collect()
}

fn listed(parts: &[String]) -> String {
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// What a change of a delivery leaves as it is. The table may have been partitioned anew since: that is no reason to refuse
/// a change of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Nothing,
    /// The table and its partitioning. Whether a table that is not there yet can be partitioned so, the transform says.
    Place,
    All,
}

impl Settled {
    pub fn of(definition: &DeliveryDefinition, before: Option<&DeliveryDefinition>) -> Self {
        match before {
            Some(old) if old.target != definition.target || old.partition_by != definition.partition_by => {
                Self::Nothing
            }
            Some(old) if old.transform != definition.transform => Self::Place,
            Some(_) => Self::All,
            None => Self::Nothing,
        }
    }
}

impl Attempt<'_> {
    /// Refuses what a table could never be partitioned by, and what the table that is there is not. Columns that come with the
    /// first records only are not known yet.
    ///
    /// # Errors
    /// `Unsupported` (0A000), `InvalidInput` (22023).
    pub async fn check_parts(&self, into: &Into<'_>, is_history: bool, settled: Settled) -> Result<()> {
        let asked = into.partition_by.iter().map(|text| partition_part(text)).collect::<Result<Vec<_>>>()?;
        if asked.is_empty() || settled == Settled::All {
            return Ok(());
        }
        if let Some(table) = self.table(into.table).await? {
            if settled == Settled::Place {
                return Ok(());
            }
            let asked: Vec<String> =
                asked.iter().map(|(column, transform)| spelled(column, transform.name())).collect();
            let has = parts_of(&table);
            if asked == has {
                return Ok(());
            }
            let (has, asked) = (listed(&has), listed(&asked));
            return Err(Error::invalid(format!("table {} is partitioned by {has}, and not by {asked}", into.table))
                .with_code("22023")
                .with_hint(
                    "leave PARTITION BY out, which is for a table that is made, or ALTER TABLE … SET PARTITIONED BY",
                ));
        }
        let of_time = asked.iter().find(|(_, transform)| *transform != Transform::Identity);
        match of_time {
            // The fields of JSON objects become no times.
            Some((column, transform)) if into.transform.is_none() && !is_history => {
                let part = spelled(column, transform.name());
                let message = format!("PARTITION BY {part}: without a transform no column of a new table is a time");
                Err(Error::unsupported(message)
                    .with_hint("TRANSFORM AS gives a column of type DATE or TIMESTAMP; or CREATE TABLE first"))
            }
            _ => Ok(()),
        }
    }
}
