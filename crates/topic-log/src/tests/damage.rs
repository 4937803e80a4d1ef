//! Torn writes and flipped bytes: never served, and nothing acknowledged is dropped in silence.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use polder_runtime::ManualClock;
use polder_types::ErrorKind;
use uuid::Uuid;

use super::world::{Client, World, create, entry, options};
use crate::checkpoint;
use crate::disk::Disk as _;
use crate::disk::simulated::{Chance, SimulatedDisk};
use crate::end::{self, DurableEnd};
use crate::entry::Entry;
use crate::frame::frame_bytes;
use crate::records::ReadError;
use crate::scan::Scan;
use crate::segment::{HEADER_BYTES, file_name};
use crate::{Log, LogOptions};

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

/// Where the last frame of the first segment begins, and where it ends.
fn last_frame(disk: &SimulatedDisk) -> (usize, usize) {
    let mut scan = Scan::new(disk.open(&file_name(1)).unwrap(), options().identity, 1).unwrap();
    let (mut last, mut end) = (HEADER_BYTES, HEADER_BYTES);
    while let Some((_, payload)) = scan.frame(end).unwrap() {
        (last, end) = (end, end + frame_bytes(payload.len()) as u64);
    }
    (last as usize, end as usize)
}

fn open(disk: &SimulatedDisk) -> Log {
    let clock = ManualClock::at(DateTime::from_timestamp_millis(1_700_000_000_000).unwrap());
    Log::open_on(Arc::new(disk.clone()), options(), Arc::new(clock)).unwrap().0
}

/// A log with its threads, of four records.
async fn acknowledged(disk: &SimulatedDisk) -> (Log, Uuid) {
    let (log, topic) = (open(disk), Uuid::new_v4());
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    for value in ["first", "second", "third", "the last"] {
        log.append(vec![entry(topic, 0, Client::of(&[value]).bytes())]).await.unwrap();
    }
    (log, topic)
}

