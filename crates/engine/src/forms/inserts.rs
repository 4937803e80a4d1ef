//! Forms of INSERT.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Folder, Overriding};

impl Folder {
    /// `INSERT INTO a TABLE b`
    pub(super) fn table_of(&mut self) {
        if !self.is(1, "into") || self.is(2, "table") {
            return;
        }
        let mut number = self.behind_name(2);
        if self.token(number) == Some(&Token::LParen) {
            while number < self.len() && self.token(number) != Some(&Token::RParen) {
                number += 1;
            }
            number += 1;
        }
        if self.is(number, "table") {
            self.remove_and_insert(number, 1, "SELECT * FROM");
        }
    }

    /// `OVERRIDING {SYSTEM | USER} VALUE`
    pub(super) fn overriding(&mut self) {
        for number in 0..self.len() {
            if self.is(number, "overriding") && self.is(number + 2, "value") {
                self.extras.overriding = match self.word(number + 1).map(|word| word.value.to_lowercase()).as_deref() {
                    Some("system") => Some(Overriding::System),
                    Some("user") => Some(Overriding::User),
                    _ => return,
                };
                self.remove(number, 3);
                return;
            }
        }
    }
}
