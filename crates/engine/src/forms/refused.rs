//! Forms that are refused by their names, and not as mistakes of syntax.

use datafusion::sql::sqlparser::tokenizer::Token;
use polder_types::{Error, Result};

use super::Folder;

impl Folder {
    /// `ALTER COLUMN c DROP IDENTITY`, or `… EXPRESSION`
    pub(super) fn column_drops(&self) -> Result<()> {
        for number in 3..self.len() {
            let drop = if self.is(number + 1, "column") { number + 3 } else { number + 2 };
            let known = self.is(drop + 1, "identity") || self.is(drop + 1, "expression");
            if self.is(number, "alter") && self.is(drop, "drop") && known {
                let what = self.word(drop + 1).map(|word| word.value.to_uppercase()).unwrap_or_default();
                return Err(Error::unsupported(format!("ALTER COLUMN … DROP {what} is not supported"))
                    .with_hint("ADD another column, UPDATE it with the values of this one, and DROP this one"));
            }
        }
        Ok(())
    }

    /// `ALTER TABLE t CLEAR PROJECTION`, of which the parser forgets the words; and a column that is called `projection`.
    pub(super) fn projections(&mut self) -> Result<()> {
        let mut number = 3;
        while number + 1 < self.len() {
            if self.is(number + 1, "projection") {
                for word in ["clear", "materialize"] {
                    if self.is(number, word) {
                        let word = word.to_uppercase();
                        return Err(Error::unsupported(format!("ALTER TABLE … {word} PROJECTION is not supported"))
                            .with_hint("CREATE MATERIALIZED VIEW keeps what a query gives"));
                    }
                }
                if self.is(number, "drop") {
                    self.remove_and_insert(number, 1, "DROP COLUMN");
                }
            }
            number += 1;
        }
        Ok(())
    }

    /// `SHOW VARIABLES x` and `SHOW STATUS x`, which the parser reads as `SHOW x`; and what the planner asks catalogs for that
    /// there are none of.
    pub(super) fn shown(&self) -> Result<()> {
        let known = [
            ("variables", "SHOW ALL, or SELECT * FROM pg_settings"),
            ("status", "SELECT * FROM polder.queries; GET /metrics tells how the server is"),
            ("functions", "SELECT * FROM polder.functions"),
        ];
        match known.iter().find(|(word, _)| self.is(1, word)) {
            Some((word, hint)) => {
                Err(Error::unsupported(format!("SHOW {} is not supported", word.to_uppercase())).with_hint(*hint))
            }
            None => Ok(()),
        }
    }

    /// `FROM ONLY t` and `JOIN ONLY t`: no table inherits from another, so ONLY one is each.
    pub(super) fn only(&mut self) {
        let mut number = 1;
        while number + 1 < self.len() {
            let stands = self.is(number, "only") && (self.is(number - 1, "from") || self.is(number - 1, "join"));
            if stands && matches!(self.token(number + 1), Some(Token::Word(_))) {
                self.remove(number, 1);
            }
            number += 1;
        }
    }

    /// `FOR NO KEY UPDATE`, `FOR KEY SHARE`: the planner refuses the others.
    pub(super) fn locks(&self) -> Result<()> {
        for number in 1..self.len() {
            if !self.is(number, "for") {
                continue;
            }
            let no_key = self.are(number + 1, &["no", "key", "update"]);
            if no_key || self.are(number + 1, &["key", "share"]) {
                let lock = if no_key { "NO KEY UPDATE" } else { "KEY SHARE" };
                return Err(crate::rewrite::no_locks(lock));
            }
        }
        Ok(())
    }
}
