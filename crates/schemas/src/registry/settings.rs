//! Compatibility and modes.

use polder_capability::Caller;
use polder_capability::schemas::{
    Compatibility, RegistryMode, SchemaError, SchemaFailure, SchemaResult, SubjectConfig,
};
use polder_metastore::{SchemaChange, SchemaSettingRow, SubjectRows};

use super::{check_subject, fail};
use crate::StoredSchemas;

/// What holds where nothing is set.
const COMPATIBILITY: Compatibility = Compatibility::Backward;
const MODE: RegistryMode = RegistryMode::ReadWrite;

/// The name under which what holds for all is kept.
const ALL: &str = "";

fn damaged(what: &str) -> SchemaFailure {
    SchemaFailure::new(SchemaError::Store, format!("the registry has the setting \"{what}\", which is none"))
}

fn compatibility(name: Option<&str>) -> SchemaResult<Option<Compatibility>> {
    name.map(|name| Compatibility::named(name).ok_or_else(|| damaged(name))).transpose()
}

fn mode(name: Option<&str>) -> SchemaResult<Option<RegistryMode>> {
    name.map(|name| RegistryMode::named(name).ok_or_else(|| damaged(name))).transpose()
}

fn config(setting: &SchemaSettingRow) -> SchemaResult<SubjectConfig> {
    let compatibility = compatibility(setting.compatibility.as_deref())?;
    Ok(SubjectConfig { compatibility, normalizes: setting.normalizes })
}

/// What is set for the subject itself; of the empty one, for all.
fn own(rows: &SubjectRows, subject: Option<&str>) -> SchemaSettingRow {
    match subject {
        Some(_) => rows.own.clone().unwrap_or_default(),
        None => rows.shared.clone(),
    }
}

/// A setting that says nothing is none.
fn kept(setting: SchemaSettingRow) -> Option<SchemaSettingRow> {
    (setting != SchemaSettingRow::default()).then_some(setting)
}

fn nothing_set(subject: &str, error: SchemaError) -> SchemaFailure {
    let what = if error == SchemaError::NoSubjectMode { "mode" } else { "compatibility" };
    SchemaFailure::new(error, format!("the subject \"{subject}\" has no {what} of its own"))
}

impl StoredSchemas {
    pub(super) fn compatibility_of(&self, rows: &SubjectRows) -> SchemaResult<Compatibility> {
        let own = compatibility(rows.own.as_ref().and_then(|own| own.compatibility.as_deref()))?;
        Ok(own.or(compatibility(rows.shared.compatibility.as_deref())?).unwrap_or(COMPATIBILITY))
    }

    pub(super) fn mode_of(&self, rows: &SubjectRows) -> SchemaResult<RegistryMode> {
        let shared = mode(rows.shared.mode.as_deref())?.unwrap_or(MODE);
        if shared == RegistryMode::ReadOnlyOverride {
            return Ok(shared);
        }
        let own = mode(rows.own.as_ref().and_then(|own| own.mode.as_deref()))?;
        Ok(own.unwrap_or(shared))
    }

    /// Whether schemas of a subject are put into their normal form.
    pub(super) async fn normalizes(&self, subject: &str) -> SchemaResult<bool> {
        let rows = self.metastore.schemas().subject(subject).await?;
        let own = rows.own.as_ref().and_then(|own| own.normalizes);
        Ok(own.or(rows.shared.normalizes).unwrap_or(false))
    }

    pub(super) async fn config_of(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        falls_back: bool,
    ) -> SchemaResult<SubjectConfig> {
        let rows = self.known_settings(caller, subject).await?;
        let own = config(&own(&rows, subject))?;
        if own.compatibility.is_some() {
            return Ok(own);
        }
        match subject {
            Some(subject) if !falls_back && own == SubjectConfig::default() => {
                Err(nothing_set(subject, SchemaError::NoSubjectConfig))
            }
            Some(_) if !falls_back => Ok(own),
            _ => {
                let normalizes = own.normalizes.or(rows.shared.normalizes);
                Ok(SubjectConfig { compatibility: Some(self.compatibility_of(&rows)?), normalizes })
            }
        }
    }

