//! Whether a statement may run in the session as it stands.

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{DiscardObject, Statement};
use polder_lake::{TransactionCell, Version};
use polder_types::{Error, Result};

use crate::parse::ParsedStatement;
use crate::session::Inner;

/// Whether a statement is one that a session gets out by, which has taken on a role that is not its user's any more: it says anew
/// who it is, or ends a transaction without keeping anything of it.
pub(super) fn leaves_roles(statement: &ParsedStatement, inner: &Inner) -> bool {
    match statement {
        ParsedStatement::Role(statement) => statement.is_about_session(),
        ParsedStatement::Standard(Parsed::Statement(statement)) => match statement.as_ref() {
            Statement::Rollback { .. } => inner.open.is_some(),
            Statement::Commit { .. } => inner.open.as_ref().is_some_and(|open| open.failed),
            Statement::Discard { object_type } => *object_type == DiscardObject::ALL,
            _ => false,
        },
        _ => false,
    }
}

/// The transaction that is open, unless it has failed.
pub(super) fn open_cell(inner: &Inner) -> Result<Option<TransactionCell>> {
    match &inner.open {
        Some(open) if open.failed => {
            Err(Error::invalid("the transaction has failed; statements are ignored until it ends")
                .with_code("25P02")
                .with_hint("ROLLBACK"))
        }
        Some(open) => Ok(Some(open.cell.clone())),
        None => Ok(None),
    }
}

/// Refuses changes in a transaction that only reads, and in a session that reads an old version: what a change reads is
/// the newest one, whatever the session is set to.
pub(super) fn check_may_write(inner: &Inner) -> Result<()> {
    match &inner.open {
        Some(open) if open.read_only => {
            return Err(Error::invalid("a READ ONLY transaction changes nothing").with_code("25006"));
        }
        None if inner.settings.read_only => {
            return Err(Error::invalid("this session changes nothing")
                .with_code("25006")
                .with_hint("SET default_transaction_read_only = off"));
        }
        _ => {}
    }
    if inner.settings.version != Version::Newest {
        return Err(Error::invalid("a session that reads an old version changes nothing")
            .with_code("25006")
            .with_hint("RESET snapshot"));
    }
    Ok(())
}

/// Refuses to change what is kept beside the lake, where `check_may_write` does, and as a part of a transaction, which might
/// be taken back: such a change takes effect at once.
pub(super) fn check_may_write_beside(inner: &Inner, verb: &str) -> Result<()> {
    if inner.open.is_some() {
        return Err(Error::invalid(format!("{verb} cannot be part of a transaction"))
            .with_code("25001")
            .with_hint("COMMIT or ROLLBACK first"));
    }
    check_may_write(inner)
}
