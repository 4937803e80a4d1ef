//! Forms that are refused by their names, and not as mistakes of syntax, and words that change nothing here.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::tokenizer::{Span, Token};
use polder_types::{Error, Result};

use super::Folder;
use crate::functions::syntax::known_collation;
use crate::rewrite::DISTINCT_SETS;

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

    /// What stands in any statement.
    pub(super) fn needless(&mut self) {
        self.only();
        self.grouped();
    }

    /// `FROM ONLY t`, `JOIN ONLY t` and those of MERGE: no table inherits from another, so ONLY one is each.
    fn only(&mut self) {
        let merges = self.is(0, "merge") || self.is(0, "with");
        let mut number = 1;
        while number + 1 < self.len() {
            if self.is(number, "only") && matches!(self.token(number + 1), Some(Token::Word(_))) {
                let merged = self.is(number - 1, "using") || number > 1 && self.are(number - 2, &["merge", "into"]);
                if self.is(number - 1, "from") || self.is(number - 1, "join") || merges && merged {
                    self.remove(number, 1);
                }
            }
            number += 1;
        }
    }

    /// `GROUP BY ALL ROLLUP (a)`, which is without ALL, and `GROUP BY DISTINCT …`, as a first column of its own.
    fn grouped(&mut self) {
        let mut number = 1;
        while number + 3 < self.len() {
            if self.are(number, &["group", "by"]) {
                let sets = ["rollup", "cube", "grouping"].iter().any(|word| self.is(number + 3, word));
                if sets && self.is(number + 2, "all") {
                    self.remove(number + 2, 1);
                } else if self.is(number + 2, "distinct") {
                    self.remove_and_insert(number + 2, 1, &format!("\"{DISTINCT_SETS}\","));
                }
            }
            number += 1;
        }
    }

    /// `ALTER COLUMN c TYPE text COLLATE "C" [USING …]`: there is one order of texts, so it is looked at, and not kept.
    ///
    /// # Errors
    /// 42704 for a collation that is none.
    pub(super) fn collations(&mut self) -> Result<()> {
        let mut number = 3;
        while number + 2 < self.len() {
            // Behind `ALTER COLUMN` it is the name of the column.
            let is_name = self.is(number - 1, "column");
            let alters =
                self.is(number, "type") && (self.is(number - 2, "column") || self.is(number - 2, "alter") && !is_name);
            if alters || self.are(number - 1, &["data", "type"]) {
                let mut at = number + 2;
                while at < self.len() && !self.is(at, "collate") && !self.is(at, "using") && !self.begins_anew(at) {
                    at += 1;
                }
                if self.is(at, "collate") {
                    let of_texts =
                        ["text", "varchar", "character", "char"].iter().any(|word| self.is(number + 1, word));
                    if !of_texts && self.token(number + 2) != Some(&Token::Period) {
                        let data_type = self.token(number + 1).map(ToString::to_string).unwrap_or_default();
                        let message = format!("collations are not supported by type {data_type}");
                        return Err(Error::invalid(message).with_code("42804").with_hint("leave COLLATE out"));
                    }
                    let behind = self.behind_name(at + 1);
                    let parts = (at + 1..behind).step_by(2).filter_map(|part| match self.token(part)? {
                        Token::Word(word) => Some(Ident {
                            value: word.value.clone(),
                            quote_style: word.quote_style,
                            span: Span::empty(),
                        }),
                        _ => None,
                    });
                    known_collation(&ObjectName::from(parts.collect::<Vec<_>>()))?;
                    self.remove(at, behind - at);
                }
            }
            number += 1;
        }
        Ok(())
    }

    /// `COMMENT ON CONSTRAINT c ON t`
    pub(super) fn constraint(&mut self) {
        // There are no domains, so that those are a mistake of syntax.
        let of_domain = self.is(5, "domain") && !self.is(6, "is");
        if !self.are(1, &["on", "constraint"]) || !self.is(4, "on") || of_domain {
            return;
        }
        let Some(name) = self.token(3).map(ToString::to_string) else { return };
        let behind = self.behind_name(5);
        self.remove_and_insert(behind, 0, &format!(".{name}"));
        self.remove_and_insert(2, 3, "COLUMN");
        self.extras.constraint = true;
    }

    /// Whether the next change of a column begins behind a comma. One within brackets is of a type.
    fn begins_anew(&self, number: usize) -> bool {
        self.token(number) == Some(&Token::Comma)
            && ["alter", "add", "drop", "rename"].iter().any(|word| self.is(number + 1, word))
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
