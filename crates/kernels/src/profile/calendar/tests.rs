use super::{date_text, month_of, month_start, time_text, timestamp_text};

#[test]
fn dates() {
    let check = |day: i128, expected: &str| assert_eq!(date_text(day), expected);
    check(0, "1970-01-01");
    check(-1, "1969-12-31");
    check(59, "1970-03-01");
    check(11_016, "2000-02-29");
    check(15_706, "2013-01-01");
    check(-25_508, "1900-03-01");
    check(-719_528, "0000-01-01");
    check(-719_529, "-0001-12-31");
    check(2_932_896, "9999-12-31");
    check(2_932_897, "+10000-01-01");
}

#[test]
fn times() {
    let check = |ticks, per_second, expected: &str| assert_eq!(time_text(ticks, per_second), expected);
    check(0, 1, "00:00:00");
    check(86_399, 1, "23:59:59");
    check(86_400, 1, "24:00:00");
    check(1_500, 1_000, "00:00:01.5");
    check(1, 1_000_000_000, "00:00:00.000000001");
    assert_eq!(timestamp_text(-1, 1_000), "1969-12-31T23:59:59.999");
    assert_eq!(timestamp_text(1_357_016_400, 1), "2013-01-01T05:00:00");
}

#[test]
fn every_day_lies_in_its_month() {
    let mut day = month_start(-12 * 401);
    for month in -12 * 401..12 * 2_401 {
        let next = month_start(month + 1);
        assert_eq!(day, month_start(month));
        assert!((28..=31).contains(&(next - day)));
        for (of_month, day) in (1..).zip(day..next) {
            assert_eq!(month_of(day), (month, of_month));
        }
        day = next;
    }
}

#[test]
fn years_far_away_come_back() {
    for month in [-12_000_000_000_000, -7_777_777_777_777, 3_333_333_333_335, 12_000_000_000_000] {
        assert_eq!(month_of(month_start(month)), (month, 1));
        assert_eq!(month_of(month_start(month) - 1).0, month - 1);
    }
}
