use std::time::Duration;

use polder_capability::topics::{
    EpochEnd, EpochQuestion, FetchPartition, Isolation, LEADER_EPOCH, OffsetAt, OffsetQuestion, Producer, QuotaChange,
    QuotaKey, QuotaName, TopicError, TopicQuotas, TopicRecords,
};

use super::world::{START_MS, World, at, batch, client, fetch, plain};

#[tokio::test]
async fn records_come_back_in_order_after_a_restart() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let mut expected = Vec::new();
    for number in 0..50 {
        let value = format!("value {number}");
        let produced = world.produce(at("t", 0), plain(&value)).await.unwrap();
        assert_eq!(produced.base_offset, number);
        expected.push(value);
    }
    assert_eq!(world.values(at("t", 0), Isolation::Uncommitted).await, expected);
    world.restart().await;
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, expected);
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_written_once() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let producer = Producer { id: 77, epoch: 0 };
    let bytes = batch(&["a".to_owned(), "b".to_owned()], Some((producer, 0, false)));
    let first = world.produce(at("t", 0), bytes.clone()).await.unwrap();
    let again = world.produce(at("t", 0), bytes).await.unwrap();
    assert_eq!(first.base_offset, again.base_offset);
    assert_eq!(world.values(at("t", 0), Isolation::Uncommitted).await, ["a", "b"]);
    let gap = batch(&["c".to_owned()], Some((producer, 5, false)));
    assert_eq!(world.produce(at("t", 0), gap).await.unwrap_err().error, TopicError::OutOfOrderSequence);
}

#[tokio::test]
async fn what_is_damaged_or_unknown_is_refused() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let mut bytes = plain("x").to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(world.produce(at("t", 0), bytes.into()).await.unwrap_err().error, TopicError::CorruptBatch);
    for of in [at("t", 1), at("t", -1), at("none", 0)] {
        assert_eq!(world.produce(of, plain("x")).await.unwrap_err().error, TopicError::UnknownTopic);
    }
    for cut in 0..plain("x").len() {
        assert!(world.produce(at("t", 0), plain("x").slice(..cut)).await.is_err(), "{cut} bytes");
    }
    assert!(world.values(at("t", 0), Isolation::Uncommitted).await.is_empty());
}

