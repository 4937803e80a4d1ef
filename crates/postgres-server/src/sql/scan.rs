//! Words of SQL, as far as is needed to take a text apart into statements and to know what kind each one is. What a
//! statement means is the engine's business.

/// A piece of SQL. Blanks and comments are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    /// Where it is in the text, in bytes.
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name or a keyword, in lower case.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A text in quotes, without them.
    Text(String),
    Number(String),
    Symbol(char),
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(own) if own == word)
    }

    pub(crate) fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// A name, quoted or not.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Word(name) | TokenKind::Name(name) => Some(name),
            _ => None,
        }
    }
}

struct Scanner<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// All pieces of a text. What is begun and not ended reaches to the end; the engine says what is wrong with it.
pub(crate) fn scan(sql: &str) -> Vec<Token> {
    let mut scanner = Scanner { sql, bytes: sql.as_bytes(), at: 0 };
    let mut tokens = Vec::new();
    while let Some(byte) = scanner.peek(0) {
        let start = scanner.at;
        if let Some(kind) = scanner.token(byte) {
            tokens.push(Token { kind, start, end: scanner.at });
        }
    }
    tokens
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn slice(&self, start: usize, end: usize) -> &str {
        self.sql.get(start..end).unwrap_or_default()
    }

    /// The next token, or nothing for what lies between them.
    fn token(&mut self, byte: u8) -> Option<TokenKind> {
        let next = self.peek(1);
        match byte {
            b'-' if next == Some(b'-') => {
                self.skip(|byte| byte != b'\n');
                None
            }
            b'/' if next == Some(b'*') => {
                self.comment();
                None
            }
            b'\'' => Some(TokenKind::Text(self.quoted(b'\'', false))),
            b'"' => Some(TokenKind::Name(self.quoted(b'"', false))),
            b'e' | b'E' if next == Some(b'\'') => {
                self.at += 1;
                Some(TokenKind::Text(self.quoted(b'\'', true)))
            }
            b'$' => Some(self.dollar()),
            _ if byte.is_ascii_whitespace() || byte == 0x0b => {
                self.at += 1;
                None
            }
            _ if is_name_start(byte) => {
                let start = self.at;
                self.skip(is_name);
                Some(TokenKind::Word(self.slice(start, self.at).to_lowercase()))
            }
            _ if byte.is_ascii_digit() => {
                let start = self.at;
                self.skip(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
                Some(TokenKind::Number(self.slice(start, self.at).to_owned()))
            }
            _ => {
                self.at += 1;
                Some(TokenKind::Symbol(char::from(byte)))
            }
        }
    }

    fn skip(&mut self, belongs: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&belongs) {
            self.at += 1;
        }
    }

    /// Comments nest.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// What stands between quotes; a quote in it is doubled, or behind a backslash where those count.
    fn quoted(&mut self, quote: u8, backslashes: bool) -> String {
        let mut text: Vec<u8> = Vec::new();
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == quote {
                if self.peek(0) != Some(quote) {
                    break;
                }
                self.at += 1;
                text.push(quote);
            } else if byte == b'\\' && backslashes {
                let escaped = self.peek(0).unwrap_or(b'\\');
                self.at += 1;
                text.push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    other => other,
                });
            } else {
                text.push(byte);
            }
        }
        self.at = self.at.min(self.bytes.len());
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A text in dollars, or a parameter.
    fn dollar(&mut self) -> TokenKind {
        let start = self.at;
        let mut end = start + 1;
        while self.bytes.get(end).is_some_and(|byte| is_name(*byte) && *byte != b'$') {
            end += 1;
        }
        let is_tag = self.bytes.get(end) == Some(&b'$') && !self.bytes.get(start + 1).is_some_and(u8::is_ascii_digit);
        if !is_tag {
            self.at = end;
            return TokenKind::Symbol('$');
        }
        let tag = self.slice(start, end + 1).to_owned();
        let body = end + 1;
        let length = self.sql.get(body..).unwrap_or_default().find(&tag);
        let text = match length {
            Some(length) => {
                self.at = body + length + tag.len();
                self.slice(body, body + length)
            }
            None => {
                self.at = self.bytes.len();
                self.slice(body, self.bytes.len())
            }
        };
        TokenKind::Text(text.to_owned())
    }
}

/// Comments around a statement that are longer than this are left out of the record.
const COMMENTS_BYTES_MAX: usize = 4 << 10;

/// One statement of a text.
#[derive(Debug, Clone)]
pub(crate) struct Statement<'a> {
    pub sql: &'a str,
    /// Its pieces, with places in the whole text.
    pub tokens: Vec<Token>,
    /// Where it begins in the whole text, in bytes.
    pub start: usize,
    /// With the comments around it: in these tools write whose it is.
    text: &'a str,
    /// Where that begins in the whole text, in bytes.
    text_start: usize,
}

impl<'a> Statement<'a> {
    /// What is recorded of it, and where it begins there, in bytes.
    pub(crate) fn told(&self) -> (&'a str, usize) {
        if self.text.len() - self.sql.len() > COMMENTS_BYTES_MAX {
            return (self.sql, 0);
        }
        (self.text, self.start - self.text_start)
    }

    /// `from` and `to`: what is about it of the whole text.
    fn with_comments(&mut self, whole: &'a str, from: usize, to: usize) {
        let is_between = |letter: char| letter == ';' || letter.is_whitespace();
        let end = self.start + self.sql.len();
        let before = whole.get(from..self.start).unwrap_or_default().trim_start_matches(is_between);
        let behind = whole.get(end..to).unwrap_or_default().trim_end_matches(is_between);
        self.text_start = self.start - before.len();
        self.text = whole.get(self.text_start..end + behind.len()).unwrap_or(self.sql);
    }
}

/// The statements of a text; empty ones are left out.
pub(crate) fn statements(sql: &str) -> Vec<Statement<'_>> {
    let tokens = scan(sql);
    let (mut all, mut from) = (Vec::new(), 0);
    for part in tokens.split_inclusive(|token| token.is_symbol(';')) {
        let (tokens, to, next) = match part.split_last() {
            Some((end, tokens)) if end.is_symbol(';') => (tokens, end.start, end.end),
            _ => (part, sql.len(), sql.len()),
        };
        if let (Some(first), Some(last)) = (tokens.first(), tokens.last()) {
            let text = sql.get(first.start..last.end).unwrap_or_default();
            let (tokens, start) = (tokens.to_vec(), first.start);
            let mut statement = Statement { sql: text, tokens, start, text, text_start: start };
            statement.with_comments(sql, from, to);
            all.push(statement);
        }
        from = next;
    }
    if let [only] = all.as_mut_slice() {
        // All that came is about it.
        only.with_comments(sql, 0, sql.len());
    }
    all
}

#[cfg(test)]
mod tests;
