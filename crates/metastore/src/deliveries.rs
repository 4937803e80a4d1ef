//! How far deliveries have come, and the secrets they keep: rows only. What is delivered is for the floors above.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::{Metastore, Write};

/// The place of a delivery in one partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveredTo {
    pub topic: Uuid,
    pub partition: i32,
    /// The first record that has not been delivered.
    pub next: i64,
}

/// A view of the metastore: deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Deliveries<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }
}

impl Deliveries<'_> {
    /// All places of a delivery, by topic and partition.
    pub async fn offsets(&self, delivery: Uuid) -> Result<Vec<DeliveredTo>> {
        let sql = "SELECT topic_id, topic_partition, next_offset FROM polder_delivery_offset WHERE delivery_id = $1 \
                   ORDER BY topic_id, topic_partition";
        let rows = self.0.query(sql, &[delivery.into()]).await?;
        rows.iter()
            .map(|row| {
                let partition = i32::try_from(row.int(1)?)
                    .map_err(|_| Error::new(ErrorKind::Corrupt, "a delivery's partition is out of range"))?;
                Ok(DeliveredTo { topic: row.uuid(0)?, partition, next: row.int(2)? })
            })
            .collect()
    }

    /// Moves a delivery on in one partition. Goes with the commit that holds the delivered rows, which then fails with
    /// `Conflict` unless `before` is what is stored (`None`: nothing is).
    #[must_use]
    pub fn step_write(delivery: Uuid, before: Option<i64>, to: DeliveredTo, now: DateTime<Utc>) -> Write {
        let mut params =
            vec![delivery.into(), to.topic.into(), i64::from(to.partition).into(), to.next.into(), now.into()];
        match before {
            None => Write::new(
                "INSERT INTO polder_delivery_offset (delivery_id, topic_id, topic_partition, next_offset, updated_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                params,
            ),
            Some(before) => {
                params.push(before.into());
                Write::new(
                    "UPDATE polder_delivery_offset SET next_offset = $4, updated_at = $5 WHERE delivery_id = $1 AND \
                     topic_id = $2 AND topic_partition = $3 AND next_offset = $6",
                    params,
                )
            }
        }
        .affecting(1)
    }

    /// Forgets where a delivery is; of one topic, if one is named.
    #[must_use]
    pub fn forget_write(delivery: Uuid, topic: Option<Uuid>) -> Write {
        match topic {
            None => Write::new("DELETE FROM polder_delivery_offset WHERE delivery_id = $1", vec![delivery.into()]),
            Some(topic) => Write::new(
                "DELETE FROM polder_delivery_offset WHERE delivery_id = $1 AND topic_id = $2",
                vec![delivery.into(), topic.into()],
            ),
        }
    }

    /// # Errors
    /// `Corrupt` when the key file is not the one that they were encrypted with.
    pub async fn secrets(&self, delivery: Uuid) -> Result<BTreeMap<String, String>> {
        let sql = "SELECT name, sealed FROM polder_delivery_secret WHERE delivery_id = $1";
        let rows = self.0.query(sql, &[delivery.into()]).await?;
        rows.iter()
            .map(|row| {
                let name = row.text(0)?;
                let secret = self.0.secret_key.open(&label(delivery, name), row.bytes(1)?)?;
                Ok((name.to_owned(), secret))
            })
            .collect()
    }

    /// Puts these in the place of all secrets of a delivery.
    ///
    /// # Errors
    /// When the key file cannot be read or made.
    pub fn secrets_writes(&self, delivery: Uuid, secrets: &BTreeMap<String, String>) -> Result<Vec<Write>> {
        let mut writes =
            vec![Write::new("DELETE FROM polder_delivery_secret WHERE delivery_id = $1", vec![delivery.into()])];
        for (name, secret) in secrets {
            let sealed = self.0.secret_key.seal(&label(delivery, name), secret)?;
            writes.push(Write::new(
                "INSERT INTO polder_delivery_secret (delivery_id, name, sealed) VALUES ($1, $2, $3)",
                vec![delivery.into(), name.as_str().into(), sealed.into()],
            ));
        }
        Ok(writes)
    }
}

/// What a sealed secret is bound to.
fn label(delivery: Uuid, name: &str) -> String {
    format!("delivery {delivery} {name}")
}
