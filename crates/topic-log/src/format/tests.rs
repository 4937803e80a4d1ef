use super::{BatchBuilder, BatchProducer, Codec, Header, NewRecord, batches};
use crate::batch::{EndOfTransaction, check, put, repack, seal, settle};
use crate::codec::compress;
use crate::compact::unpack;
use crate::entry::Refusal;
use crate::records::{AbortedTransaction, Records};
use crate::request::Checked;
use crate::tests::world::{Client, World, entry};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

type Owned = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn all(batch: &[u8]) -> polder_types::Result<Vec<Owned>> {
    let mut found = Vec::new();
    for batch in batches(batch) {
        for record in &batch.unpack()? {
            let record = record?;
            let headers = record.headers.to_vec()?;
            assert_eq!(record.headers.is_empty(), headers.is_empty());
            let headers = headers.iter().map(|one| (one.name.to_owned(), one.value.map(<[u8]>::to_vec))).collect();
            let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            found.push((record.offset, record.timestamp, key, value, headers));
        }
    }
    Ok(found)
}

/// What Kafka's brokers refuse too: nobody could read behind such a batch.
#[test]
fn compressed_records_that_cannot_be_read_are_refused() {
    let mut world = World::new();
    let topic = world.create("t", 1, &[]);
    for codec in CODECS {
        let mut builder = BatchBuilder::new();
        for _ in 0..20 {
            let headers: [(&str, Option<&[u8]>); 1] = [("name", Some(b"value"))];
            builder.push(&NewRecord { timestamp: 1, key: None, value: Some(&[7; 100]), headers: &headers }).unwrap();
        }
        let sound = builder.finish(codec).unwrap().to_vec();
        let check = |batch: Vec<u8>| {
            let checked = Checked::of(entry(topic, 0, batch))?;
            checked.check_records(&world.reader.ground.published, 0)
        };
        check(sound.clone()).unwrap();
        // Cut short, one too few, one too many, and a name that is no text.
        let mut cut = sound[..sound.len() - 9].to_vec();
        let length = i32::try_from(cut.len() - 12).unwrap();
        put(&mut cut, 8, length.to_be_bytes());
        let counted = |count: i32| {
            let mut other = sound.clone();
            put(&mut other, 23, (count - 1).to_be_bytes());
            put(&mut other, 57, count.to_be_bytes());
            other
        };
        let header = batches(&sound).next().unwrap();
        let mut records = unpack(header.header(), &sound).unwrap().to_vec();
        let name = records.windows(4).position(|window| window == b"name").unwrap();
        records[name] = 0xff;
        let mut named = Vec::new();
        repack(&sound, &compress(codec.number(), &records).unwrap(), codec.number(), &mut named);
        for mut lie in [cut, counted(19), counted(21), named] {
            seal(&mut lie);
            match check(lie) {
                Err(Refusal::CorruptBatch(_) | Refusal::InvalidRecord(_)) => {}
                other => panic!("{codec:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_built_passes_the_log_and_is_read_back() {
    let headers: [(&str, Option<&[u8]>); 3] = [("a", Some(b"1")), ("a", None), ("größe", Some(b""))];
    let long = vec![7_u8; 3000];
    let records = [
        NewRecord { timestamp: 1_700_000_000_500, key: Some(b"k"), value: Some(&long), headers: &headers },
        NewRecord { timestamp: 1_700_000_000_000, key: None, value: None, headers: &[] },
        NewRecord { timestamp: 1_700_000_009_000, key: Some(b""), value: Some(b""), headers: &headers[1..2] },
    ];
    for codec in CODECS {
        let mut builder = BatchBuilder::new();
        for record in &records {
            builder.push(record).unwrap();
        }
        assert_eq!(builder.count(), 3);
        let plain = builder.bytes();
        let mut batch = builder.finish(codec).unwrap().to_vec();
        let header = check(&batch).unwrap()[0];
        assert_eq!(batch.len() == plain, codec == Codec::None);
        assert_eq!((header.base_timestamp, header.max_timestamp), (1_700_000_000_500, 1_700_000_009_000));
        settle(&mut batch, 40, None);
        let expected: Vec<Owned> = records
            .iter()
            .zip(40..)
            .map(|(record, offset)| {
                let headers =
                    record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)));
                let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
                (offset, record.timestamp, key, value, headers.collect())
            })
            .collect();
        assert_eq!(all(&batch).unwrap(), expected, "{codec:?}");
        // The log's own time is that of all.
        settle(&mut batch, 40, Some(99));
        assert!(all(&batch).unwrap().iter().all(|record| record.1 == 99));
    }
    assert!(BatchBuilder::new().finish(Codec::None).is_err());
}

#[test]
fn an_independent_writer_is_understood() {
    let found = all(&Client::of(&["one", "two"]).at(5).bytes()).unwrap();
    let expected = [(0, 5, b"one".to_vec()), (1, 6, b"two".to_vec())];
    let found: Vec<_> = found.into_iter().map(|(offset, time, _, value, _)| (offset, time, value.unwrap())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_batch_has_an_end() {
    let mut builder = BatchBuilder::new();
    let half = vec![0_u8; 600_000];
    let record = NewRecord { value: Some(&half), ..NewRecord::default() };
    builder.push(&record).unwrap();
    let before = builder.bytes();
    assert_eq!(builder.push(&record).unwrap_err().kind(), polder_types::ErrorKind::TooLarge);
    assert_eq!((builder.bytes(), builder.count()), (before, 1));
    assert_eq!(all(&builder.finish(Codec::Lz4).unwrap()).unwrap().len(), 1);
}

/// A batch of these bytes instead of its records, with a right checksum.
fn with_records(compression: i16, count: i32, records: &[u8]) -> Vec<u8> {
    let mut batch = Client::of(&["one", "two"]).bytes();
    batch.truncate(61);
    batch.extend_from_slice(records);
    let length = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[21..23].copy_from_slice(&compression.to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    seal(&mut batch);
    batch
}

#[test]
fn damage_is_an_error_and_never_more_memory_than_there_may_be() {
    let bomb = crate::codec::compress(4, &vec![0; 3 << 20]).unwrap();
    let sound: &[u8] = &[16, 0, 0, 0, 1, 4, b'a', b'b', 0];
    let second: &[u8] = &[16, 0, 0, 2, 1, 4, b'a', b'b', 0];
    let pack = |parts: &[&[u8]]| parts.concat();
    assert_eq!(all(&with_records(0, 2, &pack(&[sound, second]))).unwrap().len(), 2);
    // One of two was compacted away.
    assert_eq!(all(&with_records(0, 1, second)).unwrap()[0].0, 1);
    let broken = [
        (4, 2, bomb),
        (1, 2, vec![1, 2, 3]),
        (7, 2, pack(&[sound, second])),
        // Twice the same offset, one record too few, one too many, and one that is shorter than it says.
        (0, 2, pack(&[sound, sound])),
        (0, 2, sound.to_vec()),
        (0, 1, pack(&[sound, second])),
        (0, 2, pack(&[sound, &second[..7]])),
        // An offset behind the batch's last one, and before its first.
        (0, 1, vec![16, 0, 0, 4, 1, 4, b'a', b'b', 0]),
        (0, 1, vec![16, 0, 0, 1, 1, 4, b'a', b'b', 0]),
        // Headers: a million of them, fewer than none, a null name, a name of no UTF-8, bytes behind them.
        (0, 1, vec![20, 0, 0, 0, 1, 4, b'a', b'b', 0x80, 0x89, 0x7a]),
        (0, 1, vec![16, 0, 0, 0, 1, 4, b'a', b'b', 1]),
        (0, 1, vec![20, 0, 0, 0, 1, 4, b'a', b'b', 2, 1, 1]),
        (0, 1, vec![22, 0, 0, 0, 1, 4, b'a', b'b', 2, 2, 0xff, 1]),
        (0, 1, vec![18, 0, 0, 0, 1, 4, b'a', b'b', 0, 0]),
    ];
    for (compression, count, records) in broken {
        let batch = with_records(compression, count, &records);
        let error = all(&batch).expect_err(&format!("{compression} {count} {records:?}"));
        assert_eq!(error.kind(), polder_types::ErrorKind::Corrupt);
    }
}

#[test]
fn the_value_of_a_header_may_be_null() {
    let batch = with_records(0, 1, &[20, 0, 0, 0, 1, 1, 2, 2, b'n', 1, 0]);
    // Two bytes too long: the length says 10 and there are 10, of which the last one is no header.
    assert!(all(&batch).is_err());
    let batch = with_records(0, 1, &[18, 0, 0, 0, 1, 1, 2, 2, b'n', 1]);
    for batch in batches(&batch) {
        let unpacked = batch.unpack().unwrap();
        let record = unpacked.iter().next().unwrap().unwrap();
        assert_eq!(record.headers.to_vec().unwrap(), [Header { name: "n", value: None }]);
        assert_eq!((record.key, record.value), (None, None));
    }
}

#[test]
fn aborted_transactions_and_markers_are_passed_over() {
    let producer =
        |id, transactional| BatchProducer { id, epoch: 0, base_sequence: 0, is_transactional: transactional };
    let data = |offset: i64, producer: Option<BatchProducer>, value: &str| {
        let mut builder = BatchBuilder::new();
        if let Some(producer) = producer {
            builder = builder.of(producer);
        }
        builder.push(&NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() }).unwrap();
        let mut batch = builder.finish(Codec::None).unwrap().to_vec();
        settle(&mut batch, offset, None);
        batch
    };
    let marker = |offset: i64, producer_id: i64, commit: bool| {
        let end = EndOfTransaction { producer_id, producer_epoch: 0, coordinator_epoch: 0, commit, timestamp: 0 };
        let mut batch = end.write();
        settle(&mut batch, offset, None);
        batch
    };
    let log = [
        data(0, Some(producer(1, true)), "aborted"),
        data(1, Some(producer(2, true)), "committed"),
        data(2, None, "plain"),
        data(3, Some(producer(1, true)), "aborted too"),
        marker(4, 1, false),
        data(5, Some(producer(1, true)), "again"),
        marker(6, 2, true),
        marker(7, 1, true),
        data(8, Some(producer(1, true)), "aborted at last"),
        data(9, Some(producer(1, false)), "of no transaction"),
        marker(10, 1, false),
    ];
    // In the order of their markers, as the log gives them.
    let aborted = [0, 8].map(|first_offset| AbortedTransaction { producer_id: 1, first_offset });
    let values = |aborted: &[AbortedTransaction], from: usize| {
        let (first, second) = log[from..].split_at(2);
        let batches = vec![first.concat().into(), second.concat().into()];
        let records = Records { batches, aborted: aborted.to_vec(), ..Records::default() };
        let values: Vec<String> = records
            .committed()
            .flat_map(|batch| all(batch.bytes()).unwrap())
            .map(|record| String::from_utf8(record.3.unwrap()).unwrap())
            .collect();
        values
    };
    let seen = ["committed", "plain", "again", "of no transaction"];
    assert_eq!(values(&aborted, 0), seen);
    // From the middle of the first transaction on, and behind its marker.
    assert_eq!(values(&aborted, 2), seen[1..]);
    assert_eq!(values(&aborted[1..], 5), seen[2..]);
    assert_eq!(values(&[], 0).len(), 7);
}

#[test]
fn records_are_read_in_several_goes_from_the_bytes_that_they_came_in() {
    for codec in CODECS {
        let mut builder = BatchBuilder::new();
        for number in 0..10_u8 {
            builder.push(&NewRecord { value: Some(&[number; 20]), ..NewRecord::default() }).unwrap();
        }
        let source = builder.finish(codec).unwrap();
        let batch = batches(&source).next().unwrap();
        let mut shared = batch.unpack().unwrap().share(&source);
        let (start, end) = (source.as_ptr().addr(), source.as_ptr().addr() + source.len());
        assert_eq!((start..end).contains(&shared.bytes().as_ptr().addr()), codec == Codec::None);
        let mut found = Vec::new();
        loop {
            let before = found.len();
            let mut go = shared.iter();
            found.extend(go.by_ref().take(3).map(|record| record.unwrap().value.unwrap()[0]));
            let place = go.place();
            if found.len() == before {
                break;
            }
            shared.go_on_at(place);
        }
        assert_eq!(found, (0..10).collect::<Vec<u8>>());
    }
}
