//! The grammar of jobs.
//!
//! ```text
//! CREATE [OR REPLACE] JOB [IF NOT EXISTS] name
//!     [SCHEDULE 'cron'] [IN TIME ZONE 'zone'] [AFTER job]
//!     [RETRY n] [BACKOFF 'time'] [TIMEOUT 'time'] [CATCH UP NONE | ONE | ALL]
//!     AS statement | AS $$ statement; … $$
//! ALTER JOB name {PAUSE | RESUME | OWNER TO role}
//! DROP JOB [IF EXISTS] name
//! RUN JOB name
//! ```

use arrow::compute::kernels::cast_utils::{IntervalParseConfig, IntervalUnit, parse_interval_month_day_nano_config};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use polder_capability::{CatchUp, IfExists};
use polder_types::{Error, Result};

use crate::parse;
use crate::statement::cursor::{Cursor, solid};

/// What is said where a name is missing.
const NAME: &str = "a job's name";

/// A statement about jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobStatement {
    Create(Box<CreateJob>),
    Pause(String),
    Resume(String),
    Owner { name: String, to: JobOwner },
    Drop { name: String, if_exists: bool },
    Run(String),
}

/// Whose a job is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobOwner {
    /// The role with whose rights the session runs.
    Current,
    /// The user who has logged in.
    Session,
    Role(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateJob {
    pub name: String,
    pub if_exists: IfExists,
    pub options: JobOptions,
    /// The statement as it was written.
    pub sql: String,
}

/// Each at most once, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JobOptions {
    pub schedule: Option<String>,
    pub time_zone: Option<String>,
    pub after: Option<String>,
    pub retries: Option<u32>,
    pub backoff_seconds: Option<u64>,
    pub timeout_seconds: Option<u64>,
    pub catch_up: Option<CatchUp>,
}

/// The statement about jobs that these tokens of `sql` are; `None` if they are another one.
pub(crate) fn parse_job(sql: &str, tokens: &[TokenWithSpan]) -> Result<Option<JobStatement>> {
    let tokens = solid(tokens);
    let mut cursor = Cursor { sql, tokens: &tokens, at: 0 };
    Ok(Some(if cursor.take(&["RUN", "JOB"]) {
        JobStatement::Run(cursor.last_name(NAME)?)
    } else if cursor.take(&["DROP", "JOB"]) {
        let if_exists = cursor.take(&["IF", "EXISTS"]);
        JobStatement::Drop { name: cursor.last_name(NAME)?, if_exists }
    } else if cursor.take(&["ALTER", "JOB"]) {
        let name = cursor.name(NAME)?;
        let statement = if cursor.take(&["PAUSE"]) {
            JobStatement::Pause(name)
        } else if cursor.take(&["RESUME"]) {
            JobStatement::Resume(name)
        } else if cursor.take(&["OWNER", "TO"]) {
            JobStatement::Owner { name, to: cursor.job_owner()? }
        } else {
            return Err(cursor
                .expected("PAUSE, RESUME or OWNER TO")
                .with_hint("CREATE OR REPLACE JOB changes everything else"));
        };
        cursor.end()?;
        statement
    } else if cursor.take(&["CREATE", "OR", "REPLACE", "JOB"]) {
        cursor.create(IfExists::Replace)?
    } else if cursor.take(&["CREATE", "JOB"]) {
        let if_exists = if cursor.take(&["IF", "NOT", "EXISTS"]) { IfExists::Keep } else { IfExists::Refuse };
        cursor.create(if_exists)?
    } else {
        return Ok(None);
    }))
}

