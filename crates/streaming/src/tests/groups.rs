use std::time::Duration;

use bytes::Bytes;
use polder_capability::topics::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, FetchOffsets, GroupState, JoinGroup, Joined, JoinedGroup,
    LeavingMember, MemberId, SyncGroup, TopicAdmin, TopicError, TopicGroups, TopicPartition, TopicResult,
    TopicTransactions, TransactionOffsets,
};

use super::world::{World, at, client, offsets};

pub fn join(group: &str, member: &str) -> JoinGroup {
    JoinGroup {
        group: group.to_owned(),
        member: MemberId { id: member.to_owned(), instance: None },
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(30),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription("t"))],
        id_first: true,
        reason: None,
    }
}

/// What a consumer tells its leader: a version, its topics, and bytes of its own.
pub fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend(topic.bytes());
    bytes.extend([0, 0, 0, 0]);
    bytes.into()
}

pub fn sync(group: &str, joined: &JoinedGroup, parts: &[(&str, &str)]) -> SyncGroup {
    let parts = parts.iter().map(|(member, part)| ((*member).to_owned(), Bytes::copy_from_slice(part.as_bytes())));
    SyncGroup {
        group: group.to_owned(),
        generation: joined.generation,
        member: MemberId { id: joined.member_id.clone(), instance: None },
        protocol_type: Some("consumer".to_owned()),
        protocol: Some(joined.protocol.clone()),
        assignments: parts.collect(),
    }
}

