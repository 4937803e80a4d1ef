//! The grammar of rights and owners.
//!
//! ```text
//! GRANT {right [(column, …)], … | ALL [PRIVILEGES]} ON thing, … TO role, … [WITH GRANT OPTION] [GRANTED BY role]
//! REVOKE [GRANT OPTION FOR] right, … ON thing, … FROM role, … [GRANTED BY role] [CASCADE | RESTRICT]
//! GRANT {right, … | ALL [PRIVILEGES]} ON {TOPIC name, … | ALL TOPICS} TO role, …, and REVOKE of them
//! ALTER DEFAULT PRIVILEGES [FOR ROLE role, …] [IN SCHEMA schema, …] {GRANT … | REVOKE …} ON {TABLES | FUNCTIONS | …} …
//! ALTER {TABLE | VIEW | MATERIALIZED VIEW | SCHEMA | FUNCTION | DATABASE | TOPIC} [IF EXISTS] name OWNER TO role
//! REASSIGN OWNED BY role, … TO role
//! DROP OWNED BY role, … [CASCADE | RESTRICT]
//! ```

use datafusion::sql::sqlparser::tokenizer::Token;
use polder_types::{Error, Result};

use super::statements::{
    Defaults, FunctionName, Granted, Members, NewOwner, On, OwnedKind, RoleStatement, Wanted, WantedRight,
};
use super::words::Words;
use crate::authz::rights::Kind;

/// What rights on are not there for.
const NOT_GRANTED_ON: [(&[&str], &str); 9] = [
    (&["FOREIGN", "DATA", "WRAPPER"], "FOREIGN DATA WRAPPER"),
    (&["FOREIGN", "SERVER"], "FOREIGN SERVER"),
    (&["LARGE", "OBJECT"], "LARGE OBJECT"),
    (&["TABLESPACE"], "TABLESPACE"),
    (&["LANGUAGE"], "LANGUAGE"),
    (&["PARAMETER"], "PARAMETER"),
    (&["DOMAIN"], "DOMAIN"),
    (&["TYPES"], "TYPES"),
    (&["TYPE"], "TYPE"),
];

const FUNCTIONS: [&str; 3] = ["FUNCTION", "PROCEDURE", "ROUTINE"];

