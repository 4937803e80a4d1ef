//! Which statements are this server's own: cursors, COPY through the connection, settings of the protocol.

use polder_types::{Error, Result};

use super::copy_options::{self, CopyOptions};
use super::cursor::{self, Declare, Fetch};
use super::prepare::{self, Execute, Prepare};
use super::scan::{Statement, Token, TokenKind, scan};
use super::set_config::{self, SetConfig};

/// What a statement is, as far as the protocol is concerned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// For the engine. `reads`: nothing but rows comes of it, so that it may be begun when its columns are asked for.
    Plain {
        reads: bool,
    },
    /// BEGIN and START TRANSACTION.
    Begin,
    /// COMMIT and END.
    Commit,
    /// ROLLBACK and ABORT, not to a savepoint.
    Rollback,
    Declare(Declare),
    Fetch(Fetch),
    /// A cursor's name; `None`: all.
    Close(Option<String>),
    CopyIn(CopyIn),
    CopyOut {
        query: String,
        options: CopyOptions,
    },
    /// `local`: until the end of the transaction.
    Set {
        name: String,
        values: Vec<String>,
        local: bool,
    },
    /// SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION, with what follows.
    SetCharacteristics {
        /// For all transactions of the session, not for the one that is open.
        lasting: bool,
        words: Vec<String>,
    },
    /// A SELECT of `set_config` and nothing else.
    SetConfig(SetConfig),
    Show(String),
    Reset(String),
    DiscardAll,
    /// DISCARD of what is never kept here.
    DiscardNothing(&'static str),
    Prepare(Prepare),
    Execute(Execute),
    /// A prepared statement's name; `None`: all.
    Deallocate(Option<String>),
    Unlisten,
    Refused(&'static str),
}

/// COPY … FROM STDIN: names and the condition as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyIn {
    pub table: String,
    pub columns: Vec<String>,
    pub filter: Option<String>,
    pub options: CopyOptions,
}

/// Statements that change something, or say nothing about rows before they have run.
const CHANGING: &[&str] = &[
    "insert",
    "update",
    "delete",
    "merge",
    "create",
    "drop",
    "alter",
    "truncate",
    "comment",
    "grant",
    "revoke",
    "copy",
    "savepoint",
    "release",
    "rollback",
    "prepare",
    "execute",
    "refresh",
    "call",
    "do",
    "lock",
    "set",
    "restore",
];

/// # Errors
/// `InvalidInput` (42601) for one of the server's own that is not understood.
pub(crate) fn of(statement: &Statement<'_>, sql: &str) -> Result<Command> {
    let tokens = statement.tokens.as_slice();
    let first = tokens.first().and_then(Token::word).unwrap_or_default();
    let second = tokens.get(1).and_then(Token::word).unwrap_or_default();
    Ok(match first {
        "begin" => Command::Begin,
        "start" if second == "transaction" => Command::Begin,
        "commit" if second != "prepared" => Command::Commit,
        "end" => Command::Commit,
        "rollback" | "abort" if second != "prepared" && !tokens.iter().any(|token| token.is_word("to")) => {
            Command::Rollback
        }
        "declare" => Command::Declare(cursor::declare(tokens, sql)?),
        "fetch" | "move" => Command::Fetch(cursor::fetch(tokens)?),
        "close" => Command::Close(one_or_all(tokens, "CLOSE")?),
        "copy" => copy(tokens, sql)?,
        "set" => set(tokens),
        "show" => Command::Show(setting(&tokens[1..])),
        "reset" => Command::Reset(setting(&tokens[1..])),
        "discard" => discard(second)?,
        "prepare" if second != "transaction" => Command::Prepare(prepare::prepare(tokens, sql)?),
        "execute" => Command::Execute(prepare::execute(tokens, sql)?),
        "explain" | "create" => match prepare::within(tokens, sql)? {
            Some(execute) => Command::Execute(execute),
            None => Command::Plain { reads: !CHANGING.contains(&first) },
        },
        "deallocate" => {
            let skip = usize::from(second == "prepare" && tokens.len() > 2);
            Command::Deallocate(one_or_all(&tokens[skip..], "DEALLOCATE")?)
        }
        "listen" => Command::Refused("LISTEN"),
        "notify" => Command::Refused("NOTIFY"),
        "unlisten" => Command::Unlisten,
        "select" if set_config::is_called(tokens) => match set_config::whole(tokens, sql) {
            Some(call) => Command::SetConfig(call),
            None => Command::Plain { reads: false },
        },
        "with" => {
            let changes = |token: &Token| matches!(token.word(), Some("insert" | "update" | "delete" | "merge"));
            Command::Plain { reads: !tokens.iter().any(changes) }
        }
        _ => Command::Plain { reads: !CHANGING.contains(&first) },
    })
}

/// Whether a transaction ends AND CHAIN, and not AND NO CHAIN.
pub(crate) fn chains(sql: &str) -> bool {
    match scan(sql).as_slice() {
        [.., before, chain] => chain.is_word("chain") && !before.is_word("no"),
        _ => false,
    }
}

pub(super) fn syntax(what: &str) -> Error {
    Error::invalid(format!("syntax error: {what}")).with_code("42601")
}

/// `CLOSE name`, `CLOSE ALL`
fn one_or_all(tokens: &[Token], verb: &str) -> Result<Option<String>> {
    match tokens {
        [_, all] if all.is_word("all") => Ok(None),
        [_, name] => match name.name() {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(syntax(&format!("{verb} needs a name"))),
        },
        _ => Err(syntax(&format!("{verb} takes one name"))),
    }
}

