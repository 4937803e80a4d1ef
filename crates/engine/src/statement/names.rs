//! Names in statements.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use polder_lake::TableName;
use polder_types::{Error, Result};

/// PostgreSQL's rule: what is not quoted is lower case.
pub(crate) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

pub(crate) fn parts(name: &ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(fold(ident)),
            ObjectNamePart::Function(_) => Err(Error::invalid(format!("{name} is no name")).with_code("42602")),
        })
        .collect()
}

/// A table's or view's full name; without a schema it is in `schema`.
pub(crate) fn table_name(name: &ObjectName, schema: &str) -> Result<TableName> {
    let mut parts = parts(name)?;
    if parts.len() == 3 && parts[0] == "polder" {
        parts.remove(0);
    }
    let full = match <[String; 2]>::try_from(parts) {
        Ok([schema, table]) => TableName::new(schema, table),
        Err(parts) if parts.len() == 1 => TableName::new(schema, parts.concat()),
        Err(_) => {
            return Err(Error::invalid(format!("{name} has too many parts"))
                .with_code("42601")
                .with_hint("a name is table, or schema.table"));
        }
    };
    if matches!(full.schema.as_str(), "polder" | "information_schema" | "pg_catalog") {
        return Err(Error::new(
            polder_types::ErrorKind::Forbidden,
            format!("schema {} belongs to the system", full.schema),
        ));
    }
    Ok(full)
}

/// A schema's name.
pub(crate) fn schema_name(name: &ObjectName) -> Result<String> {
    let mut parts = parts(name)?;
    if parts.len() == 2 && parts[0] == "polder" {
        parts.remove(0);
    }
    match <[String; 1]>::try_from(parts) {
        Ok([schema]) if matches!(schema.as_str(), "polder" | "information_schema" | "pg_catalog") => {
            Err(Error::new(polder_types::ErrorKind::Forbidden, format!("schema {schema} belongs to the system")))
        }
        Ok([schema]) => Ok(schema),
        Err(_) => Err(Error::invalid(format!("{name} is no schema's name")).with_code("42602")),
    }
}
