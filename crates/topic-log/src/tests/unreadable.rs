//! Sectors that the disk cannot read any more: what is beside them is there, and all else goes on.

use std::ops::Range;

use polder_types::ErrorKind;
use uuid::Uuid;

use super::rewriting::{contents, keyed, rewritten, roll, round};
use super::world::{Client, World, options};
use crate::batch::batches;
use crate::disk::Disk as _;
use crate::disk::simulated::SimulatedDisk;
use crate::entry::Entry;
use crate::frame::frame_bytes;
use crate::records::ReadError;
use crate::rewrite;
use crate::scan::Scan;
use crate::segment::{HEADER_BYTES, REWRITTEN, file_name};

/// Where the frames of a segment are.
fn frames(disk: &SimulatedDisk, segment: u64) -> Vec<Range<usize>> {
    let mut scan = Scan::new(disk.open(&file_name(segment)).unwrap(), options().identity, segment).unwrap();
    let (mut all, mut position) = (Vec::new(), HEADER_BYTES);
    while let Some((_, payload)) = scan.frame(position).unwrap() {
        let end = position + frame_bytes(payload.len()) as u64;
        all.push(position as usize..end as usize);
        position = end;
    }
    all
}

/// Loses some bytes in the middle of a frame of a segment. Gives where the frame begins.
fn lose(disk: &SimulatedDisk, segment: u64, frame: usize) -> usize {
    let frame = frames(disk, segment)[frame].clone();
    let middle = frame.start.midpoint(frame.end);
    disk.break_bytes(&file_name(segment), middle..middle + 8);
    frame.start
}

fn world(segments: u64) -> (World, Uuid) {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    roll(&mut world, topic, segments);
    (world, topic)
}

#[test]
fn a_check_names_what_cannot_be_read_and_goes_on() {
    let (world, _) = world(5);
    let sound = world.reader.scrub(None).unwrap();
    let lost = [(1, lose(&world.disk, 1, 2)), (3, lose(&world.disk, 3, 1))];
    let checked = world.reader.scrub(None).unwrap();
    assert_eq!(checked.damaged.len(), 2, "{:?}", checked.damaged);
    for (found, (segment, position)) in checked.damaged.iter().zip(lost) {
        assert_eq!(found.path, file_name(segment));
        let said = format!("{} cannot be read at byte {position}: ", file_name(segment));
        assert!(found.problem.contains(&said), "{} and not {said}", found.problem);
    }
    assert!(checked.bytes > 0 && checked.bytes < sound.bytes);
    assert_eq!(world.reader.rewriting.damaged(), [1, 3]);
    assert_eq!(checked.sound().unwrap_err().kind(), ErrorKind::Corrupt);
    // Its beginning, of which nothing is left.
    world.disk.break_bytes(&file_name(2), 0..1);
    assert_eq!(world.reader.scrub(None).unwrap().damaged.len(), 3);
    // Written again, it is sound.
    for segment in 1..4 {
        let bytes = world.disk.content(&file_name(segment));
        world.disk.open(&file_name(segment)).unwrap().write_all_at(&bytes, 0).unwrap();
    }
    assert_eq!(world.reader.scrub(None).unwrap(), sound);
    assert!(world.reader.rewriting.damaged().is_empty());
}

