use std::time::Duration;

use polder_capability::Caller;
use polder_capability::topics::{QuotaKey, QuotaName, TopicClient};

use super::{Quotas, Values, Way};

fn quotas(all: &[(QuotaName, QuotaName, f64)]) -> Quotas {
    let quotas = Quotas::default();
    for (user, client_id, rate) in all {
        let key = QuotaKey { user: user.clone(), client_id: client_id.clone() };
        quotas.kept.write().insert(key, Values::from([("producer_byte_rate".to_owned(), *rate)]));
    }
    quotas
}

fn client(user: &str, id: &str) -> TopicClient {
    TopicClient { caller: Caller::new(user, "kafka"), client_id: id.into(), host: "h".into() }
}

#[test]
fn what_fits_best_counts() {
    let name = |name: &str| QuotaName::Name(name.to_owned());
    let quotas = quotas(&[
        (name("ann"), name("app"), 1.0),
        (name("ann"), QuotaName::Any, 2.0),
        (QuotaName::Default, QuotaName::Any, 3.0),
        (QuotaName::Any, name("app"), 4.0),
    ]);
    let rate = |user: &str, id: &str| quotas.rate(Way::In, &client(user, id)).map(|(rate, _)| rate);
    assert_eq!(rate("ann", "app"), Some(1.0));
    assert_eq!(rate("ann", "other"), Some(2.0));
    assert_eq!(rate("bob", "app"), Some(3.0));
    assert_eq!(quotas.rate(Way::Out, &client("ann", "app")).map(|(rate, _)| rate), None);
    let quotas = self::quotas(&[(QuotaName::Any, name("app"), 4.0)]);
    assert_eq!(quotas.rate(Way::In, &client("bob", "app")).map(|(rate, _)| rate), Some(4.0));
    assert_eq!(quotas.rate(Way::In, &client("bob", "other")).map(|(rate, _)| rate), None);
}

#[test]
fn a_bucket_fills_at_its_rate_and_no_further() {
    let quotas = quotas(&[(QuotaName::Default, QuotaName::Any, 100.0)]);
    let (ann, bob) = (client("ann", ""), client("bob", ""));
    assert_eq!(quotas.take(Way::In, &ann, 100, 0), Duration::ZERO);
    assert_eq!(quotas.take(Way::In, &ann, 50, 0), Duration::from_millis(500));
    assert_eq!(quotas.take(Way::In, &bob, 100, 0), Duration::ZERO);
    assert_eq!(quotas.take(Way::In, &ann, 0, 500), Duration::ZERO);
    assert_eq!(quotas.take(Way::In, &ann, 100, 100_000), Duration::ZERO);
    assert_eq!(quotas.take(Way::In, &ann, 100, 100_000), Duration::from_secs(1));
    assert_eq!(quotas.take(Way::In, &ann, 1_000_000, 100_000), Duration::from_secs(30));
    quotas.forget_idle(300_000);
    assert!(quotas.buckets.lock().len() == 1, "who has overdrawn is not forgotten");
}

#[test]
fn a_bucket_fills_when_the_clock_has_been_set_back() {
    let quotas = quotas(&[(QuotaName::Default, QuotaName::Any, 100.0)]);
    let ann = client("ann", "");
    assert_eq!(quotas.take(Way::In, &ann, 200, 100_000), Duration::from_secs(1));
    assert_eq!(quotas.take(Way::In, &ann, 0, 1_000), Duration::from_secs(1));
    assert_eq!(quotas.take(Way::In, &ann, 0, 2_000), Duration::ZERO);
}