impl Words<'_> {
    pub(super) fn grant_or_revoke(&mut self) -> Result<RoleStatement> {
        let is_grant = self.take(&["GRANT"]);
        if !is_grant {
            self.expect(&["REVOKE"])?;
        }
        let grant_option_only = !is_grant && self.take(&["GRANT", "OPTION", "FOR"]);
        let admin_only = !is_grant && !grant_option_only && self.take(&["ADMIN", "OPTION", "FOR"]);
        let wanted = self.wanted()?;
        if !admin_only && self.take(&["ON"]) {
            let on = self.on()?;
            return self.granted(is_grant, grant_option_only, wanted, on).map(RoleStatement::Grant);
        }
        if grant_option_only {
            return Err(self.expected("ON"));
        }
        self.membership(is_grant, admin_only, wanted)
    }

    fn membership(&mut self, is_grant: bool, admin_only: bool, wanted: Wanted) -> Result<RoleStatement> {
        let Wanted::These(rights) = wanted else { return Err(self.expected("ON")) };
        if rights.iter().any(|right| !right.columns.is_empty()) {
            return Err(Error::invalid("column names cannot be included in GRANT/REVOKE ROLE").with_code("0LP01"));
        }
        let roles = rights.into_iter().map(|right| right.name).collect();
        self.expect(&[if is_grant { "TO" } else { "FROM" }])?;
        let members = self.roles()?;
        let with_admin = is_grant && self.take(&["WITH", "ADMIN", "OPTION"]);
        let granted_by = if self.take(&["GRANTED", "BY"]) { Some(self.role()?) } else { None };
        // What was granted on stays in either case, as with PostgreSQL.
        let _ = !is_grant && self.take_one_of(&["CASCADE", "RESTRICT"]).is_some();
        let admin_option = admin_only || with_admin;
        Ok(RoleStatement::Members(Members {
            is_grant,
            roles,
            members,
            admin_option,
            granted_by,
            is_alter_group: false,
        }))
    }

    fn wanted(&mut self) -> Result<Wanted> {
        if self.take(&["ALL"]) {
            let _ = self.take(&["PRIVILEGES"]);
            return Ok(Wanted::All(self.columns()?));
        }
        let rights = self.list(|words| {
            let name = words.name("a right, or the name of a role")?;
            Ok(WantedRight { name, columns: words.columns()? })
        })?;
        Ok(Wanted::These(rights))
    }

    /// Names of columns in brackets, if there are any.
    fn columns(&mut self) -> Result<Vec<String>> {
        if !self.take_token(&Token::LParen) {
            return Ok(Vec::new());
        }
        let columns = self.names("the name of a column")?;
        self.expect_token(&Token::RParen)?;
        Ok(columns)
    }

    fn refuse_other_things(&self) -> Result<()> {
        match NOT_GRANTED_ON.iter().find(|(words, _)| self.are(words)) {
            Some((_, name)) => Err(Error::unsupported(format!("rights on {name} are not supported"))
                .with_hint("there are rights on DATABASE, SCHEMA, TABLE, SEQUENCE, FUNCTION and TOPIC")),
            None => Ok(()),
        }
    }

    fn on(&mut self) -> Result<On> {
        self.refuse_other_things()?;
        let all = [
            ("TABLES", Kind::Table),
            ("SEQUENCES", Kind::Sequence),
            ("FUNCTIONS", Kind::Function),
            ("PROCEDURES", Kind::Function),
            ("ROUTINES", Kind::Function),
        ];
        for (word, kind) in all {
            if self.take(&["ALL", word, "IN", "SCHEMA"]) {
                return Ok(On::AllIn(kind, self.names("the name of a schema")?));
            }
        }
        if self.take(&["ALL", "TOPICS"]) {
            return Ok(On::AllTopics);
        }
        if self.takes_topics() {
            return Ok(On::Topics(self.list(|words| words.object_name("the name of a topic"))?));
        }
        if self.take(&["DATABASE"]) {
            return Ok(On::Database(self.names("the name of a database")?));
        }
        if self.take(&["SCHEMA"]) {
            return Ok(On::Schemas(self.names("the name of a schema")?));
        }
        if self.take_one_of(&FUNCTIONS).is_some() {
            return Ok(On::Functions(self.list(Self::function)?));
        }
        let kind = if self.take(&["SEQUENCE"]) { Kind::Sequence } else { Kind::Table };
        let _ = kind == Kind::Table && self.take(&["TABLE"]);
        Ok(On::Relations(kind, self.list(|words| words.object_name("the name of a table"))?))
    }

    /// Steps over the word TOPIC. Where no name comes behind it, it is that of a table.
    fn takes_topics(&mut self) -> bool {
        let mut behind = self.clone();
        let names_one = behind.take(&["TOPIC"])
            && matches!(behind.peek(), Some(Token::Word(_)))
            && !behind.are(&["TO"])
            && !behind.are(&["FROM"]);
        names_one && self.take(&["TOPIC"])
    }

    fn function(&mut self) -> Result<FunctionName> {
        let name = self.object_name("the name of a function")?;
        let arguments = if self.peek() == Some(&Token::LParen) { Some(self.arguments()?) } else { None };
        Ok(FunctionName { name, arguments })
    }

    fn granted(&mut self, is_grant: bool, option_only: bool, wanted: Wanted, on: On) -> Result<Granted> {
        self.expect(&[if is_grant { "TO" } else { "FROM" }])?;
        let roles = self.list(|words| {
            let _ = words.take(&["GROUP"]);
            words.role()
        })?;
        let option = option_only || (is_grant && self.take(&["WITH", "GRANT", "OPTION"]));
        let granted_by = if self.take(&["GRANTED", "BY"]) { Some(self.role()?) } else { None };
        let cascade = !is_grant && self.take_one_of(&["CASCADE", "RESTRICT"]) == Some("CASCADE");
        Ok(Granted { is_grant, wanted, on, roles, option, granted_by, cascade })
    }

    /// Behind ALTER DEFAULT PRIVILEGES.
    pub(super) fn default_rights(&mut self) -> Result<RoleStatement> {
        let (mut of_roles, mut schemas) = (Vec::new(), Vec::new());
        loop {
            if self.take(&["FOR", "ROLE"]) || self.take(&["FOR", "USER"]) {
                of_roles = self.roles()?;
            } else if self.take(&["IN", "SCHEMA"]) {
                schemas = self.names("the name of a schema")?;
            } else {
                break;
            }
        }
        let is_grant = match self.take_one_of(&["GRANT", "REVOKE"]) {
            Some(verb) => verb == "GRANT",
            None => return Err(self.expected("GRANT or REVOKE")),
        };
        let option_only = !is_grant && self.take(&["GRANT", "OPTION", "FOR"]);
        let wanted = self.wanted()?;
        self.expect(&["ON"])?;
        self.refuse_other_things()?;
        let kinds = [
            ("TABLES", Kind::Table),
            ("SEQUENCES", Kind::Sequence),
            ("FUNCTIONS", Kind::Function),
            ("ROUTINES", Kind::Function),
            ("SCHEMAS", Kind::Schema),
        ];
        let Some((_, kind)) = kinds.iter().find(|(word, _)| self.take(&[word])) else {
            return Err(self.expected("TABLES, FUNCTIONS, ROUTINES, SEQUENCES or SCHEMAS"));
        };
        let granted = self.granted(is_grant, option_only, wanted, On::AllIn(*kind, Vec::new()))?;
        Ok(RoleStatement::Defaults(Defaults { of_roles, schemas, kind: *kind, granted }))
    }

    /// ALTER DATABASE … SET, whose words are known and which is refused by its name.
    fn settings_of_database(&mut self) -> Result<Option<RoleStatement>> {
        if self.take(&["ALTER", "DATABASE"]) {
            let _ = self.name("the name of a database")?;
            if self.are(&["SET"]) || self.are(&["RESET"]) {
                return Err(Error::unsupported("ALTER DATABASE … SET is not supported")
                    .with_hint("ALTER ROLE … SET, for each role"));
            }
        }
        Ok(None)
    }

    /// `ALTER … OWNER TO role`, if it is one.
    pub(super) fn owner(&mut self) -> Result<Option<RoleStatement>> {
        let kinds: [(&[&str], OwnedKind, &'static str); 10] = [
            (&["TABLE"], OwnedKind::Table, "ALTER TABLE"),
            (&["VIEW"], OwnedKind::View, "ALTER VIEW"),
            (&["MATERIALIZED", "VIEW"], OwnedKind::Materialized, "ALTER MATERIALIZED VIEW"),
            (&["SEQUENCE"], OwnedKind::Sequence, "ALTER SEQUENCE"),
            (&["SCHEMA"], OwnedKind::Schema, "ALTER SCHEMA"),
            (&["DATABASE"], OwnedKind::Database, "ALTER DATABASE"),
            (&["FUNCTION"], OwnedKind::Function, "ALTER FUNCTION"),
            (&["PROCEDURE"], OwnedKind::Function, "ALTER PROCEDURE"),
            (&["ROUTINE"], OwnedKind::Function, "ALTER ROUTINE"),
            (&["TOPIC"], OwnedKind::Topic, "ALTER TOPIC"),
        ];
        if !self.ends_with_owner() {
            return self.settings_of_database();
        }
        for (words, kind, verb) in kinds {
            if !self.take(&[&["ALTER"], words].concat()) {
                continue;
            }
            let has_if =
                matches!(kind, OwnedKind::Table | OwnedKind::View | OwnedKind::Materialized | OwnedKind::Sequence);
            let if_exists = has_if && self.take(&["IF", "EXISTS"]);
            // No table inherits from another, so ONLY one is each.
            let _ = kind == OwnedKind::Table && self.take(&["ONLY"]);
            let thing = self.function()?;
            if thing.arguments.is_some() && kind != OwnedKind::Function {
                return Err(self.expected("OWNER TO behind a name"));
            }
            if !self.take(&["OWNER", "TO"]) {
                return Err(self
                    .expected("OWNER TO by itself")
                    .with_hint("make the other changes in a statement of their own"));
            }
            return Ok(Some(RoleStatement::Owner(NewOwner { kind, verb, thing, if_exists, to: self.role()? })));
        }
        Ok(None)
    }

    /// Behind REASSIGN OWNED BY.
    pub(super) fn reassign(&mut self) -> Result<RoleStatement> {
        let from = self.roles()?;
        self.expect(&["TO"])?;
        Ok(RoleStatement::Reassign { from, to: self.role()? })
    }

    /// Behind DROP OWNED BY.
    pub(super) fn drop_owned(&mut self) -> Result<RoleStatement> {
        let by = self.roles()?;
        let cascade = self.take_one_of(&["CASCADE", "RESTRICT"]) == Some("CASCADE");
        Ok(RoleStatement::DropOwned { by, cascade })
    }
}
