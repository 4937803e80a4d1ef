//! Options of views: `WITH (security_invoker)`, `ALTER VIEW … SET (…)` and `RESET (…)`.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Folder;

impl Folder {
    /// Gives those options a value that have none, which the parser asks for.
    fn valued(&mut self, open: usize, value: &str) {
        let mut number = open + 1;
        while matches!(self.token(number), Some(Token::Word(_))) {
            let mut behind = number + 1;
            if matches!(self.token(behind), Some(Token::Comma | Token::RParen)) {
                self.remove_and_insert(behind, 0, &format!("= {value}"));
            }
            while !matches!(self.token(behind), None | Some(Token::Comma | Token::RParen)) {
                behind += 1;
            }
            number = behind + 1;
        }
    }

    /// `CREATE VIEW v WITH (option, …)`. `behind`: what follows the name.
    pub(super) fn view_options(&mut self, behind: usize) {
        let mut number = behind;
        while number < self.len() && !self.is(number, "as") {
            if self.is(number, "with") && self.token(number + 1) == Some(&Token::LParen) {
                return self.valued(number + 1, "true");
            }
            number += 1;
        }
    }

    /// `ALTER VIEW v SET (…)` and `RESET (…)`, as options that are set. False if it is neither.
    pub(super) fn altered_options(&mut self, behind: usize) -> bool {
        let is_reset = self.is(behind, "reset");
        if !(is_reset || self.is(behind, "set")) || self.token(behind + 1) != Some(&Token::LParen) {
            return false;
        }
        if is_reset {
            self.replace_word(behind, "SET");
        }
        self.valued(behind + 1, if is_reset { "false" } else { "true" });
        true
    }
}
