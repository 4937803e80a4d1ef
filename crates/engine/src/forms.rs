//! Forms of statements that the parser does not know, folded into forms that it does before it sees them.
//!
//! What cannot be said in such a form goes along beside the statement, as [`Extras`].

mod beyond;
mod estimate;
mod inserts;
mod mask;
mod options;
mod refused;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use polder_types::{Error, Result};

use crate::dialect::PolderDialect;

pub(crate) use beyond::{instead_of, not_there};
pub(crate) use estimate::EstimateForm;
pub(crate) use mask::MaskChange;

static DIALECT: PolderDialect = PolderDialect;

/// What a statement says besides its parsed form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// `WITH NO DATA`
    pub no_data: bool,
    /// `UNLOGGED`
    pub unlogged: bool,
    /// `SET SCHEMA`, folded into `RENAME TO`.
    pub set_schema: bool,
    /// What a `LIKE` in a CREATE TABLE includes beside columns and NOT NULL, in upper case.
    pub including: Vec<String>,
    pub overriding: Option<Overriding>,
    /// The parts of `PARTITIONED BY (…)`; empty for `RESET PARTITIONED BY`.
    pub partitioned: Option<Vec<String>>,
    /// The keys of `CLUSTER BY (…)` or `SORTED BY (…)`; empty for `RESET SORTED BY`.
    pub clustered: Option<Vec<String>>,
    /// `COMMENT ON CONSTRAINT c ON t`, folded into one on the column `t.c`.
    pub constraint: bool,
    /// `EXPLAIN (ESTIMATE)`
    pub estimate: Option<EstimateForm>,
    /// `EXPLAIN (FORMAT JSON)`: one text.
    pub plan_json: bool,
    /// What an ALTER TABLE was before it was folded into one.
    pub altered: Option<&'static str>,
    /// `ALTER COLUMN … SET MASK` and `DROP MASK`
    pub mask: Option<MaskChange>,
}

/// `INSERT … OVERRIDING … VALUE`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// Values for columns that count themselves up always are taken.
    System,
    /// Values for columns that count themselves up are passed over.
    User,
}

/// The tokens as the parser takes them.
///
/// # Errors
/// `InvalidInput` for a form that is begun and not ended.
pub(crate) fn fold_forms(tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, Extras)> {
    let mut folder = Folder { solid: Vec::new(), tokens, extras: Extras::default() };
    folder.count();
    folder.frames()?;
    folder.needless();
    for (word, form) in [("pivot", "(sum(x) FOR y IN ('a', 'b'))"), ("unpivot", "(value FOR name IN (a, b))")] {
        if folder.is(0, word) {
            let word = word.to_uppercase();
            return Err(Error::unsupported(format!("{word} as a statement of its own is not supported"))
                .with_hint(format!("SELECT * FROM t {word} {form}")));
        }
    }
    match folder.keyword(0) {
        Some(Keyword::CREATE) => folder.create()?,
        Some(Keyword::ALTER) => {
            folder.column_drops()?;
            folder.projections()?;
            folder.collations()?;
            folder.mask()?;
            folder.identities();
            folder.alter();
        }
        Some(Keyword::INSERT) => {
            folder.overriding();
            folder.table_of();
        }
        Some(Keyword::WITH) => {
            folder.locks()?;
            folder.overriding();
        }
        Some(Keyword::SELECT) => folder.locks()?,
        Some(Keyword::COMMENT) => folder.constraint(),
        Some(Keyword::SHOW) => folder.shown()?,
        Some(Keyword::EXPLAIN) => folder.estimate()?,
        // No table inherits from another, so ONLY one is each.
        Some(Keyword::UPDATE) if folder.is(1, "only") && folder.word(2).is_some() => folder.remove(1, 1),
        _ if folder.is(0, "abort") => folder.replace_word(0, "ROLLBACK"),
        _ => {}
    }
    Ok((folder.tokens, folder.extras))
}

struct Folder {
    tokens: Vec<TokenWithSpan>,
    /// Where the tokens stand that are no blanks. A statement may have a million.
    solid: Vec<usize>,
    extras: Extras,
}

