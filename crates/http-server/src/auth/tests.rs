use axum::body::Body;

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

#[test]
fn cookies() {
    let check = |value: &str, expected: Option<&str>| assert_eq!(cookie(&headers(&[("cookie", value)])), expected);
    check("polder_session=abc", Some("abc"));
    check("a=b; polder_session=abc; c=d", Some("abc"));
    check("polder_session=", None);
    check("not_polder_session=abc", None);
    check("polder_session", None);
    check("", None);
}

#[test]
fn bearer_tokens() {
    let check = |value: &str, expected| assert_eq!(bearer(&headers(&[("authorization", value)])), expected);
    check("Bearer abc", Some("abc"));
    check("bearer abc", Some("abc"));
    check("Basic abc", None);
    check("Bearer", None);
}

#[test]
fn changes_from_other_sites() {
    let check = |auth: &Auth, method: Method, pairs: &[(&str, &str)], allowed: bool| {
        let mut request = Request::builder().method(method).uri("/api/v1/x").body(Body::empty()).unwrap();
        *request.headers_mut() = headers(pairs);
        assert_eq!(check_same_site(auth, &request).is_ok(), allowed, "{pairs:?}");
    };
    let password = Auth::Password;
    let trust = Auth::Trust { user: "polder".to_owned() };
    let cookie = ("cookie", "polder_session=abc");
    let host = ("host", "127.0.0.1:7400");
    let guard = ("x-polder", "1");

    check(&password, Method::GET, &[cookie, host, ("origin", "http://evil.example")], true);
    check(&password, Method::POST, &[host], true);
    check(&password, Method::POST, &[host, cookie], false);
    check(&password, Method::POST, &[host, cookie, ("x-polder", "0")], false);
    check(&password, Method::POST, &[host, cookie, guard], true);
    check(&password, Method::DELETE, &[host, cookie, guard, ("origin", "http://127.0.0.1:7400")], true);
    check(&password, Method::DELETE, &[host, cookie, guard, ("origin", "http://127.0.0.1:7401")], false);
    check(&password, Method::PUT, &[host, cookie, guard, ("origin", "http://evil.example")], false);
    check(&password, Method::PUT, &[host, cookie, guard, ("origin", "null")], false);
    check(&password, Method::POST, &[host, cookie, ("authorization", "Bearer t")], true);
    check(&trust, Method::POST, &[host], false);
    check(&trust, Method::POST, &[host, guard], true);
    check(&trust, Method::POST, &[host, ("authorization", "Bearer t")], true);
    check(&trust, Method::POST, &[host, guard, ("origin", "http://evil.example")], false);
}
