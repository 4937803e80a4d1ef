//! The options of COPY, in their list and in the older form without one.

use polder_types::{Error, Result};

use super::command::syntax;
use super::scan::{Token, TokenKind};
use crate::copy::encoding::CopyEncoding;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CopyFormat {
    #[default]
    Text,
    Csv,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Header {
    #[default]
    None,
    /// A first line with names, which is passed over.
    Line,
    /// It must be the columns' names.
    Match,
}

/// Some columns, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    All,
    Names(Vec<String>),
}

impl Chosen {
    pub(crate) fn has(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|name| name == column),
        }
    }
}

impl Default for Chosen {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CopyOptions {
    pub format: CopyFormat,
    pub delimiter: u8,
    pub null: String,
    pub header: Header,
    pub quote: u8,
    pub escape: u8,
    pub force_quote: Chosen,
    pub force_not_null: Chosen,
    pub force_null: Chosen,
    /// Of text and CSV: values in the binary format are in the connection's.
    pub encoding: CopyEncoding,
}

#[derive(Default)]
struct Given {
    /// The options that were named: each may be once.
    names: Vec<String>,
    delimiter: Option<u8>,
    null: Option<String>,
    quote: Option<u8>,
    escape: Option<u8>,
    header: Option<Header>,
}

/// # Errors
/// `InvalidInput` (42601, 22023) for what cannot be, `Unsupported` for an option that is not there.
pub(crate) fn read(tokens: &[Token], goes_out: bool) -> Result<CopyOptions> {
    let mut given = Given::default();
    let tokens = delimiters(tokens, &mut given)?;
    let tokens = match tokens.split_first() {
        Some((with, rest)) if with.is_word("with") => rest,
        _ => tokens,
    };
    let mut options = CopyOptions::default();
    match tokens {
        [] => {}
        [open, inner @ .., close] if open.is_symbol('(') && close.is_symbol(')') => {
            for option in split(inner) {
                let (name, value) = option.split_first().ok_or_else(|| syntax("COPY has an empty option"))?;
                let name = name.name().ok_or_else(|| syntax("an option of COPY has no name"))?;
                one(name, value, &mut options, &mut given)?;
            }
        }
        older => older_form(older, &mut options, &mut given)?,
    }
    finish(options, given, goes_out)
}

/// `[USING] DELIMITERS ','`, the oldest form, before all others.
fn delimiters<'a>(tokens: &'a [Token], given: &mut Given) -> Result<&'a [Token]> {
    let skip = usize::from(tokens.first().is_some_and(|token| token.is_word("using")));
    match tokens.get(skip..) {
        Some([name, value, rest @ ..]) if name.is_word("delimiters") => {
            given.names.push("delimiter".to_owned());
            let TokenKind::Text(text) = &value.kind else { return Err(syntax("DELIMITERS needs one character")) };
            given.delimiter = Some(single("delimiter", text)?);
            Ok(rest)
        }
        _ => Ok(tokens),
    }
}

/// The options between commas that stand in no brackets.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    tokens
        .split(|token| {
            match token.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.is_symbol(',')
        })
        .collect()
}

/// `CSV HEADER DELIMITER AS ',' FORCE NOT NULL a, b`
fn older_form(tokens: &[Token], options: &mut CopyOptions, given: &mut Given) -> Result<()> {
    const NAMES: &[&str] = &["csv", "binary", "header", "delimiter", "null", "quote", "escape", "force", "encoding"];
    let begins = |at: usize| {
        let is_name = tokens.get(at).and_then(Token::word).is_some_and(|word| NAMES.contains(&word));
        // NULL belongs to FORCE NULL and FORCE NOT NULL.
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        is_name && !before.is_some_and(|token| token.is_word("force") || token.is_word("not"))
    };
    let mut at = 0;
    while at < tokens.len() {
        if !begins(at) {
            return Err(syntax("an option of COPY is not known"));
        }
        let end = (at + 1..tokens.len()).find(|next| begins(*next)).unwrap_or(tokens.len());
        let words: Vec<&str> = tokens[at..end].iter().filter_map(Token::word).collect();
        let (name, skip) = match words.as_slice() {
            ["csv"] | ["binary"] => {
                one("format", &tokens[at..end], options, given)?;
                at = end;
                continue;
            }
            ["force", "not", "null", ..] => ("force_not_null", 3),
            ["force", "null", ..] => ("force_null", 2),
            ["force", "quote", ..] => ("force_quote", 2),
            [name, "as", ..] => (*name, 2),
            [name, ..] => (*name, 1),
            [] => return Err(syntax("an option of COPY is not known")),
        };
        one(name, &tokens[at + skip..end], options, given)?;
        at = end;
    }
    Ok(())
}

