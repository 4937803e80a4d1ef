//! SET ROLE and SET SESSION AUTHORIZATION: in whose name a session's statements run.

use std::sync::Arc;

use polder_capability::Caller;
use polder_metastore::AuditEvent;
use polder_types::{Error, Result};

use super::statements::RoleStatement;
use super::{forbidden, missing, names_of};
use crate::engine::Engine;
use crate::session::{Inner, Open, Outcome, Settings};

impl Engine {
    /// Changes in whose name the statements of a session run; with LOCAL until the end of the transaction.
    ///
    /// # Errors
    /// `NotFound` (22023), `Forbidden` (42501).
    pub(super) async fn set_session(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: &RoleStatement,
    ) -> Result<Outcome> {
        let settings = &inner.settings;
        let (user, role, event, is_local, is_reset) = match statement {
            RoleStatement::SetRole { role, local, reset } => {
                (settings.user, settable_role(settings, role.as_deref())?, "set role", *local, *reset)
            }
            RoleStatement::SetSession { user, local, reset } => {
                let user = settable_user(settings, caller, user.as_deref())?;
                (user, None, "set session authorization", *local, *reset)
            }
            _ => return Err(Error::internal("a statement about roles came the wrong way")),
        };
        let set = |settings: &mut Settings| (settings.user, settings.role) = (user, role);
        let done = Outcome::done(if is_reset { "RESET" } else { "SET" }, None, self.lake.newest().await?.id);
        let before = inner.settings.clone();
        match &mut inner.open {
            None if is_local => return Ok(done.notice("SET LOCAL can only be used in transaction blocks")),
            Some(open) if is_local => drop(open.lasting.get_or_insert(before)),
            Some(Open { lasting: Some(lasting), .. }) => set(lasting),
            _ => {}
        }
        set(&mut inner.settings);
        self.identify(caller, &mut inner.settings).await?;
        let (user, role) = names_of(&inner.settings);
        let object = if event == "set role" { role } else { user };
        self.audit.record(AuditEvent::new(event, &caller.user, &caller.via).of(object));
        Ok(done)
    }
}

/// # Errors
/// `NotFound` (22023); `Forbidden` (42501) for a role that the session's user is no member of.
fn settable_role(settings: &Settings, role: Option<&str>) -> Result<Option<i64>> {
    let Some(name) = role else { return Ok(None) };
    let book = &settings.who.book;
    let role = book.find(name).ok_or_else(|| missing(name).with_code("22023"))?;
    let user = settings.who.user;
    if book.role(user).is_some_and(|user| user.is_superuser) || book.is_member(user, role.oid) {
        return Ok(Some(role.oid));
    }
    Err(forbidden(format!("permission denied to set role \"{name}\""))
        .with_hint(format!("GRANT {name} TO {}", settings.who.user_name())))
}

/// # Errors
/// `NotFound` (22023); `Forbidden` (42501) unless it was a superuser who logged in.
fn settable_user(settings: &Settings, caller: &Caller, user: Option<&str>) -> Result<Option<i64>> {
    let Some(name) = user else { return Ok(None) };
    let book = &settings.who.book;
    let wanted = book.find(name).ok_or_else(|| missing(name).with_code("22023"))?;
    let login = book.find(&caller.user);
    if login.is_some_and(|login| login.is_superuser || login.oid == wanted.oid) {
        return Ok(Some(wanted.oid));
    }
    Err(forbidden(format!("permission denied to set session authorization \"{name}\""))
        .with_hint("superusers may; SET ROLE takes on a role that one is a member of"))
}
