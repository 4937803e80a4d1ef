//! ALTER ROLE … SET and RESET: the settings that the sessions of a role begin with.

use std::collections::BTreeMap;

use polder_metastore::Roles;
use polder_types::{Error, Result};

use super::names::RoleName;
use super::options::check_not_reserved;
use super::statements::SettingChange;
use super::{Done, Work, done, forbidden};
use crate::authz::RoleBook;
use crate::session::Settings;
use crate::statement::settings::{assign, shown_zone};
use crate::{foreign_settings, limits};

const SEARCH_PATH: &str = "search_path";
const TIME_ZONE: &str = "timezone";
const READ_ONLY: &str = "default_transaction_read_only";
/// The role that sessions take on.
const ROLE: &str = "role";

/// The role that the sessions of a role take on, if they may.
pub(crate) fn taken_on(book: &RoleBook, user: i64, of_role: &BTreeMap<String, String>) -> Option<i64> {
    let role = book.find(of_role.get(ROLE)?)?.oid;
    let is_superuser = book.role(user).is_some_and(|user| user.is_superuser);
    (is_superuser || book.is_member(user, role)).then_some(role)
}

/// Gives a session what those of its role begin with, but for limits and the role that they take on.
pub(crate) fn begin_with(settings: &mut Settings, of_role: &BTreeMap<String, String>) {
    let begins =
        |name: &str| [SEARCH_PATH, TIME_ZONE, READ_ONLY].contains(&name) || foreign_settings::find(name).is_some();
    for (name, value) in of_role.iter().filter(|(name, _)| begins(name)) {
        // They were tried when they were set; what is of no use any more leaves the usual one.
        let _ = assign(settings, name, &parts(name, value));
    }
}

/// The parts of a value that is a list.
fn parts(name: &str, value: &str) -> Vec<String> {
    if name != SEARCH_PATH {
        return vec![value.to_owned()];
    }
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => {
                parts.last_mut().into_iter().for_each(|part| part.push('"'))
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => parts.push(String::new()),
            ' ' if !is_quoted => {}
            letter => parts.last_mut().into_iter().for_each(|part| part.push(letter)),
        }
    }
    parts
}

/// The value as it is kept and shown: names in quotes where they need them.
fn kept(name: &str, values: &[String]) -> String {
    if name != SEARCH_PATH {
        return values.join(", ");
    }
    let is_plain = |part: &String| {
        let begins = part.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        begins && part.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    let quoted = |part: &String| match is_plain(part) {
        true => part.clone(),
        false => format!("\"{}\"", part.replace('"', "\"\"")),
    };
    values.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("unrecognized configuration parameter \"{name}\""))
        .with_code("42704")
        .with_hint(format!("roles have {SEARCH_PATH}, {TIME_ZONE}, {READ_ONLY}, {ROLE}, {}", limits::NAMES.join(", ")))
}

impl Work<'_> {
    pub(super) fn configure(&mut self, role: &RoleName, change: &SettingChange) -> Result<Done> {
        if let RoleName::Named(name) = role {
            check_not_reserved(name, "Cannot alter reserved roles.")?;
        }
        let oid = self.resolve(role)?;
        if !self.who.superuser {
            if self.is_superuser(oid) {
                return Err(forbidden("must be superuser to alter superusers"));
            }
            if !self.makes_roles() && oid != self.who.role {
                return Err(forbidden("permission denied"));
            }
        }
        let (name, value) = match change {
            SettingChange::ResetAll => return self.reset_all(oid),
            SettingChange::Reset(name) => (name.as_str(), None),
            SettingChange::Set { name, values } => (name.as_str(), Some(self.tried(name, values)?)),
            SettingChange::FromCurrent(name) => (name.as_str(), Some(self.current(name)?)),
        };
        self.may_configure(name)?;
        self.put_setting(oid, name, value);
        let shown = self.role_name(oid).to_owned();
        Ok(Done { message: Some(format!("setting {name}")), ..done("ALTER ROLE", "alter role", shown) })
    }

    /// Limits are ceilings, which nobody raises for themselves.
    fn may_configure(&self, name: &str) -> Result<()> {
        if let Some(foreign) = foreign_settings::find(name) {
            return foreign.check_open();
        }
        let is_limit = limits::NAMES.contains(&name);
        if !is_limit && ![SEARCH_PATH, TIME_ZONE, READ_ONLY, ROLE].contains(&name) {
            return Err(unknown(name));
        }
        if is_limit && !self.who.superuser {
            return Err(forbidden(format!("permission denied to set parameter \"{name}\""))
                .with_hint("superusers say what roles may take and read"));
        }
        Ok(())
    }

    /// The value to be kept, which a session could have.
    fn tried(&mut self, name: &str, values: &[String]) -> Result<String> {
        self.may_configure(name)?;
        if name == ROLE {
            let role = values.first().map(String::as_str).unwrap_or_default();
            // Whether it may be taken on is asked when a session begins.
            return if role == "none" { Ok(role.to_owned()) } else { self.named(role).map(|role| role.name.clone()) };
        }
        let mut settings = Settings::default();
        assign(&mut settings, name, values)?;
        self.notices.extend(foreign_settings::notice(name, &settings.custom));
        Ok(kept(name, values))
    }

    fn current(&self, name: &str) -> Result<String> {
        let settings = self.context.settings;
        match name {
            SEARCH_PATH => Ok(kept(name, &settings.path)),
            TIME_ZONE => Ok(shown_zone(settings.zone())),
            ROLE => Ok(settings.role.map_or_else(|| "none".to_owned(), |role| self.role_name(role).to_owned())),
            READ_ONLY => Ok(if settings.read_only { "on" } else { "off" }.to_owned()),
            _ => {
                let foreign = || foreign_settings::shown(name, &settings.custom);
                settings.limits.show(name).or_else(foreign).ok_or_else(|| unknown(name))
            }
        }
    }

    fn reset_all(&mut self, oid: i64) -> Result<Done> {
        let own = self.rows.settings.iter().filter(|(role, ..)| *role == oid);
        let names: Vec<String> = own.map(|(_, name, _)| name.clone()).collect();
        for name in names {
            // Those that somebody may not change stay, as with PostgreSQL.
            if self.may_configure(&name).is_ok() {
                self.put_setting(oid, &name, None);
            }
        }
        Ok(done("ALTER ROLE", "alter role", self.role_name(oid)))
    }

    fn put_setting(&mut self, oid: i64, name: &str, value: Option<String>) {
        self.transaction.attach(Roles::setting_write(oid, name, value.as_deref()));
        self.rows.settings.retain(|(role, known, _)| (*role, known.as_str()) != (oid, name));
        if let Some(value) = value {
            self.rows.settings.push((oid, name.to_owned(), value));
        }
        self.is_changed = true;
    }
}
