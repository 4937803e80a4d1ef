//! The columns of a table of which somebody is shown a part: as they are stored, as conditions name them, as they are given.

use arrow::datatypes::{Field, FieldRef, SchemaRef};
use polder_lake::TableState;
use uuid::Uuid;

use crate::catalog::ROWS_CATALOG;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// `None`: the ids of rows.
    pub id: Option<i64>,
    /// What the table that is read calls it; `None`: it has no such column yet.
    pub stored: Option<String>,
    /// What policies and masks call it.
    pub named: String,
    /// What the statement calls it; `None`: it knows of none.
    pub shown: Option<String>,
    pub field: FieldRef,
    /// It has gone since, so that nobody can say any more what its mask means.
    pub gone: bool,
}

impl Given {
    /// The columns of a table as it is now. `then` is the table as it is read, in an older version perhaps, and `schema` that
    /// of its rows: policies go by the names of today, and statements by those of that time.
    pub fn of(now: &TableState, then: &TableState, schema: &SchemaRef) -> Vec<Self> {
        let today = |id: i64| now.top_columns().find(|column| column.id == id).map(|column| column.name.clone());
        let mut all: Vec<Self> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let id = then.top_columns().find(|column| column.name == *field.name()).map(|column| column.id);
            let named = match id {
                Some(id) => today(id),
                None => Some(field.name().clone()),
            };
            all.push(Self {
                id,
                stored: Some(field.name().clone()),
                gone: named.is_none(),
                // No column of today has that name.
                named: named.unwrap_or_else(|| format!("polder$gone {}", id.unwrap_or_default())),
                shown: Some(field.name().clone()),
                field: FieldRef::clone(field),
            });
        }
        let fields = now.schema();
        for column in now.top_columns() {
            let known = all.iter().any(|known| known.id == Some(column.id));
            if !known && let Some((_, field)) = fields.fields().find(&column.name) {
                let (id, named, field) = (Some(column.id), column.name.clone(), FieldRef::clone(field));
                all.push(Self { id, stored: None, named, shown: None, field, gone: false });
            }
        }
        all
    }

    /// The column as the statement knows it, with values that may be missing.
    pub fn nullable(&self, name: &str) -> Field {
        self.field.as_ref().clone().with_name(name).with_nullable(true)
    }
}

/// The names of columns that a change of rows needs beside those that it is shown: what a masked column holds, which a row
/// keeps that is changed elsewhere, and what may be done with a row. Nobody can guess them.
#[derive(Debug, Clone)]
pub(crate) struct Hidden(String);

impl Hidden {
    pub fn new() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// Those of somebody from whom nothing is hidden.
    pub fn none() -> Self {
        Self(String::new())
    }

    /// The catalog in which the rows are found that are changed.
    pub fn catalog(&self) -> String {
        format!("{ROWS_CATALOG} {}", self.0).trim_end().to_owned()
    }

    /// A plan without them.
    pub fn left_out(&self, plan: &str) -> String {
        match self.0.as_str() {
            "" => plan.to_owned(),
            own => plan.replace(&format!(" {own}"), ""),
        }
    }

    /// What a masked column holds.
    pub fn kept(&self, column: &str) -> String {
        format!("polder$kept {} {column}", self.0)
    }

    /// Whether a row may be changed.
    pub fn may_update(&self) -> String {
        format!("polder$may update {}", self.0)
    }

    /// Whether a row may be deleted.
    pub fn may_delete(&self) -> String {
        format!("polder$may delete {}", self.0)
    }
}
