//! Words of PostgreSQL's that the parser knows by their signs only.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// What may stand behind the type of a column.
const BEHIND_TYPES: &[Keyword] = &[
    Keyword::NOT,
    Keyword::NULL,
    Keyword::DEFAULT,
    Keyword::PRIMARY,
    Keyword::UNIQUE,
    Keyword::CHECK,
    Keyword::REFERENCES,
    Keyword::GENERATED,
    Keyword::CONSTRAINT,
    Keyword::USING,
];

/// The tokens as the parser takes them.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    trimmed(without_deferrable(array_types(signs(tokens))))
}

fn is_word(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_))
}

/// `v int8 ARRAY` as `v int8[]`, in what makes or alters a table.
fn array_types(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let has = |keyword| tokens.iter().any(|token| is_word(&token.token, keyword));
    if !has(Keyword::ARRAY) || !(has(Keyword::CREATE) || has(Keyword::ALTER)) {
        return tokens;
    }
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 1);
    for (at, token) in tokens.iter().enumerate() {
        let before = kept.iter().rev().map(|token| &token.token).find(|token| !is_blank(token));
        let behind = tokens[at + 1..].iter().map(|token| &token.token).find(|token| !is_blank(token));
        let of_type = before.is_some_and(|token| matches!(token, Token::Word(_) | Token::RParen));
        let ends = behind.is_none_or(|token| {
            matches!(token, Token::Comma | Token::RParen | Token::SemiColon | Token::EOF)
                || BEHIND_TYPES.iter().any(|keyword| is_word(token, *keyword))
        });
        if is_word(&token.token, Keyword::ARRAY) && of_type && ends {
            let bracket = |bracket| TokenWithSpan { token: bracket, span: token.span };
            kept.extend([bracket(Token::LBracket), bracket(Token::RBracket)]);
        } else {
            kept.push(token.clone());
        }
    }
    kept
}

/// `trim(trailing FROM x)` as `trim(trailing x)`: the parser takes FROM behind the letters that are trimmed only.
fn trimmed(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_word(&token.token, Keyword::TRIM)) {
        return tokens;
    }
    let side = |token: &Token| {
        [Keyword::BOTH, Keyword::LEADING, Keyword::TRAILING].iter().any(|keyword| is_word(token, *keyword))
    };
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let mut before = kept.iter().rev().map(|token| &token.token).filter(|token| !is_blank(token)).peekable();
        before.next_if(|token| side(*token));
        let begins = before.next() == Some(&Token::LParen) && before.next().is_some_and(|t| is_word(t, Keyword::TRIM));
        if !(is_word(&token.token, Keyword::FROM) && begins) {
            kept.push(token);
        }
    }
    kept
}

/// `BEGIN READ ONLY, NOT DEFERRABLE` without its last mode: what is put off by it is to read one snapshot, which every transaction
/// does at once.
fn without_deferrable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_word(&token.token, Keyword::DEFERRABLE)) {
        return tokens;
    }
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut next = tokens.into_iter().peekable();
    // Of each statement the first word says whether it has modes.
    let (mut first, mut begins) = (true, false);
    while let Some(token) = next.next() {
        if first && !is_blank(&token.token) {
            begins = is_word(&token.token, Keyword::BEGIN) || is_word(&token.token, Keyword::START);
            first = false;
        }
        first |= token.token == Token::SemiColon;
        if !begins || !is_word(&token.token, Keyword::DEFERRABLE) {
            kept.push(token);
            continue;
        }
        drop_last(&mut kept, &|token| is_word(token, Keyword::NOT));
        // Of the first of several modes, the comma stands behind.
        if !drop_last(&mut kept, &|token| *token == Token::Comma) {
            while next.next_if(|token| is_blank(&token.token)).is_some() {}
            let _ = next.next_if(|token| token.token == Token::Comma);
        }
    }
    kept
}

/// Whether the last token but blanks was a wanted one, which is gone then.
fn drop_last(tokens: &mut Vec<TokenWithSpan>, wanted: &dyn Fn(&Token) -> bool) -> bool {
    let last = tokens.iter().rposition(|token| !is_blank(&token.token));
    let found = last.filter(|at| wanted(&tokens[*at].token));
    found.map(|at| tokens.truncate(at)).is_some()
}

/// `OPERATOR(pg_catalog.=) ANY (…)` as `= ANY (…)`: the parser takes signs only before ANY, ALL and SOME.
fn signs(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_word(&token.token, Keyword::OPERATOR)) {
        return tokens;
    }
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match sign_before_arrays(&tokens[at..]).filter(|_| is_word(&token.token, Keyword::OPERATOR)) {
            Some((sign, length)) => {
                kept.push(TokenWithSpan { token: sign, span: token.span });
                at += length;
            }
            None => {
                kept.push(token.clone());
                at += 1;
            }
        }
    }
    kept
}

/// The sign in `OPERATOR(schema.sign)` at the beginning of tokens if ANY, ALL or SOME follows, and how many tokens say it.
fn sign_before_arrays(tokens: &[TokenWithSpan]) -> Option<(Token, usize)> {
    let mut solid = tokens.iter().enumerate().filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)));
    let mut next = || solid.next().map(|(at, token)| (at, &token.token));
    next()?;
    next().filter(|(_, token)| **token == Token::LParen)?;
    let (_, mut sign) = next()?;
    if let Token::Word(schema) = sign {
        next().filter(|(_, token)| schema.value.eq_ignore_ascii_case("pg_catalog") && **token == Token::Period)?;
        sign = next()?.1;
    }
    let (end, _) = next().filter(|(_, token)| **token == Token::RParen)?;
    let quantified = |token: &Token| matches!(token, Token::Word(word) if matches!(word.keyword, Keyword::ANY | Keyword::ALL | Keyword::SOME));
    next().filter(|(_, token)| quantified(token))?;
    Some((sign.clone(), end + 1))
}