fn one(name: &str, value: &[Token], options: &mut CopyOptions, given: &mut Given) -> Result<()> {
    let plain = || match value {
        [token] => match &token.kind {
            TokenKind::Word(text) | TokenKind::Name(text) | TokenKind::Text(text) | TokenKind::Number(text) => {
                Some(text.as_str())
            }
            TokenKind::Symbol(_) => None,
        },
        _ => None,
    };
    let needed = || plain().ok_or_else(|| syntax(&format!("COPY: {name} needs one value")));
    if given.names.iter().any(|known| known == name) {
        return Err(Error::invalid("conflicting or redundant options").with_code("42601"));
    }
    given.names.push(name.to_owned());
    match name {
        "format" => {
            options.format = match needed()? {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                other => {
                    return Err(Error::invalid(format!("COPY format \"{other}\" not recognized"))
                        .with_code("22023")
                        .with_hint("text, csv or binary go through the connection; parquet goes into a file"));
                }
            }
        }
        "delimiter" => given.delimiter = Some(single(name, needed()?)?),
        "quote" => given.quote = Some(single(name, needed()?)?),
        "escape" => given.escape = Some(single(name, needed()?)?),
        "null" => given.null = Some(needed()?.to_owned()),
        "header" => {
            given.header = Some(match plain() {
                None | Some("true" | "on" | "1") => Header::Line,
                Some("false" | "off" | "0") => Header::None,
                Some("match") => Header::Match,
                Some(_) => return Err(syntax("header requires a Boolean value or \"match\"")),
            });
        }
        "force_quote" => options.force_quote = chosen(value),
        "force_not_null" => options.force_not_null = chosen(value),
        "force_null" => options.force_null = chosen(value),
        "encoding" => options.encoding = CopyEncoding::named(needed()?)?,
        "on_error" if needed()? == "stop" => {}
        "freeze" if matches!(plain(), Some("false" | "off" | "0")) => {}
        "freeze" => return Err(Error::unsupported("COPY FREEZE is not supported").with_hint("leave it out")),
        other => return Err(Error::invalid(format!("option \"{other}\" not recognized")).with_code("42601")),
    }
    Ok(())
}

fn chosen(value: &[Token]) -> Chosen {
    if value.iter().any(|token| token.is_symbol('*')) {
        return Chosen::All;
    }
    Chosen::Names(value.iter().filter_map(Token::name).map(str::to_owned).collect())
}

fn single(name: &str, value: &str) -> Result<u8> {
    match value.as_bytes() {
        [b'\n' | b'\r'] => {
            Err(Error::invalid(format!("COPY {name} cannot be newline or carriage return")).with_code("22023"))
        }
        [byte] => Ok(*byte),
        _ => Err(Error::unsupported(format!("COPY {name} must be a single one-byte character"))),
    }
}

