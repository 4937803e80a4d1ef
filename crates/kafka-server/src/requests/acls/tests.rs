use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{Grantee, TopicAcl, TopicAcls, TopicGrant};

use super::entries::{
    ALL, ALLOW, ANY, CLUSTER, DELETE, DESCRIBE, Entry, Filter, GROUP, LITERAL, PREFIXED, READ, TOPIC, TRANSACTIONAL_ID,
    WRITE, of,
};
use super::wishes::{Wish, wish};

/// By whatever pattern.
const MATCH: i8 = 2;

fn acls() -> TopicAcls {
    let ann = |right| (Grantee::Role("ann".into()), right);
    let granted = vec![
        (Grantee::Everybody, TopicGrant::Describe),
        ann(TopicGrant::Read),
        (Grantee::Role("bob".into()), TopicGrant::Read),
        (Grantee::Role("bob".into()), TopicGrant::Write),
        (Grantee::Role("bob".into()), TopicGrant::Describe),
    ];
    let topic = |name: &str, of_owner: &[TopicGrant], granted| TopicAcl {
        topic: name.into(),
        owner: "polder".into(),
        of_owner: of_owner.to_vec(),
        granted,
    };
    TopicAcls {
        topics: vec![topic("a", &TopicGrant::ALL, granted), topic("b", &[TopicGrant::Read], Vec::new())],
        is_all: true,
        everywhere: vec![("pg_read_all_data".into(), TopicGrant::Read)],
        groups: vec!["ann".into()],
        transactions: vec!["bob".into()],
    }
}

fn any() -> Filter {
    Filter { resource: ANY, name: None, pattern: ANY, principal: None, host: None, operation: ANY, permission: ANY }
}

fn text(value: &str) -> Option<StrBytes> {
    Some(StrBytes::from_string(value.to_owned()))
}

/// Name, who and what of those that are taken.
fn taken(filter: &Filter) -> Vec<(String, String, i8)> {
    let told = |entry: Entry| (entry.name, entry.principal.replace("User:", ""), entry.operation);
    of(&acls()).filter(|entry| filter.takes(entry)).map(told).collect()
}

fn check(filter: &Filter, expected: &[(&str, &str, i8)]) {
    let expected: Vec<_> = expected.iter().map(|(name, who, what)| ((*name).into(), (*who).into(), *what)).collect();
    assert_eq!(taken(filter), expected, "{filter:?}");
}

#[test]
fn topics_have_an_entry_for_each_right() {
    let topic = |name: &str| Filter { resource: TOPIC, name: text(name), pattern: LITERAL, ..any() };
    let bobs = [("a", "bob", READ), ("a", "bob", WRITE), ("a", "bob", DESCRIBE)];
    let others = [("a", "polder", ALL), ("a", "*", DESCRIBE), ("a", "ann", READ)];
    check(&topic("a"), &[others.as_slice(), &bobs].concat());
    check(&Filter { principal: text("User:bob"), ..topic("a") }, &bobs);
    check(&Filter { operation: WRITE, ..topic("a") }, &[("a", "bob", WRITE)]);
    // What was granted as ALL is found as such.
    check(&Filter { operation: ALL, ..topic("a") }, &[("a", "polder", ALL), ("a", "bob", ALL)]);
    let of_b: Vec<i8> = taken(&topic("b")).into_iter().map(|(.., operation)| operation).collect();
    assert_eq!(of_b, [READ, DELETE, 7, DESCRIBE, 10, 11]);
    check(&Filter { permission: 2, ..topic("a") }, &[]);
    check(&Filter { host: text("10.0.0.1"), ..topic("a") }, &[]);
    check(&topic("nosuch"), &[]);
}

#[test]
fn names_are_matched_as_kafka_does() {
    let group = |name: &str, pattern| Filter { resource: GROUP, name: text(name), pattern, ..any() };
    let everywhere = [("*", "pg_read_all_data", READ), ("*", "pg_read_all_data", DESCRIBE)];
    check(&group("ann.x", MATCH), &[everywhere.as_slice(), &[("ann.", "ann", ALL)]].concat());
    check(&group("ann", MATCH), &[everywhere.as_slice(), &[("ann", "ann", ALL)]].concat());
    check(&group("annx", MATCH), &everywhere);
    check(&group("ann.", PREFIXED), &[("ann.", "ann", ALL)]);
    check(&group("ann.", LITERAL), &[]);
    check(&group("*", LITERAL), &everywhere);
    check(&Filter { resource: TRANSACTIONAL_ID, pattern: LITERAL, ..any() }, &[("bob", "bob", ALL)]);
    check(&Filter { resource: CLUSTER, ..any() }, &[]);
    assert!(Filter { operation: 0, ..any() }.check().is_err() && any().check().is_ok());
}

