//! The grammar of deliveries.
//!
//! ```text
//! CREATE [OR REPLACE] DELIVERY [IF NOT EXISTS] name FROM TOPIC topic
//!     INTO TABLE [schema.]table | INTO HISTORY
//!         | INTO OBJECTS 'url' | INTO HTTP 'url' | INTO OPENSEARCH 'url' | INTO SPLUNK 'url' | INTO POSTGRES
//!     [WITH (option value, …)] [STARTING AT EARLIEST | LATEST] clauses
//! ALTER DELIVERY name PAUSE | RESUME | REDRIVE | DROP TRANSFORM | DROP HOLD | SET clauses
//! DROP DELIVERY [IF EXISTS] name
//!
//! clauses: [TRANSFORM AS query | TRANSFORM AS $$ query $$] [BUFFER 64 MB OR 60 SECONDS] [PARTITION BY expression, …]
//!     [ON ERROR INTO [schema.]table] [HOLD 10 GB]
//! ```

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use polder_capability::IfExists;
use polder_capability::deliveries::{
    Buffer, DeliveryStart, DeliveryTarget, HttpTarget, ObjectsTarget, OpenSearchTarget, PostgresTarget, Secrets,
    SplunkTarget, TableTarget,
};
use polder_types::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::parse;
use crate::statement::cursor::{Cursor, begins_about, solid};

/// What is said where a name is missing.
const NAME: &str = "a delivery's name";

/// Options that are secrets.
const SECRETS: &[&str] = &["access_key_id", "secret_access_key", "access_key", "password", "token"];

/// A statement about deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryStatement {
    Create(Box<CreateDelivery>),
    Pause(String),
    Resume(String),
    Redrive(String),
    DropTransform(String),
    DropHold(String),
    Set(String, Box<Clauses>),
    Drop { name: String, if_exists: bool },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateDelivery {
    pub name: String,
    pub if_exists: IfExists,
    pub topic: String,
    pub target: DeliveryTarget,
    pub secrets: Secrets,
    pub start: DeliveryStart,
    pub clauses: Clauses,
}

/// Each at most once, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clauses {
    pub transform: Option<String>,
    pub buffer: Option<HalfBuffer>,
    pub partition_by: Option<Vec<String>>,
    pub errors_into: Option<TableTarget>,
    /// Of a history.
    pub held_bytes_max: Option<u64>,
}

/// What is said of a buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HalfBuffer {
    pub bytes: Option<u64>,
    pub seconds: Option<u64>,
}

impl HalfBuffer {
    /// With what was not said as it is by default.
    pub fn whole(self) -> Buffer {
        let default = Buffer::default();
        Buffer { bytes: self.bytes.unwrap_or(default.bytes), seconds: self.seconds.unwrap_or(default.seconds) }
    }
}

/// The statement about deliveries that these tokens of `sql` are; `None` if they are another one. A table without a schema has
/// an empty one.
pub(crate) fn parse_delivery(sql: &str, tokens: &[TokenWithSpan]) -> Result<Option<DeliveryStatement>> {
    // Most statements are others.
    if !begins_about(tokens, "DELIVERY") {
        return Ok(None);
    }
    let tokens = solid(tokens);
    let mut cursor = Cursor { sql, tokens: &tokens, at: 0 };
    Ok(Some(if cursor.take(&["DROP", "DELIVERY"]) {
        let if_exists = cursor.take(&["IF", "EXISTS"]);
        DeliveryStatement::Drop { name: cursor.last_name(NAME)?, if_exists }
    } else if cursor.take(&["ALTER", "DELIVERY"]) {
        cursor.alter_delivery()?
    } else if cursor.take(&["CREATE", "OR", "REPLACE", "DELIVERY"]) {
        cursor.create_delivery(IfExists::Replace)?
    } else if cursor.take(&["CREATE", "DELIVERY"]) {
        let if_exists = if cursor.take(&["IF", "NOT", "EXISTS"]) { IfExists::Keep } else { IfExists::Refuse };
        cursor.create_delivery(if_exists)?
    } else {
        return Ok(None);
    }))
}

