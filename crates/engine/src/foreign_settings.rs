//! PostgreSQL's own settings that mean nothing here. Clients and scripts set and ask for them: their values are looked at and
//! kept, as PostgreSQL does it, and whoever sets one is told that it changes nothing.

use std::collections::BTreeMap;

use polder_capability::Notice;
use polder_types::{Error, Result};

use crate::units::Unit::{self, Kibibytes, Milliseconds, Pages, Things};
use crate::units::real;

/// What values one takes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Switch,
    /// The least and the most, counted in the unit.
    Whole(Unit, i64, i64),
    Real(f64, f64),
    Word(&'static [&'static str]),
}

use Kind::{Real, Switch, Whole, Word};

/// A setting of PostgreSQL's.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub name: &'static str,
    /// PostgreSQL 15's, as SHOW has it, but where that would not be true of this server.
    pub default: &'static str,
    kind: Kind,
    /// Whether a session may set it. PostgreSQL takes the others from its files, when it starts.
    pub is_open: bool,
}

const INT_MAX: i64 = i32::MAX as i64;
const COST: Kind = Real(0.0, f64::MAX);
const SOME_MEMORY: Kind = Whole(Pages, 0, 715_827_882);

const fn open(name: &'static str, default: &'static str, kind: Kind) -> Foreign {
    Foreign { name, default, kind, is_open: true }
}

const fn of_the_start(name: &'static str, default: &'static str, kind: Kind) -> Foreign {
    Foreign { name, default, kind, is_open: false }
}

/// All of them, by their names.
pub(crate) const ALL: &[Foreign] = &[
    open("commit_delay", "0", Whole(Things, 0, 100_000)),
    open("commit_siblings", "5", Whole(Things, 0, 1_000)),
    open("constraint_exclusion", "partition", Word(&["partition", "on", "off"])),
    open("cpu_index_tuple_cost", "0.005", COST),
    open("cpu_operator_cost", "0.0025", COST),
    open("cpu_tuple_cost", "0.01", COST),
    open("cursor_tuple_fraction", "0.1", Real(0.0, 1.0)),
    open("deadlock_timeout", "1s", Whole(Milliseconds, 1, INT_MAX)),
    open("default_statistics_target", "100", Whole(Things, 1, 10_000)),
    open("effective_cache_size", "4GB", Whole(Pages, 1, INT_MAX)),
    open("effective_io_concurrency", "1", Whole(Things, 0, 1_000)),
    open("enable_async_append", "on", Switch),
    open("enable_bitmapscan", "on", Switch),
    open("enable_gathermerge", "on", Switch),
    open("enable_hashagg", "on", Switch),
    open("enable_hashjoin", "on", Switch),
    open("enable_incremental_sort", "on", Switch),
    open("enable_indexonlyscan", "on", Switch),
    open("enable_indexscan", "on", Switch),
    open("enable_material", "on", Switch),
    open("enable_memoize", "on", Switch),
    open("enable_mergejoin", "on", Switch),
    open("enable_nestloop", "on", Switch),
    open("enable_parallel_append", "on", Switch),
    open("enable_parallel_hash", "on", Switch),
    open("enable_partition_pruning", "on", Switch),
    open("enable_partitionwise_aggregate", "off", Switch),
    open("enable_partitionwise_join", "off", Switch),
    open("enable_seqscan", "on", Switch),
    open("enable_sort", "on", Switch),
    open("enable_tidscan", "on", Switch),
    open("force_parallel_mode", "off", Word(&["off", "on", "regress"])),
    open("from_collapse_limit", "8", Whole(Things, 1, INT_MAX)),
    open("geqo", "on", Switch),
    open("geqo_effort", "5", Whole(Things, 1, 10)),
    open("geqo_generations", "0", Whole(Things, 0, INT_MAX)),
    open("geqo_pool_size", "0", Whole(Things, 0, INT_MAX)),
    open("geqo_seed", "0", Real(0.0, 1.0)),
    open("geqo_selection_bias", "2", Real(1.5, 2.0)),
    open("geqo_threshold", "12", Whole(Things, 2, INT_MAX)),
    open("hash_mem_multiplier", "2", Real(1.0, 1_000.0)),
    // PostgreSQL's is on; drivers turn it off where it is.
    open("jit", "off", Switch),
    open("jit_above_cost", "100000", Real(-1.0, f64::MAX)),
    open("jit_inline_above_cost", "500000", Real(-1.0, f64::MAX)),
    open("jit_optimize_above_cost", "500000", Real(-1.0, f64::MAX)),
    open("join_collapse_limit", "8", Whole(Things, 1, INT_MAX)),
    open("lock_timeout", "0", Whole(Milliseconds, 0, INT_MAX)),
    open("maintenance_io_concurrency", "10", Whole(Things, 0, 1_000)),
    open("maintenance_work_mem", "64MB", Whole(Kibibytes, 1_024, INT_MAX)),
    // As many as this server has: pools of connections go by it.
    of_the_start("max_connections", "500", Whole(Things, 1, 262_143)),
    open("max_parallel_maintenance_workers", "2", Whole(Things, 0, 1_024)),
    open("max_parallel_workers", "8", Whole(Things, 0, 1_024)),
    open("max_parallel_workers_per_gather", "2", Whole(Things, 0, 1_024)),
    open("min_parallel_index_scan_size", "512kB", SOME_MEMORY),
    open("min_parallel_table_scan_size", "8MB", SOME_MEMORY),
    open("parallel_leader_participation", "on", Switch),
    open("parallel_setup_cost", "1000", COST),
    open("parallel_tuple_cost", "0.1", COST),
    open("plan_cache_mode", "auto", Word(&["auto", "force_generic_plan", "force_custom_plan"])),
    open("random_page_cost", "4", COST),
    open("seq_page_cost", "1", COST),
    of_the_start("shared_buffers", "128MB", Whole(Pages, 16, 1_073_741_823)),
    open("synchronous_commit", "on", Word(&["local", "remote_write", "remote_apply", "on", "off"])),
    open("temp_buffers", "8MB", Whole(Pages, 100, 1_073_741_823)),
    of_the_start("wal_level", "replica", Word(&["minimal", "replica", "logical"])),
    open("work_mem", "4MB", Whole(Kibibytes, 64, INT_MAX)),
];

