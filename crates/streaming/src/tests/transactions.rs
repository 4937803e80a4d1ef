use polder_capability::topics::{
    InitProducer, Isolation, TopicError, TopicGroups, TopicTransactions, TransactionOffsets,
};
use std::time::Duration;

use super::world::{World, at, client, offsets, plain, within};

fn error<T: std::fmt::Debug>(result: polder_capability::topics::TopicResult<T>) -> TopicError {
    result.unwrap_err().error
}

#[tokio::test]
async fn a_commit_is_seen_as_one_and_an_abort_never() {
    let world = World::new().await;
    world.topic("t", 2).await;
    let producer = world.init("a").await.unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
    world.add("a", producer, at("t", 1)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("one", producer, 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 1), within("two", producer, 0)).await.unwrap();
    assert!(world.values(at("t", 0), Isolation::Committed).await.is_empty());
    assert_eq!(world.values(at("t", 0), Isolation::Uncommitted).await, ["one"]);
    world.end("a", producer, true).await.unwrap();
    // The same end again is a success, the other one is not.
    world.end("a", producer, true).await.unwrap();
    assert_eq!(world.end("a", producer, false).await, Err(TopicError::InvalidTransactionState));
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["one"]);
    assert_eq!(world.values(at("t", 1), Isolation::Committed).await, ["two"]);

    world.add("a", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("three", producer, 1)).await.unwrap();
    world.end("a", producer, false).await.unwrap();
    world.produce(at("t", 0), plain("four")).await.unwrap();
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["one", "four"]);
    assert_eq!(world.values(at("t", 0), Isolation::Uncommitted).await, ["one", "three", "four"]);
}

#[tokio::test]
async fn records_go_only_into_an_open_transaction_of_their_partition() {
    let world = World::new().await;
    world.topic("t", 2).await;
    let producer = world.init("a").await.unwrap();
    let write = |id, partition, sequence| world.produce_in(id, at("t", partition), within("x", producer, sequence));
    assert_eq!(error(write(Some("a"), 0, 0).await), TopicError::InvalidTransactionState);
    world.add("a", producer, at("t", 0)).await.unwrap();
    assert_eq!(error(write(Some("a"), 1, 0).await), TopicError::InvalidTransactionState);
    assert_eq!(error(write(None, 0, 0).await), TopicError::TransactionForbidden);
    assert_eq!(error(write(Some("b"), 0, 0).await), TopicError::InvalidProducerMapping);
    write(Some("a"), 0, 0).await.unwrap();
    world.end("a", producer, true).await.unwrap();
    assert_eq!(error(write(Some("a"), 0, 1).await), TopicError::InvalidTransactionState);
    // All are added or none.
    let both = vec![at("t", 0), at("none", 0)];
    let added = world.topics.add_to_transaction(&client("p"), "a", producer, both).await.unwrap();
    let errors: Vec<_> = added.into_iter().map(|result| result.unwrap_err().error).collect();
    assert_eq!(errors, [TopicError::NotAttempted, TopicError::UnknownTopic]);
    assert_eq!(error(write(Some("a"), 0, 1).await), TopicError::InvalidTransactionState);
}

#[tokio::test]
async fn a_newer_instance_fences_the_older_and_ends_what_it_left() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let old = world.init("a").await.unwrap();
    world.add("a", old, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("lost", old, 0)).await.unwrap();
    let new = world.init("a").await.unwrap();
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch);
    let late = world.produce_in(Some("a"), at("t", 0), within("late", old, 1)).await;
    assert_eq!(error(late), TopicError::InvalidProducerEpoch);
    assert_eq!(world.end("a", old, true).await, Err(TopicError::ProducerFenced));
    assert_eq!(world.add("a", old, at("t", 0)).await, Err(TopicError::ProducerFenced));
    world.add("a", new, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("kept", new, 0)).await.unwrap();
    world.end("a", new, true).await.unwrap();
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["kept"]);
}

