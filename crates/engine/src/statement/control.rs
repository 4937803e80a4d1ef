//! Transactions and settings.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    ContextModifier, DiscardObject, Expr, ObjectName, Set, Statement, TransactionAccessMode, TransactionIsolationLevel,
    TransactionMode, Value,
};
use polder_capability::{Caller, Notice};
use polder_lake::{TransactionCell, Version};
use polder_types::{Error, ErrorKind, Result};

use super::ended;
use super::names::{fold, parts};
use super::temporary::Temporary;
use crate::engine::Engine;
use crate::limits;
use crate::record::Running;
use crate::semantics::Zone;
use crate::session::{Inner, Open, Outcome, Point, Settings};

impl Engine {
    /// Statements about the session itself; `None` for all others.
    pub(crate) async fn control(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: &Statement,
        running: &Running,
    ) -> Result<Option<Outcome>> {
        Ok(Some(match statement {
            Statement::StartTransaction { modes, statements, .. } => {
                if !statements.is_empty() {
                    return Err(Error::unsupported("BEGIN … END blocks are not supported"));
                }
                self.begin(caller, inner, modes).await?
            }
            Statement::Commit { chain: false, .. } => self.commit(inner, running).await?,
            Statement::Rollback { chain: false, savepoint: None } => {
                let snapshot = self.lake.newest().await?.id;
                let outcome = Outcome::done("ROLLBACK", None, snapshot);
                match inner.open.take() {
                    None => outcome.told(Notice::warning("25P01", "there is no transaction in progress")),
                    Some(open) => {
                        inner.settings = open.settings;
                        outcome
                    }
                }
            }
            Statement::Rollback { chain: false, savepoint: Some(name) } => rollback_to(inner, &fold(name)).await?,
            Statement::Commit { .. } | Statement::Rollback { .. } => {
                return Err(Error::unsupported("AND CHAIN is not supported"));
            }
            Statement::Savepoint { name } => savepoint(inner, fold(name)).await?,
            Statement::ReleaseSavepoint { name } => release(inner, &fold(name)).await?,
            Statement::Set(set) => self.set(inner, set).await?,
            Statement::Discard { object_type } => self.discard(inner, object_type).await?,
            Statement::ShowVariable { variable } => {
                let name = variable.iter().map(fold).collect::<Vec<_>>().join("_");
                let shown = match name.as_str() {
                    "search_path" => inner.settings.path.join(", "),
                    "transaction_isolation" | "transaction_isolation_level" => "snapshot".to_owned(),
                    "timezone" | "time_zone" => inner.settings.zone().to_owned(),
                    "role" => match inner.settings.role {
                        Some(_) => inner.settings.who.role_name().to_owned(),
                        None => "none".to_owned(),
                    },
                    "session_authorization" => inner.settings.who.user_name().to_owned(),
                    "is_superuser" => if inner.settings.who.superuser { "on" } else { "off" }.to_owned(),
                    "row_security" => on_or_off(inner.settings.row_security),
                    "default_transaction_read_only" => on_or_off(inner.settings.read_only),
                    "transaction_read_only" => {
                        on_or_off(inner.open.as_ref().map_or(inner.settings.read_only, |open| open.read_only))
                    }
                    "snapshot" => match inner.settings.version {
                        Version::Newest => "newest".to_owned(),
                        Version::Snapshot(id) => id.to_string(),
                        Version::At(time) => time.to_rfc3339(),
                    },
                    "all" => return Err(Error::unsupported("SHOW ALL is not supported").with_hint(settings_shown())),
                    _ => {
                        let dotted =
                            variable.iter().map(|part| fold(part).to_lowercase()).collect::<Vec<_>>().join(".");
                        let custom = || inner.settings.custom.get(&dotted).cloned();
                        let fixed = || crate::system::pg_catalog::activity::fixed(&name).map(str::to_owned);
                        inner.settings.limits.show(&name).or_else(custom).or_else(fixed).ok_or_else(|| {
                            Error::not_found(format!("there is no setting {name:?}"))
                                .with_code("42704")
                                .with_hint(settings_shown())
                        })?
                    }
                };
                let snapshot = self.lake.newest().await?.id;
                crate::system::one_text(&name, &shown, snapshot)?
            }
            _ => return Ok(None),
        }))
    }

