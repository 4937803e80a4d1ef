//! The record of who came in, who was refused, and what changed about who may.

use chrono::{DateTime, Duration, Utc};
use polder_types::{Result, limits};
use uuid::Uuid;

use crate::history::kept;
use crate::{Metastore, Row, Value, Write};

/// Rows kept of each outcome. Each has its own, so that a flood of refusals cannot push out what succeeded.
pub const AUDIT_ROWS_KEPT: u64 = 100_000;

/// Days that a row is kept, however few there are.
pub const AUDIT_DAYS_KEPT: i64 = 365;

/// Messages may quote what somebody sent who is not known.
const MESSAGE_BYTES_KEPT: usize = 1 << 10;

/// Something that the audit tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuditEvent {
    /// `login`, `create user`, `set password`, `create token`, `grant`, `refused`, …
    pub event: String,
    /// Who did it, or tried to.
    pub user: String,
    /// The way in: `postgres`, `http`, `console`, …; empty where nobody knows.
    pub via: String,
    /// The address that it came from.
    pub origin: Option<String>,
    /// What it was done to: a user, a token, a table.
    pub object: Option<String>,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<AuditRefusal>,
    /// What else there is to say.
    pub message: Option<String>,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuditRefusal {
    /// A SQLSTATE.
    pub code: String,
    pub message: String,
}

impl AuditEvent {
    /// An event that succeeded.
    #[must_use]
    pub fn new(event: &str, user: &str, via: &str) -> Self {
        Self {
            event: event.to_owned(),
            user: user.to_owned(),
            via: via.to_owned(),
            origin: None,
            object: None,
            refusal: None,
            message: None,
        }
    }

    /// What it was done to.
    #[must_use]
    pub fn of(mut self, object: &str) -> Self {
        self.object = Some(object.to_owned());
        self
    }

    /// The row, to go with the transaction that does what it tells: then there is neither without the other.
    #[must_use]
    pub fn write(&self, now: DateTime<Utc>) -> Write {
        AuditRow { happened_at: now, event: self.clone(), times: 1 }.write()
    }
}

/// One event, or several that are alike and came together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When the first of them happened.
    pub happened_at: DateTime<Utc>,
    pub event: AuditEvent,
    pub times: u64,
}

impl AuditRow {
    fn write(&self) -> Write {
        let AuditEvent { event, user, via, origin, object, refusal, message } = &self.event;
        let name = |text: &str| kept(text, limits::NAME_BYTES_MAX);
        let name_if_any = |text: &Option<String>| Value::from(text.as_deref().map(name));
        let outcome = if refusal.is_some() { REFUSED } else { OK };
        let message = refusal.as_ref().map(|refusal| &refusal.message).or(message.as_ref());
        Write::new(
            "INSERT INTO polder_audit (id, happened_at, event, user_name, via, origin, object, outcome, error_code, \
             message, times) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            vec![
                Uuid::now_v7().into(),
                self.happened_at.into(),
                name(event).into(),
                name(user).into(),
                name(via).into(),
                name_if_any(origin),
                name_if_any(object),
                outcome.into(),
                refusal.as_ref().map(|refusal| refusal.code.clone()).into(),
                message.map(|message| kept(message, MESSAGE_BYTES_KEPT)).into(),
                Value::count(self.times),
            ],
        )
    }
}

const OK: &str = "ok";
const REFUSED: &str = "refused";

/// A view of the metastore: the audit, and what users have read.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
}

impl Audit<'_> {
    /// Adds rows. One transaction for all.
    pub async fn append(&self, rows: &[AuditRow]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let writes: Vec<Write> = rows.iter().map(AuditRow::write).collect();
        self.0.write(&writes).await
    }

    /// The newest first.
    pub async fn recent(&self, limit: u64) -> Result<Vec<AuditRow>> {
        let sql = "SELECT happened_at, event, user_name, via, origin, object, outcome, error_code, message, times \
                   FROM polder_audit ORDER BY happened_at DESC, id DESC LIMIT $1";
        self.0.query(sql, &[Value::count(limit)]).await?.iter().map(read).collect()
    }

    /// Deletes what is too old, and all but the newest `keep` rows of each outcome (see [`AUDIT_ROWS_KEPT`]).
    pub async fn prune(&self, keep: u64) -> Result<()> {
        let oldest = self.0.clock().now() - Duration::days(AUDIT_DAYS_KEPT);
        let mut writes = vec![Write::new("DELETE FROM polder_audit WHERE happened_at < $1", vec![oldest.into()])];
        writes.extend([OK, REFUSED].map(|outcome| {
            Write::new(
                "DELETE FROM polder_audit WHERE outcome = $1 AND happened_at < (SELECT happened_at FROM polder_audit \
                 WHERE outcome = $1 ORDER BY happened_at DESC LIMIT 1 OFFSET $2)",
                vec![outcome.into(), Value::count(keep.saturating_sub(1))],
            )
        }));
        self.0.write(&writes).await
    }

    /// Bytes that a user's statements have read on a day (`2026-01-31`, in UTC).
    pub async fn bytes_scanned(&self, day: &str, user: &str) -> Result<u64> {
        let sql = "SELECT bytes FROM polder_bytes_scanned WHERE day = $1 AND user_name = $2";
        let rows = self.0.query(sql, &[day.into(), user.into()]).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.int(0))?.unsigned_abs())
    }

    /// Adds to what users have read on days, and forgets the days before `oldest`. One transaction for all.
    pub async fn add_bytes_scanned(&self, read: &[(String, String, u64)], oldest: &str) -> Result<()> {
        let mut writes: Vec<Write> = read
            .iter()
            .map(|(day, user, bytes)| {
                Write::new(
                    "INSERT INTO polder_bytes_scanned (day, user_name, bytes) VALUES ($1, $2, $3) ON CONFLICT \
                     (day, user_name) DO UPDATE SET bytes = polder_bytes_scanned.bytes + excluded.bytes",
                    vec![day.as_str().into(), user.as_str().into(), Value::count(*bytes)],
                )
            })
            .collect();
        writes.push(Write::new("DELETE FROM polder_bytes_scanned WHERE day < $1", vec![oldest.into()]));
        self.0.write(&writes).await
    }
}

fn read(row: &Row) -> Result<AuditRow> {
    let text = |column| Ok::<_, polder_types::Error>(row.opt_text(column)?.map(str::to_owned));
    let (message, code) = (text(8)?, text(7)?);
    let is_refused = row.text(6)? == REFUSED;
    let refusal = is_refused
        .then(|| AuditRefusal { code: code.unwrap_or_default(), message: message.clone().unwrap_or_default() });
    Ok(AuditRow {
        happened_at: row.time(0)?,
        event: AuditEvent {
            event: row.text(1)?.to_owned(),
            user: row.text(2)?.to_owned(),
            via: row.text(3)?.to_owned(),
            origin: text(4)?,
            object: text(5)?,
            refusal,
            message: message.filter(|_| !is_refused),
        },
        times: row.int(9)?.unsigned_abs(),
    })
}