pub(crate) fn find(name: &str) -> Option<&'static Foreign> {
    ALL.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

/// The value of one of them in a session. `kept`: what that has set.
pub(crate) fn shown(name: &str, kept: &BTreeMap<String, String>) -> Option<String> {
    let known = find(name)?;
    Some(kept.get(known.name).cloned().unwrap_or_else(|| known.default.to_owned()))
}

/// What whoever has set one is told, unless it is as it would be anyway.
pub(crate) fn notice(name: &str, kept: &BTreeMap<String, String>) -> Option<Notice> {
    let known = find(name)?;
    let value = kept.get(known.name).filter(|value| value.as_str() != known.default)?;
    let mut notice =
        Notice::new(format!("parameter \"{name}\" means nothing here: {value} is shown, and changes nothing"));
    notice.hint = known.instead().map(str::to_owned);
    Some(notice)
}

impl Foreign {
    /// The value that is kept of one that SET gives, as SHOW shows it.
    ///
    /// # Errors
    /// As of PostgreSQL: `InvalidInput`, 22023, or 55P02 for one that no session sets.
    pub(crate) fn taken(&self, values: &[String]) -> Result<String> {
        self.check_open()?;
        let name = self.name;
        let [value] = values else {
            return Err(Error::invalid(format!("SET {name} takes only one argument")).with_code("22023"));
        };
        let value = value.trim();
        let shown = match self.kind {
            Switch => switch(value).map(|on| if on { "on" } else { "off" }.to_owned()),
            Whole(unit, ..) => unit.count(value).map(|count| unit.shown(count)),
            Real(..) => real(value).map(shortest),
            Word(words) => word(words, value).map(str::to_owned),
        };
        let shown = shown.ok_or_else(|| self.wrong(value))?;
        let fits = match self.kind {
            Whole(unit, least, most) => unit.count(value).is_some_and(|count| (least..=most).contains(&count)),
            Real(least, most) => real(value).is_some_and(|number| (least..=most).contains(&number)),
            Switch | Word(_) => true,
        };
        if fits {
            return Ok(shown);
        }
        let (least, most) = self.range();
        let range = format!("{} .. {}", least.unwrap_or_default(), most.unwrap_or_default());
        Err(Error::invalid(format!("{value} is outside the valid range for parameter \"{name}\" ({range})"))
            .with_code("22023"))
    }

