//! Torn writes and flipped bytes: never served, and nothing acknowledged is dropped in silence.

use polder_types::ErrorKind;

use super::world::{Client, World, entry};
use crate::checkpoint;
use crate::disk::Disk as _;
use crate::disk::simulated::SimulatedDisk;
use crate::entry::Entry;
use crate::records::ReadError;
use crate::segment::{HEADER_BYTES, file_name};

/// A log whose last group is one append of three entries. Gives where that begins, and the end.
fn world() -> (World, uuid::Uuid, usize, usize) {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["first", "second"]).bytes());
    world.batch(topic, 0, Client::of(&["third"]).bytes());
    let start = world.writer.active.position as usize;
    let state = Entry::State { space: 4, key: "k".into(), value: Some("v".into()) };
    let entries = vec![entry(topic, 0, Client::of(&["a"]).bytes()), state, entry(topic, 0, Client::of(&["b"]).bytes())];
    world.append(entries).unwrap();
    let end = world.writer.active.position as usize;
    (world, topic, start, end)
}

#[test]
fn a_flip_at_every_byte_of_the_tail_is_found() {
    let (world, topic, start, end) = world();
    let name = file_name(1);
    for place in 0..end {
        let flipped = world.disk.with(&name, |bytes| bytes[place] ^= 0x10);
        match World::open(&flipped) {
            Ok(opened) => {
                // Nothing shows that the last group was ever acknowledged: it is cut off as a whole.
                assert!(place >= start, "{place}");
                assert_eq!(opened.read_all(topic, 0, 1000).len(), 2, "{place}");
                assert!(opened.recovered.torn_bytes > 0);
                assert!(opened.reader.ground.published.state.read().is_empty());
            }
            Err(error) => {
                assert!(place < start, "{place}: {error}");
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.to_string().contains(&name), "{error}");
            }
        }
    }
}

#[test]
fn a_tear_at_every_byte_of_the_tail_is_cut_off() {
    let (world, topic, start, end) = world();
    for place in start..end {
        let torn = world.disk.with(&file_name(1), |bytes| bytes[place..].fill(0));
        let mut opened = World::open(&torn).unwrap();
        // Zeros that fill a frame up may be missing.
        let batches = opened.read_all(topic, 0, 1000).len();
        assert!(batches == 2 || (batches == 4 && end - place <= 8), "{place}: {batches}");
        // It goes on from there, and nothing of the old comes back.
        let appended = opened.batch(topic, 0, Client::of(&["again"]).bytes());
        assert_eq!(appended.base_offset, if batches == 2 { 3 } else { 5 });
        assert_eq!(opened.reopened().read_all(topic, 0, 1000).len(), batches + 1);
    }
}

#[test]
fn a_flip_in_a_sealed_segment_is_named_and_not_served() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    while world.writer.active.segment < 3 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(2500)]).bytes());
    }
    assert!(world.reader.scrub().unwrap().sound().unwrap() > 20_000);
    let name = file_name(1);
    let length = world.disk.content(&name).len();
    for place in (0..length).step_by(37) {
        let flipped = world.disk.with(&name, |bytes| bytes[place] ^= 1);
        let opened = World::open(&flipped).unwrap();
        let scrubbed = opened.reader.scrub().unwrap().sound().unwrap_err();
        assert_eq!(scrubbed.kind(), ErrorKind::Corrupt);
        assert!(scrubbed.to_string().contains(&name), "{scrubbed}");
        let whole = world.read(topic, 0, 0, 1 << 20).unwrap();
        match opened.read(topic, 0, 0, 1 << 20) {
            Ok(records) => {
                // What is no part of a record may be flipped without a reader's knowledge, for the scrub to find.
                assert_eq!(records, whole, "{place}");
            }
            Err(ReadError::Failed(error)) => {
                assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&name), "{error}");
            }
            Err(other) => panic!("{place}: {other}"),
        }
        assert!(
            place < HEADER_BYTES as usize + 300 || place > length - 70 || {
                opened.read(topic, 0, 0, 1 << 20).is_err()
            }
        );
    }
}

#[test]
fn an_index_that_is_damaged_or_gone_is_made_again() {
    let mut world = World::new();
    let topic = world.create("t", 2, &[]);
    while world.writer.active.segment < 3 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(2500)]).bytes());
        world.batch(topic, 1, Client::of(&[&"y".repeat(100)]).bytes());
    }
    let name = crate::segment::index_name(1);
    let whole = world.read_all(topic, 1, 1 << 20);
    let damaged = world.disk.with(&name, |bytes| bytes[3] ^= 1);
    assert_eq!(World::open(&damaged).unwrap().read_all(topic, 1, 1 << 20), whole);
    let emptied = world.disk.with(&name, Vec::clear);
    assert_eq!(World::open(&emptied).unwrap().read_all(topic, 1, 1 << 20), whole);
}

#[test]
fn missing_files_are_named() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    while world.writer.active.segment < 3 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(2500)]).bytes());
    }
    for name in [file_name(1), file_name(3), "checkpoint".to_owned()] {
        let disk = world.disk.crashed(&mut None);
        crate::disk::Disk::remove(&disk, &name).unwrap();
        let error = World::open(&disk).err().unwrap();
        assert!(error.to_string().contains(&name), "{name}: {error}");
    }
    let flipped = world.disk.with("checkpoint", |bytes| bytes[20] ^= 1);
    assert_eq!(World::open(&flipped).err().unwrap().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_first_start_that_was_cut_off_begins_anew() {
    let whole = World::new().disk.crashed(&mut None);
    // The segment comes first: without a byte, without its header, with it; then the checkpoint, until it has its name.
    for (kept, checkpoint) in [(0, None), (10, None), (usize::MAX, None), (usize::MAX, Some(0)), (usize::MAX, Some(20))]
    {
        let left = SimulatedDisk::default();
        let put = |name: &str, bytes: &[u8]| {
            left.create(name).unwrap().write_all_at(bytes, 0).unwrap();
        };
        let segment = whole.content(&file_name(1));
        put(&file_name(1), &segment[..kept.min(segment.len())]);
        if let Some(bytes) = checkpoint {
            put("checkpoint.new", &whole.content(checkpoint::NAME)[..bytes]);
        }
        let mut opened = World::open(&left).unwrap();
        let topic = opened.create("t", 1, &[]);
        opened.batch(topic, 0, Client::of(&["first"]).bytes());
        assert_eq!(opened.reopened().read_all(topic, 0, 1000).len(), 1);
    }
}
