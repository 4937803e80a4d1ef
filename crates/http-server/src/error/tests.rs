use super::*;

#[test]
fn statuses() {
    let check = |kind, expected: u16| assert_eq!(status(kind).as_u16(), expected, "{kind:?}");
    check(ErrorKind::InvalidInput, 400);
    check(ErrorKind::Unauthenticated, 401);
    check(ErrorKind::Forbidden, 403);
    check(ErrorKind::NotFound, 404);
    check(ErrorKind::AlreadyExists, 409);
    check(ErrorKind::Conflict, 409);
    check(ErrorKind::TooLarge, 413);
    check(ErrorKind::Exhausted, 503);
    check(ErrorKind::Cancelled, 499);
    check(ErrorKind::Unavailable, 503);
    check(ErrorKind::Unsupported, 422);
    check(ErrorKind::Corrupt, 500);
    check(ErrorKind::Internal, 500);
}

#[test]
fn seconds_to_wait_come_from_the_hint() {
    let check = |hint: Option<&str>, expected| {
        let error = Error::new(ErrorKind::Unavailable, "slowed down");
        let error = match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        assert_eq!(retry_after(&error), expected, "{hint:?}");
    };
    check(None, 5);
    check(Some("try again later"), 5);
    check(Some("try again in 12 s"), 12);
    check(Some("wait 0 s"), 1);
    check(Some("wait 99999999999999999999 s"), 3600);
}