#[tokio::test]
async fn a_reader_waits_until_there_is_enough() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let mut ask = fetch(at("t", 0), 0);
    ask.wait_max = Duration::from_secs(20);
    let (topics, patient) = (world.topics.clone(), ask.clone());
    let waiting = tokio::spawn(async move { topics.fetch(&client("r"), &patient).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    world.produce(at("t", 0), plain("x")).await.unwrap();
    let fetched = waiting.await.unwrap().unwrap().results.remove(0).unwrap();
    assert_eq!(fetched.high_watermark, 1);
    assert_eq!(fetched.batches.len(), 1);

    // Time ends a wait as well, with what there is.
    ask.bytes_min = 1_000_000;
    let (topics, patient) = (world.topics.clone(), ask);
    let waiting = tokio::spawn(async move { topics.fetch(&client("r"), &patient).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    world.pass(21_000).await;
    let fetched = waiting.await.unwrap().unwrap().results.remove(0).unwrap();
    assert_eq!(fetched.batches.len(), 1);
}

#[tokio::test]
async fn an_answer_is_bounded_but_never_stuck() {
    let world = World::new().await;
    world.topic("t", 2).await;
    let long = "x".repeat(2_000);
    for partition in [0, 1] {
        for _ in 0..3 {
            world.produce(at("t", partition), plain(&long)).await.unwrap();
        }
    }
    let mut ask = fetch(at("t", 0), 0);
    ask.partitions.push(FetchPartition { from: at("t", 1), ..ask.partitions[0].clone() });
    ask.bytes_max = 100;
    let count = |answer: polder_capability::topics::FetchAnswer| -> Vec<usize> {
        let size = |result: &polder_capability::topics::TopicResult<polder_capability::topics::Fetched>| {
            result.as_ref().unwrap().batches.iter().map(|bytes| bytes.len()).sum::<usize>() / 2_000
        };
        answer.results.iter().map(size).collect()
    };
    assert_eq!(count(world.topics.fetch(&client("r"), &ask).await.unwrap()), [1, 0]);
    ask.bytes_max = 9_000;
    assert_eq!(count(world.topics.fetch(&client("r"), &ask).await.unwrap()), [3, 1]);
    ask.bytes_max = 100_000;
    ask.partitions[0].offset = 9;
    let answer = world.topics.fetch(&client("r"), &ask).await.unwrap();
    assert_eq!(answer.results[0].as_ref().unwrap_err().error, TopicError::OffsetOutOfRange);
    assert_eq!(answer.results[1].as_ref().unwrap().high_watermark, 3);
}

#[tokio::test]
async fn places_are_found_and_records_deleted() {
    let world = World::new().await;
    world.topic("t", 1).await;
    for _ in 0..5 {
        world.produce(at("t", 0), plain("x")).await.unwrap();
    }
    let ask = |at_, leader_epoch| OffsetQuestion { of: at("t", 0), at: at_, leader_epoch };
    let questions = vec![
        ask(OffsetAt::Earliest, None),
        ask(OffsetAt::Latest, Some(0)),
        ask(OffsetAt::Timestamp(START_MS), None),
        ask(OffsetAt::Timestamp(START_MS + 1), None),
        ask(OffsetAt::MaxTimestamp, None),
        ask(OffsetAt::Latest, Some(3)),
    ];
    let found = world.topics.offsets(&client("r"), questions, Isolation::Uncommitted).await.unwrap();
    let offsets: Vec<_> = found.iter().map(|result| result.as_ref().map(|found| found.offset)).collect();
    assert_eq!(offsets[..5], [Ok(Some(0)), Ok(Some(5)), Ok(Some(0)), Ok(None), Ok(Some(0))]);
    assert_eq!(found[5].as_ref().unwrap_err().error, TopicError::UnknownLeaderEpoch);
    let deleted = world.topics.delete_records(&client("r"), vec![(at("t", 0), Some(3))]).await.unwrap();
    assert_eq!(deleted, [Ok(3)]);
    let deleted = world.topics.delete_records(&client("r"), vec![(at("t", 0), Some(9))]).await.unwrap();
    assert_eq!(deleted[0].as_ref().unwrap_err().error, TopicError::OffsetOutOfRange);
    let earliest = vec![ask(OffsetAt::Earliest, None)];
    let found = world.topics.offsets(&client("r"), earliest, Isolation::Uncommitted).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().offset, Some(3));
    let epochs = [0, 7].map(|epoch| EpochQuestion { of: at("t", 0), current: Some(0), epoch });
    let ends = world.topics.epoch_ends(&client("r"), epochs.to_vec()).await.unwrap();
    assert_eq!(ends.iter().map(|end| end.as_ref().unwrap().end_offset).collect::<Vec<_>>(), [5, -1]);
}

#[tokio::test]
async fn the_end_of_an_epoch_is_the_end_of_the_partition() {
    let mut world = World::new().await;
    world.topic("t", 2).await;
    for _ in 0..3 {
        world.produce(at("t", 0), batch(&["x".to_owned(), "y".to_owned()], None)).await.unwrap();
    }
    world.topics.delete_records(&client("r"), vec![(at("t", 0), Some(2))]).await.unwrap().remove(0).unwrap();
    world.restart().await;
    let ask = |of, current, epoch| EpochQuestion { of, current, epoch };
    let questions = vec![
        ask(at("t", 0), Some(LEADER_EPOCH), LEADER_EPOCH),
        // Who knows of no leader is told all the same.
        ask(at("t", 0), None, LEADER_EPOCH),
        ask(at("t", 1), Some(-1), LEADER_EPOCH),
        // None was so old, and none is so new.
        ask(at("t", 0), Some(LEADER_EPOCH), LEADER_EPOCH - 1),
        ask(at("t", 0), Some(LEADER_EPOCH), LEADER_EPOCH + 1),
        ask(at("t", 0), Some(LEADER_EPOCH + 1), LEADER_EPOCH),
        ask(at("t", 2), Some(LEADER_EPOCH), LEADER_EPOCH),
        ask(at("none", 0), None, LEADER_EPOCH),
    ];
    let ends = world.topics.epoch_ends(&client("r"), questions).await.unwrap();
    let ends: Vec<_> = ends.into_iter().map(|end| end.map_err(|failure| failure.error)).collect();
    let end = |epoch, end_offset| Ok(EpochEnd { epoch, end_offset });
    let known = Some(LEADER_EPOCH);
    assert_eq!(ends[..5], [end(known, 6), end(known, 6), end(known, 0), end(None, -1), end(None, -1)]);
    let unknown = Err(TopicError::UnknownTopic);
    assert_eq!(ends[5..], [Err(TopicError::UnknownLeaderEpoch), unknown.clone(), unknown]);
}

#[tokio::test]
async fn who_is_too_fast_is_told_to_wait() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let key = QuotaKey { user: QuotaName::Default, client_id: QuotaName::Any };
    let change = |name: &str, value| QuotaChange { key: key.clone(), values: vec![(name.to_owned(), value)] };
    let changes = vec![change("producer_byte_rate", Some(1_000.0)), change("request_percentage", Some(1.0))];
    let changed = world.topics.change_quotas(&client("admin"), changes, false).await.unwrap();
    assert!(changed[0].is_ok());
    assert_eq!(changed[1].as_ref().unwrap_err().error, TopicError::InvalidRequest);
    world.restart().await;
    let produce = |name: &str| {
        let (topics, client) = (world.topics.clone(), client(name));
        let batches =
            vec![polder_capability::topics::ProduceBatch { to: at("t", 0), bytes: plain(&"x".repeat(2_900)) }];
        let produce = polder_capability::topics::Produce {
            transactional_id: None,
            acks: polder_capability::topics::Acks::All,
            timeout: Duration::from_secs(30),
            batches,
        };
        async move { topics.produce(&client, produce).await.unwrap().throttle.as_millis() }
    };
    let first = produce("one").await;
    assert!((1_900..2_100).contains(&first), "{first}");
    let second = produce("one").await;
    assert!((4_800..5_100).contains(&second), "{second}");
    let other = produce("other").await;
    assert!((1_900..2_100).contains(&other), "{other}");
    let off = vec![change("producer_byte_rate", None)];
    world.topics.change_quotas(&client("admin"), off, false).await.unwrap();
    assert_eq!(produce("one").await, 0);
    assert!(world.topics.quotas(&client("admin")).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_has_read_too_much_gets_nothing_before_that_is_even() {
    let world = World::new().await;
    world.topic("t", 1).await;
    world.produce(at("t", 0), plain(&"x".repeat(2_900))).await.unwrap();
    let key = QuotaKey { user: QuotaName::Default, client_id: QuotaName::Any };
    let change = QuotaChange { key, values: vec![("consumer_byte_rate".to_owned(), Some(1_000.0))] };
    assert!(world.topics.change_quotas(&client("admin"), vec![change], false).await.unwrap()[0].is_ok());
    let read = || async {
        let answer = world.topics.fetch(&client("one"), &fetch(at("t", 0), 0)).await.unwrap();
        (answer.results[0].as_ref().unwrap().batches.len(), answer.throttle.as_millis())
    };
    let (batches, wait) = read().await;
    assert!(batches == 1 && (1_900..2_100).contains(&wait), "{batches} {wait}");
    let (batches, wait) = read().await;
    assert!(batches == 0 && (1_000..2_100).contains(&wait), "{batches} {wait}");
    world.clock.advance(chrono::TimeDelta::seconds(3));
    assert_eq!(read().await.0, 1);
}

#[tokio::test]
async fn old_records_go_by_themselves() {
    let world = World::new().await;
    world.topic("t", 1).await;
    world.produce(at("t", 0), plain("x")).await.unwrap();
    world.pass(21_000).await;
    assert_eq!(world.values(at("t", 0), Isolation::Uncommitted).await, ["x"]);
    world.clock.advance(chrono::TimeDelta::days(7));
    // However long the disk takes.
    let earliest = async || {
        let earliest = OffsetQuestion { of: at("t", 0), at: OffsetAt::Earliest, leader_epoch: None };
        let found = world.topics.offsets(&client("r"), vec![earliest], Isolation::Uncommitted).await.unwrap();
        found[0].as_ref().unwrap().offset
    };
    while earliest().await != Some(1) {
        world.pass(11_000).await;
    }
    // Whoever reads where records were is told so, and is not left waiting.
    let mut late = fetch(at("t", 0), 0);
    late.wait_max = Duration::from_secs(20);
    let answer = world.topics.fetch(&client("r"), &late).await.unwrap();
    assert_eq!(answer.results[0].as_ref().unwrap_err().error, TopicError::OffsetOutOfRange);
}

/// Has the task that it is called in spend what it may do before others have their turn.
async fn spend_the_budget() {
    while tokio::task::coop::has_budget_remaining() {
        let _ = futures::poll!(std::pin::pin!(tokio::task::consume_budget()));
    }
}

#[tokio::test]
async fn a_write_keeps_its_place_in_a_task_that_has_done_much() {
    let world = World::new().await;
    world.topic("t", 1).await;
    spend_the_budget().await;
    // Asked in this order in one turn of the task; the second as if it were another turn.
    let first = world.produce(at("t", 0), plain("first"));
    let second = tokio::task::unconstrained(world.produce(at("t", 0), plain("second")));
    let (first, second) = futures::join!(first, second);
    assert_eq!((first.unwrap().base_offset, second.unwrap().base_offset), (0, 1));
}
