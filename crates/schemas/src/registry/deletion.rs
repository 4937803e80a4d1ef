//! Deleting: first so that it can still be read, then for good.

use polder_capability::Caller;
use polder_capability::schemas::{RegistryMode, SchemaError, SchemaResult, VersionChoice};
use polder_capability::topics::TopicRight;
use polder_metastore::{SchemaChange, SubjectRows};

use super::{check_version, fail, living, narrow, unknown_subject, unknown_version};
use crate::StoredSchemas;

impl StoredSchemas {
    pub(super) async fn delete_one(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        permanent: bool,
    ) -> SchemaResult<i32> {
        self.check_deletes(caller, subject)?;
        check_version(version)?;
        let number = self
            .change(|| async {
                let rows = self.metastore.schemas().subject(subject).await?;
                self.check_writable(&rows, subject)?;
                if rows.versions.is_empty() {
                    return Err(unknown_subject(subject));
                }
                let found = match version {
                    VersionChoice::Latest => living(&rows).next_back(),
                    VersionChoice::Number(number) => rows.versions.iter().find(|row| row.version == i64::from(number)),
                };
                let found = found.ok_or_else(|| unknown_version(subject, version))?;
                let number = found.version;
                match (found.is_deleted, permanent) {
                    (true, false) => {
                        let message = format!(
                            "version {number} of \"{subject}\" is deleted already; \"permanent\" deletes it for good"
                        );
                        return fail(SchemaError::VersionDeleted, message);
                    }
                    (false, true) => {
                        let message =
                            format!("version {number} of \"{subject}\" must be deleted before it is for good");
                        return fail(SchemaError::VersionNotDeleted, message);
                    }
                    _ => {}
                }
                self.check_unreferenced(subject, &[number]).await?;
                let mut changes =
                    vec![SchemaChange::Delete { subject: subject.to_owned(), versions: vec![number], permanent }];
                if permanent && rows.versions.len() == 1 {
                    changes.push(SchemaChange::Setting { subject: subject.to_owned(), setting: None });
                }
                Ok((number, rows.revision, changes))
            })
            .await?;
        self.forget(permanent);
        narrow(number)
    }

    pub(super) async fn delete_all(&self, caller: &Caller, subject: &str, permanent: bool) -> SchemaResult<Vec<i32>> {
        self.check_deletes(caller, subject)?;
        let numbers: Vec<i64> = self
            .change(|| async {
                let rows = self.metastore.schemas().subject(subject).await?;
                self.check_writable(&rows, subject)?;
                if rows.versions.is_empty() {
                    return Err(unknown_subject(subject));
                }
                let alive: Vec<i64> = living(&rows).map(|row| row.version).collect();
                if permanent && !alive.is_empty() {
                    let message = format!("the subject \"{subject}\" must be deleted before it is for good");
                    return fail(SchemaError::SubjectNotDeleted, message);
                }
                if !permanent && alive.is_empty() {
                    let message =
                        format!("the subject \"{subject}\" is deleted already; \"permanent\" deletes it for good");
                    return fail(SchemaError::SubjectDeleted, message);
                }
                let versions = if permanent { rows.versions.iter().map(|row| row.version).collect() } else { alive };
                self.check_unreferenced(subject, &versions).await?;
                // What was set for it ends with it.
                let changes = vec![
                    SchemaChange::Delete { subject: subject.to_owned(), versions: versions.clone(), permanent },
                    SchemaChange::Setting { subject: subject.to_owned(), setting: None },
                ];
                Ok((versions, rows.revision, changes))
            })
            .await?;
        self.forget(permanent);
        numbers.into_iter().map(narrow).collect()
    }

    fn check_deletes(&self, caller: &Caller, subject: &str) -> SchemaResult<()> {
        self.check_known(caller, subject)?;
        self.check_right(caller, TopicRight::Delete, subject)
    }

    fn check_writable(&self, rows: &SubjectRows, subject: &str) -> SchemaResult<()> {
        match self.mode_of(rows)? {
            mode @ (RegistryMode::ReadOnly | RegistryMode::ReadOnlyOverride) => {
                fail(SchemaError::WrongMode, format!("the subject \"{subject}\" is in the mode {mode}"))
            }
            RegistryMode::ReadWrite | RegistryMode::Import => Ok(()),
        }
    }

    async fn check_unreferenced(&self, subject: &str, versions: &[i64]) -> SchemaResult<()> {
        for version in versions {
            let ids = self.metastore.schemas().referring_to(subject, *version).await?;
            if let Some(id) = ids.first() {
                let message = format!("the schema {id} refers to version {version} of \"{subject}\"");
                return fail(SchemaError::Referenced, message);
            }
        }
        Ok(())
    }

    fn forget(&self, permanent: bool) {
        if permanent {
            self.decoders.forget_all();
        }
    }
}
