//! Subjects, their versions, and what is set for them.

mod calls;
mod deletion;
mod reading;
mod references;
mod registration;
mod rights;
mod settings;

use polder_capability::schemas::{
    Schema, SchemaError, SchemaFailure, SchemaKind, SchemaReference, SchemaResult, SchemaVersion, VersionChoice,
};
use polder_metastore::{SchemaChange, SchemaRow, SchemaVersionRow, SubjectRows};
use polder_types::ErrorKind;

use crate::StoredSchemas;
use crate::limits::SUBJECT_CHARS_MAX;

/// How often a change is decided anew because another was faster.
const TRIES_MAX: usize = 10;

pub(crate) fn fail<T>(error: SchemaError, message: impl Into<String>) -> SchemaResult<T> {
    Err(SchemaFailure::new(error, message))
}

fn unknown_subject(subject: &str) -> SchemaFailure {
    SchemaFailure::new(SchemaError::UnknownSubject, format!("there is no subject \"{subject}\""))
}

fn unknown_version(subject: &str, version: VersionChoice) -> SchemaFailure {
    let version = match version {
        VersionChoice::Latest => "latest version".to_owned(),
        VersionChoice::Number(number) => format!("version {number}"),
    };
    SchemaFailure::new(SchemaError::UnknownVersion, format!("the subject \"{subject}\" has no {version}"))
}

fn unknown_schema(id: i32) -> SchemaFailure {
    SchemaFailure::new(SchemaError::UnknownSchema, format!("there is no schema with the id {id}"))
}

/// Numbers of ids and of versions, which the metastore keeps wider than clients do.
fn narrow(number: i64) -> SchemaResult<i32> {
    i32::try_from(number).or_else(|_| fail(SchemaError::Store, format!("the registry has the number {number}")))
}

/// A name that a subject can have.
fn check_subject(subject: &str) -> SchemaResult<()> {
    if subject.is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX || subject.chars().any(char::is_control) {
        let message = format!("a subject has 1 to {SUBJECT_CHARS_MAX} letters, none of which is a control character");
        return fail(SchemaError::InvalidSubject, message);
    }
    Ok(())
}

fn check_version(version: VersionChoice) -> SchemaResult<()> {
    match version {
        VersionChoice::Number(number) if number < 1 => {
            fail(SchemaError::InvalidVersion, format!("a version is a number from 1 on, or \"latest\", not {number}"))
        }
        _ => Ok(()),
    }
}

/// Those that are not deleted.
fn living(rows: &SubjectRows) -> impl DoubleEndedIterator<Item = &SchemaVersionRow> {
    rows.versions.iter().filter(|version| !version.is_deleted)
}

impl StoredSchemas {
    /// Decides on a change and makes it, again and again while others are faster.
    async fn change<T, F>(&self, decide: impl Fn() -> F) -> SchemaResult<T>
    where
        F: Future<Output = SchemaResult<(T, i64, Vec<SchemaChange>)>>,
    {
        for _ in 0..TRIES_MAX {
            let (answer, revision, changes) = decide().await?;
            if changes.is_empty() {
                return Ok(answer);
            }
            match self.metastore.schemas().change(revision, changes).await {
                Ok(()) => return Ok(answer),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        fail(SchemaError::Busy, "others change the registry all the time; try again")
    }

    /// A text that is stored.
    async fn row(&self, id: i64) -> SchemaResult<SchemaRow> {
        let row = self.metastore.schemas().schema(id).await?;
        row.ok_or_else(|| {
            SchemaFailure::new(SchemaError::UnknownSchema, format!("there is no schema with the id {id}"))
        })
    }

    async fn described(&self, version: &SchemaVersionRow) -> SchemaResult<SchemaVersion> {
        Ok(SchemaVersion {
            subject: version.subject.clone(),
            version: narrow(version.version)?,
            id: narrow(version.schema_id)?,
            schema: schema_of(self.row(version.schema_id).await?)?,
            is_deleted: version.is_deleted,
        })
    }
}

/// What is stored, as it was brought.
fn schema_of(row: SchemaRow) -> SchemaResult<Schema> {
    let damaged =
        || SchemaFailure::new(SchemaError::Store, format!("what is stored of the schema {} is damaged", row.id));
    let kind = SchemaKind::named(&row.kind).ok_or_else(damaged)?;
    let references: Vec<(String, String, i32)> = serde_json::from_str(&row.refers_to).map_err(|_| damaged())?;
    let reference = |(name, subject, version)| SchemaReference { name, subject, version };
    Ok(Schema { kind, text: row.text, references: references.into_iter().map(reference).collect() })
}

/// The form of references in the metastore.
fn stored(references: &[SchemaReference]) -> SchemaResult<String> {
    let list: Vec<(&str, &str, i32)> = references
        .iter()
        .map(|SchemaReference { name, subject, version }| (name.as_str(), subject.as_str(), *version))
        .collect();
    serde_json::to_string(&list).or_else(|error| fail(SchemaError::Store, error.to_string()))
}

#[cfg(test)]
mod tests;
