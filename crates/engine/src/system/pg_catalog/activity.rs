//! `pg_stat_activity`, `pg_stat_ssl`, `pg_locks` and `pg_settings`: what runs, and what is set.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use chrono::{DateTime, Utc};
use polder_capability::{Caller, KeptAs, POSTGRES_VERSION};
use polder_types::{Error, ErrorKind, Result};

use super::columns;
use super::row::{Cell, Rows};
use super::schemas::DATABASE;
use super::{World, oids};
use crate::authz::{READ_ALL_STATS, SIGNAL_BACKEND, Who};
use crate::backends::Backend;
use crate::foreign_settings;
use crate::limits;
use crate::statement::shown_zone;

/// The sessions that have numbers, with what they do, and the statements of all others.
pub(super) fn running(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_ACTIVITY);
    let who = world.who();
    let mut idle: BTreeMap<i32, Backend> = world.engine().backends.all().into_iter().collect();
    let mut row =
        |process: Option<i32>, backend: Option<Backend>, user: String, via: String, began, sql: Option<String>| {
            let oid = who.book.find(&user).map(|role| role.oid);
            let is_told = is_told(who, oid);
            let since = backend.as_ref().map(|backend| backend.started);
            let open = backend.and_then(|backend| backend.transaction.get());
            let state = match &open {
                _ if sql.is_some() => "active",
                Some(open) if open.has_failed() => "idle in transaction (aborted)",
                Some(_) => "idle in transaction",
                None => "idle",
            };
            // One that has failed has given up what it had, and waits for its end only.
            let open = open.filter(|open| !open.has_failed());
            // Strangers are told that a session is there, and whose.
            let told = |cell: Cell| if is_told { cell } else { Cell::Null };
            let time = |at: Option<DateTime<Utc>>| told(at.map_or(Cell::Null, |at| Cell::Time(at.timestamp_micros())));
            rows.push([
                ("datid", oids::DATABASE.into()),
                ("datname", DATABASE.into()),
                ("pid", process.map_or_else(|| i64::from(std::process::id()), i64::from).into()),
                ("leader_pid", Cell::Null),
                ("client_port", Cell::Null),
                ("backend_xid", Cell::Null),
                ("backend_xmin", Cell::Null),
                ("query_id", Cell::Null),
                ("usesysid", oid.into()),
                ("usename", user.into()),
                ("application_name", via.into()),
                ("backend_start", time(since)),
                ("xact_start", time(open.map(|open| open.began).or(began))),
                ("query_start", time(began)),
                ("state_change", time(began.or(since))),
                ("state", told(state.into())),
                ("query", if is_told { sql.unwrap_or_default() } else { "<insufficient privilege>".into() }.into()),
                ("backend_type", told("client backend".into())),
            ]);
        };
    for (process, record) in world.engine().recorder.running_by_process() {
        let backend = process.and_then(|process| idle.remove(&process));
        row(process, backend, record.user, record.via, Some(record.started_at), Some(record.sql));
    }
    for (process, backend) in idle {
        let Caller { user, via, .. } = backend.caller.clone();
        row(Some(process), Some(backend), user, via, None, None);
    }
    rows.finish()
}

/// Whether somebody is told what a role's sessions do: statements hold what is in tables.
fn is_told(who: &Who, role: Option<i64>) -> bool {
    who.superuser || who.has(READ_ALL_STATS) || role.is_some_and(|oid| who.has(oid))
}

/// `pg_stat_ssl`: how the connections of those sessions are encrypted that whoever asks is told of.
pub(super) fn encrypted(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_SSL);
    let who = world.who();
    for (process, backend) in world.engine().backends.all() {
        if !is_told(who, who.book.find(&backend.caller.user).map(|role| role.oid)) {
            continue;
        }
        let encryption = backend.encryption;
        rows.push([
            ("pid", i64::from(process).into()),
            ("ssl", encryption.is_some().into()),
            ("version", encryption.map(|known| known.version).into()),
            ("cipher", encryption.map(|known| known.cipher).into()),
            ("bits", encryption.map(|known| i64::from(known.bits)).into()),
        ]);
    }
    rows.finish()
}

/// Numbers that PostgreSQL gives to the transactions of one session.
const LOCAL_TRANSACTIONS: i64 = 1 << 32;

