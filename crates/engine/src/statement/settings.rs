//! What SET and RESET do to a session's settings.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    ContextModifier, Expr, Interval, ObjectName, Set, TransactionAccessMode, TransactionIsolationLevel,
    TransactionMode, Value,
};
use polder_lake::Version;
use polder_types::{Error, ErrorKind, Result};

use super::names::{fold, parts};
use crate::error::from_datafusion;
use crate::functions::input;
use crate::semantics::Zone;
use crate::session::Settings;
use crate::{foreign_settings, limits};

fn text_of(expr: &Expr) -> String {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(ident) => fold(ident),
        other => other.to_string(),
    }
}

/// Whether it holds until the end of the transaction only.
pub(super) fn is_local(set: &Set) -> bool {
    match set {
        Set::SingleAssignment { scope, .. } => *scope == Some(ContextModifier::Local),
        Set::SetTimeZone { local, .. } => *local,
        _ => false,
    }
}

/// The name of what a SET sets by its name.
pub(super) fn named(set: &Set) -> Option<String> {
    match set {
        Set::SingleAssignment { variable, .. } => Some(parts(variable).ok()?.join(".")),
        _ => None,
    }
}

pub(super) fn serializable() -> Error {
    Error::unsupported("SERIALIZABLE is not there: a transaction reads one snapshot, and the first to commit wins")
        .with_hint("leave the level out")
}

/// What a SET says of the open transaction only: whether it changes nothing. `None` for all others.
pub(super) fn of_this_transaction(set: &Set) -> Result<Option<bool>> {
    match set {
        Set::SingleAssignment { variable, values, .. } if parts(variable)? == ["transaction_read_only"] => {
            let value = values.first().map(text_of).unwrap_or_default();
            switch("transaction_read_only", &value).map(Some)
        }
        Set::SetTransaction { session: false, modes, snapshot: None } => {
            let mut read_only = None;
            for mode in modes {
                match mode {
                    TransactionMode::AccessMode(mode) => read_only = Some(*mode == TransactionAccessMode::ReadOnly),
                    TransactionMode::IsolationLevel(TransactionIsolationLevel::Serializable) => {
                        return Err(serializable());
                    }
                    _ => {}
                }
            }
            Ok(read_only)
        }
        _ => Ok(None),
    }
}

