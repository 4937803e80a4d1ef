use super::*;

/// What SHOW shows after a SET, or the code of its error.
fn set(name: &str, value: &str) -> String {
    let taken = find(name).unwrap().taken(&[value.to_owned()]);
    taken.unwrap_or_else(|error| error.code().to_owned())
}

#[test]
fn values_are_taken_and_shown_as_by_postgresql() {
    for (name, value, shown) in [
        ("work_mem", "64MB", "64MB"),
        ("work_mem", "65536", "64MB"),
        ("work_mem", "1.5 GB", "1536MB"),
        ("work_mem", "100", "100kB"),
        ("work_mem", "1", "22023"),
        ("work_mem", "64mb", "22023"),
        ("work_mem", "9TB", "22023"),
        ("work_mem", "", "22023"),
        ("temp_buffers", "1000", "8000kB"),
        ("effective_cache_size", "2GB", "2GB"),
        ("lock_timeout", "1s", "1s"),
        ("lock_timeout", "0", "0"),
        ("lock_timeout", "90000", "90s"),
        ("lock_timeout", "1500us", "2ms"),
        ("lock_timeout", "-1", "22023"),
        ("enable_seqscan", "OF", "off"),
        ("enable_seqscan", "t", "on"),
        ("enable_seqscan", "o", "22023"),
        ("random_page_cost", "1.10", "1.1"),
        ("random_page_cost", "10000000", "1e+07"),
        ("random_page_cost", "0.00001", "1e-05"),
        ("random_page_cost", "-1", "22023"),
        ("random_page_cost", "x", "22023"),
        ("synchronous_commit", "LOCAL", "local"),
        ("synchronous_commit", "false", "off"),
        ("synchronous_commit", "maybe", "22023"),
        ("max_connections", "10", "55P02"),
    ] {
        assert_eq!(set(name, value), shown, "{name} = {value}");
    }
}

#[test]
fn defaults_are_values_of_their_own_kind() {
    for known in ALL {
        let open = Foreign { name: known.name, default: known.default, kind: known.kind, is_open: true };
        assert_eq!(open.taken(&[known.default.to_owned()]).unwrap(), known.default, "{}", known.name);
    }
    let connections = polder_types::limits::SESSIONS_MAX.to_string();
    assert_eq!(find("max_connections").unwrap().default, connections);
}

#[test]
fn who_sets_one_is_told_that_it_means_nothing() {
    let kept = |value: &str| BTreeMap::from([("work_mem".to_owned(), value.to_owned())]);
    assert!(notice("work_mem", &kept("64MB")).is_some_and(|notice| notice.message.contains("means nothing here")));
    assert!(notice("work_mem", &kept("4MB")).is_none());
    assert!(notice("search_path", &kept("4MB")).is_none());
}
