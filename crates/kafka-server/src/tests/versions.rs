//! Every request in every version has an answer that the codec reads.

use super::*;
use crate::shape::tests::full;

#[tokio::test]
async fn every_version_is_answered() {
    let running = Running::trusting("versions").await;
    running.make_topic("topic").await;
    for api in APIS {
        for version in (api.first..=api.last).filter(|version| api.takes(*version)) {
            let mut client = running.connect().await;
            let body = full(api, version);
            let id = client.say(api.key as i16, version, api.is_flexible(version), &body).await;
            // The example of Produce waits for no answer.
            if matches!(api.key, ApiKey::Produce) {
                continue;
            }
            let frame = client.frame().await;
            let mut frame = frame.unwrap_or_else(|| panic!("{:?} {version} is not answered", api.key));
            assert_eq!(frame.get_i32(), id, "{:?} {version}", api.key);
            let header = api.key.response_header_version(version);
            if header >= 1 {
                frame.advance(1);
            }
            let response = ResponseKind::decode(api.key, &mut frame, version);
            assert!(response.is_ok() && frame.is_empty(), "{:?} {version}: {response:?}", api.key);
        }
    }
}

#[tokio::test]
async fn clients_are_told_the_versions() {
    let running = Running::trusting("told").await;
    let mut client = running.connect().await;
    let told = client.ask(&ApiVersionsRequest::default(), 3).await.unwrap();
    let told: Vec<(i16, i16, i16)> =
        told.api_keys.iter().map(|one| (one.api_key, one.min_version, one.max_version)).collect();
    let expected: Vec<(i16, i16, i16)> = APIS.iter().map(|api| (api.key as i16, api.first, api.last)).collect();
    assert_eq!(told, expected);
    assert!(told.contains(&(0, 0, 10)), "librdkafka compresses only where Produce begins with 0");
    // One of the future is told in the oldest form.
    client.say(18, 99, true, &[1, 2, 3]).await;
    let mut frame = client.frame().await.unwrap();
    frame.advance(4);
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!((response.error_code, response.api_keys.len()), (35, APIS.len()));
    // And the connection goes on.
    assert!(client.ask(&ApiVersionsRequest::default(), 0).await.is_some());
}

#[tokio::test]
async fn what_is_not_answered_ends_the_connection() {
    let running = Running::trusting("unknown").await;
    for (key, version) in [(999, 0), (0, 2), (0, 11), (1, 17), (3, 14), (-3, 0)] {
        let mut client = running.connect().await;
        client.say(key, version, false, &[]).await;
        assert_eq!(client.frame().await, None, "{key} {version}");
    }
}