#[tokio::test]
async fn an_instance_that_says_who_it_was_goes_on_once() {
    let world = World::new().await;
    let first = world.init("a").await.unwrap();
    let init = |current| InitProducer {
        transactional_id: Some("a".to_owned()),
        timeout: Duration::from_secs(60),
        current: Some(current),
    };
    let second = world.topics.init_producer(&client("p"), init(first)).await.unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    // The answer was lost: the same again.
    assert_eq!(world.topics.init_producer(&client("p"), init(first)).await.unwrap(), second);
    let third = world.topics.init_producer(&client("p"), init(second)).await.unwrap();
    assert_eq!(error(world.topics.init_producer(&client("p"), init(first)).await), TopicError::ProducerFenced);
    assert_eq!(third.epoch, second.epoch + 1);
    let bad = InitProducer { timeout: Duration::from_secs(3_600), ..init(third) };
    assert_eq!(error(world.topics.init_producer(&client("p"), bad).await), TopicError::InvalidTransactionTimeout);
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() {
    let mut world = World::new().await;
    let mut given = std::collections::HashSet::new();
    for round in 0..3 {
        for number in 0..400 {
            let transactional_id = (number % 2 == 0).then(|| format!("{round} {number}"));
            let init = InitProducer { transactional_id, timeout: Duration::from_secs(60), current: None };
            let producer = world.topics.init_producer(&client("p"), init).await.unwrap();
            assert!(given.insert(producer.id), "{producer:?}");
        }
        world.restart().await;
    }
}

#[tokio::test]
async fn offsets_come_with_their_transaction_or_not_at_all() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let producer = world.init("a").await.unwrap();
    let send = |world: &World, offset| {
        let commit = offsets("g", -1, "", at("t", 0), offset);
        let offsets = TransactionOffsets { transactional_id: "a".to_owned(), producer, commit };
        let topics = world.topics.clone();
        async move { topics.commit_in_transaction(&client("p"), offsets).await }
    };
    assert_eq!(error(send(&world, 5).await), TopicError::InvalidTransactionState);
    for (offset, commit, restart, expected) in
        [(5, true, false, Some(5)), (6, false, false, Some(5)), (7, true, true, Some(7)), (8, false, true, Some(7))]
    {
        world.topics.add_group_to_transaction(&client("p"), "a", producer, "g").await.unwrap();
        send(&world, offset).await.unwrap().remove(0).unwrap();
        let stable = polder_capability::topics::FetchOffsets {
            group: "g".to_owned(),
            member: None,
            partitions: Some(vec![at("t", 0)]),
            stable: true,
        };
        if restart {
            world.restart().await;
        }
        let mut fetched = world.topics.fetch_offsets(&client("p"), stable).await.unwrap();
        assert_eq!(error(fetched.remove(0).result), TopicError::UnstableOffset);
        world.end("a", producer, commit).await.unwrap();
        assert_eq!(world.committed("g", at("t", 0)).await, expected);
        world.restart().await;
        assert_eq!(world.committed("g", at("t", 0)).await, expected);
    }
}

#[tokio::test]
async fn an_open_transaction_outlives_a_restart_and_its_time_ends_it() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let producer = world.init("a").await.unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("one", producer, 0)).await.unwrap();
    world.restart().await;
    world.produce_in(Some("a"), at("t", 0), within("two", producer, 1)).await.unwrap();
    world.end("a", producer, true).await.unwrap();
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["one", "two"]);

    world.add("a", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("three", producer, 2)).await.unwrap();
    world.restart().await;
    world.pass(61_000).await;
    let late = world.produce_in(Some("a"), at("t", 0), within("four", producer, 3)).await;
    assert_eq!(error(late), TopicError::InvalidProducerEpoch);
    assert_eq!(world.end("a", producer, true).await, Err(TopicError::ProducerFenced));
    world.produce(at("t", 0), plain("five")).await.unwrap();
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["one", "two", "five"]);
}

#[tokio::test]
async fn an_end_waits_for_what_is_on_its_way() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let producer = world.init("a").await.unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
    let id = world.topics.inner.log.topic("t").unwrap().id;
    let pass = world.topics.inner.gate.enter("a", producer, (id, 0)).unwrap();
    let topics = world.topics.clone();
    let end = tokio::spawn(async move { topics.end_transaction(&client("p"), "a", producer, true).await });
    world.pass(1_000).await;
    assert!(!end.is_finished());
    assert_eq!(world.add("a", producer, at("t", 0)).await, Err(TopicError::ConcurrentTransactions));
    assert_eq!(
        error(world.produce_in(Some("a"), at("t", 0), within("late", producer, 0)).await),
        TopicError::InvalidTransactionState
    );
    drop(pass);
    end.await.unwrap().unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
}

#[tokio::test]
async fn a_topic_that_goes_takes_its_part_of_a_transaction_along() {
    use polder_capability::topics::TopicAdmin;
    let world = World::new().await;
    world.topic("t", 1).await;
    world.topic("u", 1).await;
    let producer = world.init("a").await.unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
    world.add("a", producer, at("u", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("one", producer, 0)).await.unwrap();
    world.produce_in(Some("a"), at("u", 0), within("two", producer, 0)).await.unwrap();
    let gone = world.topics.delete(&client("admin"), vec![at("t", 0).topic]).await.unwrap();
    assert!(gone[0].is_ok());
    world.end("a", producer, true).await.unwrap();
    assert_eq!(world.values(at("u", 0), Isolation::Committed).await, ["two"]);
}

#[tokio::test]
async fn nobody_writes_plainly_under_the_id_of_a_transaction() {
    use super::world::batch;
    let world = World::new().await;
    world.topic("t", 1).await;
    let producer = world.init("a").await.unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("mine", producer, 0)).await.unwrap();
    let made_up = polder_capability::topics::Producer { epoch: i16::MAX, ..producer };
    let plain = batch(&["theirs".to_owned()], Some((made_up, 0, false)));
    assert_eq!(error(world.produce(at("t", 0), plain).await), TopicError::InvalidTransactionState);
    world.end("a", producer, true).await.unwrap();
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["mine"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_before_a_restart_delays_no_abort() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let producer = world.init("a").await.unwrap();
    world.add("a", producer, at("t", 0)).await.unwrap();
    world.produce_in(Some("a"), at("t", 0), within("left", producer, 0)).await.unwrap();
    world.clock.advance(chrono::TimeDelta::hours(-2));
    world.restart().await;
    world.pass(61_000).await;
    world.produce(at("t", 0), plain("after")).await.unwrap();
    assert_eq!(world.values(at("t", 0), Isolation::Committed).await, ["after"]);
}
