//! Registering, looking up, comparing.

use polder_capability::Caller;
use polder_capability::schemas::{
    Compatibility, Deleted, NewSchema, RegistryMode, Schema, SchemaError, SchemaFailure, SchemaResult, SchemaVersion,
    VersionChoice,
};
use polder_capability::topics::TopicRight;
use polder_metastore::{SchemaChange, SchemaRow, SchemaVersionRow, SubjectRows};

use super::{check_subject, check_version, fail, living, narrow, stored, unknown_subject, unknown_version};
use crate::StoredSchemas;
use crate::limits::{COMPARED_BYTES_MAX, DIFFERENCES_MAX, VERSIONS_MAX};
use crate::parsed::{Parsed, Source};

/// A schema that has been read.
struct Read {
    source: Source,
    parsed: Parsed,
    fingerprint: String,
}

/// What a registration comes to.
type Decision = (SchemaVersion, i64, Vec<SchemaChange>);

impl StoredSchemas {
    /// Reads a schema, which may take a while for large ones.
    async fn read(&self, mut source: Source, normalizes: bool) -> SchemaResult<Read> {
        let read = move || {
            if normalizes {
                source.normalize()?;
            }
            let parsed = source.parse()?;
            let fingerprint = source.fingerprint(&parsed)?;
            Ok(Read { source, parsed, fingerprint })
        };
        away(read)
            .await?
            .or_else(|why: String| fail(SchemaError::InvalidSchema, format!("the schema is not valid: {why}")))
    }

    pub(super) async fn register_schema(
        &self,
        caller: &Caller,
        subject: &str,
        new: NewSchema,
    ) -> SchemaResult<SchemaVersion> {
        check_subject(subject)?;
        self.check_right(caller, TopicRight::Write, subject)?;
        let NewSchema { schema, id, version, normalizes } = new;
        let normalizes = normalizes || self.normalizes(subject).await?;
        let source = self.source(caller, schema).await?;
        let read = self.read(source, normalizes).await?;
        self.change(|| self.decide(subject, &read, id, version)).await
    }

    async fn decide(
        &self,
        subject: &str,
        read: &Read,
        id: Option<i32>,
        version: Option<i32>,
    ) -> SchemaResult<Decision> {
        let rows = self.metastore.schemas().subject(subject).await?;
        let is_same = |row: &&SchemaVersionRow| row.fingerprint == read.fingerprint;
        let is_asked = |row: &&SchemaVersionRow| {
            id.is_none_or(|id| row.schema_id == i64::from(id))
                && version.is_none_or(|version| row.version == i64::from(version))
        };
        // What is there already needs no mode and no comparison.
        if let Some(known) = living(&rows).rev().find(|row| is_same(row) && is_asked(row)) {
            return Ok((self.described(known).await?, rows.revision, Vec::new()));
        }
        let mode = self.mode_of(&rows)?;
        match (mode, id) {
            (RegistryMode::ReadOnly | RegistryMode::ReadOnlyOverride, _) => {
                return fail(SchemaError::WrongMode, format!("the subject \"{subject}\" is in the mode {mode}"));
            }
            (RegistryMode::ReadWrite, Some(_)) => {
                let message =
                    format!("the subject \"{subject}\" is not in the mode IMPORT, so that ids are not chosen");
                return fail(SchemaError::WrongMode, message);
            }
            (RegistryMode::Import, None) => {
                let message = format!("the subject \"{subject}\" is in the mode IMPORT, so that a schema needs its id");
                return fail(SchemaError::WrongMode, message);
            }
            _ => {}
        }
        if rows.versions.len() >= VERSIONS_MAX {
            let message = format!("the subject \"{subject}\" has {VERSIONS_MAX} versions, which are the most");
            return fail(SchemaError::TooMany, message);
        }
        let number = next_version(&rows, version, mode == RegistryMode::Import)?;
        if mode != RegistryMode::Import {
            self.check_compatible(&rows, read).await?;
        }
        let mut changes = Vec::new();
        let schema_id = self.place(read, id, &rows, &mut changes).await?;
        changes.push(SchemaChange::Version { subject: subject.to_owned(), version: number, schema_id });
        let Source { kind, text, references, .. } = &read.source;
        let registered = SchemaVersion {
            subject: subject.to_owned(),
            version: narrow(number)?,
            id: narrow(schema_id)?,
            schema: Schema { kind: *kind, text: text.clone(), references: references.clone() },
            is_deleted: false,
        };
        Ok((registered, rows.revision, changes))
    }