    /// # Errors
    /// `InvalidInput` (55P02) for one that no session sets.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_open {
            return Ok(());
        }
        let message = format!("parameter \"{}\" cannot be changed without restarting the server", self.name);
        Err(Error::invalid(message).with_code("55P02"))
    }

    fn wrong(&self, value: &str) -> Error {
        let name = self.name;
        let message = match self.kind {
            Switch => format!("parameter \"{name}\" requires a Boolean value"),
            _ => format!("invalid value for parameter \"{name}\": \"{value}\""),
        };
        let error = Error::invalid(message).with_code("22023");
        match self.kind {
            Whole(Kibibytes | Pages, ..) => {
                error.with_hint("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".")
            }
            Whole(Milliseconds, ..) => {
                error.with_hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
            }
            Word(words) => error.with_hint(format!("Available values: {}.", words.join(", "))),
            Switch | Whole(..) | Real(..) => error,
        }
    }

    /// What does here what it is set for.
    fn instead(&self) -> Option<&'static str> {
        match self.name {
            "work_mem" | "maintenance_work_mem" | "hash_mem_multiplier" => Some("SET statement_memory"),
            "lock_timeout" | "deadlock_timeout" => Some("nothing waits for a lock: the first to commit wins"),
            "synchronous_commit" => Some("what is committed is on the disk"),
            _ => None,
        }
    }

    /// PostgreSQL's word for its kind of values.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self.kind {
            Switch => "bool",
            Whole(..) => "integer",
            Real(..) => "real",
            Word(_) => "enum",
        }
    }

    /// The unit that `pg_settings` counts in.
    pub(crate) const fn unit(&self) -> Option<&'static str> {
        match self.kind {
            Whole(Kibibytes, ..) => Some("kB"),
            Whole(Pages, ..) => Some("8kB"),
            Whole(Milliseconds, ..) => Some("ms"),
            _ => None,
        }
    }

    /// A value that SHOW shows, counted in the unit.
    pub(crate) fn counted(&self, shown: &str) -> String {
        match self.kind {
            Whole(unit, ..) => unit.count(shown).map_or_else(|| shown.to_owned(), |count| count.to_string()),
            _ => shown.to_owned(),
        }
    }

    /// The least and the most.
    pub(crate) fn range(&self) -> (Option<String>, Option<String>) {
        match self.kind {
            Whole(_, least, most) => (Some(least.to_string()), Some(most.to_string())),
            Real(least, most) => (Some(shortest(least)), Some(shortest(most))),
            Switch | Word(_) => (None, None),
        }
    }

    pub(crate) fn words(&self) -> Option<Vec<String>> {
        match self.kind {
            Word(words) => Some(words.iter().map(|word| (*word).to_owned()).collect()),
            _ => None,
        }
    }
}

/// A number as C's `%g` has it.
fn shortest(number: f64) -> String {
    let written = format!("{number:.5e}");
    let Some((digits, exponent)) = written.split_once('e') else { return written };
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..=5) => {
            let places = usize::try_from(5 - exponent).unwrap_or_default();
            trimmed(&format!("{number:.places$}"))
        }
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
        }
        Err(_) => written,
    }
}

/// A word that means yes or no, or the beginning of one.
fn switch(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    match value.as_str() {
        "on" | "1" => Some(true),
        "0" => Some(false),
        _ if begins("true", 1) || begins("yes", 1) => Some(true),
        _ if begins("false", 1) || begins("no", 1) || begins("off", 2) => Some(false),
        _ => None,
    }
}

/// One of the words. Where on and off are among them, what means the same is taken too.
fn word(words: &'static [&'static str], value: &str) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    let meant = match value.as_str() {
        "true" | "yes" | "1" => "on",
        "false" | "no" | "0" => "off",
        other => other,
    };
    words.iter().find(|word| **word == meant).copied()
}

#[cfg(test)]
mod tests;
