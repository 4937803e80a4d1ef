//! Statements about a session's transactions and settings.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    DiscardObject, ObjectName, Set, Statement, TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};
use polder_capability::{Caller, Notice};
use polder_lake::{TransactionCell, Version};
use polder_types::{Error, Result};

use super::ended;
use super::names::fold;
use super::settings::{
    apply, is_local, named, of_this_transaction, on_or_off, reset_one, serializable, settings_shown, shown_zone,
};
use super::temporary::Temporary;
use crate::engine::Engine;
use crate::foreign_settings;
use crate::record::Running;
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
            Statement::Rollback { chain: false, savepoint: None } => self.roll_back(inner).await?,
            Statement::Rollback { chain: false, savepoint: Some(name) } => rollback_to(inner, &fold(name)).await?,
            Statement::Commit { .. } => self.chained(caller, inner, "COMMIT", running).await?,
            Statement::Rollback { savepoint: None, .. } => self.chained(caller, inner, "ROLLBACK", running).await?,
            Statement::Rollback { .. } => {
                return Err(Error::invalid("AND CHAIN is of a whole transaction").with_code("42601"));
            }
            Statement::Savepoint { name } => savepoint(inner, fold(name)).await?,
            Statement::ReleaseSavepoint { name } => release(inner, &fold(name)).await?,
            Statement::Set(set) => self.set(inner, set).await?,
            Statement::Discard { object_type } => self.discard(inner, object_type).await?,
            Statement::ShowVariable { variable } => {
                let name = variable.iter().map(fold).collect::<Vec<_>>().join("_");
                let shown = match name.as_str() {
                    "all" => return Err(Error::unsupported("SHOW ALL is not supported").with_hint(settings_shown())),
                    _ => {
                        let dotted =
                            variable.iter().map(|part| fold(part).to_lowercase()).collect::<Vec<_>>().join(".");
                        shown(inner, &name).or_else(|| shown(inner, &dotted)).ok_or_else(|| {
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
        let done = Outcome::done("SET", None, self.lake.newest().await?.id);
        if local && inner.open.is_none() {
            apply(&mut inner.settings.clone(), set)?;
            let message = "SET LOCAL can only be used in transaction blocks";
            return Ok(done.told(Notice::warning("25P01", message)));
        }
        self.set_by(inner, local, |settings| apply(settings, set)).await?;
        let told = named(set).and_then(|name| foreign_settings::notice(&name, &inner.settings.custom));
        Ok(told.into_iter().fold(done, Outcome::told))
    }

    /// Changes a session's settings; what is local, until the end of the transaction.
    pub(super) async fn set_by(
        &self,
        inner: &mut Inner,
        local: bool,
        set: impl Fn(&mut Settings) -> Result<()>,
    ) -> Result<()> {
        let mut changed = inner.settings.clone();
        set(&mut changed)?;
        // A version that is not there would fail every statement from here on.
        if changed.version != inner.settings.version {
            self.lake.snapshot(changed.version).await?;
        }
        match &mut inner.open {
            Some(open) if local => drop(open.lasting.get_or_insert_with(|| inner.settings.clone())),
            Some(Open { lasting: Some(lasting), .. }) => set(lasting)?,
            _ => {}
        }
        inner.settings = changed;
        Ok(())
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
        may_begin(&inner.settings)?;
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

    async fn roll_back(&self, inner: &mut Inner) -> Result<Outcome> {
        let outcome = Outcome::done("ROLLBACK", None, self.lake.newest().await?.id);
        Ok(match inner.open.take() {
            None => outcome.told(Notice::warning("25P01", "there is no transaction in progress")),
            Some(open) => {
                inner.settings = open.settings;
                outcome
            }
        })
    }

    /// AND CHAIN: ends the transaction, and begins another one that may change as much as that might.
    async fn chained(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        verb: &str,
        running: &Running,
    ) -> Result<Outcome> {
        let Some(open) = &inner.open else {
            return Err(Error::invalid(format!("{verb} AND CHAIN can only be used in transaction blocks"))
                .with_code("25P01")
                .with_hint("BEGIN"));
        };
        // Before the end: an error behind it would be taken for one of the commit.
        may_begin(&inner.settings)?;
        let mode = if open.read_only { TransactionAccessMode::ReadOnly } else { TransactionAccessMode::ReadWrite };
        let ended = match verb {
            "COMMIT" => self.commit(inner, running).await?,
            _ => self.roll_back(inner).await?,
        };
        self.begin(caller, inner, &[TransactionMode::AccessMode(mode)]).await?;
        Ok(ended)
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

/// The value of a setting, by its name; `None` if it is none.
pub(super) fn shown(inner: &Inner, name: &str) -> Option<String> {
    let settings = &inner.settings;
    Some(match name {
        "search_path" => settings.path.join(", "),
        "transaction_isolation" | "transaction_isolation_level" => "snapshot".to_owned(),
        "timezone" | "time_zone" | "time.zone" => shown_zone(settings.zone()),
        "role" => match settings.role {
            Some(_) => settings.who.role_name().to_owned(),
            None => "none".to_owned(),
        },
        "session_authorization" => settings.who.user_name().to_owned(),
        "is_superuser" => on_or_off(settings.who.superuser),
        "row_security" => on_or_off(settings.row_security),
        "default_transaction_read_only" => on_or_off(settings.read_only),
        "transaction_read_only" => on_or_off(inner.open.as_ref().map_or(settings.read_only, |open| open.read_only)),
        "snapshot" => match settings.version {
            Version::Newest => "newest".to_owned(),
            Version::Snapshot(id) => id.to_string(),
            Version::At(time) => time.to_rfc3339(),
        },
        _ => {
            let custom = || settings.custom.get(name).cloned();
            let fixed = || crate::system::pg_catalog::activity::fixed(name).map(str::to_owned);
            let foreign = || foreign_settings::shown(name, &settings.custom);
            return settings.limits.show(name).or_else(custom).or_else(fixed).or_else(foreign);
        }
    })
}

fn may_begin(settings: &Settings) -> Result<()> {
    if settings.version == Version::Newest {
        return Ok(());
    }
    Err(Error::invalid("a session that reads an old version cannot begin a transaction")
        .with_code("25001")
        .with_hint("RESET snapshot"))
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