    async fn check_compatible(&self, rows: &SubjectRows, read: &Read) -> SchemaResult<()> {
        let level = self.compatibility_of(rows)?;
        let differences = self.differences(rows, level, read).await?;
        if differences.is_empty() {
            return Ok(());
        }
        let told = differences.join("; ");
        fail(SchemaError::Incompatible, format!("the schema is not compatible with what was before ({level}): {told}"))
    }

    /// The id of a schema: that of another that says the same, the one that was asked for, or a new one.
    async fn place(
        &self,
        read: &Read,
        asked: Option<i32>,
        rows: &SubjectRows,
        changes: &mut Vec<SchemaChange>,
    ) -> SchemaResult<i64> {
        let id = match asked.map(i64::from) {
            None => match self.metastore.schemas().ids_of(&read.fingerprint).await?.first() {
                Some(known) => return Ok(*known),
                None => rows.next_id,
            },
            Some(asked) => match self.metastore.schemas().schema(asked).await? {
                Some(known) if known.fingerprint == read.fingerprint => return Ok(asked),
                Some(_) => return fail(SchemaError::IdTaken, format!("another schema has the id {asked}")),
                None => asked,
            },
        };
        if id < 1 {
            return fail(SchemaError::InvalidSchema, format!("an id is a number from 1 on, not {id}"));
        }
        narrow(id + 1)?;
        let Source { kind, text, references, .. } = &read.source;
        let row = SchemaRow {
            id,
            kind: kind.name().to_owned(),
            text: text.clone(),
            refers_to: stored(references)?,
            fingerprint: read.fingerprint.clone(),
        };
        let references =
            references.iter().map(|reference| (reference.subject.clone(), i64::from(reference.version))).collect();
        changes.push(SchemaChange::Schema { row, references });
        if id >= rows.next_id {
            changes.push(SchemaChange::NextId(id + 1));
        }
        Ok(id)
    }

    /// What speaks against a schema behind the versions that a level names.
    async fn differences(&self, rows: &SubjectRows, level: Compatibility, read: &Read) -> SchemaResult<Vec<String>> {
        use Compatibility::{Backward, Forward, Full, None};
        let count = match level {
            None => 0,
            Backward | Forward | Full => 1,
            _ => usize::MAX,
        };
        let versions: Vec<&SchemaVersionRow> = living(rows).rev().take(count).collect();
        self.compare(&versions, level, read).await
    }

    async fn compare(
        &self,
        versions: &[&SchemaVersionRow],
        level: Compatibility,
        read: &Read,
    ) -> SchemaResult<Vec<String>> {
        use Compatibility::{Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive};
        let backward = matches!(level, Backward | BackwardTransitive | Full | FullTransitive);
        let forward = matches!(level, Forward | ForwardTransitive | Full | FullTransitive);
        let mut told = Vec::new();
        let mut bytes = 0;
        for version in versions {
            let old = self.source_of(self.row(version.schema_id).await?).await?;
            bytes += old.text.len();
            if bytes > COMPARED_BYTES_MAX {
                let message = format!("the versions to compare with have more than {COMPARED_BYTES_MAX} bytes");
                return fail(SchemaError::TooLarge, message);
            }
            let new = read.parsed.clone();
            let compare = move || {
                let old = old.parse()?;
                let mut found = if backward { new.differences(&old)? } else { Vec::new() };
                if forward {
                    found.extend(
                        old.differences(&new)?
                            .into_iter()
                            .map(|difference| format!("read by the old one: {difference}")),
                    );
                }
                Ok(found)
            };
            let found = away(compare).await?.or_else(|why: String| fail(SchemaError::InvalidSchema, why))?;
            told.extend(found.into_iter().map(|difference| format!("{difference} (version {})", version.version)));
            if told.len() >= DIFFERENCES_MAX {
                told.truncate(DIFFERENCES_MAX);
                break;
            }
        }
        Ok(told)
    }

