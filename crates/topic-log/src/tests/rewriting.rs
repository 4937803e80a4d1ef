//! Segments brought together by partition, and compaction.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use polder_types::ErrorKind;
use uuid::Uuid;

use super::world::{Client, World, create};
use crate::batch::{self, BatchHeader};
use crate::codec;
use crate::compact::unpack;
use crate::disk::simulated::Chance;
use crate::entry::Entry;
use crate::read::time::Wanted;
use crate::read::{Ask, Files, Reader};
use crate::record;
use crate::records::Isolation;
use crate::request::{Order, Request};
use crate::rewrite::{self, Rewriting};
use crate::room;
use crate::segment::file_name;

/// One round, taken over. Says whether one was due.
pub(super) fn round(world: &mut World, now: i64) -> bool {
    let sealed_before = world.durable.lock().tail_segment;
    let Some(rewritten) = rewrite::round(&world.reader, sealed_before, now).unwrap() else { return false };
    let (done, mut answer) = tokio::sync::oneshot::channel();
    world.writer.commit(vec![Request::Order(Order::Adopt(rewritten, done))]);
    answer.try_recv().unwrap().unwrap();
    world.remove_unused();
    world.reader.files.forget();
    true
}

pub(super) fn roll(world: &mut World, topic: Uuid, times: u64) {
    let end = world.writer.active.segment + times;
    while world.writer.active.segment < end {
        world.batch(topic, 0, Client::of(&[&"f".repeat(2500)]).bytes());
    }
}

#[test]
fn rewritten_segments_say_the_same() {
    let mut world = World::new();
    let topics = [world.create("a", 2, &[]), world.create("b", 1, &[])];
    for number in 0..120 {
        let value = format!("{number} {}", "x".repeat(number * 7 % 900));
        world.batch(topics[0], (number % 2) as u32, Client::of(&[&value, "2"]).bytes());
        world.batch(topics[1], 0, Client::of(&[&value]).producer(4, 0, number as i32).bytes());
    }
    let all = |world: &World| {
        [world.read_all(topics[0], 0, 3000), world.read_all(topics[0], 1, 1), world.read_all(topics[1], 0, 1 << 20)]
    };
    let before = all(&world);
    assert!(round(&mut world, 0));
    while round(&mut world, 0) {}
    assert!(world.disk.names().iter().any(|name| name.starts_with("rewritten-")));
    assert!(!world.disk.names().contains(&file_name(1)));
    assert_eq!(all(&world), before);
    world.reader.scrub(None).unwrap().sound().unwrap();
    let mut opened = world.reopened();
    assert_eq!(all(&opened), before);
    // A producer goes on where it was.
    assert!(opened.batch(topics[1], 0, Client::of(&["dup"]).producer(4, 0, 120).bytes()).base_offset == 120);
    // A topic takes its files along.
    opened.append(vec![Entry::DeleteTopic { id: topics[0] }, Entry::DeleteTopic { id: topics[1] }]).unwrap();
    opened.remove_unused();
    assert!(!opened.disk.names().iter().any(|name| name.starts_with("rewritten-")));
    opened.reopened();
}

pub(super) fn rewritten(world: &World) -> Vec<String> {
    world.disk.names().into_iter().filter(|name| name.starts_with("rewritten-")).collect()
}