    async fn set(&self, inner: &mut Inner, set: &Set) -> Result<Outcome> {
        let local = is_local(set);
        if let Some(read_only) = of_this_transaction(set)? {
            let done = Outcome::done("SET", None, self.lake.newest().await?.id);
            let Some(open) = &mut inner.open else {
                let message = "SET TRANSACTION can only be used in transaction blocks";
                return Ok(done.told(Notice::warning("25P01", message)));
            };
            open.read_only = read_only;
            return Ok(done);
        }
        let mut changed = inner.settings.clone();
        apply(&mut changed, set)?;
        // A version that is not there would fail every statement from here on.
        if changed.version != inner.settings.version {
            self.lake.snapshot(changed.version).await?;
        }
        let done = Outcome::done("SET", None, self.lake.newest().await?.id);
        match &mut inner.open {
            None if local => {
                let message = "SET LOCAL can only be used in transaction blocks";
                return Ok(done.told(Notice::warning("25P01", message)));
            }
            Some(open) if local => drop(open.lasting.get_or_insert_with(|| inner.settings.clone())),
            Some(Open { lasting: Some(lasting), .. }) => apply(lasting, set)?,
            _ => {}
        }
        inner.settings = changed;
        Ok(done)
    }

    /// RESET of one setting, or of all.
    pub(crate) async fn reset(self: &std::sync::Arc<Self>, inner: &mut Inner, name: &ObjectName) -> Result<Outcome> {
        reset_one(&mut inner.settings, name)?;
        if let Some(Open { lasting: Some(lasting), .. }) = &mut inner.open {
            reset_one(lasting, name)?;
        }
        Ok(Outcome::done("RESET", None, self.lake.newest().await?.id))
    }

    /// Ends what a session has gathered.
    async fn discard(&self, inner: &mut Inner, what: &DiscardObject) -> Result<Outcome> {
        if inner.open.is_some() {
            return Err(
                Error::invalid(format!("DISCARD {what} cannot run inside a transaction block")).with_code("25001")
            );
        }
        if matches!(what, DiscardObject::ALL | DiscardObject::TEMP)
            && let Some(schema) = inner.settings.temporary.schema.clone()
        {
            self.drop_temporary(&[schema]).await?;
            inner.settings.temporary = Temporary::default();
        }
        if *what == DiscardObject::ALL {
            inner.settings = inner.settings.unset();
            inner.prepared.clear();
        }
        Ok(Outcome::done(&format!("DISCARD {what}"), None, self.lake.newest().await?.id))
    }

    async fn begin(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        modes: &[TransactionMode],
    ) -> Result<Outcome> {
        let mut read_only = inner.settings.read_only;
        for mode in modes {
            match mode {
                TransactionMode::IsolationLevel(TransactionIsolationLevel::Serializable) => {
                    return Err(serializable());
                }
                TransactionMode::AccessMode(mode) => read_only = *mode == TransactionAccessMode::ReadOnly,
                _ => {}
            }
        }
        if let Some(open) = &inner.open {
            let snapshot = open.cell.lock().await.as_ref().ok_or_else(ended)?.base();
            let notice = Notice::warning("25001", "there is already a transaction in progress");
            return Ok(Outcome::done("BEGIN", None, snapshot).told(notice));
        }
        if inner.settings.version != Version::Newest {
            return Err(Error::invalid("a session that reads an old version cannot begin a transaction")
                .with_code("25001")
                .with_hint("RESET snapshot"));
        }
        let mut transaction = self.lake.begin().await?;
        transaction.describe(&caller.user, "transaction");
        let snapshot = transaction.base();
        let granted = Arc::clone(transaction.view().all_access());
        inner.open = Some(Open {
            cell: TransactionCell::new(transaction),
            granted,
            failed: false,
            busy: false,
            read_only,
            savepoints: Vec::new(),
            settings: inner.settings.clone(),
            lasting: None,
            spoiled: Arc::default(),
        });
        Ok(Outcome::done("BEGIN", None, snapshot))
    }

    async fn commit(self: &std::sync::Arc<Self>, inner: &mut Inner, running: &Running) -> Result<Outcome> {
        let Some(open) = inner.open.take() else {
            let snapshot = self.lake.newest().await?.id;
            let notice = Notice::warning("25P01", "there is no transaction in progress");
            return Ok(Outcome::done("COMMIT", None, snapshot).told(notice));
        };
        // Kept only by a transaction that commits.
        let settings = std::mem::replace(&mut inner.settings, open.settings);
        let mut transaction = open.cell.take().await.ok_or_else(ended)?;
        if open.failed {
            // As PostgreSQL does: the caller asked for an end, and gets the only one there is, said plainly.
            return Ok(Outcome::done("ROLLBACK", None, transaction.base())
                .notice("the transaction had failed, so it was rolled back"));
        }
        settings.temporary.before_commit(&mut transaction).await?;
        running.start_commit()?;
        let report = transaction.commit().await?;
        if settings.roles.is_some() {
            self.authority.changed().await;
        }
        let temporary = settings.temporary.clone();
        inner.settings = Settings { temporary, roles: None, ..open.lasting.unwrap_or(settings) };
        inner.settings.temporary.committed();
        Ok(Outcome::done("COMMIT", None, report.snapshot.id))
    }
}