#[test]
fn all_is_read_but_for_what_cannot_be() {
    let (world, topic) = world(5);
    let opened = world.reopened();
    let end = opened.reader.ground.published.partition(topic, 0).unwrap().bounds().high_watermark;
    // The first frame of the first segment is the topic.
    lose(&opened.disk, 1, 3);
    for offset in 0..end {
        // As much as one reading of the disk takes, and as little.
        for bytes_max in [1, 1 << 20] {
            match opened.read(topic, 0, offset, bytes_max) {
                Ok(records) => {
                    let found: Vec<i64> = records
                        .batches
                        .iter()
                        .flat_map(|bytes| batches(bytes).map(|(header, _)| header.base_offset))
                        .collect();
                    assert!(offset != 2 && found[0] == offset, "{offset} {found:?}");
                    assert!(offset > 2 || !found.contains(&2), "{offset} {found:?}");
                    assert!(bytes_max == 1 || offset > 1 || found.len() as i64 == 2 - offset, "{offset} {found:?}");
                }
                Err(ReadError::Failed(error)) => {
                    assert!(offset == 2 && error.kind() == ErrorKind::Corrupt, "{offset} {error}");
                    assert!(error.to_string().contains(&file_name(1)), "{error}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_segment_of_which_nothing_is_known_is_the_end_of_what_is_before_it_and_no_trouble_for_it() {
    let (world, topic) = world(5);
    let opened = world.reopened();
    let in_first = opened.read(topic, 0, 0, 8_000).unwrap().batches.len();
    // Neither its index nor its frames.
    opened.disk.break_bytes(&crate::segment::index_name(2), 0..1);
    lose(&opened.disk, 2, 0);
    opened.reader.files.forget();
    let records = opened.read(topic, 0, 0, 1 << 20).unwrap();
    assert!(records.batches.len() >= in_first, "{}", records.batches.len());
    let next = records.batches.iter().flat_map(|bytes| batches(bytes)).last().unwrap().0.last_offset() + 1;
    let ReadError::Failed(error) = opened.read(topic, 0, next, 1 << 20).unwrap_err() else { panic!() };
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&file_name(2)), "{error}");
}

#[test]
fn a_start_names_what_it_cannot_read_and_cuts_nothing() {
    let (world, _) = world(2);
    let (disk, last) = (world.disk.crashed(&mut None), file_name(3));
    let start = lose(&disk, 3, 0);
    let before = disk.content(&last);
    let error = World::open(&disk).err().unwrap();
    let said = format!("{last} cannot be read at byte {start}");
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&said), "{error}");
    assert_eq!(disk.content(&last), before);
}

#[test]
fn what_cannot_be_read_stops_no_rewriting_of_others_and_takes_nothing_along() {
    let mut world = World::new();
    let topic = world.create("a", 2, &[]);
    while world.writer.active.segment < 9 {
        world.batch(topic, 0, Client::of(&[&"f".repeat(2500)]).bytes());
        world.batch(topic, 1, Client::of(&[&"y".repeat(100)]).bytes());
    }
    let whole = world.read_all(topic, 1, 1 << 20);
    let mut world = world.reopened();
    // A large one, of the first partition.
    let large = frames(&world.disk, 2).iter().position(|frame| frame.len() > 2000).unwrap();
    let start = lose(&world.disk, 2, large);
    let error = rewrite::round(&world.reader, 9, 0).unwrap_err();
    let said = format!("{} cannot be read at byte {start}", file_name(2));
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&said), "{error}");
    assert_eq!(world.reader.rewriting.damaged(), [2]);
    while round(&mut world, 0) {}
    assert!(!rewritten(&world).is_empty());
    let names = world.disk.names();
    assert!(names.contains(&file_name(2)) && !names.contains(&file_name(1)) && !names.contains(&file_name(3)));
    for opened in [&world.reopened(), &world] {
        assert_eq!(opened.read_all(topic, 1, 1 << 20), whole);
        let end = opened.reader.ground.published.partition(topic, 0).unwrap().bounds().high_watermark;
        let lost = (0..end).filter(|offset| opened.read(topic, 0, *offset, 1).is_err()).count();
        assert_eq!(lost, 1);
        let checked = opened.reader.scrub(None).unwrap();
        assert!(checked.damaged.len() == 1 && checked.damaged[0].problem.contains(&said), "{:?}", checked.damaged);
    }
    // Once nobody needs what is in it, it goes.
    let ends = [0, 1].map(|partition| {
        let before = world.reader.ground.published.partition(topic, partition).unwrap().bounds().high_watermark;
        Entry::DeleteRecords { topic, partition, before }
    });
    world.append(ends.into()).unwrap();
    world.writer.checkpoint(None);
    world.remove_unused();
    assert!(!world.disk.names().contains(&file_name(2)));
}