async fn enter(world: &World, group: &str) -> JoinedGroup {
    let first = world.topics.join(&client("member"), join(group, "")).await.unwrap();
    let Joined::TakeId(id) = first else { panic!("{first:?}") };
    match world.topics.join(&client("member"), join(group, &id)).await.unwrap() {
        Joined::Group(joined) => joined,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_group_and_its_offsets_outlive_a_restart() {
    let mut world = World::new().await;
    world.topic("t", 2).await;
    let joined = enter(&world, "g").await;
    assert_eq!(joined.leader, joined.member_id);
    let me = joined.member_id.clone();
    let synced = world.topics.sync(&client("m"), sync("g", &joined, &[(&me, "all")])).await.unwrap();
    assert_eq!(&synced.assignment[..], b"all");
    world.commit(offsets("g", joined.generation, &me, at("t", 0), 41)).await.unwrap();
    world.restart().await;
    assert_eq!(world.committed("g", at("t", 0)).await, Some(41));
    assert_eq!(world.committed("g", at("t", 1)).await, None);
    let member = MemberId { id: me.clone(), instance: None };
    world.topics.heartbeat(&client("m"), "g", joined.generation, &member).await.unwrap();
    let again = world.topics.sync(&client("m"), sync("g", &joined, &[])).await.unwrap();
    assert_eq!(&again.assignment[..], b"all");
    let old = world.commit(offsets("g", joined.generation - 1, &me, at("t", 0), 40)).await;
    assert_eq!(old, Err(TopicError::IllegalGeneration));
    let outside = world.commit(offsets("g", -1, "", at("t", 0), 40)).await;
    assert_eq!(outside, Err(TopicError::UnknownMember));
    // It is silent, and out; its offsets stay.
    world.pass(11_000).await;
    let gone = world.topics.heartbeat(&client("m"), "g", joined.generation, &member).await.unwrap_err();
    assert_eq!(gone.error, TopicError::UnknownMember);
    world.restart().await;
    let told = world.topics.describe_groups(&client("m"), vec!["g".to_owned()]).await.unwrap().remove(0).unwrap();
    assert_eq!((told.state, told.members.len()), (GroupState::Empty, 0));
    assert_eq!(world.committed("g", at("t", 0)).await, Some(41));
}

#[tokio::test]
async fn a_second_member_makes_a_generation() {
    let world = World::new().await;
    world.topic("t", 2).await;
    let first = enter(&world, "g").await;
    let me = first.member_id.clone();
    world.topics.sync(&client("m"), sync("g", &first, &[(&me, "all")])).await.unwrap();
    let topics = world.topics.clone();
    let other = tokio::spawn(async move {
        let Joined::TakeId(id) = topics.join(&client("other"), join("g", "")).await.unwrap() else { panic!() };
        topics.join(&client("other"), join("g", &id)).await.unwrap()
    });
    let member = MemberId { id: me.clone(), instance: None };
    loop {
        match world.topics.heartbeat(&client("m"), "g", first.generation, &member).await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(failure) => {
                assert_eq!(failure.error, TopicError::RebalanceInProgress);
                break;
            }
        }
    }
    // What was read so far can still be committed before joining again.
    world.commit(offsets("g", first.generation, &me, at("t", 0), 7)).await.unwrap();
    let Joined::Group(again) = world.topics.join(&client("m"), join("g", &me)).await.unwrap() else { panic!() };
    let Joined::Group(other) = other.await.unwrap() else { panic!() };
    assert_eq!((again.generation, other.generation), (first.generation + 1, first.generation + 1));
    assert_eq!((again.members.len(), other.members.len()), (2, 0));
    let late = world.commit(offsets("g", first.generation, &me, at("t", 0), 8)).await;
    assert_eq!(late, Err(TopicError::IllegalGeneration));
    let theirs = other.member_id.clone();
    let (topics, wait) = (world.topics.clone(), sync("g", &other, &[]));
    let waiting = tokio::spawn(async move { topics.sync(&client("other"), wait).await });
    let parts = [(me.as_str(), "half"), (theirs.as_str(), "other half")];
    let mine = world.topics.sync(&client("m"), sync("g", &again, &parts)).await.unwrap();
    assert_eq!(&mine.assignment[..], b"half");
    assert_eq!(&waiting.await.unwrap().unwrap().assignment[..], b"other half");
    let leaving = vec![LeavingMember { member: MemberId { id: theirs, instance: None }, reason: None }];
    world.topics.leave(&client("other"), "g", leaving).await.unwrap().remove(0).unwrap();
    let told = world.topics.heartbeat(&client("m"), "g", again.generation, &member).await.unwrap_err();
    assert_eq!(told.error, TopicError::RebalanceInProgress);
}

#[tokio::test]
async fn offsets_go_with_their_topic_their_group_and_their_time() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    world.topic("u", 1).await;
    for (group, topic) in [("one", "t"), ("one", "u"), ("two", "t"), ("three", "u")] {
        world.commit(offsets(group, -1, "", at(topic, 0), 9)).await.unwrap();
    }
    world.topics.delete(&client("a"), vec![at("t", 0).topic]).await.unwrap().remove(0).unwrap();
    world.topic("t", 1).await;
    for restarts in 0..2 {
        assert_eq!(world.committed("one", at("t", 0)).await, None, "{restarts}");
        assert_eq!(world.committed("one", at("u", 0)).await, Some(9));
        world.restart().await;
    }
    let all = FetchOffsets { group: "one".to_owned(), member: None, partitions: None, stable: false };
    assert_eq!(world.topics.fetch_offsets(&client("m"), all).await.unwrap().len(), 1);
    let gone = world.topics.delete_groups(&client("a"), vec!["three".to_owned(), "none".to_owned()]).await.unwrap();
    assert_eq!(gone[0], Ok(()));
    assert_eq!(gone[1].as_ref().unwrap_err().error, TopicError::UnknownGroup);
    world.restart().await;
    assert_eq!(world.committed("three", at("u", 0)).await, None);
    world.clock.advance(chrono::TimeDelta::days(7));
    world.topics.expire(&polder_runtime::Shutdown::new()).await;
    assert_eq!(world.committed("one", at("u", 0)).await, None);
    assert!(world.topics.list_groups(&client("a")).await.unwrap().is_empty());
    world.restart().await;
    assert!(world.topics.list_groups(&client("a")).await.unwrap().is_empty());
}

