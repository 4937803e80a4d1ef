//! Texts as cells of a CSV file.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use datafusion::common::Result;

use crate::functions::function::{Call, refuse};

/// What a cell must not look like, and how it is kept from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvCells {
    pub delimiter: char,
    pub quote: char,
    pub escape: char,
    /// What a missing value is written as.
    pub null: String,
}

impl CsvCells {
    /// As one text, for a function that has no other arguments than values.
    pub fn to_terms(&self) -> String {
        format!("{}{}{}{}", self.delimiter, self.quote, self.escape, self.null)
    }

    fn of_terms(terms: &str) -> Option<Self> {
        let mut letters = terms.chars();
        let (delimiter, quote, escape) = (letters.next()?, letters.next()?, letters.next()?);
        Some(Self { delimiter, quote, escape, null: letters.as_str().to_owned() })
    }

    /// The text as a cell, in quotes if it would be read as another one, or as none: as PostgreSQL writes it.
    pub fn cell<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let needs = |letter: char| letter == self.delimiter || letter == self.quote || matches!(letter, '\n' | '\r');
        if text != self.null && !text.is_empty() && !text.contains(needs) && text != "\\." {
            return Cow::Borrowed(text);
        }
        let mut cell = String::with_capacity(text.len() + 2);
        cell.push(self.quote);
        for letter in text.chars() {
            if letter == self.quote || letter == self.escape {
                cell.push(self.escape);
            }
            cell.push(letter);
        }
        cell.push(self.quote);
        Cow::Owned(cell)
    }
}

/// `polder_csv_cell(text, terms)`
pub(super) fn cell(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let cells =
            CsvCells::of_terms(call.text(1).value(row)).ok_or_else(|| refuse("XX000", "a cell without terms"))?;
        Ok(Some(cells.cell(call.text(0).value(row)).into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_what_it_was() {
        let cells = CsvCells { delimiter: ';', quote: '"', escape: '"', null: "-".into() };
        assert_eq!(CsvCells::of_terms(&cells.to_terms()), Some(cells.clone()));
        for (text, cell) in [
            ("plain, text", "plain, text"),
            ("", "\"\""),
            ("-", "\"-\""),
            ("--", "--"),
            ("a;b", "\"a;b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("\\.", "\"\\.\""),
        ] {
            assert_eq!(cells.cell(text), cell);
        }
        let other = CsvCells { escape: '\\', null: String::new(), ..cells };
        assert_eq!(other.cell("\"\\;"), "\"\\\"\\\\;\"");
    }
}
