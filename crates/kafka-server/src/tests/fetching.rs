//! Records in and out, in order, and by fetch sessions.

use super::*;

fn wanted(topic: &'static str, offset: i64) -> Vec<fetch_request::FetchTopic> {
    let partition =
        fetch_request::FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    vec![fetch_request::FetchTopic::default().with_topic(TopicName(s(topic))).with_partitions(vec![partition])]
}

fn fetch(topics: Vec<fetch_request::FetchTopic>, session: (i32, i32)) -> FetchRequest {
    FetchRequest::default()
        .with_max_wait_ms(50)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_id(session.0)
        .with_session_epoch(session.1)
        .with_topics(topics)
}

fn offset_of(batch: &[u8]) -> i64 {
    i64::from_be_bytes(batch[..8].try_into().unwrap())
}

#[tokio::test]
async fn writings_sent_together_are_answered_in_order() {
    let running = Running::trusting("order").await;
    running.make_topic("t").await;
    let mut client = running.connect().await;
    let mut sent = Vec::new();
    for id in 0..40 {
        let mut body = BytesMut::new();
        produce("t", Some(batch(1, 10)), 1).encode(&mut body, 7).unwrap();
        sent.extend(framed(0, 7, id, false, &body));
    }
    // And one that is no writing, which sees them all.
    let mut body = BytesMut::new();
    fetch(wanted("t", 39), (0, -1)).encode(&mut body, 11).unwrap();
    sent.extend(framed(1, 11, 40, false, &body));
    client.send(&sent).await;
    for id in 0..40 {
        let mut frame = client.frame().await.unwrap();
        assert_eq!(frame.get_i32(), id);
        let response = ProduceResponse::decode(&mut frame, 7).unwrap();
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, id.into()));
    }
    let mut frame = client.frame().await.unwrap();
    assert_eq!(frame.get_i32(), 40);
    let response = FetchResponse::decode(&mut frame, 11).unwrap();
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.high_watermark, offset_of(partition.records.as_ref().unwrap())), (40, 39));
}

#[tokio::test]
async fn whoever_waits_for_no_answer_gets_none() {
    let running = Running::trusting("silent").await;
    running.make_topic("t").await;
    let mut client = running.connect().await;
    let mut body = BytesMut::new();
    produce("t", Some(batch(1, 10)), 0).encode(&mut body, 9).unwrap();
    client.say(0, 9, true, &body).await;
    // The next answer is that of the next request.
    let response = client.ask(&fetch(wanted("t", 0), (0, -1)), 12).await.unwrap();
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
    // What is refused ends the connection, so that the client looks for what is wrong.
    let mut body = BytesMut::new();
    produce("none", Some(batch(1, 10)), 0).encode(&mut body, 9).unwrap();
    client.say(0, 9, true, &body).await;
    assert_eq!(client.frame().await, None);
}

