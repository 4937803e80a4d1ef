//! What there is.

use polder_capability::Caller;
use polder_capability::schemas::{
    Deleted, Page, Schema, SchemaError, SchemaFailure, SchemaForm, SchemaKind, SchemaResult, SchemaVersion,
    VersionChoice,
};
use polder_metastore::SchemaVersionRow;

use super::{check_version, fail, narrow, unknown_schema, unknown_subject, unknown_version};
use crate::StoredSchemas;
use crate::limits::LISTED_MAX;
use crate::parsed::Parsed;

fn is_wanted(row: &SchemaVersionRow, deleted: Deleted) -> bool {
    match deleted {
        Deleted::Without => !row.is_deleted,
        Deleted::With => true,
        Deleted::Only => row.is_deleted,
    }
}

impl StoredSchemas {
    pub(super) async fn names(&self, caller: &Caller, prefix: &str, deleted: Deleted) -> SchemaResult<Vec<String>> {
        let rows = self.metastore.schemas().versions(prefix).await?;
        let mut names: Vec<String> = Vec::new();
        for subject in rows.chunk_by(|a, b| a.subject == b.subject) {
            let is_alive = subject.iter().any(|row| !row.is_deleted);
            let counts = match deleted {
                Deleted::Without => is_alive,
                Deleted::With => true,
                Deleted::Only => !is_alive,
            };
            if let Some(row) = subject.first().filter(|row| counts && self.knows(caller, &row.subject)) {
                names.push(row.subject.clone());
            }
        }
        Ok(names)
    }

    pub(super) async fn numbers(&self, caller: &Caller, subject: &str, deleted: Deleted) -> SchemaResult<Vec<i32>> {
        self.check_known(caller, subject)?;
        let rows = self.metastore.schemas().subject(subject).await?;
        let wanted = rows.versions.iter().filter(|row| is_wanted(row, deleted));
        let numbers = wanted.map(|row| narrow(row.version)).collect::<SchemaResult<Vec<_>>>()?;
        if numbers.is_empty() { Err(unknown_subject(subject)) } else { Ok(numbers) }
    }

    /// One version of a subject that the caller knows.
    async fn version_row(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        deleted: Deleted,
    ) -> SchemaResult<SchemaVersionRow> {
        self.check_known(caller, subject)?;
        check_version(version)?;
        let mut rows = self.metastore.schemas().subject(subject).await?;
        rows.versions.retain(|row| is_wanted(row, deleted));
        if rows.versions.is_empty() {
            return Err(unknown_subject(subject));
        }
        let found = match version {
            VersionChoice::Latest => rows.versions.pop(),
            VersionChoice::Number(number) => rows.versions.into_iter().find(|row| row.version == i64::from(number)),
        };
        found.ok_or_else(|| unknown_version(subject, version))
    }

    pub(super) async fn one(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
        deleted: Deleted,
        form: SchemaForm,
    ) -> SchemaResult<SchemaVersion> {
        let row = self.version_row(caller, subject, version, deleted).await?;
        let mut found = self.described(&row).await?;
        found.schema = self.formed(row.schema_id, found.schema, form).await?;
        Ok(found)
    }

    pub(super) async fn referring(
        &self,
        caller: &Caller,
        subject: &str,
        version: VersionChoice,
    ) -> SchemaResult<Vec<i32>> {
        let row = self.version_row(caller, subject, version, Deleted::With).await?;
        let ids = self.metastore.schemas().referring_to(subject, row.version).await?;
        ids.into_iter().map(narrow).collect()
    }

    pub(super) async fn by_id(&self, caller: &Caller, id: i32, form: SchemaForm) -> SchemaResult<Schema> {
        let uses = self.metastore.schemas().uses(i64::from(id)).await?;
        if !uses.iter().any(|row| self.knows(caller, &row.subject)) {
            return Err(unknown_schema(id));
        }
        let schema = super::schema_of(self.row(i64::from(id)).await?)?;
        self.formed(i64::from(id), schema, form).await
    }

    pub(super) async fn uses_of(&self, caller: &Caller, id: i32, deleted: Deleted) -> SchemaResult<Vec<(String, i32)>> {
        let mut uses = self.metastore.schemas().uses(i64::from(id)).await?;
        uses.retain(|row| self.knows(caller, &row.subject));
        if uses.is_empty() {
            return Err(unknown_schema(id));
        }
        uses.retain(|row| is_wanted(row, deleted));
        uses.into_iter().map(|row| Ok((row.subject, narrow(row.version)?))).collect()
    }

    pub(super) async fn listed(
        &self,
        caller: &Caller,
        prefix: &str,
        deleted: Deleted,
        latest_only: bool,
        page: Page,
    ) -> SchemaResult<Vec<SchemaVersion>> {
        let mut rows = self.metastore.schemas().versions(prefix).await?;
        rows.retain(|row| is_wanted(row, deleted) && self.knows(caller, &row.subject));
        if latest_only {
            rows = rows.chunk_by(|a, b| a.subject == b.subject).filter_map(|subject| subject.last().cloned()).collect();
        }
        let limit = page.limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
        let mut listed = Vec::new();
        for row in rows.iter().skip(page.offset).take(limit) {
            listed.push(self.described(row).await?);
        }
        Ok(listed)
    }

    /// The text in the form that is asked for.
    async fn formed(&self, id: i64, schema: Schema, form: SchemaForm) -> SchemaResult<Schema> {
        let is_other = match (form, schema.kind) {
            (SchemaForm::AsIs, _) | (_, SchemaKind::Json) => false,
            (SchemaForm::Resolved, kind) => kind == SchemaKind::Avro,
            (SchemaForm::Serialized, kind) => kind == SchemaKind::Protobuf,
        };
        if !is_other {
            return Ok(schema);
        }
        let source = self.source_of(self.row(id).await?).await?;
        let write = move || match form {
            SchemaForm::Resolved => source.resolved_avro()?.ok_or_else(|| "it would be nested too deeply".to_owned()),
            _ => match source.parse()? {
                Parsed::Protobuf(file) => Ok(file.serialized()),
                _ => Ok(source.text),
            },
        };
        let written = tokio::task::spawn_blocking(write).await;
        let written = written.map_err(|error| SchemaFailure::new(SchemaError::Store, error.to_string()))?;
        match written {
            Ok(text) => Ok(Schema { text, ..schema }),
            Err::<_, String>(why) => fail(SchemaError::Store, format!("the schema {id} cannot be written so: {why}")),
        }
    }
}