/// Defaults that depend on the format, and what does not go together.
fn finish(mut options: CopyOptions, given: Given, goes_out: bool) -> Result<CopyOptions> {
    let csv = options.format == CopyFormat::Csv;
    let no = Chosen::default();
    let only_csv = given.quote.is_some()
        || given.escape.is_some()
        || options.force_quote != no
        || options.force_not_null != no
        || options.force_null != no;
    if only_csv && !csv {
        return Err(Error::unsupported("COPY QUOTE, ESCAPE and FORCE are available only in CSV mode"));
    }
    let wrong_way = match goes_out {
        true => options.force_not_null != no || options.force_null != no,
        false => options.force_quote != no,
    };
    if wrong_way {
        return Err(Error::unsupported("COPY FORCE QUOTE is for COPY TO, FORCE NULL and FORCE NOT NULL for COPY FROM"));
    }
    if options.format == CopyFormat::Binary && (given.delimiter.is_some() || given.null.is_some()) {
        return Err(Error::invalid("COPY cannot specify DELIMITER or NULL in BINARY mode").with_code("42601"));
    }
    if options.format == CopyFormat::Binary && given.header.is_some_and(|header| header != Header::None) {
        return Err(Error::unsupported("cannot specify HEADER in BINARY mode"));
    }
    if goes_out && given.header == Some(Header::Match) {
        return Err(Error::unsupported("COPY TO has no HEADER MATCH"));
    }
    options.delimiter = given.delimiter.unwrap_or(if csv { b',' } else { b'\t' });
    options.null = given.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".into() });
    options.quote = given.quote.unwrap_or(b'"');
    options.escape = given.escape.unwrap_or(options.quote);
    options.header = given.header.unwrap_or_default();
    let letters = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";
    if !csv && options.format == CopyFormat::Text && letters.contains(&options.delimiter) {
        let message = "COPY delimiter cannot be a letter, a digit, a point or a backslash";
        return Err(Error::invalid(message).with_code("22023"));
    }
    if csv && options.delimiter == options.quote {
        return Err(Error::invalid("COPY delimiter and quote must be different").with_code("22023"));
    }
    let null = options.null.as_bytes();
    if null.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        let message = "COPY null representation cannot use newline or carriage return";
        return Err(Error::invalid(message).with_code("22023"));
    }
    if options.format != CopyFormat::Binary && null.contains(&options.delimiter) {
        return Err(Error::unsupported("COPY delimiter must not appear in the NULL specification"));
    }
    if csv && null.contains(&options.quote) {
        return Err(Error::unsupported("CSV quote character must not appear in the NULL specification"));
    }
    Ok(options)
}

impl CopyOptions {
    /// # Errors
    /// `NotFound` (42703) for a column of FORCE that is none of those that are copied.
    pub(crate) fn check_columns<'a>(&self, copied: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        for chosen in [&self.force_quote, &self.force_not_null, &self.force_null] {
            let Chosen::Names(names) = chosen else { continue };
            if let Some(name) = names.iter().find(|name| !copied.clone().any(|column| column == name.as_str())) {
                return Err(Error::not_found(format!("column \"{name}\" does not exist")).with_code("42703"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::scan;

    #[test]
    fn both_forms_are_read() {
        let list = read(&scan("WITH (FORMAT csv, HEADER, NULL 'x', FORCE_NULL (a, b))"), false).unwrap();
        assert_eq!((list.format, list.header, list.null.as_str()), (CopyFormat::Csv, Header::Line, "x"));
        assert!(list.force_null.has("b") && !list.force_null.has("c"));
        let older = read(&scan("CSV HEADER DELIMITER AS ';' NULL AS 'x' FORCE NOT NULL a"), false).unwrap();
        assert_eq!((older.format, older.delimiter, older.null.as_str()), (CopyFormat::Csv, b';', "x"));
        assert!(older.force_not_null.has("a"));
        let plain = read(&[], true).unwrap();
        assert_eq!((plain.format, plain.delimiter, plain.null.as_str()), (CopyFormat::Text, b'\t', "\\N"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (options, code) in [
            ("(FORMAT parquet)", "22023"),
            ("(QUOTE 'x')", "0A000"),
            ("(FORMAT binary, NULL 'x')", "42601"),
            ("(FREEZE)", "0A000"),
            ("(DELIMITER 'ab')", "0A000"),
            ("(NULL 'x', NULL 'y')", "42601"),
            ("(NOSUCH)", "42601"),
            ("(FORMAT csv, NULL 'a,b')", "0A000"),
            ("(ENCODING 'LATIN5')", "0A000"),
            ("(ENCODING 'none')", "22023"),
        ] {
            assert_eq!(read(&scan(options), false).unwrap_err().code(), code, "{options}");
        }
        let options = read(&scan("USING DELIMITERS '|' WITH NULL 'x'"), false).unwrap();
        assert_eq!((options.delimiter, options.null.as_str()), (b'|', "x"));
        let forced = read(&scan("(FORMAT csv, FORCE_NULL (a, b))"), false).unwrap();
        assert!(
            forced.check_columns(["b", "a"].into_iter()).is_ok() && forced.check_columns(["a"].into_iter()).is_err()
        );
    }
}
