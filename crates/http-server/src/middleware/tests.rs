use super::*;

#[test]
fn loopback_hosts() {
    let check = |host: &str, expected| assert_eq!(is_loopback(host), expected, "{host}");
    check("localhost", true);
    check("LocalHost:7400", true);
    check("127.0.0.1", true);
    check("127.0.0.1:7400", true);
    check("[::1]", true);
    check("[::1]:7400", true);
    check("", false);
    check("evil.example", false);
    check("localhost.evil.example", false);
    check("127.0.0.1.evil.example:7400", false);
    check("localhost:evil", false);
    check("[::1]evil", false);
    check("evil.example:127.0.0.1", false);
    check("localhost@evil.example", false);
    check("::1", false);
}