pub(super) fn apply(settings: &mut Settings, set: &Set) -> Result<()> {
    match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            if *scope == Some(ContextModifier::Global) {
                return Err(Error::unsupported("SET GLOBAL is not supported").with_hint("SET, in each session"));
            }
            let name = parts(variable)?.join(".");
            let values: Vec<String> = values.iter().map(text_of).collect();
            assign(settings, &name, &values)
        }
        // PostgreSQL's clients have their characteristics set by its server, as far as they can be.
        Set::SetTransaction { session: true, modes, snapshot: None } => {
            for mode in modes {
                match mode {
                    TransactionMode::AccessMode(mode) => {
                        settings.read_only = *mode == TransactionAccessMode::ReadOnly;
                    }
                    TransactionMode::IsolationLevel(TransactionIsolationLevel::Serializable) => {
                        return Err(serializable());
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        Set::SetTransaction { .. } => {
            Err(Error::unsupported("SET TRANSACTION SNAPSHOT is not supported").with_hint("SET snapshot = 12"))
        }
        Set::SetTimeZone { value: Expr::Interval(interval), .. } => {
            settings.time_zone = Some(interval_east(interval)?);
            Ok(())
        }
        Set::SetTimeZone { value, .. } => assign(settings, "timezone", &[text_of(value)]),
        other => Err(Error::unsupported(format!("{other} is not supported"))),
    }
}

/// The settings that there are.
const NAMES: &str = "search_path, snapshot, timezone, row_security, default_transaction_read_only, max_bytes_scanned, \
                     max_bytes_scanned_per_day, statement_memory, statement_timeout";

const ZONE_NAMES: &[&str] = &["timezone", "time.zone", "time_zone"];

/// Settings of applications that a session keeps, and the bytes of one.
const CUSTOM_MAX: usize = 256;
const CUSTOM_BYTES_MAX: usize = 8 << 10;

pub(super) fn settings_shown() -> String {
    format!("the settings are {NAMES}, transaction_isolation")
}

pub(super) fn assign(settings: &mut Settings, name: &str, values: &[String]) -> Result<()> {
    let first = values.first().map(String::as_str).unwrap_or_default();
    if values.len() == 1 && (first == "default" || (first == "local" && ZONE_NAMES.contains(&name))) {
        return reset_named(settings, name);
    }
    match name {
        "search_path" => {
            let own = |schema: &&String| !matches!(schema.as_str(), "$user" | "pg_catalog" | "");
            let mut path: Vec<String> = values.iter().filter(own).cloned().collect();
            // An empty text is no schema at all, as `pg_dump` has it: then every name has to say its own.
            let is_none = values.iter().all(String::is_empty);
            if path.is_empty() && !is_none {
                path.push("public".to_owned());
            }
            settings.schema = path.first().cloned().unwrap_or_default();
            settings.path = path;
        }
        zone if ZONE_NAMES.contains(&zone) => {
            settings.time_zone = match first {
                // A bare number is hours east of Greenwich.
                hours if hours.parse::<f64>().is_ok() => Some(hours_east(hours)?),
                name => Some(Zone::canonical(name)?),
            };
        }
        "snapshot" => {
            settings.version = match (first, first.parse()) {
                ("newest", _) => Version::Newest,
                (_, Ok(id)) => Version::Snapshot(id),
                (text, Err(_)) => Version::At(time(text)?),
            };
        }
        "row_security" => {
            settings.row_security = switch(name, first)?;
        }
        "default_transaction_read_only" => settings.read_only = switch(name, first)?,
        limit if limits::NAMES.contains(&limit) => settings.limits.set(limit, first)?,
        "is_superuser" => {
            return Err(Error::invalid("parameter \"is_superuser\" cannot be changed").with_code("55P02"));
        }
        custom if custom.contains('.') => set_custom(settings, custom, values)?,
        other => {
            if let Some(foreign) = foreign_settings::find(other) {
                let value = foreign.taken(values)?;
                Arc::make_mut(&mut settings.custom).insert(foreign.name.to_owned(), value);
                return Ok(());
            }
            return Err(Error::not_found(format!("there is no setting {name:?}"))
                .with_code("42704")
                .with_hint(format!("the settings are {NAMES}")));
        }
    }
    Ok(())
}

/// Sets what set_config says, whose value is one text and no word of SQL. NULL puts the setting back.
///
/// # Errors
/// As of SET.
pub(super) fn configure(settings: &mut Settings, name: &str, value: Option<&str>) -> Result<()> {
    let Some(value) = value else { return reset_named(settings, name) };
    match name {
        "search_path" => assign(settings, name, &names_in(value)?),
        custom if custom.contains('.') && !ZONE_NAMES.contains(&custom) => {
            set_custom(settings, custom, &[value.to_owned()])
        }
        _ => assign(settings, name, &[value.to_owned()]),
    }
}

/// The names in a text, between commas, each as SQL has it: in quotes, or in lower case.
fn names_in(text: &str) -> Result<Vec<String>> {
    let wrong = || {
        Error::invalid(format!("invalid value for parameter \"search_path\": \"{text}\""))
            .with_code("22023")
            .with_hint("names of schemas between commas")
    };
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(mut quoted) => {
                let mut name = String::new();
                loop {
                    let (part, after) = quoted.split_once('"').ok_or_else(wrong)?;
                    name.push_str(part);
                    match after.strip_prefix('"') {
                        Some(more) => {
                            name.push('"');
                            quoted = more;
                        }
                        None => break (name, after),
                    }
                }
            }
            None => {
                let end = rest.find(|letter: char| letter == ',' || letter.is_whitespace()).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                if name.is_empty() {
                    return Err(wrong());
                }
                (name.to_lowercase(), after)
            }
        };
        names.push(name);
        rest = match after.trim_start().strip_prefix(',') {
            Some(more) if more.trim().is_empty() => return Err(wrong()),
            Some(more) => more.trim_start(),
            None if after.trim().is_empty() => "",
            None => return Err(wrong()),
        };
    }
    Ok(names)
}

fn switch(name: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(Error::invalid(format!("parameter \"{name}\" requires a Boolean value"))
            .with_code("22023")
            .with_hint(format!("SET {name} = on, or off"))),
    }
}

pub(super) fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