/// `pg_locks`: what each session's transaction has of itself, which is all: nobody waits for rows or tables, and there are
/// no locks to be asked for. A transaction is numbered by the time at which it began.
pub(super) fn locks(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_LOCKS);
    let mut began: BTreeMap<i32, DateTime<Utc>> = BTreeMap::new();
    for (process, record) in world.engine().recorder.running_by_process() {
        began.extend(process.map(|process| (process, record.started_at)));
    }
    for (process, backend) in world.engine().backends.all() {
        let open = backend.transaction.get().filter(|open| !open.has_failed());
        began.extend(open.map(|open| (process, open.began)));
    }
    for (process, began) in began {
        let transaction = format!("{process}/{}", began.timestamp_micros().rem_euclid(LOCAL_TRANSACTIONS));
        rows.push([
            ("locktype", "virtualxid".into()),
            ("database", Cell::Null),
            ("relation", Cell::Null),
            ("page", Cell::Null),
            ("tuple", Cell::Null),
            ("virtualxid", transaction.as_str().into()),
            ("transactionid", Cell::Null),
            ("classid", Cell::Null),
            ("objid", Cell::Null),
            ("objsubid", Cell::Null),
            ("virtualtransaction", transaction.into()),
            ("pid", i64::from(process).into()),
            ("mode", "ExclusiveLock".into()),
            ("granted", true.into()),
            ("fastpath", true.into()),
        ]);
    }
    rows.finish()
}

/// The cursors of the session.
pub(super) fn cursors(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_CURSORS);
    for (kept, made) in world.kept().all() {
        let KeptAs::Cursor { is_held, is_binary, is_scrollable } = kept.kind else { continue };
        rows.push([
            ("name", kept.name.into()),
            ("statement", kept.sql.into()),
            ("is_holdable", is_held.into()),
            ("is_binary", is_binary.into()),
            ("is_scrollable", is_scrollable.into()),
            ("creation_time", Cell::Time(made.timestamp_micros())),
        ]);
    }
    rows.finish()
}

/// The prepared statements of the session. Each is planned anew with its values, and how often is not counted.
pub(super) fn prepared(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_PREPARED_STATEMENTS);
    for (kept, made) in world.kept().all() {
        let KeptAs::Prepared { types, is_from_sql } = kept.kind else { continue };
        rows.push([
            ("name", kept.name.into()),
            ("statement", kept.sql.into()),
            ("prepare_time", Cell::Time(made.timestamp_micros())),
            ("parameter_types", Cell::Texts(types)),
            ("from_sql", is_from_sql.into()),
        ]);
    }
    rows.finish()
}

/// Ends what the session of a number does, or the session itself. False if there is none of that number.
///
/// # Errors
/// `Forbidden` (42501) for a session of another role.
pub(crate) fn signal(world: &World, process: i32, terminate: bool) -> Result<bool> {
    let Some(backend) = world.engine().backends.find(process) else { return Ok(false) };
    let who = world.who();
    let owner = who.book.find(&backend.caller.user);
    let is_of_superuser = owner.is_none_or(|role| role.is_superuser);
    let may = owner.is_some_and(|role| who.has(role.oid)) || who.has(SIGNAL_BACKEND);
    if !who.superuser && (is_of_superuser || !may) {
        let what = if terminate { "terminated" } else { "canceled" };
        let message =
            format!("must be a member of the role whose process is being {what} or member of pg_signal_backend");
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    if terminate {
        backend.ends.cancel();
    }
    let recorder = &world.engine().recorder;
    for (_, record) in recorder.running_by_process().into_iter().filter(|(of, _)| *of == Some(process)) {
        recorder.cancel(record.query_id);
    }
    Ok(true)
}

/// What a setting is: the value, and for what.
type Setting<T> = (&'static str, T, &'static str, &'static str, &'static str);

/// The settings that are the same in each session.
const FIXED: &[Setting<&str>] = &[
    ("DateStyle", "ISO, MDY", "Client", "How days are written.", "string"),
    ("IntervalStyle", "postgres", "Client", "How intervals are written.", "enum"),
    ("bytea_output", "hex", "Client", "How bytes are written.", "enum"),
    ("client_encoding", "UTF8", "Client", "The encoding of texts.", "string"),
    ("default_table_access_method", "heap", "Preset", "How tables are kept: there is one way.", "string"),
    ("default_transaction_isolation", "repeatable read", "Client", "What transactions see.", "enum"),
    ("integer_datetimes", "on", "Preset", "Times are whole microseconds.", "bool"),
    ("lc_collate", "C", "Client", "The order of texts.", "string"),
    ("lc_ctype", "C", "Client", "The classes of letters.", "string"),
    ("max_index_keys", "32", "Preset", "Columns of an index.", "integer"),
    ("server_encoding", "UTF8", "Preset", "The encoding of texts.", "string"),
    ("server_version", POSTGRES_VERSION, "Preset", "The version of PostgreSQL that is spoken.", "string"),
    ("standard_conforming_strings", "on", "Client", "A backslash in a text is itself.", "bool"),
    ("transaction_isolation", "repeatable read", "Client", "What this transaction sees.", "enum"),
];

/// The value of a setting that is the same in each session.
pub(crate) fn fixed(name: &str) -> Option<&'static str> {
    FIXED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, value, ..)| *value)
}