#[test]
fn a_flip_in_a_segment_stops_its_rewriting_and_no_other() {
    let mut world = World::new();
    let topic = world.create("a", 1, &[]);
    roll(&mut world, topic, 8);
    let name = file_name(2);
    let flipped = World::open(&world.disk.with(&name, |bytes| bytes[5000] ^= 1)).unwrap();
    let error = rewrite::round(&flipped.reader, 7, 0).unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
    assert!(rewritten(&flipped).is_empty());
    // The others are rewritten all the same, and what is damaged stays to be told of.
    let mut flipped = flipped;
    let end = flipped.reader.ground.published.partition(topic, 0).unwrap().bounds().high_watermark;
    assert!(round(&mut flipped, 0));
    assert!(!rewritten(&flipped).is_empty() && flipped.disk.names().contains(&name));
    assert!(!flipped.disk.names().contains(&file_name(1)));
    assert_eq!(flipped.reader.ground.published.partition(topic, 0).unwrap().bounds().high_watermark, end);
    let error = flipped.reader.scrub(None).unwrap().sound().unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

#[test]
fn what_is_rewritten_around_a_damaged_segment_hides_nothing_of_it() {
    let mut world = World::new();
    let topic = world.create("a", 2, &[]);
    while world.writer.active.segment < 9 {
        world.batch(topic, 0, Client::of(&[&"f".repeat(2500)]).bytes());
        world.batch(topic, 1, Client::of(&[&"y".repeat(100)]).bytes());
    }
    let whole = world.read_all(topic, 1, 1 << 20);
    // Between two others of its partition.
    let flip = |bytes: &mut Vec<u8>| {
        let place = bytes.windows(2000).rposition(|some| some.iter().all(|byte| *byte == b'f')).unwrap();
        bytes[place] ^= 1;
    };
    let mut flipped = World::open(&world.disk.with(&file_name(2), flip)).unwrap();
    rewrite::round(&flipped.reader, 9, 0).unwrap_err();
    assert!(round(&mut flipped, 0));
    while round(&mut flipped, 0) {}
    for mut opened in [flipped.reopened(), flipped] {
        assert_eq!(opened.read_all(topic, 1, 1 << 20), whole);
        let end = opened.reader.ground.published.partition(topic, 0).unwrap().bounds().high_watermark;
        let mut damaged = 0;
        for offset in 0..end {
            match opened.read(topic, 0, offset, 1) {
                Ok(records) => {
                    let first = batch::batches(&records.batches[0]).next().unwrap().0;
                    assert_eq!(first.base_offset, offset);
                }
                Err(_) => damaged += 1,
            }
        }
        // All that is whole can be read, also where more is asked for than that.
        assert_eq!(damaged, 1);
        assert!(opened.read(topic, 0, 0, 1 << 20).unwrap().batches.len() > 5);
        assert!(opened.reader.scrub(None).unwrap().sound().is_err());
        assert!(opened.disk.names().contains(&file_name(2)) && !opened.disk.names().contains(&file_name(3)));
        assert!(!round(&mut opened, 0));
    }
}

#[test]
fn nothing_is_rewritten_while_the_writer_syncs() {
    let mut world = World::new();
    let topic = world.create("a", 1, &[]);
    roll(&mut world, topic, 8);
    let sealed_before = world.durable.lock().tail_segment;
    let Reader { identity, ground, .. } = &world.reader;
    let (files, rewriting) = (Files::new(1 << 20), Rewriting::default());
    let reader = Reader { identity: *identity, ground: ground.clone(), files, rewriting };
    let (disk, turn, (told, hears)) = (world.disk.clone(), Arc::clone(&world.reader.ground.turn), channel());
    world.disk.before_sync(move || {
        let before = disk.writes();
        let rewriting = thread::spawn(move || rewrite::round(&reader, sealed_before, 0).unwrap().is_some());
        // It waits, or is through with all of it.
        while turn.waiting() == 0 && !rewriting.is_finished() {
            thread::yield_now();
        }
        told.send((disk.writes() - before, rewriting)).unwrap();
    });
    world.batch(topic, 0, Client::of(&["waits for a sync"]).bytes());
    let (writes, rewriting) = hears.try_recv().unwrap();
    assert_eq!(writes, 0);
    assert!(rewriting.join().unwrap());
    assert!(!rewritten(&world).is_empty());
}

#[test]
fn a_round_that_has_written_much_ends_and_the_next_one_goes_on() {
    let mut world = World::new();
    let topic = world.create("a", 1, &[]);
    roll(&mut world, topic, 12);
    let before = world.read_all(topic, 0, 1 << 20);
    assert!(round(&mut world, 0));
    let left = |world: &World| (1..9).filter(|segment| world.disk.names().contains(&file_name(*segment))).count();
    assert!((1..8).contains(&left(&world)), "{:?}", world.disk.names());
    assert_eq!(world.read_all(topic, 0, 1 << 20), before);
    while round(&mut world, 0) {}
    assert_eq!(left(&world), 0);
    for world in [&world, &world.reopened()] {
        assert_eq!(world.read_all(topic, 0, 1 << 20), before);
        world.reader.scrub(None).unwrap().sound().unwrap();
    }
}

#[test]
fn a_round_that_finds_no_room_leaves_nothing() {
    let mut world = World::new();
    let topic = world.create("a", 1, &[]);
    roll(&mut world, topic, 8);
    let used = world.disk.used();
    // The file is begun, and cannot be ended.
    world.disk.set_room(Some(used + 3000));
    let sealed_before = world.durable.lock().tail_segment;
    let error = rewrite::round(&world.reader, sealed_before, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    assert_eq!((rewritten(&world), world.disk.used()), (Vec::new(), used));
    world.disk.set_room(None);
    assert!(round(&mut world, 0));
}

#[test]
fn half_a_round_is_gone_after_a_crash() {
    let mut world = World::new();
    let topic = world.create("a", 1, &[]);
    roll(&mut world, topic, 8);
    let sealed_before = world.durable.lock().tail_segment;
    rewrite::round(&world.reader, sealed_before, 0).unwrap().unwrap();
    assert!(!rewritten(&world).is_empty());
    let opened = world.reopened();
    assert!(rewritten(&opened).is_empty());
    assert!(opened.recovered.removed_files > 0);
}

#[test]
fn no_number_comes_again() {
    let mut world = World::new();
    let mut before: Vec<String> = Vec::new();
    for name in ["a", "b", "c"] {
        let topic = world.create(name, 1, &[]);
        roll(&mut world, topic, 8);
        assert!(round(&mut world, 0));
        let now = rewritten(&world);
        assert!(!now.is_empty() && now.iter().all(|name| !before.contains(name)), "{now:?} {before:?}");
        before.extend(now);
        world.append(vec![Entry::DeleteTopic { id: topic }]).unwrap();
        world.remove_unused();
        assert!(rewritten(&world).is_empty());
    }
}

pub(super) fn keyed(pairs: &[(&str, Option<&str>)]) -> Client {
    let mut client = Client::of(&[]);
    client.records = pairs
        .iter()
        .map(|(key, value)| (Some(key.as_bytes().to_vec()), value.map(|v| v.as_bytes().to_vec())))
        .collect();
    client
}

/// Offsets, keys and values that a partition has, markers left out.
pub(super) fn contents(world: &World, topic: Uuid) -> Vec<(i64, String, Option<usize>)> {
    let mut found = Vec::new();
    for batch in world.read_all(topic, 0, 500) {
        let header = BatchHeader::read(&batch).unwrap();
        assert_eq!(u32::from_be_bytes(batch[17..21].try_into().unwrap()), crc32c::crc32c(&batch[21..]));
        if header.is_control() {
            continue;
        }
        let records = unpack(&header, &batch).unwrap();
        for one in record::all(&records, header.count).unwrap() {
            let key = String::from_utf8_lossy(one.key.unwrap_or_default()).into_owned();
            let size = one.value.map(|_| one.bytes.len());
            found.push((header.base_offset + i64::from(one.offset_delta), key, size));
        }
    }
    found
}

#[test]
fn of_each_key_the_last_record_stays() {
    for compression in 0..=4 {
        let mut world = World::new();
        let other = world.create("other", 1, &[]);
        let topic = world.create("t", 1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")]);
        let send = |world: &mut World, pairs: &[(&str, Option<&str>)]| {
            let plain = keyed(pairs).bytes();
            let mut packed = plain[..61].to_vec();
            packed[22] = compression as u8;
            packed.extend(codec::compress(compression, &plain[61..]).unwrap());
            let length = packed.len() as i32 - 12;
            packed[8..12].copy_from_slice(&length.to_be_bytes());
            batch::seal(&mut packed);
            world.batch(topic, 0, packed)
        };
        send(&mut world, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
        send(&mut world, &[("a", Some("2"))]);
        send(&mut world, &[("b", None), ("d", Some("1"))]);
        roll(&mut world, other, 1);
        send(&mut world, &[("a", Some("3"))]);
        assert!(round(&mut world, 500));
        let offsets = |world: &World| contents(world, topic).iter().map(|one| one.0).collect::<Vec<_>>();
        // In the segment that is written, nothing changes; a tombstone stays for a while.
        assert_eq!(offsets(&world), [2, 3, 4, 5, 6], "{compression}");
        for round_number in 0..3 {
            // What no compression makes much smaller: half of what is there must be new.
            let mut chance = Chance(round_number as u64 + 1);
            let value: String =
                (0..round_number * round_number * 1000).map(|_| (b'0' + chance.below(64) as u8) as char).collect();
            send(&mut world, &[("e", Some(&value))]);
            roll(&mut world, other, 1);
            round(&mut world, 10_000_000);
        }
        let found = contents(&world, topic);
        let keys: Vec<&str> = found.iter().map(|one| one.1.as_str()).collect();
        assert_eq!(keys, ["c", "d", "a", "e"], "{compression}: {found:?}");
        assert_eq!(contents(&world.reopened(), topic), found);
        // From every offset that there ever was, a reader goes on.
        let end = found.last().unwrap().0 + 1;
        for offset in 0..end {
            let records = world.read(topic, 0, offset, 1).unwrap();
            let first = BatchHeader::read(&records.batches[0]).unwrap();
            assert!(first.last_offset() >= offset, "{offset}");
        }
    }
}

#[test]
fn what_was_aborted_goes_and_hides_nothing() {
    let mut world = World::new();
    let other = world.create("other", 1, &[]);
    let topic = Uuid::new_v4();
    world.append(vec![create("t", topic, 1, &[("cleanup.policy", "compact")])]).unwrap();
    world.batch(topic, 0, keyed(&[("a", Some("1"))]).bytes());
    world.batch(topic, 0, keyed(&[("a", Some("2"))]).producer(1, 0, 0).transactional().bytes());
    let marker =
        |commit| Entry::Marker { topic, partition: 0, producer_id: 1, producer_epoch: 0, coordinator_epoch: 0, commit };
    world.append(vec![marker(false)]).unwrap();
    world.batch(topic, 0, keyed(&[("b", Some("1"))]).producer(1, 0, 1).transactional().bytes());
    roll(&mut world, other, 1);
    // An open transaction holds compaction up.
    assert!(!round(&mut world, 0));
    world.append(vec![marker(true)]).unwrap();
    assert!(round(&mut world, 0));
    let offsets: Vec<i64> = contents(&world, topic).iter().map(|one| one.0).collect();
    assert_eq!(offsets, [0, 3]);
    let ask = Ask { offset: 0, bytes_max: 1 << 20, isolation: Isolation::Committed };
    let seen = world.read_as(topic, 0, ask).unwrap();
    assert_eq!(seen.aborted.len(), 1);
}

#[test]
fn an_open_transaction_in_a_compacted_topic_holds_up_no_other() {
    let mut world = World::new();
    let other = world.create("other", 1, &[]);
    let topic = world.create("t", 1, &[("cleanup.policy", "compact")]);
    for sequence in 0..9 {
        world.batch(topic, 0, keyed(&[("a", Some("1"))]).producer(1, 0, sequence).transactional().bytes());
        roll(&mut world, other, 1);
    }
    roll(&mut world, other, 8);
    while round(&mut world, 0) {}
    let names = world.disk.names();
    // As many as one round takes have something of the transaction, and stay.
    assert!((1..9).all(|segment| names.contains(&file_name(segment))), "{names:?}");
    assert!(!names.contains(&file_name(12)), "{names:?}");
    assert_eq!(contents(&world, topic).len(), 9);
}

#[test]
fn unpacking_has_a_bound() {
    let zeros = vec![0_u8; codec::BYTES_MAX + 1];
    for compression in 1..=4 {
        let bomb = codec::compress(compression, &zeros).unwrap();
        assert!(room::open(compression, &bomb).is_err(), "{compression}");
        let small = codec::compress(compression, b"records").unwrap();
        assert_eq!(&*room::open(compression, &small).unwrap(), b"records");
        // What ends early is an error, unless only the mark of the end is missing.
        let cut = room::open(compression, &small[..small.len() - 2]);
        assert!(cut.is_err() || cut.is_ok_and(|bytes| *bytes == *b"records"), "{compression}");
    }
    // As Java frames it.
    let block = codec::compress(2, b"records").unwrap();
    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    framed.extend((block.len() as u32).to_be_bytes());
    framed.extend(block);
    assert_eq!(&*room::open(2, &framed).unwrap(), b"records");
}

#[test]
fn the_latest_time_is_that_of_a_record_that_is_there() {
    let mut world = World::new();
    let other = world.create("other", 1, &[]);
    let topic = world.create("t", 1, &[("cleanup.policy", "compact")]);
    // The latest of all is hidden by a later one of its key; another is in the same batch.
    world.batch(topic, 0, keyed(&[("b", Some("1")), ("a", Some("1"))]).at(9_000).bytes());
    world.batch(topic, 0, keyed(&[("c", Some("1"))]).at(9_000).bytes());
    world.batch(topic, 0, keyed(&[("a", Some("2"))]).at(2_000).bytes());
    let greatest = |world: &World| {
        let partition = world.reader.ground.published.partition(topic, 0).unwrap();
        let found = world.reader.by_time(&partition, Wanted::Greatest).unwrap().unwrap();
        (found.offset, found.timestamp)
    };
    assert_eq!(greatest(&world), (1, 9_001));
    roll(&mut world, other, 1);
    assert!(round(&mut world, 0));
    assert_eq!(contents(&world, topic).iter().map(|one| one.0).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(greatest(&world), (0, 9_000));
    // And where records were deleted.
    world.append(vec![Entry::DeleteRecords { topic, partition: 0, before: 3 }]).unwrap();
    assert_eq!(greatest(&world), (3, 2_000));
}

#[test]
fn young_records_are_not_compacted_and_hold_up_no_other() {
    const NOW: i64 = 1_700_000_000_000;
    let mut world = World::new();
    let other = world.create("other", 1, &[]);
    let topic = world.create("t", 1, &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "1000")]);
    for _ in 0..2 {
        world.batch(topic, 0, keyed(&[("a", Some("1"))]).at(NOW).bytes());
    }
    roll(&mut world, other, 10);
    while round(&mut world, NOW + 500) {}
    assert_eq!(contents(&world, topic).len(), 2);
    assert!(!rewritten(&world).is_empty(), "the other topic's are");
    assert!(world.disk.names().contains(&file_name(1)));
    assert!(round(&mut world, NOW + 1500));
    assert_eq!(contents(&world, topic).len(), 1);
}

#[test]
fn files_of_a_topic_are_as_small_as_it_asks() {
    for (bytes, several) in [("1073741824", false), ("14", true)] {
        let mut world = World::new();
        let topic = world.create("t", 1, &[("segment.bytes", bytes)]);
        roll(&mut world, topic, 8);
        assert!(round(&mut world, 0));
        // Each has an index beside it.
        assert_eq!(rewritten(&world).len() > 2, several, "{bytes}");
    }
}
