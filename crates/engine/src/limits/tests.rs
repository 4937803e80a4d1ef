use std::collections::BTreeMap;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::MemoryConsumer;

use super::{Allowance, LimitSettings, StatementMemory, bytes, shown};

fn role(settings: &[(&str, &str)], is_superuser: bool) -> LimitSettings {
    let settings: BTreeMap<_, _> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    LimitSettings::of_role(&settings, is_superuser).unwrap()
}

#[test]
fn amounts_are_read_and_shown() {
    for (text, read) in [
        ("0", None),
        ("1", Some(1)),
        ("8kB", Some(8192)),
        (" 3 GB", Some(3 << 30)),
        ("2TB", Some(2 << 40)),
        ("1.5GB", Some(3 << 29)),
    ] {
        assert_eq!(bytes("max_bytes_scanned", text).unwrap(), read, "{text}");
    }
    for text in ["", "much", "-1", "-5kB", "9999999TB", "1gb"] {
        assert_eq!(bytes("max_bytes_scanned", text).unwrap_err().code(), "22023", "{text}");
    }
    for (value, text) in
        [(None, "0"), (Some(1), "1B"), (Some(1536), "1536B"), (Some(8192), "8kB"), (Some(3 << 30), "3GB")]
    {
        assert_eq!(shown(value), text);
    }
}

#[test]
fn a_role_is_a_ceiling_but_for_superusers() {
    let mut limits = role(&[("max_bytes_scanned", "10MB"), ("search_path", "x")], false);
    assert_eq!(limits.show("max_bytes_scanned").as_deref(), Some("10MB"));
    limits.set("max_bytes_scanned", "5MB").unwrap();
    for above in ["11MB", "0"] {
        let error = limits.set("max_bytes_scanned", above).unwrap_err();
        assert_eq!((error.code(), error.hint()), ("42501", Some("your role's limit is 10MB; it can be set lower")));
    }
    let mut timed = role(&[("statement_timeout", "5s")], false);
    assert_eq!(timed.set("statement_timeout", "1min").unwrap_err().code(), "42501");
    timed.set("statement_timeout", "250").unwrap();
    assert_eq!(timed.show("statement_timeout").as_deref(), Some("250ms"));
    // What the role does not limit, a session may.
    limits.set("statement_memory", "1GB").unwrap();
    limits.set("statement_memory", "0").unwrap();
    assert_eq!(limits.show("max_bytes_scanned").as_deref(), Some("5MB"));
    limits.set("max_bytes_scanned", "default").unwrap();
    assert_eq!(limits, limits.unset());
    assert!(!limits.reset("search_path", limits));
    let mut limits = role(&[("max_bytes_scanned", "10MB")], true);
    limits.set("max_bytes_scanned", "0").unwrap();
    assert_eq!(limits.show("max_bytes_scanned").as_deref(), Some("0"));
}

#[test]
fn what_is_read_is_checked_before_and_while() {
    let allowed = Allowance { statement: Some(100), day: Some((1_000, 950)), before: 7, ends: None };
    allowed.check_plan(7, 50).unwrap();
    let error = allowed.check_plan(7, 101).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("53400", "the statement would read 101 bytes, and max_bytes_scanned allows 100")
    );
    let error = allowed.check_plan(8, 50).unwrap_err();
    assert!(error.message().contains("950 were read today"), "{error}");
    allowed.check_plan(7, 0).unwrap();
    allowed.check_read(1_000).unwrap();
    assert_eq!(allowed.check_read(2 << 20).unwrap_err().code(), "53400");
    assert!(!Allowance::default().is_limited());
    let over = Allowance { ends: Some(std::time::Instant::now()), ..Allowance::default() };
    assert_eq!(over.check_read(0).unwrap_err().code(), "57014");
}

#[test]
fn the_plans_of_a_statement_share_its_memory() {
    let (state, memory) = (SessionStateBuilder::new().build(), StatementMemory::default());
    let reserved = |bytes: Option<u64>, wanted: usize| {
        let context = memory.context(&state, bytes).unwrap();
        let reservation = MemoryConsumer::new("a plan").register(context.memory_pool());
        reservation.try_grow(wanted).map(|()| reservation)
    };
    let first = reserved(Some(100), 60).unwrap();
    assert!(reserved(Some(100), 41).is_err());
    assert!(reserved(Some(100), 40).is_ok());
    assert!(reserved(None, 1_000).is_ok());
    drop(first);
    assert!(reserved(Some(100), 100).is_ok());
}