fn all(world: &World) -> Vec<Setting<String>> {
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    let version = POSTGRES_VERSION.split_once('.');
    let number = version.map_or_else(String::new, |(major, minor)| format!("{major}{minor:0>4}"));
    let longest = polder_types::limits::NAME_BYTES_MAX.to_string();
    let path = world.path().join(", ");
    let read_only = switch(world.read_only());
    let row_security = switch(world.row_security());
    let own = [
        ("TimeZone", shown_zone(world.zone()), "Client", "The zone of times with a zone.", "string"),
        ("default_transaction_read_only", read_only, "Client", "Whether transactions change nothing.", "bool"),
        ("max_identifier_length", longest, "Preset", "Bytes of a name.", "integer"),
        ("row_security", row_security, "Client", "Tables are shown as far as their row policies let.", "bool"),
        ("search_path", path, "Client", "Schemas in which names are looked for.", "string"),
        ("server_version_num", number, "Preset", "The version of PostgreSQL as a number.", "integer"),
    ];
    let fixed =
        FIXED.iter().map(|&(name, value, category, about, kind)| (name, value.to_owned(), category, about, kind));
    let limits = world.limits().all().map(|(name, value)| (name, value, "Client", limits::described(name), "integer"));
    let mut all: Vec<_> = fixed.chain(own).chain(limits).collect();
    all.sort_unstable_by_key(|(name, ..)| *name);
    all
}

/// Settings of the session. Those that a server of a protocol keeps for itself are told by its SHOW.
pub(super) fn settings(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_SETTINGS);
    for (name, value, category, description, kind) in all(world) {
        let context = if category == "Preset" { "internal" } else { "user" };
        rows.push([
            ("name", name.into()),
            ("setting", value.as_str().into()),
            ("category", category.into()),
            ("short_desc", description.into()),
            ("context", context.into()),
            ("vartype", kind.into()),
            ("source", "default".into()),
            ("boot_val", value.as_str().into()),
            ("reset_val", value.into()),
            ("sourceline", Cell::Null),
        ]);
    }
    for known in foreign_settings::ALL {
        let shown = world.custom(known.name).map_or(known.default, String::as_str);
        let (least, most) = known.range();
        rows.push([
            ("name", known.name.into()),
            ("setting", known.counted(shown).into()),
            ("unit", known.unit().into()),
            ("category", "PostgreSQL".into()),
            ("short_desc", "It means nothing here.".into()),
            ("context", if known.is_open { "user" } else { "postmaster" }.into()),
            ("vartype", known.type_name().into()),
            ("source", if shown == known.default { "default" } else { "session" }.into()),
            ("min_val", least.into()),
            ("max_val", most.into()),
            ("enumvals", known.words().map_or(Cell::Null, Cell::Texts)),
            ("boot_val", known.counted(known.default).into()),
            ("reset_val", known.counted(known.default).into()),
            ("sourceline", Cell::Null),
        ]);
    }
    rows.finish()
}

/// The value of a setting; none if there is no such.
pub(crate) fn setting(world: &World, name: &str) -> Option<String> {
    let known = all(world).into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    let foreign = || foreign_settings::find(name).map(|known| known.default.to_owned());
    known.map(|(_, value, ..)| value).or_else(|| world.custom(name).cloned()).or_else(foreign)
}
