use super::Zone;

fn check(zone: &str, text: &str, written: &str) {
    let zone = Zone::parse(zone).unwrap();
    assert_eq!(zone.write(zone.read(text).unwrap()).unwrap(), written, "{text:?}");
}

#[test]
fn reads_and_writes() {
    check("UTC", "2024-01-01 12:00:00+02", "2024-01-01 10:00:00+00");
    check("UTC", "2024-01-01", "2024-01-01 00:00:00+00");
    check("UTC", "2024-01-01 9:05", "2024-01-01 09:05:00+00");
    check("UTC", "2024-06-01 12:00:00 Europe/Paris", "2024-06-01 10:00:00+00");
    check("UTC", "2024-06-01T12:00:00Z", "2024-06-01 12:00:00+00");
    check("UTC", "2024-06-01 12:00:00 pst", "2024-06-01 20:00:00+00");
    check("UTC", "2024-06-01 12:00:00.25-0530", "2024-06-01 17:30:00.25+00");
    check("Europe/Paris", "2024-07-01 12:00:00", "2024-07-01 12:00:00+02");
    check("Europe/Paris", "2024-07-01 12:00:00Z", "2024-07-01 14:00:00+02");
    check("asia/kolkata", "2024-07-01 12:00:00Z", "2024-07-01 17:30:00+05:30");
    // An hour that does not exist, and one that comes twice.
    check("Europe/Amsterdam", "2024-03-31 02:30:00", "2024-03-31 03:30:00+02");
    check("Europe/Amsterdam", "2024-10-27 02:30:00", "2024-10-27 02:30:00+01");
    // POSIX: what is ahead of Greenwich has a minus.
    check("+02", "2024-07-01 12:00:00Z", "2024-07-01 10:00:00-02");
}

fn refused(text: &str, code: &str) {
    let utc = Zone::parse("UTC").unwrap();
    assert_eq!(utc.read(text).unwrap_err().code(), code, "{text:?}");
}

#[test]
fn refuses() {
    refused("tomorrow", "22007");
    refused("2024-02-30", "22008");
    refused("2024-01-01 12:00 Nowhere/Land", "22023");
    assert_eq!(Zone::parse("Nowhere/Land").unwrap_err().code(), "22023");
}
