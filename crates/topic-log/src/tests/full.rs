//! Disks that are full or fail.

use std::sync::Arc;

use chrono::DateTime;
use polder_runtime::ManualClock;
use polder_types::ErrorKind;
use uuid::Uuid;

use super::world::{Client, World, create, entry, options};
use crate::Log;
use crate::disk::simulated::SimulatedDisk;
use crate::entry::{AppendError, Entry};
use crate::segment::file_name;

#[test]
fn a_full_disk_refuses_batches_until_records_are_deleted() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let batch = || Client::of(&[&"x".repeat(2500)]).bytes();
    while world.writer.active.segment < 4 {
        world.batch(topic, 0, batch());
    }
    world.disk.set_room(Some(world.disk.used() + 4000));
    let mut taken = 0;
    let error = loop {
        match world.append(vec![entry(topic, 0, batch())]) {
            Ok(_) => taken += 1,
            Err(AppendError::Failed(error)) => break error,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(taken < 10);
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    let all = world.read_all(topic, 0, 1 << 20);
    // Records can be deleted, and then there is room again.
    let end = world.reader.ground.published.partition(topic, 0).unwrap().bounds().high_watermark;
    world.append(vec![Entry::DeleteRecords { topic, partition: 0, before: end - 3 }]).unwrap();
    assert!(world.remove_unused() > 0);
    assert_eq!(world.batch(topic, 0, batch()).base_offset, end);
    let kept = world.reopened().read_all(topic, 0, 1 << 20);
    assert_eq!(kept[..3], all[all.len() - 3..]);
    assert_eq!(kept.len(), 4);
}

#[test]
fn a_failed_group_leaves_nothing_and_the_log_goes_on() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["a"]).bytes());
    world.disk.fail_syncs(2);
    let id = uuid::Uuid::new_v4();
    let create = super::world::create("new", id, 1, &[]);
    let outcomes = world.group(vec![
        vec![create.clone(), entry(id, 0, Client::of(&["b"]).bytes())],
        vec![Entry::DeleteTopic { id: topic }],
        vec![Entry::State { space: 0, key: "k".into(), value: Some("v".into()) }],
    ]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(AppendError::Failed(_)))));
    // The second failure is that of the mending.
    assert!(world.append(vec![create.clone()]).is_err());
    assert!(world.reader.ground.published.partition(id, 0).is_none());
    assert_eq!(world.read_all(topic, 0, 1000).len(), 1);
    world.append(vec![create]).unwrap();
    let world = world.reopened();
    assert_eq!(world.read_all(topic, 0, 1000).len(), 1);
    assert!(world.read_all(id, 0, 1000).is_empty());
    assert!(world.reader.ground.published.state.read().is_empty());
}

#[test]
fn a_group_of_which_a_later_chunk_cannot_be_written_is_taken_back_whole() {
    for after in 0..4 {
        let mut world = World::new();
        let topic = world.create("t", 2, &[]);
        world.batch(topic, 0, Client::of(&["before"]).bytes());
        let appends = |value: &str| -> Vec<Vec<Entry>> {
            let value = value.repeat(400);
            (0..4).map(|number| vec![entry(topic, number % 2, Client::of(&[&value]).bytes())]).collect()
        };
        world.disk.fail_write(after);
        let failed = world.group(appends("x")).iter().filter(|outcome| outcome.is_err()).count();
        // Four chunks. What comes behind the one that failed is a group of its own.
        assert_eq!(failed, after + 1, "{after}");
        let written = world.group(appends("y"));
        assert!(written.iter().all(Result::is_ok), "{after}: {written:?}");
        for world in [&world, &world.reopened()] {
            let of = |partition: u32| world.read_all(topic, partition, 1000).len();
            assert_eq!(of(0) + of(1), 1 + (4 - failed) + 4, "{after}");
        }
    }
}

#[test]
fn a_disk_that_cannot_read_is_an_error_and_no_end() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    for _ in 0..8 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(2500)]).bytes());
    }
    world.disk.fail_reads(true);
    assert!(world.read(topic, 0, 0, 1000).is_err());
    // The newest is in memory, and can be written behind.
    assert_eq!(world.read(topic, 0, 7, 1000).unwrap().batches.len(), 1);
    world.batch(topic, 0, Client::of(&["y"]).bytes());
    world.disk.fail_reads(false);
    assert_eq!(world.read_all(topic, 0, 1000).len(), 9);
}

#[tokio::test]
async fn what_was_deleted_frees_its_files_though_a_segment_is_damaged() {
    let open = |disk: &SimulatedDisk| {
        let clock = ManualClock::at(DateTime::from_timestamp_millis(1_700_000_000_000).unwrap());
        Log::open_on(Arc::new(disk.clone()), options(), Arc::new(clock)).unwrap().0
    };
    let disk = SimulatedDisk::default();
    let log = open(&disk);
    let (kept, gone) = (Uuid::new_v4(), Uuid::new_v4());
    let forever = [("retention.ms", "-1")];
    log.append(vec![create("kept", kept, 1, &forever), create("gone", gone, 1, &forever)]).await.unwrap();
    let value = "x".repeat(2500);
    for topic in [kept, gone] {
        for _ in 0..40 {
            log.append(vec![entry(topic, 0, Client::of(&[&value]).bytes())]).await.unwrap();
        }
    }
    log.close().await.unwrap();
    let disk = disk.with(&file_name(2), |bytes| bytes[5000] ^= 1);
    let log = open(&disk);
    log.append(vec![Entry::DeleteTopic { id: gone }]).await.unwrap();
    let before = disk.used();
    let error = log.housekeeping().await.unwrap_err();
    assert!(error.to_string().contains(&file_name(2)), "{error}");
    // The segment that is written, and one that the checkpoint before still needs, may stay.
    assert!(disk.used() + 60_000 < before, "{} of {before}", disk.used());
    assert!(!disk.names().iter().any(|name| name.starts_with("rewritten-")));
    log.close().await.unwrap();
}
