//! The grammar of roles.
//!
//! ```text
//! CREATE {ROLE | USER | GROUP} name [WITH] option …
//! ALTER {ROLE | USER | GROUP} role [WITH] option …
//! ALTER {ROLE | USER} role {SET setting {= | TO} value | SET setting FROM CURRENT | RESET setting | RESET ALL}
//! ALTER {ROLE | USER | GROUP} name RENAME TO name
//! ALTER GROUP role {ADD | DROP} USER role, …
//! DROP {ROLE | USER | GROUP} [IF EXISTS] role, …
//! GRANT name, … TO role, … [WITH ADMIN OPTION] [GRANTED BY role]
//! REVOKE [ADMIN OPTION FOR] name, … FROM role, … [GRANTED BY role] [CASCADE | RESTRICT]
//! SET [SESSION | LOCAL] ROLE {name | NONE}, RESET ROLE
//! SET [SESSION | LOCAL] SESSION AUTHORIZATION {name | DEFAULT}, RESET SESSION AUTHORIZATION
//! ```

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use polder_types::{Error, Result};

use super::names::RoleName;
use super::statements::{Members, RoleOptions, RoleStatement, SettingChange};
use super::words::Words;

/// The words for a role. A USER may log in if nothing else is said.
const KINDS: [&str; 3] = ["ROLE", "USER", "GROUP"];

/// The statement about roles or rights that these tokens are; `None` if they are another one.
///
/// # Errors
/// `InvalidInput` (42601), `Unsupported`.
pub(crate) fn parse_role(tokens: &[TokenWithSpan]) -> Result<Option<RoleStatement>> {
    let first = tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
    let begins = ["create", "alter", "drop", "grant", "revoke", "reassign", "set", "reset"];
    let may_be = |token: &Token| match token {
        Token::Word(word) => begins.iter().any(|begin| word.value.eq_ignore_ascii_case(begin)),
        _ => false,
    };
    // Statements may be long, and most begin with another word.
    if !first.is_some_and(|token| may_be(&token.token)) {
        return Ok(None);
    }
    let mut words = Words::of(tokens);
    let statement = match words.statement()? {
        Some(statement) => statement,
        None => return Ok(None),
    };
    words.end()?;
    Ok(Some(statement))
}

