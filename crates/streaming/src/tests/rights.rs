use std::sync::Arc;

use polder_capability::Caller;
use polder_capability::topics::{
    FetchOffsets, TopicAdmin, TopicChoice, TopicError, TopicGroups, TopicRecords, TopicRef, TopicRight, TopicRights,
    TopicThing,
};

use super::world::{World, at, client, fetch, offsets, plain};

/// Everybody may do all with what begins with their name; `admin` with everything.
struct Own;

impl TopicRights for Own {
    fn may(&self, caller: &Caller, _right: TopicRight, thing: TopicThing<'_>) -> bool {
        let owns = |name: &str| name.starts_with(&caller.user);
        caller.user == "admin"
            || match thing {
                TopicThing::Topic(name) | TopicThing::Group(name) | TopicThing::Transaction(name) => owns(name),
                TopicThing::Server => false,
            }
    }
}

#[tokio::test]
async fn what_one_may_not_see_is_not_told() {
    let world = World::with_rights(Arc::new(Own)).await;
    world.topic("ann-1", 1).await;
    world.topic("bob-1", 1).await;
    let bob = client("bob");
    let all = world.topics.describe(&bob, &TopicChoice::All, false).await.unwrap();
    assert_eq!(all.iter().map(|topic| topic.as_ref().unwrap().name.as_str()).collect::<Vec<_>>(), ["bob-1"]);
    // What there is and what there is not look alike.
    let id = world.topics.inner.log.topic("ann-1").unwrap().id;
    let ask = |topic: TopicRef| {
        let (topics, bob) = (world.topics.clone(), bob.clone());
        async move {
            let choice = TopicChoice::These(vec![topic]);
            topics.describe(&bob, &choice, true).await.unwrap().remove(0).unwrap_err().error
        }
    };
    assert_eq!(ask(TopicRef::named("ann-1")).await, ask(TopicRef::named("ann-2")).await);
    assert_eq!(ask(TopicRef::Id(id)).await, ask(TopicRef::Id(uuid::Uuid::from_u128(7))).await);
    let mut read = fetch(at("ann-1", 0), 0);
    read.partitions[0].from.topic = TopicRef::Id(id);
    let fetched = world.topics.fetch(&bob, &read).await.unwrap().results.remove(0);
    assert_eq!(fetched.unwrap_err().error, TopicError::UnknownTopicId);
    let failure = world.produce(at("ann-1", 0), plain("x")).await.unwrap_err();
    assert_eq!(failure.error, TopicError::TopicForbidden);
    for topic in ["ann-1", "ann-2"] {
        let deleted = world.topics.delete(&bob, vec![TopicRef::named(topic)]).await.unwrap().remove(0);
        assert_eq!(deleted.unwrap_err().error, TopicError::TopicForbidden);
    }
}

#[tokio::test]
async fn groups_are_their_owners() {
    let world = World::with_rights(Arc::new(Own)).await;
    world.topic("ann-1", 1).await;
    let (ann, bob) = (client("ann"), client("bob"));
    let mine = offsets("ann-group", -1, "", at("ann-1", 0), 3);
    world.topics.commit_offsets(&ann, mine.clone()).await.unwrap().remove(0).unwrap();
    let refused = world.topics.commit_offsets(&bob, mine).await.unwrap_err();
    assert_eq!(refused.error, TopicError::GroupForbidden);
    assert!(world.topics.list_groups(&bob).await.unwrap().is_empty());
    assert_eq!(world.topics.list_groups(&ann).await.unwrap().len(), 1);
    let told = world.topics.describe_groups(&bob, vec!["ann-group".to_owned()]).await.unwrap().remove(0);
    assert_eq!(told.unwrap_err().error, TopicError::GroupForbidden);
    let theirs = offsets("bob-group", -1, "", at("ann-1", 0), 3);
    let refused = world.topics.commit_offsets(&bob, theirs).await.unwrap().remove(0);
    assert_eq!(refused.unwrap_err().error, TopicError::TopicForbidden);
    let fetch = FetchOffsets { group: "ann-group".to_owned(), member: None, partitions: None, stable: false };
    assert_eq!(world.topics.fetch_offsets(&bob, fetch.clone()).await.unwrap_err().error, TopicError::GroupForbidden);
    assert_eq!(world.topics.fetch_offsets(&ann, fetch).await.unwrap().len(), 1);
}
