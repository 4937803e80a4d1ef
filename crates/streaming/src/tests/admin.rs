use std::collections::BTreeMap;

use polder_capability::topics::{
    ConfigChange, ConfigOperation, ConfigResource, MorePartitions, NewTopic, TopicAdmin, TopicChoice, TopicError,
    TopicRef,
};

use super::world::{World, client};

fn new(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), ..NewTopic::default() }
}

async fn refused(world: &World, topic: NewTopic) -> TopicError {
    world.topics.create(&client("a"), vec![topic], false).await.unwrap().remove(0).unwrap_err().error
}

#[tokio::test]
async fn topics_are_made_as_told_or_not_at_all() {
    let world = World::new().await;
    let config = |name: &str, value: &str| vec![(name.to_owned(), Some(value.to_owned()))];
    for (topic, expected) in [
        (new(""), TopicError::InvalidTopic),
        (new(".."), TopicError::InvalidTopic),
        (new("a/b"), TopicError::InvalidTopic),
        (new(&"x".repeat(250)), TopicError::InvalidTopic),
        (new("__consumer_offsets"), TopicError::InvalidTopic),
        (NewTopic { partitions: Some(0), ..new("a") }, TopicError::InvalidPartitions),
        (NewTopic { partitions: Some(-3), ..new("a") }, TopicError::InvalidPartitions),
        (NewTopic { partitions: Some(1_000_000), ..new("a") }, TopicError::InvalidPartitions),
        (NewTopic { replication: Some(3), ..new("a") }, TopicError::InvalidReplication),
        (NewTopic { assignments: BTreeMap::from([(0, vec![2])]), ..new("a") }, TopicError::InvalidAssignment),
        (NewTopic { assignments: BTreeMap::from([(1, vec![1])]), ..new("a") }, TopicError::InvalidAssignment),
        (NewTopic { config: config("segment.bytes", "1"), ..new("a") }, TopicError::InvalidConfig),
        (NewTopic { config: config("retention.ms", "-2"), ..new("a") }, TopicError::InvalidConfig),
        (NewTopic { config: config("retention.ms", "soon"), ..new("a") }, TopicError::InvalidConfig),
        (NewTopic { config: config("cleanup.policy", "shred"), ..new("a") }, TopicError::InvalidConfig),
        (NewTopic { config: config("min.insync.replicas", "2"), ..new("a") }, TopicError::InvalidConfig),
        (NewTopic { config: config("max.message.bytes", "999999999"), ..new("a") }, TopicError::InvalidConfig),
    ] {
        let what = format!("{topic:?}");
        assert_eq!(refused(&world, topic).await, expected, "{what}");
    }
    let twice = world.topics.create(&client("a"), vec![new("a"), new("a")], false).await.unwrap();
    assert!(twice.iter().all(|result| result.as_ref().unwrap_err().error == TopicError::InvalidRequest));
    assert!(world.topics.describe(&client("a"), &TopicChoice::All, false).await.unwrap().is_empty());
    let tried = world.topics.create(&client("a"), vec![new("a")], true).await.unwrap();
    assert_eq!(tried[0].as_ref().unwrap().partitions, 1);
    assert!(world.topics.describe(&client("a"), &TopicChoice::All, false).await.unwrap().is_empty());
    let assigned = NewTopic { assignments: BTreeMap::from([(0, vec![1]), (1, vec![1])]), ..new("a") };
    let made = world.topics.create(&client("a"), vec![assigned], false).await.unwrap();
    assert_eq!(made[0].as_ref().unwrap().partitions, 2);
    assert_eq!(refused(&world, new("a")).await, TopicError::TopicExists);
}