impl Words<'_> {
    fn statement(&mut self) -> Result<Option<RoleStatement>> {
        // A mapping of users is another thing.
        if self.are(&["CREATE", "USER", "MAPPING", "FOR"]) || self.are(&["CREATE", "USER", "MAPPING", "IF"]) {
            return Ok(None);
        }
        for kind in KINDS {
            if self.take(&["CREATE", kind]) {
                return self.create(kind).map(Some);
            }
            if !self.are(&["ALTER", kind, "MAPPING", "FOR"]) && self.take(&["ALTER", kind]) {
                return self.alter(kind).map(Some);
            }
            if !self.are(&["DROP", kind, "MAPPING", "FOR"]) && self.take(&["DROP", kind]) {
                let if_exists = self.take(&["IF", "EXISTS"]);
                return Ok(Some(RoleStatement::Drop { roles: self.roles()?, if_exists }));
            }
        }
        if self.are(&["GRANT"]) || self.are(&["REVOKE"]) {
            return self.grant_or_revoke().map(Some);
        }
        if self.take(&["ALTER", "DEFAULT", "PRIVILEGES"]) {
            return self.default_rights().map(Some);
        }
        if self.take(&["REASSIGN", "OWNED", "BY"]) {
            return self.reassign().map(Some);
        }
        if self.take(&["DROP", "OWNED", "BY"]) {
            return self.drop_owned().map(Some);
        }
        if self.are(&["ALTER"]) {
            return self.owner();
        }
        if self.take(&["RESET", "ROLE"]) {
            return Ok(Some(RoleStatement::SetRole { role: None, local: false, reset: true }));
        }
        if self.take(&["RESET", "SESSION", "AUTHORIZATION"]) {
            return Ok(Some(RoleStatement::SetSession { user: None, local: false, reset: true }));
        }
        self.set_session()
    }

    fn set_session(&mut self) -> Result<Option<RoleStatement>> {
        let wholes: [(&[&str], bool); 3] = [(&["SET", "LOCAL"], true), (&["SET", "SESSION"], false), (&["SET"], false)];
        for (begin, local) in wholes {
            let with = |rest: &[&'static str]| [begin, rest].concat();
            if self.take(&with(&["ROLE"])) {
                // As a setting it is set too.
                let _ = self.take_token(&Token::Eq) || self.take(&["TO"]);
                let role = self.user_or("NONE")?;
                return Ok(Some(RoleStatement::SetRole { role, local, reset: false }));
            }
            if self.take(&with(&["SESSION", "AUTHORIZATION"])) {
                let user = self.user_or("DEFAULT")?;
                return Ok(Some(RoleStatement::SetSession { user, local, reset: false }));
            }
        }
        Ok(None)
    }

    /// A name, in whatever quotes, or a word that stands for none.
    fn user_or(&mut self, none: &str) -> Result<Option<String>> {
        if self.take(&[none]) {
            return Ok(None);
        }
        match self.peek() {
            Some(Token::SingleQuotedString(text)) if text.eq_ignore_ascii_case(none) => {
                self.text("a name").map(|_| None)
            }
            Some(Token::SingleQuotedString(_)) => self.text("a name").map(Some),
            _ => self.name(&format!("the name of a role, or {none}")).map(Some),
        }
    }

    fn create(&mut self, kind: &str) -> Result<RoleStatement> {
        let name = self.role_id()?;
        let mut options = self.role_options(true)?;
        if kind == "USER" {
            options.login = options.login.or(Some(true));
        }
        Ok(RoleStatement::Create { name, options })
    }

    fn alter(&mut self, kind: &str) -> Result<RoleStatement> {
        if self.take(&["ALL"]) {
            return Err(Error::unsupported(format!("ALTER {kind} ALL is not supported"))
                .with_hint("name each role whose settings are to change"));
        }
        let mut begin = self.clone();
        let role = self.role()?;
        if self.take(&["RENAME", "TO"]) {
            let to = self.role_id()?;
            // A word for a role is none that can be renamed.
            return begin.role_id().map(|role| RoleStatement::Rename { role, to });
        }
        if kind == "GROUP"
            && let Some(word) = self.take_one_of(&["ADD", "DROP"])
        {
            self.expect(&["USER"])?;
            return Ok(RoleStatement::Members(Members {
                is_grant: word == "ADD",
                roles: match role {
                    RoleName::Named(name) => vec![name],
                    _ => return Err(self.expected("the name of a group")),
                },
                members: self.roles()?,
                admin_option: false,
                granted_by: None,
                is_alter_group: true,
            }));
        }
        if kind != "GROUP" && self.take(&["IN", "DATABASE"]) {
            return Err(Error::unsupported("ALTER ROLE … IN DATABASE is not supported")
                .with_hint("leave it out: there is one database"));
        }
        if kind != "GROUP" && (self.are(&["SET"]) || self.are(&["RESET"])) {
            let change = self.setting_change()?;
            return Ok(RoleStatement::Configure { role, change });
        }
        Ok(RoleStatement::Alter { role, options: self.role_options(false)? })
    }

    fn setting_change(&mut self) -> Result<SettingChange> {
        if self.take(&["RESET", "ALL"]) {
            return Ok(SettingChange::ResetAll);
        }
        let reset = self.take(&["RESET"]);
        if !reset {
            self.expect(&["SET"])?;
        }
        let (name, is_zone) = if self.take(&["TIME", "ZONE"]) {
            ("timezone".to_owned(), true)
        } else {
            let parts = self.list_of_parts()?;
            (parts.join("."), false)
        };
        if reset {
            return Ok(SettingChange::Reset(name));
        }
        if self.take(&["FROM", "CURRENT"]) {
            return Ok(SettingChange::FromCurrent(name));
        }
        if !is_zone && !self.take_token(&Token::Eq) {
            self.expect(&["TO"])?;
        }
        if self.take(&["DEFAULT"]) {
            return Ok(SettingChange::Reset(name));
        }
        let values = self.list(Self::setting_value)?;
        Ok(SettingChange::Set { name, values })
    }

    fn list_of_parts(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.name("a setting's name")?.to_lowercase()];
        while self.take_token(&Token::Period) {
            parts.push(self.name("a setting's name")?.to_lowercase());
        }
        Ok(parts)
    }

    fn setting_value(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(_)) => self.name("a value"),
            // One with a point, or too large to be counted with: whoever has the setting says whether it can be.
            Some(Token::Number(digits, long)) if digits.parse::<i32>().is_err() => {
                let (text, token) = (digits.clone(), Token::Number(digits.clone(), *long));
                let _ = self.take_token(&token);
                Ok(text)
            }
            Some(Token::Number(..) | Token::Minus | Token::Plus) => {
                self.number("a value").map(|value| value.to_string())
            }
            _ => self.text("a value"),
        }
    }

    fn role_options(&mut self, is_new: bool) -> Result<RoleOptions> {
        let _ = self.take(&["WITH"]);
        let mut options = RoleOptions::default();
        while !self.is_at_end() {
            if !self.one_option(&mut options, is_new)? {
                return Err(self.here(Error::invalid("conflicting or redundant options").with_code("42601")));
            }
        }
        Ok(options)
    }

    /// False for an option that was there before.
    fn one_option(&mut self, options: &mut RoleOptions, is_new: bool) -> Result<bool> {
        if self.take(&["ENCRYPTED"]) && !self.are(&["PASSWORD"]) {
            return Err(self.expected("PASSWORD"));
        }
        if self.take(&["UNENCRYPTED", "PASSWORD"]) {
            return Err(Error::unsupported("UNENCRYPTED PASSWORD is no longer supported")
                .with_hint("Remove UNENCRYPTED to store the password in encrypted form instead."));
        }
        if self.take(&["PASSWORD"]) {
            let password = if self.take(&["NULL"]) { None } else { Some(self.text("a password, or NULL")?) };
            return Ok(options.password.replace(password).is_none());
        }
        if self.take(&["VALID", "UNTIL"]) {
            return Ok(options.valid_until.replace(self.text("a time")?).is_none());
        }
        if self.take(&["CONNECTION", "LIMIT"]) {
            return Ok(options.connection_limit.replace(self.number("a number")?).is_none());
        }
        if is_new && self.take(&["SYSID"]) {
            self.number("a number")?;
            return Err(Error::unsupported("SYSID can no longer be specified").with_hint("leave it out"));
        }
        if is_new {
            return self.list_option(options);
        }
        self.flag(options)
    }

    fn list_option(&mut self, options: &mut RoleOptions) -> Result<bool> {
        let list = if self.take(&["IN", "ROLE"]) || self.take(&["IN", "GROUP"]) {
            &mut options.in_roles
        } else if self.take(&["ROLE"]) || self.take(&["USER"]) {
            &mut options.members
        } else if self.take(&["ADMIN"]) {
            &mut options.admins
        } else {
            return self.flag(options);
        };
        let is_first = list.is_empty();
        *list = self.roles()?;
        Ok(is_first)
    }

    fn flag(&mut self, options: &mut RoleOptions) -> Result<bool> {
        let start = self.expected("an option of a role");
        let Some(word) = self.word() else { return Err(start) };
        let (name, is_on) = match word.strip_prefix("NO") {
            Some(rest) => (rest, false),
            None => (word.as_str(), true),
        };
        let slot = match name {
            "SUPERUSER" => &mut options.superuser,
            "INHERIT" => &mut options.inherit,
            "CREATEROLE" => &mut options.create_role,
            "CREATEDB" => &mut options.create_db,
            "LOGIN" => &mut options.login,
            "REPLICATION" => &mut options.replication,
            "BYPASSRLS" => &mut options.bypass_policies,
            _ => {
                let message = format!("unrecognized role option \"{}\"", word.to_lowercase());
                return Err(self.here(Error::invalid(message).with_code("42601")));
            }
        };
        Ok(slot.replace(is_on).is_none())
    }
}

#[cfg(test)]
mod tests;
