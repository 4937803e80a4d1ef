//! A machine that stops in the midst of a start, at each step of it.

use uuid::Uuid;

use super::world::{Client, World, entry, options};
use crate::disk::simulated::{Chance, SimulatedDisk};
use crate::segment::file_name;

/// A log that was killed behind a last append of several frames and pages, which nobody vouches for; where that begins and ends.
fn killed() -> (World, Uuid, usize, usize) {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    world.batch(topic, 0, Client::of(&["first"]).bytes());
    world.batch(topic, 0, Client::of(&["second"]).bytes());
    let start = world.writer.active.position as usize;
    let batch = |bytes: usize| entry(topic, 0, Client::of(&[&"x".repeat(bytes)]).bytes());
    world.append([500, 8000, 3000].map(batch).into()).unwrap();
    let end = world.writer.active.position as usize;
    (world, topic, start, end)
}

/// A start on what is left: all is there, nobody is said to have cut the file, and it goes on with its whole room.
fn starts(left: &SimulatedDisk, topic: Uuid, batches: usize, what: &str) {
    let mut opened = World::open(left).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(opened.recovered.cut_short_at, None, "{what}");
    assert_eq!(opened.read_all(topic, 0, 1 << 20).len(), batches, "{what}");
    assert_eq!(left.content(&file_name(1)).len() as u64, options().room_of(1), "{what}");
    opened.batch(topic, 0, Client::of(&["more"]).bytes());
    let again = opened.reopened();
    assert_eq!(again.read_all(topic, 0, 1 << 20).len(), batches + 1, "{what}");
    assert_eq!((again.recovered.cut_short_at.clone(), again.recovered.torn_bytes), (None, 0), "{what}");
}

/// Stops a start behind each of its steps, as a kill does, and as one that takes along what was not synced. Gives how many there are.
fn stops(disk: &SimulatedDisk, topic: Uuid, batches: usize) -> usize {
    for steps in 0..100 {
        let stopped = disk.crashed(&mut None);
        stopped.stop_after(steps);
        let went_through = World::open(&stopped).is_ok();
        starts(&stopped.crashed(&mut None), topic, batches, &format!("killed at {steps}"));
        for seed in 1..20 {
            let left = stopped.crashed(&mut Some(Chance(seed * 7919)));
            starts(&left, topic, batches, &format!("stopped at {steps}, {seed}"));
        }
        if went_through {
            return steps;
        }
    }
    panic!("it comes to no end");
}

#[test]
fn a_start_that_is_stopped_at_any_step_of_a_cut_is_followed_by_one_that_is_right() {
    let (world, topic, start, end) = killed();
    // A write that was not ended, and damage that looks as such.
    let page = (start + 1).next_multiple_of(4096);
    assert!(page < end);
    let torn = world.disk.with(&file_name(1), |bytes| bytes[page..].fill(0));
    let flipped = world.disk.with(&file_name(1), |bytes| bytes[start + 100] ^= 1);
    for disk in [torn, flipped] {
        // What stands is synced and said, and the end cut, filled, and synced.
        assert!(stops(&disk, topic, 2) >= 5);
    }
}

#[test]
fn a_start_that_is_stopped_at_any_step_without_a_cut_is_followed_by_one_that_is_right() {
    let (world, topic, _, _) = killed();
    assert!(stops(&world.disk, topic, 5) >= 2);
}

#[test]
fn a_mending_that_is_stopped_at_any_step_is_followed_by_a_start_that_is_right() {
    for steps in 0..100 {
        let (mut world, topic, _, _) = killed();
        let batch = |value: &str| vec![entry(topic, 0, Client::of(&[value]).bytes())];
        world.disk.fail_syncs(1);
        world.append(batch("refused")).unwrap_err();
        world.disk.stop_after(steps);
        let went_through = world.append(batch("the next")).is_ok();
        for seed in 0..20 {
            let mut chance = (seed > 0).then_some(Chance(seed * 7919));
            let opened =
                World::open(&world.disk.crashed(&mut chance)).unwrap_or_else(|error| panic!("{steps} {seed}: {error}"));
            assert_eq!(opened.recovered.cut_short_at, None, "{steps} {seed}");
            let found = opened.read_all(topic, 0, 1 << 20).len();
            // Of what was not acknowledged, one may be there.
            assert!(found == 6 || (found == 5 && !went_through), "{steps} {seed}: {found}");
        }
        if went_through {
            assert!(steps >= 5);
            return;
        }
    }
    panic!("it comes to no end");
}
