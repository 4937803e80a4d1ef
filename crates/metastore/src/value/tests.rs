use super::*;

fn check_time(text: &str, expected: Option<&str>) {
    let parsed = parse_time(text);
    assert_eq!(parsed.map(|time| TimeText(time).to_string()).as_deref(), expected, "{text}");
}

#[test]
fn times_are_read_in_every_spelling() {
    check_time("2026-11-23 06:57:49.036332+00", Some("2026-11-23 06:57:49.036332+00"));
    check_time("2026-11-23 06:57:49+00", Some("2026-11-23 06:57:49+00"));
    check_time("2026-11-23 06:57:49.5+00", Some("2026-11-23 06:57:49.5+00"));
    check_time("2026-11-23T06:57:49.500Z", Some("2026-11-23 06:57:49.5+00"));
    check_time("2026-11-23 06:57:49", Some("2026-11-23 06:57:49+00"));
    check_time("2026-11-23 06:57:49+02", Some("2026-11-23 04:57:49+00"));
    check_time("2026-11-23 06:57:49-03:30", Some("2026-11-23 10:27:49+00"));
    check_time("2026-11-23 06:57:49+0530", Some("2026-11-23 01:27:49+00"));
    check_time("2026-11-23", Some("2026-11-23 00:00:00+00"));
    check_time("infinity", None);
    check_time("", None);
    check_time("2026-11-23 06:57:49+xx", None);
    check_time("ünïcödé text that is long", None);
}

#[test]
fn time_texts_order_as_times_do() {
    let base = parse_time("2026-11-23 06:57:49+00").unwrap();
    let micros = [0, 1, 500_000, 530_000, 999_999];
    let texts: Vec<_> =
        micros.iter().map(|micros| TimeText(base + chrono::Duration::microseconds(*micros)).to_string()).collect();
    assert!(texts.is_sorted(), "{texts:?}");
}

fn check_read<T: PartialEq + std::fmt::Debug>(value: Value, read: impl Fn(&Row) -> Result<T>, expected: Option<T>) {
    let row = Row::new(vec![value]);
    match (read(&row), expected) {
        (Ok(found), Some(expected)) => assert_eq!(found, expected),
        (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        (found, expected) => panic!("{row:?} gave {found:?}, not {expected:?}"),
    }
}

#[test]
fn both_databases_spellings_are_read() {
    check_read(Value::Int(7), |row| row.int(0), Some(7));
    check_read(Value::Bool(true), |row| row.int(0), Some(1));
    check_read(Value::Text("12".into()), |row| row.int(0), Some(12));
    check_read(Value::Null, |row| row.int(0), None);
    check_read(Value::Null, |row| row.opt_int(0), Some(None));
    check_read(Value::Text("x".into()), |row| row.int(0), None);
    check_read(Value::Int(1), |row| row.bool(0), Some(true));
    check_read(Value::Bool(false), |row| row.bool(0), Some(false));
    check_read(Value::Int(2), |row| row.bool(0), None);
    check_read(Value::Text("t".into()), |row| row.text(0).map(str::to_owned), Some("t".to_owned()));
    check_read(Value::Int(2), |row| row.text(0).map(str::to_owned), None);
    check_read(Value::Int(2), |row| row.float(0), Some(2.0));
    let uuid = Uuid::from_u128(5);
    check_read(Value::Text(uuid.to_string()), |row| row.uuid(0), Some(uuid));
    check_read(Value::Uuid(uuid), |row| row.uuid(0), Some(uuid));
    check_read(Value::Text("no".into()), |row| row.uuid(0), None);
    let time = parse_time("2024-01-01 00:00:00+00").unwrap();
    check_read(Value::Text("2024-01-01 00:00:00+00".into()), |row| row.time(0), Some(time));
    check_read(Value::Time(time), |row| row.time(0), Some(time));
}

#[test]
fn a_column_that_is_not_there_is_an_error() {
    assert_eq!(Row::new(vec![]).int(0).unwrap_err().kind(), ErrorKind::Internal);
}