fn open<'a>(inner: &'a mut Inner, verb: &str) -> Result<&'a mut Open> {
    inner
        .open
        .as_mut()
        .ok_or_else(|| Error::invalid(format!("{verb} needs a transaction")).with_code("25P01").with_hint("BEGIN"))
}

async fn savepoint(inner: &mut Inner, name: String) -> Result<Outcome> {
    let settings = inner.settings.clone();
    let open = open(inner, "SAVEPOINT")?;
    if open.failed {
        return Err(Error::invalid("the transaction has failed").with_code("25P02").with_hint("ROLLBACK"));
    }
    let mut guard = open.cell.lock().await;
    let transaction = guard.as_mut().ok_or_else(ended)?;
    let (work, snapshot) = (transaction.savepoint(), transaction.base());
    drop(guard);
    let lasting = open.lasting.clone();
    open.savepoints.push(Point { name, work, settings, lasting });
    Ok(Outcome::done("SAVEPOINT", None, snapshot))
}

fn find(open: &Open, name: &str) -> Result<usize> {
    open.savepoints
        .iter()
        .rposition(|point| point.name == name)
        .ok_or_else(|| Error::not_found(format!("there is no savepoint {name:?}")).with_code("3B001"))
}

async fn rollback_to(inner: &mut Inner, name: &str) -> Result<Outcome> {
    let open = open(inner, "ROLLBACK TO")?;
    let at = find(open, name)?;
    open.savepoints.truncate(at + 1);
    open.failed = false;
    let mut guard = open.cell.lock().await;
    let transaction = guard.as_mut().ok_or_else(ended)?;
    let mut settings = None;
    if let Some(point) = open.savepoints.last() {
        transaction.rollback_to(&point.work);
        settings = Some(point.settings.clone());
        open.lasting = point.lasting.clone();
    }
    let done = Outcome::done("ROLLBACK", None, transaction.base());
    drop(guard);
    if let Some(settings) = settings {
        inner.settings = settings;
    }
    Ok(done)
}

async fn release(inner: &mut Inner, name: &str) -> Result<Outcome> {
    let open = open(inner, "RELEASE")?;
    let at = find(open, name)?;
    open.savepoints.truncate(at);
    let snapshot = open.cell.lock().await.as_ref().ok_or_else(ended)?.base();
    Ok(Outcome::done("RELEASE", None, snapshot))
}

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
fn is_local(set: &Set) -> bool {
    match set {
        Set::SingleAssignment { scope, .. } => *scope == Some(ContextModifier::Local),
        Set::SetTimeZone { local, .. } => *local,
        _ => false,
    }
}

fn serializable() -> Error {
    Error::unsupported("SERIALIZABLE is not there: a transaction reads one snapshot, and the first to commit wins")
        .with_hint("leave the level out")
}

/// What a SET says of the open transaction only: whether it changes nothing. `None` for all others.
fn of_this_transaction(set: &Set) -> Result<Option<bool>> {
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

fn apply(settings: &mut Settings, set: &Set) -> Result<()> {
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

fn settings_shown() -> String {
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
            if path.is_empty() {
                path.push("public".to_owned());
            }
            settings.schema.clone_from(&path[0]);
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
        _ => {
            return Err(Error::not_found(format!("there is no setting {name:?}"))
                .with_code("42704")
                .with_hint(format!("the settings are {NAMES}")));
        }
    }
    Ok(())
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

fn on_or_off(on: bool) -> String {
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
    if value == "default" && values.len() == 1 {
        custom.remove(&name);
        return Ok(());
    }
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

pub(crate) fn time(text: &str) -> Result<chrono::DateTime<chrono::Utc>> {
    let nanos = arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(text).map_err(|_| {
        Error::invalid(format!("{text:?} is neither a version nor a time"))
            .with_code("22023")
            .with_hint("SET snapshot = 12, or '2026-01-31 12:00:00'")
    })?;
    Ok(chrono::DateTime::from_timestamp_nanos(nanos))
}

fn reset_one(settings: &mut Settings, name: &ObjectName) -> Result<()> {
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
        custom if custom.contains('.') => {
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
