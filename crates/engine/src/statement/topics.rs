//! CREATE, ALTER and DROP TOPIC.
//!
//! ```text
//! CREATE TOPIC [IF NOT EXISTS] name [PARTITIONS n] [WITH ("retention.ms" = '86400000', …)]
//! ALTER TOPIC name PARTITIONS n
//! ALTER TOPIC name SET ("retention.ms" = '86400000', …)
//! ALTER TOPIC name RESET ("retention.ms", …)
//! DROP TOPIC [IF EXISTS] name [, …]
//! ```
//!
//! Topics are kept beside the lake: these statements take effect at once, and so cannot be part of a transaction that might be
//! taken back. Who may do so is decided where Kafka's clients are let do it.

use std::sync::Arc;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use polder_capability::Caller;
use polder_capability::topics::{
    ConfigChange, ConfigOperation, ConfigResource, MorePartitions, NewTopic, TopicChoice, TopicClient, TopicError,
    TopicFailure, TopicRef, TopicResult, Topics,
};
use polder_types::{Error, ErrorKind, Result};

use super::cursor::{Cursor, begins_about, solid};
use super::may::check_may_write_beside;
use crate::engine::Engine;
use crate::session::{Inner, Outcome};
use crate::topic_rights::missing_topic;

/// Topics of one DROP.
const NAMES_MAX: usize = 1_000;

/// A statement about topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicStatement {
    Create {
        name: String,
        if_not_exists: bool,
        /// `None`: as many as the server makes by itself.
        partitions: Option<i32>,
        settings: Vec<(String, String)>,
    },
    Partitions {
        name: String,
        total: i32,
    },
    /// Without a value: back to the default.
    Set {
        name: String,
        settings: Vec<(String, Option<String>)>,
    },
    Drop {
        names: Vec<String>,
        if_exists: bool,
    },
}

impl TopicStatement {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE TOPIC",
            Self::Partitions { .. } | Self::Set { .. } => "ALTER TOPIC",
            Self::Drop { .. } => "DROP TOPIC",
        }
    }
}

/// The statement about topics that these tokens of `sql` are; `None` if they are another one.
pub(crate) fn parse_topic(sql: &str, tokens: &[TokenWithSpan]) -> Result<Option<TopicStatement>> {
    // Most statements are others.
    if !begins_about(tokens, "TOPIC") {
        return Ok(None);
    }
    let tokens = solid(tokens);
    let mut cursor = Cursor { sql, tokens: &tokens, at: 0 };
    let statement = if cursor.take(&["CREATE", "TOPIC"]) {
        let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
        let name = name(&mut cursor)?;
        let partitions = if cursor.take(&["PARTITIONS"]) { Some(number(&mut cursor)?) } else { None };
        let settings = if cursor.take(&["WITH"]) { listed(&mut cursor, setting)? } else { Vec::new() };
        TopicStatement::Create { name, if_not_exists, partitions, settings }
    } else if cursor.take(&["ALTER", "TOPIC"]) {
        let name = name(&mut cursor)?;
        if cursor.take(&["PARTITIONS"]) {
            TopicStatement::Partitions { name, total: number(&mut cursor)? }
        } else if cursor.take(&["SET"]) {
            let settings = listed(&mut cursor, setting)?;
            TopicStatement::Set { name, settings: settings.into_iter().map(|(key, to)| (key, Some(to))).collect() }
        } else if cursor.take(&["RESET"]) {
            let settings = listed(&mut cursor, |cursor| cursor.name("a setting's name"))?;
            TopicStatement::Set { name, settings: settings.into_iter().map(|key| (key, None)).collect() }
        } else {
            return Err(cursor.expected("PARTITIONS, SET, RESET or OWNER TO"));
        }
    } else if cursor.take(&["DROP", "TOPIC"]) {
        let if_exists = cursor.take(&["IF", "EXISTS"]);
        let mut names = vec![name(&mut cursor)?];
        while takes(&mut cursor, &Token::Comma) && names.len() < NAMES_MAX {
            names.push(name(&mut cursor)?);
        }
        TopicStatement::Drop { names, if_exists }
    } else {
        return Ok(None);
    };
    cursor.end()?;
    Ok(Some(statement))
}

fn takes(cursor: &mut Cursor<'_>, token: &Token) -> bool {
    let found = cursor.peek().is_some_and(|next| next.token == *token);
    cursor.at += usize::from(found);
    found
}

fn name(cursor: &mut Cursor<'_>) -> Result<String> {
    cursor.name("a topic's name (in double quotes where it has dots, dashes or capitals)")
}

