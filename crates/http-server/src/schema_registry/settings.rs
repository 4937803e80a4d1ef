//! Compatibility and modes, of one subject and of all.

use axum::extract::State;
use polder_capability::Caller;
use polder_capability::schemas::{Compatibility, RegistryMode, SubjectConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{Refusal, answer};
use super::ask::{Body, Options, Subject, check_rest};
use super::{Answered, Registry};
use crate::auth::Identity;

/// What is set, as it is read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    compatibility_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalize: Option<bool>,
}

impl From<SubjectConfig> for ConfigAnswer {
    fn from(config: SubjectConfig) -> Self {
        Self { compatibility_level: config.compatibility.map(Compatibility::name), normalize: config.normalizes }
    }
}

/// What is set, as it is written: by another name.
#[derive(Serialize)]
struct ConfigSet {
    #[serde(skip_serializing_if = "Option::is_none")]
    compatibility: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalize: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConfigBody {
    #[serde(alias = "compatibilityLevel")]
    compatibility: Option<String>,
    normalize: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) async fn config(State(registry): State<Registry>, Identity(caller): Identity, _: Options) -> Answered {
    answer(&ConfigAnswer::from(registry.schemas.config(&caller, None, true).await?))
}

pub(super) async fn subject_config(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
) -> Answered {
    let found = registry.schemas.config(&caller, Some(&subject), options.default_to_global).await?;
    answer(&ConfigAnswer::from(found))
}

pub(super) async fn set_config(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Body(body): Body<ConfigBody>,
) -> Answered {
    change_config(&registry, &caller, None, body).await
}

pub(super) async fn set_subject_config(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    Body(body): Body<ConfigBody>,
) -> Answered {
    change_config(&registry, &caller, Some(&subject), body).await
}

async fn change_config(registry: &Registry, caller: &Caller, subject: Option<&str>, body: ConfigBody) -> Answered {
    check_rest(&body.rest)?;
    let level = |name: String| {
        let message = || format!("there is no level of compatibility \"{name}\"");
        Compatibility::named(&name).ok_or_else(|| Refusal::unprocessable(42203, message()))
    };
    let compatibility = body.compatibility.map(level).transpose()?;
    if compatibility.is_none() && body.normalize.is_none() {
        return Err(Refusal::unprocessable(42203, "the body names no level of compatibility"));
    }
    let wanted = SubjectConfig { compatibility, normalizes: body.normalize };
    let set = registry.schemas.set_config(caller, subject, wanted).await?;
    answer(&ConfigSet { compatibility: set.compatibility.map(Compatibility::name), normalize: set.normalizes })
}

pub(super) async fn delete_config(State(registry): State<Registry>, Identity(caller): Identity) -> Answered {
    answer(&ConfigAnswer::from(registry.schemas.delete_config(&caller, None).await?))
}

pub(super) async fn delete_subject_config(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
) -> Answered {
    answer(&ConfigAnswer::from(registry.schemas.delete_config(&caller, Some(&subject)).await?))
}

#[derive(Serialize)]
struct ModeAnswer {
    mode: &'static str,
}

impl From<RegistryMode> for ModeAnswer {
    fn from(mode: RegistryMode) -> Self {
        Self { mode: mode.name() }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ModeBody {
    mode: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) async fn mode(State(registry): State<Registry>, Identity(caller): Identity, _: Options) -> Answered {
    answer(&ModeAnswer::from(registry.schemas.mode(&caller, None, true).await?))
}

pub(super) async fn subject_mode(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
) -> Answered {
    let found = registry.schemas.mode(&caller, Some(&subject), options.default_to_global).await?;
    answer(&ModeAnswer::from(found))
}

pub(super) async fn set_mode(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    options: Options,
    Body(body): Body<ModeBody>,
) -> Answered {
    change_mode(&registry, &caller, None, &options, body).await
}

pub(super) async fn set_subject_mode(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
    options: Options,
    Body(body): Body<ModeBody>,
) -> Answered {
    change_mode(&registry, &caller, Some(&subject), &options, body).await
}

async fn change_mode(
    registry: &Registry,
    caller: &Caller,
    subject: Option<&str>,
    options: &Options,
    body: ModeBody,
) -> Answered {
    check_rest(&body.rest)?;
    let mode = RegistryMode::named(&body.mode)
        .ok_or_else(|| Refusal::unprocessable(42204, format!("there is no mode \"{}\"", body.mode)))?;
    answer(&ModeAnswer::from(registry.schemas.set_mode(caller, subject, mode, options.force).await?))
}

pub(super) async fn delete_mode(State(registry): State<Registry>, Identity(caller): Identity) -> Answered {
    answer(&ModeAnswer::from(registry.schemas.delete_mode(&caller, None).await?))
}

pub(super) async fn delete_subject_mode(
    State(registry): State<Registry>,
    Identity(caller): Identity,
    Subject(subject): Subject,
) -> Answered {
    answer(&ModeAnswer::from(registry.schemas.delete_mode(&caller, Some(&subject)).await?))
}
