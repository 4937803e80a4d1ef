//! CREATE SCHEMA.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, SchemaName, Statement};
use polder_lake::{Access, ThingKind, TransactionCell, Unowned};
use polder_types::{Error, ErrorKind, Result};

use super::super::names::{fold, schema_name};
use super::super::target::quoted_ident;
use super::super::{Context, ended};
use super::told::Told;
use crate::authz::access_of_new;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn create_schema(
        &self,
        cell: &TransactionCell,
        statement: &Statement,
        name: &SchemaName,
        if_not_exists: bool,
    ) -> Result<Outcome> {
        let plain = format!("CREATE SCHEMA {}{name}", if if_not_exists { "IF NOT EXISTS " } else { "" });
        if statement.to_string() != plain {
            return Err(Error::unsupported("CREATE SCHEMA with options is not supported"));
        }
        let owner = match name {
            SchemaName::Simple(_) => None,
            SchemaName::UnnamedAuthorization(role) | SchemaName::NamedAuthorization(_, role) => {
                Some(self.owner_to_be(role)?)
            }
        };
        let name = match (name, owner) {
            (SchemaName::Simple(object) | SchemaName::NamedAuthorization(object, _), _) => schema_name(object)?,
            (SchemaName::UnnamedAuthorization(_), owner) => {
                let role = owner.and_then(|owner| self.settings.who.book.name(owner)).unwrap_or_default();
                schema_name(&ObjectName::from(vec![quoted_ident(role)]))?
            }
        };
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let done = Outcome::done("CREATE SCHEMA", None, transaction.base());
        if if_not_exists && transaction.view().schema(&name).is_some() {
            return Ok(done.skips("42P06", "schema", &name));
        }
        transaction.create_schema(&name)?;
        if let Some(owner) = owner
            && let Some(id) = transaction.view().schema(&name).map(|schema| schema.id)
        {
            let made = Unowned { id, kind: ThingKind::Schema, schema: id };
            let access = access_of_new(&self.settings.who.acting_as(owner), &made, transaction.view());
            transaction.set_access(id, Access { owner: Some(owner), ..access.unwrap_or_default() })?;
            let role = self.settings.who.book.name(owner).unwrap_or_default();
            self.tell_of(transaction, &format!("schema {name}"), Told::of("alter owner", format!("to {role}")));
        }
        Ok(done)
    }

    /// The role that something is made for.
    ///
    /// # Errors
    /// `NotFound` (42704), `Forbidden` (42501) unless whoever runs the statement is a member of it.
    fn owner_to_be(&self, role: &Ident) -> Result<i64> {
        let who = &self.settings.who;
        let owner = match (role.quote_style, role.value.to_ascii_uppercase().as_str()) {
            (None, "CURRENT_USER" | "CURRENT_ROLE") => who.role,
            (None, "SESSION_USER") => who.user,
            _ => who.book.named(&fold(role))?.oid,
        };
        if who.superuser || who.book.is_member(who.role, owner) {
            return Ok(owner);
        }
        let name = who.book.name(owner).unwrap_or_default();
        Err(Error::new(ErrorKind::Forbidden, format!("must be member of role \"{name}\""))
            .with_hint(format!("GRANT {name} TO {}", who.role_name())))
    }
}
