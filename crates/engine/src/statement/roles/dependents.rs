//! What a role owns, and where it has been granted something.

use polder_lake::{Access, DefaultGrants, Grant, Snapshot};

use super::Work;
use crate::authz::names_role;
use crate::authz::rights::Kind;
use crate::inline;
use crate::system::pg_catalog::programs::signature;

/// Things that an error tells; the others are counted.
const TOLD_MAX: usize = 100;

impl Work<'_> {
    /// What stands in the way of dropping a role, in PostgreSQL's words.
    pub(super) fn holdings(&self, oid: i64) -> Vec<String> {
        let view = self.transaction.view();
        let mut found = Vec::new();
        let database = self.database_grants();
        if database.is_some_and(|grants| names_role(&grants, oid)) {
            found.push("privileges for database polder".to_owned());
        }
        found.extend(self.default_holdings(oid));
        for (id, access) in view.all_access().iter() {
            let Some(thing) = self.described(view, *id) else { continue };
            if access.owner == Some(oid) {
                found.push(format!("owner of {thing}"));
            } else if access.grants.as_deref().is_some_and(|grants| names_role(grants, oid)) {
                found.push(format!("privileges for {thing}"));
            }
            if access.owner != Some(oid) {
                found.extend(
                    self.column_holdings(view, *id, access, oid)
                        .map(|column| format!("privileges for column {column} of {thing}")),
                );
            }
            let policies = access.policies.rows.iter().filter(|policy| policy.roles.contains(&oid));
            found.extend(policies.map(|policy| format!("target of policy {} on {thing}", policy.name)));
            if access.policies.masks.values().any(|mask| mask.except.contains(&oid)) {
                found.push(format!("excepted from a mask of {thing}"));
            }
            let schema = view.schemas.get(id).map(|schema| schema.name.as_str());
            let defaults = access.defaults.iter();
            found.extend(defaults.filter_map(|known| self.default_holding(known, schema, oid)));
        }
        found.extend(self.topic_holdings(oid));
        let name = self.role_name(oid);
        found.extend(self.jobs.iter().filter(|(_, owner)| owner == name).map(|(job, _)| format!("owner of job {job}")));
        found
    }

    fn default_holdings(&self, oid: i64) -> Vec<String> {
        let known = self.rows.defaults.iter().map(|(role, kind, items)| DefaultGrants {
            role: *role,
            kind: kind.clone(),
            grants: serde_json::from_str(items).unwrap_or_default(),
        });
        known.filter_map(|known| self.default_holding(&known, None, oid)).collect()
    }

    fn default_holding(&self, known: &DefaultGrants, schema: Option<&str>, oid: i64) -> Option<String> {
        let word = match Kind::of_word(&known.kind)? {
            Kind::Table => "relations",
            Kind::Sequence => "sequences",
            Kind::Function => "functions",
            Kind::Schema => "schemas",
            Kind::Database | Kind::Column | Kind::Topic => return None,
        };
        let held = match () {
            () if known.role == oid => "owner of",
            () if names_role(&known.grants, oid) => "privileges for",
            () => return None,
        };
        let owner = self.role_name(known.role);
        let place = schema.map(|schema| format!(" in schema {schema}")).unwrap_or_default();
        Some(format!("{held} default privileges on new {word} belonging to role {owner}{place}"))
    }

    fn column_holdings<'v>(
        &self,
        view: &'v Snapshot,
        id: i64,
        access: &'v Access,
        oid: i64,
    ) -> impl Iterator<Item = String> + use<'v> {
        let granted = access.columns.iter().filter(move |(_, grants)| names_role(grants, oid));
        granted.map(move |(column, _)| {
            let known = view.tables.get(&id).and_then(|table| table.columns.iter().find(|known| known.id == *column));
            known.map_or_else(|| column.to_string(), |known| known.name.clone())
        })
    }

    /// A thing with its kind and its name, as errors tell of it.
    pub(super) fn described(&self, view: &Snapshot, id: i64) -> Option<String> {
        let path = &self.context.settings.path;
        let named = |schema: i64, name: &str| match view.schemas.get(&schema) {
            Some(schema) if !path.contains(&schema.name) => format!("{}.{name}", schema.name),
            _ => name.to_owned(),
        };
        if let Some(table) = view.tables.get(&id) {
            let word = crate::authz::word_of(table);
            return Some(format!("{word} {}", named(table.schema_id, &table.name)));
        }
        if let Some(known) = view.views.get(&id) {
            return Some(format!("view {}", named(known.schema_id, &known.name)));
        }
        if let Some(schema) = view.schemas.get(&id) {
            return Some(format!("schema {}", schema.name));
        }
        let function = view.functions.get(&id)?;
        let signature = match inline::definitions(function).ok().and_then(|all| all.into_iter().next()) {
            Some(first) => signature(&function.name, &first),
            None => function.name.clone(),
        };
        Some(format!("function {}", named(function.schema_id, &signature)))
    }

    /// What is granted on the database; `None`: what is usual.
    pub(super) fn database_grants(&self) -> Option<Vec<Grant>> {
        self.rows.database.as_deref().map(|text| serde_json::from_str(text).unwrap_or_default())
    }
}

/// A list for an error that says what stands in the way.
pub(super) fn told(all: &[String]) -> String {
    let mut lines: Vec<String> = all.iter().take(TOLD_MAX).cloned().collect();
    if all.len() > TOLD_MAX {
        lines.push(format!("and {} other objects", all.len() - TOLD_MAX));
    }
    lines.join("\n")
}
