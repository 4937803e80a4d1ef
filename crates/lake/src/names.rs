use std::fmt;

use polder_types::{Error, Result, limits};

/// A table's or view's full name inside the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    #[must_use]
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Refuses names that no catalog, file system or client could carry.
pub(crate) fn check_name(kind: &str, name: &str) -> Result<()> {
    let problem = if name.trim().is_empty() {
        "is empty"
    } else if name.len() > limits::NAME_BYTES_MAX {
        "is longer than 255 bytes"
    } else if name.chars().any(char::is_control) {
        "has a control character in it"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid(format!("the {kind} name {shown:?} {problem}")).with_code("42602"))
}

/// A name as it is written in SQL: in quotes, where it is not all small letters, digits and underscores.
pub(crate) fn written(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.bytes().all(is_plain) && !name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether DuckDB takes two names for one: it looks at ASCII letters without regard to case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}
