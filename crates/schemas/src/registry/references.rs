//! What schemas refer to.

use std::collections::HashSet;

use polder_capability::Caller;
use polder_capability::schemas::{Schema, SchemaError, SchemaReference, SchemaResult};
use polder_metastore::SchemaRow;

use super::{fail, schema_of};
use crate::StoredSchemas;
use crate::limits::{REFERENCES_BYTES_MAX, REFERENCES_DEPTH_MAX, REFERENCES_MAX, SCHEMA_BYTES_MAX};
use crate::parsed::Source;

/// What has been found of what a schema refers to, directly or not.
#[derive(Default)]
struct Found {
    /// Those that refer to nothing first.
    texts: Vec<(String, String)>,
    known: HashSet<SchemaReference>,
    bytes: usize,
}

impl StoredSchemas {
    /// A schema as somebody brings it, with all that it refers to.
    pub(super) async fn source(&self, caller: &Caller, schema: Schema) -> SchemaResult<Source> {
        if schema.text.len() > SCHEMA_BYTES_MAX {
            let message = format!("the schema has {} bytes, and {SCHEMA_BYTES_MAX} are the most", schema.text.len());
            return fail(SchemaError::TooLarge, message);
        }
        for reference in &schema.references {
            if !self.knows(caller, &reference.subject) {
                return Err(missing(reference));
            }
        }
        self.resolve(schema).await
    }

    /// A schema that is stored, with all that it refers to.
    pub(crate) async fn source_of(&self, row: SchemaRow) -> SchemaResult<Source> {
        self.resolve(schema_of(row)?).await
    }

    async fn resolve(&self, schema: Schema) -> SchemaResult<Source> {
        let mut found = Found::default();
        self.collect(&schema, &mut found, 0).await?;
        let Schema { kind, text, references } = schema;
        Ok(Source { kind, text, references, resolved: found.texts })
    }

    async fn collect(&self, schema: &Schema, found: &mut Found, depth: usize) -> SchemaResult<()> {
        if depth > REFERENCES_DEPTH_MAX {
            let message = format!("schemas refer to each other deeper than {REFERENCES_DEPTH_MAX}");
            return fail(SchemaError::TooLarge, message);
        }
        for reference in &schema.references {
            if !found.known.insert(reference.clone()) {
                continue;
            }
            let SchemaReference { name, subject, version } = reference;
            let rows = self.metastore.schemas().subject(subject).await?;
            // A deleted one is still read by those that have referred to it before.
            let version = rows.versions.iter().find(|row| row.version == i64::from(*version));
            let version = version.ok_or_else(|| missing(reference))?;
            let referred = schema_of(self.row(version.schema_id).await?)?;
            if referred.kind != schema.kind {
                let message = format!("the reference \"{name}\" is {}, and the schema {}", referred.kind, schema.kind);
                return fail(SchemaError::InvalidSchema, message);
            }
            found.bytes += referred.text.len();
            if found.known.len() > REFERENCES_MAX || found.bytes > REFERENCES_BYTES_MAX {
                let message =
                    format!("the schema refers to more than {REFERENCES_MAX} others, or {REFERENCES_BYTES_MAX} bytes");
                return fail(SchemaError::TooLarge, message);
            }
            Box::pin(self.collect(&referred, found, depth + 1)).await?;
            // One schema may be reached by several ways; by another name it is another one.
            if !found.texts.iter().any(|(known, text)| known == name && *text == referred.text) {
                found.texts.push((name.clone(), referred.text));
            }
        }
        Ok(())
    }
}

fn missing(reference: &SchemaReference) -> polder_capability::schemas::SchemaFailure {
    let SchemaReference { name, subject, version } = reference;
    let message = format!("the reference \"{name}\" is to version {version} of \"{subject}\", which is not there");
    polder_capability::schemas::SchemaFailure::new(SchemaError::InvalidSchema, message)
}
