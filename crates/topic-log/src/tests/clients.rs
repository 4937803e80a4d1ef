//! What a client sends is checked.

use super::world::{Client, World, entry};
use crate::batch::{self, BatchHeader};
use crate::entry::{AppendError, Entry, Refusal};
use crate::request::Checked;
use crate::{codec, compact};

fn refusal(world: &mut World, topic: uuid::Uuid, bytes: Vec<u8>) -> Refusal {
    match world.append(vec![entry(topic, 0, bytes)]) {
        Err(AppendError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_flipped_byte_of_a_batch_is_refused_or_set_by_the_log() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    let sound = Client::of(&["one", "two"]).bytes();
    for place in 0..sound.len() {
        let mut flipped = sound.clone();
        flipped[place] ^= 0x40;
        let taken = batch::check(&flipped);
        // Base offset and leader epoch are the log's.
        assert_eq!(taken.is_ok(), place < 8 || (12..16).contains(&place), "{place}: {taken:?}");
    }
    for end in 0..sound.len() {
        assert!(batch::check(&sound[..end]).is_err(), "{end}");
    }
    assert_eq!(world.batch(topic, 0, sound).base_offset, 0);
}

#[test]
fn lies_with_a_right_checksum_are_refused() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[("max.message.bytes", "500")]);
    let change = |at: usize, value: &[u8]| {
        let mut bytes = Client::of(&["one", "two"]).bytes();
        bytes[at..at + value.len()].copy_from_slice(value);
        batch::seal(&mut bytes);
        bytes
    };
    // Counts, the chain of records, compression.
    for lie in [change(57, &[0, 0, 0, 1]), change(61, &[40]), change(61, &[2]), change(21, &[0, 5])] {
        assert!(matches!(refusal(&mut world, topic, lie), Refusal::CorruptBatch(_)));
    }
    // A million records in a few bytes.
    let mut lie = change(23, &999_999_i32.to_be_bytes());
    lie[57..61].copy_from_slice(&1_000_000_i32.to_be_bytes());
    batch::seal(&mut lie);
    assert!(matches!(refusal(&mut world, topic, lie), Refusal::CorruptBatch(_)));
    // A control batch, the log's own timestamps, offsets that do not count up, a producer without sequence numbers.
    let others = [
        change(21, &[0, 0x20]),
        change(21, &[0, 0x08]),
        change(64, &[8]),
        change(43, &7_i64.to_be_bytes()),
        change(21, &[0, 0x10]),
    ];
    for other in others {
        let refused = refusal(&mut world, topic, other);
        assert!(matches!(refused, Refusal::InvalidRecord(_)), "{refused:?}");
    }
    assert_eq!(refusal(&mut world, topic, change(16, &[1])), Refusal::UnsupportedFormat);
    let large = Client::of(&[&"x".repeat(600)]).bytes();
    assert_eq!(refusal(&mut world, topic, large.clone()), Refusal::TooLarge { bytes: large.len(), bytes_max: 500 });
    assert_eq!(world.batch(topic, 0, change(0, &[1])).base_offset, 0);
}

#[test]
fn append_time_is_set_with_a_checksum_that_fits() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let appended = world.batch(topic, 0, Client::of(&["a", "b", "c"]).bytes());
    assert_eq!(appended.log_append_time, 1_700_000_000_000);
    let appended = world.batch(topic, 0, Client::of(&["d"]).bytes());
    assert_eq!(appended.base_offset, 3);
    let all = world.read_all(topic, 0, 10_000);
    let header = BatchHeader::read(&all[1]).unwrap();
    assert!(header.is_log_append_time());
    assert_eq!((header.base_offset, header.max_timestamp), (3, 1_700_000_000_000));
    let stored = u32::from_be_bytes(all[1][17..21].try_into().unwrap());
    assert_eq!(stored, crc32c::crc32c(&all[1][21..]));
}

#[test]
fn times_too_far_away_are_refused_record_by_record() {
    const NOW: i64 = 1_700_000_000_000;
    let mut world = World::new();
    let topic =
        world.create("t", 1, &[("message.timestamp.before.max.ms", "1000"), ("message.timestamp.after.max.ms", "500")]);
    let outcome = |world: &World, bytes: Vec<u8>| {
        let checked = Checked::of(entry(topic, 0, bytes)).unwrap();
        checked.check_records(&world.reader.ground.published, NOW)
    };
    let refused = |world: &World, bytes: Vec<u8>| matches!(outcome(world, bytes), Err(Refusal::InvalidTimestamp(_)));
    // The second record is a millisecond younger than the first.
    for (first, is_refused) in [(NOW - 1001, true), (NOW - 1000, false), (NOW + 499, false), (NOW + 500, true)] {
        assert_eq!(refused(&world, Client::of(&["a", "b"]).at(first).bytes()), is_refused, "{}", first - NOW);
    }
    // Packed, and with a header that says otherwise.
    let plain = Client::of(&["a", "b"]).at(NOW + 900).bytes();
    let mut packed = plain[..61].to_vec();
    packed[22] = 4;
    packed.extend(codec::compress(4, &plain[61..]).unwrap());
    let length = packed.len() as i32 - 12;
    packed[8..12].copy_from_slice(&length.to_be_bytes());
    packed[35..43].copy_from_slice(&NOW.to_be_bytes());
    batch::seal(&mut packed);
    assert!(refused(&world, packed));
    // No time is none too far away.
    assert!(!refused(&world, Client::of(&["a"]).at(-1).bytes()));
    // The log's own times are right.
    let config = [("message.timestamp.type", "LogAppendTime"), ("message.timestamp.after.max.ms", "0")];
    let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    world.append(vec![Entry::SetConfig { id: topic, config }]).unwrap();
    assert!(!refused(&world, Client::of(&["a"]).at(NOW + 10_000).bytes()));
}

#[test]
fn a_topic_may_have_its_batches_packed_in_its_own_way() {
    let mut world = World::new();
    let value = "x".repeat(3_000);
    for (name, number) in [("producer", 0), ("uncompressed", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)] {
        let topic = world.create(name, 1, &[("compression.type", name)]);
        let plain = Client::of(&[&value, "b"]).producer(5, 0, 0).bytes();
        let checked = Checked::of(entry(topic, 0, plain.clone())).unwrap();
        let checked = checked.recompressed(&world.reader.ground.published).unwrap();
        let Checked::Batch { bytes, headers, .. } = checked else { panic!("no batch") };
        let before = BatchHeader::read(&plain).unwrap();
        // All that is said of it is the same, and it passes as one that a client has sent.
        assert_eq!(batch::check(&bytes).unwrap(), headers);
        let expected = BatchHeader { bytes: headers[0].bytes, attributes: number, ..before };
        assert_eq!(headers, [expected], "{name}");
        assert_eq!(&*compact::unpack(&headers[0], &bytes).unwrap(), &plain[61..]);
        assert_eq!(bytes.len() < plain.len(), number > 0, "{name}");
        // What is packed is unpacked where the topic wants that.
        let plainly = world.create(&format!("{name} to none"), 1, &[("compression.type", "uncompressed")]);
        let back = Checked::of(entry(plainly, 0, bytes.to_vec())).unwrap();
        let back = back.recompressed(&world.reader.ground.published).unwrap();
        let Checked::Batch { bytes, .. } = back else { panic!("no batch") };
        assert_eq!(bytes, plain);
    }
}
