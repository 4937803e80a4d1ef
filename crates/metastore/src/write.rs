use std::borrow::Cow;

use polder_types::Error;

use crate::Value;
use crate::error::sql_error;

/// One statement that changes rows, with `$1`, `$2`, … for its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub sql: Cow<'static, str>,
    pub params: Vec<Value>,
    /// The number of rows it must change. Any other number makes the transaction fail with `Conflict`.
    pub rows: Option<u64>,
}

impl Write {
    #[must_use]
    pub fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Self { sql: sql.into(), params, rows: None }
    }

    /// Makes the transaction fail with `Conflict` unless this statement changes exactly `rows` rows.
    #[must_use]
    pub fn affecting(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    pub(crate) fn check(&self, changed: u64) -> Result<(), WriteProblem> {
        match self.rows {
            Some(promised) if promised != changed => {
                Err(WriteProblem::Rows { sql: self.sql.to_string(), promised, changed })
            }
            _ => Ok(()),
        }
    }
}

/// Why a statement of a transaction failed.
pub(crate) enum WriteProblem {
    Sql(sqlx::Error),
    /// Another number of rows than promised.
    Rows {
        sql: String,
        promised: u64,
        changed: u64,
    },
}

impl WriteProblem {
    pub(crate) fn into_error(self, action: &str) -> Error {
        match self {
            Self::Sql(error) => sql_error(action, error),
            Self::Rows { sql, promised, changed } => {
                let sql: String = sql.chars().take(120).collect();
                Error::conflict(format!("a statement changed {changed} rows instead of {promised}: {sql}"))
            }
        }
    }
}
