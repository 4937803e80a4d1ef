use super::*;
use polder_runtime::ManualClock;

fn guesses() -> (Guesses, ManualClock) {
    let clock = ManualClock::at(DateTime::<Utc>::UNIX_EPOCH + Duration::days(20_000));
    (Guesses::new(Arc::new(clock.clone())), clock)
}

async fn fail(guesses: &Guesses, user: &str) {
    guesses.attempt(user, "here").await.unwrap().failed();
}

async fn hint(guesses: &Guesses, user: &str) -> Option<String> {
    match guesses.attempt(user, "here").await {
        // The look itself must not count.
        Ok(attempt) => {
            let (failures, last, next) = (attempt.record.failures, attempt.record.last, attempt.record.next_allowed);
            let shared = guesses.record(user, "here");
            attempt.failed();
            *shared.lock().await = Record { failures, last, next_allowed: next };
            None
        }
        Err(error) => error.hint().map(str::to_owned),
    }
}

#[tokio::test]
async fn five_are_free_and_then_the_wait_doubles_to_a_minute() {
    let (guesses, clock) = guesses();
    for _ in 0..5 {
        assert_eq!(hint(&guesses, "a").await, None);
        fail(&guesses, "a").await;
    }
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(hint(&guesses, "a").await.unwrap(), format!("try again in {seconds} s"));
        clock.advance(Duration::milliseconds(seconds * 1000 - 1));
        assert_eq!(hint(&guesses, "a").await.unwrap(), "try again in 1 s");
        clock.advance(Duration::milliseconds(1));
        fail(&guesses, "a").await;
    }
    assert_eq!(hint(&guesses, "b").await, None);
    clock.advance(Duration::hours(2));
    assert_eq!(hint(&guesses, "a").await, None);
}

#[tokio::test]
async fn a_right_password_forgives() {
    let (guesses, _clock) = guesses();
    for _ in 0..4 {
        fail(&guesses, "a").await;
    }
    guesses.attempt("a", "here").await.unwrap().succeeded();
    for _ in 0..4 {
        fail(&guesses, "a").await;
    }
    assert_eq!(hint(&guesses, "a").await, None);
}

#[tokio::test]
async fn an_attempt_that_is_dropped_counts() {
    let (guesses, _clock) = guesses();
    for _ in 0..5 {
        drop(guesses.attempt("a", "here").await.unwrap());
    }
    assert_eq!(hint(&guesses, "a").await.unwrap(), "try again in 1 s");
}

#[tokio::test]
async fn many_at_once_are_no_way_around() {
    let (guesses, _clock) = guesses();
    let guesses = Arc::new(guesses);
    let tries = (0..50).map(|_| {
        let guesses = guesses.clone();
        tokio::spawn(async move { guesses.attempt("a", "here").await.map(LoginAttempt::failed).is_ok() })
    });
    let mut allowed = 0;
    for attempt in tries.collect::<Vec<_>>() {
        allowed += u32::from(attempt.await.unwrap());
    }
    assert_eq!(allowed, FREE_FAILURES);
}

#[tokio::test]
async fn memory_is_bounded_and_made_up_names_push_out_nobody_who_guessed() {
    let (guesses, _clock) = guesses();
    for _ in 0..6 {
        drop(guesses.attempt("victim", "here").await);
    }
    for made_up in 0..RECORDS_MAX + 100 {
        fail(&guesses, &format!("made up {made_up}")).await;
    }
    assert!(guesses.records.lock().len() <= RECORDS_MAX);
    assert!(hint(&guesses, "victim").await.is_some());
}
