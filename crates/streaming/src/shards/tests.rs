use std::sync::Arc;
use std::time::Duration;

use polder_capability::topics::{
    Division, NewStream, ReadShard, ShardRead, ShardRecord, ShardStart, Shards, StreamChange, TopicError, TopicRef,
    TopicResult,
};

use super::put::hash_of;
use crate::Unrestricted;
use crate::tests::world::{World, at, client, options, plain};

fn stream() -> TopicRef {
    TopicRef::named("s")
}

async fn made(world: &World, shards: u32, on_demand: bool) {
    let new = NewStream { name: "s".to_owned(), shards, on_demand, record_bytes_max: 1 << 20, tags: Vec::new() };
    world.topics.create_stream(&client("a"), new).await.unwrap();
}

fn record(key: &str, hash_key: Option<u128>) -> ShardRecord {
    ShardRecord { partition_key: key.to_owned(), hash_key, data: format!("of {key}").into_bytes().into() }
}

async fn put(world: &World, record: ShardRecord) -> TopicResult<(u32, i64)> {
    let put = world.topics.put(&client("a"), &stream(), vec![record]).await?.remove(0)?;
    Ok((put.shard, put.sequence))
}

async fn read(world: &World, shard: u32, start: ShardStart) -> ShardRead {
    let client = client("a");
    let sequence = world.topics.start_at(&client, &stream(), shard, start).await.unwrap();
    let id = world.topics.stream(&client, &stream()).unwrap().id;
    let read = ReadShard {
        stream: id,
        shard,
        sequence,
        records_max: 10,
        bytes_max: 1 << 20,
        wait_max: Duration::ZERO,
        shared: true,
    };
    world.topics.read_shard(&client, &read).await.unwrap()
}

fn keys(read: &ShardRead) -> Vec<(&str, i64)> {
    read.records.iter().map(|record| (record.partition_key.as_str(), record.sequence)).collect()
}

#[tokio::test]
async fn records_go_to_the_shard_of_their_hash_and_are_read_in_order() {
    let world = World::new().await;
    made(&world, 2, true).await;
    let shard_of = |key| u32::from(hash_of(key) >= 1 << 127);
    for (key, sequence) in [("a", 1), ("a", 2), ("a", 3)] {
        assert_eq!(put(&world, record(key, None)).await, Ok((shard_of(key), sequence)));
    }
    assert_eq!(put(&world, record("z", Some(u128::MAX))).await.map(|put| put.0), Ok(1));
    let all = read(&world, shard_of("a"), ShardStart::TrimHorizon).await;
    assert_eq!(keys(&all)[..3], [("a", 1), ("a", 2), ("a", 3)]);
    assert_eq!((all.behind_ms, all.next.is_some()), (0, true));
    assert_eq!(read(&world, shard_of("a"), ShardStart::After(2)).await.records[0].sequence, 3);
    assert!(read(&world, 0, ShardStart::Latest).await.records.is_empty());
    let beyond = world.topics.start_at(&client("a"), &stream(), 0, ShardStart::At(99)).await;
    assert_eq!(beyond.map_err(|failure| failure.error), Err(TopicError::OffsetOutOfRange));
}

