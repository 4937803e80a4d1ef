use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use polder_capability::Caller;
use polder_capability::topics::{
    FetchOffsets, NewTopic, TopicAdmin, TopicChoice, TopicClient, TopicError, TopicGroups, TopicNames, TopicRecords,
    TopicRef, TopicRight, TopicRights, TopicThing,
};
use polder_types::{Error, Result};
use uuid::Uuid;

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

    fn refused(&self, _client: &TopicClient, _right: TopicRight, _thing: TopicThing<'_>) {}
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

/// What the server told about topics that are made and deleted.
#[derive(Default)]
struct Told {
    made: Mutex<Vec<(String, String, Uuid)>>,
    deleted: Mutex<Vec<Uuid>>,
    refuses: AtomicBool,
}

#[async_trait]
impl TopicRights for Told {
    fn may(&self, _caller: &Caller, _right: TopicRight, _thing: TopicThing<'_>) -> bool {
        true
    }

    fn refused(&self, _client: &TopicClient, _right: TopicRight, _thing: TopicThing<'_>) {}

    async fn making(&self, caller: &Caller, topic: &str, id: Uuid) -> Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Error::internal("no"));
        }
        self.made.lock().push((caller.user.clone(), topic.to_owned(), id));
        Ok(())
    }

    async fn deleted(&self, id: Uuid) {
        self.deleted.lock().push(id);
    }
}

#[tokio::test]
async fn a_topic_belongs_to_whoever_makes_it() {
    let told = Arc::new(Told::default());
    let world = World::with_rights(Arc::<Told>::clone(&told)).await;
    let ann = client("ann");
    let new = || vec![NewTopic { name: "plans".to_owned(), partitions: Some(1), ..NewTopic::default() }];
    world.topics.create(&ann, new(), true).await.unwrap().remove(0).unwrap();
    assert!(told.made.lock().is_empty(), "it was only asked what would be");
    let id = world.topics.create(&ann, new(), false).await.unwrap().remove(0).unwrap().id;
    assert_eq!(*told.made.lock(), [("ann".to_owned(), "plans".to_owned(), id)]);
    assert_eq!((world.topics.id_of("plans"), world.topics.all()), (Some(id), vec![("plans".to_owned(), id)]));
    world.topics.delete(&ann, vec![TopicRef::named("plans")]).await.unwrap().remove(0).unwrap();
    assert_eq!(*told.deleted.lock(), [id]);
    assert_eq!(world.topics.id_of("plans"), None);
    // Without an owner there is none.
    told.refuses.store(true, Ordering::Relaxed);
    let refused = world.topics.create(&ann, new(), false).await.unwrap().remove(0).unwrap_err();
    assert_eq!(refused.error, TopicError::Storage);
    assert_eq!(world.topics.id_of("plans"), None);
}
