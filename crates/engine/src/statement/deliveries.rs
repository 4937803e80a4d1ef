//! CREATE, ALTER and DROP DELIVERY.
//!
//! As jobs are, deliveries are kept beside the lake: these statements take effect at once, and so cannot be part of a
//! transaction that might be taken back.

mod grammar;

use std::sync::Arc;

use polder_capability::IfExists;
use polder_capability::deliveries::{AlterDelivery, DeliveryDefinition, DeliveryTarget, TableTarget};
use polder_types::{Error, ErrorKind, Result};

use super::may::check_may_write_beside;
use crate::authz::Who;
use crate::engine::Engine;
use crate::session::{Inner, Outcome};

pub(crate) use grammar::{Clauses, CreateDelivery, DeliveryStatement, parse_delivery};

impl DeliveryStatement {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "CREATE DELIVERY",
            Self::Drop { .. } => "DROP DELIVERY",
            _ => "ALTER DELIVERY",
        }
    }

    /// The delivery that must be the caller's: of another's nothing is told.
    fn owned(&self) -> Option<&str> {
        match self {
            Self::Create(create) if create.if_exists != IfExists::Replace => None,
            Self::Create(create) => Some(&create.name),
            Self::Pause(name)
            | Self::Resume(name)
            | Self::Redrive(name)
            | Self::DropTransform(name)
            | Self::DropHold(name)
            | Self::Set(name, _)
            | Self::Drop { name, .. } => Some(name),
        }
    }
}

/// A table without a schema is in the session's first one.
fn placed(mut table: TableTarget, schema: &str) -> TableTarget {
    if table.schema.is_empty() {
        schema.clone_into(&mut table.schema);
    }
    table
}

fn definition(create: CreateDelivery, owner: &str, schema: &str) -> DeliveryDefinition {
    let CreateDelivery { name, topic, target, secrets, start, clauses, .. } = create;
    let target = match target {
        DeliveryTarget::Table(table) => DeliveryTarget::Table(placed(table, schema)),
        other => other,
    };
    let mut definition = DeliveryDefinition::new(name, owner, topic, target);
    definition.secrets = secrets;
    definition.start = start;
    definition.transform = clauses.transform;
    definition.buffer = clauses.buffer.unwrap_or_default().whole();
    definition.partition_by = clauses.partition_by.unwrap_or_default();
    definition.held_bytes_max = clauses.held_bytes_max;
    definition.errors_into = clauses.errors_into.map(|table| placed(table, schema));
    definition
}

/// Whether somebody may have records sent to a place of their choice. The server reaches what they may not: the network it
/// stands in.
///
/// # Errors
/// `Forbidden` (42501).
fn may_leave(who: &Who, target: &DeliveryTarget) -> Result<()> {
    if who.superuser || target.table().is_some() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "permission denied to make a delivery that leaves the lake")
        .with_code("42501")
        .with_hint("a superuser makes it; or INTO TABLE"))
}

/// What is said of a name that is no delivery's, and of one that whoever asks knows nothing of.
fn absent(name: &str) -> String {
    format!("there is no delivery {name:?}")
}

fn unknown(name: &str) -> Error {
    Error::not_found(absent(name)).with_code("42704").with_hint("SELECT delivery_name FROM polder.deliveries")
}

fn taken(name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("there is a delivery {name:?} already")).with_code("42710")
}

fn change(clauses: Clauses, schema: &str) -> AlterDelivery {
    let buffer = clauses.buffer.unwrap_or_default();
    AlterDelivery {
        buffer_bytes: buffer.bytes,
        buffer_seconds: buffer.seconds,
        transform: clauses.transform.map(Some),
        partition_by: clauses.partition_by,
        held_bytes_max: clauses.held_bytes_max.map(Some),
        errors_into: clauses.errors_into.map(|table| Some(placed(table, schema))),
        ..AlterDelivery::default()
    }
}

impl Engine {
    /// Whether a delivery is another role's, of whose deliveries somebody does not know.
    async fn is_hidden_delivery(&self, who: &Who, name: &str) -> Result<bool> {
        let delivery = self.deliveries()?.find(name).await?;
        Ok(delivery.is_some_and(|delivery| !who.has_named(&delivery.definition.owner)))
    }

    /// Runs a statement about deliveries.
    pub(crate) async fn delivery(self: &Arc<Self>, inner: &Inner, statement: DeliveryStatement) -> Result<Outcome> {
        let verb = statement.verb();
        check_may_write_beside(inner, verb)?;
        let deliveries = self.deliveries()?;
        let settings = self.current(inner.settings.clone(), None).await?;
        if let DeliveryStatement::Create(create) = &statement {
            may_leave(&settings.who, &create.target)?;
        }
        let snapshot = self.lake.newest().await?.id;
        let done = Outcome::done(verb, None, snapshot);
        if let Some(name) = statement.owned()
            && self.is_hidden_delivery(&settings.who, name).await?
        {
            return match &statement {
                // Its name cannot be had twice, which whoever makes one is told anyway.
                DeliveryStatement::Create(_) => Err(taken(name)),
                DeliveryStatement::Drop { if_exists: true, .. } => Ok(done.notice(absent(name))),
                _ => Err(unknown(name)),
            };
        }
        match statement {
            DeliveryStatement::Create(create) => {
                let (name, if_exists) = (create.name.clone(), create.if_exists);
                let definition = definition(*create, settings.who.role_name(), &settings.schema);
                let (_, made) = deliveries.create(definition, if_exists).await?;
                return Ok(if made { done } else { done.skips("42710", "delivery", &name) });
            }
            DeliveryStatement::Pause(name) => drop(deliveries.pause(&name).await?),
            DeliveryStatement::Resume(name) => drop(deliveries.resume(&name).await?),
            DeliveryStatement::DropTransform(name) => {
                let change = AlterDelivery { transform: Some(None), ..AlterDelivery::default() };
                drop(deliveries.alter(&name, change).await?);
            }
            DeliveryStatement::DropHold(name) => {
                let change = AlterDelivery { held_bytes_max: Some(None), ..AlterDelivery::default() };
                drop(deliveries.alter(&name, change).await?);
            }
            DeliveryStatement::Set(name, clauses) => {
                drop(deliveries.alter(&name, change(*clauses, &settings.schema)).await?);
            }
            DeliveryStatement::Redrive(name) => {
                let redriven = deliveries.redrive(&name).await?;
                return Ok(done.notice(format!(
                    "{} of {} rejected records were delivered, {} were rejected again",
                    redriven.delivered, redriven.read, redriven.rejected
                )));
            }
            DeliveryStatement::Drop { name, if_exists } => {
                if !deliveries.remove(&name).await? {
                    return if if_exists { Ok(done.notice(absent(&name))) } else { Err(unknown(&name)) };
                }
            }
        }
        Ok(done)
    }
}
