//! Rights: their names, their letters, and which of them there are for what.

use polder_lake::{EVERYBODY, Grant};

use super::book::RoleBook;

pub(crate) const INSERT: u32 = 1 << 0;
pub(crate) const SELECT: u32 = 1 << 1;
pub(crate) const UPDATE: u32 = 1 << 2;
pub(crate) const DELETE: u32 = 1 << 3;
pub(crate) const TRUNCATE: u32 = 1 << 4;
pub(crate) const REFERENCES: u32 = 1 << 5;
pub(crate) const TRIGGER: u32 = 1 << 6;
pub(crate) const EXECUTE: u32 = 1 << 7;
pub(crate) const USAGE: u32 = 1 << 8;
pub(crate) const CREATE: u32 = 1 << 9;
pub(crate) const TEMPORARY: u32 = 1 << 10;
pub(crate) const CONNECT: u32 = 1 << 11;

/// Each right with its name and its letter, in the order in which PostgreSQL lists them.
pub(crate) const ALL: &[(u32, &str, char)] = &[
    (INSERT, "INSERT", 'a'),
    (SELECT, "SELECT", 'r'),
    (UPDATE, "UPDATE", 'w'),
    (DELETE, "DELETE", 'd'),
    (TRUNCATE, "TRUNCATE", 'D'),
    (REFERENCES, "REFERENCES", 'x'),
    (TRIGGER, "TRIGGER", 't'),
    (EXECUTE, "EXECUTE", 'X'),
    (USAGE, "USAGE", 'U'),
    (CREATE, "CREATE", 'C'),
    (TEMPORARY, "TEMPORARY", 'T'),
    (CONNECT, "CONNECT", 'c'),
];

/// What can be granted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Database,
    Schema,
    /// Tables, views and materialized views.
    Table,
    Column,
    Sequence,
    Function,
    Topic,
}

impl Kind {
    /// All rights that there are on such a thing.
    pub fn rights(self) -> u32 {
        match self {
            Self::Database => CREATE | TEMPORARY | CONNECT,
            Self::Schema => USAGE | CREATE,
            Self::Table => INSERT | SELECT | UPDATE | DELETE | TRUNCATE | REFERENCES | TRIGGER,
            Self::Column => INSERT | SELECT | UPDATE | REFERENCES,
            Self::Sequence => USAGE | SELECT | UPDATE,
            Self::Function => EXECUTE,
            // To write, to read, and to know of it, which comes with the others too.
            Self::Topic => INSERT | SELECT | USAGE,
        }
    }

    /// What everybody has as long as nobody has said otherwise.
    fn of_everybody(self) -> u32 {
        match self {
            Self::Database => TEMPORARY | CONNECT,
            Self::Function => EXECUTE,
            Self::Schema | Self::Table | Self::Column | Self::Sequence | Self::Topic => 0,
        }
    }

    /// The word for it in errors.
    pub fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Table => "table",
            Self::Column => "column",
            Self::Sequence => "sequence",
            Self::Function => "function",
            Self::Topic => "topic",
        }
    }

    /// The word under which defaults are kept.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Schema, Self::Table, Self::Sequence, Self::Function].into_iter().find(|kind| kind.word() == word)
    }

    /// The letter in `pg_default_acl`.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Table => "r",
            Self::Sequence => "S",
            Self::Function => "f",
            Self::Schema => "n",
            Self::Database | Self::Column | Self::Topic => "",
        }
    }

    /// What is granted on such a thing as long as nobody has said otherwise.
    pub fn usual(self, owner: i64) -> Vec<Grant> {
        self.usual_with(owner, self.of_everybody())
    }

    /// As [`Kind::usual`], with these rights for everybody.
    pub fn usual_with(self, owner: i64, everybody: u32) -> Vec<Grant> {
        let mut grants = Vec::with_capacity(2);
        if everybody != 0 {
            grants.push(Grant { role: EVERYBODY, grantor: owner, rights: everybody, grantable: 0 });
        }
        if self != Self::Column {
            grants.push(Grant { role: owner, grantor: owner, rights: self.rights(), grantable: 0 });
        }
        grants
    }
}

/// A right by its name.
pub(crate) fn of_name(name: &str) -> Option<u32> {
    let name = if name.eq_ignore_ascii_case("temp") { "TEMPORARY" } else { name };
    ALL.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(right, ..)| *right)
}

/// The names of rights, and whether each may be granted on.
pub(crate) fn names(rights: u32, grantable: u32) -> impl Iterator<Item = (&'static str, bool)> {
    ALL.iter()
        .filter(move |(right, ..)| rights & right != 0)
        .map(move |(right, name, _)| (*name, grantable & right != 0))
}

/// Grants as PostgreSQL writes them: `ada=arw/polder`, `=r/polder`.
pub(crate) fn in_letters(grants: &[Grant], book: &RoleBook) -> Vec<String> {
    let item = |grant: &Grant| {
        let mut text = format!("{}=", book.grantee(grant.role));
        for (right, _, letter) in ALL {
            if grant.rights & right != 0 {
                text.push(*letter);
                if grant.grantable & right != 0 {
                    text.push('*');
                }
            }
        }
        text.push('/');
        text.push_str(&book.grantee(grant.grantor));
        text
    };
    grants.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_postgres_letters() {
        let book = RoleBook::default();
        assert_eq!(in_letters(&Kind::Table.usual(10), &book), ["polder=arwdDxt/polder"]);
        assert_eq!(in_letters(&Kind::Database.usual(10), &book), ["=Tc/polder", "polder=CTc/polder"]);
        assert_eq!(in_letters(&Kind::Function.usual(10), &book), ["=X/polder", "polder=X/polder"]);
        assert_eq!(in_letters(&Kind::Topic.usual(10), &book), ["polder=arU/polder"]);
        assert!(Kind::Column.usual(10).is_empty());
        let some = Grant { role: 99, grantor: 10, rights: SELECT | INSERT, grantable: SELECT };
        assert_eq!(in_letters(&[some], &book), ["99=ar*/polder"]);
        assert_eq!(of_name("temp"), of_name("TEMPORARY"));
        assert_eq!(names(SELECT | UPDATE, UPDATE).collect::<Vec<_>>(), [("SELECT", false), ("UPDATE", true)]);
    }
}