impl Folder {
    /// Counts the tokens anew, after each change of them.
    fn count(&mut self) {
        let solid = self.tokens.iter().enumerate().filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)));
        self.solid = solid.map(|(at, _)| at).collect();
    }

    /// Where the token of a number stands, blanks left out.
    fn at(&self, number: usize) -> Option<usize> {
        self.solid.get(number).copied()
    }

    fn token(&self, number: usize) -> Option<&Token> {
        self.at(number).map(|at| &self.tokens[at].token)
    }

    fn word(&self, number: usize) -> Option<&Word> {
        match self.token(number)? {
            Token::Word(word) if word.quote_style.is_none() => Some(word),
            _ => None,
        }
    }

    fn keyword(&self, number: usize) -> Option<Keyword> {
        self.word(number).map(|word| word.keyword).filter(|keyword| *keyword != Keyword::NoKeyword)
    }

    fn is(&self, number: usize, text: &str) -> bool {
        self.word(number).is_some_and(|word| word.value.eq_ignore_ascii_case(text))
    }

    fn are(&self, number: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.is(number + offset, word))
    }

    /// Solid tokens in all.
    fn len(&self) -> usize {
        let ended = self.solid.last().is_some_and(|at| self.tokens[*at].token == Token::EOF);
        self.solid.len() - usize::from(ended)
    }

    fn remove(&mut self, number: usize, count: usize) {
        for _ in 0..count {
            if let Some(at) = self.at(number) {
                self.tokens.remove(at);
                self.count();
            }
        }
    }

    fn replace_word(&mut self, number: usize, text: &str) {
        self.remove_and_insert(number, 1, text);
    }

    /// Puts the tokens of a text in the place of some others.
    fn remove_and_insert(&mut self, number: usize, count: usize, text: &str) {
        let at = self.at(number).unwrap_or(self.tokens.len());
        let span =
            self.tokens.get(at).map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |token| token.span);
        self.remove(number, count);
        let new = Tokenizer::new(&DIALECT, &format!(" {text} ")).tokenize().unwrap_or_default();
        let new = new.into_iter().map(|token| TokenWithSpan { token, span });
        let at = at.min(self.tokens.len());
        self.tokens.splice(at..at, new);
        self.count();
    }

    /// The number behind a name, which may have several parts.
    fn behind_name(&self, mut number: usize) -> usize {
        number += 1;
        while self.token(number) == Some(&Token::Period) {
            number += 2;
        }
        number
    }

    /// `EXCLUDE …` at the end of a window's frame, which always stands before a bracket that closes.
    fn frames(&mut self) -> Result<()> {
        let mut number = 1;
        while number + 2 < self.len() {
            if self.is(number, "exclude") {
                let width = match () {
                    () if self.are(number + 1, &["no", "others"]) || self.are(number + 1, &["current", "row"]) => 3,
                    () if self.is(number + 1, "group") || self.is(number + 1, "ties") => 2,
                    () => 0,
                };
                if width > 0 && self.token(number + width) == Some(&Token::RParen) {
                    if !self.is(number + 1, "no") {
                        let words: Vec<String> = (number..number + width)
                            .filter_map(|at| self.word(at))
                            .map(|word| word.value.to_uppercase())
                            .collect();
                        return Err(Error::unsupported(format!(
                            "{} in a window's frame is not supported",
                            words.join(" ")
                        ))
                        .with_hint("take the row's own value from the aggregate, or join the table with itself"));
                    }
                    self.remove(number, width);
                    continue;
                }
            }
            number += 1;
        }
        Ok(())
    }

    fn create(&mut self) -> Result<()> {
        let mut number = if self.are(1, &["or", "replace"]) { 3 } else { 1 };
        if self.is(number, "unlogged") {
            self.remove(number, 1);
            self.extras.unlogged = true;
        }
        if self.is(number, "view") {
            let name = if self.are(number + 1, &["if", "not", "exists"]) { number + 4 } else { number + 1 };
            self.view_options(self.behind_name(name));
        }
        let materialized = self.are(number, &["materialized", "view"]);
        if !materialized && !self.is(number, "table") {
            return Ok(());
        }
        number += if materialized { 2 } else { 1 };
        if self.are(number, &["if", "not", "exists"]) {
            number += 3;
        }
        let behind = self.behind_name(number);
        self.layout(behind);
        self.with_data();
        if materialized {
            return Ok(());
        }
        self.like(behind)?;
        self.column_names(behind)?;
        self.identities();
        Ok(())
    }

    /// `PARTITIONED BY (…)` and `CLUSTER BY (…)`, outside of all brackets.
    fn layout(&mut self, from: usize) {
        let (mut number, mut depth) = (from, 0_usize);
        while number < self.len() {
            match self.token(number) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            // What follows AS is the query.
            if depth == 0 && self.is(number, "as") {
                return;
            }
            if depth == 0 && self.is(number + 1, "by") {
                let partitioned = self.is(number, "partitioned");
                if partitioned || self.is(number, "cluster") || self.is(number, "sorted") {
                    let Some(items) = self.take_items(number + 2) else { return };
                    self.remove(number, 2);
                    if partitioned {
                        self.extras.partitioned = Some(items);
                    } else {
                        self.extras.clustered = Some(items);
                    }
                    continue;
                }
            }
            number += 1;
        }
    }

    /// Removes `(a, f(b), c)`, and gives what stood between the commas.
    fn take_items(&mut self, open: usize) -> Option<Vec<String>> {
        if self.token(open) != Some(&Token::LParen) {
            return None;
        }
        let (mut items, mut depth, mut number) = (vec![String::new()], 1_usize, open + 1);
        loop {
            let token = self.token(number)?.clone();
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            match (&token, depth) {
                (Token::Comma, 1) => items.push(String::new()),
                _ => {
                    let item = items.last_mut()?;
                    if !item.is_empty() {
                        item.push(' ');
                    }
                    item.push_str(&token.to_string());
                }
            }
            number += 1;
        }
        let count = number + 1 - open;
        self.remove(open, count);
        Some(items)
    }

    /// `WITH [NO] DATA` at the end.
    fn with_data(&mut self) {
        let len = self.len();
        if len > 3 && self.are(len - 3, &["with", "no", "data"]) {
            self.remove(len - 3, 3);
            self.extras.no_data = true;
        } else if len > 2 && self.are(len - 2, &["with", "data"]) {
            self.remove(len - 2, 2);
        }
    }

    /// `(LIKE t INCLUDING ALL)`
    fn like(&mut self, behind: usize) -> Result<()> {
        if self.token(behind) != Some(&Token::LParen) || !self.is(behind + 1, "like") {
            return Ok(());
        }
        let option = self.behind_name(behind + 2);
        loop {
            let including = self.is(option, "including");
            if !including && !self.is(option, "excluding") {
                return Ok(());
            }
            let what = self.word(option + 1).map(|word| word.value.to_uppercase());
            let what = what.ok_or_else(|| Error::invalid("INCLUDING what?").with_code("42601"))?;
            if including {
                self.extras.including.push(what);
            } else if what == "ALL" {
                self.extras.including.clear();
            } else {
                self.extras.including.retain(|known| *known != what);
            }
            self.remove(option, 2);
        }
    }

    /// `(a, b) AS query`: names, and no types.
    fn column_names(&mut self, behind: usize) -> Result<()> {
        if self.token(behind) != Some(&Token::LParen) {
            return Ok(());
        }
        let mut names = Vec::new();
        let mut number = behind + 1;
        loop {
            let Some(Token::Word(word)) = self.token(number) else { return Ok(()) };
            names.push(word.to_string());
            match self.token(number + 1) {
                Some(Token::Comma) => number += 2,
                Some(Token::RParen) => break,
                _ => return Ok(()),
            }
        }
        let query = number + 3;
        if !self.is(number + 2, "as") {
            return Ok(());
        }
        let end = self.len();
        self.remove_and_insert(end, 0, &format!(") AS named ({})", names.join(", ")));
        self.remove_and_insert(query, 0, "SELECT * FROM (");
        let count = number + 2 - behind;
        self.remove(behind, count);
        Ok(())
    }

    /// The options of an identity, which PostgreSQL takes in any order, in the parser's.
    fn identities(&mut self) {
        const ORDER: [&str; 8] = ["increment", "minvalue", "no", "maxvalue", "start", "cache", "cycle", "restart"];
        let mut number = 0;
        while number + 1 < self.len() {
            if self.is(number, "identity") && self.token(number + 1) == Some(&Token::LParen) {
                let first = number + 2;
                let mut end = first;
                while end < self.len() && self.token(end) != Some(&Token::RParen) {
                    end += 1;
                }
                let mut groups: Vec<(usize, String)> = Vec::new();
                for at in first..end {
                    let Some(token) = self.token(at) else { break };
                    let text = token.to_string();
                    let begins = ORDER.iter().position(|word| self.is(at, word));
                    let after_no = groups.last().is_some_and(|(_, group)| group.eq_ignore_ascii_case("no"));
                    match begins {
                        Some(_) if after_no => {
                            // `NO MINVALUE`
                            let rank = begins.unwrap_or_default();
                            if let Some(last) = groups.last_mut() {
                                *last = (rank, format!("NO {text}"));
                            }
                        }
                        Some(rank) => groups.push((rank, text)),
                        None => match groups.last_mut() {
                            Some((_, group)) => {
                                if !group.ends_with('-') {
                                    group.push(' ');
                                }
                                group.push_str(&text);
                            }
                            None => groups.push((0, text)),
                        },
                    }
                }
                groups.sort_by_key(|(rank, _)| *rank);
                let text = groups.into_iter().map(|(_, group)| group).collect::<Vec<_>>().join(" ");
                self.remove_and_insert(first, end - first, &text);
            }
            number += 1;
        }
    }

    fn alter(&mut self) {
        let (verb, mut number) = if self.are(1, &["materialized", "view"]) { (2, 3) } else { (1, 2) };
        let view = self.is(verb, "view");
        if !view && !self.is(1, "table") {
            return;
        }
        if self.are(number, &["if", "exists"]) {
            number += 2;
        }
        let behind = self.behind_name(number);
        if !view && self.alter_layout(behind) {
            return;
        }
        if self.are(behind, &["set", "schema"]) && self.len() == behind + 3 {
            self.remove_and_insert(behind, 2, "RENAME TO");
            self.extras.set_schema = true;
        } else if !view || !(self.is(behind, "rename") || (verb == 1 && self.altered_options(behind))) {
            return;
        }
        if view {
            self.extras.altered = Some(if verb == 2 { "ALTER MATERIALIZED VIEW" } else { "ALTER VIEW" });
            self.remove_and_insert(1, verb, "TABLE");
        }
    }

    /// `SET PARTITIONED BY (…)`, `RESET PARTITIONED BY`, and the same of `SORTED BY`; `CLUSTER BY (…)`.
    fn alter_layout(&mut self, behind: usize) -> bool {
        let set = self.is(behind, "set");
        let reset = self.is(behind, "reset");
        let what = if set || reset { behind + 1 } else { behind };
        let partitioned = self.is(what, "partitioned") && (set || reset);
        let sorted = self.is(what, "sorted") && (set || reset) || self.is(what, "cluster");
        if !(partitioned || sorted) || !self.is(what + 1, "by") {
            return false;
        }
        let items = if reset { Some(Vec::new()) } else { self.take_items(what + 2) };
        let Some(items) = items else { return false };
        if partitioned {
            self.extras.partitioned = Some(items);
        } else {
            self.extras.clustered = Some(items);
        }
        // Any operation will do: what goes along says which it is.
        self.remove_and_insert(behind, what + 2 - behind, "RENAME TO layout");
        true
    }
}

#[cfg(test)]
mod tests;
