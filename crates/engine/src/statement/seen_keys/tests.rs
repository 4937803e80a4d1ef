use std::sync::Arc;

use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

use super::{REMEMBERED_MAX, SeenKeys};

/// The bytes of a hash table with this many places.
fn places(count: usize) -> usize {
    count * 17
}

fn pool(bytes: usize) -> Arc<dyn MemoryPool> {
    Arc::new(GreedyMemoryPool::new(bytes))
}

#[test]
fn a_key_is_seen_again() {
    let mut seen = SeenKeys::new(&pool(1 << 20), false);
    seen.make_room(3).unwrap();
    assert_eq!([1, 2, 1].map(|key| seen.is_again(key)), [false, false, true]);
}

#[test]
fn memory_is_taken_before_it_is_used_and_given_back() {
    let pool = pool(places(1024 + 2048));
    let mut seen = SeenKeys::new(&pool, false);
    for key in 0..1700 {
        seen.make_room(1).unwrap();
        assert!(!seen.is_again(key));
        assert!(pool.reserved() >= seen.keys.capacity() * 17);
    }
    assert_eq!(pool.reserved(), places(2048));
    let error = seen.make_room(200).unwrap_err();
    assert_eq!(error.code(), "53200");
    drop(seen);
    assert_eq!(pool.reserved(), 0);
}

#[test]
fn what_may_be_forgotten_is_when_there_is_no_room() {
    let pool = pool(places(64));
    let mut seen = SeenKeys::new(&pool, true);
    seen.make_room(10).unwrap();
    assert!(!seen.is_again(1));
    seen.make_room(100).unwrap();
    assert!(seen.are_forgotten());
    assert!(!seen.is_again(1));
    assert_eq!(pool.reserved(), 0);
}

#[test]
fn what_may_be_forgotten_is_when_there_are_too_many() {
    let pool = pool(1 << 30);
    let mut seen = SeenKeys::new(&pool, true);
    seen.make_room(REMEMBERED_MAX).unwrap();
    assert_eq!(pool.reserved(), places(1 << 22));
    seen.make_room(REMEMBERED_MAX + 1).unwrap();
    assert!(seen.are_forgotten());
}