fn number(cursor: &mut Cursor<'_>) -> Result<i32> {
    let found = match cursor.peek().map(|token| &token.token) {
        Some(Token::Number(digits, _)) => digits.parse().ok(),
        _ => None,
    };
    let number = found.ok_or_else(|| cursor.expected("a number of partitions"))?;
    cursor.at += 1;
    Ok(number)
}

/// `"retention.ms" = '1'`, or a number, true or false without quotes.
fn setting(cursor: &mut Cursor<'_>) -> Result<(String, String)> {
    let key = cursor.name("a setting's name")?;
    if !takes(cursor, &Token::Eq) {
        return Err(cursor.expected("= and a value"));
    }
    let from = cursor.at;
    takes(cursor, &Token::Minus);
    let value = match cursor.peek().map(|token| &token.token) {
        Some(Token::SingleQuotedString(text)) if cursor.at == from => text.clone(),
        Some(Token::Number(..)) => cursor.written(from, cursor.at + 1)?.to_owned(),
        Some(Token::Word(word)) if cursor.at == from && word.quote_style.is_none() => word.value.to_lowercase(),
        _ => return Err(cursor.expected("a value")),
    };
    cursor.at += 1;
    Ok((key, value))
}

/// One or more things in parentheses.
fn listed<T>(cursor: &mut Cursor<'_>, one: impl Fn(&mut Cursor<'_>) -> Result<T>) -> Result<Vec<T>> {
    if !takes(cursor, &Token::LParen) {
        return Err(cursor.expected("settings in parentheses"));
    }
    let mut all = vec![one(cursor)?];
    while takes(cursor, &Token::Comma) {
        all.push(one(cursor)?);
    }
    if takes(cursor, &Token::RParen) { Ok(all) } else { Err(cursor.expected(", or )")) }
}

/// A refusal in SQL's words.
fn refused(failure: TopicFailure, name: &str) -> Error {
    let said = failure.message.unwrap_or_else(|| format!("topic \"{name}\": {:?}", failure.error));
    match failure.error {
        TopicError::UnknownTopic | TopicError::UnknownTopicId => missing_topic(name),
        TopicError::TopicExists => Error::new(ErrorKind::AlreadyExists, format!("topic \"{name}\" already exists"))
            .with_code("42710")
            .with_hint("CREATE TOPIC IF NOT EXISTS"),
        TopicError::TopicForbidden | TopicError::ServerForbidden => {
            Error::new(ErrorKind::Forbidden, format!("permission denied for topic \"{name}\""))
                .with_code("42501")
                .with_hint("superusers make topics; their owners change and drop them")
        }
        TopicError::InvalidTopic => Error::invalid(said).with_code("42602"),
        TopicError::InvalidPartitions | TopicError::InvalidConfig | TopicError::InvalidRequest => {
            Error::invalid(said).with_code("22023")
        }
        TopicError::Policy => Error::new(ErrorKind::Exhausted, said).with_code("54000"),
        TopicError::Storage => Error::new(ErrorKind::Exhausted, said),
        TopicError::Unavailable | TopicError::TimedOut | TopicError::Throttled => {
            Error::new(ErrorKind::Unavailable, said)
        }
        _ => Error::internal(said),
    }
}

/// The same about a topic that is to be there: of one that somebody may not know nobody is told that it is there.
async fn refused_on(topics: &dyn Topics, client: &TopicClient, failure: TopicFailure, name: &str) -> Error {
    if failure.error == TopicError::TopicForbidden {
        let choice = TopicChoice::These(vec![TopicRef::named(name)]);
        if only(topics.describe(client, &choice, false).await).is_err() {
            return missing_topic(name);
        }
    }
    refused(failure, name)
}

/// The answer about the one thing that was asked for.
fn only<T>(answers: TopicResult<Vec<TopicResult<T>>>) -> TopicResult<T> {
    answers?.pop().unwrap_or_else(|| Err(TopicError::Internal.into()))
}

