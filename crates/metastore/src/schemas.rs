//! Schemas, the versions of subjects that have them, and what is set for subjects.
//!
//! Whoever changes something has read before what the change depends on: [`Schemas::change`] refuses it if anything has
//! changed in between.

use polder_types::{Error, ErrorKind, Result};

use crate::{Metastore, Row, Settings, Value, Write};

const REVISION: &str = "schemas.revision";
const NEXT_ID: &str = "schemas.next_id";

/// Numbers from which a change goes out.
const COUNTERS: &str = "SELECT key, value FROM polder_setting WHERE key IN ('schemas.revision', 'schemas.next_id')";

/// A schema's text under its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRow {
    pub id: i64,
    /// Its language.
    pub kind: String,
    pub text: String,
    /// What it refers to, as JSON.
    pub refers_to: String,
    /// The same for schemas that mean the same.
    pub fingerprint: String,
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersionRow {
    pub subject: String,
    pub version: i64,
    pub schema_id: i64,
    pub is_deleted: bool,
    pub fingerprint: String,
}

/// What is set for a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaSettingRow {
    pub compatibility: Option<String>,
    pub normalizes: Option<bool>,
    pub mode: Option<String>,
}

/// All that there is about a subject, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRows {
    /// What a change that is decided on this has to name.
    pub revision: i64,
    /// The next id that no schema has had.
    pub next_id: i64,
    /// In order, deleted ones included.
    pub versions: Vec<SchemaVersionRow>,
    /// What is set for the subject, and for all.
    pub own: Option<SchemaSettingRow>,
    pub shared: SchemaSettingRow,
}

/// A view of the metastore: the registry of schemas.
#[derive(Debug, Clone, Copy)]
pub struct Schemas<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn schemas(&self) -> Schemas<'_> {
        Schemas(self)
    }
}

const VERSIONS: &str = "SELECT v.subject, v.version, v.schema_id, v.is_deleted, s.fingerprint \
     FROM polder_schema_version v JOIN polder_schema s ON s.id = v.schema_id";

const SCHEMA: &str = "SELECT id, kind, text, refers_to, fingerprint FROM polder_schema";

impl Schemas<'_> {
    /// All about a subject. The empty name: what is set for all.
    pub async fn subject(&self, subject: &str) -> Result<SubjectRows> {
        let versions = format!("{VERSIONS} WHERE v.subject = $1 ORDER BY v.version");
        let settings = "SELECT subject, compatibility, normalizes, mode FROM polder_schema_setting \
                        WHERE subject = $1 OR subject = ''";
        let params = [Value::from(subject)];
        let mut read = self.0.read_together(&[(COUNTERS, &[]), (&versions, &params), (settings, &params)]).await?;
        let (settings, versions, counters) = match (read.pop(), read.pop(), read.pop()) {
            (Some(settings), Some(versions), Some(counters)) => (settings, versions, counters),
            _ => return Err(Error::internal("three queries gave fewer answers")),
        };
        let (mut own, mut shared) = (None, SchemaSettingRow::default());
        for row in &settings {
            let setting = read_setting(row)?;
            match row.text(0)? {
                "" => shared = setting,
                _ => own = Some(setting),
            }
        }
        Ok(SubjectRows {
            revision: counter(&counters, REVISION)?,
            next_id: counter(&counters, NEXT_ID)?,
            versions: versions.iter().map(read_version).collect::<Result<_>>()?,
            own,
            shared,
        })
    }

    /// Versions of the subjects that begin so, by subject and number, deleted ones included.
    pub async fn versions(&self, prefix: &str) -> Result<Vec<SchemaVersionRow>> {
        let letters = Value::count(prefix.chars().count() as u64);
        let sql = format!("{VERSIONS} WHERE substr(v.subject, 1, CAST($2 AS INTEGER)) = $1 ORDER BY v.version");
        let rows = self.0.query(&sql, &[prefix.into(), letters]).await?;
        let mut versions = rows.iter().map(read_version).collect::<Result<Vec<_>>>()?;
        // Sorted here: databases order texts in ways of their own.
        versions.sort_by(|a, b| (&a.subject, a.version).cmp(&(&b.subject, b.version)));
        Ok(versions)
    }

    /// Versions that have a schema, by subject and number, deleted ones included.
    pub async fn uses(&self, schema_id: i64) -> Result<Vec<SchemaVersionRow>> {
        let sql = format!("{VERSIONS} WHERE v.schema_id = $1 ORDER BY v.subject, v.version");
        let rows = self.0.query(&sql, &[schema_id.into()]).await?;
        rows.iter().map(read_version).collect()
    }

    pub async fn schema(&self, id: i64) -> Result<Option<SchemaRow>> {
        let rows = self.0.query(&format!("{SCHEMA} WHERE id = $1"), &[id.into()]).await?;
        rows.first().map(read_schema).transpose()
    }

    /// Ids of schemas that mean the same, in order.
    pub async fn ids_of(&self, fingerprint: &str) -> Result<Vec<i64>> {
        let sql = "SELECT id FROM polder_schema WHERE fingerprint = $1 ORDER BY id";
        let rows = self.0.query(sql, &[fingerprint.into()]).await?;
        rows.iter().map(|row| row.int(0)).collect()
    }

    /// Ids of the schemas that refer to a version and are in use, in order.
    pub async fn referring_to(&self, subject: &str, version: i64) -> Result<Vec<i64>> {
        let sql = "SELECT r.schema_id FROM polder_schema_reference r WHERE r.subject = $1 AND r.version = $2 \
                   AND EXISTS (SELECT 1 FROM polder_schema_version v WHERE v.schema_id = r.schema_id AND NOT v.is_deleted) \
                   ORDER BY r.schema_id";
        let rows = self.0.query(sql, &[subject.into(), version.into()]).await?;
        rows.iter().map(|row| row.int(0)).collect()
    }

    /// Makes a change that was decided on a revision, in one transaction.
    ///
    /// # Errors
    /// `Conflict` if something has changed since: read again and decide anew.
    pub async fn change(&self, revision: i64, changes: Vec<SchemaChange>) -> Result<()> {
        let sql = "UPDATE polder_setting SET value = $2 WHERE key = $3 AND value = $1";
        let next = (revision + 1).to_string();
        let mut writes =
            vec![Write::new(sql, vec![revision.to_string().into(), next.into(), REVISION.into()]).affecting(1)];
        for change in changes {
            change.write(&mut writes);
        }
        self.0.write(&writes).await
    }
}

