//! Reads of all sizes, from memory and from the disk, and by time.

use super::world::{Client, World, entry};
use crate::batch::BatchHeader;
use crate::entry::Entry;
use crate::read::time::Wanted;
use crate::records::{ReadError, TimedOffset};

#[test]
fn reads_give_each_record_once_whatever_their_size() {
    let mut world = World::new();
    let topic = world.create("t", 3, &[]);
    for number in 0..200_usize {
        let values: Vec<String> = (0..number % 4 + 1).map(|one| format!("{number}-{one}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        world.batch(topic, (number % 3) as u32, Client::of(&values).bytes());
    }
    assert!(world.writer.active.segment > 1);
    for world in [&world, &world.reopened()] {
        for partition in 0..3 {
            let all = world.read_all(topic, partition, usize::MAX);
            for bytes_max in [1, 100, 1000, 5000, 1 << 20] {
                assert_eq!(world.read_all(topic, partition, bytes_max), all);
            }
            // From the middle of a batch, that batch comes first.
            for batch in &all {
                let header = BatchHeader::read(batch).unwrap();
                for offset in header.base_offset..=header.last_offset() {
                    let records = world.read(topic, partition, offset, 10).unwrap();
                    assert_eq!(records.batches[0], *batch);
                }
            }
        }
    }
}

#[test]
fn several_batches_of_one_entry_are_cut_at_their_borders() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let mut two = Client::of(&["a", "b"]).bytes();
    two.extend(Client::of(&["c"]).bytes());
    let appended = world.append(vec![entry(topic, 0, two)]).unwrap();
    assert!(matches!(appended[0], crate::entry::Appended::Batch(batch) if batch.last_offset == 2));
    let records = world.read(topic, 0, 2, 1000).unwrap();
    assert_eq!(BatchHeader::read(&records.batches[0]).unwrap().base_offset, 2);
    assert_eq!(world.read_all(topic, 0, 1000).len(), 2);
}

#[test]
fn offsets_outside_are_said_to_be() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    for _ in 0..5 {
        world.batch(topic, 0, Client::of(&["a"]).bytes());
    }
    world.append(vec![Entry::DeleteRecords { topic, partition: 0, before: 3 }]).unwrap();
    for world in [&world, &world.reopened()] {
        for offset in [-1, 0, 2, 6] {
            assert!(matches!(world.read(topic, 0, offset, 10), Err(ReadError::OffsetOutOfRange(_))), "{offset}");
        }
        assert!(world.read(topic, 0, 5, 10).unwrap().batches.is_empty());
        assert_eq!(world.read_all(topic, 0, 1000).len(), 2);
    }
    assert!(matches!(world.read(topic, 1, 0, 10), Err(ReadError::UnknownTopic)));
}

#[test]
fn records_are_found_by_time() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let filler = "x".repeat(1000);
    for number in 0..40 {
        world.batch(topic, 0, Client::of(&[&filler, "b", "c"]).at(10_000 + number * 100).bytes());
    }
    assert!(world.writer.active.segment > 2);
    let check = |world: &World, wanted, expected: Option<(i64, i64)>| {
        let view = world.reader.ground.published.partition(topic, 0).unwrap();
        let found = world.reader.by_time(&view, wanted).unwrap();
        assert_eq!(found, expected.map(|(offset, timestamp)| TimedOffset { offset, timestamp }), "{wanted:?}");
    };
    for world in [&world, &world.reopened()] {
        check(world, Wanted::AtLeast(0), Some((0, 10_000)));
        check(world, Wanted::AtLeast(10_001), Some((1, 10_001)));
        check(world, Wanted::AtLeast(10_003), Some((3, 10_100)));
        check(world, Wanted::AtLeast(13_902), Some((119, 13_902)));
        check(world, Wanted::AtLeast(13_903), None);
        check(world, Wanted::Greatest, Some((119, 13_902)));
    }
    world.append(vec![Entry::DeleteRecords { topic, partition: 0, before: 4 }]).unwrap();
    check(&world, Wanted::AtLeast(0), Some((4, 10_101)));
    let empty = world.create("empty", 1, &[]);
    let view = world.reader.ground.published.partition(empty, 0).unwrap();
    assert_eq!(world.reader.by_time(&view, Wanted::Greatest).unwrap(), None);
}

#[test]
fn stretches_whose_latest_records_are_gone_hide_no_later_one() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let filler = "x".repeat(1000);
    for number in 0..40 {
        world.batch(topic, 0, Client::of(&[&filler]).at(10_000 + number * 100).bytes());
    }
    let view = world.reader.ground.published.partition(topic, 0).unwrap();
    let last = {
        let mut view = view.view.write();
        let (last, before) = view.extents.split_last_mut().unwrap();
        assert!(before.len() > 1);
        // As compaction leaves it.
        before.iter_mut().for_each(|extent| extent.max_timestamp = 50_000);
        last.base
    };
    let found = world.reader.by_time(&view, Wanted::AtLeast(10_000 + last * 100)).unwrap();
    assert_eq!(found, Some(TimedOffset { offset: last, timestamp: 10_000 + last * 100 }));
    assert_eq!(world.reader.by_time(&view, Wanted::AtLeast(20_000)).unwrap(), None);
}
