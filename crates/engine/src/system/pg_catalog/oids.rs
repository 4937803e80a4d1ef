//! Object ids: the same after a restart, since they are made from ids that the lake keeps for good.
//!
//! The lake numbers schemas, tables, views and functions with one counter, and never gives a number twice. Each number gets
//! a block of [`SLOTS`] object ids, from [`FIRST`] on, which is where PostgreSQL begins with objects of its users: the first
//! is that of the object, the others are those of what hangs on it, such as its row type and its indexes. Indexes and
//! constraints have their places in the table's list of them: if one is dropped, those behind it move up.
//! A table that is moved into another schema gets another number there, and goes on with the object ids of the first
//! (`TableState::known_id`).
//!
//! What an open transaction has made has a provisional number, which is exchanged at the commit; its blocks are the last
//! quarter of all object ids, and are exchanged with it. 25 million objects can be made before numbers begin anew.
//!
//! Topics are not the lake's: theirs are the last ones of all, taken from ids that are drawn by chance.
//!
//! Below [`FIRST`] is what is fixed: PostgreSQL's own tables and types have the object ids that they have there.

use polder_lake::PROVISIONAL;
use uuid::Uuid;

/// The first one that is not fixed.
pub(crate) const FIRST: i64 = 16_384;

/// The first one of what is provisional.
const FIRST_PROVISIONAL: i64 = 3 << 30;

/// The first one that four bytes do not hold.
const END: i64 = 1 << 32;

/// As many as topics share.
const TOPICS: i64 = 1 << 24;

/// The first one of a topic.
const FIRST_TOPIC: i64 = END - TOPICS;

/// Object ids of one object of the lake, and of what hangs on it.
const SLOTS: i64 = 128;

/// Columns of a table whose defaults have object ids of their own. These are ids within `pg_attrdef`, which no other
/// table has to do with.
const COLUMNS: i64 = 2_048;

/// The row type of a table or view, and the type of arrays of it.
pub(crate) const ROW_TYPE: i64 = 1;
pub(crate) const ROW_ARRAY: i64 = 2;

/// The rule that makes a view what it is.
pub(crate) const RULE: i64 = 3;

/// The first of the indexes and of the keys that they are for; as many as fit are shown.
pub(crate) const INDEX: i64 = 4;
pub(crate) const INDEXES_MAX: usize = 60;

/// The first of the checks.
pub(crate) const CHECK: i64 = 64;
pub(crate) const CHECKS_MAX: usize = 40;

/// The first of the foreign keys.
pub(crate) const FOREIGN: i64 = 104;
pub(crate) const FOREIGN_MAX: usize = 24;

/// The first of the sequences of identities.
pub(crate) const SEQUENCE: i64 = 64;
pub(crate) const SEQUENCES_MAX: usize = 64;

/// PostgreSQL's fixed ones.
pub(crate) const PG_CATALOG: i64 = 11;
pub(crate) const INFORMATION_SCHEMA: i64 = 13_000;
pub(crate) const POLDER: i64 = 13_001;
pub(crate) const TOPICS_SCHEMA: i64 = 13_002;
pub(crate) const DATABASE: i64 = 5;
pub(crate) const OWNER: i64 = 10;
pub(crate) const TABLESPACE: i64 = 1_663;
pub(crate) const COLLATION: i64 = 100;
pub(crate) const HEAP: i64 = 2;
pub(crate) const BTREE: i64 = 403;

/// The first of the tables of `information_schema`, of `polder`, and of the functions of the system.
pub(crate) const INFORMATION_TABLES: i64 = 13_100;
pub(crate) const POLDER_TABLES: i64 = 13_500;
pub(crate) const FUNCTIONS: i64 = 10_000;

fn block(id: i64, slot: i64, slots: i64) -> i64 {
    let (first, end, id) = match id.checked_sub(PROVISIONAL) {
        Some(provisional) if provisional >= 0 => (FIRST_PROVISIONAL, FIRST_TOPIC, provisional),
        _ => (FIRST, FIRST_PROVISIONAL, id),
    };
    let blocks = (end - first) / slots;
    first + id.rem_euclid(blocks) * slots + slot
}

/// The object id of something in the lake, or of what hangs on it.
pub(crate) fn of(id: i64, slot: i64) -> i64 {
    block(id, slot, SLOTS)
}

/// The object id of a topic. Two topics have the same one so seldom that whoever lists them looks for it.
pub(crate) fn of_topic(id: Uuid) -> i64 {
    let (high, low) = id.as_u64_pair();
    FIRST_TOPIC + ((high ^ low) % TOPICS.unsigned_abs()) as i64
}

/// The object id that a topic has if another one has that one.
pub(crate) fn topic_after(oid: i64) -> i64 {
    if oid + 1 < END { oid + 1 } else { FIRST_TOPIC }
}

/// The object id of a column's default.
pub(crate) fn of_default(table: i64, column: i64) -> i64 {
    block(table, column.rem_euclid(COLUMNS), COLUMNS)
}

/// The object id of a table's policy, within `pg_policy`.
pub(crate) fn of_policy(table: i64, number: u32) -> i64 {
    block(table, i64::from(number) % COLUMNS, COLUMNS)
}

/// The object id of the index, or of the key that it is for, at a place in a table's list of them.
pub(crate) fn of_index(table: i64, place: usize) -> i64 {
    of(table, INDEX + place as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_meet() {
        assert_eq!(of(1, 0), 16_512);
        assert_eq!(of(1, SLOTS - 1) + 1, of(2, 0));
        assert_eq!(of_index(7, 3), of(7, 7));
        assert_eq!(of(PROVISIONAL, 0), 3_221_225_472);
        assert!(of(PROVISIONAL + 8_000_000, SLOTS - 1) < FIRST_TOPIC);
        assert_eq!(of_topic(Uuid::from_u128(5)), FIRST_TOPIC + 5);
        assert!((FIRST_TOPIC..END).contains(&of_topic(Uuid::max())));
        assert!(of(25_000_000, SLOTS - 1) < FIRST_PROVISIONAL);
        assert_ne!(of_default(4, 1), of_default(5, 1));
    }

    #[test]
    fn what_hangs_on_an_object_stays_in_its_block() {
        assert!(INDEX + INDEXES_MAX as i64 <= CHECK && CHECK + CHECKS_MAX as i64 <= FOREIGN);
        assert!(FOREIGN + FOREIGN_MAX as i64 <= SLOTS);
        assert!(INDEX + INDEXES_MAX as i64 <= SEQUENCE && SEQUENCE + SEQUENCES_MAX as i64 <= SLOTS);
    }
}