impl Engine {
    /// Runs a statement about topics.
    pub(crate) async fn topic(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: TopicStatement,
    ) -> Result<Outcome> {
        let verb = statement.verb();
        check_may_write_beside(inner, verb)?;
        self.identify(caller, &mut inner.settings).await?;
        let topics = self.topics().ok_or_else(|| Error::unsupported("topics are not part of this program"))?;
        let caller = crate::topics::caller(&inner.settings.who);
        let client = TopicClient { caller, client_id: "sql".into(), host: "".into() };
        let done = Outcome::done(verb, None, self.lake.newest().await?.id);
        match statement {
            TopicStatement::Create { name, if_not_exists, partitions, settings } => {
                let config = settings.into_iter().map(|(key, value)| (key, Some(value))).collect();
                let new = NewTopic { name: name.clone(), partitions, config, ..NewTopic::default() };
                match only(topics.create(&client, vec![new], false).await) {
                    Ok(_) => Ok(done),
                    Err(failure) if if_not_exists && failure.error == TopicError::TopicExists => {
                        Ok(done.notice(format!("topic \"{name}\" already exists, skipping")))
                    }
                    Err(failure) => Err(refused(failure, &name)),
                }
            }
            TopicStatement::Partitions { name, total } => {
                let wish = MorePartitions { topic: name.clone(), total, assignments: None };
                match only(topics.add_partitions(&client, vec![wish], false).await) {
                    Ok(()) => Ok(done),
                    Err(failure) => Err(refused_on(&*topics, &client, failure, &name).await),
                }
            }
            TopicStatement::Set { name, settings } => {
                let operation = |value: Option<String>| value.map_or(ConfigOperation::Reset, ConfigOperation::Set);
                let operations = settings.into_iter().map(|(key, value)| (key, operation(value))).collect();
                let resource = ConfigResource::Topic(name.clone());
                let change = ConfigChange { resource, replace: false, operations };
                match only(topics.change_configs(&client, vec![change], false).await) {
                    Ok(()) => Ok(done),
                    Err(failure) => Err(refused_on(&*topics, &client, failure, &name).await),
                }
            }
            TopicStatement::Drop { names, if_exists } => drop_topics(&*topics, &client, &names, if_exists, done).await,
        }
    }
}

/// One after the other: those before one that is refused are gone.
async fn drop_topics(
    topics: &dyn Topics,
    client: &TopicClient,
    names: &[String],
    if_exists: bool,
    mut done: Outcome,
) -> Result<Outcome> {
    for name in names {
        match only(topics.delete(client, vec![TopicRef::named(name)]).await) {
            Ok(_) => {}
            Err(failure) => {
                let error = refused_on(topics, client, failure, name).await;
                if !if_exists || error.kind() != ErrorKind::NotFound {
                    return Err(error);
                }
                done = done.notice(format!("topic \"{name}\" does not exist, skipping"));
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{ParsedStatement, parse};

    fn statement(sql: &str) -> Option<TopicStatement> {
        match parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).pop() {
            Some(ParsedStatement::Topic(statement)) => Some(statement),
            _ => None,
        }
    }

    #[test]
    fn statements_about_topics() {
        let create = |name: &str, partitions, settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Some(TopicStatement::Create { name: name.to_owned(), if_not_exists: false, partitions, settings })
        };
        assert_eq!(statement("create /* a */ topic Clicks;"), create("clicks", None, &[]));
        assert_eq!(statement("CREATE TOPIC \"page-views\" PARTITIONS 6"), create("page-views", Some(6), &[]));
        let with = "CREATE TOPIC t WITH (\"retention.ms\" = -1, \"cleanup.policy\" = 'compact', \"unclean.leader.election.enable\" = FALSE)";
        let settings =
            [("retention.ms", "-1"), ("cleanup.policy", "compact"), ("unclean.leader.election.enable", "false")];
        assert_eq!(statement(with), create("t", None, &settings));
        let if_not_exists = statement("CREATE TOPIC IF NOT EXISTS t");
        assert!(matches!(if_not_exists, Some(TopicStatement::Create { if_not_exists: true, .. })));

        let name = "t".to_owned();
        let total = Some(TopicStatement::Partitions { name: name.clone(), total: 12 });
        assert_eq!(statement("ALTER TOPIC t PARTITIONS 12"), total);
        let set = |value: Option<&str>| {
            let settings = vec![("retention.ms".to_owned(), value.map(str::to_owned))];
            Some(TopicStatement::Set { name: name.clone(), settings })
        };
        assert_eq!(statement("ALTER TOPIC t SET (\"retention.ms\" = 5)"), set(Some("5")));
        assert_eq!(statement("ALTER TOPIC t RESET (\"retention.ms\")"), set(None));
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(statement("DROP TOPIC IF EXISTS a, b"), Some(TopicStatement::Drop { names, if_exists: true }));

        assert_eq!(statement("ALTER TOPIC t OWNER TO ann"), None);
        assert_eq!(statement("SELECT topic FROM t"), None);
        for wrong in [
            "CREATE TOPIC",
            "CREATE TOPIC a.b",
            "CREATE TOPIC t PARTITIONS",
            "CREATE TOPIC t PARTITIONS many",
            "CREATE TOPIC t WITH ()",
            "CREATE TOPIC t WITH (a)",
            "CREATE TOPIC t WITH (a = -'1')",
            "ALTER TOPIC t",
            "ALTER TOPIC t SET",
            "DROP TOPIC a b",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