impl Cursor<'_> {
    fn alter_delivery(&mut self) -> Result<DeliveryStatement> {
        let name = self.name(NAME)?;
        if self.take(&["SET"]) {
            let clauses = self.clauses()?;
            if clauses == Clauses::default() {
                return Err(self.expected("TRANSFORM AS, BUFFER, PARTITION BY, ON ERROR INTO or HOLD"));
            }
            return Ok(DeliveryStatement::Set(name, Box::new(clauses)));
        }
        let statement = if self.take(&["PAUSE"]) {
            DeliveryStatement::Pause(name)
        } else if self.take(&["RESUME"]) {
            DeliveryStatement::Resume(name)
        } else if self.take(&["REDRIVE"]) {
            DeliveryStatement::Redrive(name)
        } else if self.take(&["DROP", "TRANSFORM"]) {
            DeliveryStatement::DropTransform(name)
        } else if self.take(&["DROP", "HOLD"]) {
            DeliveryStatement::DropHold(name)
        } else {
            return Err(self
                .expected("PAUSE, RESUME, REDRIVE, DROP TRANSFORM, DROP HOLD or SET")
                .with_hint("CREATE OR REPLACE DELIVERY changes everything else"));
        };
        self.end()?;
        Ok(statement)
    }

    fn create_delivery(&mut self, if_exists: IfExists) -> Result<DeliveryStatement> {
        let name = self.name(NAME)?;
        if !self.take(&["FROM", "TOPIC"]) {
            return Err(self.expected("FROM TOPIC"));
        }
        let topic = self.topic()?;
        if !self.take(&["INTO"]) {
            return Err(self.expected("INTO"));
        }
        let (target, secrets) = self.target(&topic)?;
        let start = if self.take(&["STARTING", "AT", "LATEST"]) {
            DeliveryStart::Latest
        } else {
            self.take(&["STARTING", "AT", "EARLIEST"]);
            DeliveryStart::Earliest
        };
        let clauses = self.clauses()?;
        let create = CreateDelivery { name, if_exists, topic, target, secrets, start, clauses };
        Ok(DeliveryStatement::Create(Box::new(create)))
    }

    /// A topic, with or without the schema that topics are in.
    fn topic(&mut self) -> Result<String> {
        let name = self.name("a topic's name")?;
        if name == crate::topics::SCHEMA && self.take_token(&Token::Period) {
            return self.name("a topic's name");
        }
        Ok(name)
    }

    fn table(&mut self) -> Result<TableTarget> {
        let name = self.name("a table's name")?;
        if self.take_token(&Token::Period) {
            return Ok(TableTarget { schema: name, name: self.name("a table's name")? });
        }
        Ok(TableTarget { schema: String::new(), name })
    }

    fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|next| next.token == *token);
        if found {
            self.at += 1;
        }
        found
    }

    fn target(&mut self, topic: &str) -> Result<(DeliveryTarget, Secrets)> {
        if self.take(&["TABLE"]) {
            return Ok((DeliveryTarget::Table(self.table()?), Secrets::default()));
        }
        if self.take(&["HISTORY"]) {
            return Ok((DeliveryTarget::history_of(topic), Secrets::default()));
        }
        let at = self.at;
        for kind in ["OBJECTS", "HTTP", "OPENSEARCH", "SPLUNK", "POSTGRES"] {
            if self.take(&[kind]) {
                let mut options = Map::new();
                if kind != "POSTGRES" {
                    options.insert("url".to_owned(), Value::String(self.text("a URL in quotes")?));
                }
                let secrets = self.with_options(&mut options)?;
                let target = match kind {
                    "OBJECTS" => DeliveryTarget::Objects(target::<ObjectsTarget>(kind, options)?),
                    "HTTP" => DeliveryTarget::Http(target::<HttpTarget>(kind, options)?),
                    "OPENSEARCH" => DeliveryTarget::OpenSearch(target::<OpenSearchTarget>(kind, options)?),
                    "SPLUNK" => DeliveryTarget::Splunk(target::<SplunkTarget>(kind, options)?),
                    _ => {
                        options.entry("port").or_insert_with(|| Value::from(5432));
                        options.entry("schema").or_insert_with(|| Value::from("public"));
                        DeliveryTarget::Postgres(target::<PostgresTarget>(kind, options)?)
                    }
                };
                return Ok((target, secrets));
            }
        }
        self.at = at;
        Err(self.expected("TABLE, HISTORY, OBJECTS, HTTP, OPENSEARCH, SPLUNK or POSTGRES"))
    }

    /// `[WITH (name value, …)]`
    fn with_options(&mut self, options: &mut Map<String, Value>) -> Result<Secrets> {
        let mut secrets = BTreeMap::new();
        if !self.take(&["WITH"]) {
            return Ok(Secrets(secrets));
        }
        if !self.take_token(&Token::LParen) {
            return Err(self.expected("an opening bracket"));
        }
        loop {
            let at = self.at;
            let name = self.name("an option's name")?;
            // As in CREATE TABLE … WITH.
            self.take_token(&Token::Eq);
            let second = if SECRETS.contains(&name.as_str()) {
                secrets.insert(name, self.text("a text in quotes")?).is_some()
            } else {
                options.insert(name.clone(), self.value(&name)?).is_some()
            };
            if second {
                self.at = at;
                return Err(self.expected("each option once"));
            }
            if self.take_token(&Token::RParen) {
                return Ok(Secrets(secrets));
            }
            if !self.take_token(&Token::Comma) {
                return Err(self.expected("a comma or a closing bracket"));
            }
        }
    }

    fn value(&mut self, option: &str) -> Result<Value> {
        if self.take(&["TRUE"]) {
            return Ok(Value::Bool(true));
        }
        if self.take(&["FALSE"]) {
            return Ok(Value::Bool(false));
        }
        if let Some(Token::Number(text, _)) = self.peek().map(|token| &token.token)
            && let Ok(number) = text.parse::<u64>()
        {
            self.at += 1;
            return Ok(Value::from(number));
        }
        let wrong = self.expected("a text in quotes, a number, TRUE or FALSE");
        let text = self.text("a text in quotes, a number, TRUE or FALSE")?;
        match option {
            "attributes" => serde_json::from_str(&text).map_err(|error| {
                Error::invalid(format!("attributes are an object of JSON: {error}"))
                    .with_code("22P02")
                    .with_source(error)
            }),
            "key" => Ok(Value::from(text.split(',').map(str::trim).collect::<Vec<_>>())),
            _ if text.len() > 4096 => Err(wrong),
            _ => Ok(Value::String(text)),
        }
    }

    fn clauses(&mut self) -> Result<Clauses> {
        let mut clauses = Clauses::default();
        while self.peek().is_some() {
            let at = self.at;
            let is_second = if self.take(&["TRANSFORM", "AS"]) {
                clauses.transform.replace(self.transform()?).is_some()
            } else if self.take(&["BUFFER"]) {
                clauses.buffer.replace(self.buffer()?).is_some()
            } else if self.take(&["PARTITION", "BY"]) {
                clauses.partition_by.replace(self.expressions()?).is_some()
            } else if self.take(&["ON", "ERROR", "INTO"]) {
                clauses.errors_into.replace(self.table()?).is_some()
            } else if self.take(&["HOLD"]) {
                clauses.held_bytes_max.replace(self.size()?).is_some()
            } else {
                return Err(self.expected("TRANSFORM AS, BUFFER, PARTITION BY, ON ERROR INTO or HOLD"));
            };
            if is_second {
                self.at = at;
                return Err(self.expected("each clause once"));
            }
        }
        Ok(clauses)
    }

    /// Whether a clause begins here.
    fn is_clause(&self) -> bool {
        let word = |ahead: usize| match self.tokens.get(self.at + ahead).map(|token| &token.token) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => value.to_ascii_uppercase(),
            Some(Token::Number(..)) => "0".to_owned(),
            _ => String::new(),
        };
        match word(0).as_str() {
            "BUFFER" | "HOLD" => word(1) == "0",
            "PARTITION" => word(1) == "BY",
            "ON" => word(1) == "ERROR" && word(2) == "INTO",
            "TRANSFORM" => word(1) == "AS",
            _ => false,
        }
    }

    /// To the next clause, outside of brackets.
    fn to_clause(&mut self) -> &str {
        let (from, mut depth) = (self.at, 0_u32);
        while let Some(next) = self.peek() {
            match next.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ if depth == 0 && self.is_clause() => break,
                _ => {}
            }
            self.at += 1;
        }
        self.written(from, self.at).unwrap_or_default()
    }

    fn transform(&mut self) -> Result<String> {
        let first = self.peek().ok_or_else(|| self.expected("a query"))?;
        let start = first.span.start;
        let text = match &first.token {
            Token::DollarQuotedString(quoted) => {
                self.at += 1;
                quoted.value.trim().to_owned()
            }
            _ => self.to_clause().to_owned(),
        };
        match parse::parse(&text) {
            Ok(statements) if statements.len() == 1 => Ok(text),
            Ok(_) => Err(Error::invalid("a transform is one query").with_code("42601").at(start.line, start.column)),
            // The place within the text says nothing about the whole.
            Err(error) => Err(crate::error::copy(&error).context("the transform").at(start.line, start.column)),
        }
    }

    /// `10 GB`
    fn size(&mut self) -> Result<u64> {
        let wrong = self.expected("a size such as 10 GB");
        match self.buffer()? {
            HalfBuffer { bytes: Some(bytes), seconds: None } => Ok(bytes),
            _ => Err(wrong),
        }
    }

    /// `64 MB`, `60 SECONDS`, or both with OR between them.
    fn buffer(&mut self) -> Result<HalfBuffer> {
        let mut buffer = HalfBuffer::default();
        loop {
            let wrong = self.expected("a size such as 64 MB, or a time such as 60 SECONDS");
            let Some(Token::Number(text, _)) = self.peek().map(|token| &token.token) else { return Err(wrong) };
            let Ok(number) = text.parse::<u64>() else { return Err(wrong) };
            self.at += 1;
            let size = |unit: u64| number.checked_mul(unit);
            let units: [(&[&str], Option<u64>); 4] = [
                (&["B", "BYTES"], size(1)),
                (&["KB"], size(1 << 10)),
                (&["MB"], size(1 << 20)),
                (&["GB"], size(1 << 30)),
            ];
            let found = units.iter().find(|(words, _)| words.iter().any(|word| self.take(&[word])));
            let second = if let Some((_, bytes)) = found {
                buffer.bytes.replace(bytes.unwrap_or(u64::MAX)).is_some()
            } else if self.take(&["SECONDS"]) || self.take(&["SECOND"]) {
                buffer.seconds.replace(number).is_some()
            } else if self.take(&["MINUTES"]) || self.take(&["MINUTE"]) {
                buffer.seconds.replace(number.saturating_mul(60)).is_some()
            } else {
                return Err(self.expected("KB, MB, GB, SECONDS or MINUTES"));
            };
            if second {
                return Err(wrong);
            }
            if !self.take(&["OR"]) {
                return Ok(buffer);
            }
        }
    }

    /// Expressions between commas, as they are written.
    fn expressions(&mut self) -> Result<Vec<String>> {
        let begin = self.at;
        let end = {
            self.to_clause();
            self.at
        };
        let (mut all, mut from, mut depth) = (Vec::new(), begin, 0_u32);
        for at in begin..end {
            match self.tokens.get(at).map(|token| &token.token) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                Some(Token::Comma) if depth == 0 => {
                    all.push(self.written(from, at)?.to_owned());
                    from = at + 1;
                }
                _ => {}
            }
        }
        all.push(self.written(from, end)?.to_owned());
        if all.iter().any(String::is_empty) {
            self.at = from;
            return Err(self.expected("an expression to partition by"));
        }
        // So that nothing else can stand there.
        for expression in &all {
            parse::parse_condition(expression)?;
        }
        Ok(all)
    }
}

fn target<T: DeserializeOwned>(kind: &str, options: Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(options)).map_err(|error| {
        Error::invalid(format!("INTO {kind}: {error}"))
            .with_code("42601")
            .with_hint("docs/deliveries.md lists the options of each target")
            .with_source(error)
    })
}

#[cfg(test)]
mod tests;
