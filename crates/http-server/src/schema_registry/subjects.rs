//! Subjects and their versions.

use axum::extract::State;
use polder_capability::schemas::{SchemaVersion, VersionChoice};
use serde::Serialize;

use super::answer::{VersionAnswer, answer, text};
use super::ask::{Body, Options, SchemaBody, Subject, SubjectVersion};
use super::{Answered, Registry};
use crate::auth::Identity;

pub(super) async fn list(State(registry): State<Registry>, Identity(caller): Identity, options: Options) -> Answered {
    let names = registry.schemas.subjects(&caller, options.prefix()?, options.deleted()).await?;
    answer(&options.part(names))
}

pub(super) async fn look_up(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
    Body(body): Body<SchemaBody>,
) -> Answered {
    let schema = body.schema()?;
    let found = registry.schemas.look_up(&caller, &subject, schema, options.normalize, options.deleted()).await?;
    answer(&VersionAnswer::from(found))
}

pub(super) async fn delete(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
) -> Answered {
    answer(&registry.schemas.delete_subject(&caller, &subject, options.permanent).await?)
}

pub(super) async fn versions(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
) -> Answered {
    let numbers = registry.schemas.versions(&caller, &subject, options.deleted()).await?;
    answer(&options.part(numbers))
}

/// What a registration came to. Old clients read the id alone.
#[derive(Serialize)]
struct Registered {
    id: i32,
    version: i32,
    subject: String,
}

pub(super) async fn register(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
    Body(body): Body<SchemaBody>,
) -> Answered {
    let new = body.new_schema(options.normalize)?;
    let SchemaVersion { id, version, subject, .. } = registry.schemas.register(&caller, &subject, new).await?;
    answer(&Registered { id, version, subject })
}

pub(super) async fn version(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SubjectVersion(subject, version): SubjectVersion,
    options: Options,
) -> Answered {
    let found = registry.schemas.version(&caller, &subject, version, options.deleted(), options.form()?).await?;
    answer(&VersionAnswer::from(found))
}

pub(super) async fn version_schema(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SubjectVersion(subject, version): SubjectVersion,
    options: Options,
) -> Answered {
    let found = registry.schemas.version(&caller, &subject, version, options.deleted(), options.form()?).await?;
    Ok(text(&found.schema))
}

pub(super) async fn referenced_by(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SubjectVersion(subject, version): SubjectVersion,
    options: Options,
) -> Answered {
    let ids = registry.schemas.referenced_by(&caller, &subject, version).await?;
    answer(&options.part(ids))
}

pub(super) async fn delete_version(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SubjectVersion(subject, version): SubjectVersion,
    options: Options,
) -> Answered {
    answer(&registry.schemas.delete_version(&caller, &subject, version, options.permanent).await?)
}

/// Whether a schema could be the next version.
#[derive(Serialize)]
struct Checked {
    is_compatible: bool,
    /// What speaks against it, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
}

pub(super) async fn check(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    SubjectVersion(subject, version): SubjectVersion,
    options: Options,
    Body(body): Body<SchemaBody>,
) -> Answered {
    checked(&registry, &caller, &subject, Some(version), &options, body).await
}

pub(super) async fn check_all(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
    Body(body): Body<SchemaBody>,
) -> Answered {
    checked(&registry, &caller, &subject, None, &options, body).await
}

async fn checked(
    registry: &Registry,
    caller: &polder_capability::Caller,
    subject: &str,
    version: Option<VersionChoice>,
    options: &Options,
    body: SchemaBody,
) -> Answered {
    let differences = registry.schemas.check(caller, subject, version, body.schema()?, options.normalize).await?;
    let is_compatible = differences.is_empty();
    answer(&Checked { is_compatible, messages: options.verbose.then_some(differences) })
}