    pub(super) async fn check_schema(
        &self,
        caller: &Caller,
        subject: &str,
        version: Option<VersionChoice>,
        schema: Schema,
        normalizes: bool,
    ) -> SchemaResult<Vec<String>> {
        self.check_known(caller, subject)?;
        if let Some(version) = version {
            check_version(version)?;
        }
        let normalizes = normalizes || self.normalizes(subject).await?;
        let read = self.read(self.source(caller, schema).await?, normalizes).await?;
        let rows = self.metastore.schemas().subject(subject).await?;
        let level = self.compatibility_of(&rows)?;
        let Some(version) = version else { return self.differences(&rows, level, &read).await };
        let found = match version {
            VersionChoice::Latest => living(&rows).next_back(),
            VersionChoice::Number(number) => living(&rows).find(|row| row.version == i64::from(number)),
        };
        let found = match found {
            Some(found) => found,
            // Nothing is there yet, so that nothing speaks against it.
            None if version == VersionChoice::Latest && rows.versions.is_empty() => return Ok(Vec::new()),
            None if rows.versions.is_empty() => return Err(unknown_subject(subject)),
            None => return Err(unknown_version(subject, version)),
        };
        if level == Compatibility::None {
            return Ok(Vec::new());
        }
        self.compare(&[found], level, &read).await
    }

    pub(super) async fn look_up_schema(
        &self,
        caller: &Caller,
        subject: &str,
        schema: Schema,
        normalizes: bool,
        deleted: Deleted,
    ) -> SchemaResult<SchemaVersion> {
        self.check_known(caller, subject)?;
        let rows = self.metastore.schemas().subject(subject).await?;
        let wanted = |row: &&SchemaVersionRow| match deleted {
            Deleted::Without => !row.is_deleted,
            Deleted::With => true,
            Deleted::Only => row.is_deleted,
        };
        if !rows.versions.iter().any(|row| wanted(&row)) {
            return Err(unknown_subject(subject));
        }
        let normalizes = normalizes || self.normalizes(subject).await?;
        let read = self.read(self.source(caller, schema).await?, normalizes).await?;
        let found = rows.versions.iter().rev().filter(wanted).find(|row| row.fingerprint == read.fingerprint);
        match found {
            Some(found) => self.described(found).await,
            None => fail(SchemaError::UnknownSchema, format!("the subject \"{subject}\" does not have this schema")),
        }
    }
}

/// The number of the next version. Elsewhere it may have been another, and there may be holes.
fn next_version(rows: &SubjectRows, asked: Option<i32>, imports: bool) -> SchemaResult<i64> {
    let next = rows.versions.last().map_or(1, |last| last.version + 1);
    let Some(asked) = asked.map(i64::from) else { return Ok(next) };
    if asked < 1 {
        return fail(SchemaError::InvalidVersion, format!("a version is a number from 1 on, not {asked}"));
    }
    let is_free = !rows.versions.iter().any(|row| row.version == asked && !row.is_deleted);
    if asked == next || (imports && is_free) {
        return Ok(asked);
    }
    fail(SchemaError::InvalidSchema, format!("the next version is {next}, not {asked}"))
}

/// Runs what takes long where it holds up nobody. What a strange text makes fail is an error as any other.
async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> SchemaResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "reading a schema died");
        SchemaFailure::new(SchemaError::InvalidSchema, "the schema cannot be read")
    })
}
