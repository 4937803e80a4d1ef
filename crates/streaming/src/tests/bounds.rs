//! What all together may take.

use std::sync::Arc;
use std::time::Duration;

use polder_capability::topics::{
    ConfigChange, ConfigOperation, ConfigResource, FetchOffsets, TopicAdmin, TopicError, TopicGroups, TopicRecords,
    TopicRight, TopicThing,
};

use super::world::{World, at, client, fetch, offsets, options, plain};
use crate::{StreamingOptions, Unrestricted};

#[tokio::test]
async fn what_groups_keep_has_a_bound_together_and_goes_on_within_it() {
    let options = StreamingOptions { kept_bytes_max: 8_000, ..options() };
    let world = World::with(Arc::new(Unrestricted), options).await;
    world.topic("t", 100).await;
    let commit = |group: String, partition, offset| world.commit(offsets(&group, -1, "", at("t", partition), offset));
    let mut taken = 0;
    let error = loop {
        match commit(format!("group {taken}"), 0, 1).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, TopicError::Policy);
    assert!((10..100).contains(&taken), "{taken}");
    // Neither more partitions nor more identities, but everybody who is there goes on.
    assert_eq!(commit("group 0".to_owned(), 1, 1).await, Err(TopicError::Policy));
    assert_eq!(world.init("new").await.unwrap_err().error, TopicError::Policy);
    commit("group 0".to_owned(), 0, 77).await.unwrap();
    assert_eq!(world.committed("group 0", at("t", 0)).await, Some(77));
    let names = (1..10).map(|number| format!("group {number}")).collect();
    for deleted in world.topics.delete_groups(&client("admin"), names).await.unwrap() {
        deleted.unwrap();
    }
    commit("another".to_owned(), 0, 1).await.unwrap();
    world.init("new").await.unwrap();
}

#[tokio::test]
async fn answers_share_their_memory_and_give_it_back() {
    let options = StreamingOptions { all_fetch_bytes_max: 1 << 20, ..options() };
    let world = World::with(Arc::new(Unrestricted), options).await;
    world.topic("t", 1).await;
    for _ in 0..20 {
        world.produce(at("t", 0), plain(&"x".repeat(100_000))).await.unwrap();
    }
    let ask = fetch(at("t", 0), 0);
    let bytes = |answer: &polder_capability::topics::FetchAnswer| -> usize {
        answer.results[0].as_ref().unwrap().batches.iter().map(|batch| batch.len()).sum()
    };
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(world.topics.fetch(&client("r"), &ask).await.unwrap());
    }
    let all: usize = held.iter().map(bytes).sum();
    // One batch may be more than the answer's part.
    assert!(((512 << 10)..(1 << 20) + 200_000).contains(&all), "{all}");
    assert!(held.iter().any(|answer| bytes(answer) == 0));
    // Who may wait gets something as soon as another answer is sent.
    let mut waiting = ask.clone();
    waiting.wait_max = Duration::from_secs(60);
    let (reader, topics) = (client("r"), world.topics.clone());
    let asking = tokio::spawn(async move { topics.fetch(&reader, &waiting).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!asking.is_finished());
    held.clear();
    assert!(bytes(&asking.await.unwrap().unwrap()) > 0);
    assert!(bytes(&world.topics.fetch(&client("r"), &ask).await.unwrap()) > 900_000);
}

#[tokio::test]
async fn an_answer_of_offsets_has_an_end() {
    let world = World::new().await;
    world.topic("t", 100).await;
    for partition in 0..100 {
        let mut commit = offsets("g", -1, "", at("t", partition), 1);
        commit.offsets[0].metadata = "x".repeat(4_000);
        world.commit(commit).await.unwrap();
    }
    let ask = |partitions: Option<i32>| {
        let partitions = partitions.map(|count| (0..count).map(|partition| at("t", partition)).collect());
        let fetch = FetchOffsets { group: "g".to_owned(), member: None, partitions, stable: false };
        let topics = world.topics.clone();
        async move { topics.fetch_offsets(&client("r"), fetch).await }
    };
    assert_eq!(ask(Some(10)).await.unwrap().len(), 10);
    for too_many in [Some(100), None] {
        assert_eq!(ask(too_many).await.unwrap_err().error, TopicError::InvalidRequest);
    }
}

#[tokio::test]
async fn times_too_far_away_are_refused_where_a_topic_says_so() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let set = |name: &str, value: &str| {
        let operations = vec![(name.to_owned(), ConfigOperation::Set(value.to_owned()))];
        let resource = ConfigResource::Topic("t".to_owned());
        let topics = world.topics.clone();
        async move {
            let change = ConfigChange { resource, replace: false, operations };
            topics.change_configs(&client("admin"), vec![change], false).await.unwrap().remove(0)
        }
    };
    set("message.timestamp.before.max.ms", "1000").await.unwrap();
    world.produce(at("t", 0), plain("in time")).await.unwrap();
    world.pass(2_000).await;
    let refused = world.produce(at("t", 0), plain("too late")).await.unwrap_err();
    assert_eq!(refused.error, TopicError::InvalidTimestamp);
    // What has no meaning here is refused by its name, and what has only one value by any other.
    for (name, value) in
        [("segment.ms", "1000"), ("min.insync.replicas", "2"), ("unclean.leader.election.enable", "true")]
    {
        let refused = set(name, value).await.unwrap_err();
        assert_eq!(refused.error, TopicError::InvalidConfig);
        assert!(refused.message.unwrap().contains(name));
    }
    for (name, value) in [("segment.bytes", "52428800"), ("min.compaction.lag.ms", "5"), ("min.insync.replicas", "1")] {
        set(name, value).await.unwrap();
    }
}

#[tokio::test]
async fn what_somebody_may_do_is_told() {
    let world = World::new().await;
    let rights = world.topics.rights_on(&client("r"), TopicThing::Topic("t"));
    assert_eq!(rights, Some(TopicRight::ALL.to_vec()));
}
