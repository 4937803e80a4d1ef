//! Forms that are refused by their names, and not as mistakes of syntax.

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
