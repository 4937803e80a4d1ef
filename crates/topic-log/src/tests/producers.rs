//! Idempotent producers and transactions.

use super::world::{Client, World, entry};
use crate::batch::BatchHeader;
use crate::entry::{AppendError, Appended, Entry, Refusal};
use crate::read::Ask;
use crate::records::{AbortedTransaction, Isolation};
use crate::view::Effect;

fn marker(topic: uuid::Uuid, id: i64, epoch: i16, commit: bool) -> Entry {
    Entry::Marker { topic, partition: 0, producer_id: id, producer_epoch: epoch, coordinator_epoch: 3, commit }
}

fn refused(world: &mut World, entries: Vec<Entry>) -> Refusal {
    match world.append(entries) {
        Err(AppendError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_batch_is_taken_once_and_in_order() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let sent = |sequence| Client::of(&["a", "b"]).producer(9, 0, sequence).bytes();
    for number in 0..7 {
        let appended = world.batch(topic, 0, sent(number * 2));
        assert_eq!((appended.base_offset, appended.duplicate), (i64::from(number) * 2, false));
    }
    for round in 0..3 {
        // The last five are remembered, also over starts.
        for number in 2..7 {
            let appended = world.batch(topic, 0, sent(number * 2));
            assert_eq!(
                (appended.base_offset, appended.last_offset),
                (i64::from(number) * 2, i64::from(number) * 2 + 1)
            );
            assert!(appended.duplicate, "{round} {number}");
        }
        let too_old = refused(&mut world, vec![entry(topic, 0, sent(2))]);
        assert_eq!(too_old, Refusal::OutOfOrderSequence { expected: 14, found: 2 });
        let ahead = refused(&mut world, vec![entry(topic, 0, sent(16))]);
        assert_eq!(ahead, Refusal::OutOfOrderSequence { expected: 14, found: 16 });
        world = if round == 0 {
            world.reopened()
        } else {
            // Through a checkpoint.
            while world.writer.active.segment < 3 {
                world.batch(topic, 0, Client::of(&[&"x".repeat(3000)]).bytes());
            }
            world.reopened()
        };
    }
    // Both of one group: the second is the first again.
    let outcomes = world.group(vec![vec![entry(topic, 0, sent(14))], vec![entry(topic, 0, sent(14))]]);
    let of = |outcome: &crate::request::Outcome| match outcome.as_ref().unwrap()[0] {
        Appended::Batch(appended) => appended,
        other => panic!("{other:?}"),
    };
    assert_eq!(of(&outcomes[0]).base_offset, of(&outcomes[1]).base_offset);
    assert!(!of(&outcomes[0]).duplicate && of(&outcomes[1]).duplicate);
    // A new epoch begins at 0; the old one is fenced off.
    let newer = |sequence| Client::of(&["n"]).producer(9, 1, sequence).bytes();
    assert_eq!(
        refused(&mut world, vec![entry(topic, 0, newer(5))]),
        Refusal::OutOfOrderSequence { expected: 0, found: 5 }
    );
    world.batch(topic, 0, newer(0));
    let fenced = refused(&mut world, vec![entry(topic, 0, sent(16))]);
    assert_eq!(fenced, Refusal::InvalidProducerEpoch { current: 1, found: 0 });
}

#[test]
fn sequence_numbers_go_around() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["a", "b", "c"]).producer(1, 0, i32::MAX - 1).bytes());
    assert!(!world.batch(topic, 0, Client::of(&["d"]).producer(1, 0, 1).bytes()).duplicate);
    assert!(world.batch(topic, 0, Client::of(&["a", "b", "c"]).producer(1, 0, i32::MAX - 1).bytes()).duplicate);
}

#[test]
fn a_failed_sync_takes_sequence_numbers_back() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let sent = |sequence| Client::of(&["a"]).producer(9, 0, sequence).bytes();
    world.batch(topic, 0, sent(0));
    world.disk.fail_syncs(1);
    let failed = world.append(vec![entry(topic, 0, sent(1))]);
    assert!(matches!(failed, Err(AppendError::Failed(_))), "{failed:?}");
    assert_eq!(world.read_all(topic, 0, 1000).len(), 1);
    let again = world.batch(topic, 0, sent(1));
    assert_eq!((again.base_offset, again.duplicate), (1, false));
    assert_eq!(world.reopened().read_all(topic, 0, 1000).len(), 2);
}

