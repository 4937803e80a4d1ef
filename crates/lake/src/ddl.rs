//! Requests that change the shape of things.

use arrow::datatypes::DataType;

/// A column to be made.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// The default as a literal in DuckDB's text form.
    pub default: Option<String>,
    pub comment: Option<String>,
    /// What its declaration says beyond the type: `varchar(10)`, as [`crate::DECLARED`] carries it.
    pub declared: Option<String>,
}

impl ColumnSpec {
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable, default: None, comment: None, declared: None }
    }
}

/// A change of a table's columns.
#[derive(Debug, Clone)]
pub enum AlterColumn {
    Add(ColumnSpec),
    Drop {
        name: String,
    },
    Rename {
        name: String,
        to: String,
    },
    /// To a wider type that holds every value of the old one.
    Widen {
        name: String,
        data_type: DataType,
        declared: Option<String>,
    },
    /// To any other type: a new column in the place of the old one. Its values are missing until the rows are rewritten,
    /// and what stood on the column stands on the new one.
    Retype(ColumnSpec),
    SetNullable {
        name: String,
        nullable: bool,
    },
    SetDefault {
        name: String,
        default: Option<String>,
    },
    Comment {
        name: String,
        comment: Option<String>,
    },
}
