//! What a statement may take of memory, and read of tables: settings of a session, and ceilings of whom they bind.

mod memory;
mod times;
mod usage;

use std::collections::BTreeMap;
use std::time::Instant;

use polder_capability::millis;
use polder_types::{Error, ErrorKind, Result};

pub(crate) use memory::{NAME_IN_ERRORS, StatementMemory};
pub(crate) use usage::Usage;

use crate::units::Unit;

/// The settings that are limits.
pub(crate) const NAMES: &[&str] =
    &["max_bytes_scanned", "max_bytes_scanned_per_day", "statement_memory", "statement_timeout"];

/// What one of them is about, for lists of settings.
pub(crate) fn described(name: &str) -> &'static str {
    match name {
        "max_bytes_scanned" => "What one statement reads of tables' files.",
        "max_bytes_scanned_per_day" => "What all statements of a user read in a day.",
        "statement_memory" => "Memory of one statement.",
        _ => "Sets the maximum allowed duration of any statement.",
    }
}

/// Bytes and milliseconds; `None`: as many as there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Memory that one statement may take.
    pub statement_memory: Option<u64>,
    /// What one statement may read.
    pub bytes_scanned: Option<u64>,
    /// What the statements of one user may read in a day, in UTC.
    pub bytes_scanned_per_day: Option<u64>,
    /// How long one statement may take, by whatever way it comes.
    pub timeout: Option<u64>,
}

impl Limits {
    fn slot(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "statement_memory" => Some(&mut self.statement_memory),
            "max_bytes_scanned" => Some(&mut self.bytes_scanned),
            "max_bytes_scanned_per_day" => Some(&mut self.bytes_scanned_per_day),
            "statement_timeout" => Some(&mut self.timeout),
            _ => None,
        }
    }
}

/// The limits of a session, and those of the role that it began with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LimitSettings {
    pub now: Limits,
    of_role: Limits,
    /// Those of the role are ceilings.
    is_bound: bool,
}

impl LimitSettings {
    /// Those that a session begins with: of a role's settings those that are limits, which bind all but superusers.
    ///
    /// # Errors
    /// `InvalidInput` (22023) for a value that is no number of bytes.
    pub fn of_role(settings: &BTreeMap<String, String>, is_superuser: bool) -> Result<Self> {
        let mut of_role = Limits::default();
        for (name, value) in settings {
            if let Some(slot) = of_role.slot(name) {
                *slot = amount(name, value)?;
            }
        }
        Ok(Self { now: of_role, of_role, is_bound: !is_superuser })
    }

    /// # Errors
    /// `InvalidInput` (22023) for a value that is no amount, `Forbidden` (42501) for one above the role's.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if value == "default" {
            self.reset(name, self.unset());
            return Ok(());
        }
        let wanted = amount(name, value)?;
        let ceiling = self.of_role.slot(name).and_then(|slot| *slot).filter(|_| self.is_bound);
        if let Some(ceiling) = ceiling
            && wanted.is_none_or(|wanted| wanted > ceiling)
        {
            return Err(Error::new(ErrorKind::Forbidden, format!("permission denied to set parameter \"{name}\""))
                .with_hint(format!("your role's limit is {}; it can be set lower", told(name, Some(ceiling)))));
        }
        if let Some(slot) = self.now.slot(name) {
            *slot = wanted;
        }
        Ok(())
    }

    /// Back to what it is in `fresh`. False if that is no limit.
    pub fn reset(&mut self, name: &str, mut fresh: Self) -> bool {
        let fresh = fresh.now.slot(name).map(|slot| *slot);
        match (self.now.slot(name), fresh) {
            (Some(slot), Some(value)) => {
                *slot = value;
                true
            }
            _ => false,
        }
    }

    /// All of them back to those of the session's start, as long as the role has the same limits.
    pub fn back_to(&self, first: Self) -> Self {
        if self.of_role == first.of_role { Self { now: first.now, ..*self } } else { self.unset() }
    }

    /// All of them back to the role's.
    pub fn unset(&self) -> Self {
        Self { now: self.of_role, ..*self }
    }

    /// Of all of them the name and the value.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        NAMES.iter().filter_map(|name| Some((*name, self.show(name)?)))
    }

    /// The value of one; `None` if that is no limit.
    pub fn show(&self, name: &str) -> Option<String> {
        let mut now = self.now;
        now.slot(name).map(|slot| told(name, *slot))
    }
}

