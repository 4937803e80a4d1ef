//! `EXPLAIN (ESTIMATE, FORMAT JSON) …`: taken out of the statement, and kept beside it; and PostgreSQL's formats of a plan.

use datafusion::sql::sqlparser::tokenizer::Token;
use polder_types::{Error, Result};

use super::Folder;

/// How an estimate is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EstimateForm {
    /// A row for each table, and one for all.
    Rows,
    /// One text of JSON.
    Json,
}

impl Folder {
    /// Takes the options away if ESTIMATE is one of them.
    ///
    /// # Errors
    /// `InvalidInput` (42601) for options that do not go with it.
    pub(super) fn estimate(&mut self) -> Result<()> {
        if self.token(1) != Some(&Token::LParen) {
            return Ok(());
        }
        let Some(options) = self.options() else { return Ok(()) };
        let is_off = |value: &Option<String>| matches!(value.as_deref(), Some("off" | "false" | "0"));
        let Some((_, value)) = options.iter().find(|(name, _)| name == "estimate") else {
            self.format(&options);
            return Ok(());
        };
        if is_off(value) {
            return Err(Error::invalid("ESTIMATE is not switched off").with_code("42601").with_hint("leave it out"));
        }
        let mut form = EstimateForm::Rows;
        for (name, value) in &options {
            match (name.as_str(), value.as_deref()) {
                ("estimate", None | Some("on" | "true" | "1")) | ("format", Some("text")) => {}
                ("format", Some("json")) => form = EstimateForm::Json,
                (_, value) => {
                    let said = format!("{name} {}", value.unwrap_or_default()).trim().to_uppercase();
                    return Err(Error::invalid(format!("EXPLAIN (ESTIMATE) does not go with {said}"))
                        .with_code("42601")
                        .with_hint("EXPLAIN (ESTIMATE) or EXPLAIN (ESTIMATE, FORMAT JSON)"));
                }
            }
        }
        // The bracket that opens, names, values and commas, and the one that closes.
        let words: usize = options.iter().map(|(_, value)| 1 + usize::from(value.is_some())).sum();
        self.remove(1, words + options.len() + 1);
        self.extras.estimate = Some(form);
        Ok(())
    }

    /// The formats of a plan that the planner knows by other names.
    fn format(&mut self, options: &[(String, Option<String>)]) {
        let mut number = 2;
        for (name, value) in options {
            match (name.as_str(), value.as_deref()) {
                ("format", Some("json")) => {
                    self.replace_word(number + 1, "pgjson");
                    self.extras.plan_json = true;
                }
                ("format", Some("text")) => self.replace_word(number + 1, "indent"),
                _ => {}
            }
            number += 2 + usize::from(value.is_some());
        }
    }

    /// What stands between the brackets behind EXPLAIN, in lower case; `None` if that is no list of options.
    fn options(&self) -> Option<Vec<(String, Option<String>)>> {
        let (mut options, mut number) = (Vec::new(), 2);
        loop {
            let name = self.word(number)?.value.to_lowercase();
            number += 1;
            let value = match self.token(number)? {
                Token::Word(word) => Some(word.value.to_lowercase()),
                Token::SingleQuotedString(text) => Some(text.to_lowercase()),
                Token::Number(digits, _) => Some(digits.clone()),
                _ => None,
            };
            number += usize::from(value.is_some());
            options.push((name, value));
            match self.token(number)? {
                Token::Comma => number += 1,
                Token::RParen => return Some(options),
                _ => return None,
            }
        }
    }
}
