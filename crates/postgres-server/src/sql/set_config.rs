//! `SELECT set_config('name', 'value', is_local)`: a query that sets something. Of the server's own settings it is carried out
//! here, of all others by the engine.

use polder_capability::Parameter;

use super::prepare;
use super::scan::{Token, TokenKind};

/// The arguments of a call that is the whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetConfig {
    setting: Given,
    value: Given,
    local: Given,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Text(String),
    Null,
    /// By its number from 0.
    Parameter(usize),
}

/// A call with its values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// In lower case.
    pub name: String,
    /// `None` puts it back.
    pub value: Option<String>,
    pub local: bool,
}

/// Whether a SELECT calls it at all: such a one is no query that only reads.
pub(crate) fn is_called(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| matches!(pair, [name, open] if name.is_word("set_config") && open.is_symbol('(')))
}

/// The one call that a statement is; `None` for all others, and for what are no constants.
pub(crate) fn whole(tokens: &[Token], sql: &str) -> Option<SetConfig> {
    let rest = match tokens {
        [select, schema, point, rest @ ..]
            if select.is_word("select") && schema.is_word("pg_catalog") && point.is_symbol('.') =>
        {
            rest
        }
        [select, rest @ ..] if select.is_word("select") => rest,
        _ => return None,
    };
    let [name, open, inner @ .., close] = rest else { return None };
    if !name.is_word("set_config") || !open.is_symbol('(') || !close.is_symbol(')') {
        return None;
    }
    let mut given = inner.split(|token| token.is_symbol(',')).map(|argument| constant(argument, sql));
    let call = SetConfig { setting: given.next()??, value: given.next()??, local: given.next()?? };
    given.next().is_none().then_some(call)
}

/// A constant, and a cast behind it at most.
fn constant(tokens: &[Token], sql: &str) -> Option<Given> {
    let (first, rest) = tokens.split_first()?;
    let is_cast = matches!(rest, [one, two, name] if one.is_symbol(':') && two.is_symbol(':') && name.word().is_some());
    if !rest.is_empty() && !is_cast {
        return None;
    }
    match &first.kind {
        TokenKind::Text(text) => Some(Given::Text(text.clone())),
        TokenKind::Word(word) if word == "null" => Some(Given::Null),
        TokenKind::Word(word) if word == "true" || word == "false" => Some(Given::Text(word.clone())),
        TokenKind::Symbol('$') => prepare::number(first, sql)?.checked_sub(1).map(Given::Parameter),
        _ => None,
    }
}

impl SetConfig {
    /// What it sets; `None` where the values are none that this is about.
    pub(crate) fn with(&self, values: &[Parameter]) -> Option<Setting> {
        let text = |given: &Given| match given {
            Given::Text(text) => Some(Some(text.clone())),
            Given::Null => Some(None),
            Given::Parameter(at) => values.get(*at).map(|value| value.text.clone()),
        };
        let local = match text(&self.local)?.map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("t" | "true" | "on" | "yes" | "y" | "1") => true,
            None | Some("f" | "false" | "off" | "no" | "n" | "0") => false,
            Some(_) => return None,
        };
        Some(Setting { name: text(&self.setting)??.to_lowercase(), value: text(&self.value)?, local })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::scan;

    fn read(sql: &str, values: &[Parameter]) -> Option<(String, Option<String>, bool)> {
        let call = whole(&scan(sql), sql)?.with(values)?;
        Some((call.name, call.value, call.local))
    }

    #[test]
    fn calls_of_constants_are_read() {
        let text = |text: &str| Some(text.to_owned());
        let all = "SELECT pg_catalog.set_config('search_path', '', false)";
        assert_eq!(read(all, &[]), Some(("search_path".into(), text(""), false)));
        let parameter = |text: &str| Parameter { type_name: None, text: Some(text.into()) };
        let values = [parameter("DateStyle"), parameter("t")];
        assert_eq!(read("select set_config($1, NULL::text, $2)", &values), Some(("datestyle".into(), None, true)));
        for sql in [
            "SELECT set_config('a', 'b', true), 1",
            "SELECT set_config('a', upper('b'), true)",
            "SELECT set_config('a', 'b')",
            "SELECT x.set_config('a', 'b', true)",
            "SELECT set_config('a', 'b', true) FROM t",
        ] {
            assert_eq!(read(sql, &[]), None, "{sql}");
        }
        assert!(is_called(&scan("SELECT set_config('a', 'b', true) FROM t")));
        assert!(!is_called(&scan("SELECT set_config FROM t")));
    }
}
