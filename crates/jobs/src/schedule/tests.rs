use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::Schedule;

/// Checks the times between two others, all written as the zone's wall clock shows them, with the hours of the offset.
fn check(expression: &str, zone: &str, from: &str, until: &str, expected: &[&str]) {
    let schedule = Schedule::parse(expression, zone).unwrap();
    let zone: Tz = zone.parse().unwrap();
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let times = schedule.between(time(from), time(until), 1000);
    let shown: Vec<String> =
        times.iter().map(|time| time.with_timezone(&zone).format("%d %H:%M:%S%:::z").to_string()).collect();
    assert_eq!(shown, expected, "{expression} in {zone}");
    let last = times.last().copied();
    if last.is_some() {
        assert_eq!(schedule.last_until(time(until)), last, "{expression} in {zone}, backwards");
    }
}

#[test]
fn fields() {
    let check = |expression: &str, expected: &[&str]| {
        check(expression, "UTC", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", expected);
    };
    check("30 2 * * *", &["01 02:30:00+00", "02 02:30:00+00"]);
    check(
        "0 */8 * * *",
        &["01 08:00:00+00", "01 16:00:00+00", "02 00:00:00+00", "02 08:00:00+00", "02 16:00:00+00", "03 00:00:00+00"],
    );
    check("15 0 6 2 * *", &["02 06:00:15+00"]);
    check("@daily", &["02 00:00:00+00", "03 00:00:00+00"]);
    check("0 12 * JAN FRI", &["02 12:00:00+00"]);
    check("0 6,18 2 1 *", &["02 06:00:00+00", "02 18:00:00+00"]);
}

#[test]
fn last_days_and_weekdays() {
    check("0 0 L * *", "UTC", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z", &["31 00:00:00+00", "28 00:00:00+00"]);
    check(
        "0 0 * * MON#1",
        "UTC",
        "2026-01-01T00:00:00Z",
        "2026-02-15T00:00:00Z",
        &["05 00:00:00+00", "02 00:00:00+00"],
    );
    // The next leap day is far.
    check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-03-01T00:00:00Z", &["29 00:00:00+00"]);
}

/// In Amsterdam 02:00 becomes 03:00 on 2026-03-29.
#[test]
fn the_missing_hour() {
    let check = |expression: &str, expected: &[&str]| {
        check(expression, "Europe/Amsterdam", "2026-03-28T12:00:00Z", "2026-03-30T02:00:00Z", expected);
    };
    check("30 2 * * *", &["29 03:00:00+02", "30 02:30:00+02"]);
    check("0 2,14 * * *", &["28 14:00:00+01", "29 03:00:00+02", "29 14:00:00+02", "30 02:00:00+02"]);
    // Two that move to the same moment are one.
    check("0,30 2 * * *", &["29 03:00:00+02", "30 02:00:00+02", "30 02:30:00+02"]);
    check(
        "30 0-3 * * *",
        &[
            "29 00:30:00+01",
            "29 01:30:00+01",
            "29 03:30:00+02",
            "30 00:30:00+02",
            "30 01:30:00+02",
            "30 02:30:00+02",
            "30 03:30:00+02",
        ],
    );
}

/// In Amsterdam 03:00 becomes 02:00 on 2026-10-25.
#[test]
fn the_doubled_hour() {
    let check = |expression: &str, expected: &[&str]| {
        check(expression, "Europe/Amsterdam", "2026-10-24T22:00:00Z", "2026-10-25T03:00:00Z", expected);
    };
    check("30 2 * * *", &["25 02:30:00+02"]);
    check("0,30 2 * * *", &["25 02:00:00+02", "25 02:30:00+02"]);
    check("*/30 2 * * *", &["25 02:00:00+02", "25 02:30:00+02", "25 02:00:00+01", "25 02:30:00+01"]);
    check("0 * * * *", &["25 01:00:00+02", "25 02:00:00+02", "25 02:00:00+01", "25 03:00:00+01", "25 04:00:00+01"]);
}

/// Lord Howe moves by half an hour, and Samoa left a whole day out.
#[test]
fn odd_zones() {
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-02T15:00:00Z",
        "2026-10-04T16:00:00Z",
        &["03 02:15:00+10", "04 02:30:00+11", "05 02:15:00+11"],
    );
    check(
        "0 9 * * *",
        "Pacific/Apia",
        "2011-12-29T00:00:00Z",
        "2012-01-01T00:00:00Z",
        &["29 09:00:00-10", "31 09:00:00+14", "01 09:00:00+14"],
    );
}

#[test]
fn a_year_has_as_many_days_as_it_has() {
    for zone in ["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"] {
        for (expression, expected) in [("30 2 * * *", 365), ("0 0 * * MON", 52), ("0 2,3 * * *", 730)] {
            let schedule = Schedule::parse(expression, zone).unwrap();
            let (from, until) = ("2026-01-01T12:00:00Z".parse().unwrap(), "2027-01-01T12:00:00Z".parse().unwrap());
            let count = schedule.between(from, until, 10_000).len();
            // Both of the last one's times come together on the one day without 02:00.
            let merged =
                usize::from(expression == "0 2,3 * * *" && ["Europe/Amsterdam", "America/New_York"].contains(&zone));
            assert_eq!(count, expected - merged, "{expression} in {zone}");
        }
        let hourly = Schedule::parse("0 * * * *", zone).unwrap();
        let (from, until) = ("2026-01-01T12:00:00Z".parse().unwrap(), "2027-01-01T12:00:00Z".parse().unwrap());
        let hours = hourly.between(from, until, 10_000).len();
        assert!((8759..=8761).contains(&hours), "{hours} hours in {zone}");
    }
}

#[test]
fn refusals() {
    let check = |expression: &str, zone: &str, expected: &str| {
        let error = Schedule::parse(expression, zone).unwrap_err();
        assert_eq!(error.code(), "22023");
        assert!(error.message().contains(expected), "{error}");
        assert!(error.hint().is_some());
    };
    check("* * * *", "UTC", "cannot be used");
    check("", "UTC", "cannot be used");
    check("61 * * * *", "UTC", "cannot be used");
    check("0 0 30 2 *", "UTC", "never due");
    check("0 0 1 1 * 2030 9", "UTC", "cannot be used");
    check("every day", "UTC", "cannot be used");
    check("* * * * *", "Europe/Atlantis", "no time zone \"Europe/Atlantis\"");
}