#[test]
fn only_what_was_granted_is_taken_away() {
    let changes = |filter: &Filter| {
        let found = of(&acls()).filter(|entry| filter.takes(entry)).collect::<Vec<_>>();
        found.iter().filter_map(Entry::change).map(|change| change.rights).collect::<Vec<_>>()
    };
    assert_eq!(changes(&any()).len(), 5);
    let all = Filter { operation: ALL, principal: text("User:bob"), resource: TOPIC, ..any() };
    assert_eq!(changes(&all), [TopicGrant::ALL.to_vec()]);
    assert!(changes(&Filter { principal: text("User:polder"), ..any() }).is_empty());
}

fn creation(resource: i8, name: &str, pattern: i8, operation: i8) -> AclCreation {
    AclCreation::default()
        .with_resource_type(resource)
        .with_resource_name(StrBytes::from_string(name.to_owned()))
        .with_resource_pattern_type(pattern)
        .with_principal(StrBytes::from_static_str("User:ann"))
        .with_host(StrBytes::from_static_str("*"))
        .with_operation(operation)
        .with_permission_type(ALLOW)
}

#[test]
fn what_can_be_granted() {
    let rights = |creation: &AclCreation| match wish(creation) {
        Ok(Wish::Grant(change)) => change.rights,
        other => panic!("{:?}", other.map_err(|refused| refused.why)),
    };
    assert_eq!(rights(&creation(TOPIC, "a", LITERAL, READ)), [TopicGrant::Read]);
    assert_eq!(rights(&creation(TOPIC, "a", LITERAL, DESCRIBE)), [TopicGrant::Describe]);
    assert_eq!(rights(&creation(TOPIC, "a", LITERAL, ALL)), TopicGrant::ALL);
    let everybody = creation(TOPIC, "a", LITERAL, WRITE).with_principal(StrBytes::from_static_str("User:*"));
    assert!(matches!(wish(&everybody), Ok(Wish::Grant(change)) if change.grantee == Grantee::Everybody));
    let refused = |creation: &AclCreation| match wish(creation) {
        Err(refused) => refused.code(),
        Ok(wish) => panic!("{wish:?}"),
    };
    let invalid = kafka_protocol::error::ResponseError::InvalidRequest.code();
    let whole = creation(TOPIC, "a", LITERAL, READ);
    for creation in [
        creation(TOPIC, "a", PREFIXED, READ),
        creation(TOPIC, "*", LITERAL, READ),
        creation(TOPIC, "a", LITERAL, DELETE),
        creation(TOPIC, "a", ANY, READ),
        creation(CLUSTER, "kafka-cluster", LITERAL, ALL),
        creation(GROUP, "g", LITERAL, WRITE),
        whole.clone().with_permission_type(2),
        whole.clone().with_host(StrBytes::from_static_str("10.0.0.1")),
    ] {
        assert_eq!(refused(&creation), invalid, "{creation:?}");
    }
    for principal in ["ann", "Group:ann", "User:", ""] {
        let code = refused(&whole.clone().with_principal(StrBytes::from_static_str(principal)));
        assert_eq!(code, kafka_protocol::error::ResponseError::InvalidPrincipalType.code(), "{principal}");
    }
}

#[test]
fn a_group_is_there_by_its_name() {
    let in_effect = |creation: &AclCreation| match wish(creation) {
        Ok(Wish::Named(entry)) => of(&acls()).any(|known| known.covers(&entry)),
        other => panic!("{:?}", other.map_err(|refused| refused.why)),
    };
    assert!(in_effect(&creation(GROUP, "ann", LITERAL, READ)));
    assert!(in_effect(&creation(GROUP, "ann.x", LITERAL, DELETE)));
    assert!(in_effect(&creation(GROUP, "ann-x", PREFIXED, ALL)));
    assert!(!in_effect(&creation(GROUP, "ann", PREFIXED, READ)));
    assert!(!in_effect(&creation(GROUP, "anna", LITERAL, READ)));
    assert!(!in_effect(&creation(TRANSACTIONAL_ID, "ann", LITERAL, WRITE)));
}