#[tokio::test]
async fn offsets_are_deleted_one_by_one_where_nobody_reads() {
    let mut world = World::new().await;
    world.topic("t", 2).await;
    world.topic("u", 1).await;
    let delete = |world: &World, group: &'static str, places: Vec<TopicPartition>| {
        let topics = world.topics.clone();
        async move {
            let deleted = topics.delete_offsets(&client("a"), group, places).await;
            let error = |outcome: TopicResult<()>| outcome.map_err(|failure| failure.error);
            deleted.map(|all| all.into_iter().map(error).collect::<Vec<_>>()).map_err(|failure| failure.error)
        }
    };
    for (of, offset) in [(at("t", 0), 3), (at("t", 1), 4), (at("u", 0), 5)] {
        world.commit(offsets("g", -1, "", of, offset)).await.unwrap();
    }
    let unknown = Err(TopicError::UnknownTopic);
    let places = vec![at("none", 0), at("t", 0), at("t", 7), at("u", 0)];
    assert_eq!(delete(&world, "g", places).await, Ok(vec![unknown.clone(), Ok(()), unknown, Ok(())]));
    for _ in 0..2 {
        assert_eq!(world.committed("g", at("t", 0)).await, None);
        assert_eq!(world.committed("g", at("t", 1)).await, Some(4));
        assert_eq!(world.committed("g", at("u", 0)).await, None);
        world.restart().await;
    }
    // What is not there is deleted already, but for a group.
    assert_eq!(delete(&world, "g", vec![at("t", 0)]).await, Ok(vec![Ok(())]));
    assert_eq!(delete(&world, "none", vec![at("t", 0)]).await, Err(TopicError::UnknownGroup));
    // A topic that a member reads keeps its own; another one of the group's does not.
    let joined = enter(&world, "busy").await;
    let me = joined.member_id.clone();
    world.topics.sync(&client("m"), sync("busy", &joined, &[(&me, "all")])).await.unwrap();
    for of in [at("t", 1), at("u", 0)] {
        world.commit(offsets("busy", joined.generation, &me, of, 8)).await.unwrap();
    }
    let deleted = delete(&world, "busy", vec![at("t", 1), at("u", 0)]).await;
    assert_eq!(deleted, Ok(vec![Err(TopicError::GroupSubscribed), Ok(())]));
    assert_eq!(world.committed("busy", at("t", 1)).await, Some(8));
    assert_eq!(world.committed("busy", at("u", 0)).await, None);
}

pub fn beat(group: &str, member: &str, epoch: i32) -> ConsumerHeartbeat {
    let joins = epoch == 0;
    ConsumerHeartbeat {
        group: group.to_owned(),
        member: MemberId { id: member.to_owned(), instance: None },
        epoch,
        rack: None,
        rebalance_timeout: joins.then_some(Duration::from_secs(30)),
        topics: joins.then(|| vec!["t".to_owned()]),
        topics_regex: None,
        assignor: None,
        owned: joins.then(Vec::new),
        own_id: true,
    }
}

pub fn parts(answer: &ConsumerHeartbeatAnswer) -> Vec<i32> {
    answer.assignment.iter().flatten().flat_map(|topic| topic.partitions.clone()).collect()
}