fn discard(what: &str) -> Result<Command> {
    Ok(match what {
        "all" => Command::DiscardAll,
        "plans" => Command::DiscardNothing("DISCARD PLANS"),
        "sequences" => Command::DiscardNothing("DISCARD SEQUENCES"),
        "temp" | "temporary" => Command::Plain { reads: false },
        _ => return Err(syntax("DISCARD ALL, PLANS, SEQUENCES or TEMP")),
    })
}

/// A setting's name: `timezone`, `time zone`, `transaction isolation level`.
fn setting(tokens: &[Token]) -> String {
    let words: Vec<&str> = tokens.iter().filter_map(Token::name).collect();
    match words.as_slice() {
        ["time", "zone"] => "timezone".into(),
        ["session", "authorization"] => "session_authorization".into(),
        ["transaction", "isolation", "level"] => "transaction_isolation".into(),
        _ => words.join("."),
    }
}

fn words(tokens: &[Token]) -> Vec<String> {
    tokens.iter().filter_map(Token::word).map(str::to_owned).collect()
}

fn set(tokens: &[Token]) -> Command {
    let plain = Command::Plain { reads: false };
    let word = |at: usize| tokens.get(at).and_then(Token::word).unwrap_or_default();
    if (word(1), word(2), word(3), word(4)) == ("session", "characteristics", "as", "transaction") {
        return Command::SetCharacteristics { lasting: true, words: words(&tokens[5..]) };
    }
    if word(1) == "transaction" {
        return Command::SetCharacteristics { lasting: false, words: words(&tokens[2..]) };
    }
    let local = word(1) == "local";
    let skip = if local || word(1) == "session" && word(2) != "authorization" { 2 } else { 1 };
    let equals = |token: &Token| token.is_symbol('=') || token.is_word("to");
    // SET NAMES 'UTF8' is the standard's way to say it.
    if word(skip) == "names" {
        return Command::Set { name: "client_encoding".into(), values: values(&tokens[skip + 1..]), local };
    }
    let Some(at) = tokens.iter().position(equals).filter(|at| *at > skip) else { return plain };
    Command::Set { name: setting(&tokens[skip..at]), values: values(&tokens[at + 1..]), local }
}

fn values(tokens: &[Token]) -> Vec<String> {
    let mut sign = "";
    let mut values = Vec::new();
    for token in tokens {
        match &token.kind {
            TokenKind::Word(text) | TokenKind::Name(text) | TokenKind::Text(text) => values.push(text.clone()),
            TokenKind::Number(digits) => values.push(format!("{}{digits}", std::mem::take(&mut sign))),
            TokenKind::Symbol('-') => sign = "-",
            TokenKind::Symbol(_) => {}
        }
    }
    values
}

/// COPY through the connection; COPY of files is the engine's.
fn copy(tokens: &[Token], sql: &str) -> Result<Command> {
    let mut depth = 0_usize;
    let way = tokens.iter().position(|token| {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (token.is_word("to") || token.is_word("from"))
    });
    let Some(way) = way.filter(|way| *way > 1) else { return Ok(Command::Plain { reads: false }) };
    let goes_out = tokens[way].is_word("to");
    let place = tokens.get(way + 1).and_then(Token::word);
    if place != Some(if goes_out { "stdout" } else { "stdin" }) {
        return Ok(Command::Plain { reads: false });
    }
    let text = |from: usize, to: usize| sql.get(from..to).unwrap_or_default().to_owned();
    let (given, condition) = split_at_where(&tokens[way + 2..]);
    let filter = match condition {
        None => None,
        Some(_) if goes_out => return Err(syntax("WHERE clause not allowed with COPY TO")),
        Some([first, .., last]) => Some(text(first.start, last.end)),
        Some([only]) => Some(text(only.start, only.end)),
        Some([]) => return Err(syntax("COPY … WHERE needs a condition")),
    };
    let options = copy_options::read(given, goes_out)?;
    let source = &tokens[1..way];
    let oldest = |token: &Token| token.is_word("delimiters") || token.is_word("using");
    if source[0].is_symbol('(') && tokens.get(way + 2).is_some_and(oldest) {
        return Err(syntax("COPY of a query takes its options in brackets"));
    }
    if source[0].is_symbol('(') {
        let (first, last) = (&source[0], &source[source.len() - 1]);
        if !goes_out || !last.is_symbol(')') {
            return Err(syntax("COPY (query) TO STDOUT, or COPY table FROM STDIN"));
        }
        return Ok(Command::CopyOut { query: text(first.end, last.start), options });
    }
    let list = source.iter().position(|token| token.is_symbol('('));
    let name_ends = list.unwrap_or(source.len());
    let Some(last) = name_ends.checked_sub(1).and_then(|at| source.get(at)) else {
        return Err(syntax("COPY needs a table"));
    };
    let table = text(source[0].start, last.end);
    let columns: Vec<String> = source[name_ends..]
        .iter()
        .filter(|token| token.name().is_some())
        .map(|token| text(token.start, token.end))
        .collect();
    let names: Vec<&str> = source[name_ends..].iter().filter_map(Token::name).collect();
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        let message = format!("column \"{}\" specified more than once", twice.1);
        return Err(Error::invalid(message).with_code("42701"));
    }
    if !goes_out {
        return Ok(Command::CopyIn(CopyIn { table, columns, filter, options }));
    }
    let listed = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    Ok(Command::CopyOut { query: format!("SELECT {listed} FROM {table}"), options })
}

/// The options, and the condition behind them.
fn split_at_where(tokens: &[Token]) -> (&[Token], Option<&[Token]>) {
    let mut depth = 0_usize;
    let place = tokens.iter().position(|token| {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.is_word("where")
    });
    match place {
        Some(place) => (&tokens[..place], Some(&tokens[place + 1..])),
        None => (tokens, None),
    }
}

#[cfg(test)]
mod tests;