/// A part of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChange {
    /// A text under a new id, and the versions that it refers to.
    Schema { row: SchemaRow, references: Vec<(String, i64)> },
    /// The next id that is given.
    NextId(i64),
    /// A version, in the place of a deleted one if need be.
    Version { subject: String, version: i64, schema_id: i64 },
    /// Marks versions as deleted, or takes them away together with texts that no version has any more.
    Delete { subject: String, versions: Vec<i64>, permanent: bool },
    /// What is set for a subject; the empty one stands for all. `None` takes it away.
    Setting { subject: String, setting: Option<SchemaSettingRow> },
}

impl SchemaChange {
    fn write(self, writes: &mut Vec<Write>) {
        match self {
            Self::Schema { row, references } => {
                let sql =
                    "INSERT INTO polder_schema (id, kind, text, refers_to, fingerprint) VALUES ($1, $2, $3, $4, $5)";
                let SchemaRow { id, kind, text, refers_to, fingerprint } = row;
                writes.push(Write::new(
                    sql,
                    vec![id.into(), kind.into(), text.into(), refers_to.into(), fingerprint.into()],
                ));
                for (subject, version) in references {
                    let sql = "INSERT INTO polder_schema_reference (schema_id, subject, version) VALUES ($1, $2, $3) \
                               ON CONFLICT DO NOTHING";
                    writes.push(Write::new(sql, vec![id.into(), subject.into(), version.into()]));
                }
            }
            Self::NextId(id) => writes.push(Settings::set_write(NEXT_ID, &id.to_string())),
            Self::Version { subject, version, schema_id } => {
                let sql = "INSERT INTO polder_schema_version (subject, version, schema_id, is_deleted) \
                           VALUES ($1, $2, $3, FALSE) ON CONFLICT (subject, version) DO UPDATE SET \
                           schema_id = excluded.schema_id, is_deleted = FALSE";
                writes.push(Write::new(sql, vec![subject.into(), version.into(), schema_id.into()]));
            }
            Self::Delete { subject, versions, permanent } => {
                let sql = if permanent {
                    "DELETE FROM polder_schema_version WHERE subject = $1 AND version = $2"
                } else {
                    "UPDATE polder_schema_version SET is_deleted = TRUE WHERE subject = $1 AND version = $2"
                };
                for version in versions {
                    writes.push(Write::new(sql, vec![subject.as_str().into(), version.into()]).affecting(1));
                }
                if permanent {
                    let unused = "NOT EXISTS (SELECT 1 FROM polder_schema_version v WHERE v.schema_id =";
                    let schemas = format!("DELETE FROM polder_schema WHERE {unused} polder_schema.id)");
                    let references = format!(
                        "DELETE FROM polder_schema_reference WHERE {unused} polder_schema_reference.schema_id)"
                    );
                    writes.extend([Write::new(schemas, vec![]), Write::new(references, vec![])]);
                }
            }
            Self::Setting { subject, setting: Some(setting) } => {
                let sql = "INSERT INTO polder_schema_setting (subject, compatibility, normalizes, mode) \
                           VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE SET \
                           compatibility = excluded.compatibility, normalizes = excluded.normalizes, \
                           mode = excluded.mode";
                let SchemaSettingRow { compatibility, normalizes, mode } = setting;
                writes
                    .push(Write::new(sql, vec![subject.into(), compatibility.into(), normalizes.into(), mode.into()]));
            }
            Self::Setting { subject, setting: None } => {
                let sql = "DELETE FROM polder_schema_setting WHERE subject = $1";
                writes.push(Write::new(sql, vec![subject.into()]));
            }
        }
    }
}

fn counter(rows: &[Row], key: &str) -> Result<i64> {
    for row in rows {
        if row.text(0)? == key {
            return row.int(1);
        }
    }
    Err(Error::new(ErrorKind::Corrupt, format!("the metastore has lost the setting {key}")))
}

fn read_setting(row: &Row) -> Result<SchemaSettingRow> {
    Ok(SchemaSettingRow {
        compatibility: row.opt_text(1)?.map(str::to_owned),
        normalizes: row.opt_bool(2)?,
        mode: row.opt_text(3)?.map(str::to_owned),
    })
}

fn read_version(row: &Row) -> Result<SchemaVersionRow> {
    Ok(SchemaVersionRow {
        subject: row.text(0)?.to_owned(),
        version: row.int(1)?,
        schema_id: row.int(2)?,
        is_deleted: row.bool(3)?,
        fingerprint: row.text(4)?.to_owned(),
    })
}

fn read_schema(row: &Row) -> Result<SchemaRow> {
    Ok(SchemaRow {
        id: row.int(0)?,
        kind: row.text(1)?.to_owned(),
        text: row.text(2)?.to_owned(),
        refers_to: row.text(3)?.to_owned(),
        fingerprint: row.text(4)?.to_owned(),
    })
}
