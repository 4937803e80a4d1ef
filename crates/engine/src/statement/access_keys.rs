//! CREATE and DROP ACCESS KEY: what requests at the address for AWS' clients are signed with.
//!
//! ```text
//! CREATE ACCESS KEY [FOR role]
//! DROP ACCESS KEY [IF EXISTS] 'id'
//! ```
//!
//! Keys are kept beside the lake, and a secret is told once: these statements take effect at once, and so cannot be part of a
//! transaction that might be taken back.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use polder_capability::Caller;
use polder_metastore::principals::NewAccessKey;
use polder_types::{Error, ErrorKind, Result};

use super::cursor::{Cursor, begins_about, solid};
use super::may::check_may_write_beside;
use crate::authz::Who;
use crate::engine::Engine;
use crate::session::{Inner, Outcome};

/// A statement about access keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessKeyStatement {
    /// Without a name: of whoever runs it.
    Create {
        role: Option<String>,
    },
    Drop {
        id: String,
        if_exists: bool,
    },
}

impl AccessKeyStatement {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE ACCESS KEY",
            Self::Drop { .. } => "DROP ACCESS KEY",
        }
    }
}

/// The statement about access keys that these tokens of `sql` are; `None` if they are another one.
pub(crate) fn parse_access_key(sql: &str, tokens: &[TokenWithSpan]) -> Result<Option<AccessKeyStatement>> {
    // Most statements are others.
    if !begins_about(tokens, "ACCESS") {
        return Ok(None);
    }
    let tokens = solid(tokens);
    let mut cursor = Cursor { sql, tokens: &tokens, at: 0 };
    let statement = if cursor.take(&["CREATE", "ACCESS", "KEY"]) {
        let role = match cursor.take(&["FOR"]) {
            // The words of SQL for whoever runs it.
            true if cursor.take(&["CURRENT_USER"]) || cursor.take(&["CURRENT_ROLE"]) => None,
            true => Some(cursor.name("a role's name")?),
            false => None,
        };
        AccessKeyStatement::Create { role }
    } else if cursor.take(&["DROP", "ACCESS", "KEY"]) {
        let if_exists = cursor.take(&["IF", "EXISTS"]);
        AccessKeyStatement::Drop { id: cursor.text("a key's id in quotes")?, if_exists }
    } else {
        return Ok(None);
    };
    cursor.end()?;
    Ok(Some(statement))
}

/// The columns of what CREATE ACCESS KEY gives.
pub(super) fn made_schema() -> SchemaRef {
    let column = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![column("access_key_id"), column("secret_access_key")]))
}

/// Whether somebody may make and drop the keys of a role: as with passwords, one's own, and with CREATEROLE those of all who
/// are no superusers.
fn may_change(who: &Who, name: &str) -> bool {
    let known = who.book.find(name);
    who.superuser
        || known.is_some_and(|known| {
            let makes_roles = who.book.role(who.role).is_some_and(|role| role.creates_roles);
            known.oid == who.role || (makes_roles && !known.is_superuser)
        })
}

impl Engine {
    /// Runs a statement about access keys.
    pub(crate) async fn access_key(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: AccessKeyStatement,
    ) -> Result<Outcome> {
        let verb = statement.verb();
        check_may_write_beside(inner, verb)?;
        // A role that goes leaves no key behind for whoever has its name next.
        let _one_at_a_time = self.authority.one_at_a_time().await;
        self.identify(caller, &mut inner.settings).await?;
        let who = &inner.settings.who;
        let done = Outcome::done(verb, None, self.lake.newest().await?.id);
        match statement {
            AccessKeyStatement::Create { role } => {
                let user = role.as_deref().unwrap_or_else(|| who.role_name());
                let made = self.create_access_key(caller, who, user).await?;
                let columns: [Arc<StringArray>; 2] = [made.id, made.secret].map(|text| Arc::new(vec![text].into()));
                let batch =
                    RecordBatch::try_new(made_schema(), columns.into_iter().map(|column| column as _).collect())
                        .map_err(|error| Error::internal(error.to_string()))?;
                let rows = RecordBatchStreamAdapter::new(made_schema(), futures::stream::iter([Ok(batch)]));
                Ok(Outcome { rows: Some((made_schema(), Box::pin(rows))), ..done })
            }
            AccessKeyStatement::Drop { id, if_exists } => {
                if self.drop_access_key(caller, who, &id).await? {
                    return Ok(done);
                }
                // Keys of others are not there: nobody learns which ones there are.
                let message = format!("there is no access key {id:?}");
                if if_exists {
                    return Ok(done.notice(message));
                }
                Err(Error::not_found(message)
                    .with_code("42704")
                    .with_hint("SELECT access_key_id FROM polder.access_keys"))
            }
        }
    }

    async fn create_access_key(&self, caller: &Caller, who: &Who, user: &str) -> Result<NewAccessKey> {
        let role = who.book.named(user)?;
        if !may_change(who, user) {
            return Err(Error::new(ErrorKind::Forbidden, "permission denied to make access keys of others")
                .with_code("42501")
                .with_hint("CREATE ACCESS KEY makes one's own; CREATEROLE makes those of all who are no superusers"));
        }
        if !role.logs_in {
            return Err(Error::invalid(format!("role \"{user}\" is not permitted to log in"))
                .with_code("55000")
                .with_hint(format!("ALTER ROLE {user} LOGIN")));
        }
        self.metastore.principals().create_access_key(user, who.user_name(), &caller.via).await
    }

    /// False if there is no such key among those that somebody may drop.
    async fn drop_access_key(&self, caller: &Caller, who: &Who, id: &str) -> Result<bool> {
        let keys = self.metastore.principals().list_access_keys(None).await?;
        match keys.into_iter().find(|key| key.id == id) {
            Some(key) if may_change(who, &key.user) => {
                self.metastore.principals().delete_access_key(&key.user, id, who.user_name(), &caller.via).await
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{ParsedStatement, parse};

    fn check(sql: &str, expected: Option<AccessKeyStatement>) {
        let statement = parse(sql).ok().and_then(|mut all| all.pop());
        let found = match statement {
            Some(ParsedStatement::AccessKey(statement)) => Some(statement),
            _ => None,
        };
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn statements_about_access_keys() {
        let of = |role: &str| AccessKeyStatement::Create { role: Some(role.to_owned()) };
        let dropped = |if_exists| AccessKeyStatement::Drop { id: "PLDRA".to_owned(), if_exists };
        check("create /* one */ access key;", Some(AccessKeyStatement::Create { role: None }));
        check("CREATE ACCESS KEY FOR CURRENT_USER", Some(AccessKeyStatement::Create { role: None }));
        check("CREATE ACCESS KEY FOR Ada", Some(of("ada")));
        check("CREATE ACCESS KEY FOR \"Ada\"", Some(of("Ada")));
        check("DROP ACCESS KEY 'PLDRA'", Some(dropped(false)));
        check("DROP ACCESS KEY IF EXISTS 'PLDRA'", Some(dropped(true)));
        for wrong in ["CREATE ACCESS KEY FOR", "CREATE ACCESS KEY FOR a b", "DROP ACCESS KEY", "DROP ACCESS KEY pldra"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        check("SELECT access FROM key", None);
    }
}
