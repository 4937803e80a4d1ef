//! What the parser itself does not bound: operators in a row, and forms that it reads twice.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use polder_types::{Error, ErrorKind, Result};

/// Operators in a row, at one level of brackets. Each nests one deeper in the tree that the planner walks.
const CHAIN_MAX: usize = 5_000;

/// How deep forms may nest that may as well be the name of a column or a function. What is wrong within one is read twice, so
/// that each level doubles the work.
const NESTED_MAX: usize = 12;

/// Brackets are bounded by the parser itself; `1 + 1 + …` and `a OR b OR …` are read in a loop, and would be without end.
pub(super) fn check_chains(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut open = vec![0_usize];
    for token in tokens {
        let links = match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                open.push(0);
                continue;
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                if open.len() > 1 {
                    open.pop();
                }
                continue;
            }
            Token::Comma => {
                if let Some(chain) = open.last_mut() {
                    *chain = 0;
                }
                continue;
            }
            Token::Word(word) if word.quote_style.is_none() => matches!(
                word.keyword,
                Keyword::AND
                    | Keyword::OR
                    | Keyword::NOT
                    | Keyword::IS
                    | Keyword::LIKE
                    | Keyword::ILIKE
                    | Keyword::BETWEEN
                    | Keyword::IN
                    | Keyword::COLLATE
                    | Keyword::UNION
                    | Keyword::EXCEPT
                    | Keyword::INTERSECT
                    | Keyword::JOIN
            ),
            Token::Word(_) | Token::Whitespace(_) | Token::EOF | Token::Period => false,
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => false,
            // Whatever else stands between two operands binds them.
            _ => true,
        };
        let Some(chain) = open.last_mut() else { continue };
        *chain += usize::from(links);
        if *chain > CHAIN_MAX {
            let start = token.span.start;
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {CHAIN_MAX} operators in a row"))
                .with_code("54001")
                .with_hint("use IN (…) with a list, or a table and a join")
                .at(start.line, start.column));
        }
    }
    Ok(())
}

/// Refuses a text that would keep the parser busy for longer than anybody waits.
pub(super) fn check_guesses(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut open = Vec::new();
    let mut nested = 0_usize;
    let mut is_guess = false;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen => {
                open.push(is_guess);
                nested += usize::from(is_guess);
            }
            Token::RParen => nested -= usize::from(open.pop().unwrap_or(false)),
            _ => {}
        }
        if nested > NESTED_MAX {
            let start = token.span.start;
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("more than {NESTED_MAX} of these calls within each other"),
            )
            .with_code("54001")
            .with_hint("give what is within them a name of its own in a subquery")
            .at(start.line, start.column));
        }
        is_guess = matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && is_guessed(word.keyword));
    }
    Ok(())
}

/// Those that the dialect does not reserve: a column may have such a name.
fn is_guessed(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::CEIL
            | Keyword::CONVERT
            | Keyword::EXTRACT
            | Keyword::FLOOR
            | Keyword::INTERVAL
            | Keyword::OVERLAY
            | Keyword::POSITION
            | Keyword::SAFE_CAST
            | Keyword::SUBSTR
            | Keyword::SUBSTRING
            | Keyword::TRY_CAST
    )
}
