use std::task::{Context, Poll, Waker};

use chrono::{DateTime, Duration, Utc};

use super::{Clock, ManualClock, Sleep};

/// True if the wait is over.
fn poll_once(wait: &mut Sleep) -> bool {
    matches!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
}

#[test]
fn a_wait_ends_when_its_time_has_come() {
    let start = DateTime::<Utc>::UNIX_EPOCH;
    let clock = ManualClock::at(start);
    assert_eq!(clock.next_wait(), None);
    let mut long = clock.sleep_until(start + Duration::hours(2));
    let mut short = clock.sleep_until(start + Duration::hours(1));
    assert!(!poll_once(&mut long) && !poll_once(&mut short));
    assert_eq!(clock.next_wait(), Some(start + Duration::hours(1)));
    clock.advance(Duration::hours(1));
    assert!(!poll_once(&mut long) && poll_once(&mut short));
    assert_eq!(clock.next_wait(), Some(start + Duration::hours(2)));
    drop(long);
    assert_eq!(clock.next_wait(), None);
    assert!(poll_once(&mut clock.sleep_until(start)));
}

#[tokio::test]
async fn a_move_wakes_who_waits() {
    let clock = ManualClock::at(DateTime::<Utc>::UNIX_EPOCH);
    let wait = clock.sleep_until(clock.now() + Duration::days(30));
    let waiting = tokio::spawn(wait);
    clock.set(clock.now() + Duration::days(31));
    waiting.await.unwrap();
}
