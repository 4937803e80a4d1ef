//! Local times of a zone, as PostgreSQL takes them.

use arrow::array::timezone::Tz;
use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone};

/// The instant at which a zone's clocks show a time: of two, the one with standard time; a time that is skipped counts
/// as if the clocks had not been moved yet. Both in microseconds since 1970; `None` beyond what can be counted.
#[must_use]
pub fn instant(zone: Tz, local: i64) -> Option<i64> {
    let naive = DateTime::from_timestamp_micros(local)?.naive_utc();
    local.checked_sub(i64::from(offset_at(zone, &naive)?) * 1_000_000)
}

/// Seconds east of Greenwich.
fn offset_at(zone: Tz, naive: &NaiveDateTime) -> Option<i32> {
    match zone.offset_from_local_datetime(naive) {
        LocalResult::Single(offset) => Some(offset.fix().local_minus_utc()),
        LocalResult::Ambiguous(one, other) => Some(one.fix().local_minus_utc().min(other.fix().local_minus_utc())),
        LocalResult::None => {
            let before = naive.checked_sub_signed(Duration::hours(4))?;
            match zone.offset_from_local_datetime(&before) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Some(offset.fix().local_minus_utc()),
                LocalResult::None => None,
            }
        }
    }
}