/// Whatever is flipped in the last group, the start names it and cuts nothing.
fn every_flip_is_named(disk: &SimulatedDisk, topic: Uuid) {
    let name = file_name(1);
    let (start, end) = last_frame(disk);
    assert!(end > start + 100);
    for place in start..end {
        let flipped = disk.with(&name, |bytes| bytes[place] ^= 0x10);
        let error = World::open(&flipped).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{place}: {error}");
        assert!(error.to_string().contains(&format!("{name} is damaged at byte {start}")), "{place}: {error}");
        let undone = flipped.with(&name, |bytes| bytes[place] ^= 0x10);
        let opened = World::open(&undone).unwrap();
        assert_eq!(opened.read_all(topic, 0, 1000).len(), 4, "{place}");
        assert_eq!((opened.recovered.torn_bytes, opened.recovered.torn_at), (0, None));
    }
    let gone = disk.with(&name, |bytes| bytes.truncate(start));
    assert_eq!(World::open(&gone).err().unwrap().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_flip_in_the_last_group_of_a_closed_log_is_named() {
    let disk = SimulatedDisk::default();
    let (log, topic) = acknowledged(&disk).await;
    log.close().await.unwrap();
    every_flip_is_named(&disk, topic);
    // What vouches is a help, and not in the way.
    let flipped = disk.with(end::NAME, |bytes| bytes[15] ^= 1);
    assert_eq!(World::open(&flipped).unwrap().read_all(topic, 0, 1000).len(), 4);
}

#[tokio::test]
async fn a_flip_in_the_last_group_of_a_log_that_was_killed_when_it_was_idle_is_named() {
    let disk = SimulatedDisk::default();
    let (log, topic) = acknowledged(&disk).await;
    while DurableEnd::read(&disk, options().identity).sequence() != 5 || !disk.is_settled() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    every_flip_is_named(&disk.crashed(&mut Some(Chance(7))), topic);
    // It is said once.
    let said = disk.content(end::NAME);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(disk.content(end::NAME), said);
    log.close().await.unwrap();
    assert_eq!(disk.content(end::NAME), said);
}

#[tokio::test]
async fn a_flip_in_the_segment_that_is_written_is_found_by_a_check() {
    let disk = SimulatedDisk::default();
    let (log, topic) = acknowledged(&disk).await;
    let sound = log.scrub().await.unwrap();
    let (name, (start, end)) = (file_name(1), last_frame(&disk));
    assert_eq!(sound, end as u64);
    for place in start..end {
        let flip = || {
            let flipped = disk.content(&name)[place] ^ 1;
            disk.open(&name).unwrap().write_all_at(&[flipped], place as u64).unwrap();
        };
        flip();
        let checked = log.check().await.unwrap();
        assert_eq!(checked.damaged.len(), 1, "{place}");
        assert_eq!(checked.damaged[0].path, name);
        assert!(checked.damaged[0].problem.contains(&format!("damaged at byte {start}:")), "{:?}", checked.damaged);
        flip();
        assert_eq!(log.scrub().await.unwrap(), sound, "{place}");
    }
    log.append(vec![entry(topic, 0, Client::of(&["more"]).bytes())]).await.unwrap();
    assert!(log.scrub().await.unwrap() > sound);
    log.close().await.unwrap();
    log.scrub().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_ended_while_a_check_reads_it_is_no_trouble() {
    let disk = SimulatedDisk::default();
    let (log, topic) = acknowledged(&disk).await;
    let sound = log.scrub().await.unwrap();
    let (runtime, writing, at) = (tokio::runtime::Handle::current(), log.clone(), disk.clone());
    let fill = move || {
        runtime.block_on(async {
            while !at.names().contains(&file_name(3)) {
                writing.append(vec![entry(topic, 0, Client::of(&[&"x".repeat(1500)]).bytes())]).await.unwrap();
            }
        });
    };
    // Behind the look at the segment's beginning, and at how long it is.
    let at = disk.clone();
    disk.before_read(move || at.before_read(fill));
    let checked = log.check().await.unwrap();
    assert_eq!(checked.damaged, []);
    assert!(checked.bytes > sound + 5000, "{}", checked.bytes);
    log.close().await.unwrap();
}

#[test]
fn a_tear_behind_what_was_written_down_as_durable_is_cut_off() {
    let (mut world, topic, _, start) = world();
    world.writer.idle();
    world.batch(topic, 0, Client::of(&["behind"]).bytes());
    let (_, end) = last_frame(&world.disk);
    for place in start..end - 8 {
        let torn = world.disk.with(&file_name(1), |bytes| bytes[place..].fill(0));
        let mut opened = World::open(&torn).unwrap();
        assert_eq!(opened.read_all(topic, 0, 1000).len(), 4, "{place}");
        let at = (opened.recovered.torn_bytes > 0).then(|| (file_name(1), start as u64));
        assert_eq!(opened.recovered.torn_at, at);
        assert!(place == start || at.is_some(), "{place}");
        opened.batch(topic, 0, Client::of(&["again"]).bytes());
        // The numbers of what was cut off are given again, and are vouched for in their turn.
        opened.writer.idle();
        let opened = opened.reopened();
        assert_eq!(opened.read_all(topic, 0, 1000).len(), 5);
        assert_eq!(opened.writer.end.sequence(), opened.writer.synced);
    }
}

#[test]
fn what_a_checkpoint_knows_is_not_cut_off() {
    let (mut world, topic, start, _) = world();
    world.writer.checkpoint(None);
    let flipped = world.disk.with(&file_name(1), |bytes| bytes[start + 60] ^= 1);
    let error = World::open(&flipped).err().unwrap();
    assert!(error.to_string().contains(&format!("damaged at byte {start}")), "{error}");
    assert_eq!(world.reopened().read_all(topic, 0, 1000).len(), 4);
}

/// Of a log that was killed in the midst of its work.
#[test]
fn a_flip_at_every_byte_of_the_tail_is_found() {
    let (world, topic, start, end) = world();
    let name = file_name(1);
    for place in 0..end {
        let flipped = world.disk.with(&name, |bytes| bytes[place] ^= 0x10);
        match World::open(&flipped) {
            Ok(opened) => {
                // Nothing shows that the last group was ever acknowledged: it is cut off as a whole, and told.
                assert!(place >= start, "{place}");
                assert_eq!(opened.read_all(topic, 0, 1000).len(), 2, "{place}");
                assert!(opened.recovered.torn_bytes > 0);
                assert_eq!(opened.recovered.torn_at, Some((name.clone(), start as u64)));
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
fn a_write_that_was_not_ended_is_told_from_damage() {
    let batch = |topic: Uuid, bytes: usize| entry(topic, 0, Client::of(&[&"x".repeat(bytes)]).bytes());
    // One append of several frames, one of a large frame, and many small ones.
    for appends in [vec![vec![500, 8000, 3000]], vec![vec![9000]], vec![vec![300]; 20]] {
        let mut world = World::new();
        let topic = world.create("t", 1, &[]);
        world.batch(topic, 0, Client::of(&["first"]).bytes());
        let start = world.writer.active.position as usize;
        let entries = appends.iter().map(|sizes| sizes.iter().map(|bytes| batch(topic, *bytes)).collect());
        assert!(world.group(entries.collect()).iter().all(Result::is_ok));
        let end = world.writer.active.position as usize;
        let found = |change: &dyn Fn(&mut Vec<u8>)| {
            let recovered = World::open(&world.disk.with(&file_name(1), |bytes| change(bytes))).unwrap().recovered;
            assert!(recovered.torn_bytes > 0);
            recovered.torn_is_unfinished
        };
        for page in (start.next_multiple_of(4096)..end).step_by(4096) {
            assert!(found(&|bytes| bytes[page..].fill(0)), "{appends:?} {page}");
            // A file that is shorter than its room was cut by somebody else.
            assert!(!found(&|bytes| bytes.truncate(page)), "{appends:?} {page}");
            // What is behind a page that is missing was written.
            let behind = (page + 4096).min(end - 20);
            assert!(!found(&|bytes| bytes[page..behind].fill(0)), "{appends:?} {page}");
        }
        for place in (start..end - 8).step_by(61) {
            assert!(!found(&|bytes| bytes[place] ^= 4), "{appends:?} {place}");
        }
    }
}

/// A log that was killed behind a last append of several frames and pages, which nobody vouches for; where that begins and ends.
fn large() -> (World, Uuid, usize, usize) {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["first"]).bytes());
    let start = world.writer.active.position as usize;
    let batch = |bytes: usize| entry(topic, 0, Client::of(&[&"x".repeat(bytes)]).bytes());
    world.append([500, 8000, 3000].map(batch).into()).unwrap();
    let end = world.writer.active.position as usize;
    (world, topic, start, end)
}

#[test]
fn a_file_that_was_cut_short_is_no_write_that_was_killed() {
    let (world, topic, start, end) = large();
    let (name, room) = (file_name(1), options().room_of(1) as usize);
    assert_eq!(world.disk.content(&name).len(), room);
    for length in (start..=end).chain([end + 1, room - 1]) {
        let opened = World::open(&world.disk.with(&name, |bytes| bytes.truncate(length))).unwrap();
        // Also where nothing is left of the append that was lost.
        assert_eq!(opened.recovered.cut_short_at, Some((name.clone(), length as u64)));
        assert!(!opened.recovered.torn_is_unfinished, "{length}");
        assert_eq!(opened.recovered.torn_bytes > 0, length > start && length < end, "{length}");
        assert_eq!(opened.read_all(topic, 0, 1 << 20).len(), if length < end { 1 } else { 4 }, "{length}");
        // It has its room again, and is told of once.
        assert_eq!(opened.disk.content(&name).len(), room);
        assert_eq!(opened.reopened().recovered.cut_short_at, None);
    }
    assert_eq!(world.reopened().recovered.cut_short_at, None);
}

#[test]
fn a_copy_that_ends_with_its_last_append_is_whole() {
    let (mut world, topic, _, end) = large();
    world.writer.idle();
    let name = file_name(1);
    let mut opened = World::open(&world.disk.with(&name, |bytes| bytes.truncate(end))).unwrap();
    assert_eq!((&opened.recovered.cut_short_at, &opened.recovered.torn_at), (&None, &None));
    // What is written next has its room, so that a kill is told from damage there too.
    assert_eq!(opened.disk.content(&name).len() as u64, options().room_of(1));
    opened.batch(topic, 0, Client::of(&["more"]).bytes());
    let opened = opened.reopened();
    assert_eq!((opened.recovered.cut_short_at.clone(), opened.read_all(topic, 0, 1 << 20).len()), (None, 5));
}

#[test]
fn a_file_that_could_not_be_given_its_room_again_was_cut_by_nobody() {
    let (mut world, topic, _, _) = large();
    world.disk.fail_write(0);
    world.append(vec![entry(topic, 0, Client::of(&["refused"]).bytes())]).unwrap_err();
    world.disk.set_room(Some(world.writer.active.position as usize + 1000));
    world.append(vec![entry(topic, 0, Client::of(&["refused"]).bytes())]).unwrap_err();
    assert!((world.disk.content(&file_name(1)).len() as u64) < options().room_of(1));
    let opened = world.reopened();
    assert_eq!((&opened.recovered.cut_short_at, &opened.recovered.torn_at), (&None, &None));
    assert_eq!(opened.read_all(topic, 0, 1 << 20).len(), 4);
}

#[test]
fn zeros_that_begin_in_the_midst_of_a_page_are_no_write_that_was_killed() {
    let (world, _, start, end) = large();
    for place in start + 8..end - 8 {
        let recovered = World::open(&world.disk.with(&file_name(1), |bytes| bytes[place..].fill(0))).unwrap().recovered;
        assert!(recovered.torn_bytes > 0 && recovered.cut_short_at.is_none(), "{place}");
        let to_page = place.next_multiple_of(4096) - place;
        assert!(!recovered.torn_is_unfinished || to_page <= 64, "{place}");
        assert!(recovered.torn_is_unfinished || to_page > 0, "{place}");
    }
}

#[test]
fn a_flip_in_a_sealed_segment_is_named_and_not_served() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    while world.writer.active.segment < 3 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(2500)]).bytes());
    }
    assert!(world.reader.scrub(None).unwrap().sound().unwrap() > 20_000);
    let name = file_name(1);
    let length = world.disk.content(&name).len();
    for place in (0..length).step_by(37) {
        let flipped = world.disk.with(&name, |bytes| bytes[place] ^= 1);
        let opened = World::open(&flipped).unwrap();
        let scrubbed = opened.reader.scrub(None).unwrap().sound().unwrap_err();
        assert_eq!(scrubbed.kind(), ErrorKind::Corrupt);
        assert!(scrubbed.to_string().contains(&name), "{scrubbed}");
        let whole = world.read(topic, 0, 0, 1 << 20).unwrap();
        match opened.read(topic, 0, 0, 1 << 20) {
            Ok(records) => {
                // What is no part of a record may be flipped without a reader's knowledge, for the scrub to find.
                assert!(whole.batches.starts_with(&records.batches) && !records.batches.is_empty(), "{place}");
            }
            Err(ReadError::Failed(error)) => {
                assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&name), "{error}");
            }
            Err(other) => panic!("{place}: {other}"),
        }
        assert!(
            place < HEADER_BYTES as usize + 300 || place > length - 70 || {
                opened.read(topic, 0, 0, 1 << 20).map_or(true, |records| records.batches.len() < whole.batches.len())
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
        says_that_files_belong_together(&error);
    }
    let flipped = world.disk.with("checkpoint", |bytes| bytes[20] ^= 1);
    let error = World::open(&flipped).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    says_that_files_belong_together(&error);
    // So do those that are gone while the log is open.
    world.disk.remove(&file_name(1)).unwrap();
    let ReadError::Failed(error) = world.read(topic, 0, 0, 1000).unwrap_err() else { panic!() };
    assert!(error.to_string().contains(&file_name(1)), "{error}");
    says_that_files_belong_together(&error);
    let checked = world.reader.scrub(None).unwrap();
    assert_eq!(checked.damaged.len(), 1);
    assert!(checked.damaged[0].problem.contains("is missing"), "{:?}", checked.damaged);
}

#[test]
fn a_young_log_without_its_checkpoint_is_not_begun_anew() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["kept"]).bytes());
    let disk = world.disk.crashed(&mut None);
    crate::disk::Disk::remove(&disk, "checkpoint").unwrap();
    // Each start brings a number of its own, for a log that it may have to begin.
    let error = World::open_with(&disk, LogOptions { identity: 78, ..options() }).err().unwrap();
    says_that_files_belong_together(&error);
    assert_eq!(disk.content(&file_name(1)), world.disk.content(&file_name(1)));
}

/// A file of a backup does not go with the others of today.
fn says_that_files_belong_together(error: &polder_types::Error) {
    let hint = error.hint().unwrap();
    assert!(hint.contains("the whole folder") && hint.contains("polder restore"), "{hint}");
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