#[test]
fn what_is_behind_an_unreadable_place_is_compacted_and_hides_what_is_before_it() {
    const LATE: i64 = 10_000_000;
    let mut world = World::new();
    let other = world.create("other", 1, &[]);
    let topic = world.create("t", 1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")]);
    let send = |world: &mut World, pairs: &[(&str, Option<&str>)]| {
        world.batch(topic, 0, keyed(pairs).bytes());
    };
    send(&mut world, &[("a", Some("1"))]);
    roll(&mut world, other, 1);
    send(&mut world, &[("b", Some("1"))]);
    roll(&mut world, other, 1);
    send(&mut world, &[("a", Some("2")), ("c", Some("1"))]);
    roll(&mut world, other, 1);
    send(&mut world, &[("c", Some("2")), ("b", None), ("d", Some("1"))]);
    roll(&mut world, other, 8);
    // In the other topic's part of the segment that `b` is in.
    let large = frames(&world.disk, 2).iter().position(|frame| frame.len() > 2000).unwrap();
    let mut world = world.reopened();
    lose(&world.disk, 2, large);
    let sealed_before = world.durable.lock().tail_segment;
    rewrite::round(&world.reader, sealed_before, LATE).unwrap_err();
    let found = |world: &World| contents(world, topic).iter().map(|one| (one.0, one.1.clone())).collect::<Vec<_>>();
    let all = |offsets: &[(i64, &str)]| offsets.iter().map(|one| (one.0, one.1.to_owned())).collect::<Vec<_>>();
    while round(&mut world, LATE) {}
    let expected = all(&[(0, "a"), (1, "b"), (2, "a"), (4, "c"), (5, "b"), (6, "d")]);
    assert_eq!(found(&world), expected);
    assert!(world.disk.names().contains(&file_name(2)) && !world.disk.names().contains(&file_name(3)));
    // However often: the tombstone has to hide what is in the damaged segment.
    for number in 0..2 {
        send(&mut world, &[("d", Some(&"2".repeat(600 * (number + 1))))]);
        roll(&mut world, other, 6);
        while round(&mut world, LATE) {}
    }
    assert_eq!(found(&world), all(&[(0, "a"), (1, "b"), (2, "a"), (4, "c"), (5, "b"), (8, "d")]));
    assert_eq!(found(&world.reopened()), found(&world));
    // Once it can be read again, all is compacted as one.
    let bytes = world.disk.content(&file_name(2));
    world.disk.open(&file_name(2)).unwrap().write_all_at(&bytes, 0).unwrap();
    world.reader.scrub(None).unwrap().sound().unwrap();
    let mut keys = Vec::new();
    for _ in 0..6 {
        send(&mut world, &[("e", Some(&"3".repeat(3000)))]);
        roll(&mut world, other, 6);
        while round(&mut world, LATE) {}
        keys = found(&world).into_iter().map(|one| one.1).collect::<Vec<_>>();
        if keys == ["a", "c", "d", "e"] {
            break;
        }
    }
    assert_eq!(keys, ["a", "c", "d", "e"]);
    assert!(!world.disk.names().contains(&file_name(2)));
}

#[test]
fn what_was_deleted_while_its_compacted_segment_could_not_be_read_stays_deleted() {
    const LATE: i64 = 10_000_000;
    let mut world = World::new();
    let other = world.create("other", 1, &[]);
    let topic = world.create("t", 1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")]);
    let compacted = |world: &mut World, pairs: &[(&str, Option<&str>)]| {
        world.batch(topic, 0, keyed(pairs).bytes());
        roll(world, other, 8);
    };
    compacted(&mut world, &[("a", Some("1")), ("b", Some("1"))]);
    while round(&mut world, LATE) {}
    let first = world.reader.ground.published.partition(topic, 0).unwrap().view.read().extents[0].segment;
    assert!(first & REWRITTEN != 0);
    compacted(&mut world, &[("b", None), ("c", Some(&"2".repeat(1000)))]);
    let mut world = world.reopened();
    lose(&world.disk, first, 0);
    assert_eq!(world.reader.scrub(None).unwrap().damaged.len(), 1);
    assert_eq!(world.reader.rewriting.damaged(), [first]);
    // The tombstone is in a segment of its own.
    while round(&mut world, LATE) {}
    let bytes = world.disk.content(&file_name(first));
    world.disk.open(&file_name(first)).unwrap().write_all_at(&bytes, 0).unwrap();
    world.reader.scrub(None).unwrap().sound().unwrap();
    let found = |world: &World| contents(world, topic).iter().map(|one| (one.0, one.1.clone())).collect::<Vec<_>>();
    let all = |offsets: &[(i64, &str)]| offsets.iter().map(|one| (one.0, one.1.to_owned())).collect::<Vec<_>>();
    assert_eq!(found(&world), all(&[(0, "a"), (1, "b"), (2, "b"), (3, "c")]));
    compacted(&mut world, &[("d", Some(&"3".repeat(3000)))]);
    while round(&mut world, LATE) {}
    assert_eq!(found(&world), all(&[(0, "a"), (2, "b"), (3, "c"), (4, "d")]));
    compacted(&mut world, &[("d", Some(&"4".repeat(6000)))]);
    while round(&mut world, LATE) {}
    assert_eq!(found(&world), all(&[(0, "a"), (3, "c"), (5, "d")]));
}