const TIMEOUT: &str = "statement_timeout";

fn amount(name: &str, value: &str) -> Result<Option<u64>> {
    if name == TIMEOUT { millis(name, value) } else { bytes(name, value) }
}

fn told(name: &str, amount: Option<u64>) -> String {
    if name == TIMEOUT { times::told(amount) } else { shown(amount) }
}

/// As PostgreSQL reads amounts of memory, where a number without a unit is one of bytes; 0 is no limit.
fn bytes(name: &str, value: &str) -> Result<Option<u64>> {
    let value = value.trim();
    match Unit::Bytes.count(value) {
        // A part of a byte is no way to say that there is no limit.
        Some(0) if !value.contains(|digit: char| matches!(digit, '1'..='9')) => Ok(None),
        // Where it ends, counting does: what is meant is more.
        Some(bytes) if bytes > 0 && bytes < i64::MAX => Ok(Some(bytes.unsigned_abs())),
        _ => Err(Error::invalid(format!("invalid value for parameter \"{name}\": \"{value}\""))
            .with_code("22023")
            .with_hint("a number of bytes, or one with B, kB, MB, GB or TB, such as '10GB'; 0 for no limit")),
    }
}

/// With the largest unit of which it is a whole number.
pub(crate) fn shown(bytes: Option<u64>) -> String {
    Unit::Bytes.shown(bytes.map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// What a statement may read from now on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowance {
    /// At most, in one statement.
    pub statement: Option<u64>,
    /// At most in a day, and what has been read today.
    pub day: Option<(u64, u64)>,
    /// What the statements before it in the same text have read.
    pub before: u64,
    /// When it has to be over.
    pub ends: Option<Instant>,
}

/// Footers are no part of what the catalog knows of columns, so a statement that was let in may read a little more.
const SLACK_BYTES: u64 = 1 << 20;

impl Allowance {
    /// Whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.statement.is_some() || self.day.is_some() || self.ends.is_some()
    }

    /// Before a plan runs: `read` by the statement so far, and `planned`.
    ///
    /// # Errors
    /// `Exhausted` (53400).
    pub fn check_plan(&self, read: u64, planned: u64) -> Result<()> {
        self.check(read.saturating_sub(self.before).saturating_add(planned), "would read", 0)
    }

    /// While it runs.
    ///
    /// # Errors
    /// `Exhausted` (53400), `Cancelled` (57014) when its time is over.
    pub fn check_read(&self, read: u64) -> Result<()> {
        if self.ends.is_some_and(|ends| ends <= Instant::now()) {
            return Err(Error::new(ErrorKind::Cancelled, "canceling statement due to statement timeout")
                .with_hint("have statement_timeout raised"));
        }
        self.check(read.saturating_sub(self.before), "has read", SLACK_BYTES)
    }

    fn check(&self, bytes: u64, would_read: &str, slack: u64) -> Result<()> {
        let over = |message: String, hint: &str| {
            let hint = format!("read fewer columns or rows (EXPLAIN (ESTIMATE) tells how much a query reads), {hint}");
            Err(Error::new(ErrorKind::Exhausted, message).with_code("53400").with_hint(hint))
        };
        if let Some(most) = self.statement
            && bytes > most.saturating_add(slack)
        {
            return over(
                format!("the statement {would_read} {bytes} bytes, and max_bytes_scanned allows {most}"),
                "or have max_bytes_scanned raised",
            );
        }
        if let Some((most, spent)) = self.day
            && bytes > 0
            && spent.saturating_add(bytes) > most.saturating_add(slack)
        {
            return over(
                format!(
                    "the statement {would_read} {bytes} bytes; {spent} were read today, and max_bytes_scanned_per_day \
                     allows {most}"
                ),
                "wait until 00:00 UTC, or have max_bytes_scanned_per_day raised",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
