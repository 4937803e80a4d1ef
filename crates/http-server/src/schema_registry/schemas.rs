//! Schemas by their ids, and lists of them.

use axum::extract::State;
use polder_capability::schemas::SchemaKind;
use serde::Serialize;
use serde_json::json;

use super::answer::{SchemaAnswer, VersionAnswer, answer, text};
use super::ask::{Options, SchemaId};
use super::{Answered, Registry};
use crate::auth::Identity;

/// Clients ask it to see whether somebody is there.
pub(super) async fn root() -> Answered {
    answer(&json!({}))
}

/// There is one context.
pub(super) async fn contexts(options: Options) -> Answered {
    answer(&options.part(vec!["."]))
}

pub(super) async fn types() -> Answered {
    answer(&SchemaKind::ALL.map(SchemaKind::name))
}

pub(super) async fn list(State(registry): State<Registry>, Identity(caller): Identity, options: Options) -> Answered {
    let prefix = options.prefix()?;
    let listed = registry.schemas.list(&caller, prefix, options.deleted(), options.latest_only, options.page()).await?;
    answer(&listed.into_iter().map(VersionAnswer::from).collect::<Vec<_>>())
}

pub(super) async fn by_id(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SchemaId(id): SchemaId,
    options: Options,
) -> Answered {
    let schema = registry.schemas.schema(&caller, id, options.form()?).await?;
    answer(&SchemaAnswer::from(schema))
}

pub(super) async fn text_by_id(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SchemaId(id): SchemaId,
    options: Options,
) -> Answered {
    Ok(text(&registry.schemas.schema(&caller, id, options.form()?).await?))
}

pub(super) async fn subjects_of(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SchemaId(id): SchemaId,
    options: Options,
) -> Answered {
    let uses = registry.schemas.uses(&caller, id, options.deleted()).await?;
    let mut subjects: Vec<String> = uses.into_iter().map(|(subject, _)| subject).collect();
    subjects.dedup();
    answer(&options.part(subjects))
}

/// A place where an id is used.
#[derive(Serialize)]
struct Use {
    subject: String,
    version: i32,
}

pub(super) async fn versions_of(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SchemaId(id): SchemaId,
    options: Options,
) -> Answered {
    let uses = registry.schemas.uses(&caller, id, options.deleted()).await?;
    let uses = uses.into_iter().map(|(subject, version)| Use { subject, version }).collect();
    answer(&options.part(uses))
}
