//! SQL text cut into statements at `;`, as PostgreSQL reads quotes, comments and dollar quotes.

/// One statement, without its `;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    pub text: &'a str,
    /// Where it begins in the whole text, from 1; columns count characters.
    pub line: u64,
    pub column: u64,
}

/// The statements of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Split<'a> {
    pub statements: Vec<Statement<'a>>,
    /// The text ends with a `;` (or holds nothing but blanks and comments).
    pub complete: bool,
}

/// Cuts at every `;` outside quotes and comments. Pieces of nothing but blanks and comments are left out.
#[must_use]
pub fn split(sql: &str) -> Split<'_> {
    let mut found = Split { statements: Vec::new(), complete: true };
    let mut scanner = Scanner { bytes: sql.as_bytes(), at: 0 };
    // Where the first thing that is no blank and no comment stands.
    let mut first: Option<usize> = None;
    while let Some(token) = scanner.next() {
        match token {
            Token::Blank => {}
            Token::End => {
                push(sql, first, scanner.at - 1, &mut found.statements);
                first = None;
            }
            Token::Text(at) => first = first.or(Some(at)),
            Token::Unclosed(at) => {
                first = first.or(Some(at));
                found.complete = false;
            }
        }
    }
    if first.is_some() {
        found.complete = false;
    }
    push(sql, first, sql.len(), &mut found.statements);
    found
}

fn push<'a>(sql: &'a str, first: Option<usize>, end: usize, statements: &mut Vec<Statement<'a>>) {
    let Some(first) = first else { return };
    let before = &sql[..first];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    statements.push(Statement {
        text: sql[first..end].trim_end(),
        line: before.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1,
        column: before[line_start..].chars().count() as u64 + 1,
    });
}

enum Token {
    Blank,
    /// `;`
    End,
    /// Begins at this byte.
    Text(usize),
    /// A quote or comment that begins here has no end.
    Unclosed(usize),
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        let byte = *self.bytes.get(start)?;
        self.at += 1;
        let closed = match (byte, self.bytes.get(self.at)) {
            (b';', _) => return Some(Token::End),
            (b'-', Some(b'-')) => {
                self.to_line_end();
                return Some(Token::Blank);
            }
            (b'/', Some(b'*')) => {
                return Some(if self.comment() { Token::Blank } else { Token::Unclosed(start) });
            }
            (b'\'', _) => self.quoted(b'\'', self.is_escape_string(start)),
            (b'"', _) => self.quoted(b'"', false),
            (b'$', _) if !self.follows_word(start) => self.dollar_quoted(start),
            (byte, _) if byte.is_ascii_whitespace() => return Some(Token::Blank),
            _ => true,
        };
        Some(if closed { Token::Text(start) } else { Token::Unclosed(start) })
    }

    fn to_line_end(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| *byte != b'\n') {
            self.at += 1;
        }
    }

    /// Past a comment, which may hold others. False if it has no end.
    fn comment(&mut self) -> bool {
        let mut depth = 1;
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            match (byte, self.bytes.get(self.at + 1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => self.at += 1,
            }
        }
        false
    }

    /// Past a quoted text; a doubled quote is part of it.
    fn quoted(&mut self, quote: u8, escapes: bool) -> bool {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            if *byte == b'\\' && escapes {
                self.at += 1;
            } else if *byte == quote {
                if self.bytes.get(self.at) == Some(&quote) {
                    self.at += 1;
                } else {
                    return true;
                }
            }
        }
        self.at = self.bytes.len();
        false
    }

    /// `E'…'`, where a backslash escapes.
    fn is_escape_string(&self, quote: usize) -> bool {
        quote > 0 && matches!(self.bytes[quote - 1], b'e' | b'E') && !self.follows_word(quote - 1)
    }

    fn follows_word(&self, at: usize) -> bool {
        at > 0
            && (self.bytes[at - 1].is_ascii_alphanumeric() || self.bytes[at - 1] == b'_' || self.bytes[at - 1] >= 0x80)
    }

    /// Past `$tag$ … $tag$`; a `$` that begins none is passed alone.
    fn dollar_quoted(&mut self, start: usize) -> bool {
        let rest = &self.bytes[start + 1..];
        let Some(length) = rest.iter().position(|byte| *byte == b'$') else { return true };
        let tag = &rest[..length];
        let is_tag = tag.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
            && !tag.first().is_some_and(u8::is_ascii_digit);
        if !is_tag {
            return true;
        }
        let mark = &self.bytes[start..start + length + 2];
        let body = start + mark.len();
        match self.bytes[body..].windows(mark.len()).position(|window| window == mark) {
            Some(at) => {
                self.at = body + at + mark.len();
                true
            }
            None => {
                self.at = self.bytes.len();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