    pub(super) async fn set_config_of(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        wanted: SubjectConfig,
    ) -> SchemaResult<SubjectConfig> {
        self.check_settings(caller, subject)?;
        subject.map_or(Ok(()), check_subject)?;
        self.change(|| async {
            let rows = self.metastore.schemas().subject(subject.unwrap_or(ALL)).await?;
            let mut setting = own(&rows, subject);
            if let Some(level) = wanted.compatibility {
                setting.compatibility = Some(level.name().to_owned());
            }
            setting.normalizes = wanted.normalizes.or(setting.normalizes);
            Ok((config(&setting)?, rows.revision, vec![change(subject, kept(setting))]))
        })
        .await
    }

    pub(super) async fn delete_config_of(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<SubjectConfig> {
        self.check_settings(caller, subject)?;
        self.change(|| async {
            let rows = self.metastore.schemas().subject(subject.unwrap_or(ALL)).await?;
            let setting = own(&rows, subject);
            let was = config(&setting)?;
            if let Some(subject) = subject
                && was == SubjectConfig::default()
            {
                return Err(nothing_set(subject, SchemaError::NoSubjectConfig));
            }
            let left = kept(SchemaSettingRow { mode: setting.mode, ..SchemaSettingRow::default() });
            let was = SubjectConfig { compatibility: was.compatibility.or(Some(COMPATIBILITY)), ..was };
            Ok((was, rows.revision, vec![change(subject, left)]))
        })
        .await
    }

    pub(super) async fn mode_for(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        falls_back: bool,
    ) -> SchemaResult<RegistryMode> {
        let rows = self.known_settings(caller, subject).await?;
        match (mode(own(&rows, subject).mode.as_deref())?, subject) {
            (Some(own), _) => Ok(own),
            (None, Some(subject)) if !falls_back => Err(nothing_set(subject, SchemaError::NoSubjectMode)),
            _ => self.mode_of(&rows),
        }
    }

    pub(super) async fn set_mode_of(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        wanted: RegistryMode,
        force: bool,
    ) -> SchemaResult<RegistryMode> {
        self.check_settings(caller, subject)?;
        subject.map_or(Ok(()), check_subject)?;
        if wanted == RegistryMode::ReadOnlyOverride && subject.is_some() {
            return fail(SchemaError::WrongMode, "the mode READONLY_OVERRIDE is for all subjects at once");
        }
        self.change(|| async {
            let rows = self.metastore.schemas().subject(subject.unwrap_or(ALL)).await?;
            let mut setting = own(&rows, subject);
            if wanted == RegistryMode::Import && mode(setting.mode.as_deref())? != Some(wanted) && !force {
                let is_there = match subject {
                    Some(_) => rows.versions.iter().any(|row| !row.is_deleted),
                    None => self.metastore.schemas().versions("").await?.iter().any(|row| !row.is_deleted),
                };
                if is_there {
                    let message =
                        "there are schemas already, so that others cannot be imported; \"force\" does it all the same";
                    return fail(SchemaError::WrongMode, message);
                }
            }
            setting.mode = Some(wanted.name().to_owned());
            Ok((wanted, rows.revision, vec![change(subject, kept(setting))]))
        })
        .await
    }

    pub(super) async fn delete_mode_of(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<RegistryMode> {
        self.check_settings(caller, subject)?;
        self.change(|| async {
            let rows = self.metastore.schemas().subject(subject.unwrap_or(ALL)).await?;
            let setting = own(&rows, subject);
            let was = match (mode(setting.mode.as_deref())?, subject) {
                (None, Some(subject)) => return Err(nothing_set(subject, SchemaError::NoSubjectMode)),
                (was, _) => was.unwrap_or(MODE),
            };
            let left = kept(SchemaSettingRow { mode: None, ..setting });
            Ok((was, rows.revision, vec![change(subject, left)]))
        })
        .await
    }

    async fn known_settings(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<SubjectRows> {
        if let Some(subject) = subject {
            self.check_known(caller, subject)?;
        }
        Ok(self.metastore.schemas().subject(subject.unwrap_or(ALL)).await?)
    }
}

fn change(subject: Option<&str>, setting: Option<SchemaSettingRow>) -> SchemaChange {
    SchemaChange::Setting { subject: subject.unwrap_or(ALL).to_owned(), setting }
}