#[tokio::test]
async fn a_stream_that_is_divided_keeps_what_it_had_also_over_a_restart() {
    let mut world = World::new().await;
    made(&world, 1, true).await;
    assert_eq!(put(&world, record("old", None)).await, Ok((0, 1)));
    let split = Division::Split { shard: 0, at: 1 << 127 };
    world.topics.divide(&client("a"), &stream(), split).await.unwrap();
    assert_eq!(put(&world, record("low", Some(0))).await, Ok((1, 2)));
    assert_eq!(put(&world, record("high", Some(u128::MAX))).await, Ok((2, 2)));
    world.restart().await;
    let end = read(&world, 0, ShardStart::TrimHorizon).await;
    assert_eq!((keys(&end), end.next), (vec![("old", 1)], None));
    assert_eq!(end.children.iter().map(|child| child.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(keys(&read(&world, 2, ShardStart::At(2)).await), [("high", 2)]);
    let merge = Division::Merge { shard: 1, adjacent: 2 };
    world.topics.divide(&client("a"), &stream(), merge).await.unwrap();
    let shards = world.topics.stream(&client("a"), &stream()).unwrap().shards;
    assert_eq!(shards.iter().filter(|shard| shard.is_open()).map(|shard| shard.number).collect::<Vec<_>>(), [3]);
    assert_eq!((shards[3].parent, shards[3].adjacent_parent, shards[3].first_sequence), (Some(1), Some(2), 3));
    // What is closed is listed as long as records of its are kept.
    world.clock.advance(chrono::TimeDelta::hours(25));
    assert_eq!(world.topics.stream(&client("a"), &stream()).unwrap().shards.len(), 1);
}

#[tokio::test]
async fn what_kafka_has_made_and_written_is_a_stream() {
    let world = World::new().await;
    world.topic("s", 3).await;
    world.produce(at("s", 2), plain("by kafka")).await.unwrap();
    let read = read(&world, 2, ShardStart::TrimHorizon).await;
    assert_eq!((read.records[0].data.as_slice(), read.records[0].partition_key.as_str()), (&b"by kafka"[..], ""));
    let described = world.topics.stream(&client("a"), &stream()).unwrap();
    assert_eq!((described.on_demand, described.shards.len()), (true, 3));
}

#[tokio::test]
async fn a_stream_is_there_with_all_that_is_its_own_or_not_at_all() {
    let world = World::new().await;
    let before = world.files();
    made(&world, 3, false).await;
    let after = world.files();
    let (name, written) = after.iter().find(|(name, bytes)| before.get(*name) != Some(*bytes)).unwrap();
    let old = &before[name];
    let differs = |at: &usize| old.get(*at) != Some(&written[*at]);
    let first = (0..written.len()).find(differs).unwrap();
    let last = (0..written.len()).rfind(differs).unwrap() + 1;
    let mut seen = Vec::new();
    // As far as a kill has let it be written.
    for end in (first..last).step_by(8).chain([last]) {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &before {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut mixed = written[..end].to_vec();
        mixed.extend(old.get(end..).unwrap_or_default());
        std::fs::write(dir.path().join(name), mixed).unwrap();
        let world = World::on(dir, Arc::new(Unrestricted), options()).await;
        let found = world.topics.stream(&client("a"), &stream());
        seen.push(found.is_ok());
        if let Ok(found) = found {
            assert_eq!(
                (found.on_demand, found.created_ms > 0, found.shards.len()),
                (false, true, 3),
                "{end} of {last}"
            );
        }
    }
    seen.dedup();
    assert_eq!(seen, [false, true]);
}

#[tokio::test]
async fn a_shard_that_is_closed_takes_no_records_by_any_way() {
    let mut world = World::new().await;
    made(&world, 1, true).await;
    world.produce(at("s", 0), plain("before")).await.unwrap();
    let split = Division::Split { shard: 0, at: 1 << 127 };
    world.topics.divide(&client("a"), &stream(), split).await.unwrap();
    for _ in 0..2 {
        let refused = world.produce(at("s", 0), plain("late")).await.unwrap_err();
        assert_eq!(refused.error, TopicError::Policy);
        assert!(refused.message.unwrap().contains("partition 0 of \"s\" takes no records any more"));
        let end = read(&world, 0, ShardStart::TrimHorizon).await;
        assert_eq!((end.records.len(), end.next), (1, None), "who has read it to its end has read all");
        world.restart().await;
    }
    // Its children take them, with numbers behind its own.
    world.produce(at("s", 1), plain("by kafka")).await.unwrap();
    assert_eq!(read(&world, 1, ShardStart::TrimHorizon).await.records[0].sequence, 2);
}

#[tokio::test]
async fn a_write_that_is_under_way_while_a_stream_is_divided_is_before_the_end_or_refused() {
    let world = World::new().await;
    made(&world, 1, true).await;
    let writes = async {
        let mut outcomes = Vec::new();
        for number in 0..200 {
            outcomes.push(world.produce(at("s", 0), plain(&format!("{number}"))).await);
        }
        outcomes
    };
    let division = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let split = Division::Split { shard: 0, at: 1 << 127 };
        world.topics.divide(&client("a"), &stream(), split).await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(writes, division);
    let written = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!(
        outcomes[written..]
            .iter()
            .all(|outcome| matches!(outcome, Err(failure) if failure.error == TopicError::Policy))
    );
    let shards = world.topics.stream(&client("a"), &stream()).unwrap().shards;
    let last = i64::try_from(written).unwrap();
    assert_eq!((shards[0].last_sequence, shards[1].first_sequence), (Some(last.max(1)), last + 1));
}

#[tokio::test]
async fn limits_are_those_of_provisioned_streams() {
    let world = World::new().await;
    made(&world, 1, false).await;
    let large = |bytes| ShardRecord { data: vec![0; bytes].into(), ..record("k", None) };
    let too_large = put(&world, large(1 << 20)).await.map_err(|failure| failure.error);
    assert_eq!(too_large, Err(TopicError::TooLarge));
    assert_eq!(put(&world, large((1 << 20) - 1)).await, Ok((0, 1)));
    assert_eq!(put(&world, large(9)).await.map_err(|failure| failure.error), Err(TopicError::Throttled));
    world.clock.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(put(&world, large(9)).await, Ok((0, 2)));
    world.topics.change_stream(&client("a"), &stream(), StreamChange::OnDemand(true)).await.unwrap();
    assert_eq!(put(&world, large(1 << 19)).await, Ok((0, 3)));
    assert_eq!(put(&world, large(1 << 19)).await, Ok((0, 4)));
}

#[tokio::test]
async fn a_provisioned_shard_takes_a_thousand_records_and_gives_two_megabytes_in_a_second() {
    let world = World::new().await;
    made(&world, 2, false).await;
    let (low, high) = (Some(0), Some(u128::MAX));
    let throttled = |outcome: &TopicResult<_>| outcome.as_ref().is_err_and(|one| one.error == TopicError::Throttled);
    // As one call, so that the first thousand go in and what is behind them does not, but for another shard's.
    let mut records = vec![record("k", low); 1_003];
    records[1_001].hash_key = high;
    let outcomes = world.topics.put(&client("a"), &stream(), records).await.unwrap();
    let refused: Vec<usize> = (0..outcomes.len()).filter(|place| throttled(&outcomes[*place])).collect();
    assert_eq!(refused, [1_000, 1_002]);
    assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() == 1_001);
    world.clock.advance(chrono::TimeDelta::milliseconds(2));
    let outcomes = world.topics.put(&client("a"), &stream(), vec![record("k", low); 3]).await.unwrap();
    assert_eq!(outcomes.iter().map(throttled).collect::<Vec<_>>(), [false, false, true]);

    // More than two megabytes of them, put there without a limit.
    world.topics.change_stream(&client("a"), &stream(), StreamChange::OnDemand(true)).await.unwrap();
    for _ in 0..3 {
        put(&world, ShardRecord { data: vec![0; (1 << 20) - 1].into(), ..record("k", low) }).await.unwrap();
    }
    let id = world.topics.stream(&client("a"), &stream()).unwrap().id;
    let read = |shard, shared| {
        let (sequence, wait_max) = (1, Duration::ZERO);
        let read = ReadShard { stream: id, shard, sequence, records_max: 2_000, bytes_max: 10 << 20, wait_max, shared };
        let topics = world.topics.clone();
        async move { topics.read_shard(&client("a"), &read).await }
    };
    for _ in 0..2 {
        assert_eq!(read(0, true).await.unwrap().records.len(), 1_005);
    }
    world.topics.change_stream(&client("a"), &stream(), StreamChange::OnDemand(false)).await.unwrap();
    assert_eq!(read(0, true).await.unwrap().records.len(), 1_005);
    assert_eq!(read(0, true).await.unwrap_err().error, TopicError::Throttled);
    // Another shard has its own, and so has who does not share.
    assert_eq!(read(1, true).await.unwrap().records.len(), 1);
    assert_eq!(read(0, false).await.unwrap().records.len(), 1_005);
    world.clock.advance(chrono::TimeDelta::milliseconds(400));
    assert_eq!(read(0, true).await.unwrap_err().error, TopicError::Throttled);
    world.clock.advance(chrono::TimeDelta::milliseconds(200));
    assert_eq!(read(0, true).await.unwrap().records.len(), 1_005);
}