#[tokio::test]
async fn settings_are_kept_and_told() {
    let mut world = World::new().await;
    world.topic("t", 1).await;
    let change = |replace, operations: &[(&str, ConfigOperation)]| {
        let operations = operations.iter().map(|(name, operation)| ((*name).to_owned(), operation.clone())).collect();
        let change = ConfigChange { resource: ConfigResource::Topic("t".to_owned()), replace, operations };
        let topics = world.topics.clone();
        async move { topics.change_configs(&client("a"), vec![change], false).await.unwrap().remove(0) }
    };
    let set = |value: &str| ConfigOperation::Set(value.to_owned());
    change(false, &[("retention.ms", set("1000")), ("retention.bytes", set("5"))]).await.unwrap();
    change(false, &[("cleanup.policy", ConfigOperation::Append("compact".to_owned()))]).await.unwrap();
    change(false, &[("retention.bytes", ConfigOperation::Reset)]).await.unwrap();
    let twice = [("retention.ms", set("1")), ("retention.ms", set("2"))];
    assert_eq!(change(false, &twice).await.unwrap_err().error, TopicError::InvalidRequest);
    let all = ConfigOperation::Subtract("delete,compact".to_owned());
    assert_eq!(change(false, &[("cleanup.policy", all)]).await.unwrap_err().error, TopicError::InvalidConfig);
    world.restart().await;
    let told = |world: &World| {
        let topics = world.topics.clone();
        async move {
            let wanted = vec![(ConfigResource::Topic("t".to_owned()), None)];
            let told = topics.configs(&client("a"), wanted).await.unwrap().remove(0).unwrap();
            let own = told.into_iter().filter(|entry| entry.source == polder_capability::topics::ConfigSource::Own);
            own.map(|entry| format!("{}={}", entry.name, entry.value.unwrap())).collect::<Vec<_>>()
        }
    };
    assert_eq!(told(&world).await, ["cleanup.policy=delete,compact", "retention.ms=1000"]);
    let operations = vec![("retention.ms".to_owned(), set("7"))];
    let resource = ConfigResource::Topic("t".to_owned());
    let replaced = ConfigChange { resource, replace: true, operations };
    world.topics.change_configs(&client("a"), vec![replaced], false).await.unwrap().remove(0).unwrap();
    assert_eq!(told(&world).await, ["retention.ms=7"]);
    let resource = ConfigResource::Server(Some(1));
    let of_server =
        ConfigChange { resource, replace: false, operations: vec![("num.partitions".to_owned(), set("2"))] };
    let refused = world.topics.change_configs(&client("a"), vec![of_server], false).await.unwrap().remove(0);
    assert_eq!(refused.unwrap_err().error, TopicError::InvalidConfig);
}

#[tokio::test]
async fn topics_grow_go_and_come_by_themselves() {
    let mut world = World::new().await;
    world.topic("t", 2).await;
    let wish = |total| MorePartitions { topic: "t".to_owned(), total, assignments: None };
    for (total, expected) in [(2, false), (1, false), (-1, false), (100_001, false), (3, true)] {
        let grown = world.topics.add_partitions(&client("a"), vec![wish(total)], false).await.unwrap();
        assert_eq!(grown[0].is_ok(), expected, "{total}");
    }
    let id = world.topics.cluster_id();
    assert_eq!(id.len(), 22);
    world.restart().await;
    assert_eq!(world.topics.cluster_id(), id);
    let choice = |name: &str| TopicChoice::These(vec![TopicRef::named(name)]);
    let told = world.topics.describe(&client("a"), &choice("t"), false).await.unwrap().remove(0).unwrap();
    assert_eq!(told.partitions, 3);
    let missing = world.topics.describe(&client("a"), &choice("u"), false).await.unwrap().remove(0);
    assert_eq!(missing.unwrap_err().error, TopicError::UnknownTopic);
    let invalid = world.topics.describe(&client("a"), &choice("a b"), true).await.unwrap().remove(0);
    assert_eq!(invalid.unwrap_err().error, TopicError::InvalidTopic);
    // Two ask at once: one makes it, both get it.
    let asker = client("a");
    let wanted = choice("u");
    let (one, other) =
        tokio::join!(world.topics.describe(&asker, &wanted, true), world.topics.describe(&asker, &wanted, true));
    let made = one.unwrap().remove(0).unwrap();
    assert_eq!(made, other.unwrap().remove(0).unwrap());
    world.topics.delete(&client("a"), vec![TopicRef::Id(made.id)]).await.unwrap().remove(0).unwrap();
    let again = world.topics.delete(&client("a"), vec![TopicRef::Id(made.id)]).await.unwrap().remove(0);
    assert_eq!(again.unwrap_err().error, TopicError::UnknownTopicId);
}