#[test]
fn readers_of_what_is_committed_see_no_open_transaction() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let one = |sequence| Client::of(&["a", "b"]).producer(1, 0, sequence).transactional().bytes();
    let two = |sequence| Client::of(&["c"]).producer(2, 0, sequence).transactional().bytes();
    world.batch(topic, 0, Client::of(&["plain"]).bytes());
    world.batch(topic, 0, one(0));
    world.batch(topic, 0, two(0));
    let committed = |world: &World, offset| {
        world.read_as(topic, 0, Ask { offset, bytes_max: 1 << 20, isolation: Isolation::Committed }).unwrap()
    };
    assert_eq!(committed(&world, 0).bounds.last_stable_offset, 1);
    assert_eq!(committed(&world, 0).batches.len(), 1);
    let outside = refused(&mut world, vec![entry(topic, 0, Client::of(&["x"]).producer(1, 0, 2).bytes())]);
    assert_eq!(outside, Refusal::InvalidTransactionState);
    // The marker and the coordinator's own state are one fact.
    let state = Entry::State { space: 1, key: "txn".into(), value: Some("aborted".into()) };
    world.append(vec![marker(topic, 1, 0, false), state]).unwrap();
    for _ in 0..2 {
        let seen = committed(&world, 0);
        assert_eq!((seen.bounds.last_stable_offset, seen.bounds.high_watermark), (3, 5));
        assert_eq!(seen.aborted, [AbortedTransaction { producer_id: 1, first_offset: 1 }]);
        let control = BatchHeader::read(&world.read_all(topic, 0, 1 << 20)[3]).unwrap();
        assert!(control.is_control() && control.is_transactional());
        assert!(committed(&world, 3).batches.is_empty());
        world = world.reopened();
    }
    world.append(vec![marker(topic, 2, 0, true)]).unwrap();
    let seen = committed(&world, 3);
    assert_eq!(seen.bounds.last_stable_offset, 6);
    // Its marker is at 4, where this reader comes by.
    assert_eq!(seen.aborted.len(), 1);
    assert!(committed(&world, 5).aborted.is_empty());
    let fenced = refused(&mut world, vec![marker(topic, 2, -1, true)]);
    assert_eq!(fenced, Refusal::InvalidProducerEpoch { current: 0, found: -1 });
}

#[test]
fn what_was_aborted_is_said_though_it_is_deleted_meanwhile() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["a"]).producer(1, 0, 0).transactional().bytes());
    world.append(vec![marker(topic, 1, 0, false)]).unwrap();
    while world.writer.active.segment < 3 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(2500)]).bytes());
    }
    let (published, view) = {
        let published = &world.reader.ground.published;
        (published.clone(), published.partition(topic, 0).unwrap())
    };
    let partition = view.clone();
    let start = move || published.publish(vec![Effect::Start { partition, log_start_offset: 2 }]);
    world.disk.before_read(start);
    let ask = Ask { offset: 0, bytes_max: 1000, isolation: Isolation::Committed };
    let seen = world.reader.read(&view, &ask).unwrap();
    assert_eq!(view.bounds().log_start_offset, 2);
    assert_eq!(BatchHeader::read(&seen.batches[0]).unwrap().producer_id, 1);
    assert_eq!(seen.aborted, [AbortedTransaction { producer_id: 1, first_offset: 0 }]);
}

#[test]
fn a_transaction_ends_also_where_a_topic_of_it_is_gone() {
    let mut world = World::new();
    let (kept, gone) = (world.create("kept", 1, &[]), world.create("gone", 1, &[]));
    for topic in [kept, gone] {
        world.batch(topic, 0, Client::of(&["a"]).producer(7, 0, 0).transactional().bytes());
    }
    let outcomes = world
        .group(vec![vec![Entry::DeleteTopic { id: gone }], vec![marker(gone, 7, 0, true), marker(kept, 7, 0, true)]]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    for world in [&world, &world.reopened()] {
        let bounds = world.reader.ground.published.partition(kept, 0).unwrap().bounds();
        assert_eq!(bounds.last_stable_offset, 2);
    }
}
