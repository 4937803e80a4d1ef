use super::assigned;

#[test]
fn what_a_leader_has_given() {
    let bytes = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x03\0\x02bc\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff";
    let found: Vec<(String, Vec<i32>)> =
        assigned(bytes).unwrap().into_iter().map(|one| (one.topic, one.partitions)).collect();
    assert_eq!(found, [("a".to_owned(), vec![0, 3]), ("bc".to_owned(), vec![5])]);
}

#[test]
fn counts_that_lie_give_nothing() {
    assert!(assigned(b"").is_none());
    assert!(assigned(b"\0\x01\x7f\xff\xff\xff").is_none());
    assert!(assigned(b"\0\x01\0\0\0\x01\xff\xffabc").is_none());
    assert!(assigned(b"\0\x01\0\0\0\x01\0\x01a\x7f\xff\xff\xff\0\0\0\0").is_none());
}
