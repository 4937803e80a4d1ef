//! Settings of the protocol, which the engine knows nothing of: how values look on the wire, who is connected, and how
//! long things may take. All others are the engine's.

use std::time::Duration;

use polder_capability::millis;
use polder_types::{Error, Result};

/// What clients are told that they talk to.
pub(crate) const VERSION: &str = polder_capability::POSTGRES_VERSION;
const VERSION_NUMBER: &str = "150014";

const NAME_CHARS_MAX: usize = 63;

/// A transaction that nobody goes on with holds its snapshot's files.
pub(crate) const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(3_600);

/// What a remark must be for the client to hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Notice,
    Warning,
    Error,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub polder_version: &'static str,
    pub application_name: String,
    pub idle_in_transaction: Option<Duration>,
    pub level: Level,
    level_name: &'static str,
    extra_float_digits: String,
    /// Whether transactions may wait for a snapshot that is safe to read. Each has one at once: it is shown, and that is all.
    deferrable: bool,
    /// Those of the start, which RESET goes back to.
    initial: Option<Box<Settings>>,
}

impl Settings {
    pub(crate) fn new(polder_version: &'static str) -> Self {
        Self {
            polder_version,
            application_name: String::new(),
            idle_in_transaction: None,
            level: Level::Notice,
            level_name: "notice",
            extra_float_digits: "1".into(),
            deferrable: false,
            initial: None,
        }
    }

    /// From here on RESET comes back to what is set now.
    pub(crate) fn begin(&mut self) {
        self.initial = Some(Box::new(self.clone()));
    }

    /// Sets one of them; `None` if it is none.
    pub(crate) fn set(&mut self, name: &str, values: &[String]) -> Option<Result<()>> {
        let first = values.first().map(String::as_str).unwrap_or_default();
        if first == "default" && values.len() == 1 && self.show(name).is_some() {
            return Some(self.reset(name).map_or_else(|| Err(fixed(name)), Ok));
        }
        let lower = first.to_ascii_lowercase();
        Some(match name {
            "application_name" => {
                self.application_name = first.chars().filter(char::is_ascii).take(NAME_CHARS_MAX).collect();
                Ok(())
            }
            // Some drivers put it in quotes even in the start-up message.
            "client_encoding" => only(name, &["utf8", "utf-8", "unicode"], lower.trim_matches('\'')),
            "datestyle" => date_style(values),
            "intervalstyle" => only(name, &["postgres"], &lower),
            "bytea_output" => only(name, &["hex"], &lower),
            "standard_conforming_strings" => only(name, &["on", "true", "yes", "1"], &lower),
            "password_encryption" => only(name, &["scram-sha-256"], &lower),
            "extra_float_digits" => {
                let fits = only(name, &["1", "2", "3"], first);
                if fits.is_ok() {
                    first.clone_into(&mut self.extra_float_digits);
                }
                fits
            }
            "idle_in_transaction_session_timeout" => {
                duration(name, first).map(|timeout| self.idle_in_transaction = timeout)
            }
            "client_min_messages" => level(&lower).map(|(name, level)| (self.level_name, self.level) = (name, level)),
            "default_transaction_isolation" | "transaction_isolation" => {
                only(name, &["read committed", "repeatable read", "read uncommitted", "snapshot"], &lower)
            }
            "default_transaction_deferrable" => {
                let on = ["on", "true", "yes", "1"];
                only(name, SWITCHES, &lower).map(|()| self.deferrable = on.contains(&lower.as_str()))
            }
            // What a dump sets before it is read in or written: there is one way here, whatever they say.
            "check_function_bodies" | "synchronize_seqscans" => only(name, SWITCHES, &lower),
            "xmloption" => only(name, &["content", "document"], &lower),
            "default_tablespace" => only(name, &[""], first),
            "default_table_access_method" => only(name, &["heap"], &lower),
            _ if self.show(name).is_some() => Err(fixed(name)),
            _ => return None,
        })
    }

    /// Puts one of them back; `None` if it is none that can be set.
    pub(crate) fn reset(&mut self, name: &str) -> Option<()> {
        let unset = || Box::new(Self::new(self.polder_version));
        let initial = self.initial.clone().unwrap_or_else(unset);
        match name {
            "application_name" => self.application_name.clone_from(&initial.application_name),
            "extra_float_digits" => self.extra_float_digits.clone_from(&initial.extra_float_digits),
            "idle_in_transaction_session_timeout" => self.idle_in_transaction = initial.idle_in_transaction,
            "default_transaction_deferrable" => self.deferrable = initial.deferrable,
            "client_min_messages" => (self.level_name, self.level) = (initial.level_name, initial.level),
            "client_encoding"
            | "datestyle"
            | "intervalstyle"
            | "bytea_output"
            | "standard_conforming_strings"
            | "password_encryption"
            | "default_transaction_isolation"
            | "check_function_bodies"
            | "synchronize_seqscans"
            | "xmloption"
            | "default_tablespace"
            | "default_table_access_method" => {}
            _ => return None,
        }
        Some(())
    }

