//! What is kept about a stream beyond what Kafka knows of its topic, and its bytes.

use bytes::Bytes;
use polder_capability::topics::ShardConsumer;
use polder_types::Result;
use uuid::Uuid;

use super::division::{Slot, even};
use crate::codec::{Reader, Writer};

const VERSION: u8 = 1;

/// A topic that Kafka has made has the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub created_ms: i64,
    pub on_demand: bool,
    pub tags: Vec<(String, String)>,
    pub metrics: Vec<String>,
    pub consumers: Vec<ShardConsumer>,
    /// Empty until shards are split or merged for the first time: they divide all hash keys evenly.
    pub slots: Vec<Slot>,
}

impl Default for Kept {
    fn default() -> Self {
        let (tags, metrics, consumers, slots) = Default::default();
        Self { created_ms: 0, on_demand: true, tags, metrics, consumers, slots }
    }
}

pub fn key(topic: Uuid) -> Bytes {
    Writer::key().uuid(topic).done()
}

/// # Errors
/// `Corrupt`.
pub fn read_key(key: &[u8]) -> Result<Uuid> {
    Reader::key(key).uuid()
}

fn write_tags(to: Writer, tags: &[(String, String)]) -> Writer {
    to.list(tags.iter(), |to, (key, value)| to.text(key).text(value))
}

fn read_tags(from: &mut Reader<'_>) -> Result<Vec<(String, String)>> {
    from.list(|from| Ok((from.text()?, from.text()?)))
}

fn number(number: Option<u32>) -> i64 {
    number.map_or(-1, i64::from)
}

fn read_number(from: &mut Reader<'_>) -> Result<Option<u32>> {
    Ok(u32::try_from(from.i64()?).ok())
}

fn read_hash(from: &mut Reader<'_>) -> Result<u128> {
    Ok(from.uuid()?.as_u128())
}

impl Kept {
    pub fn to_bytes(&self) -> Bytes {
        let to = Writer::new(VERSION).i64(self.created_ms).u8(u8::from(self.on_demand));
        write_tags(to, &self.tags)
            .list(self.metrics.iter(), |to, name| to.text(name))
            .list(self.consumers.iter(), |to, consumer| {
                write_tags(to.text(&consumer.name).i64(consumer.created_ms), &consumer.tags)
            })
            .list(self.slots.iter(), |to, slot| {
                to.uuid(Uuid::from_u128(slot.first))
                    .uuid(Uuid::from_u128(slot.last))
                    .i64(number(slot.parent))
                    .i64(number(slot.adjacent))
                    .i64(slot.base)
                    .i64(slot.created_ms)
                    .i64(slot.closed_ms.unwrap_or(-1))
            })
            .done()
    }

    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut from = Reader::new(bytes, VERSION)?;
        Ok(Self {
            created_ms: from.i64()?,
            on_demand: from.u8()? == 1,
            tags: read_tags(&mut from)?,
            metrics: from.list(Reader::text)?,
            consumers: from.list(|from| {
                Ok(ShardConsumer { name: from.text()?, created_ms: from.i64()?, tags: read_tags(from)? })
            })?,
            slots: from.list(|from| {
                Ok(Slot {
                    first: read_hash(from)?,
                    last: read_hash(from)?,
                    parent: read_number(from)?,
                    adjacent: read_number(from)?,
                    base: from.i64()?,
                    created_ms: from.i64()?,
                    closed_ms: Some(from.i64()?).filter(|closed| *closed >= 0),
                })
            })?,
        })
    }

    /// The shards of so many partitions.
    pub fn shards(&self, partitions: u32) -> Vec<Slot> {
        if self.slots.is_empty() {
            return even(partitions, self.created_ms);
        }
        let mut slots = self.slots.clone();
        // Kafka has added them since: they can be read, and no hash key is theirs but the last one, which another one has.
        let (first, created_ms) = (u128::MAX, self.created_ms);
        let more = Slot { first, last: first, parent: None, adjacent: None, base: 0, created_ms, closed_ms: None };
        slots.resize(slots.len().max(partitions as usize), more);
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let tags = vec![("a".to_owned(), "b".to_owned())];
        let consumer = ShardConsumer { name: "c".to_owned(), created_ms: 4, tags: tags.clone() };
        let mut slots = even(3, 7);
        slots[1].closed_ms = Some(0);
        slots[2].parent = Some(1);
        let kept = Kept {
            created_ms: 7,
            on_demand: false,
            tags,
            metrics: vec!["ALL".to_owned()],
            consumers: vec![consumer],
            slots,
        };
        let bytes = kept.to_bytes();
        assert_eq!(Kept::read(&bytes).unwrap(), kept);
        for end in 0..bytes.len() {
            assert!(Kept::read(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(kept.shards(5).len(), 5);
        assert_eq!(Kept::default().shards(5), even(5, 0));
    }
}