#[tokio::test]
async fn the_server_divides_and_remembers() {
    let mut world = World::new().await;
    world.topic("t", 4).await;
    let send = |world: &World, beat: ConsumerHeartbeat| {
        let topics = world.topics.clone();
        async move { topics.consumer_heartbeat(&client("m"), beat).await }
    };
    let one = send(&world, beat("g", "one", 0)).await.unwrap();
    assert_eq!((one.epoch, parts(&one)), (1, vec![0, 1, 2, 3]));
    let two = send(&world, beat("g", "two", 0)).await.unwrap();
    assert_eq!((two.epoch, parts(&two)), (2, vec![]));
    world.restart().await;
    // The first gives back two; only then does the second get them.
    let less = send(&world, beat("g", "one", 1)).await.unwrap();
    assert_eq!((less.epoch, parts(&less).len()), (1, 2));
    assert_eq!(send(&world, beat("g", "two", 2)).await.unwrap().assignment, None);
    let mut given = beat("g", "one", 1);
    given.owned = less.assignment.clone();
    world.restart().await;
    assert_eq!(send(&world, given).await.unwrap().epoch, 2);
    let more = send(&world, beat("g", "two", 2)).await.unwrap();
    let mut all = [parts(&less), parts(&more)].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    world.commit(offsets("g", 2, "two", at("t", 0), 3)).await.unwrap();
    assert_eq!(world.commit(offsets("g", 1, "two", at("t", 0), 2)).await, Err(TopicError::StaleMemberEpoch));
    assert_eq!(world.commit(offsets("g", 2, "nobody", at("t", 0), 2)).await, Err(TopicError::UnknownMember));
    let told: TopicResult<_> =
        world.topics.describe_consumers(&client("m"), vec!["g".to_owned()]).await.unwrap().remove(0);
    let told = told.unwrap();
    assert_eq!((told.state, told.epoch, told.members.len()), (GroupState::Stable, 2, 2));
    assert_eq!(told.members[0].assignment[0].name, "t");
    // A member of the older protocol does not get in among them, and the other way round.
    let classic = world.topics.join(&client("m"), JoinGroup { id_first: false, ..join("g", "") }).await;
    assert_eq!(classic.unwrap_err().error, TopicError::InconsistentProtocol);
    enter(&world, "old").await;
    assert_eq!(send(&world, beat("old", "one", 0)).await.unwrap_err().error, TopicError::UnknownGroup);
    // Silence ends membership, over a restart as well.
    world.restart().await;
    world.pass(46_000).await;
    assert_eq!(send(&world, beat("g", "one", 2)).await.unwrap_err().error, TopicError::UnknownMember);
    let one = send(&world, beat("g", "one", 0)).await.unwrap();
    assert_eq!(parts(&one), [0, 1, 2, 3]);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_said() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let joined = enter(&world, "g").await;
    let me = joined.member_id.clone();
    world.topics.sync(&client("m"), sync("g", &joined, &[(&me, "all")])).await.unwrap();
    world.commit(offsets("g", joined.generation, &me, at("t", 0), 5)).await.unwrap();
    let producer = world.init("open").await.unwrap();
    world.add("open", producer, at("t", 0)).await.unwrap();
    world.topics.inner.log.close().await.unwrap();
    let failed = world.commit(offsets("g", joined.generation, &me, at("t", 0), 6)).await;
    assert_eq!(failed, Err(TopicError::Unavailable));
    let (topics, init) = (world.topics.clone(), world.init("a").await);
    assert_eq!(init.unwrap_err().error, TopicError::Unavailable);
    // Time goes by, and what it would bring about is tried again, but not without end.
    tokio::time::timeout(Duration::from_secs(60), world.pass(61_000)).await.unwrap();
    // What others are told is what was written.
    assert_eq!(world.committed("g", at("t", 0)).await, Some(5));
    let beat = topics.consumer_heartbeat(&client("m"), beat("h", "one", 0)).await;
    assert_eq!(beat.unwrap_err().error, TopicError::Unavailable);
    world.restart().await;
    assert_eq!(world.committed("g", at("t", 0)).await, Some(5));
    let told = world.topics.list_groups(&client("m")).await.unwrap();
    assert_eq!(told.iter().map(|listing| listing.group.as_str()).collect::<Vec<_>>(), ["g"]);
}

#[tokio::test]
async fn the_last_of_many_commits_is_the_one_that_stays() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let commits =
        (0..500).map(|offset| tokio::task::unconstrained(world.commit(offsets("g", -1, "", at("t", 0), offset))));
    assert!(futures::future::join_all(commits).await.iter().all(Result::is_ok));
    let told = world.committed("g", at("t", 0)).await;
    world.restart().await;
    assert_eq!(world.committed("g", at("t", 0)).await, told);
}

#[tokio::test]
async fn a_stale_epoch_is_an_old_generation_to_a_transaction() {
    let world = World::new().await;
    world.topic("t", 1).await;
    let joined = world.topics.consumer_heartbeat(&client("m"), beat("g", "one", 0)).await.unwrap();
    let producer = world.init("a").await.unwrap();
    world.topics.add_group_to_transaction(&client("p"), "a", producer, "g").await.unwrap();
    for (epoch, expected) in [(joined.epoch - 1, Err(TopicError::IllegalGeneration)), (joined.epoch, Ok(()))] {
        let commit = offsets("g", epoch, "one", at("t", 0), 3);
        let sent = TransactionOffsets { transactional_id: "a".to_owned(), producer, commit };
        let sent = world.topics.commit_in_transaction(&client("p"), sent).await;
        assert_eq!(sent.map(|_| ()).map_err(|failure| failure.error), expected, "epoch {epoch}");
    }
}