    /// Puts all of them back.
    pub(crate) fn reset_all(&mut self) {
        if let Some(initial) = self.initial.clone() {
            *self = Self { initial: Some(initial.clone()), ..*initial };
        }
    }

    /// The value of one of them; `None` if it is none.
    pub(crate) fn show(&self, name: &str) -> Option<String> {
        let millis = |duration: Option<Duration>| match duration {
            None => "0".to_owned(),
            Some(duration) if duration.as_millis() % 1_000 == 0 => format!("{}s", duration.as_secs()),
            Some(duration) => format!("{}ms", duration.as_millis()),
        };
        Some(match name {
            "application_name" => self.application_name.clone(),
            "client_encoding" | "server_encoding" => "UTF8".into(),
            "datestyle" => "ISO, MDY".into(),
            "intervalstyle" => "postgres".into(),
            "bytea_output" => "hex".into(),
            "standard_conforming_strings" | "integer_datetimes" => "on".into(),
            "extra_float_digits" => self.extra_float_digits.clone(),
            "idle_in_transaction_session_timeout" => millis(self.idle_in_transaction),
            "client_min_messages" => self.level_name.into(),
            // What PostgreSQL calls so is what is here: the snapshot that the transaction began with.
            "default_transaction_isolation" | "transaction_isolation" => "repeatable read".into(),
            "in_hot_standby" => "off".into(),
            "default_transaction_deferrable" | "transaction_deferrable" => match self.deferrable {
                true => "on".into(),
                false => "off".into(),
            },
            "check_function_bodies" => "on".into(),
            "synchronize_seqscans" => "off".into(),
            "xmloption" => "content".into(),
            "default_tablespace" => String::new(),
            "default_table_access_method" => "heap".into(),
            "server_version" => format!("{VERSION} (Polder {})", self.polder_version),
            "server_version_num" => VERSION_NUMBER.into(),
            "max_identifier_length" => polder_types::limits::NAME_BYTES_MAX.to_string(),
            "max_index_keys" => "32".into(),
            "lc_collate" | "lc_ctype" => "C".into(),
            // How psql's \password makes a verifier.
            "password_encryption" => "scram-sha-256".into(),
            _ => return None,
        })
    }

    /// A setting's name as SHOW has it above its value.
    pub(crate) fn shown_name(name: &str) -> &str {
        let reported = Self::REPORTED.iter().find(|(_, own)| *own == name).map(|(shown, _)| *shown);
        reported.unwrap_or(if name == "timezone" { "TimeZone" } else { name })
    }

    /// A query for what SHOW ALL shows: these settings, and those of the engine.
    pub(crate) fn all_query(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let names: Vec<String> = DESCRIBED.iter().map(|(name, _)| quoted(name)).collect();
        let row = |(name, description): &(&str, &str)| {
            let value = self.show(name).unwrap_or_default();
            format!("({}, {}, {})", quoted(Self::shown_name(name)), quoted(&value), quoted(description))
        };
        let rows: Vec<String> = DESCRIBED.iter().map(row).collect();
        format!(
            "SELECT name, setting, description FROM (SELECT name, current_setting(name), short_desc FROM pg_catalog.pg_settings \
             WHERE lower(name) NOT IN ({}) UNION ALL VALUES {}) AS shown (name, setting, description) ORDER BY lower(name)",
            names.join(", "),
            rows.join(", ")
        )
    }

    /// The columns of [`Settings::all_query`].
    pub(crate) const ALL_COLUMNS: [&str; 3] = ["name", "setting", "description"];

    /// What a client is told when it has logged in, and whenever it changes.
    pub(crate) const REPORTED: &[(&str, &str)] = &[
        ("server_version", "server_version"),
        ("password_encryption", "Chooses the algorithm for encrypting passwords."),
        ("server_encoding", "server_encoding"),
        ("client_encoding", "client_encoding"),
        ("application_name", "application_name"),
        ("in_hot_standby", "in_hot_standby"),
        ("DateStyle", "datestyle"),
        ("IntervalStyle", "intervalstyle"),
        ("integer_datetimes", "integer_datetimes"),
        ("standard_conforming_strings", "standard_conforming_strings"),
    ];
}