/// The code that one batch is answered with.
async fn code_of(client: &mut Client, records: Option<Bytes>, acks: i16, version: i16) -> i16 {
    let response = client.ask(&produce("t", records, acks), version).await.unwrap();
    response.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn batches_that_are_none_are_refused() {
    let running = Running::trusting("batches").await;
    running.make_topic("t").await;
    let client = &mut running.connect().await;
    let changed = |at: usize, byte: u8| {
        let mut bytes = batch(1, 10).to_vec();
        bytes[at] = byte;
        Some(Bytes::from(bytes))
    };
    assert_eq!(code_of(client, Some(batch(1, 10)), 1, 9).await, 0);
    // Formats of before Kafka 0.11, whose code was another one then.
    for magic in [0, 1, 3] {
        assert_eq!(code_of(client, changed(16, magic), 1, 9).await, 87);
        assert_eq!(code_of(client, changed(16, magic), 1, 7).await, 2);
    }
    for nothing in [None, Some(Bytes::new())] {
        assert_eq!(code_of(client, nothing, 1, 9).await, 87);
    }
    let two = [&batch(1, 10)[..], &batch(1, 10)].concat();
    assert_eq!(code_of(client, Some(two.into()), 1, 9).await, 87);
    // Lengths that lie.
    assert_eq!(code_of(client, changed(8, 0x7f), 1, 9).await, 2);
    assert_eq!(code_of(client, changed(8, 0xff), 1, 9).await, 2);
    assert_eq!(code_of(client, Some(batch(1, 10).slice(..15)), 1, 9).await, 2);
    // zstd, which clients know from version 7 on.
    assert_eq!(code_of(client, changed(22, 4), 1, 6).await, 76);
    assert_eq!(code_of(client, changed(22, 4), 1, 7).await, 0);
    assert_eq!(code_of(client, Some(batch(1, 10)), 2, 9).await, 21);
}

#[tokio::test]
async fn clients_that_do_not_know_zstd_are_not_given_it() {
    let running = Running::trusting("zstd").await;
    running.make_topic("t").await;
    let client = &mut running.connect().await;
    let mut bytes = batch(1, 10).to_vec();
    bytes[22] = 4;
    assert_eq!(code_of(client, Some(bytes.into()), 1, 7).await, 0);
    for (version, code) in [(9, 76), (10, 0)] {
        let response = client.ask(&fetch(wanted("t", 0), (0, -1)), version).await.unwrap();
        assert_eq!(response.responses[0].partitions[0].error_code, code, "{version}");
    }
}

#[tokio::test]
async fn sessions_tell_what_is_new() {
    let running = Running::trusting("sessions").await;
    running.make_topic("a").await;
    running.make_topic("b").await;
    let client = &mut running.connect().await;
    let both = [wanted("a", 0), wanted("b", 0)].concat();
    let first = client.ask(&fetch(both.clone(), (0, 0)), 12).await.unwrap();
    let id = first.session_id;
    assert!(id > 0 && first.responses.len() == 2);
    // Nothing new, so nothing is told.
    let next = client.ask(&fetch(vec![], (id, 1)), 12).await.unwrap();
    assert_eq!((next.error_code, next.session_id, next.responses.len()), (0, id, 0));
    client.ask(&produce("b", Some(batch(2, 10)), 1), 9).await.unwrap();
    let next = client.ask(&fetch(vec![], (id, 2)), 12).await.unwrap();
    assert_eq!(next.responses.len(), 1);
    assert_eq!((&*next.responses[0].topic.0, next.responses[0].partitions[0].high_watermark), ("b", 2));
    // It reads on, and forgets the other.
    let gone = fetch_request::ForgottenTopic::default().with_topic(TopicName(s("a"))).with_partitions(vec![0]);
    let request = fetch(wanted("b", 2), (id, 3)).with_forgotten_topics_data(vec![gone]);
    assert_eq!(client.ask(&request, 12).await.unwrap().responses.len(), 0);
    client.ask(&produce("a", Some(batch(1, 10)), 1), 9).await.unwrap();
    assert_eq!(client.ask(&fetch(vec![], (id, 4)), 12).await.unwrap().responses.len(), 0);
    // An epoch that is not the next one, a session that there is not, one of another connection.
    assert_eq!(client.ask(&fetch(vec![], (id, 9)), 12).await.unwrap().error_code, 71);
    assert_eq!(client.ask(&fetch(vec![], (id + 1, 1)), 12).await.unwrap().error_code, 70);
    let other = &mut running.connect().await;
    assert_eq!(other.ask(&fetch(vec![], (id, 5)), 12).await.unwrap().error_code, 70);
    // Anew.
    let again = client.ask(&fetch(both, (0, 0)), 12).await.unwrap();
    assert!(again.session_id > id && again.responses.len() == 2);
}

#[tokio::test]
async fn a_reader_waits_and_is_woken() {
    let running = Running::trusting("woken").await;
    running.make_topic("t").await;
    let (reader, writer) = (&mut running.connect().await, &mut running.connect().await);
    let started = std::time::Instant::now();
    let request = fetch(wanted("t", 0), (0, -1)).with_max_wait_ms(10_000);
    let write = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        writer.ask(&produce("t", Some(batch(1, 100_000)), -1), 9).await.unwrap();
    };
    let (response, ()) = tokio::join!(reader.ask(&request, 12), write);
    let records = response.unwrap().responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(records.len(), 61 + 100_000);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn who_is_throttled_waits() {
    let running = Running::trusting("throttled").await;
    running.make_topic("t").await;
    *running.topics.throttle.lock() = Duration::from_millis(300);
    let client = &mut running.connect().await;
    let response = client.ask(&produce("t", Some(batch(1, 10)), 1), 9).await.unwrap();
    assert_eq!(response.throttle_time_ms, 300);
    let started = std::time::Instant::now();
    client.ask(&ApiVersionsRequest::default(), 0).await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(200));
}