/// A setting of an application: PostgreSQL takes any whose name has a dot in it.
fn set_custom(settings: &mut Settings, name: &str, values: &[String]) -> Result<()> {
    let is_word = |part: &str| {
        let begins = part.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
        begins && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$')
    };
    if !name.split('.').all(is_word) {
        return Err(Error::invalid(format!("invalid configuration parameter name \"{name}\""))
            .with_code("42602")
            .with_hint("custom parameter names must be two or more simple identifiers separated by dots"));
    }
    let (name, value) = (name.to_lowercase(), values.join(", "));
    let custom = Arc::make_mut(&mut settings.custom);
    let is_new = !custom.contains_key(&name);
    if name.len() + value.len() > CUSTOM_BYTES_MAX || (is_new && custom.len() >= CUSTOM_MAX) {
        let message = format!("a session keeps {CUSTOM_MAX} settings of its own, each of {CUSTOM_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::TooLarge, message).with_code("54000").with_hint("keep them in a table"));
    }
    custom.insert(name, value);
    Ok(())
}

fn hours_east(text: &str) -> Result<String> {
    let minutes = text.parse::<f64>().map_or(f64::NAN, |hours| hours * 60.0);
    if !(minutes.abs() < 16.0 * 60.0) {
        return Err(Error::invalid(format!("{text} hours are no time zone")).with_code("22023"));
    }
    let minutes = minutes.round() as i64;
    let sign = if minutes < 0 { '-' } else { '+' };
    Ok(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
}

/// The zone that an interval of hours and minutes is east of Greenwich.
fn interval_east(interval: &Interval) -> Result<String> {
    let unit = interval.last_field.as_ref().or(interval.leading_field.as_ref());
    let unit = unit.map(|field| field.to_string().to_lowercase());
    let span = input::interval(&text_of(&interval.value), unit.as_deref()).map_err(from_datafusion)?;
    if span.months != 0 || span.days != 0 {
        return Err(Error::invalid(
            "invalid value for parameter \"TimeZone\": a zone's interval has hours and minutes only",
        )
        .with_code("22023"));
    }
    hours_east(&(span.nanoseconds as f64 / 3_600e9).to_string())
}

/// A zone as SHOW shows it: one of hours and minutes as PostgreSQL does, by a name, and then as POSIX counts, to the west.
pub(crate) fn shown_zone(zone: &str) -> String {
    let turned = |hours: &str, east: char, west: char| {
        let hours = hours.strip_suffix(":00").unwrap_or(hours);
        format!("<{east}{hours}>{west}{hours}")
    };
    match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(hours), _) => turned(hours, '+', '-'),
        (_, Some(hours)) => turned(hours, '-', '+'),
        _ => zone.to_owned(),
    }
}

pub(crate) fn time(text: &str) -> Result<chrono::DateTime<chrono::Utc>> {
    let nanos = arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(text).map_err(|_| {
        Error::invalid(format!("{text:?} is neither a version nor a time"))
            .with_code("22023")
            .with_hint("SET snapshot = 12, or '2026-01-31 12:00:00'")
    })?;
    Ok(chrono::DateTime::from_timestamp_nanos(nanos))
}

pub(super) fn reset_one(settings: &mut Settings, name: &ObjectName) -> Result<()> {
    reset_named(settings, &parts(name)?.join("."))
}

fn reset_named(settings: &mut Settings, name: &str) -> Result<()> {
    let fresh = settings.unset();
    match name {
        // Who the session is and what is temporary are no settings.
        "all" => *settings = Settings { user: settings.user, role: settings.role, ..fresh },
        "search_path" => (settings.schema, settings.path) = (fresh.schema, fresh.path),
        zone if ZONE_NAMES.contains(&zone) => settings.time_zone = fresh.time_zone,
        "row_security" => settings.row_security = fresh.row_security,
        "default_transaction_read_only" => settings.read_only = fresh.read_only,
        "snapshot" => settings.version = fresh.version,
        limit if settings.limits.reset(limit, fresh.limits) => {}
        custom if custom.contains('.') || foreign_settings::find(custom).is_some() => {
            foreign_settings::find(custom).map_or(Ok(()), foreign_settings::Foreign::check_open)?;
            let name = custom.to_lowercase();
            let custom = Arc::make_mut(&mut settings.custom);
            match fresh.custom.get(&name) {
                Some(value) => drop(custom.insert(name, value.clone())),
                None => drop(custom.remove(&name)),
            }
        }
        other => {
            return Err(Error::not_found(format!("there is no setting {other:?}"))
                .with_code("42704")
                .with_hint(format!("the settings are {NAMES}")));
        }
    }
    Ok(())
}