/// What SHOW ALL says of each, in PostgreSQL's words where it has some.
const DESCRIBED: &[(&str, &str)] = &[
    ("application_name", "Sets the application name to be reported in statistics and logs."),
    ("bytea_output", "Sets the output format for bytea."),
    ("check_function_bodies", "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE."),
    ("client_encoding", "Sets the client's character set encoding."),
    ("client_min_messages", "Sets the message levels that are sent to the client."),
    ("datestyle", "Sets the display format for date and time values."),
    ("default_table_access_method", "Sets the default table access method for new tables."),
    ("default_tablespace", "Sets the default tablespace to create tables and indexes in."),
    ("default_transaction_deferrable", "Sets the default deferrable status of new transactions."),
    ("default_transaction_isolation", "Sets the transaction isolation level of each new transaction."),
    ("extra_float_digits", "Sets the number of digits displayed for floating-point values."),
    (
        "idle_in_transaction_session_timeout",
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    ("in_hot_standby", "Shows whether hot standby is currently active."),
    ("integer_datetimes", "Shows whether datetimes are integer based."),
    ("intervalstyle", "Sets the display format for interval values."),
    ("lc_collate", "Shows the collation order locale."),
    ("lc_ctype", "Shows the character classification and case conversion locale."),
    ("max_identifier_length", "Shows the maximum identifier length."),
    ("max_index_keys", "Shows the maximum number of index keys."),
    ("server_encoding", "Shows the server (database) character set encoding."),
    ("server_version", "Shows the server version."),
    ("server_version_num", "Shows the server version as an integer."),
    ("standard_conforming_strings", "Causes '...' strings to treat backslashes literally."),
    ("synchronize_seqscans", "Enable synchronized sequential scans."),
    (
        "transaction_deferrable",
        "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.",
    ),
    ("transaction_isolation", "Sets the current transaction's isolation level."),
    (
        "xmloption",
        "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments.",
    ),
];

const SWITCHES: &[&str] = &["on", "true", "yes", "1", "off", "false", "no", "0"];

fn fixed(name: &str) -> Error {
    Error::invalid(format!("parameter \"{name}\" cannot be changed")).with_code("55P02")
}

fn only(name: &str, known: &[&str], value: &str) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid value for parameter \"{name}\": \"{value}\""))
        .with_code("22023")
        .with_hint(format!("it can be {}", known.join(", "))))
}

/// `ISO`, `ISO, MDY`: the order of day and month is of no importance for what is written so.
fn date_style(values: &[String]) -> Result<()> {
    let words = values.iter().flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase());
    for word in words {
        only("datestyle", &["iso", "mdy"], &word)?;
    }
    Ok(())
}

/// `0` for none, a number of milliseconds, or one with a unit.
fn duration(name: &str, value: &str) -> Result<Option<Duration>> {
    Ok(millis(name, value)?.map(Duration::from_millis))
}

/// The levels of messages, from the least. Below notices this server has nothing to say.
const LEVELS: &[&str] =
    &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "info", "notice", "warning", "error"];

fn level(name: &str) -> Result<(&'static str, Level)> {
    let name = if name == "debug" { "debug2" } else { name };
    only("client_min_messages", LEVELS, name)?;
    let known = LEVELS.iter().find(|known| **known == name).copied().unwrap_or("notice");
    let level = match known {
        "warning" => Level::Warning,
        "error" => Level::Error,
        _ => Level::Notice,
    };
    Ok((known, level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str) -> Option<Result<()>> {
        settings.set(name, &[value.to_owned()])
    }

    #[test]
    fn settings_are_set_shown_and_reset() {
        let mut settings = Settings::new("0.1.0");
        set(&mut settings, "application_name", "first").unwrap().unwrap();
        settings.begin();
        set(&mut settings, "application_name", "second").unwrap().unwrap();
        set(&mut settings, "idle_in_transaction_session_timeout", "5s").unwrap().unwrap();
        assert_eq!(settings.show("idle_in_transaction_session_timeout").as_deref(), Some("5s"));
        set(&mut settings, "client_min_messages", "DEBUG").unwrap().unwrap();
        assert_eq!((settings.level, settings.show("client_min_messages").as_deref()), (Level::Notice, Some("debug2")));
        set(&mut settings, "client_min_messages", "warning").unwrap().unwrap();
        assert_eq!(settings.level, Level::Warning);
        settings.reset_all();
        assert_eq!(settings.show("client_min_messages").as_deref(), Some("notice"));
        assert_eq!(settings.show("application_name").as_deref(), Some("first"));
        assert_eq!(settings.idle_in_transaction, None);
        assert_eq!(settings.show("server_version").as_deref(), Some("15.14 (Polder 0.1.0)"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_what_is_not_ours_left() {
        let mut settings = Settings::new("0.1.0");
        for (name, value) in [
            ("client_encoding", "LATIN1"),
            ("datestyle", "German"),
            ("extra_float_digits", "0"),
            ("client_min_messages", "fatal"),
            ("idle_in_transaction_session_timeout", "soon"),
            ("server_version", "16"),
        ] {
            assert!(set(&mut settings, name, value).unwrap().is_err(), "{name}");
        }
        assert!(set(&mut settings, "search_path", "a").is_none());
        assert!(set(&mut settings, "statement_timeout", "5s").is_none());
        assert!(set(&mut settings, "datestyle", "ISO, MDY").unwrap().is_ok());
        for (name, _) in DESCRIBED {
            assert!(settings.show(name).is_some(), "{name}");
        }
        assert!(settings.all_query().contains("('IntervalStyle', 'postgres', "));
    }
}
