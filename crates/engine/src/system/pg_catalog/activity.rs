//! `pg_stat_activity` and `pg_settings`: what runs, and what is set.

use arrow::array::ArrayRef;
use polder_capability::POSTGRES_VERSION;
use polder_types::Result;

use super::columns;
use super::row::{Cell, Rows};
use super::schemas::DATABASE;
use super::{World, oids};
use crate::authz::READ_ALL_STATS;

/// The statements that run now, whatever way they came in.
pub(super) fn running(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_STAT_ACTIVITY);
    let who = world.who();
    for record in world.engine().recorder.running() {
        let oid = who.book.find(&record.user).map(|role| role.oid);
        // Statements hold what is in tables.
        let is_told = who.superuser || who.has(READ_ALL_STATS) || oid.is_some_and(|oid| who.has(oid));
        let started = Cell::Time(record.started_at.timestamp_micros());
        rows.push([
            ("datid", oids::DATABASE.into()),
            ("datname", DATABASE.into()),
            // One process serves everybody.
            ("pid", i64::from(std::process::id()).into()),
            ("leader_pid", Cell::Null),
            ("client_port", Cell::Null),
            ("backend_xid", Cell::Null),
            ("backend_xmin", Cell::Null),
            ("query_id", Cell::Null),
            ("usesysid", oid.into()),
            ("usename", record.user.into()),
            ("application_name", record.via.into()),
            ("query_start", started.clone()),
            ("state_change", started),
            ("state", "active".into()),
            ("query", if is_told { record.sql } else { "<insufficient privilege>".into() }.into()),
            ("backend_type", "client backend".into()),
        ]);
    }
    rows.finish()
}

/// What a setting is: the value, and for what.
type Setting = (&'static str, String, &'static str, &'static str, &'static str);

fn all(world: &World) -> Vec<Setting> {
    let fixed = |text: &str| text.to_owned();
    let version = POSTGRES_VERSION.split_once('.');
    let number = version.map_or_else(String::new, |(major, minor)| format!("{major}{minor:0>4}"));
    let longest = polder_types::limits::NAME_BYTES_MAX.to_string();
    let path = world.path().join(", ");
    vec![
        ("DateStyle", fixed("ISO, MDY"), "Client", "How days are written.", "string"),
        ("IntervalStyle", fixed("postgres"), "Client", "How intervals are written.", "enum"),
        ("TimeZone", world.zone().to_owned(), "Client", "The zone of times with a zone.", "string"),
        ("bytea_output", fixed("hex"), "Client", "How bytes are written.", "enum"),
        ("client_encoding", fixed("UTF8"), "Client", "The encoding of texts.", "string"),
        ("default_transaction_isolation", fixed("repeatable read"), "Client", "What transactions see.", "enum"),
        ("default_table_access_method", fixed("heap"), "Preset", "How tables are kept: there is one way.", "string"),
        ("integer_datetimes", fixed("on"), "Preset", "Times are whole microseconds.", "bool"),
        ("jit", fixed("off"), "Preset", "Plans are run as they are.", "bool"),
        ("lc_collate", fixed("C"), "Client", "The order of texts.", "string"),
        ("lc_ctype", fixed("C"), "Client", "The classes of letters.", "string"),
        ("max_identifier_length", longest, "Preset", "Bytes of a name.", "integer"),
        ("max_index_keys", fixed("32"), "Preset", "Columns of an index.", "integer"),
        (
            "row_security",
            fixed(if world.row_security() { "on" } else { "off" }),
            "Client",
            "Tables are shown as far as their row policies let.",
            "bool",
        ),
        ("search_path", path, "Client", "Schemas in which names are looked for.", "string"),
        ("server_encoding", fixed("UTF8"), "Preset", "The encoding of texts.", "string"),
        ("server_version", fixed(POSTGRES_VERSION), "Preset", "The version of PostgreSQL that is spoken.", "string"),
        ("server_version_num", number, "Preset", "The same as a number.", "integer"),
        ("standard_conforming_strings", fixed("on"), "Client", "A backslash in a text is itself.", "bool"),
        ("transaction_isolation", fixed("repeatable read"), "Client", "What this transaction sees.", "enum"),
    ]
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
    rows.finish()
}

/// The value of a setting; none if there is no such.
pub(crate) fn setting(world: &World, name: &str) -> Option<String> {
    let known = all(world).into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    known.map(|(_, value, ..)| value).or_else(|| world.custom(name).cloned())
}
