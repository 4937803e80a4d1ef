//! Syncs that fail. The system gives up what they were to write, and the next sync has nothing to say of it: what was not
//! written again is on no disk.

use std::sync::Arc;

use polder_runtime::SystemClock;
use uuid::Uuid;

use super::world::{Client, World, create, entry, options};
use crate::Log;
use crate::disk::simulated::{Chance, SimulatedDisk};
use crate::options::{LogOptions, Sync};

/// A log whose acknowledgements wait for no sync, with one batch that is durable.
fn unhurried() -> (World, Uuid) {
    let options = LogOptions { sync: Sync::PageCache, ..options() };
    let mut world = World::open_with(&SimulatedDisk::default(), options).unwrap();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["durable"]).bytes());
    world.writer.sync_late().unwrap();
    (world, topic)
}

/// Whatever a crash leaves, these many batches are there.
fn has_all(disk: &SimulatedDisk, topic: Uuid, batches: usize) {
    for seed in 1..40 {
        let crashed = disk.crashed(&mut Some(Chance(seed * 7919)));
        let opened = World::open(&crashed).unwrap_or_else(|error| panic!("{seed}: {error}"));
        assert_eq!(opened.read_all(topic, 0, 1 << 20).len(), batches, "{seed}");
    }
}

#[test]
fn what_a_late_sync_failed_to_write_is_written_again() {
    for forgotten in [false, true] {
        let (mut world, topic) = unhurried();
        for value in ["one", "two"] {
            world.batch(topic, 0, Client::of(&[value]).bytes());
        }
        world.disk.fail_syncs(2);
        world.writer.sync_late().unwrap_err();
        assert!(world.writer.torn && world.writer.patience().is_some());
        if forgotten {
            world.disk.forget();
        }
        // Nothing comes on top meanwhile.
        world.append(vec![entry(topic, 0, Client::of(&["refused"]).bytes())]).unwrap_err();
        world.writer.sync_late().unwrap();
        has_all(&world.disk, topic, 3);
        world.batch(topic, 0, Client::of(&["three"]).bytes());
        world.writer.sync_late().unwrap();
        has_all(&world.disk, topic, 4);
        assert_eq!(world.read_all(topic, 0, 1 << 20).len(), 4);
    }
}

#[test]
fn an_append_after_a_failed_sync_has_what_is_before_it_written_again() {
    let (mut world, topic) = unhurried();
    world.batch(topic, 0, Client::of(&["one"]).bytes());
    world.disk.fail_syncs(1);
    world.writer.sync_late().unwrap_err();
    world.batch(topic, 0, Client::of(&["two"]).bytes());
    world.writer.sync_late().unwrap();
    has_all(&world.disk, topic, 3);
}

#[test]
fn a_segment_that_could_not_be_ended_is_written_again() {
    let (mut world, topic) = unhurried();
    let batch = || Client::of(&[&"x".repeat(1500)]).bytes();
    let mut batches = 1;
    // The next segment is made with one, and then this one is ended with the other.
    world.disk.fail_syncs_after(1, 1);
    while world.writer.active.segment < 3 {
        batches += usize::from(world.append(vec![entry(topic, 0, batch())]).is_ok());
    }
    world.writer.sync_late().unwrap();
    assert!(batches > 10);
    has_all(&world.disk, topic, batches);
}

#[test]
fn what_is_on_no_disk_and_in_no_memory_is_not_said_to_be_durable() {
    let (mut world, topic) = unhurried();
    let sequence = world.writer.synced;
    // More than is kept in memory.
    for _ in 0..8 {
        world.batch(topic, 0, Client::of(&[&"x".repeat(1500)]).bytes());
    }
    world.disk.fail_syncs(1);
    world.writer.sync_late().unwrap_err();
    world.disk.forget();
    let error = world.writer.sync_late().unwrap_err();
    assert!(error.to_string().contains("acknowledged without a sync"), "{error}");
    world.append(vec![entry(topic, 0, Client::of(&["refused"]).bytes())]).unwrap_err();
    assert_eq!(world.writer.synced, sequence);
    // The next start goes on from what there is.
    let mut opened = World::open(&world.disk).unwrap();
    assert_eq!(opened.read_all(topic, 0, 1 << 20).len(), 1);
    opened.batch(topic, 0, Client::of(&["more"]).bytes());
    has_all(&opened.disk, topic, 2);
}

#[test]
fn a_start_takes_nothing_for_durable_that_only_the_system_remembers() {
    // Killed after a sync has failed, while the machine goes on; and once more when the start's own sync has failed.
    for failing in 1..3 {
        let mut world = World::new();
        let topic = world.create("t", 1, &[]);
        world.batch(topic, 0, Client::of(&["one"]).bytes());
        world.disk.fail_syncs(failing);
        world.append(vec![entry(topic, 0, Client::of(&["two"]).bytes())]).unwrap_err();
        let disk = world.disk.clone();
        drop(world);
        for _ in 1..failing {
            World::open(&disk).err().unwrap();
        }
        let mut opened = World::open(&disk).unwrap();
        let found = opened.read_all(topic, 0, 1 << 20).len();
        has_all(&disk, topic, found);
        opened.batch(topic, 0, Client::of(&["three"]).bytes());
        has_all(&disk, topic, found + 1);
    }
}

#[test]
fn a_start_takes_a_sealed_segment_for_durable_only_once_it_is_written_again() {
    let (mut world, topic) = unhurried();
    let mut batches = 1;
    while world.writer.active.segment < 2 {
        world.disk.fail_syncs_after(1, 1);
        if world.append(vec![entry(topic, 0, Client::of(&[&"x".repeat(1500)]).bytes())]).is_err() {
            break;
        }
        batches += 1;
    }
    assert!(batches > 5);
    let disk = world.disk.clone();
    drop(world);
    let mut opened = World::open(&disk).unwrap();
    assert_eq!(opened.read_all(topic, 0, 1 << 20).len(), batches);
    has_all(&disk, topic, batches);
    opened.batch(topic, 0, Client::of(&["more"]).bytes());
    has_all(&disk, topic, batches + 1);
}

#[tokio::test]
async fn what_was_refused_does_not_come_back_when_the_log_is_closed() {
    let disk = SimulatedDisk::default();
    let open = || Log::open_on(Arc::new(disk.clone()), options(), Arc::new(SystemClock)).unwrap().0;
    let (log, topic) = (open(), Uuid::new_v4());
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    let append = async || log.append(vec![entry(topic, 0, Client::of(&["one"]).bytes())]).await;
    append().await.unwrap();
    // What the log writes down of its end when it rests may take the failure.
    let mut taken = 1;
    loop {
        disk.fail_syncs(1);
        if append().await.is_err() {
            break;
        }
        taken += 1;
    }
    log.close().await.unwrap();
    drop(log);
    let log = open();
    assert_eq!(log.bounds(topic, 0).unwrap().high_watermark, taken);
    log.close().await.unwrap();
}

/// Also what waits for no sync is there after a close that says so, though its last sync failed once.
#[tokio::test]
async fn a_close_tries_its_sync_once_more() {
    let disk = SimulatedDisk::default();
    let options = LogOptions { sync: Sync::PageCache, ..options() };
    let (log, _) = Log::open_on(Arc::new(disk.clone()), options, Arc::new(SystemClock)).unwrap();
    let topic = Uuid::new_v4();
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    log.append(vec![entry(topic, 0, Client::of(&["one"]).bytes())]).await.unwrap();
    disk.fail_syncs(1);
    log.close().await.unwrap();
    drop(log);
    has_all(&disk, topic, 1);
}