impl Cursor<'_> {
    fn job_owner(&mut self) -> Result<JobOwner> {
        if self.take(&["CURRENT_USER"]) || self.take(&["CURRENT_ROLE"]) {
            return Ok(JobOwner::Current);
        }
        if self.take(&["SESSION_USER"]) {
            return Ok(JobOwner::Session);
        }
        self.name("a role's name").map(JobOwner::Role)
    }

    fn number(&mut self) -> Result<u32> {
        if let Some(Token::Number(text, _)) = self.peek().map(|token| &token.token)
            && let Ok(number) = text.parse()
        {
            self.at += 1;
            return Ok(number);
        }
        Err(self.expected("a number of further attempts"))
    }

    /// A length of time, in seconds.
    fn seconds(&mut self) -> Result<u64> {
        let wrong = self.expected("a length of time such as '90 s' or '1 hour 30 minutes'");
        let text = self.text("a length of time such as '90 s' or '1 hour 30 minutes'")?;
        let config = IntervalParseConfig::new(IntervalUnit::Second);
        let Ok(interval) = parse_interval_month_day_nano_config(&text, config) else { return Err(wrong) };
        let seconds = i64::from(interval.days) * 86_400 + interval.nanoseconds / 1_000_000_000;
        match u64::try_from(seconds) {
            Ok(seconds) if interval.months == 0 => Ok(seconds),
            _ => Err(wrong),
        }
    }

    fn catch_up(&mut self) -> Result<CatchUp> {
        for (word, catch_up) in [("NONE", CatchUp::None), ("ONE", CatchUp::One), ("ALL", CatchUp::All)] {
            if self.take(&[word]) {
                return Ok(catch_up);
            }
        }
        Err(self.expected("NONE, ONE or ALL"))
    }

    fn create(&mut self, if_exists: IfExists) -> Result<JobStatement> {
        let name = self.name(NAME)?;
        let options = self.options()?;
        let sql = self.body()?;
        Ok(JobStatement::Create(Box::new(CreateJob { name, if_exists, options, sql })))
    }

    fn options(&mut self) -> Result<JobOptions> {
        let mut options = JobOptions::default();
        loop {
            let start = self.at;
            let is_second = if self.take(&["SCHEDULE"]) {
                options.schedule.replace(self.text("a cron expression such as '30 2 * * *'")?).is_some()
            } else if self.take(&["IN", "TIME", "ZONE"]) {
                options.time_zone.replace(self.text("a time zone such as 'Europe/Amsterdam'")?).is_some()
            } else if self.take(&["AFTER"]) {
                options.after.replace(self.name(NAME)?).is_some()
            } else if self.take(&["RETRY"]) {
                options.retries.replace(self.number()?).is_some()
            } else if self.take(&["BACKOFF"]) {
                options.backoff_seconds.replace(self.seconds()?).is_some()
            } else if self.take(&["TIMEOUT"]) {
                options.timeout_seconds.replace(self.seconds()?).is_some()
            } else if self.take(&["CATCH", "UP"]) {
                options.catch_up.replace(self.catch_up()?).is_some()
            } else if self.take(&["AS"]) {
                return self.check(options);
            } else {
                return Err(self.expected("SCHEDULE, IN TIME ZONE, AFTER, RETRY, BACKOFF, TIMEOUT, CATCH UP or AS"));
            };
            if is_second {
                self.at = start;
                return Err(self.expected("each option once"));
            }
        }
    }

    /// Refuses options that would be of no use.
    fn check(&self, options: JobOptions) -> Result<JobOptions> {
        let useless = if options.schedule.is_none() && options.time_zone.is_some() {
            "IN TIME ZONE belongs to a SCHEDULE"
        } else if options.schedule.is_none() && options.after.is_none() && options.catch_up.is_some() {
            "CATCH UP belongs to a SCHEDULE or to AFTER"
        } else if options.retries.unwrap_or(0) == 0 && options.backoff_seconds.is_some() {
            "BACKOFF belongs to RETRY"
        } else {
            return Ok(options);
        };
        Err(Error::invalid(useless).with_code("42601"))
    }

    /// The statement after AS: the rest as it was written, or what stands between dollar signs.
    fn body(&mut self) -> Result<String> {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let Some(first) = rest.first() else { return Err(self.expected("a statement")) };
        if let (Token::DollarQuotedString(quoted), 1) = (&first.token, rest.len()) {
            return match parse::parse(&quoted.value) {
                Ok(statements) if statements.is_empty() => Err(self.expected("a statement")),
                Ok(_) => Ok(quoted.value.trim().to_owned()),
                // The place within the text says nothing about the whole.
                Err(error) => Err(crate::error::copy(&error)
                    .context("the job's statements")
                    .at(first.span.start.line, first.span.start.column)),
            };
        }
        parse::parse_one(self.sql, rest.iter().map(|token| (*token).clone()).collect())?;
        self.written(self.at, self.tokens.len()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
